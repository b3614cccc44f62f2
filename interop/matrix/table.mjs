// The table of the matrix, and the logs of the rows that failed.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { rows } from "./rows.mjs";

const NAME_WIDTH = Math.max(...rows.map(row => row.name.length));
const TAIL = 25;
const LINE_LIMIT = 200;

export const header = () => `     ${"row".padEnd(NAME_WIDTH)}     ms  expected`;

/** One line for a row that holds; a failing one shows below what it got. */
export function line({ row, ms, want, got, pass }) {
    const first = `${pass ? "PASS" : "FAIL"} ${row.name.padEnd(NAME_WIDTH)} ${ms.toFixed(0).padStart(6)}  ${want}`;
    return pass ? first : `${first}\n     ${"".padEnd(NAME_WIDTH)}    got  ${got}`;
}

export function failureLogs(results) {
    return results
        .filter(result => !result.pass)
        .flatMap(({ row, logs }) => [
            `\n=== ${row.name}`,
            ...readdirSync(logs).flatMap(file => [`--- ${file}`, ...tail(join(logs, file))]),
        ])
        .join("\n");
}

const tail = file =>
    readFileSync(file, "utf8")
        .trimEnd()
        .split("\n")
        .slice(-TAIL)
        .map(text => (text.length > LINE_LIMIT ? `${text.slice(0, LINE_LIMIT)}...` : text));

export function summary(results, ms) {
    const failed = results.filter(result => !result.pass).length;
    return `${results.length - failed} of ${results.length} rows hold, ${(ms / 1000).toFixed(0)} s`;
}
