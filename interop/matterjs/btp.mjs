// matter.js's BtpSessionHandler on standard input and output, a line each:
//   in     packet HEX    a value that GATT carries to it
//          send HEX      a message that it is to send
//   out    ready         it runs
//          packet HEX    a value that it gives to GATT, which confirms it at once
//          message HEX   a message that it has put together
//          closed        it has ended the session
//   btp.mjs central|peripheral SEGMENT WINDOW
// `tests/btp/live.rs` drives it.
import { createInterface } from "node:readline";
import { Bytes, Logger, LogLevel } from "@matter/general";
import { BtpCodec, BtpSessionHandler } from "@matter/protocol";

Logger.level = LogLevel.FATAL;
const [role, segment, window] = process.argv.slice(2);
const say = (...words) => process.stdout.write(`${words.join(" ")}\n`);
const hex = bytes => Bytes.toHex(bytes).toLowerCase();

const callbacks = [
    async value => say("packet", hex(value)),
    async () => say("closed"),
    async message => say("message", hex(message)),
];
say("ready");
if (role === "central") {
    const request = { versions: [4], attMtu: Number(segment), clientWindowSize: Number(window) };
    say("packet", hex(BtpCodec.encodeBtpHandshakeRequest(request)));
}

let session;
async function handle(line) {
    const [word, text] = line.split(" ");
    const bytes = Bytes.of(Bytes.fromHex(text));
    if (word === "send") await session.sendMatterMessage(bytes);
    else if (session !== undefined) await session.handleIncomingBleData(bytes);
    else if (role === "central") session = await BtpSessionHandler.createAsCentral(bytes, ...callbacks);
    else session = await BtpSessionHandler.createFromHandshakeRequest(Number(segment), bytes, ...callbacks);
}

let before = Promise.resolve();
createInterface({ input: process.stdin })
    .on("line", line => (before = before.then(() => handle(line)).catch(error => say("failed", error.message))))
    .on("close", () => before.then(() => process.exit(0)));
