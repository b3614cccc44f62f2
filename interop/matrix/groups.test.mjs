// Each wrong outcome of a row of groups must be told from the right one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { drawKeys, groupSessionId, keyNames, membershipsWith } from "./group-keys.mjs";
import { groupRows, MEMBERSHIPS } from "./group-rows.mjs";
import { describeGroups, observeGroups } from "./groups.mjs";
import { verdict } from "./verdict.mjs";

const SOURCE = "00000000000000aa";
const ADDRESS = "ff35:40:fd00::1";
const names = new Map([
    [7, "a"],
    [8, "b"],
]);

const datagram = (counter, changes = {}) => ({ kind: "Group", from: "initiator", counter, sessionId: 7, ...changes });
const sentLine = (payload, address = `[${ADDRESS}]:5540`) => `SENT group=1 address=${address} payload=${payload}`;
const heardLine = (payload, counter, { group = 1, source = SOURCE, opcode = 8 } = {}) =>
    `HEARD group=${group} keys=1 source=${source} counter=${counter} opcode=${opcode} payload=${payload}`;

/** Two messages that are sent, on the wire and heard, but for the changes. */
function judge({ sender, receiver, record, expect } = {}) {
    const observed = observeGroups({
        sender: sender ?? [sentLine("01"), sentLine("02")],
        receiver: receiver ?? [`MEMBER group=1 address=${ADDRESS}`, heardLine("01", 5), heardLine("02", 6)],
        wire: { record: record ?? [datagram(5), datagram(6)] },
        keyNames: names,
        source: SOURCE,
    });
    const groups = { sent: ["1:a", "1:a"], heard: ["1", "1"], ...expect };
    return verdict({ runs: [true], sessions: [], groups }, { runs: [true], ...observed });
}

const holds = changes => assert.equal(judge(changes).got, judge(changes).want);
const fails = (changes, text) => {
    const { got, pass } = judge(changes);
    assert.equal(pass, false, got);
    assert.match(got, text);
};

test("the right outcome holds", () => {
    holds();
    const expect = { heard: ["1"], dropped: ["replay"] };
    holds({ receiver: [heardLine("01", 5), "DROPPED a datagram: replay"], expect });
    holds({ receiver: [heardLine("01", 5), "DROPPED a datagram of [::1]:5540: replayed group message"], expect });
    fails({ receiver: [heardLine("01", 5), "DROPPED a datagram: no key"], expect }, /dropped no key/);
});

test("the shared address is told from that of a group", () => {
    fails({ expect: { shared: true } }, /heard 1, 1$/);
    const shared = ["01", "02"].map(payload => sentLine(payload, "[ff05::fa]:5540"));
    const heard = [heardLine("01", 5), heardLine("02", 6)];
    holds({ sender: shared, receiver: ["MEMBER group=1 address=ff05::fa", ...heard], expect: { shared: true } });
    fails({ sender: shared, expect: { shared: true } }, /group 1 has addresses/);
});

test("what is heard must have been sent, and once", () => {
    fails({ receiver: [heardLine("01", 5), heardLine("03", 6)] }, /heard 03 .* not sent/);
    fails({ receiver: [heardLine("01", 5), heardLine("01", 6)] }, /heard 01 .* not sent/);
    const inAnother = heardLine("02", 6, { group: 2 });
    fails({ receiver: [heardLine("01", 5), inAnother], expect: { heard: ["1", "2"] } }, /not sent/);
    fails({ receiver: [heardLine("01", 5), heardLine("02", 6, { source: "bb" })] }, /of bb/);
    fails({ receiver: [heardLine("01", 5), heardLine("02", 6, { opcode: 9 })] }, /opcode 9/);
    fails({ receiver: [heardLine("01", 5)] }, /heard 1$/);
});

