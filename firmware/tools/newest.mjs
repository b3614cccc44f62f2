// Compares the device of Cargo.lock with the one of the newest dependencies.
//   newest.mjs IMAGE STEPS [IMAGE STEPS]
// With one device the other has the same dependencies. Fails if they differ by more than 3 %.
import { Elf } from "./elf.mjs";
import { readSteps } from "./steps.mjs";

const TOLERANCE = 0.03;

const [lock, newest = lock] = [process.argv.slice(2, 4), process.argv.slice(4, 6)]
    .filter(([image]) => image)
    .map(([image, steps]) => ({
        flash: new Elf(image).flash,
        "CASE, instructions": readSteps(steps).get("CASE with ICAC").instructions,
    }));
let differ = false;
for (const [name, before] of Object.entries(lock)) {
    const now = newest[name];
    const share = (now - before) / before;
    differ ||= Math.abs(share) > TOLERANCE;
    const number = value => value.toLocaleString("en-US");
    const percent = `${share < 0 ? "-" : "+"}${Math.abs(share * 100).toFixed(1)} %`;
    console.log(`NEWEST ${name}: ${number(now)}, with Cargo.lock ${number(before)} (${percent})`);
}
if (differ) console.error("a new project gets another device: look at what its dependencies have changed");
process.exit(differ ? 1 : 0);
