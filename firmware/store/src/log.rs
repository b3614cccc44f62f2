//! The log of a bank: its entries, where it ends, and how it moves to the other bank.

use embedded_storage::nor_flash::NorFlash;

use crate::bank::{Bank, Banks, CHUNK, Seal};
use crate::{Error, Store};

/// An entry with an intact head.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    at: u32,
    next: u32,
    pub(crate) key: u16,
    /// `REMOVED`: the key has no value.
    len: u16,
}

/// An entry that is to be written.
pub(crate) struct Change<'v> {
    pub(crate) key: u16,
    pub(crate) len: u16,
    pub(crate) value: &'v [u8],
}

/// The length of an entry that removes its key.
pub(crate) const REMOVED: u16 = 0xFFFF;
const MAGIC: [u8; 4] = *b"MFS2";
const SEAL: Seal = 0;

impl<F: NorFlash> Store<F> {
    /// Behind the header of a bank: a seal, after which the bank is in force.
    const IN_FORCE: u32 = Banks::<F>::padded(12);
    /// A seal, written when the other bank is erased.
    const ALONE: u32 = Self::IN_FORCE.saturating_add(Banks::<F>::ALIGN);
    const BANK_HEAD: u32 = Self::ALONE.saturating_add(Banks::<F>::ALIGN);
    const HEAD: u32 = Banks::<F>::padded(8);
    /// The checksum, then the seal.
    const TAIL: u32 = Banks::<F>::ALIGN.saturating_mul(2);
    const OVERHEAD: u32 = Self::HEAD.saturating_add(Self::TAIL);

    /// Whether nothing was written yet, but for a part of the first header.
    pub(crate) fn is_new(&mut self) -> Result<bool, Error<F::Error>> {
        Ok(self.header(Bank::First)?.is_none()
            && self.banks.is_erased(Bank::First, Self::IN_FORCE)?
            && self.banks.is_erased(Bank::Second, 0)?)
    }

    /// Makes an empty store.
    pub(crate) fn make(&mut self) -> Result<(), Error<F::Error>> {
        for bank in [Bank::First, Bank::Second] {
            if !self.banks.is_erased(bank, 0)? {
                self.banks.erase(bank)?;
            }
        }
        self.activate(Bank::First, Self::BANK_HEAD)
    }

    /// Finds the active bank and the end of its log.
    pub(crate) fn mount(&mut self) -> Result<(), Error<F::Error>> {
        let (first, second) = (self.header(Bank::First)?, self.header(Bank::Second)?);
        let (active, generation) = match (first, second) {
            (Some(first), second) if Some(first) > second => (Bank::First, first),
            (first, Some(second)) if Some(second) > first => (Bank::Second, second),
            _ => return Err(Error::Lost),
        };
        // The other bank may be half written, or half erased. It may also be the newer one with a
        // damaged header.
        let newer = in_force(generation.saturating_add(1));
        if first.xor(second).is_some()
            && self.banks.is_sealed(active.other(), Self::IN_FORCE, newer)?
        {
            return Err(Error::Lost);
        }
        (self.active, self.generation) = (active, generation);
        let alone = self.is_alone()?;
        self.clean = self.find_end()? && alone;
        Ok(())
    }

    /// Finds the end of the log; returns whether it can go on there.
    fn find_end(&mut self) -> Result<bool, Error<F::Error>> {
        let (mut sealed, mut at) = (true, Self::BANK_HEAD);
        // Behind an entry that was not written to its end there is nothing.
        let behind = loop {
            let Some(entry) = self.entry(at)? else { break at.saturating_add(Self::HEAD) };
            if !self.banks.is_sealed(self.active, Self::seal_of(&entry), SEAL)? {
                sealed = false;
                if !self.is_intact(&entry)? {
                    break entry.next;
                }
            }
            at = entry.next;
        };
        if self.banks.is_used(self.active, behind)? {
            return Err(Error::Lost);
        }
        self.end = at;
        Ok(sealed && self.banks.is_erased(self.active, at)?)
    }

    /// After a failure, finds out what is on the flash, and tidies it up.
    pub(crate) fn recover(&mut self) -> Result<(), Error<F::Error>> {
        if self.clean {
            return Ok(());
        }
        self.mount()?;
        if self.clean { Ok(()) } else { self.compact(None) }
    }

