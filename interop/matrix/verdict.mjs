// Expected and observed outcome are the same kind of object and printed by the same function; a row holds when the two
// texts are equal and the sides do not disagree on anything.
import { REFUSALS } from "./datagram.mjs";
import { describeGroups } from "./groups.mjs";
import { disagreements } from "./sessions.mjs";

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
 * @param groups    instead of sessions: see groups.mjs
 */
export function describe(outcome) {
    const { runs, sessions, reports = [], lost, again, repeats, oversize, cats, bare, closed, groups } = outcome;
    return [
        runs.map(ok => ({ true: "ok", false: "refused" })[ok] ?? ok).join(", "),
        ...(groups ? describeGroups(groups) : [sessions.join(", ") || "no session"]),
        ...reports,
        ...(lost ? [`${lost.kind} lost`, again ? `${again.kind} sent again` : "nothing sent again"] : []),
        ...(repeats ? ["sent again"] : []),
        ...(oversize ? ["over 1232 octets"] : []),
        ...(cats ? [`CATs ${cats}`] : []),
        ...(bare ? ["no node ids"] : []),
        ...(closed ? ["closed"] : []),
    ].join("; ");
}

/** What happened in a row, as far as the row asks. */
export function observe({ row, runs, initiator, responder, matterjs, wire }) {
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
        problems: [
            ...disagreements(initiator, responder),
            ...unservedRequests(row, matterjs, initiator.length),
        ],
    };
}

/** matter.js knows the CATs of its peer only as responder. */
const parseCats = matterjs => matterjs.sessions.map(session => session.cats ?? "none").join(", ");

const heededClose = (row, matterjs, record) =>
    record.some(({ kind }) => kind === "CloseSession") &&
    (row.matterjsRole === "initiator" || matterjs.lines.some(line => line.startsWith("CLOSED")));

/** A request must be handed up exactly once, also when its datagram came twice, and whole. */
function unservedRequests(row, matterjs, sessions) {
    if (row.matterjsRole !== "responder" || row.fullNode || row.send === "close") return [];
    const served = matterjs.lines.filter(line => line.startsWith("MESSAGE"));
    const size = row.echoSize && `size=${row.echoSize}`;
    return [
        ...(served.length === sessions ? [] : [`${served.length} requests served in ${sessions} sessions`]),
        ...(!size || served.every(line => line.endsWith(size)) ? [] : [`request served is not of ${size}`]),
    ];
}

export function verdict(expected, observed) {
    const want = describe(expected);
    const got = [describe(observed), ...observed.problems].join("; ");
    return { want, got, pass: want === got };
}
