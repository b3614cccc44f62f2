//! The initiator of PASE: a commissioner that was told the passcode.

use core::fmt;

use super::messages::{Pake1, Pake2, Pake3, PbkdfParamRequest, PbkdfParamResponse};
use super::{ConfirmationVerified, DEFAULT_PASSCODE_ID, Transcript, establish};
use crate::context::Context;
use crate::crypto::spake2p::Confirmation;
use crate::crypto::{Crypto, Passcode, PbkdfParameters, PublicKey, Secret};
use crate::handshake::error::{early_report, read_report};
use crate::handshake::step::{Move, Written, expire, settle};
use crate::handshake::{
    Ends, Failure, HANDSHAKE_TIMEOUT, HandshakeError, Incoming, Outgoing, Step,
};
use crate::ids::LocalSessionId;
use crate::session::{SessionParameters, SessionRole};
use crate::time::Instant;
use crate::tlv::TlvError;
use crate::wire::secure_channel::Opcode;

/// The initiator of PASE.
///
/// ```text
/// start ─▶ ExpectResponse ─▶ ExpectPake2 ─▶ ExpectReport ─▶ established
///                 └──────────────┴───────────────┴────────▶ ended (error, timeout)
/// ```
pub struct PaseClient<C: Crypto> {
    state: State<C>,
    local: LocalSessionId,
    deadline: Instant,
}

#[derive(Default)]
enum State<C: Crypto> {
    ExpectResponse(ExpectResponse<C>),
    ExpectPake2(ExpectPake2),
    ExpectReport(ExpectReport),
    #[default]
    Ended,
}

struct ExpectResponse<C: Crypto> {
    passcode: Passcode,
    known: Option<PbkdfParameters>,
    random: [u8; 32],
    transcript: Transcript<C::Sha256>,
}

struct ExpectPake2 {
    ends: Ends,
    context: [u8; 32],
    x: Secret<32>,
    w0: Secret<32>,
    w1: Secret<32>,
    pa: PublicKey,
}

struct ExpectReport {
    ends: Ends,
    ke: Secret<16>,
    confirmed: ConfirmationVerified,
}

