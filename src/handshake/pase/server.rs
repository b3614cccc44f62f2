//! The responder of PASE: a device in commissioning mode.

use core::fmt;

use super::messages::{Pake1, Pake2, Pake3, PbkdfParamRequest, PbkdfParamResponse};
use super::{ConfirmationVerified, DEFAULT_PASSCODE_ID, Transcript, establish};
use crate::context::Context;
use crate::crypto::spake2p::Confirmation;
use crate::crypto::{Crypto, PbkdfParameters, Secret, Verifier};
use crate::handshake::error::early_report;
use crate::handshake::step::{Move, Written, expire, settle};
use crate::handshake::{Ends, Failure, HANDSHAKE_TIMEOUT, HandshakeError, Incoming, Step};
use crate::ids::LocalSessionId;
use crate::session::{SessionParameters, SessionRole};
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;

/// The responder of PASE: serves one handshake.
///
/// ```text
/// new ─▶ ExpectRequest ─▶ ExpectPake1 ─▶ ExpectPake3 ─▶ established
///               └──────────────┴──────────────┴────────▶ ended (error, timeout)
/// ```
pub struct PaseServer<C: Crypto> {
    state: State<C>,
    verifier: Verifier,
    local: LocalSessionId,
    deadline: Instant,
    attempted: bool,
}

#[derive(Default)]
enum State<C: Crypto> {
    ExpectRequest(ExpectRequest),
    ExpectPake1(ExpectPake1<C>),
    ExpectPake3(ExpectPake3),
    #[default]
    Ended,
}

struct ExpectRequest {
    pbkdf: PbkdfParameters,
    parameters: SessionParameters,
}

struct ExpectPake1<C: Crypto> {
    ends: Ends,
    transcript: Transcript<C::Sha256>,
}

struct ExpectPake3 {
    ends: Ends,
    ke: Secret<16>,
    ca: Secret<32>,
}

impl<C: Crypto> PaseServer<C> {
    /// Awaits a PBKDFParamRequest; the 60 s of the establishment begin now.
    ///
    /// `local` must not be in use by another session or handshake. `pbkdf` are the parameters
    /// that the verifier was generated with.
    #[must_use]
    pub fn new(
        verifier: Verifier,
        pbkdf: PbkdfParameters,
        local: LocalSessionId,
        parameters: &SessionParameters,
        now: Instant,
    ) -> Self {
        let state = State::ExpectRequest(ExpectRequest { pbkdf, parameters: *parameters });
        Self { state, verifier, local, deadline: now + HANDSHAKE_TIMEOUT, attempted: false }
    }

    /// Whether the peer has had the means to test a passcode: our confirmation went out.
    ///
    /// If the handshake does not end in a session, this counts as a failed attempt; a handshake
    /// that broke off before does not.
    #[must_use]
    pub const fn attempted(&self) -> bool {
        self.attempted
    }

    /// Ends the handshake for a reason of the caller's: its secrets are wiped.
    pub(crate) fn end(&mut self) {
        self.state = State::Ended;
    }

    /// Takes the next message of the initiator. After an error the handshake is over.
    ///
    /// # Errors
    /// [`Failure`]: the reason, and the StatusReport to send if the peer gets one.
    #[inline(never)]
    pub fn handle<'o>(
        &mut self,
        message: Incoming<'_>,
        cx: &mut Context<'_>,
        crypto: &C,
        out: &'o mut [u8],
    ) -> Result<Step<'o>, Failure<'o>> {
        let outcome = self.advance(&message, cx, crypto, out);
        settle(outcome, &mut self.state, out)
    }

    fn advance(
        &mut self,
        message: &Incoming<'_>,
        cx: &mut Context<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<Move, HandshakeError> {
        let payload = &*message.payload;
        match (&mut self.state, message.opcode) {
            (State::Ended, _) => Err(HandshakeError::Ended),
            (_, Opcode::STATUS_REPORT) => Err(early_report(payload)),
            (State::ExpectRequest(state), Opcode::PBKDF_PARAM_REQUEST) => {
                let (next, written) = state.handle(self.local, payload, cx, crypto, out)?;
                self.state = State::ExpectPake1(next);
                Ok(Move::Send(written))
            }
            (State::ExpectPake1(state), Opcode::PASE_PAKE1) => {
                let (next, written) = state.handle(&self.verifier, payload, cx, crypto, out)?;
                self.state = State::ExpectPake3(next);
                self.attempted = true;
                Ok(Move::Send(written))
            }
            (State::ExpectPake3(state), Opcode::PASE_PAKE3) => state.handle(payload, crypto, out),
            (_, other) => Err(HandshakeError::UnexpectedMessage(other)),
        }
    }

    /// What the initiator has declared, from its request on and until the handshake ends.
    #[must_use]
    pub const fn peer_parameters(&self) -> Option<&SessionParameters> {
        match &self.state {
            State::ExpectPake1(ExpectPake1 { ends, .. })
            | State::ExpectPake3(ExpectPake3 { ends, .. }) => Some(&ends.peer_parameters),
            State::ExpectRequest(_) | State::Ended => None,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Ended => None,
            _ => Some(self.deadline),
        }
    }

    /// Ends the handshake if its time is over; early calls do nothing.
    ///
    /// # Errors
    /// [`Failure`] with [`HandshakeError::TimedOut`].
    pub fn handle_timeout<'o>(
        &mut self,
        now: Instant,
        out: &'o mut [u8],
    ) -> Result<(), Failure<'o>> {
        let deadline = self.poll_timeout();
        expire(&mut self.state, deadline, now, out)
    }
}

