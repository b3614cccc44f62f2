// Expected and observed outcome are the same kind of object and printed by the same function; a row holds when the two
// texts are equal and the sides do not disagree on anything.
import { createHash } from "node:crypto";
import { REFUSALS } from "./datagram.mjs";
import { describeGroups } from "./groups.mjs";
import { disagreements, hasEndedBeforeNext } from "./sessions.mjs";

/**
 * @param runs      per run of the initiator whether it reported success
 * @param sessions  kinds of the sessions, in order
 * @param reports   refusals seen on the wire ("Busy", ...), each once
 * @param lost      which message the wire lost, `again` which one was then sent a second time
 * @param repeats   whether anything at all was sent twice (for losses inside our program, which the wire cannot see)
 * @param oversize  whether a datagram was longer than 1232 octets
 * @param cats      CASE authenticated tags of the initiator as matter.js saw them, per session
 * @param bare      whether matter.js left the node ids out of its secured headers
 * @param closed    whether CloseSession was sent, and with matter.js as responder, heeded
 * @param connections   over TCP: how many the initiator opened. A message that is lost then cuts one of them
 * @param disconnected  whether both sides closed the first session before the second was made
 * @param groups    instead of sessions: see groups.mjs
 */
export function describe(outcome) {
    const { runs, sessions, reports = [], lost, again, repeats, oversize, cats, bare, closed, groups } = outcome;
    const { connections, disconnected } = outcome;
    return [
        runs.map(ok => ({ true: "ok", false: "refused" })[ok] ?? ok).join(", "),
        ...(groups ? describeGroups(groups) : [sessions.join(", ") || "no session"]),
        ...reports,
        ...(lost ? describeLoss(lost, again, connections) : []),
        ...(repeats ? ["sent again"] : []),
        ...(oversize ? ["over 1232 octets"] : []),
        ...(cats ? [`CATs ${cats}`] : []),
        ...(bare ? ["no node ids"] : []),
        ...(closed ? ["closed"] : []),
        ...(disconnected ? ["disconnected"] : []),
        ...(connections ? [`connections: ${connections}`] : []),
    ].join("; ");
}

function describeLoss(lost, again, connections) {
    if (connections) return [`cut at ${lost.kind}`];
    return [`${lost.kind} lost`, again ? `${again.kind} sent again` : "nothing sent again"];
}

/**
 * What happened in a row, as far as the row asks.
 *
 * @param initiator, responder  sessions
 * @param lines                 { initiator, responder }: what the programs printed
 * @param matterjs              the same of matter.js, whichever it was
 */
export function observe({ row, runs, initiator, responder, lines, matterjs, wire }) {
    const { record } = wire;
    const { expect } = row;
    const theirSecured = record.filter(datagram => datagram.secured && datagram.from === row.matterjsRole);
    return {
        runs,
        sessions: initiator.map(session => session.kind),
        reports: REFUSALS.filter(kind => record.some(datagram => datagram.kind === kind)),
        lost: record.find(datagram => datagram.lost),
        again: expect.again && wire.repeatedAfterLoss(expect.again) ? expect.again : undefined,
        repeats: expect.repeats && wire.hasRepeats(),
        oversize: record.some(datagram => datagram.size > 1232),
        cats: expect.cats && parseCats(matterjs),
        bare: expect.bare && theirSecured.length > 0 && theirSecured.every(datagram => !datagram.hasNodeIds),
        closed: expect.closed && heededClose(row, matterjs, record),
        connections: expect.connections && wire.connections,
        disconnected: expect.disconnected && hasEndedBeforeNext(lines.initiator) && hasEndedBeforeNext(lines.responder),
        problems: [
            ...disagreements(initiator, responder),
            ...notHandedUp(row, lines, initiator.length),
            ...(row.tcp ? reliabilityOverTcp(wire) : []),
        ],
    };
}

/** matter.js knows the CATs of its peer only as responder. */
const parseCats = matterjs => matterjs.sessions.map(session => session.cats ?? "none").join(", ");

const heededClose = (row, matterjs, record) =>
    record.some(({ kind }) => kind === "CloseSession") &&
    (row.matterjsRole === "initiator" || matterjs.lines.some(line => line.startsWith("CLOSED")));

/** Each request and each answer must be handed up exactly once, also when it came twice, and with the right bytes. */
function notHandedUp(row, lines, sessions) {
    if (row.send === "close") return [];
    const all = sessions * (row.requests ?? 1);
    const { requests = all, answers = all } = row.expect.handedUp ?? {};
    const check = (what, text, count) => {
        const handedUp = text.filter(line => line.startsWith(what));
        const wrong = isEcho(row) ? handedUp.filter(line => !line.endsWith(echoFacts(row.echoSize))) : [];
        return [
            ...(handedUp.length === count ? [] : [`${handedUp.length} times ${what} in ${sessions} sessions`]),
            ...wrong.map(line => `not the bytes of the echo: ${line}`),
        ];
    };
    return [
        ...(tellsRequests(row) ? check("MESSAGE", lines.responder, requests) : []),
        ...check("ANSWER", lines.initiator, answers),
    ];
}

/** A whole node of matter.js does not say what it is asked, and neither does the emulated device. */
const tellsRequests = row => !row.fullNode && !(row.matterjsRole === "initiator" && process.env.FIRMWARE_IMAGE);

const isEcho = row => (row.send ?? "echo") === "echo";

/** What the programs must print of the payload that is echoed, which they make by the same rule. */
export function echoFacts(size = 32) {
    const payload = Uint8Array.from({ length: size }, (_, index) => index ^ (index >> 8));
    return `size=${size} sha256=${createHash("sha256").update(payload).digest("hex")}`;
}

/** TCP delivers by itself: nothing is acknowledged or repeated. */
function reliabilityOverTcp(wire) {
    const acks = wire.record.filter(({ kind }) => ["Ack", "EncryptedAck"].includes(kind));
    return [
        ...(acks.length === 0 ? [] : [`${acks.length} acknowledgements over TCP`]),
        ...(wire.hasRepeats() ? ["sent again over TCP"] : []),
    ];
}

export function verdict(expected, observed) {
    const want = describe(expected);
    const got = [describe(observed), ...observed.problems].join("; ");
    return { want, got, pass: want === got };
}
