//! Settings of a manager.

use core::ops::RangeInclusive;
use core::time::Duration;

#[cfg(feature = "initiator")]
use rand_core::CryptoRng;

#[cfg(feature = "alloc")]
use super::shard::Shard;
use crate::cert::Profile;
#[cfg(feature = "initiator")]
use crate::crypto::CryptoError;
use crate::ids::{FabricIndex, ProtocolId};
#[cfg(feature = "initiator")]
use crate::session::EphemeralNodeId;
use crate::session::SessionParameters;
use crate::wire::{HEADROOM, MAX_UDP_MESSAGE, MAX_UDP_PAYLOAD, TAILROOM};

/// Limits and timing of a [`SessionManager`](super::SessionManager).
///
/// The defaults suit a controller on a desktop. Each `with_` method sets one limit, or two
/// that belong together. Every setting is also a public field.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// This node's session parameters, announced in every handshake.
    pub parameters: SessionParameters,
    /// Maximum number of CASE sessions: 1 to 65,534, since a session id has 16 bits. One more place
    /// is kept for PASE, so that a full node can be commissioned. Running handshakes use ids as
    /// well: when all ids are in use, nothing new begins. One of several `shard`s has fewer ids. It
    /// leaves [`max_handshakes`](Self::max_handshakes) of them, at most half, to handshakes.
    pub max_sessions: usize,
    /// Maximum number of CASE sessions with one peer: 1 to 255, 0 counts as 1. One more evicts
    /// another session with that peer: a defunct one, or the one that was idle longest. An honest
    /// peer sometimes needs two. The limit prevents one peer from filling the table.
    pub max_sessions_per_peer: u8,
    /// Maximum number of exchanges, of all secure sessions together. A quarter of them, and one at
    /// least, is kept for exchanges that this node begins, and as many for those of peers.
    ///
    /// Peers share their places by fabric, and within a fabric by peer. When all are taken, the
    /// exchange of a peer that has at least two fewer, or whose fabric has, displaces one of the
    /// peer with most, on the fabric with most: the one that was idle longest. What was received on
    /// it is acknowledged, and a message in flight is reported:
    /// [`Event::Undelivered`](super::Event::Undelivered).
    pub max_exchanges: usize,
    /// Maximum number of exchanges that the peer of one session may begin: 64 by default. Nodes
    /// should not have more than five at a time, but some have 40.
    /// On the heap, a message can take a look at each exchange of its session, whose ids the peer
    /// chooses: keep this to some hundreds.
    pub max_exchanges_per_session: usize,
    /// Maximum number of exchanges that this node may have begun on one session: 5 by default, as
    /// the specification advises; 0 counts as 1. One more is refused
    /// ([`OpenError::SessionFull`](super::OpenError::SessionFull)), and
    /// [`Event::ExchangeAvailable`](super::Event::ExchangeAvailable) says when there is a place.
    /// With a higher limit, a peer that has room for fewer refuses messages until they are
    /// retransmitted. [Core, "Exchange Message Processing"]
    pub max_own_exchanges_per_session: usize,
    /// Maximum number of handshakes, both roles together: 32 by default. While all slots are taken,
    /// a handshake that a peer began gives its slot to one that this node begins, and after a grace
    /// period of up to a second to one that another peer begins. If none can, peers get a Busy
    /// report. With more slots, honest peers get through under more recorded first messages of an
    /// attacker: SECURITY.md has figures.
    pub max_handshakes: usize,
    /// Maximum number of fabrics. Not more than a third of the CASE sessions for which there is room:
    /// the specification guarantees each fabric three. With [`WithGroups`](super::WithGroups), not
    /// more than there are [`Senders`](super::sizes::Senders) for. See
    /// [`with_less_than_specified`](Self::with_less_than_specified).
    pub max_fabrics: usize,
    /// Maximum number of resumption records in the manager's own table. A full table evicts
    /// a record of the fabric with the most records: the one saved or offered least recently.
    pub max_records: usize,
    /// Maximum number of group key sets of a fabric.
    pub max_group_key_sets: usize,
    /// Maximum number of groups of a fabric.
    pub max_groups: usize,
    /// Maximum number of nodes that send under a group key set, and of nodes that ask for this
    /// node's counter under it; 64 by default, and at least ten. A node counts once for each key of the set. Its
    /// counter is kept as long as the key is installed, so that none of its messages is accepted
    /// twice. Messages of further senders are dropped:
    /// [`Event::GroupSendersFull`](super::Event::GroupSendersFull).
    pub max_group_senders: usize,
    /// Maximum number of group messages queued for counter synchronisation, with key sets of the
    /// policy [`CacheAndSync`](crate::group::SecurityPolicy::CacheAndSync). As many senders
    /// are asked at once. A full queue drops the oldest message of the fabric with the most, of its
    /// key with the most. [`WithGroups`](super::WithGroups) has room for four.
    pub max_waiting_group_messages: usize,
    /// Number of queued events at which nothing new begins that could cause more. Sessions,
    /// exchanges and handshakes that exist can still report their end: no event is ever lost.
    /// [`Fixed`](super::Fixed) has room for four.
    pub max_events: usize,
    /// Maximum number of queued short messages: refusals, acknowledgements that belong to no
    /// exchange, counter requests and answers of groups, CloseSession reports. A full queue drops
    /// replies to unauthenticated senders first, then messages of groups, then acknowledgements of
    /// sessions, CloseSession reports last; losing one does no harm. Choose a limit that has room
    /// for a CloseSession to every session. [`Fixed`](super::Fixed) has room for eight.
    pub max_replies: usize,
    /// Maximum length of a message that is sent over UDP, in bytes, with headers and integrity
    /// code: 1,232 by default. A larger value counts as 1,232: no node has to accept more, as IPv6
    /// guarantees packets of 1,280 bytes, headers of IPv6 and UDP included. [Core, "Message Size
    /// Requirements"]
    pub max_message: usize,
    /// Lifetime of a resumption record after its full handshake, however often it was resumed: 30
    /// days by default. A restored record, and one of a
    /// [`ResumptionStore`](crate::resumption::ResumptionStore), is as old as the calendar time says,
    /// if that was known at the full handshake and is known now.
    pub record_lifetime: Duration,
    /// How long a responder waits for the answer to
    /// [`Event::ClaimRequest`](super::Event::ClaimRequest) before it continues with the full
    /// handshake. Zero by default: the application is not asked, and stored records serve
    /// handshakes that this node begins.
    pub claim_wait: Duration,
    /// Time that a peer may need for its response to a request: two seconds by default, which suits
    /// reads and most commands. When the transmission of the request, this time and the
    /// transmission of the response can all have passed, the application is told:
    /// [`Event::NoResponse`](super::Event::NoResponse).
    /// [`Sessions::expect_response`](super::Sessions::expect_response) sets another time for one
    /// request. With [`Duration::MAX`] no request has a deadline.
    ///
    /// Over UDP both transmissions are five, at the intervals that peer and node declare: 11 s in
    /// all with the default values. Each takes 30 s over TCP and 15 s over another link. See
    /// [`guide::pipelining`](crate::guide::pipelining).
    pub processing_time: Duration,
    /// Time after the last message, or after [`Event::NoResponse`](super::Event::NoResponse), for
    /// which an exchange is kept that the application has not closed: five minutes by default, as a
    /// command can take 255 seconds. No exchange ends while a response has a deadline; with
    /// `Duration::MAX` for the work of the peer, there is none. This limit closes exchanges that the
    /// application forgot, with an event:
    /// [`Event::ExchangeExpired`](super::Event::ExchangeExpired).
    pub exchange_lifetime: Duration,
    /// Time that is added to every wait for an acknowledgement, for networks that are slower than
    /// the session parameters say. One session can have more:
    /// [`set_retransmission_boost`](super::Sessions::set_retransmission_boost).
    pub retransmission_boost: Duration,
    /// How long a handshake that this node begins at several addresses waits for an answer from one
    /// before it tries the next one as well: 250 ms by default, 10 ms at least.
    /// [RFC 8305, "Connection Attempts"]
    #[cfg(feature = "initiator")]
    pub connection_attempt_delay: Duration,
    /// Maximum interval from which the wait for an acknowledgement is computed, whatever the peer
    /// declared: 15 s by default, 100 ms at least. With the default, a message that is not
    /// acknowledged keeps its exchange and its bytes for four minutes at most, unless
    /// [`retransmission_boost`](Self::retransmission_boost) adds to that.
    ///
    /// A device that listens every 15 s or more often receives every message: that is the longest
    /// interval of an intermittently connected device with short idle times. One that sleeps longer
    /// (up to an hour) announces with a Check-In message that it is awake. Send to it then. To
    /// reach such a device at any time, set the interval at which it listens: a peer that does not
    /// acknowledge can then keep a message in flight for 14 times as long, half a day for one hour.
    /// [Core, "Intermittently Connected Devices Behavior"]
    pub longest_interval: Duration,
    /// Minimum wait announced in a Busy report: 5 s by default. If it takes longer until a handshake
    /// slot can be free, the report announces that time.
    pub busy_wait: Duration,
    /// How strictly certificates are read, and which validity periods count: what real ecosystems
    /// need by default, see [`Profile`].
    pub certificate_profile: Profile,
    /// Whether a certificate that was verified before, under the same key, is trusted without
    /// verifying its signature again: the intermediate ones, and with an allocator those of nodes.
    /// See [`RecentlyVerified`](crate::cert::RecentlyVerified).
    pub remember_certificates: bool,
    /// Whether the certificates of a peer are kept as long as a session with it lives, and with its
    /// resumption record: up to 870 bytes for each session and each record. Not by default, and
    /// never with [`Fixed`](super::Fixed) storage. See
    /// [`SessionRef::peer_certificates`](super::SessionRef::peer_certificates).
    pub keep_peer_certificates: bool,
    /// Whether limits may be below the minima of the specification. Otherwise a node is in no more
    /// fabrics than it has three CASE sessions for, and knows at least ten senders under each group
    /// key set: arrays that are too small for that limit the number of fabrics.
    pub below_specification: bool,
    /// The protocols that the application has: only their messages begin exchanges of peers and are
    /// taken from groups. Messages of others that would are acknowledged and dropped
    /// ([`Dropped::Unsolicited`](super::Dropped::Unsolicited)). `None` by default: all protocols, for
    /// an application that looks at each message. On exchanges that this node has begun, every
    /// protocol is delivered. [Core, "Exchange Message Dispatch"]
    pub protocols: Option<&'static [ProtocolId]>,
    /// The part of a node that this manager is, if several managers share a port.
    #[cfg(feature = "alloc")]
    pub shard: Shard,
}

