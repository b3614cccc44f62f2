// Runs initiator.mjs, responder.mjs and peer-group.mjs one after the other in one process, since loading matter.js
// takes longer than most handshakes. Takes lines of JSON on stdin: { start: "initiator" | "responder" | "peer-group",
// argv: [...] } and { stop: true } for a responder or receiver; prints what the programs print, and EXIT with the code
// when one has ended.
import { createInterface } from "node:readline";
import { initiate } from "./initiator.mjs";
import { receive, send } from "./peer-group.mjs";
import { respond } from "./responder.mjs";
import { logToStderr, parseArgs, say } from "./stack.mjs";

logToStderr();
// A program that has ended may leave retransmissions behind, which find their socket closed
process.on("unhandledRejection", error => process.stderr.write(`after the end: ${error?.message}\n`));

let stopResponder;
const programs = {
    initiator: async args => say(`EXIT ${await initiate(args)}`),
    responder: async args => void (stopResponder = await respond(args)),
    "peer-group": async args => {
        if (args._[0] === "sender") return say(`EXIT ${await send(args)}`);
        stopResponder = await receive(args);
    },
};

createInterface({ input: process.stdin }).on("line", async line => {
    const command = JSON.parse(line);
    try {
        if (command.start) return await programs[command.start](parseArgs(command.argv));
        await stopResponder();
        say("EXIT 0");
    } catch (error) {
        say(`ERROR ${error?.message}`);
        say("EXIT 1");
    }
});
