//! What a place of each table takes of RAM, for `guide::firmware`.
//!
//! ```text
//! PLACE table   octets
//! ```
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use firmware::tables::Suite;
use matter_session::crypto::{Crypto, RustCrypto};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Groups, Handshakes, KeySets, MessageBytes, Records, Senders, Sessions,
};
use matter_session::manager::{Fixed, Storage, Unstarted, WithGroups};

const fn bytes<S: Storage>() -> usize {
    of::<Suite, S>()
}

const fn of<C: Crypto, S: Storage>() -> usize {
    size_of::<Unstarted<C, S>>()
}

/// Sixteen more places than the defaults, so that nothing is lost to alignment.
type More<
    const S: usize,
    const E: usize,
    const H: usize,
    const F: usize,
    const R: usize,
    const B: usize,
> = Fixed<Sessions<S>, Exchanges<E>, Handshakes<H>, Fabrics<F>, Records<R>, MessageBytes<B>>;
type In<const K: usize, const G: usize, const S: usize> =
    WithGroups<Fixed, KeySets<K>, Groups<G>, Senders<S>>;

const fn each(more: usize, than: usize) -> usize {
    (more - than) / 16
}

const DEFAULT: usize = bytes::<Fixed>();
const GROUPS: usize = bytes::<WithGroups>();

/// Name and bytes: of a place, and last of everything with the default sizes.
const PLACES: &[(&str, usize)] = &[
    ("Sessions", each(bytes::<More<32, 8, 2, 5, 15, 5120>>(), DEFAULT)),
    ("Exchanges", each(bytes::<More<16, 24, 2, 5, 15, 5120>>(), DEFAULT)),
    ("Handshakes", each(bytes::<More<16, 8, 18, 5, 15, 5120>>(), DEFAULT)),
    ("Fabrics", each(bytes::<More<16, 8, 2, 21, 15, 5120>>(), DEFAULT)),
    ("Records", each(bytes::<More<16, 8, 2, 5, 31, 5120>>(), DEFAULT)),
    ("MessageBytes", each(bytes::<More<16, 8, 2, 5, 15, 5136>>(), DEFAULT)),
    ("Fixed", DEFAULT),
    ("KeySets", each(bytes::<In<31, 20, 180>>(), GROUPS)),
    ("Groups", each(bytes::<In<15, 36, 180>>(), GROUPS)),
    ("Senders", each(bytes::<In<15, 20, 196>>(), GROUPS)),
    ("WithGroups", GROUPS),
    (
        "expanded",
        each(of::<RustCrypto, Fixed<Sessions<32>>>(), of::<RustCrypto, Fixed>())
            - each(bytes::<Fixed<Sessions<32>>>(), DEFAULT),
    ),
];

#[entry]
fn main() -> ! {
    for (name, bytes) in PLACES {
        hprintln!("PLACE {} {}", name, bytes);
    }
    exit(debug::EXIT_SUCCESS)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(debug::EXIT_FAILURE)
}

fn exit(status: debug::ExitStatus) -> ! {
    debug::exit(status);
    loop {
        cortex_m::asm::wfi();
    }
}
