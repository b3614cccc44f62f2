//! Who may have how much: shares of the table of exchanges, and of the bytes of messages.
//!
//! **Exchanges.** A quarter of the table, and one place at least, is kept for exchanges that this
//! node begins, and as much for those of peers. When the peers' places are taken, a new exchange
//! displaces one of the fabric that holds most, and there of the peer that holds most, if that
//! fabric or that peer then still holds as much as the newcomer. The exchange that was idle longest
//! is displaced. An exchange that this node has begun is never displaced.
//!
//! **Bytes**, where there is a limit. The largest message of a handshake is kept for handshakes.
//! Each fabric can always have the longest message over UDP, and takes more only while it leaves as
//! much to every other fabric with a session, and to the other peers of its own. A table that is
//! too small for all of them keeps what it can beside one message. While no message is in flight,
//! one over a reliable transport can take all: it can be longer than the largest over UDP.

use crate::crypto::Crypto;
use crate::ids::{LocalSessionId, NodeId, Peer};
use crate::manager::config::Config;
use crate::manager::delivery::{Delivery, HANDSHAKE_MESSAGE_LEN};
use crate::manager::handle::{ExchangeKey, Source};
use crate::manager::node::Node;
use crate::manager::sessions::exchanges::{Exchanges, owner_of};
use crate::manager::sessions::table::SessionTable;
use crate::manager::sessions::tables::Sessions;
use crate::manager::statistics::increment;
use crate::manager::storage::{ByteStore, Holder, Holders, Owner, Storage};
use crate::time::Instant;
use crate::wire::{MAX_UDP_MESSAGE, MIN_MESSAGE_HEADER, MIN_PROTOCOL_HEADER, TAILROOM};

/// What the longest message of a session over UDP takes while it is put together, in bytes.
const MESSAGE_LEN: usize =
    Config::buffer_len(MAX_UDP_MESSAGE - MIN_MESSAGE_HEADER - MIN_PROTOCOL_HEADER - TAILROOM);

/// Where a new exchange finds its place.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// There is one.
    Free,
    /// That of an exchange of this peer.
    Of(Holder),
}

impl<S: Storage> Exchanges<S> {
    /// How many places are kept for exchanges of this node, and how many for those of peers.
    fn kept(&self) -> usize {
        match self.capacity() {
            0 | 1 => 0,
            capacity => (capacity / 4).max(1),
        }
    }

    /// Returns true if this node may begin another exchange.
    pub(super) fn has_room_for_own(&self) -> bool {
        let own = self.len().saturating_sub(self.begun_by_peers());
        self.len() < self.capacity() && own < self.capacity().saturating_sub(self.kept())
    }

    /// Returns where another exchange of the peer of a session finds its place. It may have
    /// `most_per_session` on the session.
    pub(super) fn place_for(
        &self,
        session: LocalSessionId,
        holder: Holder,
        most_per_session: usize,
    ) -> Option<Place> {
        // Where there are fewer in all, they need not be counted.
        if self.begun_by_peers() >= most_per_session && self.has_begun(session, most_per_session) {
            return None;
        }
        let for_peers = self.capacity().saturating_sub(self.kept());
        if self.begun_by_peers() < for_peers && self.len() < self.capacity() {
            return Some(Place::Free);
        }
        self.displaced_by(holder).map(Place::Of)
    }

    /// Returns true if the peer of a session has begun so many exchanges on it.
    fn has_begun(&self, session: LocalSessionId, most: usize) -> bool {
        let mut begun = self.of_session(session).filter(|(key, _)| !key.initiator);
        most.checked_sub(1).is_none_or(|last| begun.nth(last).is_some())
    }

    /// Returns the peer that loses an exchange to a new one of this peer.
    #[inline(never)]
    fn displaced_by(&self, newcomer: Holder) -> Option<Holder> {
        let all = || self.iter().filter(|(key, _)| !key.initiator).map(|(_, entry)| entry.holder);
        let holders = self.holders();
        let of_fabric = holders.of_fabric(newcomer.fabric, all());
        let (largest, count) = holders.largest_fabric(all)?;
        if count >= of_fabric.saturating_add(2) {
            return holders.largest_peer(largest, all).map(|(holder, _)| holder);
        }
        let (holder, count) = holders.largest_peer(newcomer.fabric, all)?;
        (count >= holders.of_peer(newcomer, all()).saturating_add(2)).then_some(holder)
    }

