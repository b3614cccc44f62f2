//! A key-value store in NOR flash for small items: fabrics, resumption records, counters.
//!
//! A reset between any two bytes of a write or an erase leaves every item as it was before or as
//! it was to be, and everything else untouched. No allocator, no `unsafe`, no panics, 64 octets of
//! buffer on the stack.
//!
//! The region is two banks of one or more erase pages each. One is active: a header and a log of
//! entries. The newest committed entry of a key counts.
//!
//! ```text
//! bank    magic | generation | CRC-32                            the higher generation is active
//! entry   key (2) | length (2) | CRC-32 of both                  written first
//!         value                                                  then
//!         CRC-32 of key, length and value | commit marker        last
//! ```
//! A full bank is copied, without what is outdated, into the other one, whose header is written
//! last: until then the old bank is active. No word is written twice between two erasures, so
//! flash with error correction over words serves as well.
//!
//! Damage other than by a reset is noticed by the checksums: what does not verify is not there.
//!
//! # Why not `sequential-storage`
//!
//! That crate does the same and more, asynchronously. Removing an item there writes a word twice,
//! which flash with error correction forbids; its recovery may erase everything; and its code
//! holds panics, of which the device images are to have none.

#![no_std]

pub mod ram;

use core::fmt;
use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

/// A store in the flash `F`. See the [crate](self).
#[derive(Debug)]
pub struct Store<F> {
    flash: F,
    /// Where the banks begin.
    banks: [u32; 2],
    bank_len: u32,
    active: Bank,
    generation: u32,
    /// Where in the active bank the next entry goes; its end if none fits any more.
    end: u32,
}

