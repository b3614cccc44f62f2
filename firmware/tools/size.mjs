// The size report.
//   size.mjs --images DIR --steps FILE --fast FILE --places FILE [--features] [--check | --write]
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as budget from "./budget.mjs";
import { documents } from "./documents.mjs";
import { Elf } from "./elf.mjs";
import { PARTS, features, figures } from "./figures.mjs";
import { author, frames } from "./lines.mjs";
import { panics } from "./panics.mjs";
import { readPlaces, readSteps } from "./steps.mjs";

const { values: options } = parseArgs({
    options: {
        images: { type: "string" },
        steps: { type: "string" },
        fast: { type: "string" },
        places: { type: "string" },
        features: { type: "boolean" },
        check: { type: "boolean" },
        write: { type: "boolean" },
    },
});
const path = name => join(options.images, name);
const image = name => new Elf(path(name));

const [s, z, both] = ["device-s", "device-z", "device-both"].map(image);
const [steps, fast, places] = [readSteps(options.steps), readSteps(options.fast), readPlaces(options.places)];
const sites = panics(path("device-s"), s);
const code = origins(path("device-s"), s);
const found = figures({ s, z, both, steps, fast, places, parts: parts(code, s), sites });
if (options.features) found.push(...features(image, s));

console.log("== Flash by module (where the code was written, inlined or not)");
for (const [module, size] of modules(code)) console.log(`${String(size).padStart(8)}  ${module}`);
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
console.log("== Figures");
for (const { name, value } of found) console.log(`FIGURE ${name} ${value}`);

if (options.write) {
    // What was not measured stays.
    const names = new Set(found.map(({ name }) => name));
    const kept = [...budget.read().values()].filter(({ name }) => !options.features && /^feature_/.test(name) && !names.has(name));
    budget.write([...found, ...kept]);
    documents({ write: true });
}
if (options.check) {
    const wrong = budget.differences(found, budget.read());
    for (const file of documents({ write: false })) wrong.push(`${file} has figures that budget.txt has not`);
    for (const sentence of wrong) console.error(`DIFFERS: ${sentence}`);
    if (wrong.length) console.error("Look at what has changed. If it shall be so: firmware/size.sh --write");
    process.exit(wrong.length ? 1 : 0);
}

/** Whose code each half-word is: instructions have two or four octets. */
function origins(file, elf) {
    const text = elf.sections.find(section => section.name === ".text");
    const addresses = Array.from({ length: text.size / 2 }, (_, n) => text.address + 2 * n);
    return frames(file, addresses).map(author).map(({ crate, path }) => ({
        crate,
        module: path.replace(/^src\/|\.rs$/g, "").split("/").slice(0, 2).join("::").replace(/(::mod)?(\.rs)?$/, ""),
    }));
}

/** Octets of code by crate, and by module where they are ours. */
function modules(code) {
    const key = ({ crate, module }) => (crate === "matter-session" ? `${crate}::${module}` : crate);
    return count(code, key).map(([name, n]) => [name, 2 * n]);
}

/** Octets of flash by part; what is not code as one. */
function parts(code, elf) {
    const sizes = new Map(PARTS.map(({ name }) => [name, 0]));
    for (const origin of code) {
        const { name } = PARTS.find(part => part.of(origin));
        sizes.set(name, sizes.get(name) + 2);
    }
    return sizes.set("constants", elf.flash - 2 * code.length);
}

function count(items, key) {
    const counts = new Map();
    for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1]);
}

function print(symbols) {
    for (const { size, name } of symbols) console.log(`${String(size).padStart(8)}  ${name}`);
}
