//! P-256 of `CortexM4Crypto`: Wycheproof's vectors, and random inputs beside `CompactRustCrypto`.
//!
//! ```text
//! CURVE name   cases   verdict
//! ```
#![no_std]
#![no_main]

mod beside;
mod order;
#[path = "../selftest/script.rs"]
mod script;
mod wycheproof;

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
// The board's interrupt vectors.
use firmware as _;

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

fn exit(ok: bool) -> ! {
    debug::exit(if ok { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    exit(false)
}
