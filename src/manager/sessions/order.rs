//! Secure sessions in the order of their use, and which of them to evict first.
//!
//! The sessions of each rank within a fabric, and all PASE sessions, are a list from the one idle
//! longest to the one used last. To use a session moves it to the end of its list. The session to
//! evict is the first of the first list. Both take a time that does not depend on how many
//! sessions there are.

use crate::ids::FabricIndex;
use crate::manager::storage::{Ends, FabricOrPase, Link, Links, Map, Rank, Seat, Storage};

/// The order in which sessions were used.
pub(in crate::manager) struct UseOrder<S: Storage> {
    links: S::Links,
    lists: S::UseLists,
    /// How many sessions each fabric has, and PASE.
    counts: S::Counts,
}

impl<S: Storage> UseOrder<S> {
    pub(in crate::manager) const EMPTY: Self =
        Self { links: Links::EMPTY, lists: Map::EMPTY, counts: Map::EMPTY };

    /// Has room for so many sessions.
    pub(in crate::manager) fn limit(&mut self, sessions: usize) {
        self.lists.limit(sessions);
        self.counts.limit(sessions);
    }

    /// Returns how many sessions a fabric has, or PASE.
    pub(in crate::manager) fn count(&self, fabric: FabricOrPase) -> usize {
        self.counts.get(&fabric).map_or(0, |count| usize::from(*count))
    }

    /// Returns the fabrics that have sessions, and PASE if it has.
    pub(in crate::manager) fn fabrics(&self) -> impl Iterator<Item = FabricOrPase> {
        self.counts.iter().map(|(fabric, _)| *fabric)
    }

    /// Returns the fabrics with most sessions.
    pub(in crate::manager) fn largest_fabrics(&self) -> impl Iterator<Item = FabricIndex> {
        let counts = || self.counts.iter().filter_map(|(fabric, count)| Some(((*fabric)?, *count)));
        let most = counts().map(|(_, count)| count).max();
        counts().filter(move |(_, count)| Some(*count) == most).map(|(fabric, _)| fabric)
    }

    /// Returns the session of a fabric to evict before all others, and its rank.
    pub(in crate::manager) fn first_to_evict(&self, fabric: FabricOrPase) -> Option<(Rank, Seat)> {
        let first = self.lists.from((fabric, Rank::FIRST)).next();
        let ((_, rank), ends) = first.filter(|((of, _), _)| *of == fabric)?;
        Some((*rank, ends.oldest))
    }

    /// Returns the sessions of a fabric that have the rank of the first to evict, the one idle
    /// longest first. PASE sessions all have one rank.
    pub(in crate::manager) fn iter(&self, fabric: FabricOrPase) -> impl Iterator<Item = Seat> {
        let oldest = self.first_to_evict(fabric).map(|(_, seat)| seat);
        core::iter::successors(oldest, |seat| self.links.get(*seat).newer)
    }

    pub(in crate::manager) fn rank_of(&self, seat: Seat) -> Rank {
        self.links.get(seat).rank
    }

    pub(in crate::manager) fn is_defunct(&self, seat: Seat) -> bool {
        self.rank_of(seat).is_defunct()
    }

    /// Adds a session as the one used last, with so many sessions with its peer.
    pub(in crate::manager) fn add(&mut self, fabric: FabricOrPase, seat: Seat, of_peer: u8) {
        let rank = Rank::new(of_peer, false);
        if let Some(link) = self.links.get_mut(seat) {
            *link = Link { rank, ..Link::NONE };
        }
        self.append((fabric, rank), seat);
        let count = self.counts.get(&fabric).copied().unwrap_or(0).saturating_add(1);
        let counted = self.counts.insert(fabric, count);
        debug_assert!(counted.is_ok(), "no more fabrics than sessions");
    }

    /// Removes a session that is gone.
    pub(in crate::manager) fn remove(&mut self, fabric: FabricOrPase, seat: Seat) {
        self.unlink((fabric, self.links.get(seat).rank), seat);
        self.links.clear(seat);
        match self.counts.get_mut(&fabric) {
            Some(count) if *count > 1 => *count = count.saturating_sub(1),
            _ => {
                self.counts.discard(&fabric);
            }
        }
    }

