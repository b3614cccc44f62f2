// The wire of a row over TCP: forwards every message of every connection and keeps a record. It loses the chosen
// message by cutting the connection there, as nothing else is ever lost over TCP.
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { Recorder } from "./recorder.mjs";

const PREFIX = 4;

export class TcpWire extends Recorder {
    #server;
    #sockets = new Set();

    /** How many connections the initiator has opened. */
    connections = 0;

    static async open({ host, responderPort, lose, log }) {
        const wire = new TcpWire({ lose, log });
        wire.#server = createServer({ noDelay: true }, initiator => {
            wire.connections++;
            const responder = connect({ host, port: responderPort, noDelay: true });
            for (const socket of [initiator, responder]) {
                wire.#sockets.add(socket);
                socket.on("error", () => {});
            }
            wire.#forward("initiator", initiator, responder, responder);
            wire.#forward("responder", responder, initiator, responder);
        });
        wire.#server.listen(0, host);
        await once(wire.#server, "listening");
        return wire;
    }

    get port() {
        return this.#server.address().port;
    }

    /** Reads messages of one socket, whole, and writes each to the other one. */
    #forward(from, source, target, responder) {
        let unread = Buffer.alloc(0);
        source.on("data", data => {
            unread = Buffer.concat([unread, data]);
            for (let end; (end = frameEnd(unread)) !== undefined && !source.destroyed; unread = unread.subarray(end)) {
                if (this.note(from, unread.subarray(PREFIX, end))) return this.#cut(source, target, responder);
                target.write(unread.subarray(0, end));
            }
        });
        source.on("end", () => target.end());
        source.on("close", () => this.#sockets.delete(source));
    }

    /** The responder learns of it first: it shall not be asked for a new session before. */
    #cut(source, target, responder) {
        const [first, then] = responder === source ? [source, target] : [target, source];
        first.once("close", () => then.destroy());
        // After what was forwarded before.
        first.destroySoon();
    }

    close() {
        this.#server.close();
        for (const socket of this.#sockets) socket.destroy();
    }
}

/** Where the first message ends, if all of it is there. */
function frameEnd(bytes) {
    if (bytes.length < PREFIX) return undefined;
    const end = PREFIX + bytes.readUInt32LE(0);
    return bytes.length < end ? undefined : end;
}
