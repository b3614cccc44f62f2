// What a row runs in: our programs, the wire between them and connectedhomeip, and what happened so far.
import { createWriteStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Process } from "../matrix/program.mjs";
import { parseSessions } from "../matrix/sessions.mjs";
import { Wire } from "../matrix/wire.mjs";

/** The address of everybody; see namespace.sh. */
export const HOST = "fd77::1";
export const RUN_LIMIT = 90_000;
/** Long enough for a first retransmission. */
export const SETTLE_LIMIT = 5_000;

// Each row has nodes and ports of its own, so that no row finds sessions or records of another
let nodes = 1000;
let ports = 20_000;

export class Scene {
    #programs = [];
    #beside = [];
    #wireLog;
    #notes;
    /** Per attempt whether it succeeded. */
    runs = [];
    /** connectedhomeip's sessions, as far as it tells: `{ local, attestation }`. */
    theirs = [];
    /** How many reads were answered. */
    answers = 0;
    node = ++nodes;

    static async open(row, places) {
        const scene = new Scene();
        Object.assign(scene, { row, ...places, logs: join(places.logs, row.name.replace(/[^a-z0-9]+/gi, "-")) });
        mkdirSync(scene.logs, { recursive: true });
        scene.#notes = createWriteStream(join(scene.logs, "driver.log"));
        scene.#wireLog = createWriteStream(join(scene.logs, "wire.log"));
        scene.responderPort = row.ours === "device" ? ++ports : Number(places.chip.port);
        const { responderPort } = scene;
        const log = line => scene.#wireLog.write(line);
        scene.wire = await Wire.open({ host: HOST, responderPort, lose: row.lose, log });
        return scene;
    }

    get fabric() {
        return this.row.fabric ?? "icac";
    }

    /** Starts a program of ours; one that is `beside` the row has no part in what is judged. */
    start(name, options, { beside = false } = {}) {
        const count = this.#programs.length + this.#beside.length;
        const log = join(this.logs, `${name}-${count + 1}.log`);
        const program = new Process([join(this.examples, name), ...options.map(String)], log);
        (beside ? this.#beside : this.#programs).push(program);
        return program;
    }

    /** The sessions of our programs. */
    get ours() {
        return parseSessions(this.#programs.flatMap(program => program.lines));
    }

    /** Keeps what went wrong in the log of the driver. */
    note = text => this.#notes.write(`${text}\n`);

    async close() {
        await Promise.all([...this.#programs, ...this.#beside].map(program => program.stop()));
        this.wire.close();
        this.#wireLog.end();
        this.#notes.end();
    }
}