test("counters rise, and are those of the wire", () => {
    fails({ receiver: [heardLine("01", 6), heardLine("02", 5)] }, /counters 6, 5/);
    fails({ receiver: [heardLine("01", 5), heardLine("02", 5)] }, /counters 5, 5/);
    holds({ receiver: [heardLine("02", 6), heardLine("01", 5)], record: [datagram(6), datagram(5)] });
    fails({ receiver: [heardLine("01", 5), heardLine("02", 7)] }, /not on the wire/);
    const hidden = [datagram(1, { hidden: true }), datagram(2, { hidden: true })];
    holds({ record: hidden, expect: { hidden: true } });
    fails({ record: hidden }, /headers hidden/);
    fails({ expect: { hidden: true } }, /heard 1, 1$/);
    fails({ record: [hidden[0], datagram(6)], expect: { hidden: true } }, /heard 1, 1/);
});

test("keys are told by their session ids, and every message is a datagram", () => {
    fails({ record: [datagram(5), datagram(6, { sessionId: 8 })] }, /1:b/);
    fails({ record: [datagram(5), datagram(6, { sessionId: 9 })] }, /unknown key/);
    fails({ record: [datagram(5), datagram(6, { repeated: true })] }, /2 messages sent in 1 datagrams/);
    holds({ record: [datagram(5), datagram(6), datagram(5, { repeated: true })] });
});

test("both sides must compute the same address", () => {
    fails({ sender: [sentLine("01", "[ff35::2]:5540"), sentLine("02")] }, /group 1 has addresses/);
    fails({ sender: [sentLine("01", `[${ADDRESS}]:5541`), sentLine("02")] }, /group 1 has addresses/);
});

test("questions for counters and answers to them are seen", () => {
    const asked = [datagram(5), datagram(6), datagram(1, { kind: "GroupControl", from: "responder" })];
    fails({ record: asked }, /asked for the counter/);
    holds({ record: asked, expect: { asked: true } });
    fails({ expect: { asked: true } }, /heard 1, 1$/);
    fails({ record: [...asked, datagram(2, { kind: "GroupControl" })], expect: { asked: true } }, /was told it/);
});

test("every row sends with known keys to groups of known files, and says what becomes of each message", () => {
    for (const { name, fabric, runs = [{}], expect } of groupRows) {
        const { sent, heard, dropped = [], asked } = expect.groups;
        for (const file of [fabric, ...runs.map(run => run.fabric ?? fabric)]) assert.ok(MEMBERSHIPS[file], name);
        assert.ok(sent.length > 0 || !expect.runs.some(ok => ok), name);
        assert.ok(sent.every(text => /^\d:(a|b|c|d|twin)$/.test(text)), name);
        assert.ok(asked || heard.length + dropped.length >= sent.length, name);
        assert.ok(dropped.every(reason => typeof reason === "string"), name);
        assert.match(describeGroups(expect.groups).join("; "), /^sent .*; heard /);
    }
});

test("session ids of groups are those of the specification's derivation", () => {
    // From TestGroupOperationalCredentials.cpp of connectedhomeip
    const id = key => groupSessionId(Buffer.from(key, "hex"), "87e1b004e235a130");
    assert.equal(id("00000000000000000000000000000000"), 18334);
    assert.equal(id("101112131415161718191a1b1c1d1e1f"), 42258);
});

test("keys are drawn with session ids of their own, but for the twins", () => {
    const fabric = "87e1b004e235a130";
    const keys = drawKeys(fabric);
    const ids = Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, groupSessionId(key, fabric)]));
    assert.equal(ids.twin, ids["other twin"]);
    assert.notDeepEqual(keys.twin, keys["other twin"]);
    assert.equal(new Set(Object.values(ids)).size, 5);
    assert.equal(keyNames(keys, fabric).get(ids.c), "c");
    const [group] = membershipsWith(keys, MEMBERSHIPS["two keys"]);
    assert.deepEqual(group.epochKeys, [keys.a.toString("hex"), keys.b.toString("hex")]);
});
