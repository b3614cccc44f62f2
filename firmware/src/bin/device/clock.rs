//! Time: one of the board's timers counts it, another ends waits. Both count down at 25 MHz.

use cortex_m::peripheral::NVIC;
use matter_session::time::Instant;

use crate::registers::Register;

const COUNTER: usize = 0x4000_0000;
const ALARM: usize = 0x4000_1000;
/// The alarm's interrupt: only to end a wait.
pub const INTERRUPT: u16 = 9;

const ENABLE: u32 = 1 << 0;
const INTERRUPT_ENABLE: u32 = 1 << 3;
const TICKS_PER_MILLISECOND: u32 = 25_000;
/// The counter must be read before it has gone round, which takes 171 s.
const LONGEST_SLEEP: u32 = 60_000;

pub struct Clock {
    counter: Register,
    last: u32,
    /// Ticks that make no whole millisecond yet.
    ticks: u32,
    millis: u64,
    /// Milliseconds that make no whole second yet.
    odd_millis: u32,
    seconds: u32,
    alarm: Alarm,
}

struct Alarm {
    control: Register,
    value: Register,
    interrupt: Register,
}

impl Clock {
    pub fn start() -> Self {
        // SAFETY: registers of timers 0 and 1, which nothing else uses.
        let at = |base, offset| unsafe { Register::at(base + offset) };
        let (mut control, counter) = (at(COUNTER, 0x0), at(COUNTER, 0x4));
        at(COUNTER, 0x8).write(u32::MAX);
        control.write(ENABLE);
        let last = counter.read();
        let alarm =
            Alarm { control: at(ALARM, 0x0), value: at(ALARM, 0x4), interrupt: at(ALARM, 0xC) };
        Self { counter, last, ticks: 0, millis: 0, odd_millis: 0, seconds: 0, alarm }
    }

    pub fn now(&mut self) -> Instant {
        let value = self.counter.read();
        // It counts down.
        let passed = self.last.wrapping_sub(value);
        self.last = value;
        let millis = passed / TICKS_PER_MILLISECOND;
        self.ticks += passed % TICKS_PER_MILLISECOND;
        let carry = self.ticks / TICKS_PER_MILLISECOND;
        self.ticks %= TICKS_PER_MILLISECOND;
        let millis = millis + carry;
        self.millis += u64::from(millis);
        self.odd_millis += millis;
        self.seconds += self.odd_millis / 1000;
        self.odd_millis %= 1000;
        Instant::from_millis(self.millis)
    }

    pub fn seconds(&mut self) -> u32 {
        self.now();
        self.seconds
    }

    /// Sleeps until then, or until an interrupt of those that end waits is pending. No handler
    /// runs: interrupts stay masked, and a masked one that is pending still ends the wait.
    pub fn sleep(&mut self, until: Option<Instant>, wakers: [Line; 2]) {
        let now = self.now();
        let wait = until.map(|due| due.as_millis().saturating_sub(now.as_millis()));
        let wait = wait.and_then(|wait| u32::try_from(wait).ok()).unwrap_or(LONGEST_SLEEP);
        if wait > 0 {
            self.alarm.set(wait.min(LONGEST_SLEEP) * TICKS_PER_MILLISECOND);
            cortex_m::asm::wfi();
            self.alarm.stop();
        }
        wakers.into_iter().for_each(NVIC::unpend);
    }
}

impl Alarm {
    fn set(&mut self, ticks: u32) {
        self.value.write(ticks);
        self.control.write(ENABLE | INTERRUPT_ENABLE);
    }

    fn stop(&mut self) {
        self.control.write(0);
        self.interrupt.write(1);
    }
}

/// An interrupt of the board by its number.
#[derive(Clone, Copy)]
pub struct Line(pub u16);

// SAFETY: the number is the interrupt's, as the processor counts them.
unsafe impl cortex_m::interrupt::InterruptNumber for Line {
    fn number(self) -> u16 {
        self.0
    }
}