/// What went wrong. Nothing has changed, unless the flash failed: then the item written is the old
/// or the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The flash driver failed.
    Flash(E),
    /// The region is not two banks of whole pages each.
    Region,
    /// The item does not fit beside the others.
    Full,
    /// The buffer is shorter than the item.
    BufferTooSmall {
        /// The length in octets that serves.
        needed: usize,
    },
    /// No item can have this key: 0xFFFF is erased flash.
    Key,
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "flash: {error:?}"),
            Self::Region => f.write_str("the region is not two banks of whole pages"),
            Self::Full => f.write_str("no room for the item"),
            Self::BufferTooSmall { needed } => write!(f, "the item has {needed} octets"),
            Self::Key => f.write_str("no item can have this key"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Error<E> {}

impl<E> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Self::Flash(error)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bank {
    First,
    Second,
}

/// An entry with an intact head.
#[derive(Clone, Copy)]
struct Entry {
    at: u32,
    next: u32,
    key: u16,
    /// `REMOVED`: the key has no value.
    len: u16,
}

/// What stands at a place of the log.
enum Slot {
    Entry(Entry),
    /// Nothing yet.
    Free,
    /// A head that was not written to its end: nothing can follow it.
    Torn,
}

const MAGIC: u32 = 0x3153_464D;
const COMMITTED: u32 = 0x600D_C0DE;
const REMOVED: u16 = 0xFFFF;
const CHUNK: usize = 64;

impl<F: NorFlash> Store<F> {
    /// Every part of an entry begins at a multiple of this, and is written at once.
    const ALIGN: u32 = {
        assert!(F::WRITE_SIZE <= CHUNK && CHUNK.is_multiple_of(F::WRITE_SIZE));
        assert!(F::WRITE_SIZE.is_multiple_of(F::READ_SIZE));
        #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
        if F::WRITE_SIZE < 4 { 4 } else { F::WRITE_SIZE as u32 }
    };
    const BANK_HEAD: u32 = Self::padded(12);
    const HEAD: u32 = Self::padded(8);
    const TAIL: u32 = Self::padded(8);
    const OVERHEAD: u32 = Self::HEAD.saturating_add(Self::TAIL);

    /// Opens the store in `region` of the flash, or makes an empty one if there is none. The
    /// region is split into two equal banks of whole erase pages; what is live must fit into one.
    ///
    /// # Errors
    /// [`Error::Region`], [`Error::Flash`].
    pub fn open(flash: F, region: Range<u32>) -> Result<Self, Error<F::Error>> {
        let page = u32::try_from(F::ERASE_SIZE).map_err(|_| Error::Region)?;
        let bank_len = region.end.checked_sub(region.start).ok_or(Error::Region)? / 2;
        let fits = usize::try_from(region.end).is_ok_and(|end| end <= flash.capacity());
        let whole = |len: u32| len.is_multiple_of(page);
        if !fits || bank_len == 0 || !whole(region.start) || !whole(bank_len) {
            return Err(Error::Region);
        }
        let banks = [region.start, region.start.saturating_add(bank_len)];
        let (active, generation, end) = (Bank::First, 0, bank_len);
        let mut store = Self { flash, banks, bank_len, active, generation, end };
        let first = store.generation_of(Bank::First)?;
        let second = store.generation_of(Bank::Second)?;
        match (first, second) {
            (None, None) => {
                store.erase(Bank::First)?;
                store.activate(Bank::First, Self::BANK_HEAD)?;
            }
            (first, second) => {
                store.active = if first > second { Bank::First } else { Bank::Second };
                store.generation = first.max(second).unwrap_or_default();
                store.end = store.find_end()?;
            }
        }
        Ok(store)
    }

    /// Reads an item into `buf`.
    ///
    /// # Errors
    /// [`Error::BufferTooSmall`], [`Error::Flash`].
    pub fn get<'b>(
        &mut self,
        key: u16,
        buf: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, Error<F::Error>> {
        let Some(entry) = self.find(key)? else { return Ok(None) };
        let needed = usize::from(entry.len);
        let out = buf.get_mut(..needed).ok_or(Error::BufferTooSmall { needed })?;
        let mut rest = &mut *out;
        self.visit(self.value_of(&entry), entry.len.into(), |octets| {
            if let Some((to, tail)) = core::mem::take(&mut rest).split_at_mut_checked(octets.len())
            {
                to.copy_from_slice(octets);
                rest = tail;
            }
        })?;
        Ok(Some(out))
    }

    /// Writes an item in place of the former one of this key. A value that is there already is
    /// not written again.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Key`], [`Error::Flash`].
    pub fn put(&mut self, key: u16, value: &[u8]) -> Result<(), Error<F::Error>> {
        let len = u16::try_from(value.len()).ok().filter(|len| *len != REMOVED);
        let len = len.ok_or(Error::Full)?;
        if key == u16::MAX {
            return Err(Error::Key);
        }
        if self.holds(key, value)? {
            return Ok(());
        }
        self.append_or_compact(key, len, value)
    }

    /// Removes an item. Returns false if there was none.
    ///
    /// Its octets stay in the flash until the banks have changed twice: see
    /// [`scrub`](Self::scrub).
    ///
    /// # Errors
    /// [`Error::Flash`].
    pub fn remove(&mut self, key: u16) -> Result<bool, Error<F::Error>> {
        if self.find(key)?.is_none() {
            return Ok(false);
        }
        self.append_or_compact(key, REMOVED, &[])?;
        Ok(true)
    }

    /// Erases what is outdated, so that removed secrets are gone. A reset meanwhile costs no item,
    /// but leaves the work undone.
    ///
    /// # Errors
    /// [`Error::Flash`].
    pub fn scrub(&mut self) -> Result<(), Error<F::Error>> {
        self.compact(None)?;
        self.erase(self.active.other())
    }

    /// All items by ascending key: see [`Items::next_into`].
    pub fn iter(&mut self) -> Items<'_, F> {
        Items { store: self, next: Some(0) }
    }

    /// How many octets of values fit yet, if they are one item and what is outdated goes.
    ///
    /// # Errors
    /// [`Error::Flash`].
    pub fn room(&mut self) -> Result<usize, Error<F::Error>> {
        let live = self.live_len(None)?;
        let taken = Self::BANK_HEAD.saturating_add(live);
        let room = self.bank_len.saturating_sub(taken).saturating_sub(Self::OVERHEAD);
        Ok(usize::try_from(room).unwrap_or(usize::MAX).min((REMOVED - 1).into()))
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// The flash driver.
    pub const fn flash(&self) -> &F {
        &self.flash
    }

    fn append_or_compact(
        &mut self,
        key: u16,
        len: u16,
        value: &[u8],
    ) -> Result<(), Error<F::Error>> {
        let next = self.end.saturating_add(Self::entry_len(len));
        if next > self.bank_len {
            return self.compact(Some((key, len, value)));
        }
        let at = core::mem::replace(&mut self.end, self.bank_len);
        // If this fails, the rest of the bank counts as used: what was written is unknown.
        self.append(self.active, at, key, len, value)?;
        self.end = next;
        Ok(())
    }

    /// Copies what is live into the other bank, with one item changed.
    fn compact(&mut self, change: Option<(u16, u16, &[u8])>) -> Result<(), Error<F::Error>> {
        let kept = self.live_len(change.map(|(key, ..)| key))?;
        let added = match change {
            Some((_, len, _)) if len != REMOVED => Self::entry_len(len),
            _ => 0,
        };
        if Self::BANK_HEAD.saturating_add(kept).saturating_add(added) > self.bank_len {
            return Err(Error::Full);
        }
        let target = self.active.other();
        self.erase(target)?;
        let (mut at, mut from) = (Self::BANK_HEAD, Self::BANK_HEAD);
        while let Slot::Entry(entry) = self.slot(from)? {
            if self.is_live(&entry)? && change.is_none_or(|(key, ..)| key != entry.key) {
                at = self.copy(&entry, target, at)?;
            }
            from = entry.next;
        }
        if let Some((key, len, value)) = change.filter(|(_, len, _)| *len != REMOVED) {
            self.append(target, at, key, len, value)?;
            at = at.saturating_add(added);
        }
        self.activate(target, at)
    }

    /// The octets that the live entries take, but for one key's.
    fn live_len(&mut self, except: Option<u16>) -> Result<u32, Error<F::Error>> {
        let (mut live, mut at) = (0_u32, Self::BANK_HEAD);
        while let Slot::Entry(entry) = self.slot(at)? {
            if Some(entry.key) != except && self.is_live(&entry)? {
                live = live.saturating_add(entry.next.saturating_sub(entry.at));
            }
            at = entry.next;
        }
        Ok(live)
    }

    /// The item of a key.
    fn find(&mut self, key: u16) -> Result<Option<Entry>, Error<F::Error>> {
        let (mut newest, mut at) = (None, Self::BANK_HEAD);
        while let Slot::Entry(entry) = self.slot(at)? {
            if entry.key == key && self.is_committed(&entry)? {
                newest = Some(entry);
            }
            at = entry.next;
        }
        Ok(newest.filter(|entry| entry.len != REMOVED))
    }

    fn is_live(&mut self, entry: &Entry) -> Result<bool, Error<F::Error>> {
        Ok(self.find(entry.key)?.is_some_and(|newest| newest.at == entry.at))
    }

    fn holds(&mut self, key: u16, value: &[u8]) -> Result<bool, Error<F::Error>> {
        let Some(entry) = self.find(key)? else { return Ok(false) };
        let (mut rest, mut equal) = (value, usize::from(entry.len) == value.len());
        self.visit(self.value_of(&entry), entry.len.into(), |octets| {
            equal = equal && rest.starts_with(octets);
            rest = rest.get(octets.len()..).unwrap_or_default();
        })?;
        Ok(equal)
    }

    fn find_end(&mut self) -> Result<u32, Error<F::Error>> {
        let mut at = Self::BANK_HEAD;
        loop {
            match self.slot(at)? {
                Slot::Entry(entry) => at = entry.next,
                Slot::Free => return Ok(at),
                Slot::Torn => return Ok(self.bank_len),
            }
        }
    }

    fn slot(&mut self, at: u32) -> Result<Slot, Error<F::Error>> {
        if at.saturating_add(Self::OVERHEAD) > self.bank_len {
            return Ok(Slot::Torn);
        }
        let head = self.read::<8>(self.address(self.active, at))?;
        if head == [0xFF; 8] {
            return Ok(Slot::Free);
        }
        let [k0, k1, l0, l1, check @ ..] = head;
        let (key, len) = (u16::from_le_bytes([k0, k1]), u16::from_le_bytes([l0, l1]));
        let next = at.saturating_add(Self::entry_len(len));
        if crc32(SEED, &[k0, k1, l0, l1]) != u32::from_le_bytes(check) || next > self.bank_len {
            return Ok(Slot::Torn);
        }
        Ok(Slot::Entry(Entry { at, next, key, len }))
    }

    fn is_committed(&mut self, entry: &Entry) -> Result<bool, Error<F::Error>> {
        let tail = entry.next.saturating_sub(Self::TAIL);
        let [c0, c1, c2, c3, marker @ ..] = self.read::<8>(self.address(self.active, tail))?;
        if u32::from_le_bytes(marker) != COMMITTED {
            return Ok(false);
        }
        let mut crc = crc32(SEED, &head(entry.key, entry.len));
        self.visit(self.value_of(entry), value_len(entry.len), |octets| {
            crc = crc32(crc, octets);
        })?;
        Ok(crc == u32::from_le_bytes([c0, c1, c2, c3]))
    }

    /// Writes an entry: its head, its value, its commit.
    fn append(
        &mut self,
        bank: Bank,
        at: u32,
        key: u16,
        len: u16,
        value: &[u8],
    ) -> Result<(), Error<F::Error>> {
        let start = self.address(bank, at);
        let head = head(key, len);
        let crc = crc32(SEED, &head);
        let [k0, k1, l0, l1] = head;
        let [c0, c1, c2, c3] = crc.to_le_bytes();
        self.write(start, &[k0, k1, l0, l1, c0, c1, c2, c3])?;
        let mut to = start.saturating_add(Self::HEAD);
        for chunk in value.chunks(CHUNK) {
            self.write(to, chunk)?;
            to = to.saturating_add(Self::padded(u32::try_from(chunk.len()).unwrap_or_default()));
        }
        let [c0, c1, c2, c3] = crc32(crc, value).to_le_bytes();
        let [m0, m1, m2, m3] = COMMITTED.to_le_bytes();
        self.write(to, &[c0, c1, c2, c3, m0, m1, m2, m3])
    }

    /// Copies an entry as it is. Returns where the next one goes.
    fn copy(&mut self, entry: &Entry, bank: Bank, at: u32) -> Result<u32, Error<F::Error>> {
        let (mut from, mut to) = (entry.at, at);
        while from < entry.next {
            let mut buf = [0; CHUNK];
            let len = usize::try_from(entry.next.saturating_sub(from)).unwrap_or(CHUNK).min(CHUNK);
            let chunk = buf.get_mut(..len).unwrap_or_default();
            self.flash.read(self.address(self.active, from), chunk)?;
            self.flash.write(self.address(bank, to), chunk)?;
            let len = u32::try_from(len).unwrap_or_default();
            (from, to) = (from.saturating_add(len), to.saturating_add(len));
        }
        Ok(to)
    }

    fn erase(&mut self, bank: Bank) -> Result<(), Error<F::Error>> {
        Ok(self.flash.erase(self.address(bank, 0), self.address(bank, self.bank_len))?)
    }

    /// Makes a bank the active one: from the end of this write on, and not before.
    fn activate(&mut self, bank: Bank, end: u32) -> Result<(), Error<F::Error>> {
        let generation = self.generation.saturating_add(1);
        let [m0, m1, m2, m3] = MAGIC.to_le_bytes();
        let [g0, g1, g2, g3] = generation.to_le_bytes();
        let head = [m0, m1, m2, m3, g0, g1, g2, g3];
        let [c0, c1, c2, c3] = crc32(SEED, &head).to_le_bytes();
        let address = self.address(bank, 0);
        self.write(address, &[m0, m1, m2, m3, g0, g1, g2, g3, c0, c1, c2, c3])?;
        (self.active, self.generation, self.end) = (bank, generation, end);
        Ok(())
    }

    /// The generation of a bank that has a header.
    fn generation_of(&mut self, bank: Bank) -> Result<Option<u32>, Error<F::Error>> {
        let bytes = self.read::<12>(self.address(bank, 0))?;
        let [m0, m1, m2, m3, g0, g1, g2, g3, check @ ..] = bytes;
        let crc = crc32(SEED, &[m0, m1, m2, m3, g0, g1, g2, g3]);
        let valid =
            u32::from_le_bytes([m0, m1, m2, m3]) == MAGIC && crc == u32::from_le_bytes(check);
        Ok(valid.then_some(u32::from_le_bytes([g0, g1, g2, g3])))
    }

    const fn address(&self, bank: Bank, at: u32) -> u32 {
        let [first, second] = self.banks;
        match bank {
            Bank::First => first.saturating_add(at),
            Bank::Second => second.saturating_add(at),
        }
    }

    /// Where the value of an entry begins.
    const fn value_of(&self, entry: &Entry) -> u32 {
        self.address(self.active, entry.at.saturating_add(Self::HEAD))
    }

    const fn padded(len: u32) -> u32 {
        // Alignments are powers of two, as they divide the chunk.
        let below = Self::ALIGN.saturating_sub(1);
        len.saturating_add(below) & !below
    }

    const fn entry_len(len: u16) -> u32 {
        Self::OVERHEAD.saturating_add(Self::padded(value_len(len)))
    }

    /// Reads up to a chunk.
    fn read<const N: usize>(&mut self, address: u32) -> Result<[u8; N], Error<F::Error>> {
        let (mut octets, mut rest) = ([0; N], N);
        self.visit(address, u32::try_from(N).unwrap_or_default(), |read| {
            for (to, from) in octets.iter_mut().skip(N.saturating_sub(rest)).zip(read) {
                *to = *from;
            }
            rest = rest.saturating_sub(read.len());
        })?;
        Ok(octets)
    }

    /// Shows `len` octets, in pieces.
    fn visit(
        &mut self,
        address: u32,
        len: u32,
        mut see: impl FnMut(&[u8]),
    ) -> Result<(), Error<F::Error>> {
        let (mut address, mut left) = (address, len);
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

    /// Writes up to a chunk, padded as erased flash is.
    fn write(&mut self, address: u32, octets: &[u8]) -> Result<(), Error<F::Error>> {
        let mut buf = [0xFF; CHUNK];
        for (to, from) in buf.iter_mut().zip(octets) {
            *to = *from;
        }
        let len = Self::padded(u32::try_from(octets.len()).unwrap_or_default());
        let chunk = buf.get(..usize::try_from(len).unwrap_or(CHUNK)).unwrap_or_default();
        Ok(self.flash.write(address, chunk)?)
    }
}

/// A key and its value.
pub type Item<'b> = (u16, &'b [u8]);

/// The items of a store, one after the other.
#[derive(Debug)]
pub struct Items<'s, F> {
    store: &'s mut Store<F>,
    next: Option<u16>,
}

