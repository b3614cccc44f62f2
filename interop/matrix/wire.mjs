// The wire between the two programs of a row: forwards every datagram, loses the chosen one, and keeps a record.
// Standing in the middle it sees what was really sent, and can lose a message by its kind whoever sent it.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { classify } from "./datagram.mjs";

export class Wire {
    #listening;
    #upstreams = new Map();
    #started = performance.now();
    #log;
    #lose;
    #late;
    #repeatAfter;
    #groupMessages = [];

    /** Every datagram in order: what classify() tells, and whether it was `lost`, or `repeated` by the wire. */
    record = [];

    /**
     * @param lose { from, kind, after?, nth? }: lose the first datagram of this kind, once; `after` only count those
     *     following a message of that kind, `nth` the n-th different message (told by its counter), not the first
     * @param late         which group message, counted from 1, is overtaken by the next
     * @param repeatAfter  once so many group messages came, all of them are sent again
     */
    static async open({ host, responderPort, lose, late, repeatAfter, log }) {
        const wire = new Wire();
        wire.#log = log;
        wire.#lose = lose;
        wire.#late = late;
        wire.#repeatAfter = repeatAfter;
        const type = host.includes(":") ? "udp6" : "udp4";
        wire.#listening = createSocket(type, (data, { address, port }) => {
            const upstream = wire.#upstreamFor(type, host, address, port);
            const send = octets => upstream.send(octets, responderPort, host);
            if (classify(data, "initiator").kind === "Group") wire.#forwardToGroup(data, send);
            else wire.#forward("initiator", data, () => send(data));
        });
        wire.#listening.bind(0, host);
        await once(wire.#listening, "listening");
        return wire;
    }

    get port() {
        return this.#listening.address().port;
    }

    /** Each initiator gets its own socket toward the responder, so that the responder can tell them apart. */
    #upstreamFor(type, host, address, port) {
        const known = this.#upstreams.get(port);
        if (known) return known;
        const upstream = createSocket(type, data =>
            this.#forward("responder", data, () => this.#listening.send(data, port, address)),
        );
        upstream.bind(0, host);
        this.#upstreams.set(port, upstream);
        return upstream;
    }

    #forward(from, data, send, repeated = false) {
        const datagram = { ...classify(data, from), repeated };
        datagram.lost = this.#isToLose(datagram);
        this.record.push(datagram);
        const at = (performance.now() - this.#started).toFixed(1).padStart(8);
        this.#log(
            `${at} ms ${from.padEnd(9)} ${datagram.kind} counter=${datagram.counter} ${data.length} octets` +
                `${datagram.lost ? " LOST" : ""}${repeated ? " REPEATED" : ""} ${data.toString("hex")}\n`,
        );
        if (!datagram.lost) send();
    }

    #forwardToGroup(data, send) {
        const forward = (octets, repeated) => this.#forward("initiator", octets, () => send(octets), repeated);
        const count = this.#groupMessages.push(data);
        if (count !== this.#late) forward(data);
        if (count === this.#late + 1) forward(this.#groupMessages[this.#late - 1]);
        if (count === this.#repeatAfter) for (const again of this.#groupMessages) forward(again, true);
    }

    #isToLose({ from, kind, counter }) {
        const rule = this.#lose;
        if (!rule || from !== rule.from || kind !== rule.kind || this.record.some(datagram => datagram.lost)) return false;
        const armedAt = rule.after ? this.record.findIndex(datagram => datagram.kind === rule.after) : 0;
        if (armedAt < 0) return false;
        const earlier = this.record.slice(armedAt).filter(datagram => datagram.from === from && datagram.kind === kind);
        const counters = new Set(earlier.map(datagram => datagram.counter));
        return !counters.has(counter) && counters.size + 1 === (rule.nth ?? 1);
    }

    /** Whether, after the loss, `from` sent a message of that kind which it had sent before: a retransmission. */
    repeatedAfterLoss({ from, kind }) {
        const lossAt = this.record.findIndex(datagram => datagram.lost);
        const same = datagram => datagram.from === from && datagram.kind === kind;
        const first = new Set(this.record.slice(0, lossAt + 1).filter(same).map(datagram => datagram.counter));
        return lossAt >= 0 && this.record.slice(lossAt + 1).some(datagram => same(datagram) && first.has(datagram.counter));
    }

    /** Whether anybody sent anything twice. */
    hasRepeats() {
        const ids = this.record.map(({ from, secured, counter }) => `${from} ${secured} ${counter}`);
        return new Set(ids).size < ids.length;
    }

    close() {
        this.#listening.close();
        for (const upstream of this.#upstreams.values()) upstream.close();
    }
}