    /// Adds an entry to the log, or changes to the other bank if it does not fit or the flash fails.
    pub(crate) fn apply(&mut self, change: &Change<'_>) -> Result<(), Error<F::Error>> {
        let next = self.end.saturating_add(Self::entry_len(change.len));
        if next <= self.banks.len() {
            self.clean = false;
            if self.append(self.active, self.end, change).is_ok() {
                (self.end, self.clean) = (next, true);
                return Ok(());
            }
        }
        self.compact(Some(change))
    }

    /// Copies what is live into the other bank, with one item changed.
    pub(crate) fn compact(&mut self, change: Option<&Change<'_>>) -> Result<(), Error<F::Error>> {
        let added = match change {
            Some(Change { len, .. }) if *len != REMOVED => Self::entry_len(*len),
            _ => 0,
        };
        let kept = self.live_len(change.map(|change| change.key))?;
        if Self::BANK_HEAD.saturating_add(kept).saturating_add(added) > self.banks.len() {
            return Err(Error::Full);
        }
        self.clean = false;
        // If a former attempt has left half a seal, it cannot be written; the new bank has its own.
        let _ = self.banks.seal(self.active, Self::IN_FORCE, in_force(self.generation));
        self.erase_other()?;
        let _ = self.banks.seal(self.active, Self::ALONE, SEAL);
        let target = self.active.other();
        let (mut at, mut from) = (Self::BANK_HEAD, Self::BANK_HEAD);
        while let Some(entry) = self.entry_before_end(from)? {
            if self.is_live(&entry)? && change.is_none_or(|change| change.key != entry.key) {
                at = self.copy(&entry, target, at)?;
            }
            from = entry.next;
        }
        if let Some(change) = change.filter(|change| change.len != REMOVED) {
            self.append(target, at, change)?;
            at = at.saturating_add(added);
        }
        self.activate(target, at)
    }

    /// Puts a bank in force, and erases the other one.
    fn activate(&mut self, bank: Bank, end: u32) -> Result<(), Error<F::Error>> {
        let generation = self.generation.saturating_add(1);
        let ([m0, m1, m2, m3], [g0, g1, g2, g3]) = (MAGIC, generation.to_le_bytes());
        let head = [m0, m1, m2, m3, g0, g1, g2, g3];
        let [c0, c1, c2, c3] = crc32(SEED, &head).to_le_bytes();
        let header = [m0, m1, m2, m3, g0, g1, g2, g3, c0, c1, c2, c3];
        self.banks.write(bank, 0, &header)?;
        (self.active, self.generation, self.end) = (bank, generation, end);
        self.banks.seal(bank, Self::IN_FORCE, in_force(generation))?;
        self.erase_other()?;
        self.banks.seal(bank, Self::ALONE, SEAL)?;
        self.clean = true;
        Ok(())
    }

    /// Whether the other bank was erased since this one came into force.
    fn is_alone(&mut self) -> Result<bool, Error<F::Error>> {
        self.banks.is_sealed(self.active, Self::ALONE, SEAL)
    }

    /// Erases the other bank. One that looks erased may be so in part only, if that was never
    /// sealed.
    fn erase_other(&mut self) -> Result<(), Error<F::Error>> {
        let other = self.active.other();
        if self.is_alone()? && self.banks.is_erased(other, 0)? {
            return Ok(());
        }
        self.banks.erase(other)
    }

    /// The generation of a bank that has a header.
    fn header(&mut self, bank: Bank) -> Result<Option<u32>, Error<F::Error>> {
        let bytes = self.banks.read::<12>(bank, 0)?;
        let [m0, m1, m2, m3, g0, g1, g2, g3, check @ ..] = bytes;
        let crc = crc32(SEED, &[m0, m1, m2, m3, g0, g1, g2, g3]);
        let valid = [m0, m1, m2, m3] == MAGIC && crc == u32::from_le_bytes(check);
        Ok(valid.then_some(u32::from_le_bytes([g0, g1, g2, g3])))
    }

