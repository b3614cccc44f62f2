// The budgets: name, figure, goal.

export function figures({ s, z, both, steps, sites }) {
    const step = name => {
        const found = steps.get(name);
        if (!found) throw new Error(`the selftest has no step ${name}`);
        return found;
    };
    const stack = (...names) => Math.max(...names.map(name => step(name).stack));
    const ratio = step("CASE with ICAC").instructions / step("p256 of a CASE responder").instructions;
    return [
        { name: "flash_s", value: s.flash, goal: 100_000, text: "flash, opt-level s" },
        { name: "flash_z", value: z.flash, goal: 84_000, text: "flash, opt-level z" },
        { name: "flash_both_roles", value: both.flash, goal: 125_000, text: "flash, both roles in one image" },
        { name: "static_ram", value: s.ram, goal: 24_000, text: "static RAM" },
        { name: "stack_case", value: stack("CASE with ICAC", "CASE resumed"), goal: 9_500, text: "stack, whole CASE handshake" },
        { name: "stack_pase", value: stack("PASE"), goal: "-", text: "stack, whole PASE handshake" },
        {
            name: "stack_message",
            value: stack("encode 64", "decode 64") - stack("AES: seal 64", "AES: open 64"),
            goal: 1_500,
            text: "stack to encode or decode a message, beyond the AES crate's own",
        },
        { name: "case_instructions_ratio", value: ratio.toFixed(3), goal: 1.05, text: "CASE responder, instructions per instruction of its P-256 operations" },
        { name: "panics", value: sites.filter(site => !site.crypto).length, goal: 0, text: "call sites of panics outside the crypto crates" },
    ];
}

export function table(figures) {
    const rows = figures.map(({ text, value, goal }) => `| ${text} | ${number(value)} | ${number(goal)} |\n`);
    return `| | reached | goal |\n|---|---|---|\n${rows.join("")}`;
}

const number = value => (typeof value === "number" && value >= 1000 ? value.toLocaleString("en-US") : String(value));