/// The shortest interval that a wait is computed from, whatever peers declare.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// The shortest delay between attempts at several addresses.
#[cfg(feature = "initiator")]
const SHORTEST_DELAY: Duration = Duration::from_millis(10);

impl Default for Config {
    fn default() -> Self {
        Self {
            parameters: SessionParameters::matter_1_6(),
            max_sessions: 1024,
            max_sessions_per_peer: 16,
            max_exchanges: 1024,
            max_exchanges_per_session: 64,
            max_own_exchanges_per_session: 5,
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
            claim_wait: Duration::ZERO,
            processing_time: Duration::from_secs(2),
            exchange_lifetime: Duration::from_secs(300),
            retransmission_boost: Duration::ZERO,
            #[cfg(feature = "initiator")]
            connection_attempt_delay: Duration::from_millis(250),
            longest_interval: Duration::from_secs(15),
            busy_wait: Duration::from_secs(5),
            certificate_profile: Profile::default(),
            remember_certificates: false,
            keep_peer_certificates: false,
            below_specification: false,
            protocols: None,
            #[cfg(feature = "alloc")]
            shard: Shard::WHOLE,
        }
    }
}

impl Config {
    /// The settings until the manager is started: all zero, so that a `static` costs no flash.
    pub(super) const UNSET: Self = Self {
        parameters: SessionParameters::UNSET,
        max_sessions: 0,
        max_sessions_per_peer: 0,
        max_exchanges: 0,
        max_exchanges_per_session: 0,
        max_own_exchanges_per_session: 0,
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
        claim_wait: Duration::ZERO,
        processing_time: Duration::ZERO,
        exchange_lifetime: Duration::ZERO,
        retransmission_boost: Duration::ZERO,
        #[cfg(feature = "initiator")]
        connection_attempt_delay: Duration::ZERO,
        longest_interval: Duration::ZERO,
        busy_wait: Duration::ZERO,
        certificate_profile: Profile::UNSET,
        remember_certificates: false,
        keep_peer_certificates: false,
        below_specification: false,
        protocols: None,
        #[cfg(feature = "alloc")]
        shard: Shard::WHOLE,
    };

