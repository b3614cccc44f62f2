//! What a Matter device stores, in an order that leaves nothing half done at any power cut.
//!
//! ```text
//! key      item
//! 0x0000   a reset to the factory's state is under way: 1, else 0
//! 0x01..   marker of a fabric: empty, or the fabric before an update
//! 0x02..   fabric, under its index
//! 0x03..   resumption record     | fabric index (1) | id LE (8) | value
//! 0x04..   group key set         |
//! 0x05..   group                 |
//! 0x06..   Check-In client       |
//! 0xF0..   bounds of counters: they survive a reset to the factory's state
//! 0xF1..   the factory's data likewise
//! ```
//! Two things say at the start that something is unfinished, and [`Memory::open`] finishes it before
//! anything is restored:
//!
//! - **The marker of a fabric.** It is written before a fabric that is added, updated or removed.
//!   While it is there, the fabric goes, with all that belongs to it; or its former state comes back,
//!   if the marker holds one. [`Memory::complete`] deletes the marker, and nothing else: so the
//!   commissioning counts from one write on.
//! - **A reset to the factory's state.** All that is not the factory's goes, whatever else is
//!   unfinished. The item has its place from the start, so that a full store can be reset as well.
//!
//! Bounds of counters survive the reset: an administrator that commissions the device again may give
//! it the same node id and the same group keys. Counters that began again would repeat nonces.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;
use matter_session::crypto::Secret;
use matter_session::fabric::Fabric;
use matter_session::group::{CounterStore, GroupCounter, StoreError};
use matter_session::ids::{FabricIndex, Peer};
use matter_session::resumption::ResumptionRecord;
use matter_session::session::ResumptionId;

use crate::{Error, Store};

const RESET: u16 = 0;
const MARKER: u16 = 0x0100;
const FABRIC: u16 = 0x0200;
const COUNTER: u16 = 0xF000;
/// Keys from here on survive a reset to the factory's state.
const STAYS: u16 = COUNTER;
/// Where the bound of Check-In messages stands.
const CHECK_IN: u16 = COUNTER | 2;

/// A resumption record as it is stored.
pub type StoredRecord = Secret<{ ResumptionRecord::ENCODED_LEN }>;
/// Room for a fabric as it is stored.
pub type StoredFabric = Secret<{ Fabric::ENCODED_MAX_LEN }>;

/// What belongs to a fabric, and goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A resumption record, under the node id of its peer.
    Record = 0x03,
    /// A group key set, under its id.
    KeySet = 0x04,
    /// A group, under its id.
    Group = 0x05,
    /// A client that has registered for Check-In messages, under its node id.
    Client = 0x06,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Record, Self::KeySet, Self::Group, Self::Client];
    /// How many items there are of each kind at most.
    pub const PLACES: u16 = 16;
    /// The longest value of an item, in bytes.
    pub const VALUE_MAX: usize = ResumptionRecord::ENCODED_LEN;

    fn of(key: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u16 == key >> 8)
    }

    /// The keys of its items.
    fn places(self) -> impl Iterator<Item = u16> {
        ((self as u16) << 8..).take(usize::from(Self::PLACES))
    }
}

/// An item that belongs to a fabric.
#[derive(Debug)]
pub struct Item<'b> {
    /// What it is.
    pub kind: Kind,
    /// The fabric that it belongs to.
    pub fabric: FabricIndex,
    /// Which one of its kind.
    pub id: u64,
    /// What it holds.
    pub value: &'b [u8],
}

const HEAD: usize = 1 + 8;

impl<'b> Item<'b> {
    fn read(key: u16, bytes: &'b [u8]) -> Option<Self> {
        let (&[fabric, id @ ..], value) = bytes.split_first_chunk::<HEAD>()?;
        let (kind, fabric) = (Kind::of(key)?, FabricIndex::new(fabric)?);
        Some(Self { kind, fabric, id: u64::from_le_bytes(id), value })
    }

