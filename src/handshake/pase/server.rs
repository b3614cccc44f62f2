//! The responder of PASE: a device in commissioning mode.

use super::messages::{Pake1, Pake2, Pake3, PbkdfParamRequest, PbkdfParamResponse};
use super::{ConfirmationVerified, DEFAULT_PASSCODE_ID, Transcript, establish};
use crate::context::Context;
use crate::crypto::spake2p::{Confirmation, Responding};
use crate::crypto::{Crypto, HASH_LEN, PbkdfParameters, Secret, Verifier};
use crate::handshake::envelope::Machine;
use crate::handshake::error::early_report;
use crate::handshake::step::Ends;
use crate::handshake::{Failure, Handshake, HandshakeError, Incoming, Outgoing, Step};
use crate::ids::LocalSessionId;
use crate::session::{SessionParameters, SessionRole};
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;

/// The responder of PASE: a device in commissioning mode. It serves one handshake.
///
/// ```text
/// new ─▶ ExpectRequest ─▶ ExpectPake1 ─▶ Computing ──proceed──▶ ExpectPake3 ─▶ established
///               └──────────────┴─────────────┴───────────────────────┴───────▶ ended (error, timeout)
/// ```
///
#[cfg_attr(feature = "rustcrypto", doc = "```")]
#[cfg_attr(not(feature = "rustcrypto"), doc = "```ignore")]
/// # use matter_session::handshake::MAX_MESSAGE_LEN;
/// # use matter_session::crypto::PbkdfParameters;
/// # use matter_session::{Instant, LocalSessionId, Passcode, PaseClient, PaseStart, Services};
/// use matter_session::wire::secure_channel::Opcode;
/// use matter_session::{Incoming, PaseServer, RustCrypto, SessionParameters, Step, Verifier};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
/// # let mut services = Services::new(&mut rng);
/// # let mut cx = services.at(Instant::ZERO);
/// # let (id, own) = (LocalSessionId::new(1).ok_or("zero")?, SessionParameters::default());
/// # let passcode = Passcode::new(20202021)?;
/// # let start = PaseStart::new(passcode.clone(), id, &own);
/// # let mut out = [0; MAX_MESSAGE_LEN];
/// # let (_, request) = PaseClient::start(&RustCrypto, &mut cx, start, &mut out)?;
/// # let mut received = request.payload(&out).to_vec();
/// let pbkdf = PbkdfParameters::random(1000, cx.rng())?;
/// let verifier = Verifier::generate(&RustCrypto, &passcode, &pbkdf)?;
/// let mut server = PaseServer::new(verifier, pbkdf, id, &own, Instant::ZERO);
///
/// let request = Incoming::new(Opcode::PBKDF_PARAM_REQUEST, &mut received);
/// let step = server.handle(&RustCrypto, &mut cx, request, &mut out)?;
/// let Step::Send(response) = step else { return Err("a response is due".into()) };
/// assert_eq!(response.opcode, Opcode::PBKDF_PARAM_RESPONSE);
/// # Ok(())
/// # }
/// ```
pub type PaseServer<C> = Handshake<Server<C>>;

/// The states of a [`PaseServer`].
#[expect(missing_debug_implementations, reason = "`Handshake` prints its state")]
pub struct Server<C: Crypto> {
    state: State<C>,
    verifier: Verifier,
    local: LocalSessionId,
    attempted: bool,
}

