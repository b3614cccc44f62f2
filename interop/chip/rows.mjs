// The rows. Those of `device` have our device as responder and connectedhomeip as initiator, those of `controller` the
// reverse.
//
// Fields:  handshake, fabric ("icac", the default, or "plain", which has no ICAC), runs (attempts one after the other:
//          passcode, fabric, restart our device before), tries (how often connectedhomeip tries in each run), times
//          (handshakes per run), reads (at once per session), lose (see ../matrix/wire.mjs), lossy (our device loses one
//          datagram in ten that it receives), busy, forget (options of our device), held (connectedhomeip is in another
//          handshake), renewed (before the second handshake connectedhomeip makes a new record of our node),
//          announceTcp (option of our controller), wrongKey (our controller's groups have other keys).
// expect:  see describe() in ../matrix/verdict.mjs, and `answers`: how many reads were answered.

const ok = (...sessions) => ({ runs: [true], sessions });
const WRONG_PASSCODE = 20202022;

const pase = { handshake: "pase", expect: ok("pase") };
const full = { handshake: "case", expect: ok("case") };
const resumed = { handshake: "case", times: 2, expect: ok("case", "case-resumed") };

const paseRows = [
    { ...pase, name: "pase" },
    {
        name: "pase wrong passcode, then the right one",
        handshake: "pase",
        runs: [{ passcode: WRONG_PASSCODE }, {}],
        expect: { runs: [false, true], sessions: ["pase"], reports: ["InvalidParameter"] },
    },
];

const caseRows = [
    { ...full, name: "case" },
    { ...full, name: "case without icac", fabric: "plain" },
    { name: "case resumed", handshake: "case", times: 3, expect: ok("case", "case-resumed", "case-resumed") },
    {
        name: "case resumed without icac",
        handshake: "case",
        fabric: "plain",
        times: 2,
        expect: ok("case", "case-resumed"),
    },
    {
        name: "case wrong fabric, then the right one",
        handshake: "case",
        runs: [{ fabric: "plain" }, {}],
        expect: { runs: [false, true], sessions: ["case"], reports: ["NoSharedTrustRoots"] },
    },
];

// Those that take long are first
const deviceRows = [
    {
        // The read on the former session fails, and then connectedhomeip leaves it
        name: "case device restarts",
        handshake: "case",
        runs: [{}, { restart: true }, {}],
        expect: { runs: [true, false, true], sessions: ["case", "case"] },
    },
    { ...full, name: "case 40 reads, one in ten lost", reads: 40, lossy: true, expect: { ...ok("case"), answers: 40 } },
    ...paseRows,
    ...caseRows,
    { name: "case resumption refused", handshake: "case", times: 2, forget: true, expect: ok("case", "case") },
    // connectedhomeip itself tries again only if it was told of the address more than once
    { ...full, name: "case busy, then in", busy: 1, tries: 2, expect: { ...ok("case"), reports: ["Busy"] } },
    { ...full, name: "case 40 reads at once", reads: 40, expect: { ...ok("case"), answers: 40 } },
];

const controllerRows = [
    // Releases before 1.4.2 do not see that a Sigma1 resumes if its session parameters hold this announcement
    { ...resumed, name: "case resumed, announcing tcp", announceTcp: true },
    { ...full, name: "case busy, then in", held: true, expect: { ...ok("case"), reports: ["Busy"] } },
    ...caseRows,
    {
        name: "case resumption refused",
        handshake: "case",
        times: 2,
        renewed: true,
        ...loses("initiator", "Sigma1", { nth: 2 }, ok("case", "case")),
    },
];

/** Loses one message of a row. */
function lossy(group, base, from, kind, rule) {
    return { ...base, name: `${group} loses ${from}'s ${kind}`, ...loses(from, kind, rule, base.expect) };
}

/** One message is lost; it, or the message named in `again`, must then be sent a second time. */
function loses(from, kind, { again = { from, kind }, ...rule } = {}, expect) {
    return { lose: { from, kind, ...rule }, expect: { ...expect, lost: { kind }, again } };
}

const groups = { name: "group messages", handshake: "group", expect: { ...ok(), answers: 6 } };
const wrongKey = { name: "group wrong key", handshake: "group", wrongKey: true, expect: { ...ok(), answers: 0 } };

// An acknowledgement is not acknowledged: when it is lost, the other side repeats what it should have acknowledged
const repeatsReport = from => ({ after: "StatusReport", again: { from, kind: "StatusReport" } });

const lossyPase = [
    lossy("pase", pase, "initiator", "PBKDFParamRequest"),
    lossy("pase", pase, "responder", "PBKDFParamResponse"),
    lossy("pase", pase, "initiator", "Pake1"),
    lossy("pase", pase, "responder", "Pake2"),
    lossy("pase", pase, "initiator", "Pake3"),
    lossy("pase", pase, "responder", "StatusReport"),
    lossy("pase", pase, "initiator", "Ack", repeatsReport("responder")),
];
const lossyCase = [
    lossy("case", full, "initiator", "Sigma1"),
    lossy("case", full, "responder", "Sigma2"),
    lossy("case", full, "initiator", "Sigma3"),
    lossy("case", full, "responder", "StatusReport"),
    lossy("case", full, "initiator", "Ack", repeatsReport("responder")),
    lossy("case", full, "initiator", "Request"),
    lossy("case", full, "responder", "Answer"),
    lossy("case resumed", resumed, "initiator", "Sigma1", { nth: 2 }),
    lossy("case resumed", resumed, "responder", "Sigma2Resume"),
    lossy("case resumed", resumed, "initiator", "StatusReport"),
    lossy("case resumed", resumed, "responder", "Ack", { ...repeatsReport("initiator"), after: "Sigma2Resume" }),
];

// Our controller leaves after its acknowledgement: CloseSession tells connectedhomeip not to repeat its answer
const lossyAck = lossy("case", full, "initiator", "EncryptedAck", { again: { from: "responder", kind: "Answer" } });

const of = (ours, rows) => rows.map(row => ({ runs: [{}], ...row, ours, name: `${ours}: ${row.name}` }));
export const rows = [
    ...of("device", [...deviceRows, ...lossyPase, ...lossyCase, lossyAck, groups]),
    ...of("controller", [...controllerRows, ...lossyCase, groups, wrongKey]),
];
