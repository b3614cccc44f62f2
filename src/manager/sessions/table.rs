//! The table of secure sessions: by local id, by peer, in the order of their use.

use core::cmp::Reverse;
use core::ops::RangeInclusive;

use rand_core::CryptoRng;

use crate::context::PeerCertificates;
use crate::crypto::Crypto;
use crate::ids::Peer;
use crate::ids::{FabricIndex, LocalSessionId, NodeId};
use crate::manager::handle::{PeerAddress, SessionHandle};
use crate::manager::node::Node;
use crate::manager::sessions::entry::{Entry, PASE, listed_under, peer_of};
use crate::manager::sessions::order::UseOrder;
use crate::manager::sessions::session_ref::SessionRef;
use crate::manager::storage::{
    Chains, ConnectionIndex, FabricOrPase, Holder, Peers, Rank, Seat, Seats, Storage,
};
use crate::session::{Identity, SessionKind};
use crate::time::Instant;

/// Secure sessions by local id and by peer.
pub(in crate::manager) struct SessionTable<C: Crypto, S: Storage, T> {
    entries: S::Sessions<Entry<C, T>>,
    peers: S::Peers,
    connections: S::Connections,
    order: UseOrder<S>,
    /// Those of the peers, if the configuration asks for them.
    certificates: S::Chains<LocalSessionId>,
    ids: RangeInclusive<u16>,
    last_id: u16,
}

impl<C: Crypto, S: Storage, T> SessionTable<C, S, T> {
    pub(in crate::manager) const EMPTY: Self = Self {
        entries: Seats::EMPTY,
        peers: Peers::EMPTY,
        connections: ConnectionIndex::EMPTY,
        order: UseOrder::EMPTY,
        certificates: Chains::EMPTY,
        ids: 0..=0,
        last_id: 0,
    };

