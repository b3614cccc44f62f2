//! Everything of the device without its board: that it links for a target at all. It would not
//! run there, as what it reads and writes is nobody's.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::net::SocketAddr;

use firmware::device::{Board, Device, Happening, Stored};
use firmware::element::Number;
use firmware::frame::{self, ADDRESS, Fabric, MAX_BODY, Setup};
use firmware::rng::Trng;
use firmware::tables::{Idle, Suite, config};
use matter_session::crypto::Signature;
use matter_session::fabric::CredentialsCheck;
use matter_session::ids::{FabricIndex, Peer};
use matter_session::session::ResumptionId;
use matter_session::time::Instant;

struct Nowhere;

impl Board for Nowhere {
    fn now(&mut self) -> Instant {
        Instant::from_millis(black_box(0))
    }

    fn seconds(&mut self) -> u32 {
        black_box(0)
    }

    fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        black_box((to, datagram));
    }

    fn tell(&mut self, happening: Happening<'_>) {
        black_box(happening);
    }

    fn sign(&mut self, number: Number, fabric: FabricIndex, digest: &[u8; 32]) {
        black_box((number, fabric, digest));
    }

    fn keep_fabric(&mut self, fabric: matter_session::fabric::Fabric<'_>) -> bool {
        black_box(fabric.index());
        true
    }

    fn keep(&mut self, peer: Peer, record: Option<&Stored>) -> bool {
        black_box((peer, record));
        true
    }

    fn retain(&mut self, _: impl Fn(Peer, &ResumptionId) -> bool) -> bool {
        true
    }
}

fn serve() -> Option<()> {
    let mut idle = Idle::new(Suite);
    let mut octets = black_box([0; MAX_BODY]);
    let setup = Setup::read(octets.get(..black_box(0))?)?;
    let mut rng = Trng::new(setup.seed);
    let node = black_box(&mut idle).start(config(), &mut rng);
    let mut device = Device::new(Nowhere, node, rng, &setup)?;
    let fabric = Fabric::read(octets.get(..black_box(0))?)?;
    let mut check = CredentialsCheck::new();
    while !device.check(&fabric, &mut check)? {}
    black_box(device.join(&fabric, &check));
    loop {
        let address = black_box([0; ADDRESS]);
        device.receive(frame::read_address(address), black_box(&mut octets));
        device.signed(black_box(0), black_box(Some(Signature::new([0; 64]))));
        black_box(device.turn());
    }
}

// SAFETY: no other symbol of the program has this name.
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    black_box(serve());
    stop()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    stop()
}

fn stop() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
