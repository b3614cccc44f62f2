// matter.js as responder of PASE and CASE on the session layer alone; takes the options of our `device` example.
//
//   node responder.mjs --listen ADDR:PORT [--passcode N] [--fabric FILE] [--busy N] [--forget] [--bare-headers] [--tcp]
//                     [--quiet]
//
// Prints READY, a SESSION line per session, and MESSAGE per request it serves:
//   echo protocols      payload back with opcode + 1
//   InteractionModel    ReadRequest -> empty ReportData, anything else -> StatusResponse(Success)
// With --quiet it prints READY and SESSION alone, and matter.js logs nothing: for measuring.
import { readFileSync } from "node:fs";
import { Bytes, Millis } from "@matter/general";
import { PaseServer, SecureChannelMessenger, SecureChannelProtocol } from "@matter/protocol";
import { INTERACTION_PROTOCOL_ID, SecureMessageType } from "@matter/types";
import { fabricConfig } from "./make-fabric.mjs";
import { announceSessions, ECHO_PROTOCOLS, isMain, logToStderr, makeStack, parseAddress, parseArgs, say, sayMessage } from "./stack.mjs";

const READ_REQUEST = 0x02;
const STATUS_RESPONSE = 0x01;
const REPORT_DATA = 0x05;
const SUCCESS = Bytes.fromHex("1524000024ff0c18"); // StatusResponse { 0: Success, 255: revision 12 }
const EMPTY_REPORT = Bytes.fromHex("15290424ff0c18"); // ReportData { 4: SuppressResponse, 255: revision 12 }

/** Returns what stops it. */
export async function respond(args) {
    const stack = await makeStack({
        tcp: !!args.tcp,
        ...parseAddress(args.listen),
        fabrics: args.fabric ? [fabricConfig(JSON.parse(readFileSync(args.fabric, "utf8")), "responder")] : [],
    });
    announceSessions(stack.sessions, { bareHeaders: !!args["bare-headers"] });
    if (args.forget) stack.sessions.findResumptionRecordById = () => undefined;

    let busyLeft = Number(args.busy ?? 0);

    class SecureChannel extends SecureChannelProtocol {
        async onNewExchange(exchange, message) {
            const { messageType } = message.payloadHeader;
            if (messageType === SecureMessageType.Sigma1 && busyLeft > 0) {
                busyLeft--;
                const messenger = new SecureChannelMessenger(exchange);
                await messenger.sendBusy(Millis(500));
                await messenger.close();
                return;
            }
            await super.onNewExchange(exchange, message);
            // 0.17.9 keeps this exchange, and with it the session, open after a peer's CloseSession
            if (messageType === SecureMessageType.StatusReport) await exchange.close();
        }
    }
    const secureChannel = new SecureChannel(stack.sessions, stack.fabrics);
    secureChannel.setPaseCommissioner(
        await PaseServer.fromPin(stack.sessions, Number(args.passcode ?? 20202021), {
            iterations: 1000,
            salt: stack.crypto.randomBytes(32),
        }),
    );
    stack.exchanges.addProtocolHandler(secureChannel);

    function serve(protocol, answer) {
        stack.exchanges.addProtocolHandler({
            id: protocol,
            requiresSecureSession: true,
            async onNewExchange(exchange, { payload, payloadHeader }) {
                if (!args.quiet) sayMessage("MESSAGE", protocol, payloadHeader.messageType, payload);
                await exchange.nextMessage(); // take the request off the queue
                await exchange.send(...answer(payloadHeader.messageType, payload));
                await exchange.close();
            },
            async close() {},
        });
    }
    for (const protocol of ECHO_PROTOCOLS) {
        serve(protocol, (opcode, payload) => [opcode + 1, payload]);
    }
    serve(INTERACTION_PROTOCOL_ID, opcode =>
        opcode === READ_REQUEST ? [REPORT_DATA, EMPTY_REPORT] : [STATUS_RESPONSE, SUCCESS],
    );

    say(`READY ${args.listen}`);
    return () => stack.transport.close();
}

if (isMain(import.meta)) {
    const args = parseArgs();
    logToStderr(args.quiet ? "fatal" : "debug");
    await respond(args);
    process.on("SIGTERM", () => process.exit(0));
}