    /// Returns the exchanges that the peer of a session has begun.
    fn begun_on(&self, session: LocalSessionId) -> impl Iterator<Item = (ExchangeKey, Instant)> {
        self.of_session(session)
            .filter(|(key, _)| !key.initiator)
            .map(|(key, entry)| (*key, entry.exchange.last_used()))
    }
}

impl<C: Crypto, S: Storage, T> SessionTable<C, S, T> {
    fn of_holder(&self, holder: Holder) -> impl Iterator<Item = LocalSessionId> {
        let Holder { fabric, peer } = holder;
        let case = fabric.map(|fabric| self.of_peer(Peer { fabric, node: NodeId::new(peer) }));
        let case = case.into_iter().flatten().map(|(_, entry)| entry.session.local_session_id());
        let pase = u16::try_from(peer).ok().filter(|_| fabric.is_none());
        case.chain(pase.and_then(LocalSessionId::new))
    }
}

impl<C: Crypto, S: Storage, T: Default> Sessions<C, S, T> {
    /// Ends the exchange of a peer that was idle longest. What was delivered on it is acknowledged.
    /// A message in flight is reported as undelivered.
    #[inline(never)]
    pub(super) fn displace(
        &mut self,
        holder: Holder,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) {
        let of_peer = self.table.of_holder(holder).flat_map(|id| self.exchanges.begun_on(id));
        let Some((key, _)) = of_peer.min_by_key(|(_, used)| *used) else { return };
        let Some(mut entry) = self.exchanges.remove(&key) else { return };
        increment(&mut delivery.statistics.evicted.exchanges);
        delivery.forget(Source::Exchange(key), entry.filed);
        if let Some(session) = self.table.handle(key.session) {
            self.acknowledge_all(session, &mut entry, now, delivery);
        }
        entry.report_undelivered(key, delivery);
        self.seal_waiting(key.session, now, delivery, node);
        self.end_if_settled(key.session, delivery);
    }

    /// Returns how many bytes the next message of an exchange may take.
    pub(super) fn room_for(&self, key: ExchangeKey, bytes: &S::Bytes) -> usize {
        let room = bytes.room(owner_of(key));
        match S::Bytes::CAPACITY {
            None => room,
            Some(capacity) => self.share_of(key, capacity, room, bytes),
        }
    }

    #[inline(never)]
    fn share_of(&self, key: ExchangeKey, capacity: usize, room: usize, bytes: &S::Bytes) -> usize {
        let of_handshake = HANDSHAKE_MESSAGE_LEN.saturating_add(S::Bytes::OVERHEAD);
        let message = MESSAGE_LEN.saturating_add(S::Bytes::OVERHEAD);
        let for_sessions = capacity.saturating_sub(of_handshake);
        let own = self.table.by_local(key.session);
        let Some(own) = own.filter(|_| for_sessions >= message) else { return room };
        let (is_reliable, own) = (own.address.is_reliable(), own.holder());
        // What those have that are `counted`, the former message of this exchange apart.
        let held = |counted: &dyn Fn(Option<Holder>) -> bool| {
            let owners = bytes.owners().filter(|(owner, _)| match owner {
                Owner::Message(Source::Handshake(_)) => counted(None),
                Owner::Message(Source::Exchange(other)) if *other != key => {
                    let session = self.table.by_local(other.session);
                    session.is_some_and(|session| counted(Some(session.holder())))
                }
                _ => false,
            });
            owners.fold(0_usize, |sum, (_, len)| sum.saturating_add(len))
        };
        // A message over a reliable transport can be longer than all that a fabric can count on. It
        // is sent when no other is in flight, and is gone as soon as it has been sent.
        if is_reliable && held(&|holder| holder.is_some()) == 0 {
            return room;
        }
        let unused = |held: usize| message.saturating_sub(held);
        let handshakes = held(&|holder| holder.is_none());
        let room = room.saturating_sub(of_handshake.saturating_sub(handshakes));
        let of = |fabric| held(&move |holder| holder.is_some_and(|held| held.fabric == fabric));
        let of_fabric = of(own.fabric);
        let others = self.table.fabrics().filter(|fabric| *fabric != own.fabric);
        let mut kept = others.fold(0_usize, |sum, fabric| sum.saturating_add(unused(of(fabric))));
        if self.table.has_other_peers(own) {
            let neighbours = |holder: Holder| holder.fabric == own.fabric && holder != own;
            kept = kept.saturating_add(unused(held(&|holder| holder.is_some_and(neighbours))));
        }
        let kept = kept.min(for_sessions.saturating_sub(message));
        let first = MESSAGE_LEN.saturating_sub(of_fabric);
        room.min(first.max(room.saturating_sub(kept)))
    }
}