    fn write(&self, buf: &'b mut Buf) -> Option<&'b [u8]> {
        let len = HEAD.checked_add(self.value.len())?;
        let out = buf.as_mut_bytes().get_mut(..len)?;
        let (head, value) = out.split_first_chunk_mut::<HEAD>()?;
        let [fabric, id @ ..] = head;
        (*fabric, *id) = (self.fabric.get(), self.id.to_le_bytes());
        value.copy_from_slice(self.value);
        Some(out)
    }
}

type Buf = Secret<{ HEAD + Kind::VALUE_MAX }>;

/// Something that is found after a reset.
#[derive(Debug)]
pub enum Kept<'b> {
    /// A fabric in its stored form.
    Fabric(&'b [u8]),
    /// An item that belongs to a fabric, which was found before.
    Item(Item<'b>),
}

/// What [`Memory::roll_back`] has done.
#[derive(Debug, PartialEq, Eq)]
pub enum Undone<'b> {
    /// There was nothing to undo.
    Nothing,
    /// The fabric was added, and is gone.
    Removed,
    /// The fabric was updated, and is again what these bytes say.
    Replaced(&'b [u8]),
}

/// What is under the key of an item.
enum Row<'b> {
    Free,
    Item(Item<'b>),
    /// Damaged, or of another version.
    Unreadable,
}

/// The store of a device.
#[derive(Debug)]
pub struct Memory<F>(Store<F>);

impl<F: NorFlash> Memory<F> {
    /// Opens the store, and finishes what a reset has interrupted: see the [module](self). Returns
    /// whether everything in it was lost; `None` if the flash fails. Nothing must be served then, as
    /// nobody knows what is unfinished.
    pub fn open(flash: F, region: Range<u32>) -> Option<(Self, bool)> {
        let (store, lost) = Store::open_or_format(flash, region).ok()?;
        let mut memory = Self(store);
        let mut flag = [0; 1];
        let finished = match memory.0.get(RESET, &mut flag) {
            Ok(Some([1])) => memory.finish_reset(),
            Ok(Some(_)) => true,
            // New, or damaged: one bit must not cost the device all that it has.
            Ok(None) | Err(Error::Damaged { .. } | Error::BufferTooSmall { .. }) => {
                matches!(memory.0.put(RESET, &[0]), Ok(()) | Err(Error::Full))
            }
            Err(_) => false,
        };
        (finished && memory.finish_fabrics()).then_some((memory, lost))
    }

    /// Keeps a fabric that was added (AddNOC), with everything that was under its index before gone.
    /// A restart removes it until [`complete`](Self::complete) was called. Returns whether it is
    /// kept. Answer the command after that. If it is not kept, remove the fabric from the manager.
    pub fn keep_added(&mut self, fabric: Fabric<'_>) -> bool {
        let index = fabric.index();
        let marked = self.0.put(marker(index), &[]).is_ok();
        let kept = marked && self.erase(index, &Kind::ALL) && self.keep_fabric(fabric);
        kept || self.give_up(index)
    }

    /// Keeps a fabric that was updated (UpdateNOC), with its resumption records gone. A restart
    /// brings back the former state until [`complete`](Self::complete) was called. Returns whether
    /// it is kept. Answer the command after that. If it is not kept, the manager gets the former
    /// state back from [`fabric`](Self::fabric), and the store from [`roll_back`](Self::roll_back).
    pub fn keep_updated(&mut self, fabric: Fabric<'_>) -> bool {
        let index = fabric.index();
        self.mark_former(index) && self.erase(index, &[Kind::Record]) && self.keep_fabric(fabric)
    }

    /// Keeps a fabric in place of its former state, for good: its identity protection keys have
    /// changed. Returns whether it is kept.
    pub fn keep_fabric(&mut self, fabric: Fabric<'_>) -> bool {
        let mut bytes = StoredFabric::zero();
        let Ok(len) = fabric.encode(bytes.as_mut_bytes()) else { return false };
        let Some(encoded) = bytes.as_bytes().get(..len) else { return false };
        self.0.put(FABRIC | low(fabric.index()), encoded).is_ok()
    }

    /// A fabric as it is kept; `None` if it is not, or cannot be read. Read it before an update: if
    /// [`keep_updated`](Self::keep_updated) fails, the manager gets these bytes back
    /// (`Fabrics::replace`).
    pub fn fabric<'b>(
        &mut self,
        index: FabricIndex,
        buf: &'b mut StoredFabric,
    ) -> Option<&'b [u8]> {
        self.0.get(FABRIC | low(index), buf.as_mut_bytes()).ok().flatten()
    }

    /// Keeps an added or updated fabric for good (CommissioningComplete). Returns whether it is.
    /// Answer the command after that.
    pub fn complete(&mut self, fabric: FabricIndex) -> bool {
        self.0.remove(marker(fabric)).is_ok()
    }

