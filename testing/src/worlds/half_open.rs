//! A half-open handshake and a newcomer: whoever repeats a recorded Sigma1 must neither keep
//! others out for long, nor keep the node itself from connecting.

use core::time::Duration;

use matter_session::manager::{Config, Storage};

use super::lab::Lab;
use super::node::{ELSEWHERE, udp};
use super::resumption::as_attacker;
use super::{Act, World, of_lab};

const SIGMA1: u8 = 0x30;

/// The attacker repeats the recorded Sigma1 under an identity of its own.
const REPEAT: Act = Act::Other(0);
/// The responder connects to the initiator.
const CONNECT: Act = Act::Other(1);

/// How many handshakes the responder has room for.
const HANDSHAKES: usize = 2;

pub struct HalfOpen<S: Storage> {
    lab: Lab<S>,
    sigma1: Vec<u8>,
    repeats: u8,
    connects: u8,
}

impl<S: Storage> World for HalfOpen<S> {
    fn begin() -> Self {
        let handshakes = Config::default().with_handshakes(HANDSHAKES, Duration::from_millis(500));
        let configs = vec![Config::default(), handshakes];
        let mut lab = Lab::new(configs, Lab::<S>::joined());
        // The attacker has seen a handshake that came to nothing.
        assert!(lab.connect(0, 1));
        lab.drain();
        let sigma1 = lab.wire.remove(0);
        assert_eq!(sigma1.opcode(), Some(SIGMA1));
        lab.act(Act::Restart(0, 0));
        lab.tape.clear();
        assert!(lab.connect(0, 1));
        lab.drain();
        Self { lab, sigma1: sigma1.bytes, repeats: 0, connects: 0 }
    }

    fn next(&self) -> Option<Act> {
        self.lab.next(10_000)
    }

    fn acts(&self) -> Vec<Act> {
        let mut acts = self.lab.acts();
        acts.push(REPEAT);
        if self.connects == 0 {
            acts.push(CONNECT);
        }
        acts
    }

    fn act(&mut self, act: Act) {
        match act {
            REPEAT => {
                self.repeats += 1;
                let mut bytes = as_attacker(&self.sigma1, self.repeats);
                bytes[8] ^= self.repeats;
                self.lab.hand(1, udp(ELSEWHERE + u16::from(self.repeats)), &bytes);
            }
            CONNECT => {
                self.connects += 1;
                if !self.lab.connect(1, 0) {
                    self.lab.fail("a node that cannot connect because of others");
                }
            }
            act => self.lab.act(act),
        }
        self.lab.drain();
        self.lab.sort();
    }

    fn end(&mut self) {
        // The newcomer tries again, as applications do; the attacker has stopped.
        let mut tries = 0;
        while self.lab.nodes[0].established == 0 && tries < 3 {
            self.lab.settle(70_000);
            if self.lab.nodes[0].waits.is_empty() && self.lab.nodes[0].established == 0 {
                self.lab.connect(0, 1);
                self.lab.drain();
            }
            tries += 1;
        }
        if self.lab.nodes[0].established == 0 {
            self.lab.fail("a newcomer that is not served");
        }
        self.lab.finish();
    }

    of_lab!();
}
