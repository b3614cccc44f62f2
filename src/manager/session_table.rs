//! The table of secure sessions: by local id, by peer, in the order of their use.

use core::cmp::Reverse;
use core::fmt;
use core::ops::RangeInclusive;

use rand_core::CryptoRng;

use super::handle::{PeerAddress, SessionHandle};
use super::order::{Group, Rank, UseOrder};
use super::sessions::SessionRef;
use super::storage::{Peers, Seat, Seats, Storage};
use crate::crypto::Crypto;
use crate::ids::{FabricIndex, LocalSessionId, Peer};
use crate::session::{Identity, SecureSession, SessionKind};
use crate::time::Instant;

/// Secure sessions by local id and by peer.
pub(super) struct SessionTable<C: Crypto, S: Storage, T> {
    entries: S::Sessions<Entry<C, T>>,
    peers: S::Peers,
    order: UseOrder<S>,
    ids: RangeInclusive<u16>,
    last_id: u16,
}

pub(super) struct Entry<C: Crypto, T> {
    pub(super) session: SecureSession<C>,
    pub(super) address: PeerAddress,
    pub(super) serial: u64,
    pub(super) warned: bool,
    pub(super) data: T,
}

impl<C: Crypto, T> Entry<C, T> {
    pub(super) fn new(session: SecureSession<C>, address: PeerAddress, serial: u64) -> Self
    where
        T: Default,
    {
        Self { session, address, serial, warned: false, data: T::default() }
    }

    pub(super) const fn handle(&self) -> SessionHandle {
        SessionHandle { local: self.session.local_session_id(), serial: self.serial }
    }

    fn peer(&self) -> Option<Peer> {
        peer_of(self.session.identity())
    }
}

/// The peer of a CASE session.
fn peer_of(identity: &Identity) -> Option<Peer> {
    let fabric = group_of(identity)?;
    Some(Peer { fabric, node: identity.peer_node() })
}

fn group_of(identity: &Identity) -> Group {
    match identity.kind() {
        SessionKind::Case => identity.fabric(),
        // The fabric that was added over it has no claim to it.
        SessionKind::Pase => PASE,
    }
}

const PASE: Group = None;

impl<C: Crypto, T> fmt::Debug for Entry<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("session", &self.session).finish_non_exhaustive()
    }
}

impl<C: Crypto, S: Storage, T> SessionTable<C, S, T> {
    pub(super) const EMPTY: Self = Self {
        entries: Seats::EMPTY,
        peers: Peers::EMPTY,
        order: UseOrder::EMPTY,
        ids: 0..=0,
        last_id: 0,
    };

