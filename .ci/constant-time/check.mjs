// Runs the programs under valgrind and holds each report of memcheck against `allowed.txt`.
//   check.mjs PROGRAM...    fails at a report that is not allowed, and at a line that nothing needs
// A report is at the innermost line of source that is not of the standard library, nor of subtle,
// whose types carry a condition to whoever asks for it. What the compiler inlined does not count.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const here = import.meta.dirname;
const carriers = [/\/library\/(core|alloc|std)\//, /\/subtle-[0-9.]+\//];

// The statement's text at a line: a chain of calls is told from others by its beginning.
function text(path, line) {
  const lines = readFileSync(path, "utf8").split("\n");
  let first = line - 1;
  while (lines[first].trim().startsWith(".")) first -= 1;
  return lines.slice(first, line).map((part) => part.trim()).join("");
}

const element = (name, xml) => xml.match(new RegExp(`<${name}>([^]*?)</${name}>`))?.[1];
const elements = (name, xml) =>
  [...xml.matchAll(new RegExp(`<${name}>([^]*?)</${name}>`, "g"))].map((match) => match[1]);

// Where it was, as a line of `allowed.txt`.
function place(error) {
  const frames = elements("frame", element("stack", error))
    .filter((frame) => element("line", frame))
    .map((frame) => [join(element("dir", frame), element("file", frame)), element("line", frame)]);
  const at = frames.find(([path]) => !carriers.some((carrier) => carrier.test(path)));
  if (!at) return "code without lines";
  // A crate by its name without the version; here, the file within the package.
  const crate = at[0].match(/\/registry\/src\/[^/]+\/([^/]+?)-[0-9][^/]*\/(.*)$/);
  const file = crate ? `${crate[1]}/${crate[2]}` : at[0].slice(at[0].lastIndexOf("/src/") + 1);
  return `${file}: ${text(at[0], Number(at[1]))}`;
}

// What memcheck reports of a program: for each report its kind, its place and its text.
function reports(...command) {
  const run = spawnSync(
    "valgrind",
    ["--quiet", "--num-callers=40", "--xml=yes", "--xml-fd=3", ...command],
    { stdio: ["ignore", "pipe", "inherit", "pipe"], encoding: "utf8", maxBuffer: 1 << 28 },
  );
  if (run.status !== 0) throw new Error(`${command.join(" ")} ended with ${run.status}`);
  process.stdout.write(run.output[1]);
  return elements("error", run.output[3].replace(/&lt;/g, "<").replace(/&gt;/g, ">")
    .replace(/<fn>.*<\/fn>/g, "")).map((error) => ({ kind: element("kind", error), error }));
}

const allowed = new Map(
  readFileSync(join(here, "allowed.txt"), "utf8").split("\n")
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => [line, 0]),
);
let failed = false;
for (const program of process.argv.slice(2)) {
  console.log(`-- ${program.match(/[^/]+(?=\/release\/)/)}`);
  const found = reports(program);
  for (const { kind, error } of found) {
    const where = place(error);
    // No address is allowed.
    if (kind === "UninitCondition" && allowed.has(where)) allowed.set(where, allowed.get(where) + 1);
    else {
      failed = true;
      console.log(`${kind} at ${where}\n${error}`);
    }
  }
  console.log(`${found.length} reports`);
  // It can fail: a function that leaks is found, at its jump and at its index.
  const leaks = reports(program, "leak").map(({ kind, error }) => `${kind} at ${place(error)}`);
  const expected = [
    "UninitCondition at src/main.rs: if black_box(*a) != black_box(*b) {",
    "UninitValue at src/main.rs: black_box((equal, table[usize::from(a.as_bytes()[0])]));",
  ];
  if (leaks.join() !== expected.join()) {
    failed = true;
    console.log(`instead of the two leaks: ${leaks.join(", ")}`);
  }
}
for (const [line, count] of allowed) {
  if (count === 0) {
    failed = true;
    console.log(`no report at what is allowed: ${line}`);
  }
}
process.exitCode = failed ? 1 : 0;
