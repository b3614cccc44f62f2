// connectedhomeip as the driver sees it: a process that is asked and answers by lines of JSON, see peer.py.
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { eventually } from "../matrix/program.mjs";

const SCRIPT = fileURLToPath(new URL("peer.py", import.meta.url));
const START_LIMIT = 90_000;

export class Peer {
    #child;
    #log;
    #waiting = new Map();
    #asked = 0;
    #ready = false;
    #ended = false;
    #port;
    /** Lines of the stack's log. */
    lines = [];

    static async start(python, directory) {
        const peer = new Peer(python, directory);
        await eventually(() => peer.#ready || peer.#ended, START_LIMIT);
        if (!peer.#ready || !peer.#port) throw new Error(`connectedhomeip is not ready: ${peer.lines.at(-1)}`);
        return peer;
    }

    constructor(python, directory) {
        this.#log = createWriteStream(join(directory, "chip.log"));
        this.#child = spawn(python, [SCRIPT, directory], { stdio: ["pipe", "pipe", "pipe"] });
        createInterface({ input: this.#child.stdout }).on("line", line => this.#onAnswer(JSON.parse(line)));
        createInterface({ input: this.#child.stderr }).on("line", line => this.#onLog(line));
        this.#child.stdin.on("error", () => {});
        this.#child.on("error", error => this.#onLog(error.message));
        this.#child.on("close", () => {
            this.#ended = true;
            for (const { reject } of this.#waiting.values()) reject(new Error("connectedhomeip has ended"));
        });
    }

    /** The port of its CASE server over IPv6. */
    get port() {
        return this.#port;
    }

    /** Resolves to what peer.py answers; rejects with its error. */
    ask(what, options = {}) {
        const id = ++this.#asked;
        return new Promise((resolve, reject) => {
            this.#waiting.set(id, { resolve, reject });
            this.#child.stdin.write(`${JSON.stringify({ id, do: what, ...options })}\n`);
        });
    }

    #onAnswer({ ready, id, ok, error }) {
        if (ready) this.#ready = true;
        const waiting = this.#waiting.get(id);
        this.#waiting.delete(id);
        if (error === undefined) waiting?.resolve(ok);
        else waiting?.reject(new Error(error));
    }

    #onLog(line) {
        this.#log.write(`${line}\n`);
        this.lines.push(line);
        // IPv6 is first
        this.#port ??= /UDP::Init bound to port=(\d+)/.exec(line)?.[1];
    }

    stop() {
        this.#child.kill("SIGKILL");
        this.#log.end();
    }
}
