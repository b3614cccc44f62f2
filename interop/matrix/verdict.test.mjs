// A check that cannot fail is worthless: each wrong outcome here must be told from the right one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { rows } from "./rows.mjs";
import { disagreements, parseSessions } from "./sessions.mjs";
import { describe, observe, verdict } from "./verdict.mjs";

const A = "00112233445566778899aabbccddeeff";
const sessionLine = (kind, local, peer, attestation = A) =>
    `SESSION kind=${kind} local=${local} peer=${peer} attestation=${attestation}`;
const agree = () => [parseSessions([sessionLine("case", 1, 2)]), parseSessions([sessionLine("case", 2, 1)])];

const silentWire = { record: [], repeatedAfterLoss: () => false, hasRepeats: () => false };

function judge(row, changes = {}) {
    const [initiator, responder] = agree();
    const seen = { row, runs: [true], initiator, responder, matterjs: { lines: [], sessions: [] }, wire: silentWire };
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

test("a request handed up twice, or cut, fails a row", () => {
    const row = { ...plain, matterjsRole: "responder", echoSize: 9 };
    const served = (...lines) => judge(row, { matterjs: { lines, sessions: [] } }).pass;
    assert.equal(served("MESSAGE size=9"), true);
    assert.equal(served("MESSAGE size=9", "MESSAGE size=9"), false);
    assert.equal(served("MESSAGE size=8"), false);
    assert.equal(served(), false);
});
