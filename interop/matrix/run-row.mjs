// Runs one row: responder, wire, then the initiator once per run; afterwards judges what was seen.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createWriteStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import { initiatorCommand, responderCommand } from "./commands.mjs";
import { eventually, Host, Process } from "./program.mjs";
import { parseSessions } from "./sessions.mjs";
import { observeGroups } from "./groups.mjs";
import { observe, verdict } from "./verdict.mjs";
import { TcpWire } from "./tcp-wire.mjs";
import { Wire } from "./wire.mjs";

// matter.js waits 30 s and more for some answers that never come; such a row fails, but by itself
const RUN_LIMIT = 60_000;
// Long enough for a first retransmission, which starts 300 to 700 ms after the original
const SETTLE_LIMIT = 5_000;

/** A UDP port that the system considers free. */
async function freePort(host) {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4").bind(0, host);
    await once(socket, "listening");
    const { port } = socket.address();
    socket.close();
    return port;
}

/** @param host runs the matter.js side, where it can */
export async function runRow(row, places, host) {
    const start = (command, logFile) =>
        Host.runs(command) ? host.run(command, logFile) : new Process(command, logFile);
    const logs = join(places.logs, row.name.replace(/[^a-z0-9]+/gi, "-"));
    mkdirSync(logs, { recursive: true });
    const wireLog = createWriteStream(join(logs, "wire.log"));
    const address = row.ipv6 ? "::1" : "127.0.0.1";
    const responderPort = await freePort(address);

    const responders = [];
    const startResponder = () => {
        const command = responderCommand(row, { host: address, port: responderPort }, places);
        responders.push(start(command, join(logs, "responder.log")));
        return responders.at(-1).ready();
    };
    // What all of them printed, as one
    const responder = { get lines() { return responders.flatMap(program => program.lines); } };
    const initiators = [];
    const log = line => wireLog.write(line);
    const { lose, late, repeatAfter } = row;
    const wire = await (row.tcp ? TcpWire : Wire).open({ host: address, responderPort, lose, late, repeatAfter, log });
    const started = performance.now();
    let result;
    try {
        await startResponder();
        const runsStarted = performance.now();
        for (const run of row.runs) {
            if (run.restart) {
                await settle(row, { wire, responder, initiators });
                await responders.at(-1).stop();
                await startResponder();
            }
            const command = initiatorCommand({ ...row, logs }, run, { host: address, port: wire.port }, places);
            const initiator = start(command, join(logs, `initiator-${initiators.length + 1}.log`));
            initiators.push(initiator);
            initiator.code = await initiator.end(RUN_LIMIT);
        }
        const ms = performance.now() - runsStarted;
        await settle(row, { wire, responder, initiators });
        result = { ms, ...judge(row, { wire, responder, initiators, groups: places.groups }) };
    } catch (error) {
        result = { ms: performance.now() - started, want: "", got: `cannot run: ${error.message}`, pass: false };
    } finally {
        await Promise.all([...responders, ...initiators].map(program => program.stop()));
        wire.close();
        wireLog.end();
    }
    return { row, logs, ...result };
}

const sessionsOf = programs => programs.flatMap(program => parseSessions(program.lines));

/** The initiator may be done before the responder has printed its line or repeated its message. */
async function settle(row, { wire, responder, initiators }) {
    const { again, closed, groups } = row.expect;
    if (groups) return eventually(() => groupsSettled(groups, wire, responder), SETTLE_LIMIT);
    const closes = () => responder.lines.some(line => line.startsWith("CLOSED"));
    await eventually(
        () =>
            sessionsOf([responder]).length >= sessionsOf(initiators).length &&
            (!again || wire.repeatedAfterLoss(again)) &&
            (!closed || row.ours === "device" || closes()),
        SETTLE_LIMIT,
    );
}

/** Each datagram has an outcome, unless its sender is asked for its counter first. */
function groupsSettled({ asked }, { record }, responder) {
    if (asked) return record.some(({ kind }) => kind === "GroupControl");
    const outcomes = responder.lines.filter(line => /^(HEARD|DROPPED) /.test(line));
    return outcomes.length >= record.filter(({ kind, lost }) => kind === "Group" && !lost).length;
}

function judge(row, { wire, responder, initiators, groups }) {
    const runs = initiators.map(({ code }) => (code === 0 ? true : code === 1 ? false : `exit ${code}`));
    if (row.handshake === "group") {
        const sender = initiators.flatMap(program => program.lines);
        return verdict(row.expect, { runs, ...observeGroups({ sender, receiver: responder.lines, wire, ...groups }) });
    }
    const theirs = row.matterjsRole === "responder" ? [responder] : initiators;
    const observed = observe({
        row,
        runs,
        initiator: sessionsOf(initiators),
        responder: sessionsOf([responder]),
        lines: { initiator: initiators.flatMap(program => program.lines), responder: responder.lines },
        matterjs: { lines: theirs.flatMap(program => program.lines), sessions: sessionsOf(theirs) },
        wire,
    });
    return verdict(row.expect, observed);
}