    /// Has room for so many CASE sessions or fewer, and one more place that is kept for PASE.
    /// `ids` may be given out; any `last_id` says where to begin.
    pub(super) fn start(
        &mut self,
        case_sessions: usize,
        ids: RangeInclusive<u16>,
        last_id: u16,
        rng: &mut dyn CryptoRng,
    ) {
        self.entries.limit(case_sessions.saturating_add(1));
        self.order.limit(self.entries.capacity());
        self.peers.seed(rng.next_u64());
        self.ids = ids;
        self.last_id = last_id;
        if !self.ids.contains(&last_id) {
            let len = u16::try_from(self.ids.len()).unwrap_or(u16::MAX).max(1);
            self.last_id = self.ids.start().saturating_add(last_id % len);
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn by_local(&self, local: LocalSessionId) -> Option<&Entry<C, T>> {
        self.entries.get(self.entries.find(local)?)
    }

    pub(super) fn by_local_mut(&mut self, local: LocalSessionId) -> Option<&mut Entry<C, T>> {
        self.entries.get_mut(self.entries.find(local)?)
    }

    /// The session with this id, for what counts as a use of it.
    #[inline]
    pub(super) fn in_use(&mut self, local: LocalSessionId) -> Option<&mut Entry<C, T>> {
        let seat = self.entries.find(local)?;
        let entry = self.entries.get_mut(seat)?;
        self.order.used(group_of(entry.session.identity()), seat);
        Some(entry)
    }

    /// Takes note that the peer of a session was heard, and from where if that is where it is.
    #[inline]
    pub(super) fn heard(&mut self, local: LocalSessionId, from: Option<PeerAddress>) {
        let Some(seat) = self.entries.find(local) else { return };
        let Some(entry) = self.entries.get_mut(seat) else { return };
        entry.address = from.unwrap_or(entry.address);
        self.order.heard(group_of(entry.session.identity()), seat);
    }

    /// Takes note that the peer of a session does not answer. A PASE session is kept or closed,
    /// never doubted.
    pub(super) fn unanswered(&mut self, local: LocalSessionId) {
        let Some(seat) = self.entries.find(local) else { return };
        let Some(peer) = self.entries.get(seat).and_then(Entry::peer) else { return };
        let entries = &self.entries;
        let change = |rank: Rank| Rank::new(rank.of_peer(), true);
        self.order.rank(Some(peer.fabric), seat, change, |seat| last_used(entries, seat));
    }

    pub(super) fn get(&self, handle: SessionHandle) -> Option<&Entry<C, T>> {
        self.by_local(handle.local).filter(|entry| entry.serial == handle.serial)
    }

    pub(super) fn get_mut(&mut self, handle: SessionHandle) -> Option<&mut Entry<C, T>> {
        self.by_local_mut(handle.local).filter(|entry| entry.serial == handle.serial)
    }

    pub(super) fn get_ref(&self, handle: SessionHandle) -> Option<SessionRef<'_, C, T>> {
        let seat = self.entries.find(handle.local)?;
        let entry = self.entries.get(seat).filter(|entry| entry.serial == handle.serial)?;
        Some(SessionRef { entry, defunct: self.order.is_defunct(seat) })
    }

    /// All sessions by ascending id.
    pub(super) fn refs(&self) -> impl Iterator<Item = SessionRef<'_, C, T>> {
        let defunct = |seat| self.order.is_defunct(seat);
        self.entries.iter().map(move |(seat, entry)| SessionRef { entry, defunct: defunct(seat) })
    }

    /// The handle of the session that has this id now.
    pub(super) fn handle(&self, local: LocalSessionId) -> Option<SessionHandle> {
        self.by_local(local).map(Entry::handle)
    }

    fn handle_at(&self, seat: Seat) -> Option<SessionHandle> {
        self.entries.get(seat).map(Entry::handle)
    }

    /// The CASE sessions with a peer, in no particular order.
    pub(super) fn of_peer(&self, peer: Peer) -> impl Iterator<Item = (Seat, &Entry<C, T>)> {
        self.peers
            .candidates(peer)
            .filter_map(|seat| Some((seat, self.entries.get(seat)?)))
            .filter(move |(_, entry)| entry.peer() == Some(peer))
    }

    /// The session that messages to a peer should use.
    pub(super) fn best_of_peer(&self, peer: Peer) -> Option<SessionHandle> {
        let rank = |seat, entry: &Entry<C, T>| {
            (!self.order.is_defunct(seat), entry.session.last_received(), entry.serial)
        };
        let mut sessions = self.of_peer(peer);
        let (first, second) = (sessions.next()?, sessions.next());
        // Most often there is one: no need to look up its rank, far away among all the others.
        let Some(second) = second else { return Some(first.1.handle()) };
        [first, second]
            .into_iter()
            .chain(sessions)
            .max_by_key(|(seat, entry)| rank(*seat, entry))
            .map(|(_, entry)| entry.handle())
    }

    /// The session with the lowest id.
    pub(super) fn first(&self) -> Option<SessionHandle> {
        self.entries.next(0).and_then(|(_, seat)| self.handle_at(seat))
    }

