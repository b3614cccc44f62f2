// A program of a row: started, read line by line, logged, stopped.
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const POLL = 20;

/** Asks until it holds or the time is over; returns whether it held. */
export async function eventually(holds, ms) {
    for (const end = performance.now() + ms; performance.now() < end; await sleep(POLL)) {
        if (holds()) return true;
    }
    return holds();
}

export class Program {
    #child;
    #text = "";
    exitCode;

    constructor([command, ...args], logFile) {
        const log = createWriteStream(logFile, { flags: "a" });
        log.write(`$ ${[command, ...args].join(" ")}\n`);
        this.#child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
        this.#child.stdout.setEncoding("utf8").on("data", text => {
            this.#text += text;
            log.write(text);
        });
        this.#child.stderr.setEncoding("utf8").on("data", text => log.write(text.replace(/^(?=.)/gm, "  | ")));
        this.#child.on("error", error => log.write(`cannot start: ${error.message}\n`));
        // "close" comes after the last output, also when the program could not be started
        this.#child.on("close", (code, signal) => {
            this.exitCode = code ?? signal;
            log.end(`exit ${this.exitCode}\n`);
        });
    }

    get lines() {
        return this.#text.split("\n");
    }

    get ended() {
        return this.exitCode !== undefined;
    }

    async ready(ms = 60_000) {
        await eventually(() => this.ended || this.lines.some(line => line.startsWith("READY")), ms);
        if (this.ended || !this.lines.some(line => line.startsWith("READY"))) throw new Error("responder is not ready");
    }

    /** Exit code, or "timeout" after which the program is stopped. */
    async end(ms) {
        if (await eventually(() => this.ended, ms)) return this.exitCode;
        await this.stop();
        return "timeout";
    }

    async stop() {
        if (this.ended) return;
        this.#child.kill("SIGTERM");
        if (await eventually(() => this.ended, 2000)) return;
        this.#child.kill("SIGKILL");
        await eventually(() => this.ended, 2000);
    }
}
