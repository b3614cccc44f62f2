// The wire between the two programs of a row: forwards every datagram, loses the chosen one, and keeps a record.
// Standing in the middle it sees what was really sent, and can lose a message by its kind whoever sent it.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { classify } from "./datagram.mjs";
import { Recorder } from "./recorder.mjs";

export class Wire extends Recorder {
    #listening;
    #upstreams = new Map();
    #late;
    #repeatAfter;
    #groupMessages = [];

    /**
     * @param lose         see Recorder
     * @param late         which group message, counted from 1, is overtaken by the next
     * @param repeatAfter  once so many group messages came, all of them are sent again
     */
    static async open({ host, responderPort, lose, late, repeatAfter, log }) {
        const wire = new Wire({ lose, log });
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
        if (!this.note(from, data, repeated)) send();
    }

    #forwardToGroup(data, send) {
        const forward = (octets, repeated) => this.#forward("initiator", octets, () => send(octets), repeated);
        const count = this.#groupMessages.push(data);
        if (count !== this.#late) forward(data);
        if (count === this.#late + 1) forward(this.#groupMessages[this.#late - 1]);
        if (count === this.#repeatAfter) for (const again of this.#groupMessages) forward(again, true);
    }

    close() {
        this.#listening.close();
        for (const upstream of this.#upstreams.values()) upstream.close();
    }
}
