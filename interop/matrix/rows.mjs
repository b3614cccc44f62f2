// The rows of the matrix. Each stands for two: our device against matter.js, and our controller against matter.js.
// Those of groups are in group-rows.mjs.
//
// Fields:  handshake, runs (passcode / fabric per run of the initiator; default one run), times (handshakes per run),
//          send, echoSize, ipv6, fabric, lose (see wire.mjs), ourDrop (--drop of our program), busy, forget,
//          bare (matter.js omits node ids), fullNode (matter.js's whole device instead of its bare session layer),
//          tcp, requests (on each session), only ("device" | "controller": which of our programs the row is for).
// expect:  see describe() in verdict.mjs.

import { groupRows } from "./group-rows.mjs";

const INITIATOR_CATS = [0xabcd0001, 0x12340002];
export const FABRICS = {
    plain: {},
    icac: { icac: true },
    cats: { cats: { initiator: INITIATOR_CATS, responder: [0x00010001] } },
    other: {},
};

const ok = (...sessions) => ({ runs: [true], sessions });
const WRONG_PASSCODE = 20202022;

const plainRows = [
    { name: "pase", handshake: "pase", send: "read", fullNode: true, expect: ok("pase") },
    { name: "pase ipv6", handshake: "pase", send: "read", fullNode: true, ipv6: true, expect: ok("pase") },
    { name: "pase bare headers", handshake: "pase", send: "read", bare: true, expect: { ...ok("pase"), bare: true } },
    {
        name: "pase wrong passcode, then the right one",
        handshake: "pase",
        send: "read",
        fullNode: true,
        runs: [{ passcode: WRONG_PASSCODE }, {}],
        expect: { runs: [false, true], sessions: ["pase"], reports: ["InvalidParameter"] },
    },
    {
        name: "pase closed, then another",
        handshake: "pase",
        send: "close",
        fullNode: true,
        runs: [{}, {}],
        expect: { runs: [true, true], sessions: ["pase", "pase"], closed: true },
    },
    {
        name: "pase own losses",
        handshake: "pase",
        send: "read",
        ourDrop: "tx:1,rx:2",
        expect: { ...ok("pase"), repeats: true },
    },

    { name: "case", handshake: "case", expect: ok("case") },
    { name: "case ipv6", handshake: "case", ipv6: true, expect: ok("case") },
    { name: "case icac", handshake: "case", fabric: "icac", expect: ok("case") },
    {
        name: "case cats",
        handshake: "case",
        fabric: "cats",
        times: 2,
        only: "controller",
        expect: { ...ok("case", "case-resumed"), cats: "abcd0001,12340002, abcd0001,12340002" },
    },
    { name: "case cats", handshake: "case", fabric: "cats", times: 2, only: "device", expect: ok("case", "case-resumed") },
    { name: "case bare headers", handshake: "case", bare: true, expect: { ...ok("case"), bare: true } },
    { name: "case read", handshake: "case", send: "read", expect: ok("case") },
    // Only matter.js tells that it has closed; our device shows it in the pase row above by taking the next session
    { name: "case closed", handshake: "case", send: "close", only: "controller", expect: { ...ok("case"), closed: true } },
    { name: "case resumed", handshake: "case", times: 3, expect: ok("case", "case-resumed", "case-resumed") },
    { name: "case resumption refused", handshake: "case", times: 2, forget: true, expect: ok("case", "case") },
    {
        name: "case wrong fabric, then the right one",
        handshake: "case",
        runs: [{ fabric: "other" }, {}],
        expect: { runs: [false, true], sessions: ["case"], reports: ["NoSharedTrustRoots"] },
    },
    { name: "case busy, then in", handshake: "case", busy: 1, expect: { ...ok("case"), reports: ["Busy"] } },
    { name: "case echo of 1178", handshake: "case", echoSize: 1178, expect: ok("case") },
    { name: "case echo without vendor id", handshake: "case", echoProtocol: 0x00f1, only: "device", expect: ok("case") },
    { name: "case own losses", handshake: "case", ourDrop: "tx:2,rx:1", expect: { ...ok("case"), repeats: true } },
];

/** Loses one message; it, or the message named in `again`, must then be sent a second time. */
function lossy(group, base, from, kind, { again = { from, kind }, ...rule } = {}) {
    const expect = { ...base.expect, lost: { kind }, again };
    return { ...base, name: `${group} loses ${from}'s ${kind}`, lose: { from, kind, ...rule }, expect };
}

const pase = { handshake: "pase", send: "read", expect: ok("pase") };
const full = { handshake: "case", expect: ok("case") };
const resumed = { handshake: "case", times: 2, expect: ok("case", "case-resumed") };
const [wrongPasscode, wrongFabric, busy] = ["pase wrong", "case wrong", "case busy"].map(start =>
    plainRows.find(row => row.name.startsWith(start)),
);

