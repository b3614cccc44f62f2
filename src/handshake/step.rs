//! The result of a step: a message, a request for a signature, or a session.

use super::{ClaimRequest, Outgoing, SignRequest};
use crate::context::Context;
use crate::crypto::Crypto;
use crate::ids::{LocalSessionId, PeerSessionId};
use crate::resumption::ResumptionRecord;
use crate::session::{
    Identity, ResumptionId, SecureSession, SessionKeys, SessionParameters, SessionRole,
    SessionSetup,
};

/// What a handshake asks of its caller next.
#[must_use]
#[derive(Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "there is no heap to box a session in")]
pub enum Step {
    /// Send this message and wait for the answer.
    Send(Outgoing),
    /// Have this signed and call `resume` with the result, at once or later.
    Sign(SignRequest),
    /// Have the record deleted for good and call `complete_claim` with the result, at once or later.
    /// Only the responder of CASE asks for it.
    Claim(ClaimRequest),
    /// More is to be computed: call `proceed` until it returns something else, at once or after other
    /// work. Each call makes one operation on the curve at most (a key pair, an agreement, a
    /// verification, a multiplication), or 512 iterations of PBKDF2. The other methods make none.
    More,
    /// The session is established. If there is a last message, send it.
    #[non_exhaustive]
    Established {
        /// The report of success, on the side that verifies last.
        reply: Option<Outgoing>,
        /// The session, and the record to resume it from.
        established: Established,
    },
}

impl Step {
    /// Returns the message to send, if there is one.
    #[must_use]
    pub const fn message(&self) -> Option<&Outgoing> {
        match self {
            Self::Send(message) => Some(message),
            Self::Sign(_) | Self::Claim(_) | Self::More => None,
            Self::Established { reply, .. } => reply.as_ref(),
        }
    }
}

/// The result of a handshake.
#[derive(Debug)]
#[non_exhaustive]
pub struct Established {
    /// The session. [`NewSession::begin`] makes it.
    pub session: NewSession,
    /// CASE: the record to resume this session from. It replaces the former record of the peer.
    pub record: Option<ResumptionRecord>,
    /// CASE: whether this session was itself resumed.
    pub resumed: bool,
}

/// The facts of a new session, before its keys are expanded.
///
/// It is much smaller than the [`SecureSession`]: begin the session in the place where it is kept.
#[must_use = "the peer takes the session for established"]
#[derive(Debug)]
pub struct NewSession {
    pub(super) keys: SessionKeys,
    pub(super) setup: SessionSetup,
}

impl NewSession {
    /// Begins the session. `cx` gives the time and draws the first message counter.
    pub fn begin<C: Crypto>(self, crypto: &C, cx: &mut Context<'_>) -> SecureSession<C> {
        cx.keys.session(&self.keys, &self.setup);
        SecureSession::new(crypto, &self.keys, self.setup, cx.rng, cx.now)
    }

    /// Returns the session parameters that the peer declared.
    #[must_use]
    pub const fn peer_parameters(&self) -> &SessionParameters {
        &self.setup.peer_parameters
    }
}

/// The two ends of a new session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) role: SessionRole,
    pub(super) local: LocalSessionId,
    pub(super) peer: PeerSessionId,
    pub(super) peer_parameters: SessionParameters,
}

impl Ends {
    pub(super) fn setup(
        &self,
        identity: Identity,
        resumption_id: Option<ResumptionId>,
    ) -> SessionSetup {
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
