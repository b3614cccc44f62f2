//! Settings of a manager.

use core::ops::RangeInclusive;
use core::time::Duration;

#[cfg(feature = "initiator")]
use rand_core::CryptoRng;

#[cfg(feature = "alloc")]
use super::shard::Shard;
use crate::cert::Profile;
#[cfg(feature = "initiator")]
use crate::session::EphemeralNodeId;
use crate::session::SessionParameters;
use crate::wire::{HEADROOM, MAX_UDP_MESSAGE, MAX_UDP_PAYLOAD, TAILROOM};

/// Limits and timing of a [`SessionManager`](super::SessionManager). The defaults suit a
/// controller on a desktop. The `with_` methods change the settings that go together; every
/// setting is a public field, too.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// This node's session parameters, announced in every handshake.
    pub parameters: SessionParameters,
    /// Most CASE sessions at once: 1 to 65,534, as a session id has 16 bits. One more place is kept
    /// for PASE, so that a full node can be commissioned. Handshakes in progress take ids as well:
    /// when all are in use, nothing new is begun. One of several [shards](Self::shard) has fewer
    /// ids, of which [`max_handshakes`](Self::max_handshakes), or half at most, are left to those.
    pub max_sessions: usize,
    /// Most CASE sessions at once with one peer: 1 to 255, 0 counts as 1. One more makes the peer
    /// give one up: a defunct one, or the one idle longest. An honest peer needs two at times, and
    /// one that comes back again and again must not fill the table.
    pub max_sessions_per_peer: u8,
    /// Most exchanges of secure sessions at once.
    pub max_exchanges: usize,
    /// Most exchanges at once that the peer of one session may begin, and never the last one
    /// that there is room for: none can take the places of all others. Nodes should not have
    /// more than five at a time.
    pub max_exchanges_per_session: usize,
    /// Most handshakes at once, both roles together; a peer beyond that is told to come back.
    pub max_handshakes: usize,
    /// Most fabrics.
    pub max_fabrics: usize,
    /// Most resumption records in the manager's own table; the one that was saved or offered
    /// least recently makes room.
    pub max_records: usize,
    /// Most group key sets of a fabric.
    pub max_group_key_sets: usize,
    /// Most groups of a fabric.
    pub max_groups: usize,
    /// Most nodes of a fabric that send to its groups, and most that ask for this node's counter:
    /// the counter of each is kept until the manager ends, so that none of its messages is taken
    /// twice. The messages of more are dropped:
    /// [`Event::GroupSendersFull`](super::Event::GroupSendersFull).
    pub max_group_senders: usize,
    /// Most messages to groups that wait for their sender's counter, with key sets of the policy
    /// [`CacheAndSync`](crate::group::SecurityPolicy::CacheAndSync). The oldest makes room, of the
    /// same sender first. [`WithGroups`](super::WithGroups) has room for four.
    pub max_waiting_group_messages: usize,
    /// How many events may wait to be polled before nothing is begun that could cause more. What
    /// lives already can still tell its end: no event is ever lost.
    /// [`Fixed`](super::Fixed) has room for four.
    pub max_events: usize,
    /// How many short messages may wait to be sent: refusals, goodbyes, acknowledgements to
    /// strangers. Each of them may be lost without harm, so when there are more some are dropped:
    /// those of secure sessions last. A goodbye to every session should fit.
    /// [`Fixed`](super::Fixed) has room for eight.
    pub max_replies: usize,
    /// The largest message to send over UDP, in bytes, headers and integrity code included: 1,232
    /// by default. Messages of handshakes are never longer than that.
    pub max_message: usize,
    /// How long a resumption record in the manager's own table may be used after its last session
    /// was established. A [`ResumptionStore`](crate::resumption::ResumptionStore) has its own rule.
    pub record_lifetime: Duration,
    /// How long an exchange of which nobody speaks any more is kept.
    pub exchange_lifetime: Duration,
    /// Added to every wait for an acknowledgement: for networks slower than the parameters say.
    pub retransmission_boost: Duration,
    /// No wait for an acknowledgement is computed from a longer interval, whatever the peer has
    /// declared: an hour by default, which a peer can make half a day of with every message that
    /// it does not acknowledge. A node whose peers all listen more often sets less.
    pub longest_interval: Duration,
    /// The least that a peer is told which has to wait for a free handshake slot. If it takes
    /// longer until one is free for sure, the peer is told so.
    pub busy_wait: Duration,
    /// How strictly certificates are read.
    pub certificate_profile: Profile,
    /// Whether a certificate that was verified before, under the same key, is trusted without
    /// verifying its signature again: the intermediate ones, and with an allocator those of nodes.
    /// See [`RecentlyVerified`](crate::cert::RecentlyVerified).
    pub remember_certificates: bool,
    /// Which part of a node the manager is, where several are behind one port.
    #[cfg(feature = "alloc")]
    pub shard: Shard,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            parameters: SessionParameters::matter_1_6(),
            max_sessions: 1024,
            max_sessions_per_peer: 16,
            max_exchanges: 1024,
            max_exchanges_per_session: 16,
            max_handshakes: 32,
            max_fabrics: 16,
            max_records: 1024,
            max_group_key_sets: 32,
            max_groups: 256,
            max_group_senders: 64,
            max_waiting_group_messages: 32,
            max_events: 4096,
            max_replies: 1024,
            max_message: MAX_UDP_MESSAGE,
            record_lifetime: Duration::from_secs(30 * 24 * 3600),
            exchange_lifetime: Duration::from_secs(60),
            retransmission_boost: Duration::ZERO,
            longest_interval: Duration::from_secs(3600),
            busy_wait: Duration::from_secs(5),
            certificate_profile: Profile::default(),
            remember_certificates: false,
            #[cfg(feature = "alloc")]
            shard: Shard::WHOLE,
        }
    }
}

