// Checks the names in backticks of documents that say which test shows what:
//   1. a path is that of a file or folder of the repository, or a part of such a path;
//   2. a name of words_with_underscores is a test, a name in src/, or that of a file of Rust;
//   3. a test stands in one of the files or folders that its paragraph, list item or table cell
//      names, if that names any with tests;
//   4. where tests are named, at least one of them always runs: it is not ignored, and needs neither
//      vectors of connectedhomeip nor matter.js, without which a test skips itself.
//   names.mjs DOCUMENT...
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const files = execFileSync("git", ["ls-files"], { encoding: "utf8" }).split("\n").filter(Boolean);
const paths = new Set();
for (const file of files) {
  const parts = file.split("/");
  for (let from = 0; from < parts.length; from++)
    for (let to = from + 1; to <= parts.length; to++) paths.add(parts.slice(from, to).join("/"));
}
const isWithin = (file, path) => `/${file}/`.includes(`/${path}/`);

// The tests by their names: the files in which they stand, and whether they may skip themselves.
const tests = new Map();
const filesWithTests = new Set();
const words = new Set();
for (const file of files.filter((file) => file.endsWith(".rs"))) {
  words.add(file.split("/").at(-1).replace(".rs", ""));
  const code = readFileSync(file, "utf8").replace(/^\s*\/\/.*$/gm, "");
  if (file.startsWith("src/")) for (const [word] of code.matchAll(/\w+/g)) words.add(word);
  for (const part of code.split(/^\s*#\[test\]/m).slice(1)) {
    const [head, name] = part.match(/^[^]*?\bfn (\w+)/);
    const skips = /#\[ignore/.test(head) || /\bchip\(\) else|MATTER_(CHIP_VECTORS|JS_PEER)/.test(part);
    const known = tests.get(name) ?? { files: [], skips: true };
    tests.set(name, { files: [...known.files, file], skips: known.skips && skips });
    filesWithTests.add(file);
  }
}

// What is read as one: a cell of a table, an item of a list, a paragraph.
function blocksOf(text) {
  return text
    .split(/\n\s*\n|\n(?=\s*- )|\n(?=\|)/)
    .flatMap((block) => (block.startsWith("|") ? block.split(/(?<!\\)\|/) : [block]));
}

const faults = [];
let named = 0;
for (const document of process.argv.slice(2)) {
  const text = readFileSync(document, "utf8").replace(/^```[^]*?^```/gm, "");
  const fault = (what) => faults.push(`${document}: ${what}`);
  for (const block of blocksOf(text)) {
    const tokens = [...block.matchAll(/`([^`\n]+)`/g)].map(([, token]) => token);
    const places = new Set();
    for (const token of tokens) {
      if (!/^[\w.-]*\/[\w./-]*$|^\w+\.(rs|md|mjs)$/.test(token)) continue;
      const path = token.replace(/\/$/, "");
      if (!paths.has(path)) fault(`no file or folder ${token}`);
      for (const file of filesWithTests) if (isWithin(file, path)) places.add(file);
    }
    const together = [];
    for (const token of tokens) {
      const name = token.match(/^(?:\w+::)*([a-z]\w*_\w+)$/)?.[1];
      if (!name) continue;
      const test = tests.get(name);
      if (test) {
        named++;
        together.push(test);
        if (places.size && !test.files.some((file) => places.has(file)))
          fault(`${name} stands in ${test.files.join(", ")}`);
      } else if (!words.has(name)) {
        fault(`no test, no name in src: ${token}`);
      }
    }
    if (together.length && together.every(({ skips }) => skips))
      fault(`only tests that may skip themselves: ${tokens.join(", ")}`);
  }
}

for (const fault of faults) console.error(fault);
console.log(`names: ${named} tests named, ${faults.length} faults`);
process.exit(faults.length ? 1 : 0);