    /// Notes that a session was used.
    #[inline]
    pub(in crate::manager) fn used(&mut self, fabric: FabricOrPase, seat: Seat) {
        let Link { older, newer, rank } = self.links.get(seat);
        // As it is not the newest of its list, that is found once, and stays.
        let Some(newer) = newer else { return };
        let Some(ends) = self.lists.get_mut(&(fabric, rank)) else { return };
        if older.is_none() {
            ends.oldest = newer;
        }
        let last = core::mem::replace(&mut ends.newest, seat);
        if let Some(link) = older.and_then(|older| self.links.get_mut(older)) {
            link.newer = Some(newer);
        }
        if let Some(link) = self.links.get_mut(newer) {
            link.older = older;
        }
        if let Some(link) = self.links.get_mut(last) {
            link.newer = Some(seat);
        }
        if let Some(link) = self.links.get_mut(seat) {
            *link = Link { older: Some(last), newer: None, rank };
        }
    }

    /// Notes that a session was used, and that its peer answers.
    #[inline]
    pub(in crate::manager) fn received_from(&mut self, fabric: FabricOrPase, seat: Seat) {
        if self.is_defunct(seat) {
            self.revive(fabric, seat);
        } else {
            self.used(fabric, seat);
        }
    }

    #[inline(never)]
    fn revive(&mut self, fabric: FabricOrPase, seat: Seat) {
        let old = self.links.get(seat).rank;
        let new = Rank::new(old.of_peer(), false);
        self.unlink((fabric, old), seat);
        self.append((fabric, new), seat);
    }

    /// Gives a session another rank. Where it stands among those of the new one `used` says, the
    /// time of a session's last use.
    pub(in crate::manager) fn rank<Time: Ord>(
        &mut self,
        fabric: FabricOrPase,
        seat: Seat,
        change: impl FnOnce(Rank) -> Rank,
        used: impl Fn(Seat) -> Time,
    ) {
        /// How many sessions are looked at for the place of this one. Where more were used since,
        /// it counts as used before the last of these: no harm, as using it would do the same.
        const LOOKED_AT: usize = 16;

        let old = self.links.get(seat).rank;
        let new = change(old);
        if new == old {
            return;
        }
        self.unlink((fabric, old), seat);
        let time = used(seat);
        let mut newer = None;
        let mut older = self.lists.get(&(fabric, new)).map(|ends| ends.newest);
        for _ in 0..LOOKED_AT {
            let Some(passed) = older.filter(|older| used(*older) > time) else { break };
            newer = Some(passed);
            older = self.links.get(passed).older;
        }
        self.link((fabric, new), seat, older, newer);
    }

    fn append(&mut self, list: (FabricOrPase, Rank), seat: Seat) {
        let newest = self.lists.get(&list).map(|ends| ends.newest);
        self.link(list, seat, newest, None);
    }

    /// Puts a session between two that are neighbours, or at an end.
    fn link(
        &mut self,
        list: (FabricOrPase, Rank),
        seat: Seat,
        older: Option<Seat>,
        newer: Option<Seat>,
    ) {
        if let Some(link) = self.links.get_mut(seat) {
            *link = Link { older, newer, rank: list.1 };
        }
        if let Some(link) = older.and_then(|older| self.links.get_mut(older)) {
            link.newer = Some(seat);
        }
        if let Some(link) = newer.and_then(|newer| self.links.get_mut(newer)) {
            link.older = Some(seat);
        }
        match self.lists.get_mut(&list) {
            Some(ends) if newer.is_none() => ends.newest = seat,
            Some(ends) if older.is_none() => ends.oldest = seat,
            Some(_) => {}
            None => {
                let added = self.lists.insert(list, Ends { oldest: seat, newest: seat });
                debug_assert!(added.is_ok(), "no more lists than sessions");
            }
        }
    }

    fn unlink(&mut self, list: (FabricOrPase, Rank), seat: Seat) {
        let Link { older, newer, .. } = self.links.get(seat);
        if let Some(link) = older.and_then(|older| self.links.get_mut(older)) {
            link.newer = newer;
        }
        if let Some(link) = newer.and_then(|newer| self.links.get_mut(newer)) {
            link.older = older;
        }
        let Some(ends) = self.lists.get_mut(&list) else { return };
        match (older, newer) {
            (None, None) => {
                self.lists.discard(&list);
            }
            (None, Some(newer)) => ends.oldest = newer,
            (Some(older), None) => ends.newest = older,
            (Some(_), Some(_)) => {}
        }
    }
}

