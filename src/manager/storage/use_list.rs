//! What the lists of sessions in the order of their use are made of.

use core::cmp::Reverse;
use core::num::NonZeroU16;

use crate::ids::FabricIndex;

/// The number of the place that a session stands in for as long as it lives.
///
/// Counted from 1, so that a table of links that name none is all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat(NonZeroU16);

impl Seat {
    /// Makes the `index`-th place, counted from 0; `None` beyond what session ids can name.
    pub(in crate::manager) fn at(index: usize) -> Option<Self> {
        let number = u16::try_from(index).ok()?.checked_add(1)?;
        NonZeroU16::new(number).map(Self)
    }

    /// Counted from 0.
    pub(in crate::manager) fn index(self) -> usize {
        usize::from(self.0.get()).wrapping_sub(1)
    }
}

/// The fabric that a session is listed under, or `None` for PASE.
pub(in crate::manager) type FabricOrPase = Option<FabricIndex>;

/// The neighbours of a session in its list, and its rank, which says in which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub(in crate::manager) older: Option<Seat>,
    pub(in crate::manager) newer: Option<Seat>,
    pub(in crate::manager) rank: Rank,
}

impl Link {
    /// Of no session.
    pub const NONE: Self = Self { older: None, newer: None, rank: Rank::new(0, false) };
}

/// How soon a session goes, whatever its age: the smallest first. Sessions with the same peer,
/// then whether it is defunct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    of_peer: Reverse<u8>,
    defunct: Reverse<bool>,
}

impl Rank {
    /// The first of all ranks.
    pub(in crate::manager) const FIRST: Self = Self::new(u8::MAX, true);

    /// Of a session with a peer with whom there are so many.
    pub(in crate::manager) const fn new(of_peer: u8, defunct: bool) -> Self {
        Self { of_peer: Reverse(of_peer), defunct: Reverse(defunct) }
    }

    pub(in crate::manager) const fn of_peer(self) -> u8 {
        self.of_peer.0
    }

    pub(in crate::manager) const fn is_defunct(self) -> bool {
        self.defunct.0
    }
}

/// A list of sessions.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub(in crate::manager) oldest: Seat,
    pub(in crate::manager) newest: Seat,
}
