//! Recorded first messages from everywhere, while honest nodes measure their success.

use matter_session::manager::{HandshakeHandle, SessionHandle};
use matter_session::time::Instant;

use super::Datagram;
use crate::node::Scene;
use crate::suite::{FABRICS, Suite};
use crate::world::{AnyNode, World, at, each};
use matter_session_testing::raw::{PBKDF_REQUEST, SIGMA1};

/// How long it lasts, in seconds.
const SECONDS: u64 = 12;
/// How many different Sigma1 are repeated: each of them begins something only every ten seconds.
const DIFFERENT: usize = 12;

/// Who is besieged, with what.
struct Siege {
    victim: usize,
    honest: usize,
    sigma1: Vec<Vec<u8>>,
    pase: Vec<Vec<u8>>,
    over_tcp: bool,
}

impl<X: Suite> World<X> {
    /// One recorded Sigma1 a second keeps nobody from establishing sessions with a node, the node
    /// from establishing its own, or messages from being delivered.
    pub fn prove_under_siege(&mut self) {
        let fabric = self.dice.below(FABRICS as u64) as usize;
        let members = self.members(fabric);
        if !self.book.is_hostile || members.len() < 2 {
            return;
        }
        let a = self.dice.below(members.len() as u64) as usize;
        let b = (a + 1 + self.dice.below(members.len() as u64 - 1) as usize) % members.len();
        let (victim, honest) = (members[a], members[b]);
        let siege = Siege {
            victim,
            honest,
            sigma1: self.sigma1_to(victim, honest, fabric),
            pase: self.wire.tape.beginnings(PBKDF_REQUEST, &self.homes[victim]),
            over_tcp: self.dice.below(4) == 0,
        };
        let takes_pase = self.dice.below(4) == 0 && !siege.pase.is_empty();
        if takes_pase {
            at!(self, victim, node, scene => node.expect_commissioner(scene));
        }
        for n in [victim, honest] {
            each!(&mut self.nodes[n], node => node.app.hangs_up = true);
        }
        let slots = each!(&self.nodes[victim], node => node.limits.handshakes);
        let class = (slots - usize::from(takes_pase)).min(2);
        let mut session = None;
        for second in 0..SECONDS {
            let end = self.now + 1_000;
            self.assail(&siege, second, takes_pase);
            let wait = self.dice.below(400);
            self.run(wait);
            if let Some(session) = session.take() {
                self.talk_in_siege(&siege, session);
            }
            if second % 2 == 0 {
                self.forget_sometimes(&siege);
                session = self.establish(honest, victim, fabric);
                self.book.figures.besieged[class] += 1;
                self.book.figures.served[class] += u64::from(session.is_some());
            } else {
                let own = self.establish(victim, honest, fabric);
                // Whoever begins PASE may keep the only slot for ten seconds.
                assert!(
                    own.is_some() || class == 0,
                    "an own handshake fails among those of strangers"
                );
                self.book.figures.own += u64::from(own.is_some());
            }
            self.run(end.saturating_sub(self.now));
        }
        // Then all slots are free again. Over TCP nothing is repeated, so a silent peer keeps its
        // slot, and the bytes of a message, for a minute while nobody wants the slot.
        self.run(if takes_pase || siege.over_tcp { 65_000 } else { 10_000 });
        for n in [victim, honest] {
            each!(&mut self.nodes[n], node => node.app.hangs_up = false);
        }
        at!(self, victim, node, scene => node.recover(scene));
    }

    /// Sigma1 messages for a node: recorded ones, and a few that have never arrived.
    fn sigma1_to(&mut self, victim: usize, honest: usize, fabric: usize) -> Vec<Vec<u8>> {
        let to = self.addresses[victim];
        self.wire.apart.push((self.addresses[honest], to));
        for _ in self.wire.tape.beginnings(SIGMA1, &self.homes[victim]).len()..DIFFERENT {
            let dialled = at!(self, honest, node, scene => node.dial(scene, to, fabric, victim));
            self.run(0);
            self.give_up(honest, dialled.expect("a quiet node dials"));
        }
        self.run(100);
        self.wire.apart.clear();
        self.wire.tape.beginnings(SIGMA1, &self.homes[victim])
    }

    /// What comes in one second.
    fn assail(&mut self, siege: &Siege, second: u64, takes_pase: bool) {
        let to = self.addresses[siege.victim];
        let some = |of: &[Vec<u8>]| of[second as usize % of.len()].clone();
        let mut firsts = vec![some(&siege.sigma1)];
        if takes_pase {
            firsts.push(some(&siege.pase));
        }
        for octets in firsts {
            let (from, octets) = self.hostile.disguised(&octets, siege.over_tcp);
            self.wire.put(self.now + self.dice.below(1_000), Datagram { from, to, octets });
        }
        // And whatever else there is, but no handshakes.
        for _ in 0..20 {
            let Some(datagram) = self.wire.tape.pick(&mut self.dice) else { continue };
            if !super::unsecured::begins_handshake(&datagram.octets) {
                self.wire.put(self.now + self.dice.below(1_000), Datagram { to, ..datagram });
            }
        }
    }

    fn forget_sometimes(&mut self, siege: &Siege) {
        if self.dice.below(2) == 0 {
            for n in [siege.victim, siege.honest] {
                at!(self, n, node, scene => {
                    node.call(scene, |manager, cx| manager.records_mut().forget_all(cx));
                    node.poll_events(scene);
                });
            }
        }
    }

    /// A handshake between two nodes. It has time for each message once.
    fn establish(&mut self, n: usize, to: usize, fabric: usize) -> Option<SessionHandle> {
        let address = self.addresses[to];
        let dialled = at!(self, n, node, scene => node.dial(scene, address, fabric, to));
        let handshake = dialled.ok()?;
        self.run(300);
        let session = each!(&self.nodes[n], node => node.app.dialled.get(&handshake).copied());
        if session.is_none() {
            self.give_up(n, handshake);
        }
        session.flatten()
    }

    fn give_up(&mut self, n: usize, handshake: HandshakeHandle) {
        each!(&mut self.nodes[n], node => {
            assert!(node.manager.handshakes().cancel(handshake), "it has ended");
            node.app.dialling.remove(&handshake);
        });
    }

    /// A message of an established session arrives, if neither end has evicted the session.
    fn talk_in_siege(&mut self, siege: &Siege, session: SessionHandle) {
        let known = each!(&self.nodes[siege.honest], node => {
            node.app.sessions.get(&session).map(|known| known.challenge)
        });
        let Some(challenge) = known else { return };
        let mut others = each!(&self.nodes[siege.victim], node => {
            node.app.sessions.values().map(|known| known.challenge).collect::<Vec<_>>()
        });
        others.retain(|other| *other == challenge);
        if others.is_empty() {
            return;
        }
        let exchange = at!(self, siege.honest, node, scene => node.open_exchange(scene, session));
        let exchange = exchange.expect("an own exchange finds no place");
        let number = self.book.next_number();
        at!(self, siege.honest, node, scene => node.say(scene, exchange));
        self.run(100);
        assert!(
            self.book.is_delivered(number),
            "a message did not arrive among those of strangers"
        );
        let waits = each!(&self.nodes[siege.honest], node => {
            node.app.exchanges.get(&exchange).is_some_and(|talk| !talk.waits.is_empty())
        });
        assert!(!waits, "a message that arrived was not acknowledged");
        self.book.figures.messages_in_siege += 1;
        at!(self, siege.honest, node, scene => node.close_exchange(scene, exchange));
    }
}
