//! Memory-mapped registers.

use core::ptr::{read_volatile, write_volatile};

/// A 32-bit register of the board.
pub struct Register(usize);

impl Register {
    /// # Safety
    /// At `address` there must be a register that may be read and written at any time, with
    /// effects on its peripheral alone.
    pub const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    pub fn read(&self) -> u32 {
        // SAFETY: the constructor's caller has seen to it.
        unsafe { read_volatile(self.0 as *const u32) }
    }

    pub fn write(&mut self, value: u32) {
        // SAFETY: the constructor's caller has seen to it.
        unsafe { write_volatile(self.0 as *mut u32, value) }
    }
}
