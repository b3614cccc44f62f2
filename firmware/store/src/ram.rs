//! Flash in RAM, for tests and for machines without flash: with its rules, and with power cuts.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

/// `LEN` octets of NOR flash in pages of `PAGE`, written in words of `WORD` octets. Writing clears
/// bits, erasing a page sets them.
#[derive(Clone, Debug)]
pub struct RamFlash<const LEN: usize, const PAGE: usize, const WORD: usize = 4> {
    octets: [u8; LEN],
    /// So many octets are written or erased before the power fails.
    left: Option<usize>,
    /// Which bits of the octet in which the power fails are still written or erased.
    torn: u8,
    /// Whether pages are erased from their end.
    backwards: bool,
}

/// Why the emulated flash did not do as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RamFlashError {
    /// Misaligned or out of bounds.
    Arguments(NorFlashErrorKind),
    /// A word was written a second time since its page was erased.
    Overwritten,
    /// The power has failed.
    PowerLost,
}

impl NorFlashError for RamFlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Arguments(kind) => *kind,
            _ => NorFlashErrorKind::Other,
        }
    }
}

impl<const LEN: usize, const PAGE: usize, const WORD: usize> RamFlash<LEN, PAGE, WORD> {
    /// Erased flash.
    #[must_use]
    pub const fn new() -> Self {
        Self { octets: [0xFF; LEN], left: None, torn: 0, backwards: false }
    }

    /// The power fails after so many octets more. The octet after them is written or erased in
    /// the bits of `torn` alone, and from then on nothing works.
    pub const fn cut_after(&mut self, octets: usize, torn: u8) {
        self.left = Some(octets);
        self.torn = torn;
    }

    /// Whether the power has failed.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        matches!(self.left, Some(0))
    }

    /// The power is back; what is in the flash stays.
    pub const fn restore_power(&mut self) {
        self.left = None;
    }

    /// Erases pages from their end from now on.
    pub const fn erase_backwards(&mut self) {
        self.backwards = true;
    }

    /// What is in the flash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; LEN] {
        &self.octets
    }

    /// What is in the flash, to be damaged.
    pub const fn as_mut_bytes(&mut self) -> &mut [u8; LEN] {
        &mut self.octets
    }

    /// Changes an octet, as long as there is power.
    fn change(&mut self, at: usize, change: impl Fn(u8, u8) -> u8) -> Result<(), RamFlashError> {
        let Some(octet) = self.octets.get_mut(at) else {
            return Err(RamFlashError::Arguments(NorFlashErrorKind::OutOfBounds));
        };
        match &mut self.left {
            None => *octet = change(*octet, 0xFF),
            Some(0) => {
                *octet = change(*octet, core::mem::take(&mut self.torn));
                return Err(RamFlashError::PowerLost);
            }
            Some(left) => {
                *left = left.saturating_sub(1);
                *octet = change(*octet, 0xFF);
            }
        }
        Ok(())
    }
}

impl<const LEN: usize, const PAGE: usize, const WORD: usize> Default for RamFlash<LEN, PAGE, WORD> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const LEN: usize, const PAGE: usize, const WORD: usize> ErrorType
    for RamFlash<LEN, PAGE, WORD>
{
    type Error = RamFlashError;
}

impl<const LEN: usize, const PAGE: usize, const WORD: usize> ReadNorFlash
    for RamFlash<LEN, PAGE, WORD>
{
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), RamFlashError> {
        check_read(self, offset, bytes.len()).map_err(RamFlashError::Arguments)?;
        let from = self.octets.iter().skip(usize::try_from(offset).unwrap_or(usize::MAX));
        for (to, from) in bytes.iter_mut().zip(from) {
            *to = *from;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        LEN
    }
}

impl<const LEN: usize, const PAGE: usize, const WORD: usize> NorFlash
    for RamFlash<LEN, PAGE, WORD>
{
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), RamFlashError> {
        check_erase(self, from, to).map_err(RamFlashError::Arguments)?;
        let last = from.saturating_add(to).saturating_sub(1);
        for at in from..to {
            let at = if self.backwards { last.saturating_sub(at) } else { at };
            self.change(usize::try_from(at).unwrap_or(LEN), |octet, bits| octet | bits)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), RamFlashError> {
        check_write(self, offset, bytes.len()).map_err(RamFlashError::Arguments)?;
        let offset = usize::try_from(offset).unwrap_or(LEN);
        let places = || offset..offset.saturating_add(bytes.len());
        let erased = |at| self.octets.get(at).is_some_and(|octet| *octet == 0xFF);
        if !places().all(erased) {
            return Err(RamFlashError::Overwritten);
        }
        for (at, new) in places().zip(bytes) {
            self.change(at, |octet, bits| octet & (new | !bits))?;
        }
        Ok(())
    }
}