#[cfg(all(test, feature = "alloc"))]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::manager::storage::Heap;

    /// A session of the model: which fabric, which rank, when it was used.
    type Known = Option<(u8, Rank, u32)>;

    #[derive(Clone, Copy, Debug)]
    enum Op {
        Add(u8, u8),
        Remove,
        Use,
        Receive,
        Rank(u8, bool),
    }

    fn op() -> impl Strategy<Value = (usize, Op)> {
        let op = prop_oneof![
            3 => (1..=2_u8, 1..=2_u8).prop_map(|(fabric, of_peer)| Op::Add(fabric, of_peer)),
            1 => Just(Op::Remove),
            3 => Just(Op::Use),
            1 => Just(Op::Receive),
            3 => (1..=2_u8, any::<bool>()).prop_map(|(of_peer, defunct)| Op::Rank(of_peer, defunct)),
        ];
        (0..40_usize, op)
    }

    fn listed(fabric: u8) -> FabricOrPase {
        FabricIndex::new(fabric)
    }

    /// The list of a rank from the oldest on; the links back must lead the same way.
    fn list(order: &UseOrder<Heap>, fabric: u8, rank: Rank) -> Vec<usize> {
        let Some(ends) = order.lists.get(&(listed(fabric), rank)) else { return Vec::new() };
        let next = |link: fn(Link) -> Option<Seat>| move |seat: &Seat| link(order.links.get(*seat));
        let forth = core::iter::successors(Some(ends.oldest), next(|link| link.newer));
        let mut back: Vec<_> =
            core::iter::successors(Some(ends.newest), next(|link| link.older)).collect();
        back.reverse();
        let forth: Vec<_> = forth.collect();
        assert_eq!(forth, back);
        forth.into_iter().map(Seat::index).collect()
    }

    proptest! {
        #[test]
        fn every_session_is_in_the_list_of_its_rank(ops in prop::collection::vec(op(), 1..300)) {
            let mut order = UseOrder::<Heap>::EMPTY;
            order.limit(40);
            let mut model: [Known; 40] = [None; 40];
            for (now, (n, op)) in (0_u32..).zip(ops) {
                let seat = Seat::at(n).unwrap();
                match (op, model[n]) {
                    (Op::Add(fabric, of_peer), None) => {
                        order.add(listed(fabric), seat, of_peer);
                        model[n] = Some((fabric, Rank::new(of_peer, false), now));
                    }
                    (Op::Remove, Some((fabric, ..))) => {
                        order.remove(listed(fabric), seat);
                        model[n] = None;
                    }
                    (Op::Use, Some((fabric, rank, _))) => {
                        order.used(listed(fabric), seat);
                        model[n] = Some((fabric, rank, now));
                    }
                    (Op::Receive, Some((fabric, rank, _))) => {
                        order.received_from(listed(fabric), seat);
                        model[n] = Some((fabric, Rank::new(rank.of_peer(), false), now));
                    }
                    (Op::Rank(of_peer, defunct), Some((fabric, _, used))) => {
                        let rank = Rank::new(of_peer, defunct);
                        let time = |seat: Seat| model[seat.index()].map(|(.., used)| used);
                        order.rank(listed(fabric), seat, |_| rank, time);
                        model[n] = Some((fabric, rank, used));
                    }
                    _ => {}
                }
                for fabric in 1..=2 {
                    let of = |known: &Known| known.filter(|(of, ..)| *of == fabric);
                    let count = model.iter().filter_map(of).count();
                    prop_assert_eq!(order.count(listed(fabric)), count);
                    let first = model.iter().filter_map(of).map(|(_, rank, _)| rank).min();
                    let found = order.first_to_evict(listed(fabric)).map(|(rank, _)| rank);
                    prop_assert_eq!(found, first);
                    for rank in [(1, false), (1, true), (2, false), (2, true)] {
                        let rank = Rank::new(rank.0, rank.1);
                        let mut listed = list(&order, fabric, rank);
                        listed.sort_unstable();
                        let has = |n: &usize| of(&model[*n]).is_some_and(|known| known.1 == rank);
                        prop_assert_eq!(listed, (0..40).filter(has).collect::<Vec<_>>());
                    }
                }
            }
        }
    }
}