    /// The session with a peer at this address that has the lowest id from `first` on.
    pub(super) fn next_over(&self, address: PeerAddress, first: u16) -> Option<SessionHandle> {
        let mut first = first;
        loop {
            let (id, seat) = self.entries.next(first)?;
            let entry = self.entries.get(seat)?;
            if entry.address == address {
                return Some(entry.handle());
            }
            first = id.get().checked_add(1)?;
        }
    }

    /// Any session of a fabric: a CASE session, or a PASE session over which it was added.
    pub(super) fn first_of_fabric(&self, fabric: FabricIndex) -> Option<SessionHandle> {
        let case = self.first_to_go(Some(fabric)).map(|(_, session)| session);
        let is_of = |entry: &&Entry<C, T>| entry.session.identity().fabric() == Some(fabric);
        case.or_else(|| self.pase().find(is_of).map(Entry::handle))
    }

    /// The PASE sessions, the one idle longest first.
    pub(super) fn pase(&self) -> impl Iterator<Item = &Entry<C, T>> {
        self.order.iter(PASE).filter_map(|seat| self.entries.get(seat))
    }

    /// The next local id that is neither in use nor `reserved`: ids go round, so that none comes
    /// back before all others had their turn.
    pub(super) fn free_id(
        &mut self,
        reserved: impl Fn(LocalSessionId) -> bool,
    ) -> Option<LocalSessionId> {
        let (start, end) = (*self.ids.start(), *self.ids.end());
        let later = self.last_id.checked_add(1);
        let id = later
            .and_then(|later| self.free_id_within(later, end, &reserved))
            .or_else(|| self.free_id_within(start, self.last_id, &reserved))?;
        self.last_id = id.get();
        Some(id)
    }

    fn free_id_within(
        &self,
        mut first: u16,
        last: u16,
        reserved: &impl Fn(LocalSessionId) -> bool,
    ) -> Option<LocalSessionId> {
        loop {
            let id = self.entries.next_free(first, last)?;
            if !reserved(id) {
                return Some(id);
            }
            first = id.get().checked_add(1)?;
        }
    }

    /// Adds a session, if there is room for it and its id is free.
    pub(super) fn insert(&mut self, entry: Entry<C, T>) -> Option<SessionHandle> {
        let (handle, peer) = (entry.handle(), entry.peer());
        let group = group_of(entry.session.identity());
        if !self.has_room(entry.session.kind()) {
            return None;
        }
        let of_peer = peer.map_or(0, |peer| self.count_of(peer)).saturating_add(1);
        let seat = self.entries.insert(handle.local, entry).ok()?;
        if let Some(peer) = peer {
            let entries = &self.entries;
            self.peers.insert(peer, seat, |seat| entries.get(seat)?.peer());
            self.rank_peer(peer, of_peer, seat);
        }
        self.order.add(group, seat, of_peer);
        Some(handle)
    }

    /// Ends a session where it stands, as moving it would leave its keys there. Returns what the
    /// application kept for it.
    pub(super) fn remove(&mut self, handle: SessionHandle) -> Option<T>
    where
        T: Default,
    {
        let seat = self.entries.find(handle.local)?;
        let entry = self.entries.get_mut(seat).filter(|entry| entry.serial == handle.serial)?;
        let data = core::mem::take(&mut entry.data);
        let (peer, group) = (entry.peer(), group_of(entry.session.identity()));
        self.order.remove(group, seat);
        if let Some(peer) = peer {
            let entries = &self.entries;
            self.peers.remove(peer, seat, |seat| entries.get(seat)?.peer());
        }
        self.entries.discard(handle.local);
        if let Some(peer) = peer {
            let left = self.count_of(peer);
            self.rank_peer(peer, left, seat);
        }
        Some(data)
    }

    fn count_of(&self, peer: Peer) -> u8 {
        u8::try_from(self.of_peer(peer).count()).unwrap_or(u8::MAX)
    }

