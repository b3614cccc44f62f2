//! What survives a reset: fabrics and resumption records.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;
use flash_store::{Error, Store};
use matter_session::crypto::Secret;
use matter_session::fabric::Fabric;
use matter_session::ids::Peer;
use matter_session::resumption::ResumptionRecord;
use matter_session::session::ResumptionId;

use crate::device::Stored;
use crate::tables::RECORDS;

/// The high octet of an item's key says what it is. Items are read by ascending key, so that a
/// fabric is there before its records.
const FABRIC: u16 = 0x01;
const RECORD: u16 = 0x02;

/// An item, as it is found after a reset.
pub enum Kept<'b> {
    /// A fabric in its stored form.
    Fabric(&'b [u8]),
    Record(ResumptionRecord),
}

/// What is under the key of a record.
enum Row {
    Free,
    Record(ResumptionRecord),
    /// Damaged, or of another version.
    Unreadable,
}

/// The store on a flash.
pub struct Memory<F>(Store<F>);

impl<F: NorFlash> Memory<F> {
    /// Opens the store. Returns whether everything in it was lost; `None` if the flash fails.
    pub fn open(flash: F, region: Range<u32>) -> Option<(Self, bool)> {
        let (store, lost) = Store::open_or_format(flash, region).ok()?;
        Some((Self(store), lost))
    }

    /// Keeps a fabric; returns whether it is kept.
    pub fn keep_fabric(&mut self, fabric: Fabric<'_>) -> bool {
        let mut octets = Secret::<{ Fabric::ENCODED_MAX_LEN }>::zero();
        let Ok(len) = fabric.encode(octets.as_mut_bytes()) else { return false };
        let Some(encoded) = octets.as_bytes().get(..len) else { return false };
        self.0.put(FABRIC << 8 | u16::from(fabric.index().get()), encoded).is_ok()
    }

    /// Keeps the record of a peer in place of its former one, or deletes that. Returns whether it
    /// is done.
    ///
    /// What cannot be read is deleted, too: it may be the former record of this peer, and a bit that
    /// was read wrongly can be right the next time.
    pub fn keep_record(&mut self, peer: Peer, record: Option<&Stored>) -> bool {
        let (mut own, mut free) = (None, None);
        for place in places() {
            match self.row(place) {
                Ok(Row::Record(record)) if Peer::new(record.fabric, record.peer) == peer => {
                    own = Some(place);
                }
                Ok(Row::Record(_)) => {}
                Ok(Row::Unreadable) if self.0.remove(place).is_err() => return false,
                Ok(Row::Unreadable | Row::Free) => free = free.or(Some(place)),
                Err(()) => return false,
            }
        }
        match (own, record) {
            (Some(place), None) => self.0.remove(place).is_ok(),
            (None, None) => true,
            (_, Some(record)) => {
                own.or(free).is_some_and(|place| self.0.put(place, record.as_bytes()).is_ok())
            }
        }
    }

    /// Deletes every record but those that `is_current` returns true for. Returns whether that is
    /// done.
    pub fn retain_records(&mut self, is_current: impl Fn(Peer, &ResumptionId) -> bool) -> bool {
        let mut done = true;
        for place in places() {
            let stale = match self.row(place) {
                Ok(Row::Record(record)) => {
                    !is_current(Peer::new(record.fabric, record.peer), &record.id)
                }
                Ok(Row::Unreadable) => true,
                Ok(Row::Free) => false,
                Err(()) => {
                    done = false;
                    continue;
                }
            };
            done &= !stale || self.0.remove(place).is_ok();
        }
        done
    }

    /// What is under a key. An error says that the flash cannot be read.
    fn row(&mut self, place: u16) -> Result<Row, ()> {
        let mut octets = Secret::<{ ResumptionRecord::ENCODED_LEN }>::zero();
        match self.0.get(place, octets.as_mut_bytes()) {
            Ok(None) => Ok(Row::Free),
            Ok(Some(octets)) => {
                Ok(ResumptionRecord::from_bytes(octets).map_or(Row::Unreadable, Row::Record))
            }
            Err(Error::BufferTooSmall { .. } | Error::Damaged { .. }) => Ok(Row::Unreadable),
            Err(_) => Err(()),
        }
    }

    /// Everything that is kept.
    pub fn each(&mut self, mut tell: impl FnMut(Kept<'_>)) {
        let mut octets = Secret::<{ Fabric::ENCODED_MAX_LEN }>::zero();
        let mut items = self.0.iter();
        loop {
            let (key, octets) = match items.next_into(octets.as_mut_bytes()) {
                Ok(Some(item)) => item,
                // Nothing of this version, or damaged: what follows may be whole.
                Err(Error::BufferTooSmall { .. } | Error::Damaged { .. }) => continue,
                Ok(None) | Err(_) => break,
            };
            let kept = match key >> 8 {
                FABRIC => Some(Kept::Fabric(octets)),
                RECORD => ResumptionRecord::from_bytes(octets).ok().map(Kept::Record),
                _ => None,
            };
            kept.into_iter().for_each(&mut tell);
        }
    }
}

/// The keys of records.
fn places() -> impl Iterator<Item = u16> {
    (RECORD << 8..).take(RECORDS)
}

#[cfg(test)]
mod tests;
