// Checks the structure of src/ that ARCHITECTURE.md describes:
//   1. no import circle between files;
//   2. a module uses only modules of its own floor and of the floors below it;
//   3. no part of the manager names another part;
//   4. `impl SessionManager` stands in manager/mod.rs, manager/turn and manager/api alone.
// An import is a name from another file, followed through re-exports to the file that defines it.
//   structure.mjs [--list]     --list prints the imports of the manager's files as well
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FLOORS = [
  ["ids", "time", "bytes", "trace"],
  ["tlv", "wire", "stream", "btp"],
  ["crypto"],
  ["session", "exchange", "cert"],
  ["fabric"],
  ["resumption", "group", "check_in", "keylog"],
  ["context"],
  ["handshake", "describe"],
  ["manager"],
  ["guide"],
];
const PARTS = ["sessions", "handshakes", "groups"];
const FOUNDATIONS = ["delivery", "node"];
const MAY_KNOW_PARTS = ["", "turn", "api"];

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "tests" ? [] : filesUnder(path);
    return entry.name.endsWith(".rs") && entry.name !== "tests.rs" ? [path] : [];
  });
}

// The code without comments, string contents and test modules.
function codeOf(text) {
  let code = text
    .replace(/\/\/[^\n]*/g, "")
    .replace(/"(?:\\[^]|[^"\\])*"/g, '""');
  for (let at; (at = code.search(/#\[cfg\((?:all\()?test\b[^\]]*\]\s*(#\[[^\]]*\]\s*)*mod \w+ \{/)) >= 0; ) {
    code = code.slice(0, at) + code.slice(endOfBlock(code, code.indexOf("{", at)));
  }
  return code;
}

function endOfBlock(code, open) {
  let depth = 0;
  for (let at = open; at < code.length; at++) {
    if (code[at] === "{") depth++;
    if (code[at] === "}" && --depth === 0) return at + 1;
  }
  return code.length;
}

// `a::{b, c::d as e}` as [["a", "b"], ["a", "c", "d"]], each with the name that it gets.
function pathsOf(tree, before = []) {
  const paths = [];
  let depth = 0;
  let start = 0;
  const items = [];
  for (let at = 0; at <= tree.length; at++) {
    if (tree[at] === "{") depth++;
    if (tree[at] === "}") depth--;
    if (at === tree.length || (tree[at] === "," && depth === 0)) {
      items.push(tree.slice(start, at).trim());
      start = at + 1;
    }
  }
  for (const item of items.filter(Boolean)) {
    const open = item.indexOf("{");
    if (open >= 0) {
      const prefix = item.slice(0, open).replace(/::\s*$/, "").split("::").map((s) => s.trim());
      paths.push(...pathsOf(item.slice(open + 1, item.lastIndexOf("}")), [...before, ...prefix]));
    } else {
      const [path, alias] = item.split(/\s+as\s+/);
      const parts = [...before, ...path.split("::").map((s) => s.trim())];
      if (parts.at(-1) === "self") parts.pop();
      paths.push({ parts, name: alias ?? parts.at(-1) });
    }
  }
  return paths;
}

// The modules by their paths, "" being the crate's root.
const modules = new Map();
for (const file of filesUnder("src")) {
  const path = file.slice("src/".length).replace(/(^|\/)(mod|lib)\.rs$|\.rs$/, "").split("/");
  const id = path.filter(Boolean).join("::");
  const code = codeOf(readFileSync(file, "utf8"));
  const uses = [...code.matchAll(/(pub(?:\([^)]*\))?\s+)?\buse\s+([^;]+);/g)].flatMap(
    ([, isPublic, tree]) => pathsOf(tree).map((use) => ({ ...use, isPublic: Boolean(isPublic) })),
  );
  const rest = code.replace(/\buse\s+[^;]+;/g, "");
  const inline = [...rest.matchAll(/\b(?:crate|super|self)(?:::\w+)+/g)].map(([path]) => ({
    parts: path.split("::"),
  }));
  modules.set(id, { id, file, code, uses, inline });
}

function absolute(module, parts) {
  const own = module.id ? module.id.split("::") : [];
  const [first, ...rest] = parts;
  if (first === "crate") return rest;
  if (first === "self") return [...own, ...rest];
  if (first !== "super") return null;
  return absolute({ id: own.slice(0, -1).join("::") }, rest[0] === "super" ? rest : ["self", ...rest]);
}

