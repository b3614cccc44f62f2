//! Which handshake loses its slot when all slots are taken.
//!
//! Anybody can begin a handshake and fall silent, and a member of any fabric can finish one and
//! acknowledge nothing. So every handshake that a peer began can lose its slot to a new one:
//!
//! | the new one | when |
//! |---|---|
//! | this node begins it | at once |
//! | its source will not have more than the source of the old one keeps | at once |
//! | it comes from the same source | after 200 ms for each that the source has, if that is shorter |
//! | its source has as many as the source of the old one will keep | after a grace period |
//! | its source has more | never |
//!
//! In the grace period an honest peer can answer. A source with few handshakes gives its own ones
//! away sooner, as another node may have forged the address.
//!
//! While the application works for a handshake, on a signature say, the grace period has not begun;
//! it does after three seconds. PASE has a longer one.
//!
//! Of several, one of the source with most handshakes loses its slot first, then one that waits for
//! its peer, then the one whose peer has been silent for the longest time. A peer that has answered
//! is given some more time. What a peer declares counts for nothing.

use core::cmp::Reverse;
use core::time::Duration;

use crate::crypto::Crypto;
use crate::handshake::HandshakeError;
use crate::manager::delivery::Delivery;
use crate::manager::handle::{HandshakeId, PeerAddress};
use crate::manager::handshakes::Handshakes;
use crate::manager::handshakes::slot::Slot;
use crate::manager::storage::{Map, Storage};
use crate::time::Instant;
use crate::wire::StatusReport;

/// A handshake that needs a slot.
pub(super) struct Newcomer {
    /// `None` if this node begins it.
    peer: Option<PeerAddress>,
    /// How many handshakes its source has under way.
    crowd: u16,
    /// The grace period of the others.
    grace: Duration,
}

impl Newcomer {
    /// Grace period for each slot, up to five: with few slots, new handshakes must not wait long
    /// for a slot that a silent peer holds.
    const GRACE: Duration = Duration::from_millis(200);
    const MOST_GRACE: usize = 5;

    /// Returns the grace period where there are so many slots, or so many handshakes of a source.
    fn grace(count: usize) -> Duration {
        (0..count.min(Self::MOST_GRACE))
            .fold(Duration::ZERO, |sum, _| sum.saturating_add(Self::GRACE))
    }
}

/// PASE is served to one peer at a time, so that it takes one slot at most. Its peer may compute
/// for a while.
pub(super) const PASE_GRACE: Duration = Duration::from_secs(10);

/// How long a handshake keeps its slot while the application works for it.
const WORK: Duration = Duration::from_secs(3);

/// How much longer a handshake keeps its slot whose peer has answered.
const ANSWERED: Duration = Duration::from_secs(2);

impl<C: Crypto, S: Storage> Slot<C, S> {
    /// Returns true if a peer began this handshake, and only its answer keeps it: of one by CASE in
    /// which it has not proved who it is, or of one that has ended.
    fn hangs(&self) -> bool {
        !self.is_ours() && (self.ended.is_some() || !self.machine.is_pase())
    }
}

/// How a handshake stands to a newcomer.
struct Standing {
    /// When the newcomer may have its slot.
    from: Instant,
    /// The order in which slots are lost: the smallest first.
    rank: (bool, Reverse<u16>, bool, Instant),
}

impl<C: Crypto, S: Storage> Handshakes<C, S> {
    /// Describes a handshake that needs a slot: of a peer at this address, or of this node.
    pub(super) fn newcomer(&self, peer: Option<PeerAddress>) -> Newcomer {
        let crowd = peer.as_ref().map_or(0, |peer| self.crowd(peer));
        Newcomer { peer, crowd, grace: Newcomer::grace(self.slots.capacity()) }
    }

    /// Returns the number of handshakes that peers at the source of an address have begun.
    fn crowd(&self, peer: &PeerAddress) -> u16 {
        let slots = self.slots.iter().filter(|(_, slot)| !slot.is_ours());
        let of_source = slots.filter(|(_, slot)| slot.peer.shares_source(peer));
        u16::try_from(of_source.count()).unwrap_or(u16::MAX)
    }

