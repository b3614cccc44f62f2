// Messages to groups, in both directions. The key sets are those of connectedhomeip's own tests: its controller can
// install no others without a network to commission.
import { eventually } from "../matrix/program.mjs";
import { writeFabric } from "./fabric.mjs";
import { HOST, RUN_LIMIT, SETTLE_LIMIT } from "./scene.mjs";

const GROUPS = [257, 258];
const PORT = 5540;
const TIMES = 3;
const TRUST_FIRST = 0;

/** Three epoch keys a set: 16 bytes that count up. */
const epochKey = first => Array.from({ length: 16 }, (_, n) => (first + n).toString(16)).join("");
const keySet = (groupId, keySetId, start, ...firsts) => ({
    groupId,
    keySetId,
    policy: TRUST_FIRST,
    epochKeys: firsts.map(epochKey),
    startTimes: firsts.map((_, n) => start + n),
});
const memberships = [
    keySet(GROUPS[0], 0x01a1, 1_110_000, 0xa0, 0xb0, 0xc0),
    keySet(GROUPS[1], 0x01a2, 2_220_000, 0xd0, 0xe0, 0xf0),
];

/** connectedhomeip sends by multicast, and our device receives. */
export async function runGroupDevice(scene) {
    const { chip, logs, node, fabric } = scene;
    const file = writeFabric(logs, "responder", await chip.ask("issue", { node, fabric }), memberships);
    await chip.ask("join", { fabric });
    const device = scene.start("device", ["--listen", `[::]:${PORT}`, "--fabric", file]);
    await device.ready();
    for (const group of GROUPS) await chip.ask("group", { fabric, group, times: TIMES });
    const heard = () => device.lines.filter(line => line.startsWith("HEARD ")).length;
    await eventually(() => heard() >= GROUPS.length * TIMES, SETTLE_LIMIT);
    scene.runs.push(true);
    scene.answers = heard();
}

/**
 * Our controller sends to connectedhomeip's port, as its controller does not listen to multicast. The key sets ask for
 * the policy cache-and-sync, which connectedhomeip does not implement: it decrypts such a message, says so, and drops it.
 */
export async function runGroupController(scene) {
    const { chip, logs, node, fabric, row, wire } = scene;
    const groups = row.wrongKey ? memberships.map(withOtherKeys) : memberships;
    const file = writeFabric(logs, "initiator", await chip.ask("issue", { node, fabric }), groups);
    await chip.ask("join", { fabric });
    const decrypted = () => chip.lines.filter(line => line.includes("key policy Cache and Sync, but MCSP")).length;
    const before = decrypted();
    const peer = `[${HOST}]:${wire.port}`;
    const controller = scene.start("controller", ["group", "--peer", peer, "--fabric", file, "--times", TIMES]);
    scene.runs.push((await controller.end(RUN_LIMIT)) === 0);
    await eventually(() => decrypted() - before >= (row.expect.answers || Infinity), row.wrongKey ? 1000 : SETTLE_LIMIT);
    scene.answers = decrypted() - before;
}

const withOtherKeys = group => ({ ...group, epochKeys: group.epochKeys.map(key => [...key].reverse().join("")) });
