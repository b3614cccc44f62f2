// The command lines of a row. matter.js's peers take the same options as our examples, plus a few of their own.
import { join } from "node:path";

const flags = entries =>
    Object.entries(entries).flatMap(([name, value]) => {
        if (value === undefined || value === false) return [];
        return value === true ? [`--${name}`] : [`--${name}`, String(value)];
    });

const address = (host, port) => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);

/** @param places { examples, peers, fabrics }: directories */
export function responderCommand(row, { host, port }, places) {
    const ours = row.ours === "device";
    if (row.handshake === "group") {
        const program = ours ? [join(places.examples, "device")] : groupPeer(places, "receiver");
        const fabric = fabricFile(places, row.fabric, "responder");
        return [...program, ...flags({ listen: address(host, port), fabric })];
    }
    const program = ours
        ? [join(places.examples, "device")]
        : [process.execPath, join(places.peers, row.fullNode ? "device.mjs" : "responder.mjs")];
    return [
        ...program,
        ...flags({
            listen: address(host, port),
            fabric: row.handshake === "case" && fabricFile(places, row.fabric, "responder"),
            busy: row.busy,
            forget: row.forget,
            tcp: row.tcp,
            ...(ours ? ourFlags(row) : theirFlags(row)),
        }),
    ];
}

export function initiatorCommand(row, run, { host, port }, places) {
    const ours = row.ours === "controller";
    if (row.handshake === "group") {
        const program = ours ? [join(places.examples, "controller"), "group"] : groupPeer(places, "sender");
        return [
            ...program,
            ...flags({
                peer: address(host, port),
                fabric: fabricFile(places, run.fabric ?? row.fabric, "initiator"),
                times: row.times,
                privacy: row.privacy,
                counters: row.counters && join(row.logs, "counters"),
                ...(ours ? { "no-clock": row.noClock } : { linger: row.linger }),
            }),
        ];
    }
    const program = ours
        ? [join(places.examples, "controller")]
        : [process.execPath, join(places.peers, "initiator.mjs")];
    return [
        ...program,
        row.handshake,
        ...flags({
            peer: address(host, port),
            passcode: run.passcode,
            fabric: row.handshake === "case" && fabricFile(places, run.fabric ?? row.fabric, "initiator"),
            times: row.times,
            send: row.send ?? "echo",
            requests: row.requests,
            tcp: row.tcp,
            "echo-size": row.echoSize,
            "echo-protocol": row.echoProtocol,
            ...(ours ? ourFlags(row) : theirFlags(row)),
        }),
    ];
}

const groupPeer = (places, role) => [process.execPath, join(places.peers, "peer-group.mjs"), role];
const ourFlags = row => ({ drop: row.ourDrop });
const theirFlags = row => ({ "bare-headers": row.bare });

export const fabricFile = (places, name = "plain", role) => join(places.fabrics, `${name}-${role}.json`);
