// A check that cannot fail is worthless: each wrong outcome here must be told from the right one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { rows } from "./rows.mjs";
import { disagreements, parseSessions } from "./sessions.mjs";
import { describe, echoFacts, observe, verdict } from "./verdict.mjs";

const A = "00112233445566778899aabbccddeeff";
const sessionLine = (kind, local, peer, attestation = A) =>
    `SESSION kind=${kind} local=${local} peer=${peer} attestation=${attestation}`;
const agree = () => [parseSessions([sessionLine("case", 1, 2)]), parseSessions([sessionLine("case", 2, 1)])];

const silentWire = { record: [], repeatedAfterLoss: () => false, hasRepeats: () => false };

const echoed = { initiator: [`ANSWER ${echoFacts()}`], responder: [`MESSAGE ${echoFacts()}`] };

function judge(row, changes = {}) {
    const [initiator, responder] = agree();
    const matterjs = { lines: [], sessions: [] };
    const seen = { row, runs: [true], initiator, responder, lines: echoed, matterjs, wire: silentWire };
    return verdict(row.expect, observe({ ...seen, ...changes }));
}

const plain = { matterjsRole: "initiator", expect: { runs: [true], sessions: ["case"] } };

test("the right outcome holds", () => assert.equal(judge(plain).pass, true));

test("sides that differ do not agree", () => {
    const [initiator] = agree();
    for (const wrong of [
        [],
        [sessionLine("case-resumed", 2, 1)],
        [sessionLine("case", 3, 1)],
        [sessionLine("case", 2, 3)],
        [sessionLine("case", 2, 1, A.replace("00", "01"))],
        [sessionLine("case", 2, 1), sessionLine("case", 3, 4)],
    ]) {
        assert.notDeepEqual(disagreements(initiator, parseSessions(wrong)), [], wrong.join());
        assert.equal(judge(plain, { responder: parseSessions(wrong) }).pass, false, wrong.join());
    }
});

test("a short or missing attestation challenge is a problem even when both say the same", () => {
    for (const bad of ["", A.slice(2)]) {
        const side = parseSessions([sessionLine("case", 1, 1, bad)]);
        assert.notDeepEqual(disagreements(side, side), []);
    }
    const none = parseSessions(["SESSION kind=case"]);
    assert.notDeepEqual(disagreements(none, none), []);
});

test("exit codes count", () => {
    assert.equal(judge(plain, { runs: [false] }).pass, false);
    assert.equal(judge(plain, { runs: ["exit timeout"] }).pass, false);
    assert.equal(judge({ ...plain, expect: { ...plain.expect, runs: [false] } }).pass, false);
});

test("no row expects less than a run and its sessions", () => {
    for (const { name, expect, runs } of rows) {
        assert.equal(expect.runs.length, runs.length, name);
        assert.ok(expect.groups || (expect.runs.some(ok => ok) && expect.sessions.length > 0), name);
    }
});

test("everything a row asks for must have been seen", () => {
    // Those of groups have tests of their own
    for (const row of rows.filter(({ expect }) => !expect.groups)) {
        const { runs, sessions } = row.expect;
        const text = describe({ runs, sessions });
        const asked = describe(row.expect);
        const { got } = judge(row, { runs });
        assert.equal(asked.startsWith(text), true);
        if (asked !== text) assert.notEqual(got, asked, row.name);
    }
});

test("a datagram over 1232 octets fails a row that does not ask for one", () => {
    const wire = { ...silentWire, record: [{ kind: "Request", size: 1233 }] };
    assert.equal(judge(plain, { wire }).pass, false);
});

test("an unexpected refusal fails a row", () => {
    const wire = { ...silentWire, record: [{ kind: "Busy", size: 40 }] };
    assert.equal(judge(plain, { wire }).pass, false);
});

test("a request or an answer that is handed up twice, never, cut or altered fails a row", () => {
    const row = { ...plain, echoSize: 9 };
    const [right, cut] = [9, 8].map(size => echoFacts(size));
    const altered = right.replace(/.$/, digit => (digit === "0" ? "1" : "0"));
    const pass = (requests, answers) => {
        const lines = {
            responder: requests.map(facts => `MESSAGE protocol=0x1 ${facts}`),
            initiator: answers.map(facts => `ANSWER protocol=0x1 ${facts}`),
        };
        return judge(row, { lines }).pass;
    };
    assert.equal(pass([right], [right]), true);
    for (const wrong of [[], [cut], [altered], [right, right]]) {
        assert.equal(pass(wrong, [right]), false);
        assert.equal(pass([right], wrong), false);
    }
});

test("each request of a session counts", () => {
    const row = { ...plain, requests: 2 };
    const twice = { responder: [0, 1].flatMap(() => echoed.responder), initiator: [0, 1].flatMap(() => echoed.initiator) };
    assert.equal(judge(row, { lines: twice }).pass, true);
    assert.equal(judge(row).pass, false);
    const again = { ...row, expect: { ...row.expect, handedUp: { requests: 3, answers: 2 } } };
    assert.equal(judge(again, { lines: twice }).pass, false);
    assert.equal(judge(again, { lines: { ...twice, responder: [...twice.responder, ...echoed.responder] } }).pass, true);
});

test("over TCP an acknowledgement, a repetition, or another number of connections fails a row", () => {
    const row = { ...plain, tcp: true, expect: { ...plain.expect, connections: 1 } };
    const pass = changes => judge(row, { wire: { ...silentWire, connections: 1, ...changes } }).pass;
    assert.equal(pass({}), true);
    assert.equal(pass({ connections: 2 }), false);
    assert.equal(pass({ hasRepeats: () => true }), false);
    assert.equal(pass({ record: [{ kind: "EncryptedAck", size: 34 }] }), false);
});

test("both sides must close the session of a lost connection before they make another", () => {
    const row = { ...plain, expect: { ...plain.expect, disconnected: true } };
    const [first, second] = [sessionLine("case", 7, 8), sessionLine("case-resumed", 9, 10)];
    const ours = [first, "CLOSED local=7 Disconnected", second, ...echoed.responder];
    const theirs = [first, "CLOSED local=7", second, ...echoed.initiator];
    const pass = (initiator, responder) => judge(row, { lines: { initiator, responder } }).pass;
    assert.equal(pass(theirs, ours), true);
    for (const closed of ["CLOSED local=7 Peer", "CLOSED local=8 Disconnected", ""]) {
        const wrong = [first, closed, second, "CLOSED local=7 Disconnected", ...echoed.responder];
        assert.equal(pass(theirs, wrong), false);
    }
});
