// Names of Rust symbols, and whose code they are.

const ESCAPES = { SP: "@", BP: "*", RF: "&", LT: "<", GT: ">", LP: "(", RP: ")", C: "," };

const unescape = part =>
    part
        .replace(/^_\$/, "$")
        .replace(/\$(?:u([0-9a-f]+)|(\w+))\$/g, (_, hex, name) => (hex ? String.fromCodePoint(parseInt(hex, 16)) : ESCAPES[name] ?? name))
        .replaceAll("..", "::");

/** Legacy mangling, `_ZN4core3fmt17h0123456789abcdefE`; other names stay as they are. */
export function demangle(name) {
    if (!name.startsWith("_ZN")) return name;
    const parts = [];
    for (let rest = name.slice(3), found; (found = /^(\d+)/.exec(rest)); ) {
        const [digits] = found;
        const end = digits.length + Number(digits);
        parts.push(rest.slice(digits.length, end));
        rest = rest.slice(end);
    }
    if (/^h[0-9a-f]{16}$/.test(parts.at(-1))) parts.pop();
    return parts.map(unescape).join("::");
}

/** Crate and outermost module of a name: `["matter_session", "cert"]`. */
export function owner(name) {
    const [, crate, module] = /^(?:[<&*(\[ ]|mut |const |dyn )*(\w+)(?:::(\w+))?/.exec(name) ?? [];
    return name.includes("::") ? [crate, module] : ["(no crate)", undefined];
}
