//! Datagrams taken in together are what they are one by one: two worlds with the same seed, in one
//! of which a node handles batches.

use proptest::prelude::*;

use matter_session::ids::MessageType;
use matter_session::ids::Peer;
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};

use matter_session::manager::{
    BatchMessage, Config, Datagram, ExchangeHandle, Fixed, Heap, PeerAddress, Received,
    SessionHandle, Storage,
};
use matter_session::session::SessionParameters;

use crate::net::{Authority, Dice, IM, Net, compute, index, udp};

/// The node that is watched; the others are its peers.
const NODE: usize = 1;
const PEERS: [usize; 2] = [0, 2];

/// A datagram under way to the node.
type Arrival = (PeerAddress, Vec<u8>);

struct World<S: Storage> {
    net: Net<S>,
    dice: Dice,
    /// How long the batches are, and whether there are any.
    sizes: Option<Dice>,
    /// All that was ever sent to the node.
    sent: Vec<Arrival>,
    /// Exchanges that the node knows of.
    exchanges: Vec<ExchangeHandle>,
}

/// Fewer places than are asked for, of everything.
type Small =
    Fixed<Sessions<4>, Exchanges<8>, Handshakes<2>, Fabrics<1>, Records<2>, MessageBytes<4000>>;

impl<S: Storage> World<S> {
    fn new(seed: u64, batches: bool) -> Self {
        let config = Config::default()
            .with_parameters(SessionParameters::default())
            .with_sessions(3)
            .with_sessions_per_peer(2)
            .with_exchanges(8)
            .with_exchanges_per_session(3)
            .with_events(6)
            .with_replies(4)
            .with_fabrics(1)
            .with_handshakes(2, core::time::Duration::from_millis(100));
        let nodes = (1..=3).map(|port| (udp(port), config.clone()));
        let mut net = Net::stored(nodes.collect());
        let mut authority = Authority::new(1, false);
        for n in 0..3 {
            authority.join(&mut net, n, 100 * (n as u64 + 1));
        }
        net.node(NODE).computes = false;
        let sizes = batches.then(|| Dice::new(!seed));
        let mut this =
            Self { net, dice: Dice::new(seed), sizes, sent: Vec::new(), exchanges: Vec::new() };
        for peer in PEERS {
            this.dial(peer);
            (0..4).for_each(|_| drop(this.turn(false)));
        }
        this
    }

    fn dial(&mut self, peer: usize) {
        let node = matter_session::ids::NodeId::new(200);
        let _ = self.net.call(peer, |m, cx| m.connect_case(cx, udp(2), Peer::new(index(1), node)));
    }

    fn session(&mut self, n: usize) -> Option<SessionHandle> {
        let sessions: Vec<_> =
            self.net.nodes[n].manager.sessions().iter().map(|s| s.handle()).collect();
        let i = self.dice.roll() as usize;
        (!sessions.is_empty()).then(|| sessions[i % sessions.len()])
    }

    fn payload(&mut self) -> Vec<u8> {
        let len = match self.dice.below(3) {
            0 => self.dice.below(90),
            1 => self.dice.below(400),
            _ => self.dice.below(1150),
        };
        vec![self.dice.roll() as u8; len as usize]
    }

