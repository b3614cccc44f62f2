//! Emulated flash: some of the board's code memory, which QEMU lets be written. It keeps its
//! content over a reset of the board, as flash does, and has its rules.

use core::ops::Range;
use core::ptr::{read_volatile, write_volatile};

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// Behind the image, see `memory.x`.
const BASE: usize = 0x0030_0000;
const LEN: usize = 32 * 1024;
const PAGE: usize = 4096;
/// All of it is for the store.
pub const REGION: Range<u32> = 0..LEN as u32;

pub struct Flash(());

impl Flash {
    /// # Safety
    /// There must be no other.
    pub const unsafe fn new() -> Self {
        Self(())
    }

    fn read_octet(&self, at: usize) -> u8 {
        // SAFETY: within the memory, which the image does not use; the only `Flash` is borrowed.
        unsafe { read_volatile((BASE + at % LEN) as *const u8) }
    }

    fn write_octet(&mut self, at: usize, octet: u8) {
        // SAFETY: as above.
        unsafe { write_volatile((BASE + at % LEN) as *mut u8, octet) }
    }
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        for (at, octet) in (offset as usize..).zip(bytes) {
            *octet = self.read_octet(at);
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        LEN
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        (from as usize..to as usize).for_each(|at| self.write_octet(at, 0xFF));
        Ok(())
    }

    /// Clears bits; what is clear stays so.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        for (at, octet) in (offset as usize..).zip(bytes) {
            self.write_octet(at, self.read_octet(at) & octet);
        }
        Ok(())
    }
}
