// What is measured: every figure of budget.txt, and how far it may differ the next time.
import { CRYPTO } from "./panics.mjs";

/** The features that are measured: name, image, and what the image does beside `device`. */
export const FEATURES = [
    { name: "initiator", image: "device-both", text: "`initiator`: it begins PASE and CASE, too" },
    { name: "groups", image: "device-groups", text: "groups: it sends to a group and receives its messages; tables for five fabrics" },
    { name: "check_in", image: "device-check-in", text: "Check-In: it says to a client that it is awake" },
    { name: "signing_key", image: "device-signing-key", text: "`SigningKey`: the operational key is in memory" },
    { name: "persistent", image: "device-persistent", text: "`persistent`: fabrics and records survive a reset" },
    { name: "defmt_info", image: "device-defmt-info", text: "`defmt` with `DEFMT_LOG=info`, the logger included" },
    { name: "defmt_trace", image: "device-defmt-trace", text: "`defmt` with `DEFMT_LOG=trace`, the logger included" },
    { name: "p256_cm4", image: "device-p256-cm4", text: "`p256-cm4`: P-256 in assembler, with that of `p256` for sums of points" },
    { name: "keylog", image: "device-keylog", text: "`keylog`, without a hook" },
];

/** What the selftest shows of each backend: name, kind of figure, step. */
export const HANDSHAKES = [
    { name: "instructions_verification", kind: "instructions", step: "P-256 verification", text: "instructions, verification of a P-256 signature" },
    { name: "instructions_spake_verifier", kind: "instructions", step: "known: SPAKE2+ verifier", text: "instructions, SPAKE2+ of the verifier" },
    { name: "instructions_pase", kind: "instructions", step: "PASE", text: "instructions, whole PASE handshake" },
    { name: "instructions_case", kind: "instructions", step: "CASE with ICAC", text: "instructions, whole CASE handshake" },
    { name: "stack_pase", kind: "stack", step: "PASE", text: "stack, whole PASE handshake" },
    { name: "stack_case", kind: "stack", step: "CASE with ICAC", text: "stack, whole CASE handshake" },
];

/** Flash by whose code it is. Each function takes what none before it does. */
export const PARTS = [
    { name: "crypto", text: "crates of cryptography", of: ({ crate }) => CRYPTO.has(crate) },
    { name: "storage", text: "tables (`manager::storage`)", of: ours("manager::storage") },
    { name: "manager", text: "the rest of the manager", of: ours("manager") },
    { name: "handshakes", text: "PASE, CASE and resumption", of: ours("handshake", "resumption") },
    { name: "certificates", text: "certificates, fabrics, TLV", of: ours("cert", "fabric", "tlv") },
    { name: "library", text: "the rest of the library", of: ({ crate }) => crate === "matter-session" },
    { name: "device", text: "this package", of: ({ crate }) => crate === "firmware" },
    { name: "other", text: "`core`, functions of the compiler, start of the processor", of: () => true },
];

/** Whether code is in one of these modules of the library. */
function ours(...modules) {
    return ({ crate, module }) =>
        crate === "matter-session" && modules.some(name => module === name || module.startsWith(`${name}::`));
}

/** Figures of the images, of the selftest and of the parts: `{ name, value, tolerance }`. */
export function figures({ s, z, both, steps, fast, places, parts, sites }) {
    const step = (name, of = steps) => {
        const found = of.get(name);
        if (!found) throw new Error(`the selftest has no step ${name}`);
        return found;
    };
    const stack = (...names) => Math.max(...names.map(name => step(name).stack));
    const instructions = name => step(name).instructions;
    const ratio = instructions("CASE with ICAC") / instructions("p256 of a CASE responder");
    const aes = stack("AES: seal 64", "AES: open 64");
    return [
        figure("flash_s", s.flash, "3%"),
        figure("flash_z", z.flash, "3%"),
        figure("flash_both_roles", both.flash, "3%"),
        figure("static_ram", s.ram, "1%"),
        figure("stack_case", stack("CASE with ICAC", "CASE resumed"), "5%"),
        figure("stack_pase", stack("PASE"), "5%"),
        figure("stack_message", stack("encode 64", "decode 64") - aes, "64"),
        figure("instructions_verification", instructions("P-256 verification"), "3%"),
        figure("instructions_spake_verifier", instructions("known: SPAKE2+ verifier"), "3%"),
        figure("instructions_pase", instructions("PASE"), "3%"),
        figure("instructions_case", instructions("CASE with ICAC"), "3%"),
        figure("instructions_resumption", instructions("CASE resumed"), "5%"),
        figure("instructions_encode_64", instructions("encode 64"), "3%"),
        figure("instructions_decode_64", instructions("decode 64"), "3%"),
        ...HANDSHAKES.map(({ name, kind, step: of }) => figure(`cm4_${name}`, step(of, fast)[kind], kind === "stack" ? "5%" : "3%")),
        figure("case_instructions_ratio", Number(ratio.toFixed(3)), "1%"),
        figure("panics", sites.filter(site => !site.crypto).length, "0"),
        ...[...parts].map(([name, size]) => figure(`part_${name}`, size, "10%")),
        ...[...places].map(([name, size]) => figure(`place_${name}`, size, "0")),
    ];
}

/** What each feature adds to the device: images by name, and the one without any. */
export function features(images, base) {
    return FEATURES.flatMap(({ name, image }) => [
        figure(`feature_${name}_flash`, images(image).flash - base.flash, "500"),
        figure(`feature_${name}_ram`, images(image).ram - base.ram, "64"),
    ]);
}

function figure(name, value, tolerance) {
    return { name, value, tolerance };
}