    /// A node does something.
    fn act(&mut self, n: usize) {
        let payload = self.payload();
        match self.dice.below(20) {
            0 if n != NODE => self.dial(n),
            1 => {
                if let Some(session) = self.session(n) {
                    self.net.call(n, |m, cx| m.close_session(cx, session));
                }
            }
            2 => self.net.nodes[n].polls ^= true,
            3 | 4 => {
                let got = &self.net.nodes[n].got;
                let exchange = got.last().map(|got| got.exchange);
                exchange.into_iter().for_each(|exchange| self.net.close_exchange(n, exchange));
            }
            5..8 => {
                let exchange = self.net.nodes[n].got.last().map(|got| got.exchange);
                let Some(exchange) = exchange else { return };
                let _ = self
                    .net
                    .call(n, |m, cx| m.send(cx, exchange, MessageType::new(IM, 1), &payload));
            }
            _ => {
                let Some(session) = self.session(n) else { return };
                let opened = self.net.call(n, |m, cx| m.open_exchange(cx, session));
                let Ok(exchange) = opened else { return };
                let _ = self
                    .net
                    .call(n, |m, cx| m.send(cx, exchange, MessageType::new(IM, 1), &payload));
                if n == NODE {
                    self.exchanges.push(exchange);
                } else if self.dice.below(2) == 0 {
                    self.net.close_exchange(n, exchange);
                }
            }
        }
    }

    /// What a node has to send.
    fn polled(&mut self, n: usize) -> Vec<(PeerAddress, Vec<u8>)> {
        let now = self.net.instant();
        let node = &mut self.net.nodes[n];
        node.poll_events(now);
        let mut polled = Vec::new();
        while let Some(sent) = node.manager.poll_transmit(now) {
            polled.push((sent.to, sent.datagram.to_vec()));
            node.poll_events(now);
        }
        polled
    }

