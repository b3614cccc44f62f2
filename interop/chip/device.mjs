// connectedhomeip as initiator: it establishes sessions with our device and reads.
import { writeFabric } from "./fabric.mjs";
import { HOST } from "./scene.mjs";

const PASSCODE = 20202021;

export async function runDevice(scene) {
    const { chip, discovery, row, wire, node, fabric } = scene;
    const credentials = await chip.ask("issue", { node, fabric });
    let device = await startDevice(scene, credentials);
    discovery.announce(credentials.compressedFabricId, credentials.nodeId, wire.port);
    for (const run of row.runs) {
        if (run.restart) {
            await device.stop();
            device = await startDevice(scene, credentials);
        }
        const to = { node, fabric: run.fabric ?? fabric };
        if (run.fabric) await announceIn(scene, run.fabric);
        scene.runs.push(await succeeds(scene, () => meet(scene, to, run.passcode ?? PASSCODE)));
    }
}

async function succeeds({ row, note }, attempt) {
    for (let tries = row.tries ?? 1; tries > 0; tries--) {
        try {
            await attempt();
            return true;
        } catch (error) {
            note(error.message);
        }
    }
    return false;
}

async function startDevice(scene, credentials) {
    const { row, logs, responderPort } = scene;
    const options = [
        ...(row.handshake === "case" ? ["--fabric", writeFabric(logs, "responder", credentials)] : []),
        ...(row.busy ? ["--busy", row.busy] : []),
        ...(row.forget ? ["--forget"] : []),
        ...(row.lossy ? ["--drop", oneInTen()] : []),
    ];
    const device = scene.start("device", ["--listen", `[${HOST}]:${responderPort}`, ...options]);
    await device.ready();
    return device;
}

/** connectedhomeip expects a node of its other fabric where our device is, which knows nothing of that fabric. */
async function announceIn({ chip, discovery, node, wire }, fabric) {
    const { compressedFabricId, nodeId } = await chip.ask("issue", { node, fabric });
    discovery.announce(compressedFabricId, nodeId, wire.port);
}

/** Sessions with our device, and reads in each. */
async function meet(scene, to, passcode) {
    const { chip, row, wire } = scene;
    for (let time = 0; time < (row.times ?? 1); time++) {
        if (time > 0) await chip.ask("expire", to);
        const pase = { host: HOST, port: wire.port, passcode };
        const session = await chip.ask(row.handshake, row.handshake === "pase" ? { ...to, ...pase } : to);
        if (session.local !== scene.theirs.at(-1)?.local) scene.theirs.push(session);
        const { answers, failed } = await chip.ask("read", { ...to, times: row.reads ?? 1 });
        scene.answers += answers;
        if (failed.length > 0) throw new Error(failed.join("\n"));
    }
}

/**
 * Which datagrams our device loses after the handshake: one in ten, the same ones in each run. None of its own is lost:
 * connectedhomeip acknowledges and drops an answer that comes again after 32 newer messages.
 */
function oneInTen() {
    const [HANDSHAKE, COUNT] = [4, 1000];
    let state = 1;
    const isLost = () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state < 2 ** 32 / 10;
    };
    return Array.from({ length: COUNT }, (_, n) => `rx:${HANDSHAKE + n}`).filter(isLost).join(",");
}
