// The rows of groups: one node sends, the other hears. Fields beside those of rows.mjs:
//
//          fabric (a name of MEMBERSHIPS: the receiver's, and the sender's unless its run names another), privacy (hide
//          headers), noClock (our sender does not know the time), counters (kept over the sender's runs), late and
//          repeatAfter (see wire.mjs), linger (ms that matter.js waits for questions after its last message).

const BEGUN = [1, 2, 3];
const MICROS_OF_2000 = 946_684_800_000 * 1000;
const TOMORROW = (Date.now() + 86_400_000) * 1000 - MICROS_OF_2000;

const group = (groupId, keySetId, epochKeys, { startTimes = BEGUN.slice(0, epochKeys.length), policy = 0, shared = false } = {}) => ({
    groupId,
    keySetId,
    policy,
    epochKeys,
    startTimes,
    shared,
});

/** Groups by the name of the fabric file that has them; keys by their names in group-keys.mjs. */
export const MEMBERSHIPS = {
    "one group": [group(1, 1, ["a"])],
    "another key": [group(1, 1, ["d"])],
    "two groups": [group(1, 1, ["a"]), group(2, 2, ["b"])],
    "two groups of one key set": [group(1, 1, ["a"]), group(2, 1, ["a"])],
    "two keys": [group(1, 1, ["a", "b"])],
    "three keys": [group(1, 1, ["a", "b", "c"])],
    "three keys, one of tomorrow": [group(1, 1, ["a", "b", "c"], { startTimes: [1, 2, TOMORROW] })],
    "three keys, two of tomorrow": [group(1, 1, ["a", "b", "c"], { startTimes: [1, TOMORROW, TOMORROW + 1] })],
    "key of tomorrow": [group(1, 1, ["a"], { startTimes: [TOMORROW] })],
    twin: [group(1, 1, ["twin"])],
    "other twin": [group(1, 1, ["other twin"])],
    twins: [group(1, 1, ["twin"]), group(2, 2, ["other twin"])],
    "one group, shared address": [group(1, 1, ["a"], { shared: true })],
    "asks for counters": [group(1, 1, ["a"], { policy: 1 })],
};

// Our device has one reason where matter.js has two
const NO_KEY = { device: "not for it", controller: "no key" };
const NO_MEMBER = { device: "not for it", controller: "not a member" };

/** The same row for both directions, or for one; reasons to drop are words, or words by direction. */
const row = (name, { only, ...fields }, groups) =>
    (only ? [only] : ["device", "controller"]).map(only => {
        const dropped = groups.dropped?.map(reason => reason[only] ?? reason);
        const runs = (fields.runs ?? [{}]).map(() => groups.sent.length > 0);
        return {
            name: `group ${name}`,
            handshake: "group",
            ipv6: true,
            ...fields,
            only,
            expect: { runs, sessions: [], groups: { ...groups, dropped } },
        };
    });

const one = { fabric: "one group" };
const all = (...sent) => ({ sent, heard: sent.map(text => text.split(":")[0]) });
const two = all("1:a", "2:b", "1:a", "2:b");