    /// Sets the session parameters of this node, which it announces in every handshake. What it
    /// announces is conformant, whatever is given here: see [`SessionParameters`].
    #[must_use]
    pub const fn with_parameters(mut self, parameters: SessionParameters) -> Self {
        self.parameters = parameters;
        self
    }

    /// Limits the number of CASE sessions. The value is clamped to `1..=65534`, or to the number of
    /// ids of the `shard`. PASE has a place of its own.
    #[must_use]
    pub const fn with_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// Limits the number of CASE sessions with one peer; 0 counts as 1.
    #[must_use]
    pub const fn with_sessions_per_peer(mut self, sessions: u8) -> Self {
        self.max_sessions_per_peer = sessions;
        self
    }

    /// Limits the number of exchanges, of all secure sessions together.
    #[must_use]
    pub const fn with_exchanges(mut self, exchanges: usize) -> Self {
        self.max_exchanges = exchanges;
        self
    }

    /// Limits the number of exchanges that the peer of one session may begin.
    #[must_use]
    pub const fn with_exchanges_per_session(mut self, exchanges: usize) -> Self {
        self.max_exchanges_per_session = exchanges;
        self
    }

    /// Limits the number of exchanges that this node may have begun on one session; 0 counts as 1.
    #[must_use]
    pub const fn with_own_exchanges_per_session(mut self, exchanges: usize) -> Self {
        self.max_own_exchanges_per_session = exchanges;
        self
    }

