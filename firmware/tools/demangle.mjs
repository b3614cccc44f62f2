// Names of Rust symbols, and whose code they are.
import { spawnSync } from "node:child_process";

/** Both manglings, by binutils' c++filt; the hashes go, of legacy names and of crates. */
export function demangle(names) {
    const { stdout, status, error } = spawnSync("c++filt", { input: names.join("\n"), maxBuffer: 1 << 28 });
    if (status !== 0) throw error ?? new Error("c++filt failed");
    return stdout.toString().split("\n").map(name => name.replace(/::h[0-9a-f]{16}$|\[[0-9a-f]{16}\]/g, ""));
}

/** Crate and outermost module of a name: `["matter_session", "cert"]`. */
export function owner(name) {
    const [, crate, module] = /^(?:[<&*(\[ ]|mut |const |dyn )*(\w+)(?:::(\w+))?/.exec(name) ?? [];
    return name.includes("::") ? [crate, module] : ["(no crate)", undefined];
}
