// What the selftest and the program `places` have printed.
import { readFileSync } from "node:fs";

/** Steps by name: `{ name, stack, instructions }`. Throws unless all went well. */
export function readSteps(file) {
    const text = readFileSync(file, "utf8");
    const steps = new Map();
    for (const [, name, stack, instructions] of text.matchAll(/^STEP (\S.*?) +OK +(\d+) +(\d+)$/gm)) {
        steps.set(name, { name, stack: Number(stack), instructions: Number(instructions) });
    }
    if (!/^ALL OK$/m.test(text)) throw new Error("the selftest has failed");
    return steps;
}

/** Octets of RAM by what takes them: a place of each table, and everything with the default sizes. */
export function readPlaces(file) {
    const lines = readFileSync(file, "utf8").matchAll(/^PLACE (\w+) (\d+)$/gm);
    return new Map([...lines].map(([, name, octets]) => [name, Number(octets)]));
}