impl Config {
    /// Stands in for the settings until the manager is started: all zero, so that it costs no
    /// flash in a `static`.
    pub(super) const UNSET: Self = Self {
        parameters: SessionParameters::UNSET,
        max_sessions: 0,
        max_sessions_per_peer: 0,
        max_exchanges: 0,
        max_exchanges_per_session: 0,
        max_handshakes: 0,
        max_fabrics: 0,
        max_records: 0,
        max_group_key_sets: 0,
        max_groups: 0,
        max_group_senders: 0,
        max_waiting_group_messages: 0,
        max_events: 0,
        max_replies: 0,
        max_message: 0,
        record_lifetime: Duration::ZERO,
        exchange_lifetime: Duration::ZERO,
        retransmission_boost: Duration::ZERO,
        longest_interval: Duration::ZERO,
        busy_wait: Duration::ZERO,
        certificate_profile: Profile::Strict,
        remember_certificates: false,
        #[cfg(feature = "alloc")]
        shard: Shard::WHOLE,
    };

    /// Announces other session parameters.
    #[must_use]
    pub const fn with_parameters(mut self, parameters: SessionParameters) -> Self {
        self.parameters = parameters;
        self
    }

    /// Limits the CASE sessions at once; brought into `1..=65534`, or below the number of ids that
    /// the [`shard`](super::Shards) has. A PASE session has a place beside them.
    #[must_use]
    pub const fn with_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// Limits the CASE sessions at once with one peer; 0 counts as 1.
    #[must_use]
    pub const fn with_sessions_per_peer(mut self, sessions: u8) -> Self {
        self.max_sessions_per_peer = sessions;
        self
    }

    /// Limits the exchanges at once, of all secure sessions together.
    #[must_use]
    pub const fn with_exchanges(mut self, exchanges: usize) -> Self {
        self.max_exchanges = exchanges;
        self
    }

    /// Limits the exchanges that the peer of one session may have begun at once.
    #[must_use]
    pub const fn with_exchanges_per_session(mut self, exchanges: usize) -> Self {
        self.max_exchanges_per_session = exchanges;
        self
    }

    /// Limits the events that wait to be polled.
    #[must_use]
    pub const fn with_events(mut self, events: usize) -> Self {
        self.max_events = events;
        self
    }

    /// Limits the short messages that wait to be sent.
    #[must_use]
    pub const fn with_replies(mut self, replies: usize) -> Self {
        self.max_replies = replies;
        self
    }

    /// Limits the handshakes at once and sets the least wait that a peer is told when there are as
    /// many.
    #[must_use]
    pub const fn with_handshakes(mut self, handshakes: usize, busy_wait: Duration) -> Self {
        self.max_handshakes = handshakes;
        self.busy_wait = busy_wait;
        self
    }

    /// Limits number and lifetime of resumption records.
    #[must_use]
    pub const fn with_records(mut self, records: usize, lifetime: Duration) -> Self {
        self.max_records = records;
        self.record_lifetime = lifetime;
        self
    }

