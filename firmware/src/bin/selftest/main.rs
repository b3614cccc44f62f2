//! Two nodes within one image: every handshake, known answers, and what each takes.
//!
//! ```text
//! STEP name   verdict   stack (octets)   instructions
//! CALL name   instructions of the longest call
//! ```
#![no_std]
#![no_main]

mod answers;
mod end;
mod live;
mod message;
mod meter;
mod ram;
mod recorded;
mod script;
mod secrets;
mod vectors;

use cortex_m_rt::entry;
use cortex_m_semihosting::hprintln;
use firmware::tables::{Idle, Suite};

use self::end::exit;
use self::live::{Live, Meters, Places};
use self::meter::Meter;
use self::ram::Post;

type Step = fn(&mut Meter) -> Option<()>;

const STEPS: &[(&str, Step)] = &[
    ("nothing", answers::nothing),
    ("known: every primitive", answers::backend),
    ("known: HKDF", answers::hkdf),
    ("known: SPAKE2+ verifier", answers::spake),
    ("known: certificates", answers::certificates),
    ("known: PASE responder", recorded::pase),
    ("known: CASE responder", recorded::case),
    ("P-256 verification", answers::verification),
    ("p256 of a CASE responder", answers::case_operations),
    ("constant: key agreement", secrets::agreement),
    ("constant: SPAKE2+ verifier", secrets::spake),
    ("constant: signature", secrets::signature),
    ("AES: seal 64", message::aes_seal),
    ("AES: open 64", message::aes_open),
    ("encode 64", message::encode),
    ("decode 64", message::decode),
];

type LiveStep = fn(&mut Live, &mut Meters) -> Option<()>;

const LIVE: &[(&str, LiveStep)] = &[
    ("PASE", Live::pase),
    ("100 messages over PASE", Live::messages),
    ("join a fabric", Live::join),
    ("CASE with ICAC", Live::case),
    ("100 messages over CASE", Live::messages),
    ("CASE resumed", Live::resumption),
    ("100 messages, resumed", Live::messages),
    ("CASE resumed, dialled", Live::dialled),
];

/// No call of the library takes more instructions: one operation on the curve. Without Thumb-2, whose
/// processors have no atomic exchange either, it takes four times as many.
const LONGEST_CALL: u64 = if cfg!(target_has_atomic = "32") { 13_000_000 } else { 40_000_000 };

#[entry]
fn main() -> ! {
    static mut DEVICE: Idle = Idle::new(Suite);
    static mut CONTROLLER: Idle = Idle::new(Suite);
    static mut TO_DEVICE: Post = Post::new();
    static mut TO_CONTROLLER: Post = Post::new();

    if let Some(mut peripherals) = cortex_m::Peripherals::take() {
        meter::start(&mut peripherals.SYST);
    }
    let mut all = true;
    for (name, step) in STEPS {
        let mut meter = Meter::new();
        let ok = step(&mut meter).is_some();
        all &= ok;
        report(name, ok, &meter);
    }
    let places = Places {
        device: DEVICE,
        controller: CONTROLLER,
        to_device: TO_DEVICE,
        to_controller: TO_CONTROLLER,
    };
    let mut longest = ("", 0);
    match Live::new(places) {
        Some(mut live) => {
            for (name, step) in LIVE {
                let mut meters = Meters::default();
                let ok = step(&mut live, &mut meters).is_some();
                all &= ok;
                report(name, ok, &meters.device);
                report("  its controller", ok, &meters.controller);
                for meter in [&meters.device, &meters.controller] {
                    if meter.longest > longest.1 {
                        longest = (name, meter.longest);
                    }
                }
                hprintln!(
                    "CALL {:<26} {:>10} {:>10}",
                    name,
                    meters.device.longest,
                    meters.controller.longest
                );
            }
            let is_short = longest.1 <= LONGEST_CALL;
            all &= is_short;
            let verdict = if is_short { "OK" } else { "TOO LONG" };
            hprintln!("LONGEST CALL {} {} {}", longest.0, longest.1, verdict);
        }
        None => all = false,
    }
    hprintln!("{}", if all { "ALL OK" } else { "FAILED" });
    exit(all)
}

fn report(name: &str, ok: bool, meter: &Meter) {
    let verdict = if ok { "OK" } else { "FAILED" };
    hprintln!("STEP {:<26} {:<6} {:>6} {:>10}", name, verdict, meter.stack, meter.instructions);
}
