// Checks the programs of README.md:
//   1. each is the code of the example that the comment before it names;
//   2. each task takes at most so many lines. Counted are lines as rustfmt lays them out, without
//      imports, blank lines, comments and lines that only print; of the first program all lines.
//   programs.mjs [--write]     --write copies the examples into README.md, and prints the counts
import { readFileSync, writeFileSync } from "node:fs";

const write = process.argv.includes("--write");

// From the first line that has one text to the first that has the other, both included; the whole
// program without them.
const TASKS = [
  { task: "PASE, both sides", program: "quickstart", from: "let mut rng", to: '"no session"', limit: 12 },
  { task: "a message there", program: "quickstart", from: "open_exchange", to: "drive(", limit: 3 },
  { task: "a message back", program: "quickstart", from: "lamp.send", to: "drive(", limit: 3 },
  { task: "the first program, all lines", program: "quickstart", all: true, limit: 40 },
  { task: "CASE with resumption", program: "quickstart_case", limit: 30 },
  { task: "UDP device", program: "udp_device", limit: 45 },
  { task: "UDP controller", program: "udp_controller", limit: 60 },
];

// The code of an example, without the comment at its head.
function codeOf(program) {
  const text = readFileSync(`examples/${program}.rs`, "utf8");
  return text.slice(text.indexOf("\nuse ") + 1);
}

function countedLines(code) {
  const text = code.replace(/^use [^;]*;\n/gm, "").replace(/^ *(println|writeln)!\([^;]*\)\??;\n/gm, "");
  return text.split("\n").filter((line) => line.trim() && !line.trim().startsWith("//"));
}

function linesOf({ program, from, to, all }) {
  if (all) return codeOf(program).trimEnd().split("\n").length;
  const lines = countedLines(codeOf(program));
  if (!from) return lines.length;
  const begin = lines.findIndex((line) => line.includes(from));
  const end = lines.findIndex((line, at) => at >= begin && line.includes(to));
  if (begin < 0 || end < 0) throw new Error(`examples/${program}.rs has no "${from}" .. "${to}"`);
  return end - begin + 1;
}

let failures = 0;
function fail(text) {
  console.error(`FAILED: ${text}`);
  failures++;
}

const shown = new Set();
const readme = readFileSync("README.md", "utf8");
const block = /(<!-- examples\/(\w+)\.rs -->\n```[^\n]*\n)([^]*?)(```\n)/g;
const updated = readme.replace(block, (all, head, program, code, tail) => {
  shown.add(program);
  if (code !== codeOf(program) && !write) fail(`README.md shows another examples/${program}.rs`);
  return head + codeOf(program) + tail;
});
if (write && updated !== readme) writeFileSync("README.md", updated);

for (const task of TASKS) {
  if (!shown.has(task.program)) fail(`README.md does not show examples/${task.program}.rs`);
  const lines = linesOf(task);
  if (write) console.log(`${task.task}: ${lines} of ${task.limit}`);
  if (lines > task.limit) fail(`${task.task}: ${lines} lines, more than ${task.limit}`);
}
process.exit(failures ? 1 : 0);
