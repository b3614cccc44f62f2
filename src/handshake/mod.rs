//! Handshakes: PASE and CASE, both roles, as state machines that take and return bytes.
//!
//! ```text
//!              ┌───────────┐ Step::Send(message)          ─▶ to the peer
//!  Incoming ──▶│ handshake │ Step::Sign(request)          ─▶ to the operational key, then resume()
//!              └───────────┘ Step::Established{..}        ─▶ a SecureSession
//!                            Failure{error, reply}        ─▶ a StatusReport to the peer
//! ```
//! A handshake neither knows sockets nor retransmits: the exchange below it does. Each holds its
//! state by value, changes it where it stands, and writes its messages into the caller's buffer.
//!
//! Verifying a signature takes most of a small stack. So what has to be done before it or after it
//! is in functions that are not inlined: their temporaries would lie below it otherwise. The public
//! steps are not inlined either, so that the frame of whoever drives several machines holds none
//! of theirs.

pub mod case;
mod error;
mod fields;
pub mod pase;
mod sign;
mod step;

use core::time::Duration;

pub use self::case::{CaseClient, CaseEnv, CaseServer};
pub use self::error::{Failure, HandshakeError, Refusal};
pub use self::pase::{PaseClient, PaseServer};
pub use self::sign::{SignRequest, Signed};
use crate::context::Context;
use crate::crypto::Crypto;
use crate::ids::{LocalSessionId, PeerSessionId};
use crate::resumption::ResumptionRecord;
use crate::session::{
    Identity, ResumptionId, SecureSession, SessionKeys, SessionParameters, SessionRole,
    SessionSetup, Unauthenticated,
};
use crate::wire::secure_channel::Opcode;

/// How long a PASE establishment may take in all, and how long a CASE handshake may stand still.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);

/// The smallest output buffer that holds every handshake message, in octets.
pub const MAX_MESSAGE_LEN: usize = crate::wire::MAX_UDP_PAYLOAD;

/// A handshake message from the peer.
///
/// Made from an [`Unauthenticated`] message only: what a secure session decrypted cannot enter a
/// handshake. The payload is mutable because its encrypted part is decrypted in place.
#[derive(Debug)]
pub struct Incoming<'m> {
    pub(crate) opcode: Opcode,
    pub(crate) payload: &'m mut [u8],
}

impl<'m> Incoming<'m> {
    /// A message as it would arrive, for tests with recorded transcripts.
    #[cfg(any(test, feature = "_test-util"))]
    pub const fn new(opcode: Opcode, payload: &'m mut [u8]) -> Self {
        Self { opcode, payload }
    }
}

impl<'m> From<Unauthenticated<'m>> for Incoming<'m> {
    fn from(message: Unauthenticated<'m>) -> Self {
        Self { opcode: Opcode(message.header.opcode), payload: message.payload }
    }
}

/// A message for the peer, at the start of the caller's output buffer.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'o> {
    /// The secure channel opcode.
    pub opcode: Opcode,
    /// The payload.
    pub payload: &'o [u8],
    /// Whether it is sent reliably. Every message that a handshake makes is.
    pub reliable: bool,
}

/// What a handshake wants next.
#[must_use]
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is no heap to box a session in")]
pub enum Step<'o> {
    /// Send this message and wait for the answer.
    Send(Outgoing<'o>),
    /// Have this signed and call `resume` with the result, at once or later.
    Sign(SignRequest),
    /// The session stands. If there is a last message, send it.
    Established {
        /// The report that tells the peer, from the side that verifies last.
        reply: Option<Outgoing<'o>>,
        /// The session to be and what else came of the handshake.
        established: Established,
    },
}

/// What a handshake ends in.
#[derive(Debug)]
#[non_exhaustive]
pub struct Established {
    /// The session, to be begun where it shall stand.
    pub session: NewSession,
    /// CASE: the record to resume this session from; it replaces the peer's former one.
    pub record: Option<ResumptionRecord>,
    /// CASE: whether this session was itself resumed.
    pub resumed: bool,
}

/// All that a session is made of, before its keys are expanded.
///
/// It is much smaller than the session: whoever keeps sessions begins this one in its place.
#[must_use = "the peer takes the session for established"]
#[derive(Debug)]
pub struct NewSession {
    keys: SessionKeys,
    setup: SessionSetup,
}

impl NewSession {
    /// Begins the session: `cx` tells the time and draws its first message counter.
    pub fn begin<C: Crypto>(self, crypto: &C, cx: &mut Context<'_>) -> SecureSession<C> {
        SecureSession::new(crypto, &self.keys, self.setup, cx.rng, cx.now)
    }

    /// What the peer has declared.
    #[must_use]
    pub const fn peer_parameters(&self) -> &SessionParameters {
        &self.setup.peer_parameters
    }
}

/// The two ends of a session to be.
#[derive(Clone, Copy, Debug)]
struct Ends {
    role: SessionRole,
    local: LocalSessionId,
    peer: PeerSessionId,
    peer_parameters: SessionParameters,
}

impl Ends {
    fn setup(&self, identity: Identity, resumption_id: Option<ResumptionId>) -> SessionSetup {
        SessionSetup {
            role: self.role,
            local_session_id: self.local,
            peer_session_id: self.peer,
            identity,
            peer_parameters: self.peer_parameters,
            resumption_id,
        }
    }
}

/// HKDF info of the session keys.
const SESSION_KEYS_INFO: &[u8] = b"SessionKeys";