// Over TCP both sides take messages of up to 64 kB
const large = { handshake: "case", tcp: true, requests: 2, echoSize: 60_000 };
const tcp = (name, fields, { sessions = ["case"], ...expect }) => ({
    name: `tcp: ${name}`,
    ...large,
    ...fields,
    expect: { ...ok(...sessions), oversize: true, ...expect },
});
const twice = { sessions: ["case", "case-resumed"], connections: 2 };

const tcpRows = [
    tcp("two echoes of 60000", {}, { connections: 1 }),
    tcp("two echoes of 60000, ipv6", { ipv6: true }, { connections: 1 }),
    // With the node ids that matter.js adds, 63996 bytes
    tcp("the longest echo", { echoSize: 63_948 }, { connections: 1 }),
    tcp("resumed", { times: 2, requests: 1, only: "controller" }, twice),
    // matter.js makes its second session over the connection that it has
    tcp("two sessions, one connection", { times: 2, requests: 1, only: "device" }, { ...twice, connections: 1 }),
    tcp("pase", { handshake: "pase", requests: 1 }, { sessions: ["pase"], connections: 1 }),
    tcp("cut at the second request", { lose: { from: "initiator", kind: "Request", nth: 2 } }, {
        ...twice,
        lost: { kind: "Request" },
        disconnected: true,
        handedUp: { requests: 2, answers: 2 },
    }),
    // The responder has served the request when the connection goes, and does so again
    tcp("cut at the second answer", { lose: { from: "responder", kind: "Answer", nth: 2 } }, {
        ...twice,
        lost: { kind: "Answer" },
        disconnected: true,
        handedUp: { requests: 3, answers: 2 },
    }),
    tcp("cut at Sigma2", { lose: { from: "responder", kind: "Sigma2" } }, { connections: 2, lost: { kind: "Sigma2" } }),
    tcp("cut at Sigma3", { lose: { from: "initiator", kind: "Sigma3" } }, { connections: 2, lost: { kind: "Sigma3" } }),
];

// An ack is not acked: when it is lost the other side repeats what it should have acknowledged
const repeatsReport = from => ({ after: "StatusReport", again: { from, kind: "StatusReport" } });
// Our controller closes the session behind its last ack, so there nobody repeats the answer
const repeatsAnswer = { again: { from: "responder", kind: "Answer" } };

const lossyRows = [
    lossy("pase", pase, "initiator", "PBKDFParamRequest"),
    lossy("pase", pase, "responder", "PBKDFParamResponse"),
    lossy("pase", pase, "initiator", "Pake1"),
    lossy("pase", pase, "responder", "Pake2"),
    lossy("pase", pase, "initiator", "Pake3"),
    lossy("pase", pase, "responder", "StatusReport"),
    lossy("pase", pase, "initiator", "Ack", repeatsReport("responder")),
    lossy("pase", pase, "initiator", "Request"),
    lossy("pase", pase, "responder", "Answer"),
    { ...lossy("pase", pase, "initiator", "EncryptedAck", repeatsAnswer), only: "device" },
    lossy("pase wrong passcode", wrongPasscode, "initiator", "InvalidParameter"),

    lossy("case", full, "initiator", "Sigma1"),
    lossy("case", full, "responder", "Sigma2"),
    lossy("case", full, "initiator", "Sigma3"),
    lossy("case", full, "responder", "StatusReport"),
    lossy("case", full, "initiator", "Ack", repeatsReport("responder")),
    lossy("case", full, "initiator", "Request"),
    lossy("case", full, "responder", "Answer"),
    { ...lossy("case", full, "initiator", "EncryptedAck", repeatsAnswer), only: "device" },
    lossy("case resumed", resumed, "initiator", "Sigma1", { nth: 2 }),
    lossy("case resumed", resumed, "responder", "Sigma2Resume"),
    lossy("case resumed", resumed, "initiator", "StatusReport"),
    lossy("case resumed", resumed, "responder", "Ack", { ...repeatsReport("initiator"), after: "Sigma2Resume" }),
    // matter.js repeats this report until it is acknowledged; our device keeps no state of those it turns away, refuses
    // without R, and judges the repeated Sigma1 afresh
    lossy("case wrong fabric", { ...wrongFabric, only: "controller" }, "responder", "NoSharedTrustRoots"),
    lossy("case wrong fabric", { ...wrongFabric, only: "device" }, "responder", "NoSharedTrustRoots", {
        again: { from: "initiator", kind: "Sigma1" },
    }),
    // Busy goes out without R, so nobody repeats it: the initiator repeats Sigma1, which gets Busy again or gets in
    lossy("case busy", busy, "responder", "Busy", { again: { from: "initiator", kind: "Sigma1" } }),
];

export const rows = [...plainRows, ...tcpRows, ...lossyRows, ...groupRows].flatMap(row =>
    ["device", "controller"]
        .filter(ours => (row.only ?? ours) === ours)
        .map(ours => ({
            ...row,
            ours,
            name: `${ours}: ${row.name}`,
            matterjsRole: ours === "device" ? "initiator" : "responder",
            runs: row.runs ?? [{}],
        })),
);
