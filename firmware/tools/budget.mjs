// The file budget.txt: a figure a line, with how far a new measurement may differ from it.
import { readFileSync, writeFileSync } from "node:fs";

const FILE = new URL("../budget.txt", import.meta.url);
const HEAD = "# Written by `size.sh --write`: name, figure, and how far a new measurement may differ.\n";

/** Figures by name: `{ name, value, tolerance }`. */
export function read() {
    const lines = readFileSync(FILE, "utf8").split("\n").filter(line => line && !line.startsWith("#"));
    return new Map(lines.map(line => {
        const [name, value, tolerance] = line.split(" ");
        return [name, { name, value: Number(value), tolerance }];
    }));
}

export function write(figures) {
    writeFileSync(FILE, HEAD + figures.map(({ name, value, tolerance }) => `${name} ${value} ${tolerance}\n`).join(""));
}

/** What differs by more than it may, a sentence each. */
export function differences(measured, committed) {
    return measured.flatMap(({ name, value }) => {
        const before = committed.get(name);
        if (!before) return [`${name} is ${value}, and is not in budget.txt`];
        const allowed = before.tolerance.endsWith("%")
            ? (Math.abs(before.value) * parseFloat(before.tolerance)) / 100
            : Number(before.tolerance);
        if (Math.abs(value - before.value) <= allowed) return [];
        return [`${name} is ${value}, ${before.value} in budget.txt; it may differ by ${before.tolerance}`];
    });
}
