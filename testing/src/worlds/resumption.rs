//! A resumption and a command: both nodes may restart with any copy of their stores, and an
//! attacker repeats the recorded Sigma1 as its own.

use core::time::Duration;

use matter_session::manager::{Config, Storage};

use super::lab::Lab;
use super::node::{Datagram, ELSEWHERE, udp};
use super::{Act, World, of_lab};

const SIGMA1: u8 = 0x30;
const SIGMA2_RESUME: u8 = 0x33;
const STATUS_REPORT: u8 = 0x40;
/// The node id that the attacker gives itself.
const ATTACKER: u64 = 0xABC;

/// The attacker repeats the recorded Sigma1, and forges the report of success if it is answered by
/// a resumption.
const IMPERSONATE: Act = Act::Other(0);

/// The device takes part in claims, or it has no stored record resumed.
pub struct Resumption<S: Storage, const CLAIMS: bool> {
    lab: Lab<S>,
    repeats: u8,
    restarts: u8,
}

impl<S: Storage, const CLAIMS: bool> World for Resumption<S, CLAIMS> {
    fn begin() -> Self {
        let wait = if CLAIMS { Duration::from_secs(2) } else { Duration::ZERO };
        let configs = vec![Config::default().with_claim_wait(wait); 2];
        let mut lab = Lab::new(configs, Lab::<S>::acquainted());
        lab.nodes[0].says = 1;
        assert!(lab.connect(0, 1));
        lab.drain();
        Self { lab, repeats: 0, restarts: 0 }
    }

    fn next(&self) -> Option<Act> {
        self.lab.next(10_000)
    }

    fn acts(&self) -> Vec<Act> {
        let mut acts = self.lab.acts();
        if self.restarts < 2 {
            acts.extend(self.lab.restarts(0).chain(self.lab.restarts(1)));
        }
        acts.push(IMPERSONATE);
        acts
    }

    fn act(&mut self, act: Act) {
        match act {
            IMPERSONATE => {
                self.repeats += 1;
                let bytes = as_attacker(&self.sigma1(), self.repeats);
                let since = self.lab.tape.len();
                self.lab.hand(1, udp(ELSEWHERE), &bytes);
                self.lab.drain();
                if let Some(report) = self.report(since) {
                    self.lab.hand(1, udp(ELSEWHERE), &report);
                }
            }
            act => {
                self.lab.act(act);
                if let Act::Restart(n, _) = act {
                    self.restarts += 1;
                    // An initiator begins again.
                    if n == 0 {
                        self.lab.connect(0, 1);
                    }
                }
            }
        }
        self.lab.drain();
        self.lab.sort();
    }

    fn end(&mut self) {
        self.lab.finish();
    }

    of_lab!();
}

impl<S: Storage, const CLAIMS: bool> Resumption<S, CLAIMS> {
    fn sigma1(&self) -> Vec<u8> {
        let sigma1 = self.lab.tape.iter().find(|d| d.opcode() == Some(SIGMA1));
        sigma1.expect("the story begins with it").bytes.clone()
    }

    /// A success report that answers the Sigma2Resume to the attacker.
    fn report(&self, since: usize) -> Option<Vec<u8>> {
        let is_answer =
            |d: &&Datagram| d.to == udp(ELSEWHERE) && d.opcode() == Some(SIGMA2_RESUME);
        let answer = &self.lab.tape[since..].iter().find(is_answer)?.bytes;
        let mut report = vec![4, 0, 0, 0];
        report.extend(1000_u32.to_le_bytes());
        report.extend(ATTACKER.to_le_bytes());
        report.extend([0x07, STATUS_REPORT, answer[18], answer[19], 0, 0]);
        report.extend(&answer[4..8]);
        report.extend([0; 8]);
        Some(report)
    }
}

/// A Sigma1 with a header of the attacker's own. Nothing in it is authentic but the payload.
pub(super) fn as_attacker(sigma1: &[u8], exchange: u8) -> Vec<u8> {
    let mut bytes = sigma1.to_vec();
    bytes[4..8].copy_from_slice(&u32::from(exchange).to_le_bytes());
    bytes[8..16].copy_from_slice(&ATTACKER.to_le_bytes());
    bytes[18..20].copy_from_slice(&[exchange, 0]);
    bytes
}