    /// What arrives: most of what was sent, some of it twice, spoilt, late or in another order.
    fn arrivals(&mut self, hostile: bool) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        for peer in PEERS {
            let from = self.net.nodes[peer].address;
            let polled = self.polled(peer);
            arrivals.extend(polled.into_iter().map(|(_, octets)| (from, octets)));
        }
        self.sent.extend(arrivals.iter().cloned());
        if !hostile {
            return arrivals;
        }
        for _ in 0..self.dice.below(8) {
            let i = self.dice.roll() as usize;
            let recent = &self.sent[self.sent.len().saturating_sub(60)..];
            let Some(mut again) = recent.get(i % recent.len().max(1)).cloned() else { break };
            let at = self.dice.roll() as usize % again.1.len();
            match self.dice.below(7) {
                0 => again.1[at] ^= 1 << self.dice.below(8),
                1 => again.1.truncate(at),
                2 => again.0 = udp(9),
                3 => again.0 = PeerAddress::Tcp(1),
                4 => again.1.fill(self.dice.roll() as u8),
                _ => {}
            }
            arrivals.push(again);
        }
        for n in (1..arrivals.len()).rev() {
            if self.dice.below(3) == 0 {
                arrivals.swap(n, self.dice.below(n as u64) as usize);
            }
        }
        arrivals.retain(|_| self.dice.below(12) > 0);
        arrivals
    }

    /// Hands datagrams to the node, alone or in batches. Says what came of each.
    fn take_in(&mut self, arrivals: &[Arrival]) -> String {
        let mut story = String::new();
        let mut octets: Vec<_> = arrivals.iter().map(|(_, octets)| octets.clone()).collect();
        let each = arrivals.iter().zip(&mut octets);
        let mut received = Vec::new();
        if let Some(sizes) = &mut self.sizes {
            let mut batch: Vec<_> =
                each.map(|((from, _), octets)| Datagram::new(*from, octets)).collect();
            let mut rest = batch.as_mut_slice();
            while !rest.is_empty() {
                let len = 1 + sizes.below(40.min(rest.len() as u64)) as usize;
                let (now, later) = rest.split_at_mut(len);
                self.net.call(NODE, |m, cx| m.handle_datagrams(cx, now));
                rest = later;
            }
            for datagram in &mut batch {
                received.push(datagram.take().expect("every datagram was handled"));
                assert!(datagram.take().is_none(), "a result is taken once");
            }
        } else {
            for ((from, _), octets) in each {
                received.push(self.net.call(NODE, |m, cx| m.handle_datagram(cx, *from, octets)));
            }
        }
        // Handshakes compute after it: they draw the same numbers then.
        self.net.call(NODE, compute);
        for received in received {
            story += &format!("{received:?}\n");
            if let Received::Message(message) = received {
                self.exchanges.push(message.exchange);
            }
        }
        story
    }

    /// The node answers, alone or in batches, or closes exchanges. Says what came of each message.
    fn answer(&mut self) -> String {
        let mut messages = Vec::new();
        for _ in 0..self.dice.below(24) {
            if self.exchanges.is_empty() {
                break;
            }
            let i = self.dice.roll() as usize % self.exchanges.len();
            if self.dice.below(6) == 0 {
                self.net.close_exchange(NODE, self.exchanges[i]);
                self.exchanges.swap_remove(i);
            } else {
                messages.push((self.exchanges[i], self.payload()));
            }
        }
        let Some(sizes) = &mut self.sizes else {
            let sent = messages.iter().map(|(exchange, payload)| {
                self.net.call(NODE, |m, cx| m.send(cx, *exchange, MessageType::new(IM, 1), payload))
            });
            return format!("{:?}", sent.collect::<Vec<_>>());
        };
        let outgoing = messages
            .iter()
            .map(|(on, payload)| BatchMessage::new(*on, MessageType::new(IM, 1), payload));
        let mut batch: Vec<_> = outgoing.collect();
        let mut rest = batch.as_mut_slice();
        while !rest.is_empty() {
            let len = 1 + sizes.below(rest.len() as u64) as usize;
            let (now, later) = rest.split_at_mut(len);
            self.net.call(NODE, |m, cx| m.send_all(cx, now));
            rest = later;
        }
        let sent = batch.iter().map(|message| message.result().expect("every message was tried"));
        format!("{:?}", sent.collect::<Vec<_>>())
    }

    /// Something happens everywhere, and what was sent is carried. Says all that can be seen of the
    /// node.
    fn turn(&mut self, hostile: bool) -> String {
        let mut story = String::new();
        let arrivals = self.arrivals(hostile);
        story += &self.take_in(&arrivals);
        if hostile {
            story += &self.answer();
        }
        let polled = self.polled(NODE);
        story += &format!("{polled:?}\n");
        for (to, octets) in polled {
            let peer = PEERS.into_iter().find(|n| self.net.nodes[*n].address == to);
            if let Some(peer) = peer.filter(|_| !hostile || self.dice.below(8) > 0) {
                let _ = self.net.hand(peer, udp(2), &octets);
            }
        }
        let node = &mut self.net.nodes[NODE];
        let events = core::mem::take(&mut node.events);
        let (due, manager) = (node.manager.poll_timeout(), &node.manager);
        story += &format!("{manager:?} {} {due:?} {events:?}", node.facts());
        for peer in PEERS {
            self.net.nodes[peer].events.clear();
        }
        story
    }

    /// A turn after all nodes did something and time has passed.
    fn go_on(&mut self) -> String {
        for n in [0, 2, 0, 2, 0, 2, NODE] {
            for _ in 0..self.dice.below(3) {
                self.act(n);
            }
        }
        if self.dice.below(4) == 0 {
            self.net.now += self.dice.below(1500);
            (0..3).for_each(|n| self.net.call(n, |m, cx| m.handle_timeout(cx)));
        }
        self.turn(true)
    }
}

fn compare<S: Storage>(seed: u64, turns: usize) {
    let (mut alone, mut batches) = (World::<S>::new(seed, false), World::<S>::new(seed, true));
    for turn in 0..turns {
        assert_eq!(alone.go_on(), batches.go_on(), "seed {seed}, turn {turn}");
    }
}

/// Few by default, as each case is a long story; more with `PROPTEST_CASES`.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(32)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn batches_are_what_their_datagrams_are(seed: u64, turns in 1..40_usize) {
        compare::<Heap>(seed, turns);
    }

    #[test]
    fn batches_are_what_their_datagrams_are_on_a_small_device(seed: u64, turns in 1..40_usize) {
        compare::<Small>(seed, turns);
    }
}
