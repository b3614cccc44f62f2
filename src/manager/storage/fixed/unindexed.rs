//! Links between sessions, and indices that a device does without.

use crate::ids::{FabricIndex, Peer};
use crate::manager::storage::use_list::Link;
use crate::manager::storage::{Links, Peers, RecordIndex, RecordOrder, RecordUse, Seat};
use crate::session::ResumptionId;
use crate::time::Instant;

impl<const N: usize> Links for [Link; N] {
    const EMPTY: Self = [Link::NONE; N];

    fn get(&self, seat: Seat) -> Link {
        <[Link]>::get(self, seat.index()).copied().unwrap_or(Link::NONE)
    }

    fn get_mut(&mut self, seat: Seat) -> Option<&mut Link> {
        <[Link]>::get_mut(self, seat.index())
    }

    fn clear(&mut self, seat: Seat) {
        if let Some(link) = Links::get_mut(self, seat) {
            *link = Link::NONE;
        }
    }
}

/// No index: a device has few sessions. Any of the places may be the one, also beyond a limit that
/// was lowered.
#[derive(Debug)]
pub struct Unhashed<const SESSIONS: usize>;

impl<const SESSIONS: usize> Peers for Unhashed<SESSIONS> {
    const EMPTY: Self = Self;

    fn seed(&mut self, _: u64) {}

    fn insert(&mut self, _: Peer, _: Seat, _: impl Fn(Seat) -> Option<Peer>) {}

    fn remove(&mut self, _: Peer, _: Seat, _: impl Fn(Seat) -> Option<Peer>) {}

    fn candidates(&self, _: Peer) -> impl Iterator<Item = Seat> {
        (0..SESSIONS).map_while(Seat::at)
    }
}

/// No index: a device has few records.
#[derive(Debug)]
pub struct Unindexed;

impl RecordIndex for Unindexed {
    const EMPTY: Self = Self;

    fn insert(&mut self, _: ResumptionId, _: Peer) {}

    fn remove(&mut self, _: ResumptionId, _: Peer) {}

    fn nth(
        &self,
        _: FabricIndex,
        _: &ResumptionId,
        _: usize,
        scan: impl FnOnce() -> Option<Peer>,
    ) -> Option<Peer> {
        scan()
    }
}

impl RecordOrder for Unindexed {
    const EMPTY: Self = Self;

    fn insert(&mut self, _: Instant, _: Peer) {}

    fn remove(&mut self, _: Instant, _: Peer) {}

    fn first(&self, scan: impl FnOnce() -> Option<(Instant, Peer)>) -> Option<(Instant, Peer)> {
        scan()
    }
}

impl RecordUse for Unindexed {
    const EMPTY: Self = Self;

    fn insert(&mut self, _: Instant, _: Peer) {}

    fn remove(&mut self, _: Instant, _: Peer) {}

    fn first_to_evict(&self, _: FabricIndex, scan: impl FnOnce() -> Option<Peer>) -> Option<Peer> {
        scan()
    }
}
