// The figures in documents, which all come from budget.txt.
//   documents.mjs --check    fails if a document says something else
//   documents.mjs --write    puts the figures into the documents
//
// A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`, a figure in a sentence
// between `<!--=NAME-->` or `<!--=NAME UNIT-->` and `<!--/-->`.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { read } from "./budget.mjs";
import { FEATURES, HANDSHAKES, PARTS } from "./figures.mjs";

const FILES = ["README.md", "firmware/README.md", "src/guide/firmware.md"];
const DEFAULTS = { Sessions: 16, Exchanges: 8, Handshakes: 2, Fabrics: 5, Records: 15, MessageBytes: 5120 };
const OF_GROUPS = { KeySets: 15, Groups: 20, Senders: 180 };

const UNITS = {
    "": value => value.toLocaleString("en-US"),
    kB: value => String(Math.round(value / 1000)),
    million: value => String(Math.round(value / 1e6)),
};

/** Tables by name: lines of Markdown from the figures. */
const TABLES = {
    figures: value => [
        "| | reached | goal |",
        "|---|---|---|",
        ...[
            ["flash_s", 100_000, "flash, opt-level s"],
            ["flash_z", 84_000, "flash, opt-level z"],
            ["flash_both_roles", 125_000, "flash, both roles in one image"],
            ["static_ram", 24_000, "static RAM"],
            ["stack_case", 9_500, "stack, whole CASE handshake"],
            ["stack_pase", "-", "stack, whole PASE handshake"],
            ["stack_message", 1_500, "stack to encode or decode a message, beyond the AES crate's own"],
            ["instructions_verification", "-", "instructions, verification of a P-256 signature"],
            ["instructions_spake_verifier", "-", "instructions, SPAKE2+ of the verifier"],
            ["instructions_pase", "-", "instructions, whole PASE handshake"],
            ["instructions_case", "-", "instructions, whole CASE handshake"],
            ["instructions_resumption", "-", "instructions, resumption"],
            ["instructions_encode_64", "-", "instructions, encode a message of 64 bytes"],
            ["instructions_decode_64", "-", "instructions, decode a message of 64 bytes"],
            ["case_instructions_ratio", 1.05, "CASE responder, instructions per instruction of its P-256 operations"],
            ["panics", 0, "call sites of panics outside the crypto crates"],
        ].map(([name, goal, text]) => `| ${text} | ${number(value(name))} | ${number(goal)} |`),
    ],
    backends: value => [
        "| | `CompactRustCrypto` | `CortexM4Crypto` |",
        "|---|---|---|",
        ...HANDSHAKES.map(({ name, text }) => `| ${text} | ${number(value(name))} | ${number(value(`cm4_${name}`))} |`),
    ],
    features: value => [
        "| feature | flash | static RAM |",
        "|---|---|---|",
        ...FEATURES.map(({ name, text }) => {
            const [flash, ram] = ["flash", "ram"].map(kind => number(value(`feature_${name}_${kind}`)));
            return `| ${text} | ${flash} | ${ram} |`;
        }),
    ],
    parts: value => [
        "| code of | flash |",
        "|---|---|",
        ...PARTS.map(({ name, text }) => `| ${text} | ${number(value(`part_${name}`))} |`),
        `| vectors and constants | ${number(value("part_constants"))} |`,
    ],
    places: value => [
        "| parameter | content of an entry | bytes each | `Fixed` with its defaults |",
        "|---|---|---|---|",
        ...rows(value, DEFAULTS, {
            Sessions: "session, its position in the order of use, event",
            Exchanges: "exchange, deadline, readiness, event",
            Handshakes: "state of a handshake, deadline, readiness, events",
            Fabrics: "identity protection keys, ids, 800 bytes for certificates",
            Records: "resumption record, event",
            MessageBytes: "messages in flight, certificates of peers",
        }),
        rest(
            "window, counters, settings, eight short messages, statistics, places for events",
            value("place_Fixed") - sum(value, DEFAULTS),
        ),
        `| | | | **${number(value("place_Fixed"))}** |`,
    ],
    "places of groups": value => [
        "| parameter | content of an entry | bytes each | `WithGroups` with its defaults |",
        "|---|---|---|---|",
        ...rows(value, OF_GROUPS, {
            KeySets: "up to three keys",
            Groups: "key set and address of a group",
            Senders: "the counter of a sender, for one key",
        }),
        rest(
            "senders that are asked for their counter, messages that wait for it",
            value("place_WithGroups") - value("place_Fixed") - sum(value, OF_GROUPS),
        ),
        `| | | | **${number(value("place_WithGroups") - value("place_Fixed"))}** |`,
    ],
};

function rows(value, defaults, content) {
    return Object.entries(defaults).map(([name, count]) => {
        const each = value(`place_${name}`);
        return `| \`${name}\` | ${content[name]} | ${number(each)} | ${number(each * count)} |`;
    });
}

function rest(content, octets) {
    return `| none | ${content} | | ${number(octets)} |`;
}

function sum(value, defaults) {
    return Object.entries(defaults).reduce((sum, [name, count]) => sum + count * value(`place_${name}`), 0);
}

function number(value) {
    return typeof value === "number" ? value.toLocaleString("en-US", { maximumFractionDigits: 3 }) : String(value);
}

/** A text with the figures in their places. */
function filled(text, file, value) {
    const table = (_, begin, name, end) => {
        if (!Object.hasOwn(TABLES, name)) throw new Error(`${file}: there is no table ${name}`);
        return `${begin}\n${TABLES[name](value).join("\n")}\n${end}`;
    };
    const figure = (_, begin, name, unit = "", end) => {
        if (!Object.hasOwn(UNITS, unit)) throw new Error(`${file}: there is no unit ${unit}`);
        return begin + UNITS[unit](value(name)) + end;
    };
    return text
        .replace(/(<!-- table: ([a-z ]+) -->)[^]*?(<!-- end of table -->)/g, table)
        .replace(/(<!--=(\w+)(?: (\w+))?-->)[^<]*(<!--\/-->)/g, figure);
}

/** Compares the documents with budget.txt, or corrects them. Returns those that differ. */
export function documents({ write }) {
    const budget = read();
    const value = name => {
        const figure = budget.get(name);
        if (!figure) throw new Error(`budget.txt has no figure ${name}`);
        return figure.value;
    };
    return FILES.filter(file => {
        const path = new URL(`../../${file}`, import.meta.url);
        const before = readFileSync(path, "utf8");
        const after = filled(before, file, value);
        if (write && after !== before) writeFileSync(path, after);
        return after !== before;
    });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const write = process.argv.includes("--write");
    const wrong = documents({ write });
    for (const file of wrong) {
        if (write) console.log(`${file} is corrected`);
        else console.error(`${file} has figures that budget.txt has not: firmware/tools/documents.mjs --write`);
    }
    process.exit(wrong.length && !write ? 1 : 0);
}