    /// Limits the number of queued events.
    #[must_use]
    pub const fn with_events(mut self, events: usize) -> Self {
        self.max_events = events;
        self
    }

    /// Limits the number of queued short messages.
    #[must_use]
    pub const fn with_replies(mut self, replies: usize) -> Self {
        self.max_replies = replies;
        self
    }

    /// Limits the number of handshakes, and sets the minimum wait that a Busy report announces.
    #[must_use]
    pub const fn with_handshakes(mut self, handshakes: usize, busy_wait: Duration) -> Self {
        self.max_handshakes = handshakes;
        self.busy_wait = busy_wait;
        self
    }

    /// Limits the number and the lifetime of resumption records.
    #[must_use]
    pub const fn with_records(mut self, records: usize, lifetime: Duration) -> Self {
        self.max_records = records;
        self.record_lifetime = lifetime;
        self
    }

    /// Asks the application to delete a stored record before a responder answers from it
    /// ([`Event::ClaimRequest`](super::Event::ClaimRequest)), and waits so long for the answer.
    /// Choose less than a second for UDP: the peer waits as well.
    #[must_use]
    pub const fn with_claim_wait(mut self, wait: Duration) -> Self {
        self.claim_wait = wait;
        self
    }

    /// Sends messages of up to `bytes` over UDP, headers and integrity code included. The default
    /// is 1,232, which is also the largest value: see [`max_message`](Self::max_message). Set less
    /// if packets on the path must be shorter.
    #[must_use]
    pub const fn with_max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Limits the number of fabrics. A third of the number of CASE sessions limits it as well.
    #[must_use]
    pub const fn with_fabrics(mut self, fabrics: usize) -> Self {
        self.max_fabrics = fabrics;
        self
    }

    /// Limits the group key sets and the groups of a fabric. With
    /// [`WithGroups`](super::WithGroups), all fabrics share its tables, and each has its part.
    #[must_use]
    pub const fn with_groups(mut self, key_sets: usize, groups: usize) -> Self {
        self.max_groups = groups;
        self.max_group_key_sets = key_sets;
        self
    }

