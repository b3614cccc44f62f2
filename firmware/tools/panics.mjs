// Where an image can panic, and whose code that is.
import { calls } from "./calls.mjs";
import { author, frames } from "./lines.mjs";

const PANICS = /^core::(panicking|cell)::panic|^core::panicking|^core::(option|result)::(expect|unwrap)_failed|^core::slice::.*fail|^core::str::slice_error_fail/;

/** Crates whose authors answer for their own panics. */
export const CRYPTO = new Set(
    `aead aes base16ct block-buffer ccm cipher cmov const-oid crypto-bigint crypto-common ctr ctutils der digest ecdsa
    elliptic-curve ff group hkdf hmac hybrid-array inout p256 pbkdf2 primefield primeorder rfc6979 sec1 sha2 signature
    subtle typenum universal-hash wnaf zeroize`.split(/\s+/),
);

/** Call sites of panics: `{ crate, place, panic, crypto }`. */
export function panics(image, elf) {
    const entries = new Map(elf.code.filter(s => PANICS.test(s.name)).map(s => [s.value & ~1, s.name]));
    const sites = [...calls(elf, entries)].filter(({ caller }) => !PANICS.test(caller.name));
    const sources = frames(image, sites.map(site => site.from));
    return sites.map((site, n) => {
        const { crate, path, line } = author(sources[n]);
        const place = `${crate}/${path}:${line} in ${site.caller.name}`;
        return { crate, place, panic: entries.get(site.to), crypto: CRYPTO.has(crate) };
    });
}