#[expect(clippy::large_enum_variant, reason = "there is no heap to box a state in")]
enum State<C: Crypto> {
    ExpectRequest(ExpectRequest),
    ExpectPake1(ExpectPake1<C>),
    Computing(Computing),
    ExpectPake3(ExpectPake3),
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

/// Pake1 has arrived, and Pake2 is being computed.
struct Computing {
    ends: Ends,
    context: [u8; HASH_LEN],
    exchange: Responding,
}

struct ExpectPake3 {
    ends: Ends,
    ke: Secret<16>,
    ca: Secret<32>,
}

impl<C: Crypto> PaseServer<C> {
    /// Waits for a PBKDFParamRequest. The 60 s of the handshake begin now.
    ///
    /// `local` must not be in use by another session or handshake. `pbkdf` are the parameters that
    /// the verifier was generated with, `parameters` this node's own.
    #[must_use]
    pub fn new(
        verifier: Verifier,
        pbkdf: PbkdfParameters,
        local: LocalSessionId,
        parameters: &SessionParameters,
        now: Instant,
    ) -> Self {
        let state = State::ExpectRequest(ExpectRequest { pbkdf, parameters: *parameters });
        Self::begin(Server { state, verifier, local, attempted: false }, now)
    }

    /// Returns true if the peer has had the means to test a passcode: it sent its share (Pake1).
    /// Whatever the answer was, it can depend on the passcode.
    ///
    /// If the handshake does not end in a session, this counts as a failed attempt. A handshake
    /// that ended earlier does not count.
    #[must_use]
    pub const fn attempted(&self) -> bool {
        self.machine.attempted
    }

    /// Returns true if a message is the Pake1 that this handshake waits for, or the Pake3 with the
    /// right confirmation. A Pake1 proves nothing.
    pub(crate) fn expects(&self, opcode: Opcode, payload: &[u8]) -> bool {
        match (&self.machine.state, opcode) {
            (State::ExpectPake1(_), Opcode::PASE_PAKE1) => Pake1::parse(payload).is_ok(),
            (State::ExpectPake3(state), Opcode::PASE_PAKE3) => Pake3::parse(payload)
                .is_ok_and(|Pake3 { ca }| ConfirmationVerified::check(&state.ca, ca).is_ok()),
            _ => false,
        }
    }

    /// Handles the next message of the initiator. After an error the handshake has ended.
    ///
    /// # Errors
    /// [`Failure`]: the reason, and the StatusReport to send if the peer gets one.
    #[inline(never)]
    pub fn handle(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        message: Incoming<'_>,
        out: &mut [u8],
    ) -> Result<Step, Failure> {
        self.handle_timeout(cx.now, out)?;
        let outcome = self.machine.step(crypto, cx, &message, out);
        self.settle(outcome, out)
    }

    /// Makes the next operation on the curve of the answer to Pake1: up to five of them. The last
    /// step is Pake2.
    ///
    /// # Errors
    /// [`Failure`] with [`HandshakeError::NothingLeft`] if the last step was not [`Step::More`] (the
    /// handshake continues then), or with what went wrong.
    #[inline(never)]
    pub fn proceed(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Result<Step, Failure> {
        self.check_more(cx.now, out)?;
        let outcome = self.machine.proceed(crypto, out);
        self.settle(outcome, out)
    }
}

impl<C: Crypto> Server<C> {
    fn proceed(&mut self, crypto: &C, out: &mut [u8]) -> Result<Step, HandshakeError> {
        let State::Computing(state) = &mut self.state else {
            return Err(HandshakeError::NothingLeft);
        };
        let Some((next, pake2)) = state.proceed(crypto, &self.verifier, out)? else {
            return Ok(Step::More);
        };
        self.state = State::ExpectPake3(next);
        Ok(Step::Send(pake2))
    }

