// What a wire has carried, and which of it is to be lost.
import { classify } from "./datagram.mjs";

export class Recorder {
    #started = performance.now();
    #log;
    #lose;

    /** Every message in order: what classify() tells, and whether it was `lost`, or `repeated` by the wire. */
    record = [];

    /**
     * @param lose { from, kind, after?, nth? }: lose the first message of this kind, once; `after` only count those
     *     following a message of that kind, `nth` the n-th different message (told by its counter), not the first
     */
    constructor({ lose, log }) {
        this.#lose = lose;
        this.#log = log;
    }

    /** Returns whether this message is to be lost. */
    note(from, data, repeated = false) {
        const message = { ...classify(data, from), repeated };
        message.lost = this.#isToLose(message);
        this.record.push(message);
        const at = (performance.now() - this.#started).toFixed(1).padStart(8);
        this.#log(
            `${at} ms ${from.padEnd(9)} ${message.kind} counter=${message.counter} ${data.length} octets` +
                `${message.lost ? " LOST" : ""}${repeated ? " REPEATED" : ""} ${data.toString("hex")}\n`,
        );
        return message.lost;
    }

    #isToLose({ from, kind, counter }) {
        const rule = this.#lose;
        if (!rule || from !== rule.from || kind !== rule.kind || this.record.some(message => message.lost)) return false;
        const armedAt = rule.after ? this.record.findIndex(message => message.kind === rule.after) : 0;
        if (armedAt < 0) return false;
        const earlier = this.record.slice(armedAt).filter(message => message.from === from && message.kind === kind);
        const counters = new Set(earlier.map(message => message.counter));
        return !counters.has(counter) && counters.size + 1 === (rule.nth ?? 1);
    }

    /** Whether, after the loss, `from` sent a message of that kind which it had sent before: a retransmission. */
    repeatedAfterLoss({ from, kind }) {
        const lossAt = this.record.findIndex(message => message.lost);
        const same = message => message.from === from && message.kind === kind;
        const first = new Set(this.record.slice(0, lossAt + 1).filter(same).map(message => message.counter));
        return lossAt >= 0 && this.record.slice(lossAt + 1).some(message => same(message) && first.has(message.counter));
    }

    /** Whether anybody sent anything twice. */
    hasRepeats() {
        const ids = this.record.map(({ from, secured, counter }) => `${from} ${secured} ${counter}`);
        return new Set(ids).size < ids.length;
    }
}
