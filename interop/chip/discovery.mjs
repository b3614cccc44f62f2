// Answers connectedhomeip's questions where the nodes of its fabrics are: operational discovery over multicast DNS.
import { createSocket } from "node:dgram";
import { once } from "node:events";

const [GROUP, PORT] = ["ff02::fb", 5353];
const [PTR, TXT, AAAA, SRV] = [12, 16, 28, 33];
const IS_RESPONSE = 0x8400;
const CLASS_IN = 1;
const FLUSH = 0x8000;
const LIFETIME = 120;
const SERVICE = "_matter._tcp.local";

export class Discovery {
    #socket = createSocket({ type: "udp6", reuseAddr: true, ipv6Only: true });
    #address;
    #interface;
    #nodes = new Map();

    /** @param address of all nodes; @param network the name of the interface that carries the multicast */
    static async open(address, network) {
        const discovery = new Discovery();
        discovery.#address = address;
        discovery.#interface = network;
        const socket = discovery.#socket;
        socket.on("message", question => discovery.#answer(question));
        socket.bind(PORT, "::");
        await once(socket, "listening");
        socket.addMembership(GROUP, `::%${network}`);
        socket.setMulticastInterface(`::%${network}`);
        return discovery;
    }

    /** From now on this node is found at this port; both ids in hexadecimal. */
    announce(compressedFabricId, nodeId, port) {
        this.#nodes.set(`${compressedFabricId}-${nodeId}`.toUpperCase(), port);
    }

    #answer(question) {
        if (question.readUInt16BE(2) & IS_RESPONSE) return;
        const asked = question.toString("latin1").toUpperCase();
        for (const [name, port] of this.#nodes) {
            if (asked.includes(name)) this.#socket.send(this.#records(name, port), PORT, `${GROUP}%${this.#interface}`);
        }
    }

    #records(name, port) {
        const instance = `${name}.${SERVICE}`;
        // Each node has a host name of its own, as its port tells it apart.
        const host = `${port.toString(16).padStart(12, "0").toUpperCase()}.local`;
        const target = Buffer.concat([uint16(0), uint16(0), uint16(port), labels(host)]);
        const records = [
            record(SERVICE, PTR, CLASS_IN, labels(instance)),
            record(instance, SRV, CLASS_IN | FLUSH, target),
            record(instance, TXT, CLASS_IN | FLUSH, Buffer.concat(["SII=500", "SAI=300", "T=0"].map(text))),
            record(host, AAAA, CLASS_IN | FLUSH, ipv6(this.#address)),
        ];
        const header = [0, IS_RESPONSE, 0, records.length, 0, 0].map(uint16);
        return Buffer.concat([...header, ...records]);
    }

    close() {
        this.#socket.close();
    }
}

function record(name, type, kind, data) {
    const lifetime = Buffer.alloc(4);
    lifetime.writeUInt32BE(LIFETIME);
    return Buffer.concat([labels(name), uint16(type), uint16(kind), lifetime, uint16(data.length), data]);
}

function uint16(value) {
    const octets = Buffer.alloc(2);
    octets.writeUInt16BE(value);
    return octets;
}

const text = words => Buffer.from(`${String.fromCharCode(words.length)}${words}`, "latin1");
const labels = name => Buffer.concat([...name.split(".").map(text), Buffer.of(0)]);

/** "fd77::1" to 16 octets. */
function ipv6(address) {
    const [head, tail = []] = address.split("::").map(half => half.split(":").filter(Boolean));
    const zeros = Array(8 - head.length - tail.length).fill("0");
    return Buffer.concat([...head, ...zeros, ...tail].map(group => uint16(parseInt(group, 16))));
}
