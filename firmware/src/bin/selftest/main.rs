//! Two nodes within one image: every handshake, known answers, and what each takes.
#![no_std]
#![no_main]

mod answers;
mod meter;
mod recorded;
mod script;
mod vectors;

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};

use self::meter::Meter;

type Step = fn(&mut Meter) -> Option<()>;

const STEPS: &[(&str, Step)] = &[
    ("known: HKDF", answers::hkdf),
    ("known: SPAKE2+ verifier", answers::spake),
    ("known: certificates", answers::certificates),
    ("known: PASE responder", recorded::pase),
    ("known: CASE responder", recorded::case),
    ("p256 of a CASE responder", answers::case_operations),
];

#[entry]
fn main() -> ! {
    let mut all = true;
    if let Some(mut peripherals) = cortex_m::Peripherals::take() {
        meter::start(&mut peripherals.SYST);
    }
    for (name, step) in STEPS {
        let mut meter = Meter::new();
        let ok = step(&mut meter).is_some();
        let verdict = if ok { "OK" } else { "FAILED" };
        hprintln!("STEP {:<28} {:<6} {:>6} {:>10}", name, verdict, meter.stack, meter.instructions);
        all &= ok;
    }
    hprintln!("{}", if all { "ALL OK" } else { "FAILED" });
    debug::exit(if all { debug::EXIT_SUCCESS } else { debug::EXIT_FAILURE });
    loop {}
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    hprintln!("PANIC");
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