impl<F: NorFlash> Items<'_, F> {
    /// The next item, read into `buf`; `None` behind the last. After
    /// [`Error::BufferTooSmall`] the item is passed over.
    ///
    /// # Errors
    /// [`Error::BufferTooSmall`], [`Error::Flash`].
    pub fn next_into<'b>(
        &mut self,
        buf: &'b mut [u8],
    ) -> Result<Option<Item<'b>>, Error<F::Error>> {
        let Some(first) = self.next else { return Ok(None) };
        let (mut key, mut at) = (None, Store::<F>::BANK_HEAD);
        while let Slot::Entry(entry) = self.store.slot(at)? {
            let nearer = entry.key >= first && key.is_none_or(|key| entry.key < key);
            if nearer && self.store.is_live(&entry)? {
                key = Some(entry.key);
            }
            at = entry.next;
        }
        self.next = key.and_then(|key| key.checked_add(1));
        match key {
            Some(key) => Ok(self.store.get(key, buf)?.map(|value| (key, value))),
            None => Ok(None),
        }
    }
}

impl Bank {
    const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
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
fn crc32(crc: u32, octets: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xEDB8_8320 };
    octets.iter().fold(crc, |crc, octet| (0..8).fold(crc ^ u32::from(*octet), |crc, _| step(crc)))
}
