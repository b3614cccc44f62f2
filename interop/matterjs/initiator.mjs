// matter.js as initiator of PASE and CASE on the session layer alone; takes the options of our `controller` example.
//
//   node initiator.mjs pase|case --peer ADDR:PORT [--passcode N] [--fabric FILE] [--times N]
//        [--send echo|read|close] [--requests N] [--echo-size N] [--echo-protocol N] [--bare-headers] [--tcp]
//
// Exit code 0 when each of the N handshakes gave a session and its message the right answer. From the second CASE on
// matter.js offers resumption by itself. On Busy it waits as told and tries once more. If the connection is lost it
// connects again and repeats what it was about, once.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { CaseClient, PaseClient, SecureChannelProtocol } from "@matter/protocol";
import { INTERACTION_PROTOCOL_ID, NodeId, SECURE_CHANNEL_PROTOCOL_ID, TlvReadRequest } from "@matter/types";
import { Seconds } from "@matter/general";
import { fabricConfig } from "./make-fabric.mjs";
import {
    announceSessions,
    ECHO_PROTOCOLS,
    echoPayload,
    hex,
    isMain,
    logToStderr,
    makeStack,
    parseAddress,
    parseArgs,
    say,
    sayMessage,
} from "./stack.mjs";

const READ_REQUEST = 0x02;
const REPORT_DATA = 0x05;
const ECHO = 0x01;

/** Returns the exit code. */
export async function initiate(args) {
    const [handshake] = args._;
    const peer = parseAddress(args.peer);
    const fabricFile = args.fabric && JSON.parse(readFileSync(args.fabric, "utf8"));
    const tcp = !!args.tcp;
    const stack = await makeStack({
        tcp,
        host: peer.host.includes(":") ? "::1" : "127.0.0.1",
        fabrics: fabricFile ? [fabricConfig(fabricFile, "initiator")] : [],
    });
    announceSessions(stack.sessions, { bareHeaders: !!args["bare-headers"] });
    // Understands the peer's CloseSession and stray secure channel messages
    stack.exchanges.addProtocolHandler(new SecureChannelProtocol(stack.sessions, stack.fabrics));

    async function establish() {
        const channel = await stack.transport.openChannel({ type: tcp ? "tcp" : "udp", ip: peer.host, port: peer.port });
        const unsecured = stack.sessions.createUnsecuredSession({ channel, isInitiator: true });
        const exchange = stack.exchanges.initiateExchangeForSession(unsecured, SECURE_CHANNEL_PROTOCOL_ID);
        try {
            if (handshake === "pase") {
                const passcode = Number(args.passcode ?? 20202021);
                const parameters = stack.sessions.sessionParameters;
                return await new PaseClient(stack.sessions).pair(parameters, exchange, channel, passcode);
            }
            const [fabric] = [...stack.fabrics];
            const peerNodeId = NodeId(BigInt(`0x${fabricFile.nodes.responder.nodeId}`));
            return (await new CaseClient(stack.sessions).pair(exchange, fabric, peerNodeId)).session;
        } finally {
            await unsecured.detachChannel()?.release?.();
        }
    }

    async function establishUnlessBusy() {
        try {
            return await establish();
        } catch (error) {
            if (error.busyDelay === undefined) throw error;
            say(`BUSY wait=${error.busyDelay}`);
            await sleep(error.busyDelay);
            return establish();
        }
    }

    /** Where the connection is lost meanwhile, tries something else. */
    async function unlessLost(attempt, instead) {
        const { lost } = stack;
        try {
            return await attempt();
        } catch (error) {
            if (stack.lost === lost) throw error;
            say(`LOST ${error.message}`);
            return instead();
        }
    }

    /** One request, one answer; send() waits for the acknowledgement, close() acknowledges the answer. */
    async function ask(session, protocol, opcode, payload) {
        const exchange = stack.exchanges.initiateExchangeForSession(session, protocol);
        await exchange.send(opcode, payload, { expectedProcessingTime: Seconds(2) });
        const { payloadHeader, payload: answer } = await exchange.nextMessage({ timeout: Seconds(10) });
        sayMessage("ANSWER", protocol, payloadHeader.messageType, answer);
        await exchange.close();
        return { opcode: payloadHeader.messageType, payload: answer };
    }

    const messages = {
        async echo(session) {
            const payload = echoPayload(Number(args["echo-size"] ?? 32));
            const answer = await ask(session, Number(args["echo-protocol"] ?? ECHO_PROTOCOLS[0]), ECHO, payload);
            if (answer.opcode !== ECHO + 1 || hex(answer.payload) !== hex(payload)) throw new Error("not an echo");
        },
        async read(session) {
            const request = TlvReadRequest.encode({
                attributeRequests: [{ endpointId: 0, clusterId: 0x28, attributeId: 1 }], // BasicInformation.VendorName
                isFabricFiltered: false,
                interactionModelRevision: 12,
            });
            const answer = await ask(session, INTERACTION_PROTOCOL_ID, READ_REQUEST, request);
            if (answer.opcode !== REPORT_DATA) throw new Error("not a report");
        },
        close: session => session.initiateClose(),
    };

    const send = messages[args.send ?? "echo"];
    try {
        for (let run = 0; run < Number(args.times ?? 1); run++) {
            let session = await unlessLost(establishUnlessBusy, establishUnlessBusy);
            for (let request = 0; request < Number(args.requests ?? 1); request++) {
                await unlessLost(
                    () => send(session),
                    async () => send((session = await establishUnlessBusy())),
                );
            }
        }
        return 0;
    } catch (error) {
        say(`ERROR ${error?.constructor?.name}: ${error?.message}`);
        return 1;
    } finally {
        await stack.transport.close();
    }
}

if (isMain(import.meta)) {
    logToStderr();
    process.exit(await initiate(parseArgs()));
}
