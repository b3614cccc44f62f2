//! The two banks: aligned reads, writes that are read back, seals.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use crate::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bank {
    First,
    Second,
}

impl Bank {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// The flash, addressed by bank and offset.
#[derive(Debug)]
pub(crate) struct Banks<F> {
    flash: F,
    start: u32,
    /// The length of each bank.
    len: u32,
}

/// So many bytes are read or written at once.
pub(crate) const CHUNK: usize = 64;

/// A word that says that everything before it is written. It is there if half the bits that it
/// clears are clear: an interrupted write may not have reached all, and bits may have flipped.
pub(crate) type Seal = u32;

/// So many clear bits in erased flash are flipped bits. What a complete entry has, seal and
/// checksum, is more.
const STRAY: u32 = 8;

impl<F: NorFlash> Banks<F> {
    /// Every part of an entry begins at a multiple of this, and is written at once.
    pub(crate) const ALIGN: u32 = {
        assert!(F::WRITE_SIZE <= CHUNK && CHUNK.is_multiple_of(F::WRITE_SIZE));
        assert!(F::WRITE_SIZE.is_multiple_of(F::READ_SIZE));
        #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
        if F::WRITE_SIZE < 4 { 4 } else { F::WRITE_SIZE as u32 }
    };

    /// `None` unless the region is two banks of whole pages within the flash.
    pub(crate) fn new(flash: F, region: Range<u32>) -> Option<Self> {
        let page = u32::try_from(F::ERASE_SIZE).ok()?;
        let len = region.end.checked_sub(region.start)? / 2;
        let fits = usize::try_from(region.end).is_ok_and(|end| end <= flash.capacity());
        let whole = |len: u32| len.is_multiple_of(page);
        (fits && len > 0 && whole(region.start) && whole(len)).then_some(Self {
            flash,
            start: region.start,
            len,
        })
    }

    pub(crate) fn into_flash(self) -> F {
        self.flash
    }

    pub(crate) const fn flash(&self) -> &F {
        &self.flash
    }

    /// The length of each bank.
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    pub(crate) const fn padded(len: u32) -> u32 {
        // Alignments are powers of two, as they divide the chunk.
        let below = Self::ALIGN.saturating_sub(1);
        len.saturating_add(below) & !below
    }

    const fn address(&self, bank: Bank, at: u32) -> u32 {
        match bank {
            Bank::First => self.start.saturating_add(at),
            Bank::Second => self.start.saturating_add(self.len).saturating_add(at),
        }
    }

    /// Reads up to a chunk.
    pub(crate) fn read<const N: usize>(
        &mut self,
        bank: Bank,
        at: u32,
    ) -> Result<[u8; N], Error<F::Error>> {
        let (mut bytes, mut rest) = ([0; N], N);
        self.visit(bank, at, u32::try_from(N).unwrap_or_default(), |read| {
            for (to, from) in bytes.iter_mut().skip(N.saturating_sub(rest)).zip(read) {
                *to = *from;
            }
            rest = rest.saturating_sub(read.len());
        })?;
        Ok(bytes)
    }

    /// Shows `len` bytes, in chunks.
    pub(crate) fn visit(
        &mut self,
        bank: Bank,
        at: u32,
        len: u32,
        mut see: impl FnMut(&[u8]),
    ) -> Result<(), Error<F::Error>> {
        let (mut address, mut left) = (self.address(bank, at), len);
        while left > 0 {
            let mut buf = [0; CHUNK];
            let piece = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let piece_len = u32::try_from(piece).unwrap_or_default();
            let aligned = usize::try_from(Self::padded(piece_len)).unwrap_or(CHUNK);
            let chunk = buf.get_mut(..aligned).unwrap_or_default();
            self.flash.read(address, chunk)?;
            see(chunk.get(..piece).unwrap_or_default());
            (address, left) = (address.saturating_add(piece_len), left.saturating_sub(piece_len));
        }
        Ok(())
    }

    /// Writes up to a chunk, padded as erased flash is, and reads it back.
    pub(crate) fn write(
        &mut self,
        bank: Bank,
        at: u32,
        bytes: &[u8],
    ) -> Result<(), Error<F::Error>> {
        let mut buf = [0xFF; CHUNK];
        for (to, from) in buf.iter_mut().zip(bytes) {
            *to = *from;
        }
        let len = Self::padded(u32::try_from(bytes.len()).unwrap_or_default());
        let chunk = buf.get(..usize::try_from(len).unwrap_or(CHUNK)).unwrap_or_default();
        self.flash.write(self.address(bank, at), chunk)?;
        let mut written = true;
        self.visit(bank, at, len, |read| written = chunk == read)?;
        if written { Ok(()) } else { Err(Error::Unwritten) }
    }

    /// Copies up to `len` aligned bytes; returns how many.
    pub(crate) fn copy(
        &mut self,
        (from, from_at): (Bank, u32),
        (to, to_at): (Bank, u32),
        len: u32,
    ) -> Result<u32, Error<F::Error>> {
        let mut buf = [0; CHUNK];
        let len = usize::try_from(len).unwrap_or(CHUNK).min(CHUNK);
        let chunk = buf.get_mut(..len).unwrap_or_default();
        self.flash.read(self.address(from, from_at), chunk)?;
        self.write(to, to_at, chunk)?;
        Ok(u32::try_from(len).unwrap_or_default())
    }

    /// Erases a bank and looks whether it is.
    pub(crate) fn erase(&mut self, bank: Bank) -> Result<(), Error<F::Error>> {
        self.flash.erase(self.address(bank, 0), self.address(bank, self.len))?;
        if self.is_erased(bank, 0)? { Ok(()) } else { Err(Error::Unwritten) }
    }

    /// Whether every bit of a bank is set, from an offset on.
    pub(crate) fn is_erased(&mut self, bank: Bank, from: u32) -> Result<bool, Error<F::Error>> {
        Ok(self.clear_bits(bank, from)? == 0)
    }

    /// Whether something was written behind an offset: more than flipped bits.
    pub(crate) fn is_used(&mut self, bank: Bank, from: u32) -> Result<bool, Error<F::Error>> {
        Ok(self.clear_bits(bank, from)? > STRAY)
    }

    fn clear_bits(&mut self, bank: Bank, from: u32) -> Result<u32, Error<F::Error>> {
        let mut clear = 0_u32;
        self.visit(bank, from, self.len.saturating_sub(from), |bytes| {
            let zeros = bytes.iter().map(|byte| byte.count_zeros());
            clear = zeros.fold(clear, u32::saturating_add);
        })?;
        Ok(clear)
    }

    /// Writes a seal, unless it is there.
    pub(crate) fn seal(&mut self, bank: Bank, at: u32, seal: Seal) -> Result<(), Error<F::Error>> {
        if self.is_sealed(bank, at, seal)? {
            return Ok(());
        }
        self.write(bank, at, &seal.to_le_bytes())
    }

    pub(crate) fn is_sealed(
        &mut self,
        bank: Bank,
        at: u32,
        seal: Seal,
    ) -> Result<bool, Error<F::Error>> {
        let clear = !u32::from_le_bytes(self.read(bank, at)?) & !seal;
        Ok(clear.count_ones() >= seal.count_zeros() / 2)
    }
}
