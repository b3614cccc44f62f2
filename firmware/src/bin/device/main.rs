//! A device on QEMU's board mps2-an386: datagrams come and go over its UART.
#![no_std]
#![no_main]

mod clock;
#[cfg(feature = "persistent")]
mod flash;
mod line;
#[cfg(feature = "defmt")]
mod log;
mod registers;
mod uart;

use cortex_m::peripheral::NVIC;
use cortex_m_rt::entry;
use firmware::device::Device;
#[cfg(feature = "persistent")]
use firmware::device::{Board as _, Happening};
use firmware::frame::{self, Fabric, Setup, kind};
use firmware::rng::Trng;
use firmware::tables::{self, Idle, Suite};
#[cfg(feature = "persistent")]
use flash_store::memory::Memory;
use matter_session::crypto::Signature;
use matter_session::fabric::CredentialsCheck;
#[cfg(feature = "persistent")]
use matter_session::ids::FabricIndex;
#[cfg(feature = "initiator")]
use matter_session::ids::NodeId;

use self::clock::Clock;
use self::line::{Arriving, Line};
use self::uart::Uart;

const WAKERS: [clock::Line; 2] = [clock::Line(uart::INTERRUPT), clock::Line(clock::INTERRUPT)];

#[entry]
fn main() -> ! {
    static mut ARRIVING: Arriving = Arriving::new();
    static mut IDLE: Idle = Idle::new(Suite);

    // Interrupts only wake the processor: masked, they call nothing.
    cortex_m::interrupt::disable();
    for waker in WAKERS {
        // SAFETY: no handler can run, so none can be surprised.
        unsafe { NVIC::unmask(waker) };
    }
    let mut line = Line {
        uart: Uart::start(),
        clock: Clock::start(),
        #[cfg(feature = "persistent")]
        memory: None,
    };
    line.send(kind::AWAKE, &[]);
    let setup = await_setup(ARRIVING, &mut line);
    let mut rng = Trng::new(setup.seed);
    let node = IDLE.start(tables::config(), &mut rng);
    let Some(mut device) = Device::new(line, node, rng, &setup) else { halt() };
    #[cfg(feature = "persistent")]
    remember(&mut device);
    device.board.done(kind::SETUP, true);
    loop {
        #[cfg(feature = "persistent")]
        device.undo_expired();
        let due = device.turn();
        match ARRIVING.poll(&mut device.board.uart) {
            Some((kind, body)) => take_in(&mut device, kind, body),
            None => device.board.clock.sleep(due, WAKERS),
        }
    }
}

/// Joins a fabric, and goes on with all else between two signatures.
#[inline(never)]
fn join(device: &mut Device<'_, Line>, fabric: &Fabric<'_>) -> bool {
    let mut check = CredentialsCheck::new();
    loop {
        match device.check(fabric, &mut check) {
            Some(true) => return device.join(fabric, &check),
            Some(false) => _ = device.turn(),
            None => return false,
        }
    }
}

/// Finds what was kept over the reset, and keeps what comes.
#[cfg(feature = "persistent")]
#[inline(never)]
fn remember(device: &mut Device<'_, Line>) {
    // SAFETY: this is called once.
    let flash = unsafe { flash::Flash::new() };
    let Some((memory, lost)) = Memory::open(flash, flash::REGION) else {
        device.board.tell(Happening::NotKept);
        return;
    };
    if lost {
        device.board.tell(Happening::NotKept);
    }
    device.board.memory = Some(memory);
    device.restore();
}

/// Waits for what the factory would have written.
#[inline(never)]
fn await_setup(arriving: &mut Arriving, line: &mut Line) -> Setup {
    loop {
        match arriving.poll(&mut line.uart) {
            Some((kind::SETUP, body)) => match Setup::read(body) {
                Some(setup) => return setup,
                None => line.done(kind::SETUP, false),
            },
            Some((kind, _)) => line.done(kind, false),
            None => line.clock.sleep(None, WAKERS),
        }
    }
}

fn take_in(device: &mut Device<'_, Line>, kind: u8, body: &mut [u8]) {
    match kind {
        kind::DATAGRAM => {
            if let Some((from, datagram)) = body.split_first_chunk_mut() {
                device.receive(frame::read_address(*from), datagram);
            }
        }
        kind::FABRIC => {
            let joined = Fabric::read(body).is_some_and(|fabric| join(device, &fabric));
            device.board.done(kind, joined);
        }
        kind::SIGNATURE => {
            if let Some((number, signature)) = body.split_first_chunk() {
                let signature = <[u8; 64]>::try_from(signature).ok().map(Signature::new);
                device.signed(u16::from_le_bytes(*number), signature);
            }
        }
        #[cfg(feature = "persistent")]
        kind::COMPLETE | kind::UPDATE | kind::LEAVE | kind::RESET => {
            let done = change(device, kind, body);
            device.board.done(kind, done.unwrap_or(false));
        }
        // Nothing is kept, so nothing is undone.
        #[cfg(not(feature = "persistent"))]
        kind::COMPLETE => device.board.done(kind, true),
        #[cfg(feature = "initiator")]
        kind::DIAL_PASE | kind::DIAL_CASE => {
            let dialled = dial(device, kind, body);
            device.board.done(kind, dialled.unwrap_or(false));
        }
        #[cfg(any(feature = "groups", feature = "check-in", feature = "signing-key"))]
        kind::EXTRA => {
            let worked = device.extra(body);
            device.board.done(kind, worked);
        }
        _ => device.board.done(kind, false),
    }
}

/// What an administrator does with a fabric, or with the whole device.
#[cfg(feature = "persistent")]
fn change(device: &mut Device<'_, Line>, kind: u8, mut body: &[u8]) -> Option<bool> {
    let mut index = || {
        let [index] = frame::take(&mut body)?;
        FabricIndex::new(index)
    };
    Some(match kind {
        kind::COMPLETE => device.complete(),
        kind::UPDATE => {
            let index = index()?;
            device.update(index, &Fabric::read(body)?)
        }
        kind::LEAVE => device.leave(index()?),
        _ => {
            device.reset();
            cortex_m::peripheral::SCB::sys_reset()
        }
    })
}

#[cfg(feature = "initiator")]
fn dial(device: &mut Device<'_, Line>, kind: u8, mut body: &[u8]) -> Option<bool> {
    let peer = frame::read_address(frame::take(&mut body)?);
    Some(match kind {
        kind::DIAL_PASE => device.dial_pase(peer, u32::from_le_bytes(frame::take(&mut body)?)),
        _ => device.dial_case(peer, NodeId::new(u64::from_le_bytes(frame::take(&mut body)?))),
    })
}

/// The end of a device that cannot go on: a watchdog would reset it.
fn halt() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    halt()
}