// The module that defines what a path names, followed through re-exports.
function definedIn(path, seen = new Set()) {
  let at = "";
  for (let n = 0; n < path.length; n++) {
    const child = at ? `${at}::${path[n]}` : path[n];
    if (modules.has(child)) {
      at = child;
      continue;
    }
    const key = `${at} ${path[n]}`;
    const module = modules.get(at);
    const handedOn = module.uses.find(({ isPublic, name }) => isPublic && name === path[n]);
    const target = handedOn && absolute(module, handedOn.parts);
    if (!target || seen.has(key)) return at;
    return definedIn([...target, ...path.slice(n + 1)], seen.add(key));
  }
  return at;
}

const imports = new Map();
for (const module of modules.values()) {
  const names = new Map();
  const used = [...module.uses.filter(({ isPublic }) => !isPublic), ...module.inline];
  for (const { parts } of used) {
    const path = absolute(module, parts);
    if (!path || path.length === 0 || parts.at(-1) === "*") continue;
    const target = definedIn(path);
    // A path that ends in a module names none of its items.
    if (target === module.id || target === path.join("::")) continue;
    names.set(target, [...(names.get(target) ?? []), path.at(-1)]);
  }
  imports.set(module.id, names);
}

const faults = [];

// 1. Circles: the strongly connected components of more than one file.
function circles() {
  const index = new Map();
  const low = new Map();
  const stack = [];
  const found = [];
  const visit = (id) => {
    index.set(id, index.size);
    low.set(id, index.get(id));
    stack.push(id);
    for (const next of imports.get(id).keys()) {
      if (!index.has(next)) {
        visit(next);
        low.set(id, Math.min(low.get(id), low.get(next)));
      } else if (stack.includes(next)) {
        low.set(id, Math.min(low.get(id), index.get(next)));
      }
    }
    if (low.get(id) === index.get(id)) {
      const circle = stack.splice(stack.indexOf(id));
      if (circle.length > 1) found.push(circle);
    }
  };
  for (const id of modules.keys()) if (!index.has(id)) visit(id);
  return found;
}
for (const circle of circles()) {
  faults.push(`an import circle of ${circle.length} files:`);
  for (const from of circle)
    for (const [to, names] of imports.get(from))
      if (circle.includes(to))
        faults.push(`  ${modules.get(from).file} -> ${modules.get(to).file}: ${names.join(", ")}`);
}

// 2. Floors.
const floorOf = (id) => FLOORS.findIndex((floor) => floor.includes(id.split("::")[0]));
for (const [from, names] of imports) {
  if (from === "") continue;
  if (floorOf(from) < 0) faults.push(`${modules.get(from).file} is on no floor of ARCHITECTURE.md`);
  for (const to of names.keys()) {
    if (to !== "" && floorOf(to) > floorOf(from))
      faults.push(`${modules.get(from).file} uses ${to} of a floor above: ${names.get(to).join(", ")}`);
  }
}

// 3. Parts.
const roomOf = (id) => (id.startsWith("manager::") ? id.split("::")[1] : id === "manager" ? "" : null);
for (const [from, names] of imports) {
  const room = roomOf(from);
  if (room === null) continue;
  for (const [to, used] of names) {
    const other = roomOf(to);
    const isForeign = [...PARTS, ...FOUNDATIONS].includes(other) && other !== room;
    const isAllowed =
      MAY_KNOW_PARTS.includes(room) || (PARTS.includes(room) && FOUNDATIONS.includes(other));
    if (isForeign && !isAllowed && ["storage", ...PARTS, ...FOUNDATIONS].includes(room))
      faults.push(`${modules.get(from).file} names ${to}: ${used.join(", ")}`);
  }
}

// 4. Where the manager's methods stand.
for (const { id, file, code } of modules.values()) {
  const isManager = /^impl(<[^{]*?>)?\s+SessionManager\b/m.test(code);
  if (isManager && !MAY_KNOW_PARTS.includes(roomOf(id)))
    faults.push(`${file} has an impl of SessionManager`);
}

if (process.argv.includes("--list")) {
  for (const [from, names] of imports)
    if (from.startsWith("manager"))
      for (const [to, used] of names) console.log(`${from} -> ${to}: ${used.join(", ")}`);
}
for (const fault of faults) console.error(fault);
console.log(`structure: ${modules.size} files, ${faults.length} faults`);
process.exit(faults.length ? 1 : 0);