    /// Limits the senders under each group key set, and the messages of all senders that are queued
    /// for counter synchronisation.
    #[must_use]
    pub const fn with_group_senders(mut self, senders: usize, waiting: usize) -> Self {
        self.max_group_senders = senders;
        self.max_waiting_group_messages = waiting;
        self
    }

    /// Sets the time that a peer may need for its response:
    /// see [`processing_time`](Self::processing_time).
    #[must_use]
    pub const fn with_processing_time(mut self, time: Duration) -> Self {
        self.processing_time = time;
        self
    }

    /// Sets the time for which an exchange without messages is kept; at least 1 ms.
    #[must_use]
    pub const fn with_exchange_lifetime(mut self, lifetime: Duration) -> Self {
        self.exchange_lifetime = lifetime;
        self
    }

    /// Adds to every wait for an acknowledgement, for networks that are slower than the peers'
    /// parameters say: for example Thread with many hops.
    #[must_use]
    pub const fn with_retransmission_boost(mut self, boost: Duration) -> Self {
        self.retransmission_boost = boost;
        self
    }

    /// Sets how long a handshake waits for an answer from one address of the peer before it tries
    /// the next one as well, 10 ms at least. [RFC 8305, "Connection Attempts"]
    #[cfg(feature = "initiator")]
    #[must_use]
    pub const fn with_connection_attempt_delay(mut self, delay: Duration) -> Self {
        self.connection_attempt_delay = delay;
        self
    }

    /// Assumes that every peer listens at least this often, 100 ms at least. With 15 s, the default,
    /// a message that is not acknowledged is given up after four minutes, whatever intervals its
    /// peer declared. A peer that does sleep longer may miss it.
    #[must_use]
    pub const fn with_longest_interval(mut self, interval: Duration) -> Self {
        self.longest_interval = interval;
        self
    }

    /// Sets how strictly certificates are read, those of this node and of its peers, and which
    /// validity periods count. [`Profile`] lists what the default tolerates and for whom.
    #[must_use]
    pub const fn with_certificate_profile(mut self, profile: Profile) -> Self {
        self.certificate_profile = profile;
        self
    }

    /// Does not verify the signature of a certificate again that was verified before under the same
    /// key.
    #[must_use]
    pub const fn with_remembered_certificates(mut self) -> Self {
        self.remember_certificates = true;
        self
    }

    /// Keeps the certificates of each peer as long as a session with it lives, also after a
    /// resumption: see [`keep_peer_certificates`](Self::keep_peer_certificates).
    #[must_use]
    pub const fn with_peer_certificates(mut self) -> Self {
        self.keep_peer_certificates = true;
        self
    }

    /// Takes limits as they are, also below the minima of the specification: three CASE sessions for
    /// each fabric, ten senders under each group key set. Such a node is not conformant. It suits a
    /// controller that needs no more. [Core, "Minimal Number of CASE Sessions", "Group Peer State"]
    #[must_use]
    pub const fn with_less_than_specified(mut self) -> Self {
        self.below_specification = true;
        self
    }

    /// Names the protocols that the application has: see [`protocols`](Self::protocols).
    ///
    /// ```
    /// use matter_session::ids::ProtocolId;
    /// use matter_session::manager::Config;
    ///
    /// const PROTOCOLS: &[ProtocolId] = &[ProtocolId::INTERACTION_MODEL, ProtocolId::BDX];
    /// let config = Config::default().with_protocols(PROTOCOLS);
    /// ```
    #[must_use]
    pub const fn with_protocols(mut self, protocols: &'static [ProtocolId]) -> Self {
        self.protocols = Some(protocols);
        self
    }

    /// Returns true if a message of this protocol may begin an exchange. Those of the secure channel
    /// all answer others or belong elsewhere.
    pub(super) fn serves(&self, protocol: ProtocolId) -> bool {
        protocol != ProtocolId::SECURE_CHANNEL
            && self.protocols.is_none_or(|protocols| protocols.contains(&protocol))
    }

