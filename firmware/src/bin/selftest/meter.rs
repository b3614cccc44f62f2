//! How much stack and how many instructions calls take.

use core::ptr::{addr_of, read_volatile, write_volatile};

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SYST, syst};

/// QEMU's `-icount shift=0` lets an instruction take one nanosecond, and the board's SysTick
/// counts at 25 MHz.
pub const INSTRUCTIONS_PER_TICK: u64 = 40;
const PAINT: u32 = 0xDEAD_C0DE;
/// Enough below the caller to show what any call takes, and little enough to paint often.
const DEPTH: usize = 24 * 1024;

unsafe extern "C" {
    // From cortex-m-rt's link.x: the lowest address that the stack may reach.
    static _stack_end: u32;
}

/// Starts the timer that instructions are counted with. It wraps after 671 million of them: no
/// call may take as many.
pub fn start(timer: &mut SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(0x00FF_FFFF);
    timer.clear_current();
    timer.enable_counter();
}

/// What calls took that one party made.
#[derive(Clone, Copy, Default)]
pub struct Meter {
    /// The most stack that a call took, in octets.
    pub stack: usize,
    /// What all calls took together.
    pub instructions: u64,
}

impl Meter {
    pub const fn new() -> Self {
        Self { stack: 0, instructions: 0 }
    }

    /// Measures one more call.
    #[inline(never)]
    pub fn run<R>(&mut self, call: impl FnOnce() -> R) -> R {
        let top = paint();
        let before = ticks();
        let result = framed(call);
        let after = ticks();
        self.stack = self.stack.max(painted_over(top));
        let ticks = before.wrapping_sub(after) & 0x00FF_FFFF;
        self.instructions += u64::from(ticks) * INSTRUCTIONS_PER_TICK;
        result
    }
}

/// Gives the call a frame below what was painted.
#[inline(never)]
fn framed<R>(call: impl FnOnce() -> R) -> R {
    call()
}

fn ticks() -> u32 {
    // SAFETY: the address is the timer's, which is always there; reading has no side effect that
    // anything here depends on.
    let timer: &syst::RegisterBlock = unsafe { &*SYST::PTR };
    timer.cvr.read()
}

fn lowest(top: usize) -> usize {
    top.saturating_sub(DEPTH).max(addr_of!(_stack_end) as usize).next_multiple_of(4)
}

/// Fills the stack below its pointer. Inlined, so that it has no frame there itself.
#[inline(always)]
fn paint() -> usize {
    let top = cortex_m::register::msp::read() as usize & !3;
    let mut at = lowest(top);
    while at < top {
        // SAFETY: between the end of the stack and its pointer there is memory, aligned here,
        // that nothing uses: no interrupt is enabled.
        unsafe { write_volatile(at as *mut u32, PAINT) };
        at += 4;
    }
    top
}

#[inline(always)]
fn painted_over(top: usize) -> usize {
    let mut at = lowest(top);
    // SAFETY: as in `paint`.
    while at < top && unsafe { read_volatile(at as *const u32) } == PAINT {
        at += 4;
    }
    top - at
}
