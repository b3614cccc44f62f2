//! Flash that the test can reach while a memory has it.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use flash_store::ram::{RamFlash, RamFlashError};

pub(crate) const LEN: usize = 8192;
pub(crate) const REGION: Range<u32> = 0..8192;
const PAGE: usize = 1024;
pub(crate) type Chip = RamFlash<LEN, PAGE>;

#[derive(Clone, Debug)]
pub(crate) struct Flash(pub(crate) Rc<RefCell<Chip>>, Rc<RefCell<Vec<Change>>>);

/// A call that changes the flash, by the number of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Write(usize),
    Erase(usize),
}

impl Flash {
    pub(crate) fn new(chip: Chip) -> Self {
        Self(Rc::new(RefCell::new(chip)), Rc::default())
    }

    /// What was done to it.
    pub(crate) fn changes(&self) -> Vec<Change> {
        self.1.borrow().clone()
    }

    pub(crate) fn chip(&self) -> Chip {
        self.0.borrow().clone()
    }
}

impl ErrorType for Flash {
    type Error = RamFlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), RamFlashError> {
        self.0.borrow_mut().read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        LEN
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), RamFlashError> {
        self.1.borrow_mut().push(Change::Erase((to - from) as usize));
        self.0.borrow_mut().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), RamFlashError> {
        self.1.borrow_mut().push(Change::Write(bytes.len()));
        self.0.borrow_mut().write(offset, bytes)
    }
}
