// Checks docs/conformance.md:
//   1. every row has a verdict; what is not done, or done otherwise, has a note; what is done has
//      a test;
//   2. the files of the code exist;
//   3. every test stands in the file that is named with it, and runs always: it is not ignored,
//      and does not return before its end. (A test that needs a file that may be missing does;
//      what it alone shows needs another test.)
//   4. the table of counts is right.
//   conformance.mjs [--counts]     --counts prints the table of counts as it must be
import { existsSync, readFileSync } from "node:fs";

const DOCUMENT = "docs/conformance.md";
const VERDICTS = ["yes", "part", "different", "no"];
const WIDTH = 6;

const faults = [];
const cellsOf = (line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim());

const chapters = [];
const summary = [];
for (const line of readFileSync(DOCUMENT, "utf8").split("\n")) {
  if (line.startsWith("## ")) chapters.push({ title: line.slice(3), rows: [] });
  if (!line.startsWith("| ")) continue;
  const cells = cellsOf(line);
  const chapter = chapters.at(-1);
  if (!chapter) {
    if (cells.length > 2) summary.push(line);
    continue;
  }
  if (cells[0] === "clause") continue;
  const [clause, demand, code, test, verdict, note] = cells;
  if (cells.length !== WIDTH) faults.push(`${clause}: ${cells.length} cells, not ${WIDTH}`);
  else chapter.rows.push({ name: `${clause}, ${demand}`, code, test, verdict, note });
}

// The tests of a file by their names: why a row cannot rely on one, or "".
const known = new Map();
function testsIn(file) {
  if (!known.has(file)) {
    const tests = new Map();
    const text = existsSync(file) ? readFileSync(file, "utf8") : "";
    for (const { index } of text.matchAll(/^\s*#\[test\]/gm)) {
      const part = text.slice(index);
      const [head, name] = part.match(/^[^]*?\bfn (\w+)/);
      tests.set(name, obstacle(head, bodyOf(part)));
    }
    known.set(file, tests);
  }
  return known.get(file);
}

// What stands between the first brace behind the parameters of a function and its partner, without
// comments, strings and characters.
function bodyOf(part) {
  const code = part
    .replace(/\/\/[^\n]*/g, "")
    .replace(/b?"(?:\\[^]|[^"\\])*"|b?'(?:\\.|[^'\\])'/g, "0");
  let depth = 0;
  let open = -1;
  for (let at = code.indexOf("("); at < code.length; at++) {
    if ("([".includes(code[at])) depth++;
    if (")]".includes(code[at])) depth--;
    if (code[at] === "{" && depth === 0) {
      open = at;
      break;
    }
  }
  for (let at = open; at < code.length; at++) {
    if (code[at] === "{") depth++;
    if (code[at] === "}" && --depth === 0) return code.slice(open, at);
  }
  return code.slice(open);
}

function obstacle(head, body) {
  if (/#\[ignore/.test(head)) return "is ignored";
  if (/\breturn\s*[;}]/.test(body)) return "may return before its end";
  return "";
}

function checkTests({ name, test }) {
  // Names, and behind them the file that they stand in.
  const group = /((?:`\w+`(?:, )?)+) \(`([^`]+)`\)(?:, )?/y;
  let named = 0;
  for (let found; (found = group.exec(test)); ) {
    const [, names, file] = found;
    for (const [, one] of names.matchAll(/`(\w+)`/g)) {
      named++;
      const problem = testsIn(file).get(one);
      if (problem === undefined) faults.push(`${name}: no test ${one} in ${file}`);
      else if (problem) faults.push(`${name}: ${one} in ${file} ${problem}`);
    }
    if (group.lastIndex === test.length) return named;
  }
  faults.push(`${name}: the tests cannot be read: ${test}`);
  return named;
}

let named = 0;
for (const row of chapters.flatMap(({ rows }) => rows)) {
  if (!VERDICTS.includes(row.verdict)) faults.push(`${row.name}: no verdict ${row.verdict}`);
  if (row.verdict !== "yes" && !row.note) faults.push(`${row.name}: no note says what differs`);
  if (row.test !== "none") named += checkTests(row);
  else if (row.verdict !== "part") faults.push(`${row.name}: no test`);
  for (const [, file] of row.code.matchAll(/`([^`]+)`/g))
    if (!existsSync(file)) faults.push(`${row.name}: no file ${file}`);
}

const all = chapters.flatMap(({ rows }) => rows);
const counts = [
  "| chapter | clauses | yes | part | different | no | without a test |",
  ...[...chapters, { title: "**all**", rows: all }].map(({ title, rows }) => {
    const numbers = VERDICTS.map((verdict) => rows.filter((row) => row.verdict === verdict).length);
    const untested = rows.filter(({ test }) => test === "none").length;
    return `| ${[title, rows.length, ...numbers, untested].join(" | ")} |`;
  }),
];
if (process.argv.includes("--counts")) console.log(counts.join("\n"));
else if (counts.join("\n") !== summary.join("\n"))
  faults.push("the table of counts is not right: conformance.mjs --counts prints it");

for (const fault of faults) console.error(fault);
console.log(`conformance: ${all.length} clauses, ${named} tests named, ${faults.length} faults`);
process.exit(faults.length ? 1 : 0);
