//! What is true of a world: which sessions have which ends, what was sent and what arrived.

use std::collections::{BTreeMap, BTreeSet};

use matter_session::session::{SessionKind, SessionRole};

use super::group_book::GroupBook;
use super::suite::tag_of;

/// Names a session for both of its ends.
pub type Challenge = [u8; 16];

/// One end of a session, as its node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub node: usize,
    pub kind: SessionKind,
    pub role: SessionRole,
    pub local_id: u16,
    pub peer_id: u16,
    /// The fabric and the peer, for CASE.
    pub peer: Option<(usize, usize)>,
    /// The tags of the peer's certificate, and which certificate this node has.
    pub tags: Vec<u32>,
    pub issue: usize,
    /// Told by the event, later maybe than the session is seen.
    pub resumed: Option<bool>,
}

impl End {
    fn mirrors(&self, other: &Self) -> bool {
        self.local_id == other.peer_id && self.peer_id == other.local_id
    }
}

/// A message that an application has sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub node: usize,
    pub challenge: Challenge,
    pub exchange: u16,
    /// Whether its sender began the exchange.
    pub initiator: bool,
    pub payload: Vec<u8>,
    pub delivered: bool,
}

#[derive(Debug, Default)]
pub struct Book {
    sessions: BTreeMap<Challenge, Vec<End>>,
    sent: Vec<Sent>,
    /// Exchanges that their peer began and that the application of a node has closed.
    closed: BTreeSet<(Challenge, u16, usize)>,
    /// Whether somebody alters datagrams.
    pub is_hostile: bool,
    pub groups: GroupBook,
    pub figures: Figures,
}

/// What has happened, so that a test that tests nothing is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub seeds: u64,
    pub datagrams: u64,
    pub sessions: u64,
    pub resumed: u64,
    pub messages: u64,
    pub delivered: u64,
    pub acknowledged: u64,
    pub undelivered: u64,
    pub unanswered: u64,
    pub failed: u64,
    pub evicted: u64,
    pub restarts: u64,
    pub hostile: u64,
    /// Messages to groups, how often they were heard, and how often after their sender was asked.
    pub told: u64,
    pub heard: u64,
    /// How often the hostile node was heard in the name of others.
    pub forged: u64,
    pub waited: u64,
    /// Requests for counters, and answers.
    pub syncs: u64,
    /// How often a table was found full in the end.
    pub full: u64,
    /// First tries of honest nodes while the hostile one begins handshakes, and how many succeed:
    /// with no slot, one slot, or more slots beside the one for PASE.
    pub besieged: [u64; 3],
    pub served: [u64; 3],
    /// The same of handshakes that the besieged node begins, and of messages of sessions.
    pub own: u64,
    pub messages_in_siege: u64,
}

impl Figures {
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.datagrams += other.datagrams;
        self.sessions += other.sessions;
        self.resumed += other.resumed;
        self.messages += other.messages;
        self.delivered += other.delivered;
        self.acknowledged += other.acknowledged;
        self.undelivered += other.undelivered;
        self.unanswered += other.unanswered;
        self.failed += other.failed;
        self.evicted += other.evicted;
        self.restarts += other.restarts;
        self.hostile += other.hostile;
        self.told += other.told;
        self.heard += other.heard;
        self.forged += other.forged;
        self.waited += other.waited;
        self.syncs += other.syncs;
        self.full += other.full;
        for n in 0..3 {
            self.besieged[n] += other.besieged[n];
            self.served[n] += other.served[n];
        }
        self.own += other.own;
        self.messages_in_siege += other.messages_in_siege;
    }

    /// Worlds in which little happens show little.
    pub fn assert_eventful(&self) {
        if self.seeds >= 100 {
            assert!(self.sessions.min(self.delivered) >= 10 * self.seeds, "{self:?}");
            let rare = [self.resumed, self.acknowledged, self.undelivered, self.failed];
            let rare = rare.into_iter().chain([self.unanswered]);
            let rarer = [self.evicted, self.restarts, self.hostile];
            assert!(rare.chain(rarer).all(|count| count > self.seeds), "{self:?}");
            assert!(self.told.min(self.heard) > 5 * self.seeds, "{self:?}");
            assert!(self.syncs.min(3 * self.waited) > self.seeds, "{self:?}");
            assert!(self.full > 0, "{self:?}");
            assert!(10 * self.forged > self.seeds, "{self:?}");
            assert!(self.own.min(self.messages_in_siege) > self.seeds, "{self:?}");
        }
        // As `tests/attacks/handshakes/flood.rs` has it.
        for (n, percent) in [(1, 68), (2, 95)] {
            let (tries, served) = (self.besieged[n], self.served[n]);
            assert!(tries < 500 || served * 100 >= tries * percent, "{self:?}");
        }
    }
}

