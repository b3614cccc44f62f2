//! A peer of the manager, with whom it establishes sessions.

use core::time::Duration;
use std::time::Instant as Clock;

use matter_session::context::Services;
use matter_session::crypto::{RustCrypto, SigningKey};
use matter_session::ids::Peer;
use matter_session::manager::{Config, Dropped, Event, HeapSessionManager, PeerAddress};
use matter_session::rand_core::UnwrapErr;
use matter_session::time::Instant;
use matter_session_testing::net::members;

use crate::{THIS, address, fabric, peer};

/// Dials the manager, again and again.
pub(crate) struct Dialer {
    manager: HeapSessionManager,
    key: SigningKey,
    key_of_other: SigningKey,
}

impl Dialer {
    /// A node of a fabric that `other` joins with it.
    pub(crate) fn new(other: &mut HeapSessionManager) -> Self {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let [own, others] = members([peer(2_000_000), THIS], false);
        let mut manager = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
        assert_eq!(manager.fabrics_mut().add(&own.credentials()), Ok(fabric()));
        other.fabrics_mut().add(&others.credentials()).unwrap();
        Self { manager, key: own.key, key_of_other: others.key }
    }

    /// Establishes a session, and returns what it took of the other's time and whether it was
    /// resumed.
    pub(crate) fn dial(
        &mut self,
        other: &mut HeapSessionManager,
        now: Instant,
    ) -> (Duration, bool) {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(now);
        let mut spent = Duration::ZERO;
        self.manager.connect_case(&mut cx, address(), Peer::new(fabric(), THIS)).unwrap();
        let mut established = None;
        let mut quiet = false;
        while !quiet {
            quiet = true;
            while let Some(transmit) = self.manager.poll_transmit(now) {
                let mut datagram = transmit.datagram.to_vec();
                let begin = Clock::now();
                let received = other.handle_datagram(&mut cx, from(), &mut datagram);
                assert_eq!(received.dropped(), None);
                while other.handshakes().is_computing() {
                    other.handle_timeout(&mut cx);
                }
                spent += begin.elapsed();
                quiet = false;
            }
            while let Some(event) = other.poll_event() {
                if let Event::SignRequest(request) = event {
                    let _ = other
                        .complete_signature(&mut cx, request.sign_with(&mut self.key_of_other));
                }
            }
            loop {
                let begin = Clock::now();
                let Some(transmit) = other.poll_transmit(now) else { break };
                spent += begin.elapsed();
                // Others are told goodbye; so may be this one, for a session that it has ended itself.
                if transmit.to == from() {
                    let mut datagram = transmit.datagram.to_vec();
                    match self.manager.handle_datagram(&mut cx, address(), &mut datagram).dropped()
                    {
                        None | Some(Dropped::UnknownSession(_)) => quiet = false,
                        Some(dropped) => panic!("{dropped}"),
                    }
                    while self.manager.handshakes().is_computing() {
                        self.manager.handle_timeout(&mut cx);
                    }
                }
            }
            while let Some(event) = self.manager.poll_event() {
                match event {
                    Event::SignRequest(request) => {
                        let _ = self
                            .manager
                            .complete_signature(&mut cx, request.sign_with(&mut self.key));
                        quiet = false;
                    }
                    Event::Established { resumed, .. } => established = Some(resumed),
                    _ => {}
                }
            }
        }
        (spent, established.unwrap())
    }
}

fn from() -> PeerAddress {
    PeerAddress::Udp(([127, 0, 0, 2], 5540).into())
}