    /// Takes note of how many sessions there are with a peer, for all but one of them.
    fn rank_peer(&mut self, peer: Peer, of_peer: u8, but: Seat) {
        let entries = &self.entries;
        for seat in self.peers.candidates(peer) {
            if seat != but && entries.get(seat).and_then(Entry::peer) == Some(peer) {
                let change = |rank: Rank| Rank::new(of_peer, rank.is_defunct());
                self.order.rank(Some(peer.fabric), seat, change, |seat| last_used(entries, seat));
            }
        }
    }

    /// Whether there is a place left for a session of this kind.
    fn has_room(&self, kind: SessionKind) -> bool {
        let (len, capacity) = (self.entries.len(), self.entries.capacity());
        let case = len.saturating_sub(self.order.count(PASE));
        len < capacity && (kind == SessionKind::Pase || case.saturating_add(1) < capacity)
    }

    /// The session that goes for a newcomer, if one must: because the table is full, or because
    /// the newcomer's peer has as many as one may have.
    ///
    /// A full table takes from the fabric that has most, in doubt that of the newcomer: so a
    /// fabric keeps the three sessions that it is guaranteed as long as the table has room for
    /// three per fabric. Of its peers the one that has most sessions, in doubt that of the
    /// newcomer, unless that is its only working session. Then a defunct one before an active one,
    /// and the one idle longest. [Core, "Session Eviction"]
    ///
    /// PASE and CASE sessions do not drive each other out while either has one to give, and a CASE
    /// session finds its place where several PASE sessions are.
    pub(super) fn makes_room_for(
        &self,
        newcomer: &Identity,
        most_of_peer: u8,
    ) -> Option<SessionHandle> {
        let own = peer_of(newcomer);
        if let Some(peer) = own.filter(|peer| self.count_of(*peer) >= most_of_peer.max(1)) {
            return self.worst_of_peer(peer).map(|(_, session)| session);
        }
        if self.has_room(newcomer.kind()) {
            return None;
        }
        // One place is kept for PASE. Of more, those go that CASE has a claim to.
        if newcomer.kind() == SessionKind::Case && self.order.count(PASE) <= 1 {
            return self.case_victim(own);
        }
        let pase = self.first_to_go(PASE).map(|(_, session)| session);
        pase.or_else(|| self.case_victim(own))
    }

    fn case_victim(&self, newcomer: Option<Peer>) -> Option<SessionHandle> {
        let fabric = self.order.largest_fabric(newcomer.map(|peer| peer.fabric))?;
        let (first, victim) = self.first_to_go(Some(fabric))?;
        let own = newcomer.filter(|peer| peer.fabric == fabric);
        match own.and_then(|peer| self.worst_of_peer(peer)) {
            // With as many sessions as any other peer the newcomer's gives one up itself, unless
            // that is its only working one.
            Some((own, session))
                if own.of_peer() == first.of_peer() && (own.of_peer() > 1 || own.is_defunct()) =>
            {
                Some(session)
            }
            _ => Some(victim),
        }
    }

    /// The session of a group that others would sooner do without than any other, and its rank.
    fn first_to_go(&self, group: Group) -> Option<(Rank, SessionHandle)> {
        let (rank, seat) = self.order.first_to_go(group)?;
        Some((rank, self.entries.get(seat)?.handle()))
    }

    /// Of the sessions with a peer the one to do without, and its rank.
    #[inline(never)]
    fn worst_of_peer(&self, peer: Peer) -> Option<(Rank, SessionHandle)> {
        let idle = |entry: &Entry<C, T>| Reverse((entry.session.last_activity(), entry.serial));
        let worst = self
            .of_peer(peer)
            .max_by_key(|(seat, entry)| (self.order.is_defunct(*seat), idle(entry)));
        let (seat, entry) = worst?;
        Some((self.order.rank_of(seat), entry.handle()))
    }
}

/// When a session was used last.
fn last_used<C: Crypto, T>(entries: &impl Seats<Entry<C, T>>, seat: Seat) -> Option<Instant> {
    entries.get(seat).map(|entry| entry.session.last_activity())
}