impl<C: Crypto> PaseClient<C> {
    /// Begins a handshake: the first message is a PBKDFParamRequest at the start of `out`.
    ///
    /// `local` must not be in use by another session or handshake. `known` are the device's
    /// PBKDF parameters if they were learnt before.
    ///
    /// # Errors
    /// [`HandshakeError::BufferTooSmall`].
    pub fn start<'o>(
        passcode: Passcode,
        known: Option<PbkdfParameters>,
        local: LocalSessionId,
        parameters: &SessionParameters,
        cx: &mut Context<'_>,
        crypto: &C,
        out: &'o mut [u8],
    ) -> Result<(Self, Outgoing<'o>), HandshakeError> {
        let mut random = [0; 32];
        cx.rng.fill_bytes(&mut random);
        let request = PbkdfParamRequest {
            initiator_random: &random,
            initiator_session_id: local.as_seen_by_peer(),
            passcode_id: DEFAULT_PASSCODE_ID,
            has_pbkdf_parameters: known.is_some(),
            session_parameters: Some(*parameters),
        };
        let written = Written::message(Opcode::PBKDF_PARAM_REQUEST, out, |w| request.write(w))?;
        let mut transcript = Transcript::new(crypto);
        transcript.add(written.payload(out));
        let state = State::ExpectResponse(ExpectResponse { passcode, known, random, transcript });
        let deadline = cx.now + HANDSHAKE_TIMEOUT;
        Ok((Self { state, local, deadline }, written.outgoing(out)))
    }

    /// Ends the handshake for a reason of the caller's: its secrets are wiped.
    #[cfg(feature = "initiator")]
    pub(crate) fn end(&mut self) {
        self.state = State::Ended;
    }

    /// Takes the next message of the responder. After an error the handshake is over.
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
            (State::ExpectResponse(state), Opcode::PBKDF_PARAM_RESPONSE) => {
                let (next, written) = state.handle(self.local, payload, cx, crypto, out)?;
                self.state = State::ExpectPake2(next);
                Ok(Move::Send(written))
            }
            (State::ExpectPake2(state), Opcode::PASE_PAKE2) => {
                let (next, written) = state.handle(payload, crypto, out)?;
                self.state = State::ExpectReport(next);
                Ok(Move::Send(written))
            }
            (State::ExpectReport(state), Opcode::STATUS_REPORT) => {
                read_report(payload)?;
                let established = establish(crypto, &state.ends, &state.ke, &state.confirmed)?;
                Ok(Move::Establish(None, established))
            }
            (_, Opcode::STATUS_REPORT) => Err(early_report(payload)),
            (_, other) => Err(HandshakeError::UnexpectedMessage(other)),
        }
    }

    /// What the responder has declared, once it has answered and until the handshake ends.
    #[must_use]
    pub const fn peer_parameters(&self) -> Option<&SessionParameters> {
        match &self.state {
            State::ExpectPake2(ExpectPake2 { ends, .. })
            | State::ExpectReport(ExpectReport { ends, .. }) => Some(&ends.peer_parameters),
            State::ExpectResponse(_) | State::Ended => None,
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

impl<C: Crypto> ExpectResponse<C> {
    #[inline(never)]
    fn handle(
        &mut self,
        local: LocalSessionId,
        payload: &[u8],
        cx: &mut Context<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<(ExpectPake2, Written), HandshakeError> {
        let response = PbkdfParamResponse::parse(payload, self.known.is_some())?;
        if response.initiator_random != &self.random {
            return Err(HandshakeError::RandomMismatch);
        }
        self.transcript.add(payload);
        let parameters = self.known.or(response.pbkdf).ok_or(TlvError::UnexpectedTag)?;
        let (w0, w1) = self.passcode.scalars(crypto, &parameters)?;
        let x = crypto.random_scalar(cx.rng)?;
        let pa = crypto.spake_prover_share(&x, &w0)?;
        let written = Written::message(Opcode::PASE_PAKE1, out, |w| Pake1 { pa }.write(w))?;
        let ends = Ends {
            role: SessionRole::Initiator,
            local,
            peer: response.responder_session_id,
            peer_parameters: response.session_parameters.unwrap_or_default(),
        };
        let context = self.transcript.context();
        Ok((ExpectPake2 { ends, context, x, w0, w1, pa }, written))
    }
}

impl ExpectPake2 {
    #[inline(never)]
    fn handle<C: Crypto>(
        &self,
        payload: &[u8],
        crypto: &C,
        out: &mut [u8],
    ) -> Result<(ExpectReport, Written), HandshakeError> {
        let Pake2 { pb, cb } = Pake2::parse(payload)?;
        let secrets = crypto.spake_prover_finish(&self.x, &self.w0, &self.w1, &pb)?;
        let confirmation =
            Confirmation::derive(crypto, &self.context, &self.pa, &pb, &secrets, &self.w0)?;
        let confirmed = ConfirmationVerified::check(&confirmation.cb, cb)?;
        let pake3 = Pake3 { ca: confirmation.ca.as_bytes() };
        let written = Written::message(Opcode::PASE_PAKE3, out, |w| pake3.write(w))?;
        Ok((ExpectReport { ends: self.ends, ke: confirmation.ke, confirmed }, written))
    }
}

impl<C: Crypto> State<C> {
    const fn name(&self) -> &'static str {
        match self {
            Self::ExpectResponse(_) => "ExpectResponse",
            Self::ExpectPake2(_) => "ExpectPake2",
            Self::ExpectReport(_) => "ExpectReport",
            Self::Ended => "Ended",
        }
    }
}

impl<C: Crypto> fmt::Debug for PaseClient<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaseClient")
            .field("state", &self.state.name())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
