// What the selftest has printed.
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