    /// Makes the manager one of several behind one port: see [`Shards`](super::Shards).
    #[cfg(feature = "alloc")]
    #[must_use]
    pub const fn with_shard(mut self, shard: Shard) -> Self {
        self.shard = shard;
        self
    }

    /// Returns the settings with values that the manager can use.
    pub(super) fn usable(mut self) -> Self {
        /// Sums of limits must not overflow. No table grows so large.
        const MOST: usize = 1 << 20;
        self.longest_interval = self.longest_interval.max(SHORTEST_INTERVAL);
        #[cfg(feature = "initiator")]
        {
            self.connection_attempt_delay = self.connection_attempt_delay.max(SHORTEST_DELAY);
        }
        if !self.below_specification {
            self.max_group_senders = self.max_group_senders.max(Self::LEAST_SENDERS);
        }
        self.max_message = self.max_message.min(MAX_UDP_MESSAGE);
        self.exchange_lifetime = self.exchange_lifetime.max(Duration::from_millis(1));
        self.max_fabrics = self.max_fabrics.min(FabricIndex::MAX.get().into());
        for limit in [
            &mut self.max_exchanges,
            &mut self.max_handshakes,
            &mut self.max_records,
            &mut self.max_group_key_sets,
            &mut self.max_groups,
            &mut self.max_group_senders,
        ] {
            *limit = (*limit).min(MOST);
        }
        self
    }

    /// Returns the limit of CASE sessions within what session ids allow.
    pub(super) fn sessions(&self) -> usize {
        let ids = self.session_ids().len();
        // One for PASE. Where ids are few, a full table leaves some for handshakes, too: else one
        // that hangs keeps everybody out.
        let is_whole = ids == usize::from(u16::MAX);
        let handshakes = if is_whole { 0 } else { self.max_handshakes.min(ids / 2) };
        let most = ids.saturating_sub(handshakes).saturating_sub(1);
        self.max_sessions.clamp(1, most.max(1))
    }

    /// Returns the limit of fabrics where there is room for this number of CASE sessions.
    pub(super) fn fabrics(&self, sessions: usize) -> usize {
        /// Of each fabric.
        const LEAST_SESSIONS: usize = 3;
        if self.below_specification {
            return self.max_fabrics;
        }
        self.max_fabrics.min(sessions / LEAST_SESSIONS)
    }

    /// Returns the session ids that may be given out.
    pub(super) fn session_ids(&self) -> RangeInclusive<u16> {
        #[cfg(feature = "alloc")]
        return self.shard.session_ids();
        #[cfg(not(feature = "alloc"))]
        return 1..=u16::MAX;
    }

    /// Returns true if this manager handles groups: of several shards, only the first does.
    /// Counters of group messages belong to the node, and two managers would use the same ones.
    pub(super) fn has_groups(&self) -> bool {
        #[cfg(feature = "alloc")]
        return self.shard.index() == 0;
        #[cfg(not(feature = "alloc"))]
        return true;
    }

    /// Draws the node id of an initiator.
    #[cfg(feature = "initiator")]
    pub(super) fn ephemeral(
        &self,
        rng: &mut dyn CryptoRng,
    ) -> Result<EphemeralNodeId, CryptoError> {
        #[cfg(feature = "alloc")]
        return self.shard.ephemeral(rng);
        #[cfg(not(feature = "alloc"))]
        return EphemeralNodeId::random(rng);
    }

    /// The specification has each node keep the counters of this number of senders to groups.
    pub(super) const LEAST_SENDERS: usize = 10;

    /// The room that a message of a handshake needs while it is put together.
    pub(super) const HANDSHAKE_MESSAGE: usize = Self::buffer_len(MAX_UDP_PAYLOAD);

    /// Returns the room that a message of `payload` bytes needs while it is put together.
    pub(super) const fn buffer_len(payload: usize) -> usize {
        payload.saturating_add(HEADROOM + TAILROOM)
    }
}

#[cfg(all(test, feature = "alloc"))]
#[allow(clippy::unwrap_used, reason = "tests panic")]
mod tests;
