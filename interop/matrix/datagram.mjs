// Tells what kind of message a datagram carries, as far as that shows without any key.

const OPCODES = {
    0x10: "Ack",
    0x20: "PBKDFParamRequest",
    0x21: "PBKDFParamResponse",
    0x22: "Pake1",
    0x23: "Pake2",
    0x24: "Pake3",
    0x30: "Sigma1",
    0x31: "Sigma2",
    0x32: "Sigma3",
    0x33: "Sigma2Resume",
};
const STATUS_REPORT = 0x40;
const REPORTS = {
    "0,0": "StatusReport", // the handshake succeeded
    "1,1": "NoSharedTrustRoots",
    "1,2": "InvalidParameter",
    "8,4": "Busy",
};
export const REFUSALS = ["NoSharedTrustRoots", "InvalidParameter", "Busy"];

const TYPE_MASK = 0x03;
const TYPE_GROUP = 0x01;
const SECURITY_CONTROL = 0x40;
const SECURITY_PRIVACY = 0x80;
const FLAG_SOURCE = 0x04;
const DESTINATION_SIZE = { 0: 0, 1: 8, 2: 2 };
const FLAG_ACK = 0x02;
const FLAG_VENDOR = 0x10;

const PROTOCOL_HEADER = 6;
const ACK_COUNTER = 4;
const MIC = 16;
const STATUS_PAYLOAD = 8;

/** @param from "initiator" | "responder" */
export function classify(data, from) {
    const flags = data[0];
    const sessionId = data.readUInt16LE(1);
    const security = data[3];
    const counter = data.readUInt32LE(4);
    const nodeIds = (flags & FLAG_SOURCE ? 8 : 0) + DESTINATION_SIZE[flags & 0x03];
    const body = data.subarray(8 + nodeIds);
    const secured = sessionId !== 0;
    if ((security & TYPE_MASK) === TYPE_GROUP) {
        const kind = security & SECURITY_CONTROL ? "GroupControl" : "Group";
        const hidden = (security & SECURITY_PRIVACY) !== 0;
        // What stands where the counter would is no counter in a hidden header
        return { from, kind, counter, sessionId, hidden, secured: true, size: data.length };
    }
    return {
        from,
        kind: secured ? securedKind(body, from) : unsecuredKind(body),
        counter,
        secured,
        hasNodeIds: nodeIds > 0,
        size: data.length,
    };
}

function unsecuredKind(body) {
    const [exchangeFlags, opcode] = body;
    if (opcode !== STATUS_REPORT) return OPCODES[opcode] ?? `opcode 0x${opcode.toString(16)}`;
    const payload = body.subarray(
        PROTOCOL_HEADER + (exchangeFlags & FLAG_VENDOR ? 2 : 0) + (exchangeFlags & FLAG_ACK ? ACK_COUNTER : 0),
    );
    const codes = `${payload.readUInt16LE(0)},${payload.readUInt16LE(6)}`;
    return REPORTS[codes] ?? `StatusReport(${codes})`;
}

/** The opcode is encrypted, but an ack and a CloseSession have lengths that no other message of the matrix has. */
function securedKind(body, from) {
    if (body.length === PROTOCOL_HEADER + ACK_COUNTER + MIC) return "EncryptedAck";
    if (body.length === PROTOCOL_HEADER + STATUS_PAYLOAD + MIC) return "CloseSession";
    return from === "initiator" ? "Request" : "Answer";
}
