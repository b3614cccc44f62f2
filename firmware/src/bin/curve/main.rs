//! P-256 of `CortexM4Crypto`: Wycheproof's vectors, and random inputs beside `CompactRustCrypto`.
//!
//! ```text
//! CURVE name   cases   verdict
//! ```
#![no_std]
#![no_main]

mod beside;
#[path = "../selftest/end.rs"]
mod end;
mod order;
#[path = "../selftest/script.rs"]
mod script;
mod wycheproof;

use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
// The board's interrupt vectors.
use firmware as _;

use self::end::exit;

/// Returns how many cases were right, or nothing if one was wrong.
type Step = fn() -> Option<usize>;

const STEPS: &[(&str, Step)] = &[
    ("Wycheproof, ECDSA", wycheproof::signatures),
    ("Wycheproof, ECDH", wycheproof::agreements),
    ("the same as p256: scalars", beside::scalars),
    ("the same as p256: sums", beside::sums),
    ("the same as p256: signatures", beside::signatures),
];

#[entry]
fn main() -> ! {
    let mut all = true;
    for (name, step) in STEPS {
        let cases = step();
        all &= cases.is_some();
        let verdict = if cases.is_some() { "OK" } else { "FAILED" };
        hprintln!("CURVE {:<30} {:>4} {}", name, cases.unwrap_or(0), verdict);
    }
    hprintln!("{}", if all { "ALL OK" } else { "FAILED" });
    exit(all)
}