    /// Undoes an addition or an update that is not [complete](Self::complete): the fail-safe has
    /// expired. `None` if the flash fails: call it again later, a restart does so as well.
    pub fn roll_back<'b>(
        &mut self,
        fabric: FabricIndex,
        buf: &'b mut StoredFabric,
    ) -> Option<Undone<'b>> {
        let former = match self.0.get(marker(fabric), buf.as_mut_bytes()) {
            Ok(None) => return Some(Undone::Nothing),
            Ok(Some(former)) => former,
            // What the fabric was is lost, and what it is now does not count.
            Err(Error::Damaged { .. } | Error::BufferTooSmall { .. }) => &[],
            Err(_) => return None,
        };
        let key = FABRIC | low(fabric);
        let undone = if former.is_empty() {
            self.erase(fabric, &Kind::ALL) && self.0.remove(key).is_ok()
        } else {
            self.erase(fabric, &[Kind::Record]) && self.0.put(key, former).is_ok()
        };
        // Last: a reset before this begins again.
        if !undone || self.0.remove(marker(fabric)).is_err() {
            return None;
        }
        Some(if former.is_empty() { Undone::Removed } else { Undone::Replaced(former) })
    }

    /// Deletes a fabric and all that belongs to it (RemoveFabric). Returns true when it is gone:
    /// answer the command after that. Once begun, a restart goes on with it.
    pub fn forget_fabric(&mut self, fabric: FabricIndex) -> bool {
        let mut buf = StoredFabric::zero();
        self.0.put(marker(fabric), &[]).is_ok() && self.roll_back(fabric, &mut buf).is_some()
    }

    /// Deletes all but bounds of counters and the factory's data. Returns true when it is gone: end
    /// all sessions without another answer, and restart. Once begun, a restart goes on with it.
    pub fn reset(&mut self) -> bool {
        self.0.put(RESET, &[1]).is_ok() && self.finish_reset()
    }

    /// Keeps the value of an item in place of its former one, or deletes it. Returns whether that is
    /// done.
    ///
    /// What cannot be read is deleted, too: it may be the former value, and a bit that was read
    /// wrongly can be right the next time.
    pub fn keep(&mut self, kind: Kind, fabric: FabricIndex, id: u64, value: Option<&[u8]>) -> bool {
        let (mut own, mut free) = (None, None);
        for place in kind.places() {
            match self.row(place, &mut Buf::zero()) {
                Ok(Row::Item(item)) if (item.fabric, item.id) == (fabric, id) => own = Some(place),
                Ok(Row::Item(_)) => {}
                Ok(Row::Unreadable) if self.0.remove(place).is_err() => return false,
                Ok(Row::Unreadable | Row::Free) => free = free.or(Some(place)),
                Err(()) => return false,
            }
        }
        let Some(value) = value else {
            return own.is_none_or(|place| self.0.remove(place).is_ok());
        };
        let mut buf = Buf::zero();
        let item = Item { kind, fabric, id, value };
        let Some((place, bytes)) = own.or(free).zip(item.write(&mut buf)) else { return false };
        self.0.put(place, bytes).is_ok()
    }

    /// Keeps the record of a peer in place of its former one, or deletes that. Returns whether it
    /// is done: a peer that claims the record may be answered then.
    pub fn keep_record(&mut self, peer: Peer, record: Option<&StoredRecord>) -> bool {
        let value = record.map(|record| &record.as_bytes()[..]);
        self.keep(Kind::Record, peer.fabric, peer.node.get(), value)
    }

    /// Deletes every record but those that `is_current` returns true for. Returns whether that is
    /// done.
    pub fn retain_records(&mut self, is_current: impl Fn(Peer, &ResumptionId) -> bool) -> bool {
        self.delete_if(Kind::Record, |item| {
            let record = ResumptionRecord::from_bytes(item.value);
            record.is_ok_and(|it| is_current(Peer::new(it.fabric, it.peer), &it.id))
        })
    }

    /// Shows everything that is kept, a fabric before what belongs to it.
    pub fn each(&mut self, mut tell: impl FnMut(Kept<'_>)) {
        let mut bytes = StoredFabric::zero();
        let mut items = self.0.iter();
        loop {
            let (key, bytes) = match items.next_into(bytes.as_mut_bytes()) {
                Ok(Some(item)) => item,
                // Nothing of this version, or damaged: what follows may be whole.
                Err(Error::BufferTooSmall { .. } | Error::Damaged { .. }) => continue,
                Ok(None) | Err(_) => break,
            };
            if key & 0xFF00 == FABRIC {
                tell(Kept::Fabric(bytes));
            } else if let Some(item) = Item::read(key, bytes) {
                tell(Kept::Item(item));
            }
        }
    }

    /// Loads the bound of the counter of Check-In messages; `None` if there never was one.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read: begin no other counter then.
    pub fn check_in_bound(&mut self) -> Result<Option<u64>, StoreError> {
        self.bound(CHECK_IN)
    }

    /// Keeps the bound of the counter of Check-In messages. Returns whether it is kept: call
    /// `IcdCounter::stored` then.
    pub fn keep_check_in_bound(&mut self, bound: u64) -> bool {
        self.0.put(CHECK_IN, &bound.to_le_bytes()).is_ok()
    }

    /// The flash driver.
    pub const fn flash(&self) -> &F {
        self.0.flash()
    }

    fn bound(&mut self, key: u16) -> Result<Option<u64>, StoreError> {
        let mut buf = [0; 8];
        match self.0.get(key, &mut buf) {
            Ok(None) => Ok(None),
            Ok(Some(bytes)) => bytes
                .try_into()
                .map(|bytes| Some(u64::from_le_bytes(bytes)))
                .map_err(|_| StoreError),
            Err(_) => Err(StoreError),
        }
    }

    /// Marks a fabric as updated, with what is kept of it now. One that is marked already is not
    /// what it is to be again.
    fn mark_former(&mut self, fabric: FabricIndex) -> bool {
        let mut buf = StoredFabric::zero();
        let unmarked = matches!(self.0.get(marker(fabric), buf.as_mut_bytes()), Ok(None));
        let former = self.fabric(fabric, &mut buf).filter(|_| unmarked);
        former.is_some_and(|former| self.0.put(marker(fabric), former).is_ok())
    }

    /// Undoes what could not be kept, now if the flash lets it, otherwise at the start.
    fn give_up(&mut self, fabric: FabricIndex) -> bool {
        let _ = self.roll_back(fabric, &mut StoredFabric::zero());
        false
    }

    /// Finishes what is unfinished of every fabric.
    fn finish_fabrics(&mut self) -> bool {
        let mut buf = StoredFabric::zero();
        loop {
            let index = match self.0.next_key(MARKER) {
                Ok(Some(key)) if key & 0xFF00 == MARKER => FabricIndex::new(key.to_le_bytes()[0]),
                Ok(_) => return true,
                Err(_) => return false,
            };
            let undone = index.and_then(|index| self.roll_back(index, &mut buf));
            if undone.is_none() {
                return false;
            }
        }
    }

    /// Deletes all but what survives a reset to the factory's state.
    fn finish_reset(&mut self) -> bool {
        let mut from = RESET + 1;
        loop {
            let key = match self.0.next_key(from) {
                Ok(Some(key)) => key,
                Ok(None) => break,
                Err(_) => return false,
            };
            // A counter whose bound is damaged counts no more: it may begin again, as the keys that
            // it counted for are gone.
            let stays = key >= STAYS && (key & 0xFF00 != COUNTER || self.bound(key).is_ok());
            if !stays && self.0.remove(key).is_err() {
                return false;
            }
            from = key.saturating_add(1);
        }
        // What was removed is still there, to be read from outside.
        self.0.scrub().is_ok() && self.0.put(RESET, &[0]).is_ok()
    }

    /// Deletes what belongs to a fabric, and what cannot be read: it may be of that fabric.
    fn erase(&mut self, fabric: FabricIndex, kinds: &[Kind]) -> bool {
        kinds.iter().all(|kind| self.delete_if(*kind, |item| item.fabric != fabric))
    }

    /// Deletes the items of a kind that `stays` returns false for, and those that cannot be read.
    fn delete_if(&mut self, kind: Kind, stays: impl Fn(&Item<'_>) -> bool) -> bool {
        let mut done = true;
        for place in kind.places() {
            done &= match self.row(place, &mut Buf::zero()) {
                Ok(Row::Free) => true,
                Ok(Row::Item(item)) if stays(&item) => true,
                Ok(Row::Item(_) | Row::Unreadable) => self.0.remove(place).is_ok(),
                Err(()) => false,
            };
        }
        done
    }

    /// What is under a key. An error says that the flash cannot be read.
    fn row<'b>(&mut self, place: u16, buf: &'b mut Buf) -> Result<Row<'b>, ()> {
        match self.0.get(place, buf.as_mut_bytes()) {
            Ok(None) => Ok(Row::Free),
            Ok(Some(bytes)) => Ok(Item::read(place, bytes).map_or(Row::Unreadable, Row::Item)),
            Err(Error::BufferTooSmall { .. } | Error::Damaged { .. }) => Ok(Row::Unreadable),
            Err(_) => Err(()),
        }
    }
}

impl<F: NorFlash> CounterStore for Memory<F> {
    fn load(&mut self, counter: GroupCounter) -> Result<Option<u64>, StoreError> {
        self.bound(bound_of(counter))
    }

    fn store(&mut self, counter: GroupCounter, bound: u64) -> Result<(), StoreError> {
        self.0.put(bound_of(counter), &bound.to_le_bytes()).map_err(|_| StoreError)
    }
}

const fn bound_of(counter: GroupCounter) -> u16 {
    match counter {
        GroupCounter::Data => COUNTER,
        GroupCounter::Control => COUNTER | 1,
    }
}

const fn marker(fabric: FabricIndex) -> u16 {
    MARKER | low(fabric)
}

const fn low(fabric: FabricIndex) -> u16 {
    fabric.get() as u16
}
