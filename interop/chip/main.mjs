// Runs the rows against one release and prints its table. To be run in the network of namespace.sh.
//
//   node main.mjs --release NAME --python FILE --examples DIR --logs DIR [--only REGEX] [--jobs N] | --list
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Discovery } from "./discovery.mjs";
import { Peer } from "./peer.mjs";
import { rows } from "./rows.mjs";
import { runRow } from "./run-row.mjs";
import { HOST } from "./scene.mjs";

const INTERFACE = "v0";
const TAIL = 25;
const LINE_LIMIT = 200;

const { values: options } = parseArgs({
    options: {
        release: { type: "string" },
        python: { type: "string" },
        examples: { type: "string" },
        logs: { type: "string" },
        only: { type: "string", default: "" },
        list: { type: "boolean", default: false },
        jobs: { type: "string", default: "6" },
    },
});
const width = Math.max(...rows.map(({ name }) => name.length));

function line({ row, ms, want, got, pass }) {
    const start = `${pass ? "PASS" : "FAIL"} ${options.release} ${row.name.padEnd(width)}`;
    const first = `${start} ${ms.toFixed(0).padStart(6)}  ${want}`;
    return pass ? first : `${first}\n${"".padEnd(start.length)}    got  ${got}`;
}

const tail = file =>
    readFileSync(file, "utf8")
        .trimEnd()
        .split("\n")
        .slice(-TAIL)
        .map(text => text.slice(0, LINE_LIMIT));

const ends = ({ row, logs }) => [
    `\n=== ${options.release} ${row.name}`,
    ...readdirSync(logs).flatMap(file => [`--- ${file}`, ...tail(join(logs, file))]),
];

/** Rows share connectedhomeip, which serves one CASE handshake at a time: those of our controller follow each other. */
async function runAll(selected, places) {
    const results = [];
    const devices = selected.filter(({ ours }) => ours === "device");
    const controllers = selected.filter(({ ours }) => ours === "controller");
    const worker = async waiting => {
        for (let row; (row = waiting.shift()); ) {
            const result = await runRow(row, places);
            results.push(result);
            console.log(line(result));
        }
    };
    const workers = Array.from({ length: Number(options.jobs) - 1 }, () => worker(devices));
    await Promise.all([worker(controllers), ...workers]);
    return results;
}

const selected = rows.filter(({ name }) => new RegExp(options.only).test(name));
if (options.list) {
    for (const { name } of selected) console.log(name);
    process.exit(0);
}
if (selected.length === 0) {
    console.error(`no row matches ${options.only}`);
    process.exit(1);
}

const started = performance.now();
const { examples, logs } = options;
mkdirSync(logs, { recursive: true });
const discovery = await Discovery.open(HOST, INTERFACE);
const chip = await Peer.start(options.python, logs);
const results = await runAll(selected, { chip, discovery, examples, logs });
chip.stop();
for (const result of results.filter(({ pass }) => !pass)) console.log(ends(result).join("\n"));
const held = results.filter(({ pass }) => pass).length;
const seconds = (performance.now() - started) / 1000;
console.log(`${options.release}: ${held} of ${results.length} rows hold, ${seconds.toFixed(0)} s`);
process.exit(held === results.length ? 0 : 1);