    /// The bytes that the live entries take, but for one key's.
    fn live_len(&mut self, except: Option<u16>) -> Result<u32, Error<F::Error>> {
        let (mut live, mut at) = (0_u32, Self::BANK_HEAD);
        while let Some(entry) = self.entry_before_end(at)? {
            if Some(entry.key) != except && self.is_live(&entry)? {
                live = live.saturating_add(entry.next.saturating_sub(entry.at));
            }
            at = entry.next;
        }
        Ok(live)
    }

    /// How many bytes of values fit yet, if they are one item and what is outdated goes.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Flash`].
    pub fn room(&mut self) -> Result<usize, Error<F::Error>> {
        let taken = Self::BANK_HEAD.saturating_add(self.live_len(None)?);
        let room = self.banks.len().saturating_sub(taken).saturating_sub(Self::OVERHEAD);
        Ok(usize::try_from(room).unwrap_or(usize::MAX).min((REMOVED - 1).into()))
    }

    /// The item of a key: the newest entry, damaged or not, unless that removes it.
    pub(crate) fn find(&mut self, key: u16) -> Result<Option<Entry>, Error<F::Error>> {
        let (mut newest, mut at) = (None, Self::BANK_HEAD);
        while let Some(entry) = self.entry_before_end(at)? {
            if entry.key == key {
                newest = Some(entry);
            }
            at = entry.next;
        }
        Ok(newest.filter(|entry| entry.len != REMOVED))
    }

    /// The item with the lowest key that is not below `first`.
    pub(crate) fn nearest(&mut self, first: u16) -> Result<Option<Entry>, Error<F::Error>> {
        let (mut nearest, mut at) = (None::<Entry>, Self::BANK_HEAD);
        while let Some(entry) = self.entry_before_end(at)? {
            let nearer =
                entry.key >= first && nearest.is_none_or(|nearest| entry.key < nearest.key);
            if nearer && self.is_live(&entry)? {
                nearest = Some(entry);
            }
            at = entry.next;
        }
        Ok(nearest)
    }

    fn is_live(&mut self, entry: &Entry) -> Result<bool, Error<F::Error>> {
        Ok(self.find(entry.key)?.is_some_and(|newest| newest.at == entry.at))
    }

