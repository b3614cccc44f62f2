// Which source the code at an address comes from, by the line tables and binutils' addr2line.
import { spawnSync } from "node:child_process";

/** For each address its frames, from the innermost inlined function outwards: `{ file, line }`. */
export function frames(image, addresses) {
    if (addresses.length === 0) return [];
    const input = addresses.map(address => address.toString(16)).join("\n");
    const { stdout, status, error } = spawnSync("addr2line", ["-a", "-i", "-e", image], { input, maxBuffer: 1 << 30 });
    if (status !== 0) throw error ?? new Error("addr2line failed");
    const found = [];
    for (const line of stdout.toString().trimEnd().split("\n")) {
        if (line.startsWith("0x")) found.push([]);
        else {
            const [, file, number] = /^(.*):(\d+|\?)/.exec(line);
            found.at(-1).push({ ...source(file), line: number });
        }
    }
    return found;
}

/** Crate and path within it of a source file, without the directories of one machine. */
function source(file) {
    const [, name, path] = /\/registry\/src\/[^/]+\/([^/]+)-\d[^/]*\/(.*)$/.exec(file) ?? [];
    if (name) return { crate: name, path };
    const std = /\/library\/(core|alloc|compiler-builtins)\/(.*)$/.exec(file);
    if (std) return { crate: std[1], path: std[2] };
    const own = /((?:firmware\/(?:store\/)?|testing\/)src\/.*|src\/.*|examples\/.*)$/.exec(file);
    if (own) return { crate: own[1].startsWith("src") ? "matter-session" : "firmware", path: own[1] };
    return { crate: "(unknown)", path: file };
}

/** The innermost frame outside of what is inlined everywhere. */
export const author = frames => frames.find(({ crate }) => !["core", "alloc", "(unknown)"].includes(crate)) ?? frames[0];