    /// Updates the count in each handshake of a source, after one of them was added or removed. The
    /// counts are kept because all of them are needed at once: an attacker who fills the slots
    /// must not make this node compare each handshake with each other one.
    #[inline(never)]
    pub(super) fn recount(&mut self, source: &PeerAddress) {
        let count = self.crowd(source);
        let mut next = self.next_of_source(source, 0);
        while let Some(id) = next {
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.crowd = count;
            }
            next = self.next_of_source(source, id.wrapping_add(1));
        }
    }

    fn next_of_source(&self, source: &PeerAddress, first: HandshakeId) -> Option<HandshakeId> {
        let mut slots = self.slots.from(first).filter(|(_, slot)| !slot.is_ours());
        slots.find(|(_, slot)| slot.peer.shares_source(source)).map(|(id, _)| *id)
    }

    /// Returns how a handshake stands to a newcomer; `None` if it keeps its slot.
    fn standing(&self, slot: &Slot<C, S>, newcomer: &Newcomer) -> Option<Standing> {
        debug_assert!(slot.is_ours() || slot.crowd == self.crowd(&slot.peer), "counted");
        if slot.is_ours() && slot.ended.is_none() || slot.lends_to.is_some() {
            return None;
        }
        let answered = if slot.answered { ANSWERED } else { Duration::ZERO };
        let standing = |from, is_pase, crowd: u16| Standing {
            from,
            rank: (is_pase, Reverse(crowd), slot.waits_here, slot.since + answered),
        };
        let Some(peer) = newcomer.peer.as_ref() else {
            let is_pase = slot.ended.is_none() && slot.machine.is_pase();
            return Some(standing(Instant::ZERO, is_pase, slot.crowd));
        };
        if !slot.hangs() {
            return Some(standing(slot.since + PASE_GRACE, true, 0));
        }
        // Those that its source keeps without it.
        let others = slot.crowd.saturating_sub(1);
        if others > newcomer.crowd {
            return Some(standing(Instant::ZERO, false, others));
        }
        let grace = match slot.peer.shares_source(peer) {
            true => Newcomer::grace(newcomer.crowd.into()).min(newcomer.grace),
            false if others == newcomer.crowd => newcomer.grace,
            false => return None,
        };
        let work = if slot.waits_here { WORK } else { Duration::ZERO };
        Some(standing(slot.since + work + grace, false, newcomer.crowd))
    }

    /// Returns the handshake that loses its slot to a newcomer now. If bytes are missing, it is one
    /// that has some.
    pub(super) fn victim(
        &self,
        newcomer: &Newcomer,
        now: Instant,
        has_bytes: bool,
    ) -> Option<HandshakeId> {
        let helps = |slot: &Slot<C, S>| has_bytes || slot.exchange.message().is_some();
        let slots = self.slots.iter().filter(|(_, slot)| helps(slot));
        let standings = slots.filter_map(|(id, slot)| {
            let standing = self.standing(slot, newcomer)?;
            (now >= standing.from).then_some((standing.rank, *id))
        });
        standings.min_by_key(|(rank, _)| *rank).map(|(_, id)| id)
    }

    /// Returns when the first slot is one that the newcomer may have.
    pub(super) fn next_slot(
        &self,
        newcomer: &Newcomer,
        frees: impl Fn(&Slot<C, S>) -> Option<Instant>,
    ) -> Option<Instant> {
        let slots = self.slots.iter();
        let from = |slot| self.standing(slot, newcomer).map(|standing| standing.from);
        slots.flat_map(|(_, slot)| [from(slot), frees(slot)]).flatten().min()
    }

    /// Returns when the handshake that the commissioning window serves may lose its slot to another
    /// one of its kind, of a peer at this address: at once if a former handshake of its source fell
    /// silent, and the new one comes from another source.
    pub(super) fn pase_yields(&self, id: HandshakeId, newcomer: &PeerAddress) -> Option<Instant> {
        let slot = self.slots.get(&id).filter(|slot| slot.ended.is_none())?;
        let unreliable = self.window.get().and_then(|window| window.fell_silent);
        let is_known = unreliable.is_some_and(|silent| silent.shares_source(&slot.peer));
        if is_known && !slot.peer.shares_source(newcomer) {
            return Some(Instant::ZERO);
        }
        Some(slot.since + PASE_GRACE)
    }

    /// Frees the slot of a handshake for another one. The peer of a running one gets a Busy report.
    pub(super) fn displace<T>(
        &mut self,
        id: HandshakeId,
        now: Instant,
        busy_wait: Duration,
        delivery: &mut Delivery<S, T>,
    ) {
        if let Some(slot) = self.slots.get(&id).filter(|slot| slot.ended.is_none()) {
            self.report(id, slot.peer, &StatusReport::busy(busy_wait), delivery);
            self.fail(id, HandshakeError::Displaced, now, delivery);
        }
        self.discard(id, delivery);
    }
}
