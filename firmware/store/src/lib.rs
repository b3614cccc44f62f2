//! A key-value store in NOR flash for small items: fabrics, resumption records, counters.
//! [`memory`] keeps what a Matter device has to keep in it.
//!
//! A reset between any two bytes of a write or an erase leaves every item as it was before or as
//! it was to be, and everything else untouched. No fault of the flash brings back a removed item
//! or a former value: see [below](#faults). No allocator, no `unsafe`, no panics, 128 bytes of
//! buffers on the stack.
//!
//! The region is two banks of one or more erase pages each. One is active: a head and a log of
//! entries. The newest entry of a key counts.
//!
//! ```text
//! bank    magic | generation | CRC-32        written when the entries are complete
//!         seal                               written next: the bank is in force
//!         seal                               written when the other bank is erased
//! entry   key (2) | length (2) | CRC-32      written first
//!         value                              then
//!         CRC-32 of key, length and value    then
//!         seal                               last
//! ```
//! A full bank is copied, without what is outdated, into the other one, and is then erased. An
//! operation is acknowledged when one bank is left. No word is written twice between two erasures,
//! so flash with error correction over words serves as well.
//!
//! # Faults
//!
//! - **A write or an erase that reports a failure**, whether it was done or not: the operation
//!   tries the other bank or returns the error. The next operation first finds out what is on the
//!   flash, as after a restart, and brings it into a new bank.
//! - **A write that reports success and was not done**: all writes and erasures are read back. The
//!   seal after each entry is a second write, so a chip that still holds its last write in a
//!   buffer when the power fails loses the seal and not the entry.
//! - **Bits that flip**: an entry whose value is damaged reads as [`Error::Damaged`], and no former
//!   value of its key is returned in its place. If the head of an entry or of the active bank is
//!   damaged, everything is [lost](Error::Lost), as nobody can tell which key had a newer value.
//!   A seal tells damage from an interrupted write. A single flipped bit in the head of the active
//!   bank's entries costs all items; flash with error correction makes that unlikely.
//!
//! # Why not `sequential-storage`
//!
//! That crate does the same and more, asynchronously. Removing an item there writes a word twice,
//! which flash with error correction forbids; its recovery may erase everything; and its code
//! holds panics, of which the device images are to have none.

#![no_std]

mod bank;
mod log;
pub mod memory;
pub mod ram;

use core::fmt;
use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use crate::bank::{Bank, Banks};
use crate::log::{Change, REMOVED};

/// A store in the flash `F`. See the [crate](self).
#[derive(Debug)]
pub struct Store<F> {
    banks: Banks<F>,
    active: Bank,
    generation: u32,
    /// Where in the active bank the next entry is written. All entries before it count.
    end: u32,
    /// Whether the log can go on at `end`, and the other bank is erased.
    clean: bool,
}

/// Why an operation failed. Nothing has changed, unless the flash failed: then the item written is
/// the old or the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The flash driver reported a failure.
    Flash(E),
    /// The flash does not hold what was written, though its driver reported success.
    Unwritten,
    /// The region is not two banks of whole pages each.
    Region,
    /// The item does not fit beside the others.
    Full,
    /// The buffer is shorter than the item.
    BufferTooSmall {
        /// The length in bytes that suffices.
        needed: usize,
    },
    /// No item can have this key: 0xFFFF is erased flash.
    Key,
    /// The newest value of this key is damaged. Write or remove the item.
    Damaged {
        /// The key of the item.
        key: u16,
    },
    /// Everything is lost: what is damaged cannot be told from what is outdated. Make an empty
    /// store with [`Store::format`].
    Lost,
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "flash: {error:?}"),
            Self::Unwritten => f.write_str("the flash does not hold what was written"),
            Self::Region => f.write_str("the region is not two banks of whole pages"),
            Self::Full => f.write_str("no room for the item"),
            Self::BufferTooSmall { needed } => write!(f, "the item has {needed} bytes"),
            Self::Key => f.write_str("no item can have this key"),
            Self::Damaged { key } => write!(f, "the item {key:#06x} is damaged"),
            Self::Lost => f.write_str("the store is damaged, all items are lost"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Error<E> {}

impl<E> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Self::Flash(error)
    }
}

impl<F: NorFlash> Store<F> {
    /// Opens the store in `region` of the flash, or makes an empty one if all of it is erased. The
    /// region is split into two equal banks of whole erase pages; what is live must fit into one.
    ///
    /// What an interrupted operation has left is tidied up. If the flash fails at that, the store
    /// can be read, and the next operation tries again.
    ///
    /// # Errors
    /// [`Error::Lost`]: nothing has been erased yet. [`Error::Region`], [`Error::Flash`],
    /// [`Error::Unwritten`].
    pub fn open(flash: F, region: Range<u32>) -> Result<Self, Error<F::Error>> {
        let mut store = Self::closed(flash, region)?;
        store.load()?;
        Ok(store)
    }

