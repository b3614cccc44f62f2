//! Sources of randomness that are broken: calls end all the same.

use core::convert::Infallible;

use matter_session::context::Services;
use matter_session::crypto::CryptoError;
use matter_session::crypto::{Passcode, RustCrypto};
use matter_session::handshake::HandshakeError;
use matter_session::ids::Peer;
use matter_session::manager::{Config, ConnectError, Fixed, Heap, SessionManager, Storage};
use matter_session::rand_core::{TryCryptoRng, TryRng};
use matter_session::time::Instant;

use crate::net::{Authority, PASSCODE, index, udp};

/// The same byte for ever.
struct Stuck(u8);

impl TryRng for Stuck {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_ne_bytes([self.0; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_ne_bytes([self.0; 8]))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for Stuck {}

fn every_call_ends<S: Storage>() {
    for byte in [0, 1, 0x7F, 0x80, 0xFE, 0xFF] {
        let mut rng = Stuck(byte);
        let mut node: SessionManager<RustCrypto, S> =
            SessionManager::new(Config::default(), RustCrypto, &mut rng);
        let mut authority = Authority::new(1, false);
        let member = authority.admit(200);
        node.fabrics_mut().add(&member.credentials()).unwrap();
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(Instant::ZERO);
        let backend = ConnectError::Handshake(HandshakeError::Crypto(CryptoError::Backend));
        let passcode = || Passcode::new(PASSCODE).unwrap();
        let pase = node.connect_pase(&mut cx, udp(9), passcode());
        let peer = Peer::new(index(1), matter_session::ids::NodeId::new(300));
        let case = node.connect_case(&mut cx, udp(9), peer);
        // No node id, and no key, comes of zeros or of ones.
        match byte {
            0 | 0xFF => {
                assert_eq!(pase, Err(backend), "{byte:#x}");
                assert_eq!(case, Err(backend), "{byte:#x}");
                assert_eq!(node.handshakes().len(), 0);
            }
            _ => {
                for failed in [pase.err(), case.err()].into_iter().flatten() {
                    assert_eq!(failed, backend, "{byte:#x}");
                }
            }
        }
        // The window draws a salt.
        node.window().open_for(&mut cx, &passcode(), None).unwrap();
    }
}

#[test]
fn a_stuck_source_of_randomness_makes_no_call_loop() {
    every_call_ends::<Heap>();
    every_call_ends::<Fixed>();
}