impl Book {
    pub fn new(is_hostile: bool) -> Self {
        Self { is_hostile, ..Self::default() }
    }

    /// Takes note of an end of a session and compares it with the other one.
    pub fn register(&mut self, challenge: Challenge, end: &End) {
        let ends = self.sessions.entry(challenge).or_default();
        self.figures.sessions += 1;
        for other in &*ends {
            assert_ne!(other.node, end.node, "one node has both ends: {other:?} {end:?}");
            assert_eq!(other.kind, end.kind, "{other:?} {end:?}");
            assert_ne!(other.role, end.role, "{other:?} {end:?}");
            // Resumption does not authenticate the ids. [Core, "Session Resumption"]
            let may_differ = self.is_hostile && end.kind == SessionKind::Case;
            assert!(end.mirrors(other) || may_differ, "{other:?} {end:?}");
            if let (Some((fabric, peer)), Some((other_fabric, other_peer))) = (end.peer, other.peer)
            {
                assert_eq!(fabric, other_fabric, "{other:?} {end:?}");
                assert_eq!((peer, other_peer), (other.node, end.node), "{other:?} {end:?}");
                let tags = (vec![tag_of(other.issue)], vec![tag_of(end.issue)]);
                assert_eq!((&end.tags, &other.tags), (&tags.0, &tags.1), "{other:?} {end:?}");
            }
        }
        ends.push(end.clone());
        assert!(ends.len() <= 2, "a session with three ends: {ends:?}");
    }

    /// Takes note of what the event tells of a session.
    pub fn establish(&mut self, challenge: Challenge, node: usize, resumed: bool) {
        self.figures.resumed += u64::from(resumed);
        let ends = self.sessions.get_mut(&challenge).expect("a session that nobody has seen");
        for end in ends.iter_mut().filter(|end| end.node == node) {
            assert_eq!(end.resumed, None, "established twice: {end:?}");
            end.resumed = Some(resumed);
        }
        if let [a, b] = &ends[..] {
            assert!(a.resumed.is_none() || b.resumed.is_none() || a.resumed == b.resumed);
            assert!(resumed || a.mirrors(b), "{a:?} {b:?}");
        }
    }

    /// The number that the next message shall carry.
    pub fn next_number(&self) -> u64 {
        self.sent.len() as u64
    }

    pub fn is_delivered(&self, number: u64) -> bool {
        self.sent.get(number as usize).is_some_and(|sent| sent.delivered)
    }

    pub fn send(&mut self, sent: Sent) {
        self.figures.messages += 1;
        self.sent.push(sent);
    }

    /// Takes note of a delivered message: it must be what its sender sent, where it was sent, and
    /// come once.
    pub fn deliver(
        &mut self,
        end: &End,
        challenge: Challenge,
        to: Delivery,
        payload: &[u8],
    ) -> u64 {
        let Some((number, _)) = payload.split_first_chunk() else {
            panic!("node {} got what nobody sent: {payload:02x?}", end.node)
        };
        let number = u64::from_le_bytes(*number);
        let Some(sent) = self.sent.get_mut(number as usize) else {
            panic!("node {} got what nobody sent: {payload:02x?}", end.node)
        };
        assert_eq!(sent.payload, payload, "message {number} has changed");
        assert_eq!(sent.challenge, challenge, "message {number} went to another session");
        assert_eq!(
            (sent.exchange, sent.initiator),
            (to.exchange, !to.initiator),
            "message {number} went to another exchange",
        );
        assert_ne!(sent.node, end.node, "node {} got its own message {number}", end.node);
        if let Some((_, peer)) = end.peer {
            assert_eq!(sent.node, peer, "message {number} has another sender");
        }
        assert!(!sent.delivered, "message {number} was delivered twice");
        sent.delivered = true;
        self.figures.delivered += 1;
        number
    }

    /// The application of a node has closed an exchange that its peer began.
    pub fn close(&mut self, challenge: Challenge, exchange: u16, node: usize) {
        self.closed.insert((challenge, exchange, node));
    }

    /// A message was acknowledged: it has arrived, unless its receiver had closed the exchange.
    pub fn acknowledge(&mut self, number: u64) {
        self.figures.acknowledged += 1;
        let sent = &self.sent[number as usize];
        // What answers on an exchange that has lapsed meanwhile is acknowledged and dropped.
        if !sent.initiator || sent.delivered {
            return;
        }
        let (first, last) = (0, usize::MAX);
        let mut closed = self
            .closed
            .range((sent.challenge, sent.exchange, first)..=(sent.challenge, sent.exchange, last));
        let closed = closed.any(|(_, _, node)| *node != sent.node);
        assert!(closed, "message {number} was acknowledged, but did not arrive");
    }
}

/// Where a message was delivered.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    pub exchange: u16,
    /// Whether the receiver began the exchange.
    pub initiator: bool,
}