    /// Has room for so many CASE sessions or fewer, and one more place that is kept for PASE.
    /// `ids` may be given out; any `last_id` says where to begin.
    pub(in crate::manager) fn start(
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

    pub(in crate::manager) fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    pub(in crate::manager) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(in crate::manager) fn by_local(&self, local: LocalSessionId) -> Option<&Entry<C, T>> {
        self.entries.get(self.entries.find(local)?)
    }

    pub(in crate::manager) fn by_local_mut(
        &mut self,
        local: LocalSessionId,
    ) -> Option<&mut Entry<C, T>> {
        self.entries.get_mut(self.entries.find(local)?)
    }

    /// Returns the session with this id, noted as the one used last.
    #[inline]
    pub(in crate::manager) fn in_use(&mut self, local: LocalSessionId) -> Option<&mut Entry<C, T>> {
        let seat = self.entries.find(local)?;
        let entry = self.entries.get_mut(seat)?;
        self.order.used(listed_under(entry.session.identity()), seat);
        Some(entry)
    }

    /// Notes that a message of the peer of a session was received. `from` replaces its address.
    #[inline]
    pub(in crate::manager) fn received_from(
        &mut self,
        local: LocalSessionId,
        from: Option<PeerAddress>,
    ) {
        let Some(seat) = self.entries.find(local) else { return };
        let Some(entry) = self.entries.get_mut(seat) else { return };
        entry.address = from.unwrap_or(entry.address);
        entry.is_unheard = false;
        self.order.received_from(listed_under(entry.session.identity()), seat);
    }

    /// Notes that the peer of a session does not answer. A PASE session is kept or closed,
    /// never defunct.
    pub(in crate::manager) fn unanswered(&mut self, local: LocalSessionId) {
        let Some(seat) = self.entries.find(local) else { return };
        let Some(peer) = self.entries.get(seat).and_then(Entry::peer) else { return };
        let entries = &self.entries;
        let change = |rank: Rank| Rank::new(rank.of_peer(), true);
        self.order.rank(Some(peer.fabric), seat, change, |seat| last_used(entries, seat));
    }

    pub(in crate::manager) fn get(&self, handle: SessionHandle) -> Option<&Entry<C, T>> {
        self.by_local(handle.local).filter(|entry| entry.serial == handle.serial)
    }

    pub(in crate::manager) fn get_mut(
        &mut self,
        handle: SessionHandle,
    ) -> Option<&mut Entry<C, T>> {
        self.by_local_mut(handle.local).filter(|entry| entry.serial == handle.serial)
    }

    pub(in crate::manager) fn get_ref<'a>(
        &'a self,
        handle: SessionHandle,
        node: &'a Node<S>,
    ) -> Option<SessionRef<'a, C, S, T>> {
        let seat = self.entries.find(handle.local)?;
        let entry = self.entries.get(seat).filter(|entry| entry.serial == handle.serial)?;
        Some(self.ref_to(seat, entry, node))
    }

    fn ref_to<'a>(
        &'a self,
        seat: Seat,
        entry: &'a Entry<C, T>,
        node: &'a Node<S>,
    ) -> SessionRef<'a, C, S, T> {
        let defunct = self.order.is_defunct(seat);
        SessionRef { entry, defunct, certificates: &self.certificates, node }
    }

    /// Returns all sessions by ascending id.
    pub(in crate::manager) fn refs<'a>(
        &'a self,
        node: &'a Node<S>,
    ) -> impl Iterator<Item = SessionRef<'a, C, S, T>> {
        self.entries.iter().map(move |(seat, entry)| self.ref_to(seat, entry, node))
    }

    /// Keeps the certificates of its peer with a session that lives.
    pub(in crate::manager) fn keep_certificates(
        &mut self,
        session: SessionHandle,
        certificates: &PeerCertificates<'_>,
    ) {
        if self.get(session).is_some() {
            self.certificates.keep(session.local, certificates);
        }
    }

    /// Returns the session with the lowest id that `which` picks.
    pub(super) fn find(&self, which: impl Fn(&Entry<C, T>) -> bool) -> Option<SessionHandle> {
        self.entries.iter().map(|(_, entry)| entry).find(|entry| which(entry)).map(Entry::handle)
    }

    /// Returns the handle of the session that has this id now.
    pub(in crate::manager) fn handle(&self, local: LocalSessionId) -> Option<SessionHandle> {
        self.by_local(local).map(Entry::handle)
    }

    fn handle_at(&self, seat: Seat) -> Option<SessionHandle> {
        self.entries.get(seat).map(Entry::handle)
    }

    /// Returns the CASE sessions with a peer, in no particular order.
    pub(in crate::manager) fn of_peer(
        &self,
        peer: Peer,
    ) -> impl Iterator<Item = (Seat, &Entry<C, T>)> {
        self.peers
            .candidates(peer)
            .filter_map(|seat| Some((seat, self.entries.get(seat)?)))
            .filter(move |(_, entry)| entry.peer() == Some(peer))
    }

    /// Returns the session that messages to a peer should use: none that is defunct, none that
    /// closes, and none whose counter is used up; of those that `suits` picks.
    pub(in crate::manager) fn best_of_peer(
        &self,
        peer: Peer,
        suits: impl Fn(&Entry<C, T>) -> bool,
    ) -> Option<SessionHandle> {
        self.of_peer(peer)
            .filter(|(seat, entry)| {
                let is_usable = entry.closing.is_none() && !entry.is_exhausted();
                is_usable && !self.order.is_defunct(*seat) && suits(entry)
            })
            .max_by_key(|(_, entry)| (entry.session.last_received(), entry.serial))
            .map(|(_, entry)| entry.handle())
    }

    /// Returns the session with a peer that has the lowest id from `first` on.
    pub(super) fn next_of_peer(&self, peer: Peer, first: u16) -> Option<LocalSessionId> {
        let ids = self.of_peer(peer).map(|(_, entry)| entry.handle().local);
        ids.filter(|id| id.get() >= first).min()
    }

    /// Returns any session with a peer.
    pub(in crate::manager) fn any_of_peer(&self, peer: Peer) -> Option<SessionHandle> {
        self.of_peer(peer).next().map(|(_, entry)| entry.handle())
    }

    /// Returns the session with the lowest id.
    pub(in crate::manager) fn first(&self) -> Option<SessionHandle> {
        self.entries.next(0).and_then(|(_, seat)| self.handle_at(seat))
    }

    /// Returns the session with a peer at this address that has the lowest id from `first` on.
    pub(in crate::manager) fn next_over(
        &self,
        address: PeerAddress,
        first: u16,
    ) -> Option<SessionHandle> {
        let scan = || self.scan_over(address, first);
        self.handle(self.connections.next(address, first, scan)?)
    }

    fn scan_over(&self, address: PeerAddress, first: u16) -> Option<LocalSessionId> {
        let mut first = first;
        loop {
            let (id, seat) = self.entries.next(first)?;
            let entry = self.entries.get(seat)?;
            if entry.address.is(&address) {
                return Some(id);
            }
            first = id.get().checked_add(1)?;
        }
    }

    /// Returns the fabrics that have sessions, and PASE if it has.
    pub(super) fn fabrics(&self) -> impl Iterator<Item = FabricOrPase> {
        self.order.fabrics()
    }

    /// Returns true if the fabric of a peer has sessions with other peers, too. A PASE session is
    /// a peer of its own.
    pub(super) fn has_other_peers(&self, holder: Holder) -> bool {
        let Holder { fabric, peer } = holder;
        let of_peer = match fabric {
            Some(fabric) => self.of_peer(Peer { fabric, node: NodeId::new(peer) }).count(),
            None => 1,
        };
        self.order.count(fabric) > of_peer
    }

    /// Returns a session of a fabric other than `spared`, with a local id from `first` on: a CASE
    /// session, or a PASE session over which the fabric was added.
    pub(in crate::manager) fn next_of_fabric(
        &self,
        fabric: FabricIndex,
        spared: Option<SessionHandle>,
        first: u16,
    ) -> Option<SessionHandle> {
        let mut first = first;
        loop {
            let (id, seat) = self.entries.next(first)?;
            let entry = self.entries.get(seat)?;
            let is_of = entry.session.identity().fabric() == Some(fabric);
            if is_of && Some(entry.handle()) != spared {
                return Some(entry.handle());
            }
            first = id.get().checked_add(1)?;
        }
    }

    /// Returns the PASE sessions, the one idle longest first.
    pub(in crate::manager) fn pase(&self) -> impl Iterator<Item = &Entry<C, T>> {
        self.order.iter(PASE).filter_map(|seat| self.entries.get(seat))
    }

    /// Returns the next local id that is neither in use nor `reserved`: ids go round, so that none
    /// comes back before all others had their turn.
    pub(in crate::manager) fn free_id(
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
    pub(in crate::manager) fn insert(&mut self, entry: Entry<C, T>) -> Option<SessionHandle> {
        let (handle, peer, address) = (entry.handle(), entry.peer(), entry.address);
        let fabric = listed_under(entry.session.identity());
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
        self.connections.insert(address, handle.local);
        self.order.add(fabric, seat, of_peer);
        Some(handle)
    }

    /// Ends a session where it stands, as moving it would leave its keys there. Returns what the
    /// application kept for it.
    pub(in crate::manager) fn remove(&mut self, handle: SessionHandle) -> Option<T>
    where
        T: Default,
    {
        let seat = self.entries.find(handle.local)?;
        let entry = self.entries.get_mut(seat).filter(|entry| entry.serial == handle.serial)?;
        let data = core::mem::take(&mut entry.data);
        let (peer, fabric) = (entry.peer(), listed_under(entry.session.identity()));
        self.connections.remove(entry.address, handle.local);
        self.order.remove(fabric, seat);
        if let Some(peer) = peer {
            let entries = &self.entries;
            self.peers.remove(peer, seat, |seat| entries.get(seat)?.peer());
        }
        self.certificates.forget(&handle.local);
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

    /// Notes how many sessions there are with a peer, for all but one of them.
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

    /// Returns true if the peer of a new session has as many as a peer may have.
    pub(in crate::manager) fn is_peer_full(&self, newcomer: &Identity, most_of_peer: u8) -> bool {
        peer_of(newcomer).is_some_and(|peer| self.count_of(peer) >= most_of_peer.max(1))
    }

    /// Returns the session to evict for a new one; `None` if none must be. One must be evicted when
    /// the table is full, or when the new session's peer has as many sessions as a peer may have.
    ///
    /// A full table evicts from the fabric with the most sessions; of several, from that of the new
    /// session. So a fabric keeps the three sessions that the specification guarantees, as long as
    /// the table has room for three per fabric. Of these sessions, the table evicts one with the peer
    /// with the most sessions; of several, with the new session's peer, unless that peer would lose
    /// its only working session. Of these, a defunct session is evicted before an active one, then
    /// the session idle longest. [Core, "Session Eviction"]
    ///
    /// PASE and CASE sessions do not evict each other while the own kind has a session to evict. A
    /// CASE session finds its place where several PASE sessions are.
    pub(in crate::manager) fn victim_for(
        &self,
        newcomer: &Identity,
        most_of_peer: u8,
    ) -> Option<SessionHandle> {
        let own = peer_of(newcomer);
        if let Some(peer) = own.filter(|_| self.is_peer_full(newcomer, most_of_peer)) {
            return self.worst_of_peer(peer).map(|(_, session)| session);
        }
        if self.has_room(newcomer.kind()) {
            return None;
        }
        // One place is kept for PASE. Of more, those go that CASE has a claim to.
        if newcomer.kind() == SessionKind::Case && self.order.count(PASE) <= 1 {
            return self.case_victim(own);
        }
        let pase = self.first_to_evict(PASE).map(|(_, session)| session);
        pase.or_else(|| self.case_victim(own))
    }

    fn case_victim(&self, newcomer: Option<Peer>) -> Option<SessionHandle> {
        let own = newcomer.filter(|own| self.order.largest_fabrics().any(|of| of == own.fabric));
        if let Some(own) = own {
            return self.victim_of_own_fabric(own);
        }
        // Each of these fabrics has as many sessions: whatever else counts is compared across them.
        let first = |fabric| {
            let (rank, seat) = self.order.first_to_evict(Some(fabric))?;
            let entry = self.entries.get(seat)?;
            Some((rank, entry.session.last_activity(), entry.serial, entry.handle()))
        };
        let firsts = self.order.largest_fabrics().filter_map(first);
        firsts
            .min_by_key(|(rank, used, serial, _)| (*rank, *used, *serial))
            .map(|(.., first)| first)
    }

    fn victim_of_own_fabric(&self, newcomer: Peer) -> Option<SessionHandle> {
        let (first, victim) = self.first_to_evict(Some(newcomer.fabric))?;
        match self.worst_of_peer(newcomer) {
            // With as many sessions as any other peer, the newcomer's loses one, unless that is its
            // only working one.
            Some((own, session))
                if own.of_peer() == first.of_peer() && (own.of_peer() > 1 || own.is_defunct()) =>
            {
                Some(session)
            }
            _ => Some(victim),
        }
    }

    /// The session of a fabric (or of PASE) to evict first, and its rank.
    fn first_to_evict(&self, fabric: FabricOrPase) -> Option<(Rank, SessionHandle)> {
        let (rank, seat) = self.order.first_to_evict(fabric)?;
        Some((rank, self.entries.get(seat)?.handle()))
    }

    /// The session with a peer to evict first, and its rank.
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