    fn step(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        message: &Incoming<'_>,
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        let payload = &*message.payload;
        match (&mut self.state, message.opcode) {
            (State::Ended, _) => Err(HandshakeError::Ended),
            (_, Opcode::STATUS_REPORT) => Err(early_report(payload)),
            (State::ExpectRequest(state), Opcode::PBKDF_PARAM_REQUEST) => {
                let (next, response) = state.handle(crypto, cx, self.local, payload, out)?;
                self.state = State::ExpectPake1(next);
                Ok(Step::Send(response))
            }
            (State::ExpectPake1(state), Opcode::PASE_PAKE1) => {
                let Pake1 { pa } = Pake1::parse(payload)?;
                // Before anything is computed with w0: that a share does not fit w0 is an answer,
                // too.
                self.attempted = true;
                let exchange = Responding::new(crypto, cx.rng, pa)?;
                let (ends, context) = (state.ends, state.transcript.context());
                self.state = State::Computing(Computing { ends, context, exchange });
                Ok(Step::More)
            }
            (State::ExpectPake3(state), Opcode::PASE_PAKE3) => state.handle(crypto, payload, out),
            (_, other) => Err(HandshakeError::UnexpectedMessage(other)),
        }
    }
}

impl ExpectRequest {
    #[inline(never)]
    fn handle<C: Crypto>(
        &self,
        crypto: &C,
        cx: &mut Context<'_>,
        local: LocalSessionId,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<(ExpectPake1<C>, Outgoing), HandshakeError> {
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
            session_parameters: Some(self.parameters.announced()),
        };
        let response = Outgoing::message(Opcode::PBKDF_PARAM_RESPONSE, out, |w| response.write(w))?;
        let mut transcript = Transcript::new(crypto);
        transcript.add(payload);
        transcript.add(response.payload(out));
        let ends = Ends {
            role: SessionRole::Responder,
            local,
            peer: request.initiator_session_id,
            peer_parameters: request.session_parameters.unwrap_or_default(),
        };
        Ok((ExpectPake1 { ends, transcript }, response))
    }
}

impl Computing {
    /// Multiplies once. The last time, it returns Pake2.
    #[inline(never)]
    fn proceed<C: Crypto>(
        &mut self,
        crypto: &C,
        verifier: &Verifier,
        out: &mut [u8],
    ) -> Result<Option<(ExpectPake3, Outgoing)>, HandshakeError> {
        let Some(secrets) = self.exchange.step(crypto, verifier)? else { return Ok(None) };
        let (pa, pb) = self.exchange.shares();
        let confirmation =
            Confirmation::derive(crypto, &self.context, pa, &pb, &secrets, &verifier.w0)?;
        let pake2 = Pake2 { pb, cb: confirmation.cb.as_bytes() };
        let pake2 = Outgoing::message(Opcode::PASE_PAKE2, out, |w| pake2.write(w))?;
        let Confirmation { ke, ca, .. } = confirmation;
        Ok(Some((ExpectPake3 { ends: self.ends, ke, ca }, pake2)))
    }
}

impl ExpectPake3 {
    #[inline(never)]
    fn handle<C: Crypto>(
        &self,
        crypto: &C,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        let Pake3 { ca } = Pake3::parse(payload)?;
        let confirmed = ConfirmationVerified::check(&self.ca, ca)?;
        let reply = Some(Outgoing::success(out)?);
        let established = establish(crypto, &self.ends, &self.ke, &confirmed)?;
        Ok(Step::Established { reply, established })
    }
}

impl<C: Crypto> Machine for Server<C> {
    const NAME: &'static str = "PaseServer";

    fn state(&self) -> Option<&'static str> {
        match &self.state {
            State::ExpectRequest(_) => Some("ExpectRequest"),
            State::ExpectPake1(_) => Some("ExpectPake1"),
            State::Computing(_) => Some("Computing"),
            State::ExpectPake3(_) => Some("ExpectPake3"),
            State::Ended => None,
        }
    }

    fn has_more(&self) -> bool {
        matches!(&self.state, State::Computing(_))
    }

    fn end(&mut self) {
        self.state = State::Ended;
    }

    fn peer_parameters(&self) -> Option<&SessionParameters> {
        match &self.state {
            State::ExpectPake1(ExpectPake1 { ends, .. })
            | State::Computing(Computing { ends, .. })
            | State::ExpectPake3(ExpectPake3 { ends, .. }) => Some(&ends.peer_parameters),
            State::ExpectRequest(_) | State::Ended => None,
        }
    }
}
