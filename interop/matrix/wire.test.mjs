import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { classify } from "./datagram.mjs";
import { TcpWire } from "./tcp-wire.mjs";
import { Wire } from "./wire.mjs";

const unsecured = (opcode, counter, { ack = false, payload = "" } = {}) => {
    const header = Buffer.alloc(22); // 8 + 8 (source node id) + 6 (protocol header)
    header[0] = 0x04;
    header.writeUInt32LE(counter, 4);
    header[16] = ack ? 0x07 : 0x05;
    header[17] = opcode;
    return Buffer.concat([header, Buffer.alloc(ack ? 4 : 0), Buffer.from(payload, "hex")]);
};
const group = (counter, security = 0x01) => {
    const datagram = Buffer.concat([Buffer.from([0x06, 0x34, 0x12, security]), Buffer.alloc(40)]);
    datagram.writeUInt32LE(counter, 4);
    return datagram;
};
const secured = size => Buffer.concat([Buffer.from("0034120001000000", "hex"), Buffer.alloc(size)]);

test("kinds", () => {
    assert.equal(classify(unsecured(0x30, 7), "initiator").kind, "Sigma1");
    assert.equal(classify(unsecured(0x30, 7), "initiator").counter, 7);
    assert.equal(classify(unsecured(0x10, 7, { ack: true }), "initiator").kind, "Ack");
    const report = payload => classify(unsecured(0x40, 7, { ack: true, payload }), "responder").kind;
    assert.equal(report("0000000000000000"), "StatusReport");
    assert.equal(report("0100000000000100"), "NoSharedTrustRoots");
    assert.equal(report("0100000000000200"), "InvalidParameter");
    assert.equal(report("0800000000000400f401"), "Busy");
    assert.equal(report("0100000000000500"), "StatusReport(1,5)");
    assert.equal(classify(secured(26), "initiator").kind, "EncryptedAck");
    assert.equal(classify(secured(30), "initiator").kind, "CloseSession");
    assert.equal(classify(secured(40), "initiator").kind, "Request");
    assert.equal(classify(secured(40), "responder").kind, "Answer");
    assert.equal(classify(secured(40), "responder").hasNodeIds, false);
    assert.equal(classify(unsecured(0x30, 7), "initiator").hasNodeIds, true);
    const { kind, counter, sessionId, hidden } = classify(group(9), "initiator");
    assert.deepEqual([kind, counter, sessionId, hidden], ["Group", 9, 0x1234, false]);
    assert.equal(classify(group(9, 0x81), "initiator").hidden, true);
    assert.equal(classify(group(9, 0x41), "initiator").kind, "GroupControl");
});

/** Sends the datagrams through a wire one by one and returns the counters that arrive. */
async function through(lose, datagrams, options = {}) {
    const host = "127.0.0.1";
    const [sender, receiver] = [createSocket("udp4"), createSocket("udp4")];
    const arrived = [];
    receiver.on("message", data => arrived.push(data.readUInt32LE(4)));
    receiver.bind(0, host);
    await once(receiver, "listening");
    const wire = await Wire.open({ host, responderPort: receiver.address().port, lose, ...options, log() {} });
    for (const data of datagrams) {
        sender.send(data, wire.port, host);
        await new Promise(resolve => setTimeout(resolve, 20));
    }
    for (const closable of [sender, receiver, wire]) closable.close();
    return { arrived, wire };
}
const sigma1 = counter => unsecured(0x30, counter);
const rule = { from: "initiator", kind: "Sigma1" };

test("the first of its kind is lost once, and its repetition noticed", async () => {
    const { arrived, wire } = await through(rule, [sigma1(1), sigma1(1), sigma1(2)]);
    assert.deepEqual(arrived, [1, 2]);
    assert.equal(wire.repeatedAfterLoss(rule), true);
    assert.equal(wire.hasRepeats(), true);
});

test("another message of the kind is no repetition", async () => {
    const { wire } = await through(rule, [sigma1(1), sigma1(2)]);
    assert.equal(wire.repeatedAfterLoss(rule), false);
    assert.equal(wire.hasRepeats(), false);
});

test("the n-th message is told by its counter", async () => {
    const { arrived } = await through({ ...rule, nth: 2 }, [sigma1(1), sigma1(1), sigma1(2), sigma1(2)]);
    assert.deepEqual(arrived, [1, 1, 2]);
});

test("nothing is lost before the message named by `after`", async () => {
    const { arrived } = await through({ ...rule, after: "Sigma3" }, [sigma1(1), unsecured(0x32, 2), sigma1(3)]);
    assert.deepEqual(arrived, [1, 2]);
});

test("a late group message is overtaken by the next one, and by nothing else", async () => {
    const datagrams = [group(1), group(2), sigma1(5), group(3), group(4)];
    const { arrived, wire } = await through(undefined, datagrams, { late: 2 });
    assert.deepEqual(arrived, [1, 5, 3, 2, 4]);
    assert.equal(wire.hasRepeats(), false);
});

test("group messages are repeated once, when so many have come, and nothing else is", async () => {
    const datagrams = [group(1), sigma1(5), group(2, 0x81), group(3)];
    const { arrived, wire } = await through(undefined, datagrams, { repeatAfter: 2 });
    assert.deepEqual(arrived, [1, 5, 2, 1, 2, 3]);
    assert.deepEqual(
        wire.record.map(({ repeated }) => repeated),
        [false, false, false, true, true, false],
    );
});

const frame = message => {
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32LE(message.length);
    return Buffer.concat([prefix, message]);
};

/** What arrives behind a TCP wire, until its connection ends. */
async function throughTcp(lose, pieces) {
    const host = "127.0.0.1";
    let arrived = Buffer.alloc(0);
    let ended;
    const end = new Promise(resolve => (ended = resolve));
    const server = createServer(socket => {
        socket.on("data", data => (arrived = Buffer.concat([arrived, data])));
        socket.on("close", ended);
    }).listen(0, host);
    await once(server, "listening");
    const wire = await TcpWire.open({ host, responderPort: server.address().port, lose, log() {} });
    const socket = connect({ host, port: wire.port, noDelay: true });
    socket.on("error", () => {});
    for (const piece of pieces) {
        socket.write(piece);
        await new Promise(resolve => setTimeout(resolve, 5));
    }
    socket.end();
    await end;
    wire.close();
    server.close();
    return { arrived, wire };
}

test("a TCP wire forwards messages that come in pieces, or several at once", async () => {
    const bytes = Buffer.concat([unsecured(0x30, 1), unsecured(0x32, 2), secured(60_000)].map(frame));
    const pieces = [bytes.subarray(0, 3), bytes.subarray(3, 70), bytes.subarray(70, 20_000), bytes.subarray(20_000)];
    const { arrived, wire } = await throughTcp(undefined, pieces);
    assert.deepEqual(arrived, bytes);
    assert.deepEqual(wire.record.map(({ kind }) => kind), ["Sigma1", "Sigma3", "Request"]);
    assert.equal(wire.record[2].size, 60_008);
    assert.equal(wire.connections, 1);
});

test("a TCP wire cuts the connection at the chosen message", async () => {
    const [first, second] = [unsecured(0x30, 1), unsecured(0x32, 2)].map(frame);
    const { arrived, wire } = await throughTcp({ from: "initiator", kind: "Sigma3" }, [first, second, first]);
    assert.deepEqual(arrived, first);
    assert.deepEqual(wire.record.map(({ lost }) => lost), [false, true]);
});