    /// Opens the store, or makes an empty one in its place if everything is lost. Returns whether
    /// it is: report that, as nobody else will know.
    ///
    /// # Errors
    /// [`Error::Region`], [`Error::Flash`], [`Error::Unwritten`].
    pub fn open_or_format(flash: F, region: Range<u32>) -> Result<(Self, bool), Error<F::Error>> {
        let mut store = Self::closed(flash, region)?;
        let lost = match store.load() {
            Err(Error::Lost) => true,
            loaded => loaded.map(|()| false)?,
        };
        if lost {
            store.make()?;
        }
        Ok((store, lost))
    }

    /// Makes an empty store, whatever the region holds. Interrupted, it has to be called again:
    /// until then [`open`](Self::open) returns [`Error::Lost`] or opens an empty store.
    ///
    /// # Errors
    /// [`Error::Region`], [`Error::Flash`], [`Error::Unwritten`].
    pub fn format(flash: F, region: Range<u32>) -> Result<Self, Error<F::Error>> {
        let mut store = Self::closed(flash, region)?;
        store.make()?;
        Ok(store)
    }

    fn load(&mut self) -> Result<(), Error<F::Error>> {
        if self.is_new()? {
            return self.make();
        }
        self.mount()?;
        if !self.clean {
            // Only the next change depends on it, and does it again.
            let _ = self.compact(None);
        }
        Ok(())
    }

    fn closed(flash: F, region: Range<u32>) -> Result<Self, Error<F::Error>> {
        let banks = Banks::new(flash, region).ok_or(Error::Region)?;
        Ok(Self { banks, active: Bank::First, generation: 0, end: 0, clean: false })
    }

    /// Reads an item into `buf`.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Lost`], [`Error::BufferTooSmall`], [`Error::Flash`].
    pub fn get<'b>(
        &mut self,
        key: u16,
        buf: &'b mut [u8],
    ) -> Result<Option<&'b [u8]>, Error<F::Error>> {
        match self.find(key)? {
            Some(entry) => self.value(&entry, buf).map(Some),
            None => Ok(None),
        }
    }

    /// Writes an item in place of the former one of this key. A value that is there already is
    /// not written again.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Key`], [`Error::Lost`], [`Error::Flash`], [`Error::Unwritten`].
    pub fn put(&mut self, key: u16, value: &[u8]) -> Result<(), Error<F::Error>> {
        let len = u16::try_from(value.len()).ok().filter(|len| *len != REMOVED);
        let len = len.ok_or(Error::Full)?;
        if key == u16::MAX {
            return Err(Error::Key);
        }
        self.recover()?;
        if self.holds(key, value)? {
            return Ok(());
        }
        self.apply(&Change { key, len, value })
    }

    /// Removes an item. Returns false if there was none.
    ///
    /// Its bytes stay in the flash until the banks change: see [`scrub`](Self::scrub).
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Flash`], [`Error::Unwritten`].
    pub fn remove(&mut self, key: u16) -> Result<bool, Error<F::Error>> {
        self.recover()?;
        if self.find(key)?.is_none() {
            return Ok(false);
        }
        self.apply(&Change { key, len: REMOVED, value: &[] })?;
        Ok(true)
    }

    /// Erases what is outdated, so that removed secrets are gone. A reset meanwhile costs no item,
    /// but leaves the work undone.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Flash`], [`Error::Unwritten`].
    pub fn scrub(&mut self) -> Result<(), Error<F::Error>> {
        self.recover()?;
        self.compact(None)
    }

    /// The smallest key from `from` on that has an item, also if its value is damaged.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::Flash`].
    pub fn next_key(&mut self, from: u16) -> Result<Option<u16>, Error<F::Error>> {
        Ok(self.nearest(from)?.map(|entry| entry.key))
    }

    /// All items by ascending key: see [`Items::next_into`].
    pub fn iter(&mut self) -> Items<'_, F> {
        Items { store: self, next: Some(0) }
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.banks.into_flash()
    }

    /// The flash driver.
    pub const fn flash(&self) -> &F {
        self.banks.flash()
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
    /// [`Error::BufferTooSmall`] and [`Error::Damaged`] the item is passed over: call again.
    ///
    /// # Errors
    /// [`Error::BufferTooSmall`], [`Error::Damaged`], [`Error::Lost`], [`Error::Flash`].
    pub fn next_into<'b>(
        &mut self,
        buf: &'b mut [u8],
    ) -> Result<Option<Item<'b>>, Error<F::Error>> {
        let Some(first) = self.next else { return Ok(None) };
        let nearest = self.store.nearest(first)?;
        self.next = nearest.and_then(|entry| entry.key.checked_add(1));
        match nearest {
            Some(entry) => Ok(Some((entry.key, self.store.value(&entry, buf)?))),
            None => Ok(None),
        }
    }
}