impl ExpectRequest {
    #[inline(never)]
    fn handle<C: Crypto>(
        &self,
        local: LocalSessionId,
        payload: &[u8],
        cx: &mut Context<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<(ExpectPake1<C>, Written), HandshakeError> {
        let request = PbkdfParamRequest::parse(payload)?;
        if request.passcode_id != DEFAULT_PASSCODE_ID {
            return Err(HandshakeError::UnknownPasscodeId);
        }
        let mut responder_random = [0; 32];
        cx.rng.fill_bytes(&mut responder_random);
        let response = PbkdfParamResponse {
            initiator_random: request.initiator_random,
            responder_random: &responder_random,
            responder_session_id: local.as_seen_by_peer(),
            pbkdf: (!request.has_pbkdf_parameters).then_some(self.pbkdf),
            session_parameters: Some(self.parameters),
        };
        let written = Written::message(Opcode::PBKDF_PARAM_RESPONSE, out, |w| response.write(w))?;
        let mut transcript = Transcript::new(crypto);
        transcript.add(payload);
        transcript.add(written.payload(out));
        let ends = Ends {
            role: SessionRole::Responder,
            local,
            peer: request.initiator_session_id,
            peer_parameters: request.session_parameters.unwrap_or_default(),
        };
        Ok((ExpectPake1 { ends, transcript }, written))
    }
}

impl<C: Crypto> ExpectPake1<C> {
    #[inline(never)]
    fn handle(
        &self,
        verifier: &Verifier,
        payload: &[u8],
        cx: &mut Context<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<(ExpectPake3, Written), HandshakeError> {
        let Pake1 { pa } = Pake1::parse(payload)?;
        let y = crypto.random_scalar(cx.rng)?;
        let (pb, secrets) = verifier.respond(crypto, &y, &pa)?;
        let context = self.transcript.context();
        let confirmation =
            Confirmation::derive(crypto, &context, &pa, &pb, &secrets, &verifier.w0)?;
        let pake2 = Pake2 { pb, cb: confirmation.cb.as_bytes() };
        let written = Written::message(Opcode::PASE_PAKE2, out, |w| pake2.write(w))?;
        let Confirmation { ke, ca, .. } = confirmation;
        Ok((ExpectPake3 { ends: self.ends, ke, ca }, written))
    }
}

impl ExpectPake3 {
    #[inline(never)]
    fn handle<C: Crypto>(
        &self,
        payload: &[u8],
        crypto: &C,
        out: &mut [u8],
    ) -> Result<Move, HandshakeError> {
        let Pake3 { ca } = Pake3::parse(payload)?;
        let confirmed = ConfirmationVerified::check(&self.ca, ca)?;
        let written = Written::success(out)?;
        let established = establish(crypto, &self.ends, &self.ke, &confirmed)?;
        Ok(Move::Establish(Some(written), established))
    }
}

impl<C: Crypto> State<C> {
    const fn name(&self) -> &'static str {
        match self {
            Self::ExpectRequest(_) => "ExpectRequest",
            Self::ExpectPake1(_) => "ExpectPake1",
            Self::ExpectPake3(_) => "ExpectPake3",
            Self::Ended => "Ended",
        }
    }
}

impl<C: Crypto> fmt::Debug for PaseServer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaseServer")
            .field("state", &self.state.name())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
