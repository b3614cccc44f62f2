// Runs the matrix and prints its table.
//
//   node main.mjs --examples DIR [--only REGEX] [--list] [--jobs N]
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fabricFile } from "./commands.mjs";
import { drawKeys, keyNames, membershipsWith } from "./group-keys.mjs";
import { Host } from "./program.mjs";
import { MEMBERSHIPS } from "./group-rows.mjs";
import { FABRICS, rows } from "./rows.mjs";
import { runRow } from "./run-row.mjs";
import { failureLogs, header, line, summary } from "./table.mjs";

const { values: options } = parseArgs({
    options: {
        examples: { type: "string" },
        only: { type: "string", default: "" },
        list: { type: "boolean", default: false },
        jobs: { type: "string", default: "4" },
    },
});
const interop = join(dirname(fileURLToPath(import.meta.url)), "..");
const places = {
    examples: options.examples,
    peers: join(interop, "matterjs"),
    logs: join(interop, "logs"),
    fabrics: join(interop, "logs", "fabrics"),
};

async function makeFabrics() {
    const { fabricSeenBy, makeFabric } = await import("../matterjs/make-fabric.mjs");
    const { logToStderr } = await import("../matterjs/stack.mjs");
    logToStderr("warn");
    mkdirSync(places.fabrics, { recursive: true });
    const write = (name, fabric) => {
        for (const role of ["initiator", "responder"]) {
            writeFileSync(fabricFile(places, name, role), `${JSON.stringify(fabricSeenBy(role, fabric), null, 2)}\n`);
        }
    };
    for (const [name, spec] of Object.entries(FABRICS)) write(name, await makeFabric(spec));
    // One fabric whose nodes are in other groups from file to file
    const fabric = await makeFabric();
    const keys = drawKeys(fabric.derived.compressedFabricId);
    places.groups = {
        keyNames: keyNames(keys, fabric.derived.compressedFabricId),
        source: fabric.nodes.initiator.nodeId,
    };
    for (const [name, groups] of Object.entries(MEMBERSHIPS)) {
        write(name, { ...fabric, groups: membershipsWith(keys, groups) });
    }
}

async function runAll(selected) {
    const results = [];
    const waiting = [...selected];
    const worker = async () => {
        const host = new Host(join(places.peers, "host.mjs"));
        for (let row; (row = waiting.shift()); ) {
            const result = await runRow(row, places, host);
            results.push(result);
            console.log(line(result));
        }
        host.kill();
    };
    await Promise.all(Array.from({ length: Number(options.jobs) }, worker));
    return results;
}

const selected = rows.filter(row => new RegExp(options.only).test(row.name));
if (options.list) {
    for (const row of selected) console.log(row.name);
    process.exit(0);
}
if (selected.length === 0) {
    console.error(`no row matches ${options.only}`);
    process.exit(1);
}

const started = performance.now();
rmSync(places.logs, { recursive: true, force: true });
await makeFabrics();
console.log(header());
const results = await runAll(selected);
console.log(failureLogs(results));
console.log(summary(results, performance.now() - started));
process.exit(results.every(result => result.pass) ? 0 : 1);