    /// Reads the value of an entry.
    pub(crate) fn value<'b>(
        &mut self,
        entry: &Entry,
        buf: &'b mut [u8],
    ) -> Result<&'b [u8], Error<F::Error>> {
        let needed = usize::from(entry.len);
        let out = buf.get_mut(..needed).ok_or(Error::BufferTooSmall { needed })?;
        let mut rest = &mut *out;
        let intact = self.check(entry, |bytes| {
            if let Some((to, tail)) = core::mem::take(&mut rest).split_at_mut_checked(bytes.len()) {
                to.copy_from_slice(bytes);
                rest = tail;
            }
        })?;
        if intact { Ok(out) } else { Err(Error::Damaged { key: entry.key }) }
    }

    /// Whether a key has this value, undamaged.
    pub(crate) fn holds(&mut self, key: u16, value: &[u8]) -> Result<bool, Error<F::Error>> {
        let Some(entry) = self.find(key)? else { return Ok(false) };
        let (mut rest, mut equal) = (value, usize::from(entry.len) == value.len());
        let intact = self.check(&entry, |bytes| {
            equal = equal && rest.starts_with(bytes);
            rest = rest.get(bytes.len()..).unwrap_or_default();
        })?;
        Ok(equal && intact)
    }

    /// Whether the value of an entry is undamaged.
    fn is_intact(&mut self, entry: &Entry) -> Result<bool, Error<F::Error>> {
        self.check(entry, |_| ())
    }

    /// Shows the value of an entry; returns whether it is undamaged.
    fn check(
        &mut self,
        entry: &Entry,
        mut see: impl FnMut(&[u8]),
    ) -> Result<bool, Error<F::Error>> {
        let mut crc = crc32(SEED, &head(entry.key, entry.len));
        let value = entry.at.saturating_add(Self::HEAD);
        self.banks.visit(self.active, value, value_len(entry.len), |bytes| {
            crc = crc32(crc, bytes);
            see(bytes);
        })?;
        let tail = entry.next.saturating_sub(Self::TAIL);
        Ok(crc == u32::from_le_bytes(self.banks.read(self.active, tail)?))
    }

    /// The entry at a place of the log; `None` at its end.
    fn entry_before_end(&mut self, at: u32) -> Result<Option<Entry>, Error<F::Error>> {
        if at >= self.end {
            return Ok(None);
        }
        // What was there when the store was opened is damaged.
        self.entry(at)?.ok_or(Error::Lost).map(Some)
    }

    /// The entry at a place of the active bank, if its head is intact.
    fn entry(&mut self, at: u32) -> Result<Option<Entry>, Error<F::Error>> {
        if at.saturating_add(Self::OVERHEAD) > self.banks.len() {
            return Ok(None);
        }
        let [k0, k1, l0, l1, check @ ..] = self.banks.read::<8>(self.active, at)?;
        let (key, len) = (u16::from_le_bytes([k0, k1]), u16::from_le_bytes([l0, l1]));
        let next = at.saturating_add(Self::entry_len(len));
        let intact = crc32(SEED, &[k0, k1, l0, l1]) == u32::from_le_bytes(check);
        Ok((intact && next <= self.banks.len()).then_some(Entry { at, next, key, len }))
    }

    /// Writes an entry: its head, its value, its checksum, its seal.
    fn append(&mut self, bank: Bank, at: u32, change: &Change<'_>) -> Result<(), Error<F::Error>> {
        let Change { key, len, value } = *change;
        let head = head(key, len);
        let crc = crc32(SEED, &head);
        let ([k0, k1, l0, l1], [c0, c1, c2, c3]) = (head, crc.to_le_bytes());
        self.banks.write(bank, at, &[k0, k1, l0, l1, c0, c1, c2, c3])?;
        let mut to = at.saturating_add(Self::HEAD);
        for chunk in value.chunks(CHUNK) {
            self.banks.write(bank, to, chunk)?;
            let len = u32::try_from(chunk.len()).unwrap_or_default();
            to = to.saturating_add(Banks::<F>::padded(len));
        }
        self.banks.write(bank, to, &crc32(crc, value).to_le_bytes())?;
        self.banks.seal(bank, to.saturating_add(Banks::<F>::ALIGN), SEAL)
    }

    /// Copies an entry as it is, damage included, and seals it. Returns where the next one goes.
    fn copy(&mut self, entry: &Entry, bank: Bank, at: u32) -> Result<u32, Error<F::Error>> {
        let seal = Self::seal_of(entry);
        let (mut from, mut to) = (entry.at, at);
        while from < seal {
            let len =
                self.banks.copy((self.active, from), (bank, to), seal.saturating_sub(from))?;
            (from, to) = (from.saturating_add(len), to.saturating_add(len));
        }
        self.banks.seal(bank, to, SEAL)?;
        Ok(to.saturating_add(Banks::<F>::ALIGN))
    }

    const fn seal_of(entry: &Entry) -> u32 {
        entry.next.saturating_sub(Banks::<F>::ALIGN)
    }

    const fn entry_len(len: u16) -> u32 {
        Self::OVERHEAD.saturating_add(Banks::<F>::padded(value_len(len)))
    }
}

/// The seal of a bank of this generation, which that of the next one does not resemble.
const fn in_force(generation: u32) -> Seal {
    match generation % 4 {
        0 => 0xFFFF_FF00,
        1 => 0xFFFF_00FF,
        2 => 0xFF00_FFFF,
        _ => 0x00FF_FFFF,
    }
}

const fn value_len(len: u16) -> u32 {
    if len == REMOVED { 0 } else { len as u32 }
}

fn head(key: u16, len: u16) -> [u8; 4] {
    let ([k0, k1], [l0, l1]) = (key.to_le_bytes(), len.to_le_bytes());
    [k0, k1, l0, l1]
}

/// Not that of a plain CRC-32: zeros must not have the checksum zero.
const SEED: u32 = u32::MAX;

/// Goes on with the CRC-32 of IEEE 802.3, without its final inversion. No table: flash is short.
fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xEDB8_8320 };
    bytes.iter().fold(crc, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
