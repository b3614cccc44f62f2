// Runs one row and judges what was seen.
import { eventually } from "../matrix/program.mjs";
import { describe } from "../matrix/verdict.mjs";
import { REFUSALS } from "../matrix/datagram.mjs";
import { runController } from "./controller.mjs";
import { runDevice } from "./device.mjs";
import { runGroupController, runGroupDevice } from "./groups.mjs";
import { Scene, SETTLE_LIMIT } from "./scene.mjs";

/** @param places { chip, discovery, turns, examples, logs } */
export async function runRow(row, places) {
    const release = row.ours === "controller" ? await places.turns.take() : () => {};
    const scene = await Scene.open(row, { ...places, release });
    const started = performance.now();
    const took = () => performance.now() - started;
    let result;
    try {
        await runnerOf(row)(scene);
        result = { ms: took() };
        await settle(scene);
        Object.assign(result, judge(scene));
    } catch (error) {
        result = { ms: took(), want: "", got: `cannot run: ${error.message}`, pass: false };
    } finally {
        await scene.close();
        release();
    }
    return { row, logs: scene.logs, ...result };
}

function runnerOf({ ours, handshake }) {
    if (handshake === "group") return ours === "device" ? runGroupDevice : runGroupController;
    return ours === "device" ? runDevice : runController;
}

/** Our program may still have to print its line, or either side to repeat its message. */
function settle(scene) {
    const { wire } = scene;
    const { sessions, again } = scene.row.expect;
    const isSettled = () => scene.ours.length >= sessions.length && (!again || wire.repeatedAfterLoss(again));
    return eventually(isSettled, SETTLE_LIMIT);
}

function judge({ row, runs, answers, ours, theirs, wire }) {
    const { record } = wire;
    const { expect } = row;
    const observed = {
        runs,
        sessions: ours.map(({ kind }) => kind),
        reports: REFUSALS.filter(kind => record.some(datagram => datagram.kind === kind)),
        lost: record.find(({ lost }) => lost),
        again: expect.again && wire.repeatedAfterLoss(expect.again) ? expect.again : undefined,
        oversize: record.some(({ size }) => size > 1232),
    };
    const what = row.handshake === "group" ? "received" : "answered";
    const want = `${describe(expect)}; ${expect.answers ?? expect.sessions.length} ${what}`;
    const problems = row.ours === "device" ? disagreements(ours, theirs) : [];
    const got = [describe(observed), `${answers} ${what}`, ...problems, ...resumptions(ours, record)].join("; ");
    return { want, got, pass: want === got };
}

/** What our device and connectedhomeip do not agree on. As responder connectedhomeip tells nothing but its answers. */
function disagreements(ours, theirs) {
    if (ours.length !== theirs.length) return [`connectedhomeip has ${theirs.length} sessions`];
    return ours.flatMap((mine, n) => [
        ...(mine.peer === theirs[n].local ? [] : [`session ${n + 1}: id ${mine.peer} / ${theirs[n].local}`]),
        ...(mine.attestation === theirs[n].attestation ? [] : [`session ${n + 1}: other attestation challenge`]),
    ]);
}

/** The wire must have seen as many resumptions as our program tells of. */
function resumptions(ours, record) {
    const seen = new Set(record.filter(({ kind }) => kind === "Sigma2Resume").map(({ counter }) => counter)).size;
    const told = ours.filter(({ kind }) => kind === "case-resumed").length;
    return seen === told ? [] : [`${seen} times Sigma2Resume`];
}
