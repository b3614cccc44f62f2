// matter.js as sender and receiver of group messages, by its own GroupSession; takes the options of our `controller`
// and `device` examples and prints their lines.
//
//   node peer-group.mjs receiver --listen ADDR:PORT --fabric FILE
//   node peer-group.mjs sender --peer ADDR:PORT --fabric FILE [--times N] [--privacy] [--counters FILE] [--linger MS]
//
// The receiver prints READY, MEMBER per group, HEARD per message, and DROPPED with the reason for each that is not
// heard. The sender prints SENT per message; after the last it lingers, in case it is asked something. Both only name
// the multicast addresses: the sender sends to the peer. ADDR is of IPv6, as matter.js sends to groups on no other
// socket.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MemoryStorageDriver } from "@matter/general";
import { PeerAddress } from "@matter/protocol";
import { GroupId, INTERACTION_PROTOCOL_ID, MATTER_EPOCH_OFFSET_US, NodeId, TlvInvokeRequest } from "@matter/types";
import { Groupcast } from "@matter/types/clusters/groupcast";
import { fabricConfig } from "./make-fabric.mjs";
import { hex, isMain, logToStderr, makeStack, parseAddress, parseArgs, say, SESSION_STORAGE, unhex } from "./stack.mjs";

const INVOKE_REQUEST = 8;
const ON_OFF_CLUSTER = 6;
const COMMANDS = [0, 1, 2]; // Off, On, Toggle
const COUNTER = "groupDataCounter";

const { FailedAuth, MessageReplay, NoAvailableKey } = Groupcast.GroupcastTestResult;
const REASONS = { [FailedAuth]: "not authentic", [MessageReplay]: "replay", [NoAvailableKey]: "no key" };

/** A stack with the key sets and groups of a fabric file. */
async function makeMember(args, role, options) {
    const file = JSON.parse(readFileSync(args.fabric, "utf8"));
    const stack = await makeStack({ ...options, fabrics: [fabricConfig(file, role)] });
    const [fabric] = [...stack.fabrics];
    for (const { keySetId, policy, epochKeys, startTimes } of file.groups) {
        const keySet = { groupKeySetId: keySetId, groupKeySecurityPolicy: policy };
        for (const slot of [0, 1, 2]) {
            const used = slot < epochKeys.length;
            keySet[`epochKey${slot}`] = used ? unhex(epochKeys[slot]) : null;
            // matter.js counts from 1970 inside
            keySet[`epochStartTime${slot}`] = used ? BigInt(startTimes[slot]) + MATTER_EPOCH_OFFSET_US : null;
        }
        await fabric.groups.setFromGroupKeySet(keySet);
    }
    fabric.groups.groupKeyIdMap = new Map(file.groups.map(({ groupId, keySetId }) => [GroupId(groupId), keySetId]));
    for (const { groupId, shared } of file.groups) {
        if (shared) fabric.groups.setGroupMulticastPolicy(GroupId(groupId), "ianaAddr");
    }
    return { ...stack, fabric, groups: file.groups.map(({ groupId }) => GroupId(groupId)) };
}

/** Returns what stops it. */
export async function receive(args) {
    const member = await makeMember(args, "responder", parseAddress(args.listen));
    const { sessions, exchanges, transport, fabric, groups } = member;
    for (const group of groups) say(`MEMBER group=${group} address=${fabric.groups.multicastAddressFor(group)}`);
    const drop = reason => say(`DROPPED a datagram: ${reason}`);
    sessions.onGroupMessage.on(({ result }) => drop(REASONS[result] ?? `result ${result}`));
    exchanges.addProtocolHandler({
        id: INTERACTION_PROTOCOL_ID,
        requiresSecureSession: true,
        async onNewExchange(exchange, message) {
            const { packetHeader, payloadHeader, payload } = message;
            try {
                // matter.js leaves it to the receiver of the message to ask whether its group has this key
                if (!exchange.session.subjectFor(message).hasValidMapping) return drop("not a member");
                TlvInvokeRequest.decode(payload);
                say(
                    `HEARD group=${packetHeader.destGroupId} keys=${exchange.session.keySetId} ` +
                        `source=${packetHeader.sourceNodeId.toString(16).padStart(16, "0")} ` +
                        `counter=${packetHeader.messageId} opcode=${payloadHeader.messageType} payload=${hex(payload)}`,
                );
            } finally {
                await exchange.close();
            }
        },
        async close() {},
    });
    say(`READY ${args.listen}`);
    return () => transport.close();
}

/** Returns the exit code. */
export async function send(args) {
    const peer = parseAddress(args.peer);
    const driver = MemoryStorageDriver.create();
    if (args.counters && existsSync(args.counters)) {
        driver.set(SESSION_STORAGE, COUNTER, Number(readFileSync(args.counters, "utf8")));
    }
    const { sessions, exchanges, transports, transport, fabric, groups } = await makeMember(args, "initiator", {
        host: "::1",
        driver,
    });
    // matter.js has stored a bound that is far ahead of what this run uses
    if (args.counters) writeFileSync(args.counters, String(driver.get(SESSION_STORAGE, COUNTER)));
    const addressOverride = { type: "udp", ip: peer.host, port: peer.port };

    async function command(groupId, commandId) {
        const nodeId = NodeId.fromGroupId(groupId);
        const address = PeerAddress({ fabricIndex: fabric.fabricIndex, nodeId });
        const session = await sessions.groupSessionForAddress(address, transports);
        if (args.privacy) Object.defineProperty(session, "usePrivacy", { value: true });
        const payload = TlvInvokeRequest.encode({
            suppressResponse: true,
            timedRequest: false,
            invokeRequests: [{ commandPath: { clusterId: ON_OFF_CLUSTER, commandId } }],
            interactionModelRevision: 12,
        });
        const exchange = exchanges.initiateExchangeForSession(session, INTERACTION_PROTOCOL_ID, { addressOverride });
        await exchange.send(INVOKE_REQUEST, payload);
        await exchange.close();
        say(`SENT group=${groupId} address=${session.multicastAddress} payload=${hex(payload)}`);
    }

    try {
        for (let time = 0; time < Number(args.times ?? 1); time++) {
            for (const group of groups) await command(group, COMMANDS[time % COMMANDS.length]);
        }
        await sleep(Number(args.linger ?? 0));
        return 0;
    } catch (error) {
        say(`ERROR ${error?.constructor?.name}: ${error?.message}`);
        return 1;
    } finally {
        await transport.close();
    }
}

if (isMain(import.meta)) {
    logToStderr();
    const args = parseArgs();
    if (args._[0] === "sender") process.exit(await send(args));
    await receive(args);
    process.on("SIGTERM", () => process.exit(0));
}
