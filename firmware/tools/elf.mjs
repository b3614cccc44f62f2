// As much of a 32-bit little-endian ELF file as a size report needs.
import { readFileSync } from "node:fs";
import { demangle } from "./demangle.mjs";

const [PROGBITS, SYMTAB, NOBITS] = [1, 2, 8];
const [WRITE, ALLOC] = [1, 2];
const [OBJECT, FUNCTION] = [1, 2];

export class Elf {
    constructor(path) {
        this.octets = readFileSync(path);
        if (this.octets.readUInt32LE(0) !== 0x464c457f || this.octets[4] !== 1) throw new Error(`${path} is no ELF32`);
        const [at, size, count, names] = [this.u32(0x20), this.u16(0x2e), this.u16(0x30), this.u16(0x32)];
        this.sections = Array.from({ length: count }, (_, n) => this.#section(at + n * size));
        for (const section of this.sections) section.name = this.text(this.sections[names].offset + section.nameAt);
        this.symbols = this.#symbols();
    }

    u16 = at => this.octets.readUInt16LE(at);
    u32 = at => this.octets.readUInt32LE(at);
    text = at => this.octets.toString("latin1", at, this.octets.indexOf(0, at));

    #section(at) {
        const [nameAt, type, flags, address, offset, size, link] = [0, 4, 8, 12, 16, 20, 24].map(o => this.u32(at + o));
        return { nameAt, type, flags, address, offset, size, link };
    }

    #symbols() {
        const table = this.sections.find(section => section.type === SYMTAB);
        const names = this.sections[table.link].offset;
        const symbols = Array.from({ length: table.size / 16 }, (_, n) => {
            const at = table.offset + n * 16;
            const [name, value, size] = [this.text(names + this.u32(at)), this.u32(at + 4), this.u32(at + 8)];
            const section = this.sections[this.u16(at + 14)];
            return { name, value, size, section, kind: this.octets[at + 12] & 15 };
        });
        const readable = demangle(symbols.map(symbol => symbol.name));
        return symbols.map((symbol, n) => ({ ...symbol, name: readable[n] }));
    }

    /** What is programmed: code, constants, and what RAM is initialised with. */
    get flash() {
        return this.#sum(section => section.type !== NOBITS);
    }

    /** RAM that the image has reserved, the stack aside. */
    get ram() {
        return this.#sum(section => section.flags & WRITE);
    }

    #sum = wanted => this.sections.filter(s => s.flags & ALLOC && wanted(s)).reduce((sum, s) => sum + s.size, 0);

    /** Functions and constants in flash, each address once. */
    get code() {
        return this.#once(s => (s.kind === FUNCTION || s.kind === OBJECT) && s.section?.type === PROGBITS);
    }

    get variables() {
        return this.#once(s => s.kind === OBJECT && s.section?.flags & WRITE);
    }

    #once(wanted) {
        const found = new Map();
        for (const symbol of this.symbols) if (symbol.size && wanted(symbol)) found.set(symbol.value, symbol);
        return [...found.values()];
    }
}