    /// Sends messages of up to `octets` over UDP. Above 1,232 they exceed the minimum MTU of
    /// IPv6 and may be fragmented; peers need not take them.
    #[must_use]
    pub const fn with_max_message(mut self, octets: usize) -> Self {
        self.max_message = octets;
        self
    }

    /// Limits the fabrics that this node can belong to.
    #[must_use]
    pub const fn with_fabrics(mut self, fabrics: usize) -> Self {
        self.max_fabrics = fabrics;
        self
    }

    /// Limits the group key sets of a fabric and its groups. Where all fabrics share less, in
    /// [`WithGroups`](super::WithGroups), each has its part of that.
    #[must_use]
    pub const fn with_groups(mut self, key_sets: usize, groups: usize) -> Self {
        self.max_groups = groups;
        self.max_group_key_sets = key_sets;
        self
    }

    /// Limits the senders to the groups of a fabric, and the messages of all that may wait for a
    /// counter.
    #[must_use]
    pub const fn with_group_senders(mut self, senders: usize, waiting: usize) -> Self {
        self.max_group_senders = senders;
        self.max_waiting_group_messages = waiting;
        self
    }

    /// Keeps an exchange of which nobody speaks any more for so long.
    #[must_use]
    pub const fn with_exchange_lifetime(mut self, lifetime: Duration) -> Self {
        self.exchange_lifetime = lifetime;
        self
    }

    /// Adds to every wait for an acknowledgement: for networks slower than the peers' parameters
    /// say, Thread with many hops for instance.
    #[must_use]
    pub const fn with_retransmission_boost(mut self, boost: Duration) -> Self {
        self.retransmission_boost = boost;
        self
    }

    /// Takes every peer to listen at least this often. With 15 s, say, a message that is not
    /// acknowledged is given up after four minutes, however long the intervals that its peer has
    /// declared; one that does sleep longer may miss it.
    #[must_use]
    pub const fn with_longest_interval(mut self, interval: Duration) -> Self {
        self.longest_interval = interval;
        self
    }

    /// Reads certificates, own and peers', as strictly as this.
    #[must_use]
    pub const fn with_certificate_profile(mut self, profile: Profile) -> Self {
        self.certificate_profile = profile;
        self
    }

    /// Trusts a certificate that was verified before under the same key.
    #[must_use]
    pub const fn with_remembered_certificates(mut self) -> Self {
        self.remember_certificates = true;
        self
    }

    /// Makes the manager one of several behind one port: see [`Shards`](super::Shards).
    #[cfg(feature = "alloc")]
    #[must_use]
    pub const fn with_shard(mut self, shard: Shard) -> Self {
        self.shard = shard;
        self
    }

    /// The limit of CASE sessions within what session ids allow.
    pub(super) fn sessions(&self) -> usize {
        let ids = self.session_ids().len();
        // One for PASE. Where ids are few, a full table leaves some for handshakes, too: else one
        // that hangs keeps everybody out.
        let is_whole = ids == usize::from(u16::MAX);
        let handshakes = if is_whole { 0 } else { self.max_handshakes.min(ids / 2) };
        let most = ids.saturating_sub(handshakes).saturating_sub(1);
        self.max_sessions.clamp(1, most.max(1))
    }

    /// The session ids that may be given out.
    pub(super) fn session_ids(&self) -> RangeInclusive<u16> {
        #[cfg(feature = "alloc")]
        return self.shard.session_ids();
        #[cfg(not(feature = "alloc"))]
        return 1..=u16::MAX;
    }

    /// Whether groups are for this manager: of several shards they are for the first. Counters of
    /// messages to groups belong to the node, and two managers would use the same ones.
    pub(super) fn has_groups(&self) -> bool {
        #[cfg(feature = "alloc")]
        return self.shard.index() == 0;
        #[cfg(not(feature = "alloc"))]
        return true;
    }

    /// Draws the node id of an initiator.
    #[cfg(feature = "initiator")]
    pub(super) fn ephemeral(&self, rng: &mut dyn CryptoRng) -> EphemeralNodeId {
        #[cfg(feature = "alloc")]
        return self.shard.ephemeral(rng);
        #[cfg(not(feature = "alloc"))]
        return EphemeralNodeId::random(rng);
    }

    /// The room that a message of a handshake needs while it is put together.
    pub(super) const HANDSHAKE_MESSAGE: usize = Self::buffer_len(MAX_UDP_PAYLOAD);

    /// The room that a message of `payload` bytes needs while it is put together.
    pub(super) const fn buffer_len(payload: usize) -> usize {
        payload.saturating_add(HEADROOM + TAILROOM)
    }
}
