// The size report.
//   size.mjs --images DIR --steps FILE [--check | --write]
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Elf } from "./elf.mjs";
import { author, frames } from "./lines.mjs";
import { panics } from "./panics.mjs";
import { readSteps } from "./steps.mjs";
import { figures, table } from "./table.mjs";

const { values: options } = parseArgs({
    options: {
        images: { type: "string" },
        steps: { type: "string" },
        check: { type: "boolean" },
        write: { type: "boolean" },
    },
});
const image = name => join(options.images, name);
const at = name => new URL(`../${name}`, import.meta.url);
const GROWTH = 1.03;

const [s, z, both] = ["device-s", "device-z", "device-both"].map(name => new Elf(image(name)));
const steps = readSteps(options.steps);
const sites = panics(image("device-s"), s);
const found = figures({ s, z, both, steps, sites });

console.log("== Flash by module (where the code was written, inlined or not)");
for (const [module, size] of modules(image("device-s"), s)) console.log(`${String(size).padStart(8)}  ${module}`);
console.log("== Largest functions");
print([...s.code].sort((a, b) => b.size - a.size).slice(0, 25));
console.log("== RAM by symbol");
print([...s.variables].sort((a, b) => b.size - a.size));
console.log("== Stack and instructions by step");
for (const { name, stack, instructions } of steps.values()) {
    console.log(`${String(stack).padStart(8)} ${String(instructions).padStart(12)}  ${name}`);
}
console.log("== Call sites of panics");
for (const [crate, n] of count(sites, site => site.crate)) console.log(`${String(n).padStart(8)}  ${crate}`);
for (const site of sites.filter(site => !site.crypto)) console.log(`          ${site.place}`);
console.log("== Budgets");
for (const { name, value, goal } of found) console.log(`BUDGET ${name} ${value} ${goal}`);

const flash = found.filter(({ name }) => name.startsWith("flash"));
if (options.write) {
    writeFileSync(at("budget.txt"), flash.map(({ name, value }) => `${name} ${value}\n`).join(""));
    const readme = readFileSync(at("README.md"), "utf8");
    const marked = /(<!-- figures -->\n)[^]*(<!-- end of figures -->)/;
    if (!marked.test(readme)) throw new Error("README.md has no place for the figures");
    writeFileSync(at("README.md"), readme.replace(marked, (_, begin, end) => begin + table(found) + end));
}
if (options.check) {
    const committed = readFileSync(at("budget.txt"), "utf8").trimEnd().split("\n");
    const grown = committed.map(line => line.split(" ")).filter(([name, size]) => {
        const now = flash.find(figure => figure.name === name);
        return !(now?.value <= size * GROWTH);
    });
    for (const [name, size] of grown) console.error(`${name} has grown by more than 3 % over ${size}`);
    const ours = sites.filter(site => !site.crypto).length;
    if (ours) console.error(`${ours} call sites of panics outside the crypto crates`);
    process.exit(grown.length || ours ? 1 : 0);
}

/** Octets of code by crate, and by module where they are ours; what stands in `.rodata` as one. */
function modules(file, elf) {
    const text = elf.sections.find(section => section.name === ".text");
    // Instructions have two or four octets: each half-word counts for itself.
    const addresses = Array.from({ length: text.size / 2 }, (_, n) => text.address + 2 * n);
    const module = ({ crate, path }) => {
        if (crate !== "matter-session") return crate;
        return `${crate}::${path.replace(/^src\/|\.rs$/g, "").split("/").slice(0, 2).join("::").replace(/(::mod)?(\.rs)?$/, "")}`;
    };
    const sizes = count(frames(file, addresses), frames => module(author(frames))).map(([name, n]) => [name, 2 * n]);
    const rest = elf.flash - text.size;
    return [...sizes, ["(vectors and constants)", rest]].sort((a, b) => b[1] - a[1]);
}

function count(items, key) {
    const counts = new Map();
    for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1]);
}

function print(symbols) {
    for (const { size, name } of symbols) console.log(`${String(size).padStart(8)}  ${name}`);
}
