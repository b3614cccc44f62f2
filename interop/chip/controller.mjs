// connectedhomeip as responder: our controller establishes sessions with its CASE server and reads.
import { join } from "node:path";
import { eventually } from "../matrix/program.mjs";
import { writeFabric } from "./fabric.mjs";
import { HOST, RUN_LIMIT, SETTLE_LIMIT } from "./scene.mjs";

export async function runController(scene) {
    const { chip, row, wire, logs, node, fabric } = scene;
    const credentials = await chip.ask("issue", { node, fabric });
    const file = writeFabric(logs, "initiator", credentials);
    const holder = row.held && (await holdHandshake(scene, file));
    for (const run of row.runs) {
        const own = run.fabric ? await newFabric(scene) : file;
        const options = ["--times", row.times ?? 1, ...(row.announceTcp ? ["--announce-tcp"] : [])];
        const controller = connect(scene, own, wire.port, { options });
        if (holder) await letOthersIn(scene, controller, holder);
        if (row.renewed) await renewRecord(scene, file);
        const code = await controller.end(RUN_LIMIT);
        scene.runs.push(code === 0 ? true : code === 1 ? false : `exit ${code}`);
        scene.answers += controller.lines.filter(line => line.startsWith("REPORT ")).length;
    }
}

function connect(scene, file, port, { options = [], beside } = {}) {
    const peer = ["--peer", `[${HOST}]:${port}`, "--fabric", file, "--send", "read"];
    return scene.start("controller", ["case", ...peer, ...options], { beside });
}

/** A fabric that connectedhomeip does not know. */
async function newFabric(scene) {
    const file = join(scene.logs, "new-fabric.json");
    await scene.start("controller", ["new-fabric", file], { beside: true }).end(RUN_LIMIT);
    return file;
}

/** A controller whose handshake takes long: it loses the first three datagrams that it receives. */
async function holdHandshake(scene, file) {
    const { chip } = scene;
    const sent = () => chip.lines.filter(line => line.includes("Sent Sigma2 msg")).length;
    const before = sent();
    const holder = connect(scene, file, chip.port, { options: ["--drop", "rx:1,rx:2,rx:3"], beside: true });
    if (!(await eventually(() => sent() > before, SETTLE_LIMIT))) throw new Error("no handshake is held");
    return holder;
}

/** While our controller waits as it was told, connectedhomeip is free for other rows. */
async function letOthersIn({ release }, controller, holder) {
    await eventually(() => controller.ended || controller.lines.some(line => line.startsWith("BUSY")), SETTLE_LIMIT);
    await holder.end(RUN_LIMIT);
    release();
}

/** The second Sigma1 is lost once. Before it is sent again, a new session gives connectedhomeip a new record. */
async function renewRecord(scene, file) {
    const { chip, wire } = scene;
    const isLost = () => wire.record.some(({ lost }) => lost);
    if (!(await eventually(isLost, SETTLE_LIMIT))) throw new Error("Sigma1 is not lost");
    await connect(scene, file, chip.port, { beside: true }).end(RUN_LIMIT);
}
