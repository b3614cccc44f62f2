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
import { Turns } from "./turns.mjs";

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
        jobs: { type: "string", default: "3" },
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

async function runAll(selected, places) {
    const results = [];
    const run = async row => {
        let result = await runRow(row, places);
        // On a slow machine something else may have been sent again before, and have stood in for what was lost
        if (row.lose && !result.pass) {
            console.log(`${line(result)}\n  ^  tried again`);
            result = await runRow(row, places);
        }
        results.push(result);
        console.log(line(result));
    };
    const devices = selected.filter(({ ours }) => ours === "device");
    const worker = async () => {
        for (let row; (row = devices.shift()); ) await run(row);
    };
    // Those of our controller take turns by themselves
    const controllers = selected.filter(({ ours }) => ours === "controller").map(run);
    await Promise.all([...controllers, ...Array.from({ length: Number(options.jobs) }, worker)]);
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
const results = await runAll(selected, { chip, discovery, turns: new Turns(), examples, logs });
chip.stop();
for (const result of results.filter(({ pass }) => !pass)) console.log(ends(result).join("\n"));
const held = results.filter(({ pass }) => pass).length;
const seconds = (performance.now() - started) / 1000;
console.log(`${options.release}: ${held} of ${results.length} rows hold, ${seconds.toFixed(0)} s`);
process.exit(held === results.length ? 0 : 1);
