//! PASE: a session from a passcode.
//!
//! ```text
//! initiator (PaseClient)                         responder (PaseServer)
//!   │ PBKDFParamRequest  random, session id, parameters   │
//!   │────────────────────────────────────────────────────▶│
//!   │ PBKDFParamResponse  randoms, session id, salt, ...  │
//!   │◀────────────────────────────────────────────────────│
//!   │ Pake1  pA                                           │
//!   │────────────────────────────────────────────────────▶│
//!   │ Pake2  pB, cB                                       │
//!   │◀────────────────────────────────────────────────────│  the initiator verifies cB,
//!   │ Pake3  cA                                           │
//!   │────────────────────────────────────────────────────▶│  the responder verifies cA
//!   │ StatusReport: success                               │
//!   │◀────────────────────────────────────────────────────│
//! ```
//! [Core, "Passcode-Authenticated Session Establishment (PASE)"]

mod client;
pub mod messages;
mod server;
mod start;

pub use self::client::PaseClient;
pub use self::server::PaseServer;
pub use self::start::PaseStart;
use super::step::Ends;
use super::{Established, HandshakeError, NewSession, SEKEYS_INFO};
use crate::crypto::spake2p::Confirmation;
use crate::crypto::{Crypto, CryptoError, HASH_LEN, Secret, Sha256};
use crate::session::{Identity, SessionKeys};

/// The id of the setup passcode, the only passcode in use: 0.
pub const DEFAULT_PASSCODE_ID: u16 = 0;

/// The prefix of the transcript hash of PASE.
pub const SPAKE_CONTEXT: &[u8; 26] = b"CHIP PAKE V1 Commissioning";

/// The hash over [`SPAKE_CONTEXT`], request and response, as it grows.
#[derive(Clone)]
struct Transcript<H>(H);

impl<H: Sha256> Transcript<H> {
    fn new<C: Crypto<Sha256 = H>>(crypto: &C) -> Self {
        let mut hash = crypto.sha256();
        hash.update(SPAKE_CONTEXT);
        Self(hash)
    }

    fn add(&mut self, payload: &[u8]) {
        self.0.update(payload);
    }

    fn context(&self) -> [u8; HASH_LEN] {
        self.0.clone().finish()
    }
}

/// Proof that the peer confirmed its knowledge of the passcode.
#[derive(Debug)]
struct ConfirmationVerified(());

impl ConfirmationVerified {
    fn check(
        expected: &Secret<HASH_LEN>,
        received: &[u8; HASH_LEN],
    ) -> Result<Self, HandshakeError> {
        match Confirmation::check(expected, received) {
            Ok(()) => Ok(Self(())),
            Err(CryptoError::Unauthentic) => Err(HandshakeError::WrongPasscode),
            Err(error) => Err(error.into()),
        }
    }
}

fn establish<C: Crypto>(
    crypto: &C,
    ends: &Ends,
    ke: &Secret<16>,
    _confirmed: &ConfirmationVerified,
) -> Result<Established, HandshakeError> {
    let keys = SessionKeys::derive(crypto, ke.as_bytes(), &[], SEKEYS_INFO)?;
    let session = NewSession { keys, setup: ends.setup(Identity::pase(), None) };
    Ok(Established { session, record: None, resumed: false })
}
