//! Flash in RAM, for tests and for machines without flash: with its rules, with power cuts, and
//! with drivers that report what is not so.

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
    /// The call, counted from now, that goes wrong, and how.
    fault: Option<(usize, Fault)>,
    /// What is on the medium, if a call has only seemed to change it.
    pending: Option<[u8; LEN]>,
}

/// How a write or an erase goes wrong, other than by a power cut within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// So many octets are changed, and the call reports a failure. If that is all of them, it has
    /// failed in its report alone.
    Failed(usize),
    /// The call reports success and reads show all of it, but only so many octets are on the
    /// medium when the power fails: which it does before the next change.
    Torn(usize),
    /// The call reports success, and only so many octets were changed.
    Skipped(usize),
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
    /// The call failed, says the driver.
    Failed,
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
        Self {
            octets: [0xFF; LEN],
            left: None,
            torn: 0,
            backwards: false,
            fault: None,
            pending: None,
        }
    }

    /// Has a write or an erase go wrong: the next one if `calls` is 0.
    pub const fn fail_after(&mut self, calls: usize, fault: Fault) {
        self.fault = Some((calls, fault));
    }

    /// Whether a fault is still to come.
    #[must_use]
    pub const fn is_fault_pending(&self) -> bool {
        self.fault.is_some()
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

    /// The power was off, if it was not before, and is back. What is in the flash stays.
    pub fn restore_power(&mut self) {
        self.tear();
        (self.left, self.fault) = (None, None);
    }

    /// Takes back what has not reached the medium.
    fn tear(&mut self) {
        if let Some(octets) = self.pending.take() {
            self.octets = octets;
            self.left = Some(0);
        }
    }

    /// The fault of this call, if its turn has come.
    fn take_fault(&mut self) -> Option<Fault> {
        match self.fault {
            Some((0, fault)) => {
                self.fault = None;
                Some(fault)
            }
            Some((calls, fault)) => {
                self.fault = Some((calls.saturating_sub(1), fault));
                None
            }
            None => None,
        }
    }

    /// Changes the octets at `places` in this order, or as the fault of this call has it.
    fn change_all(
        &mut self,
        places: impl Iterator<Item = (usize, u8)> + Clone,
        change: impl Fn(u8, u8, u8) -> u8,
    ) -> Result<(), RamFlashError> {
        if self.pending.is_some() {
            self.tear();
            self.torn = 0;
            return Err(RamFlashError::PowerLost);
        }
        let fault = self.take_fault();
        let all = places.clone().count();
        let reached = match fault {
            Some(Fault::Failed(octets) | Fault::Torn(octets) | Fault::Skipped(octets)) => octets,
            None => all,
        };
        for (at, new) in places.clone().take(reached) {
            self.change(at, |octet, bits| change(octet, new, bits))?;
        }
        match fault {
            Some(Fault::Failed(_)) => return Err(RamFlashError::Failed),
            Some(Fault::Torn(_)) => {
                self.pending = Some(self.octets);
                for (at, new) in places.skip(reached) {
                    self.change(at, |octet, bits| change(octet, new, bits))?;
                }
            }
            Some(Fault::Skipped(_)) | None => {}
        }
        Ok(())
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
        let backwards = self.backwards;
        let places = (from..to).map(|at| {
            let at = if backwards { last.saturating_sub(at) } else { at };
            (usize::try_from(at).unwrap_or(LEN), 0xFF)
        });
        self.change_all(places, |octet, _, bits| octet | bits)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), RamFlashError> {
        check_write(self, offset, bytes.len()).map_err(RamFlashError::Arguments)?;
        let offset = usize::try_from(offset).unwrap_or(LEN);
        let places = || offset..offset.saturating_add(bytes.len());
        let erased = |at| self.octets.get(at).is_some_and(|octet| *octet == 0xFF);
        if !places().all(erased) {
            return Err(RamFlashError::Overwritten);
        }
        let places = places().zip(bytes.iter().copied());
        self.change_all(places, |octet, new, bits| octet & (new | !bits))
    }
}
