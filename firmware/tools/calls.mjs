// Which calls a Thumb-2 image makes: BL, and B.W for calls that end a function.

/** Yields `{ from, to, caller }` for every call to one of `targets` (addresses). */
export function* calls(elf, targets) {
    const modes = elf.symbols.filter(s => /^\$[td](\.|$)/.test(s.name)).sort((a, b) => a.value - b.value);
    const functions = elf.code.filter(s => s.value & 1).sort((a, b) => a.value - b.value);
    for (const caller of functions) {
        const { section } = caller;
        const [begin, end] = [caller.value & ~1, (caller.value & ~1) + caller.size];
        for (let at = begin; at < end; ) {
            if (isData(modes, at)) {
                at += 2;
                continue;
            }
            const first = elf.u16(section.offset + at - section.address);
            if (first >> 11 < 0b11101) {
                at += 2;
                continue;
            }
            const to = branchTarget(at, first, elf.u16(section.offset + at + 2 - section.address));
            if (to !== undefined && targets.has(to)) yield { from: at, to, caller };
            at += 4;
        }
    }
}

/** Whether a literal stands at this address, by the mapping symbols before it. */
function isData(modes, address) {
    let [low, high] = [0, modes.length];
    while (low < high) {
        const middle = (low + high) >> 1;
        if (modes[middle].value <= address) low = middle + 1;
        else high = middle;
    }
    return modes[low - 1]?.name.startsWith("$d") ?? false;
}

/** Encodings T1 of BL and T4 of B. */
function branchTarget(at, first, second) {
    if (first >> 11 !== 0b11110 || ![0b11, 0b10].includes(second >> 14) || !(second & 0x1000)) return undefined;
    const [sign, j1, j2] = [(first >> 10) & 1, (second >> 13) & 1, (second >> 11) & 1];
    const [i1, i2] = [~(j1 ^ sign) & 1, ~(j2 ^ sign) & 1];
    const offset = (i1 << 23) | (i2 << 22) | ((first & 0x3ff) << 12) | ((second & 0x7ff) << 1);
    return at + 4 + offset - (sign << 24);
}
