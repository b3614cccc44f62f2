// A program of a row: started, read line by line, logged, stopped. Either a process of its own, or one that a process of
// matter.js runs among others (see ../matterjs/host.mjs).
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const POLL = 20;
// Loading matter.js takes two seconds of an idle processor, and the matrix starts several at once
const START_LIMIT = 60_000;

/** Asks until it holds or the time is over; returns whether it held. */
export async function eventually(holds, ms) {
    for (const end = performance.now() + ms; performance.now() < end; await sleep(POLL)) {
        if (holds()) return true;
    }
    return holds();
}

/** Calls back with what a child prints, and when it has ended. */
function start([command, ...args], { out, err, ended }) {
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    child.stdin.on("error", () => {});
    child.stdout.setEncoding("utf8").on("data", out);
    child.stderr.setEncoding("utf8").on("data", err);
    child.on("error", error => err(`cannot start: ${error.message}\n`));
    // "close" comes after the last output, also when the program could not be started
    child.on("close", (code, signal) => ended(code ?? signal));
    return child;
}

class Program {
    #text = "";
    #log;
    exitCode;

    constructor(command, logFile) {
        this.#log = createWriteStream(logFile, { flags: "a" });
        this.#log.write(`$ ${command.join(" ")}\n`);
    }

    out(text) {
        this.#text += text;
        this.#log.write(text);
    }

    err(text) {
        this.#log.write(text.replace(/^(?=.)/gm, "  | "));
    }

    finish(code) {
        this.exitCode = code;
        this.#log.end(`exit ${code}\n`);
    }

    get lines() {
        return this.#text.split("\n");
    }

    get ended() {
        return this.exitCode !== undefined;
    }

    async ready() {
        const isReady = () => this.lines.some(line => line.startsWith("READY"));
        await eventually(() => this.ended || isReady(), START_LIMIT);
        if (this.ended || !isReady()) throw new Error("responder is not ready");
    }

    /** Exit code, or "timeout" after which the program is stopped. */
    async end(ms) {
        if (await eventually(() => this.ended, ms)) return this.exitCode;
        await this.stop();
        return "timeout";
    }

    async stop() {
        if (this.ended) return;
        this.ask();
        if (await eventually(() => this.ended, 2000)) return;
        this.kill();
        await eventually(() => this.ended, 2000);
    }
}

/** A process of its own. */
export class Process extends Program {
    #child;

    constructor(command, logFile) {
        super(command, logFile);
        this.#child = start(command, {
            out: text => this.out(text),
            err: text => this.err(text),
            ended: code => this.finish(code),
        });
    }

    ask() {
        this.#child.kill("SIGTERM");
    }

    kill() {
        this.#child.kill("SIGKILL");
    }
}

/** A process that runs matter.js's session layer programs, one at a time. */
export class Host {
    #script;
    #child;
    #program;
    #partial = "";

    constructor(script) {
        this.#script = script;
    }

    /** Whether a host can run this command. */
    static runs = ([, script]) => ["initiator.mjs", "responder.mjs", "peer-group.mjs"].includes(basename(script));

    run(command, logFile) {
        this.#child ??= start([process.execPath, this.#script], {
            out: text => this.#hear(text),
            err: text => this.#program?.err(text),
            ended: code => {
                this.#child = undefined;
                this.#end(code);
            },
        });
        const [, script, ...argv] = command;
        this.#program = new Hosted(command, logFile, this);
        this.send({ start: basename(script, ".mjs"), argv });
        return this.#program;
    }

    #hear(text) {
        const lines = (this.#partial + text).split("\n");
        this.#partial = lines.pop();
        for (const line of lines) {
            const exit = /^EXIT (\d+)$/.exec(line);
            if (exit) this.#end(Number(exit[1]));
            else this.#program?.out(`${line}\n`);
        }
    }

    #end(code) {
        this.#program?.finish(code);
        this.#program = undefined;
    }

    send(message) {
        this.#child?.stdin.write(`${JSON.stringify(message)}\n`);
    }

    kill() {
        this.#child?.kill("SIGKILL");
    }
}

class Hosted extends Program {
    #host;
    #waits;

    constructor(command, logFile, host) {
        super(command, logFile);
        this.#host = host;
        this.#waits = basename(command[1]) === "responder.mjs" || command[2] === "receiver";
    }

    /** Only who waits for others can be asked: an initiator that does not end by itself is stuck. */
    ask() {
        if (this.#waits) this.#host.send({ stop: true });
        else this.kill();
    }

    kill() {
        this.#host.kill();
    }
}
