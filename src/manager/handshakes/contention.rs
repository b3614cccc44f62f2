//! Which handshake loses its slot when all slots are taken.
//!
//! Anybody can begin a handshake and fall silent. So one that a peer began, and in which the peer
//! has proved nothing yet, can lose its slot to a new one:
//!
//! | the new one | when |
//! |---|---|
//! | this node begins it | at once |
//! | it comes from a source with fewer handshakes than the source of the old one | at once |
//! | it comes from that source, or from one with as many | after a grace period: time to answer |
//! | it comes from a source with more | never |
//!
//! Of several, one of the source with more handshakes loses its slot first, then the one whose peer
//! has been silent for the longest time. A peer that has answered is given some more time. What a
//! peer declares counts for nothing.

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
    const MOST_GRACE: u8 = 5;
}

/// PASE is served to one peer at a time, so that it takes one slot at most. Its peer may compute
/// for a while.
const PASE_GRACE: Duration = Duration::from_secs(10);

/// Time for the last message of an established handshake: five transmissions at the default
/// intervals.
const LAST_WORD_GRACE: Duration = Duration::from_secs(5);

/// How much longer a handshake keeps its slot whose peer has answered.
const ANSWERED: Duration = Duration::from_secs(2);

impl<C: Crypto, S: Storage> Slot<C, S> {
    /// Returns true if a peer began this handshake by CASE, and has not proved who it is.
    fn is_half_open(&self) -> bool {
        self.ended.is_none() && !self.is_ours() && !self.machine.is_pase()
    }

    /// Returns the time from which a newcomer may have the slot; `None` while it may not.
    fn yields_to(&self, newcomer: &Newcomer) -> Option<Instant> {
        if self.lends_to.is_some() {
            return None;
        }
        if self.ended.is_some() {
            return Some(self.since + LAST_WORD_GRACE);
        }
        if self.is_half_open() {
            let Some(peer) = newcomer.peer.as_ref() else { return Some(Instant::ZERO) };
            if self.crowd > newcomer.crowd {
                return Some(Instant::ZERO);
            }
            let is_equal = self.crowd == newcomer.crowd || self.peer.shares_source(peer);
            return is_equal.then_some(self.since + newcomer.grace);
        }
        (!self.is_ours()).then_some(self.since + PASE_GRACE)
    }

    /// Returns the order in which handshakes lose their slots: the smallest first.
    fn rank(&self, newcomer: &Newcomer) -> (Reverse<u16>, Instant) {
        // Of its own source, the newcomer displaces the oldest.
        let crowd = if self.crowd > newcomer.crowd { self.crowd } else { newcomer.crowd };
        let answered = if self.answered { ANSWERED } else { Duration::ZERO };
        (Reverse(crowd), self.since + answered)
    }
}

impl<C: Crypto, S: Storage> Handshakes<C, S> {
    /// Describes a handshake that needs a slot: of a peer at this address, or of this node.
    pub(super) fn newcomer(&self, peer: Option<PeerAddress>) -> Newcomer {
        let crowd = peer.as_ref().map_or(0, |peer| self.crowd(peer));
        let slots = u8::try_from(self.slots.capacity()).unwrap_or(u8::MAX);
        let grace = Newcomer::GRACE.saturating_mul(slots.min(Newcomer::MOST_GRACE).into());
        Newcomer { peer, crowd, grace }
    }

    /// Returns the number of half-open handshakes of the source of an address.
    pub(super) fn crowd(&self, peer: &PeerAddress) -> u16 {
        let slots = self.slots.iter().filter(|(_, slot)| slot.is_half_open());
        let of_source = slots.filter(|(_, slot)| slot.peer.shares_source(peer));
        u16::try_from(of_source.count()).unwrap_or(u16::MAX)
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
        let yields = |slot: &Slot<C, S>| slot.yields_to(newcomer).is_some_and(|from| now >= from);
        let slots = self.slots.iter().filter(|(_, slot)| helps(slot) && yields(slot));
        slots.min_by_key(|(_, slot)| slot.rank(newcomer)).map(|(id, _)| *id)
    }

    /// Returns when the first slot is one that the newcomer may have.
    pub(super) fn next_slot(
        &self,
        newcomer: &Newcomer,
        frees: impl Fn(&Slot<C, S>) -> Option<Instant>,
    ) -> Option<Instant> {
        let slots = self.slots.iter();
        slots.flat_map(|(_, slot)| [slot.yields_to(newcomer), frees(slot)]).flatten().min()
    }

    /// Returns when the handshake that the commissioning window serves may lose its slot to another
    /// one of its kind.
    pub(super) fn pase_yields(&self, id: HandshakeId) -> Option<Instant> {
        let slot = self.slots.get(&id)?;
        slot.ended.is_none().then_some(slot.since + PASE_GRACE)
    }

    /// Frees the slot of a handshake for another one. The peer of a running one gets a Busy report.
    pub(super) fn displace<T>(
        &mut self,
        id: HandshakeId,
        now: Instant,
        busy_wait: Duration,
        delivery: &mut Delivery<S, T>,
    ) {
        if self.slots.get(&id).is_some_and(|slot| slot.ended.is_none()) {
            self.report(id, &StatusReport::busy(busy_wait), delivery);
            self.fail(id, HandshakeError::Displaced, now, delivery);
        }
        self.discard(id, delivery);
    }
}
