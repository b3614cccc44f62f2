//! Secure sessions in the order of their use, and which of them others would sooner do without.
//!
//! The CASE sessions of each fabric, and all PASE sessions, are a list from the one idle longest
//! to the one used last. To use a session moves it to the end, in constant time.

use core::cmp::Reverse;

use super::storage::{Links, Map, Seat, Storage};
use crate::ids::FabricIndex;

/// What a session is listed under: a fabric, or `None` for PASE.
pub(super) type Group = Option<FabricIndex>;

/// The neighbours of a session in its list, and its rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    older: Option<Seat>,
    newer: Option<Seat>,
    /// How many sessions there are with the same peer.
    of_peer: u8,
    defunct: bool,
}

impl Link {
    /// Of no session.
    pub const NONE: Self = Self { older: None, newer: None, of_peer: 0, defunct: false };

    const fn rank(&self) -> Rank {
        (Reverse(self.of_peer), Reverse(self.defunct))
    }
}

/// How soon a session goes, whatever its age: the smallest first. Sessions with the same peer,
/// then whether it is defunct.
pub(super) type Rank = (Reverse<u8>, Reverse<bool>);

/// The first of all ranks.
const FIRST: Rank = (Reverse(u8::MAX), Reverse(true));

/// A list of sessions.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    oldest: Seat,
    newest: Seat,
    len: u16,
}

/// The order in which sessions were used.
pub(super) struct UseOrder<S: Storage> {
    links: S::Links,
    groups: S::Groups,
    ranks: S::Ranks,
}

impl<S: Storage> UseOrder<S> {
    pub(super) const EMPTY: Self =
        Self { links: Links::EMPTY, groups: Map::EMPTY, ranks: Map::EMPTY };

    /// Has room for so many sessions.
    pub(super) fn limit(&mut self, sessions: usize) {
        self.groups.limit(sessions);
        self.ranks.limit(sessions);
    }

    /// How many sessions are in a group.
    pub(super) fn count(&self, group: Group) -> usize {
        self.groups.get(&group).map_or(0, |ends| usize::from(ends.len))
    }

    /// The session of a group that is idle longest.
    pub(super) fn oldest(&self, group: Group) -> Option<Seat> {
        self.groups.get(&group).map(|ends| ends.oldest)
    }

    /// The sessions of a group, the one idle longest first.
    pub(super) fn iter(&self, group: Group) -> impl Iterator<Item = Seat> {
        core::iter::successors(self.oldest(group), |seat| self.links.get(*seat).newer)
    }

    /// The fabric with most sessions; of several, `preferred` or that with the largest index.
    pub(super) fn largest_fabric(&self, preferred: Group) -> Option<FabricIndex> {
        let fabrics = self.groups.iter().filter_map(|(group, ends)| Some(((*group)?, ends.len)));
        fabrics
            .max_by_key(|(fabric, len)| (*len, preferred == Some(*fabric), *fabric))
            .map(|(fabric, _)| fabric)
    }

    /// The best rank of a group to go, and the session of that rank that is idle longest.
    ///
    /// It is the oldest of all where every peer has one session. Elsewhere the search goes past
    /// those that are idle longer, but whose peers have fewer.
    pub(super) fn first_to_go(&self, group: Group) -> Option<(Rank, Seat)> {
        let (of, rank) = self.ranks.first_from((group, FIRST))?;
        let mut seats = self.iter(group).filter(|_| of == group);
        let seat = seats.find(|seat| self.links.get(*seat).rank() == rank)?;
        Some((rank, seat))
    }

    pub(super) fn is_defunct(&self, seat: Seat) -> bool {
        self.links.get(seat).defunct
    }

    /// Adds a session as the one used last, with so many sessions with its peer.
    pub(super) fn add(&mut self, group: Group, seat: Seat, of_peer: u8) {
        if let Some(link) = self.links.get_mut(seat) {
            *link = Link { of_peer, ..Link::NONE };
            let rank = link.rank();
            self.append(group, seat);
            self.tally(group, rank, 1);
        }
    }

    /// Removes a session that is gone.
    pub(super) fn remove(&mut self, group: Group, seat: Seat) {
        let rank = self.links.get(seat).rank();
        self.unlink(group, seat);
        self.tally(group, rank, -1);
        self.links.clear(seat);
    }

    /// Takes note that a session was used.
    #[inline]
    pub(super) fn used(&mut self, group: Group, seat: Seat) {
        if self.links.get(seat).newer.is_some() {
            self.unlink(group, seat);
            self.append(group, seat);
        }
    }

    /// Takes note of how many sessions there are with the peer of this one.
    pub(super) fn set_of_peer(&mut self, group: Group, seat: Seat, of_peer: u8) {
        self.change(group, seat, |link| link.of_peer = of_peer);
    }

    /// Takes note of whether the peer answers.
    #[inline]
    pub(super) fn set_defunct(&mut self, group: Group, seat: Seat, defunct: bool) {
        if self.is_defunct(seat) != defunct {
            self.change(group, seat, |link| link.defunct = defunct);
        }
    }

    fn change(&mut self, group: Group, seat: Seat, change: impl FnOnce(&mut Link)) {
        let Some(link) = self.links.get_mut(seat) else { return };
        let old = link.rank();
        change(link);
        let new = link.rank();
        self.tally(group, old, -1);
        self.tally(group, new, 1);
    }

    /// Counts the sessions of a rank.
    fn tally(&mut self, group: Group, rank: Rank, by: i16) {
        let key = (group, rank);
        let count = self.ranks.get(&key).copied().unwrap_or(0).saturating_add_signed(by);
        if count == 0 {
            self.ranks.discard(&key);
        } else {
            let counted = self.ranks.insert(key, count);
            debug_assert!(counted.is_ok(), "no more ranks than sessions");
        }
    }

    fn append(&mut self, group: Group, seat: Seat) {
        let older = match self.groups.get_mut(&group) {
            Some(ends) => {
                let older = core::mem::replace(&mut ends.newest, seat);
                ends.len = ends.len.saturating_add(1);
                Some(older)
            }
            None => {
                let ends = Ends { oldest: seat, newest: seat, len: 1 };
                let added = self.groups.insert(group, ends);
                debug_assert!(added.is_ok(), "no more groups than sessions");
                None
            }
        };
        if let Some(link) = self.links.get_mut(seat) {
            (link.older, link.newer) = (older, None);
        }
        if let Some(link) = older.and_then(|older| self.links.get_mut(older)) {
            link.newer = Some(seat);
        }
    }

    fn unlink(&mut self, group: Group, seat: Seat) {
        let Link { older, newer, .. } = self.links.get(seat);
        if let Some(link) = older.and_then(|older| self.links.get_mut(older)) {
            link.newer = newer;
        }
        if let Some(link) = newer.and_then(|newer| self.links.get_mut(newer)) {
            link.older = older;
        }
        let Some(ends) = self.groups.get_mut(&group) else { return };
        match (older, newer) {
            (None, None) => {
                self.groups.discard(&group);
                return;
            }
            (None, Some(newer)) => ends.oldest = newer,
            (Some(older), None) => ends.newest = older,
            (Some(_), Some(_)) => {}
        }
        ends.len = ends.len.saturating_sub(1);
    }
}