export const groupRows = [
    row("message", { ...one, times: 3 }, all("1:a", "1:a", "1:a")),
    row("message, hidden header", { ...one, times: 3, privacy: true }, { ...all("1:a", "1:a", "1:a"), hidden: true }),
    row("two", { fabric: "two groups", times: 2 }, two),
    row("two, hidden headers", { fabric: "two groups", times: 2, privacy: true }, { ...two, hidden: true }),
    row("two, one key set", { fabric: "two groups of one key set" }, all("1:a", "2:a")),

    row("message, shared address", { fabric: "one group, shared address" }, { ...all("1:a"), shared: true }),

    row("three keys", { fabric: "three keys" }, all("1:c")),
    row("three keys, one of tomorrow", { fabric: "three keys, one of tomorrow" }, all("1:b")),
    row("three keys, two of tomorrow", { fabric: "three keys, two of tomorrow" }, all("1:a")),
    // Without a key that has begun we send with the oldest, and matter.js with none
    row("key of tomorrow", { fabric: "key of tomorrow", only: "controller" }, all("1:a")),
    row("key of tomorrow", { fabric: "key of tomorrow", only: "device" }, { sent: [], heard: [] }),
    // matter.js always knows the time
    row("three keys, no clock", { fabric: "three keys", noClock: true, only: "controller" }, all("1:b")),
    row(
        "three keys, two of tomorrow, no clock",
        { fabric: "three keys, two of tomorrow", noClock: true, only: "controller" },
        all("1:b"),
    ),
    row("two keys, no clock", { fabric: "two keys", noClock: true, only: "controller" }, all("1:a")),
    row(
        "keys rotate, receiver first",
        { fabric: "two keys", runs: [{ fabric: "one group" }, {}], counters: true },
        all("1:a", "1:b"),
    ),
    row(
        "keys rotate, sender first",
        { fabric: "one group", runs: [{}, { fabric: "two keys" }], counters: true },
        { sent: ["1:a", "1:b"], heard: ["1"], dropped: [NO_KEY] },
    ),

    row("wrong key", { ...one, runs: [{ fabric: "another key" }] }, { sent: ["1:d"], heard: [], dropped: [NO_KEY] }),
    row(
        "wrong key, same session id",
        { fabric: "twin", runs: [{ fabric: "other twin" }] },
        { sent: ["1:twin"], heard: [], dropped: ["not authentic"] },
    ),
    row("two keys, same session id", { fabric: "twins" }, all("1:twin", "2:twin")),
    row(
        "two keys, same session id, hidden headers",
        { fabric: "twins", privacy: true },
        { ...all("1:twin", "2:twin"), hidden: true },
    ),
    row(
        "not a member",
        { ...one, runs: [{ fabric: "two groups of one key set" }] },
        { sent: ["1:a", "2:a"], heard: ["1"], dropped: [NO_MEMBER] },
    ),
    row(
        "member with another key set",
        { fabric: "two groups", runs: [{ fabric: "two groups of one key set" }] },
        { sent: ["1:a", "2:a"], heard: ["1"], dropped: [NO_MEMBER] },
    ),

    row("datagram twice", { ...one, times: 2, repeatAfter: 1 }, { ...all("1:a", "1:a"), dropped: ["replay"] }),
    row(
        "replay",
        { ...one, times: 3, repeatAfter: 3 },
        { ...all("1:a", "1:a", "1:a"), dropped: ["replay", "replay", "replay"] },
    ),
    row(
        "replay, hidden headers",
        { ...one, times: 3, repeatAfter: 3, privacy: true },
        { ...all("1:a", "1:a", "1:a"), dropped: ["replay", "replay", "replay"], hidden: true },
    ),
    row("message late", { ...one, times: 3, late: 2 }, all("1:a", "1:a", "1:a")),
    // Nobody knows what came before the first message that is heard
    row(
        "first message late",
        { ...one, times: 2, late: 1 },
        { sent: ["1:a", "1:a"], heard: ["1"], dropped: ["replay"] },
    ),
    row("sender restarts", { ...one, times: 2, runs: [{}, {}], counters: true }, all("1:a", "1:a", "1:a", "1:a")),
    row(
        "receiver restarts",
        { ...one, times: 2, runs: [{}, { restart: true }], counters: true, only: "device" },
        all("1:a", "1:a", "1:a", "1:a"),
    ),
    // matter.js can neither ask nor answer: it trusts the first counter, and our device waits in vain
    row("asks for counters", { fabric: "asks for counters", only: "controller" }, all("1:a")),
    row(
        "asks for counters",
        { fabric: "asks for counters", linger: 1000, only: "device" },
        { sent: ["1:a"], heard: [], asked: true },
    ),
].flat();
