// How deep the stack of a running device has been since its reset: QEMU's RAM is zero at first,
// and nothing but the stack writes above the variables.
//   stack.mjs MONITOR IMAGE SCRATCH
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { Elf } from "./elf.mjs";

const [monitor, image, scratch] = process.argv.slice(2);
const elf = new Elf(image);
const symbol = name => elf.symbols.find(symbol => symbol.name === name).value;
const [low, high] = [symbol("_stack_end"), symbol("_stack_start")];

await command(`pmemsave ${low} ${high - low} "${scratch}"`);
const octets = readFileSync(scratch);
const deepest = octets.findIndex(octet => octet !== 0);
// All zero: it has not run yet.
if (deepest >= 0) console.log(`STACK ${octets.length - deepest} of ${octets.length}`);

/** Runs a command of QEMU's monitor and waits until it prompts again. */
function command(line) {
    return new Promise((resolve, reject) => {
        let prompts = 0;
        const socket = connect(monitor).setEncoding("latin1").on("error", reject);
        socket.on("data", text => {
            prompts += text.split("(qemu) ").length - 1;
            if (prompts === 1) socket.write(`${line}\n`);
            if (prompts === 2) resolve(socket.destroy());
        });
    });
}
