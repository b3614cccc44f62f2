//! The board's first UART (Arm CMSDK): an octet in each direction, and a wake-up for each that
//! arrives.

use crate::registers::Register;

const BASE: usize = 0x4000_4000;
/// Its receive interrupt: only to end a wait, see `Clock::sleep`.
pub const INTERRUPT: u16 = 0;

const TRANSMIT_FULL: u32 = 1 << 0;
const RECEIVE_FULL: u32 = 1 << 1;
const ENABLE_TRANSMIT: u32 = 1 << 0;
const ENABLE_RECEIVE: u32 = 1 << 1;
const RECEIVE_INTERRUPT: u32 = 1 << 3;
const CLEAR_RECEIVE: u32 = 1 << 1;
/// 25 MHz / 217 = 115,200 baud. QEMU does not wait for octets.
const DIVIDER: u32 = 217;

pub struct Uart {
    data: Register,
    state: Register,
    interrupt: Register,
}

impl Uart {
    pub fn start() -> Self {
        // SAFETY: the registers of UART 0, which nothing else uses.
        let [data, state, mut control, interrupt, mut divider] =
            [0x0, 0x4, 0x8, 0xC, 0x10].map(|offset| unsafe { Register::at(BASE + offset) });
        divider.write(DIVIDER);
        control.write(ENABLE_TRANSMIT | ENABLE_RECEIVE | RECEIVE_INTERRUPT);
        Self { data, state, interrupt }
    }

    /// An octet that has arrived.
    pub fn receive(&mut self) -> Option<u8> {
        self.interrupt.write(CLEAR_RECEIVE);
        if self.state.read() & RECEIVE_FULL == 0 {
            return None;
        }
        let [octet, ..] = self.data.read().to_le_bytes();
        Some(octet)
    }

    /// Sends octets, waiting for each to leave.
    pub fn send(&mut self, octets: &[u8]) {
        for octet in octets {
            while self.state.read() & TRANSMIT_FULL != 0 {}
            self.data.write(u32::from(*octet));
        }
    }
}
