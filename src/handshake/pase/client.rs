//! The initiator of PASE: a commissioner that was told the passcode.

use super::messages::{Pake1, Pake2, Pake3, PbkdfParamRequest, PbkdfParamResponse};
use super::{ConfirmationVerified, DEFAULT_PASSCODE_ID, PaseStart, Transcript, establish};
use crate::context::Context;
use crate::crypto::spake2p::{Confirmation, Proving, Sharing};
use crate::crypto::{Crypto, HASH_LEN, Passcode, PbkdfParameters, PublicKey, Secret, Stretch};
use crate::handshake::envelope::Machine;
use crate::handshake::error::{early_report, read_report};
use crate::handshake::step::Ends;
use crate::handshake::{Failure, Handshake, HandshakeError, Incoming, Outgoing, Step};
use crate::ids::LocalSessionId;
use crate::session::{SessionParameters, SessionRole};
use crate::tlv::TlvError;
use crate::wire::secure_channel::Opcode;

/// The initiator of PASE: a commissioner.
///
/// ```text
/// start ─▶ ExpectResponse ─▶ Stretching ─▶ Sharing ──Pake1──▶ ExpectPake2
///      ─▶ Proving ──Pake3──▶ ExpectReport ─▶ established
///                                any error, timeout ▶ ended
/// ```
///
#[cfg_attr(feature = "rustcrypto", doc = "```")]
#[cfg_attr(not(feature = "rustcrypto"), doc = "```ignore")]
/// use matter_session::handshake::MAX_MESSAGE_LEN;
/// use matter_session::wire::secure_channel::Opcode;
/// use matter_session::{Instant, LocalSessionId, Passcode, PaseClient, PaseStart, RustCrypto};
/// use matter_session::{Services, SessionParameters};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
/// let mut services = Services::new(&mut rng);
/// let mut cx = services.at(Instant::ZERO);
/// let (id, own) = (LocalSessionId::new(1).ok_or("zero")?, SessionParameters::default());
/// let start = PaseStart::new(Passcode::new(20202021)?, id, &own);
/// let mut out = [0; MAX_MESSAGE_LEN];
/// let (client, request) = PaseClient::start(&RustCrypto, &mut cx, start, &mut out)?;
///
/// // Send `request.payload(&out)` to the device, and give its answer to `client.handle`.
/// assert_eq!(request.opcode, Opcode::PBKDF_PARAM_REQUEST);
/// assert!(client.poll_timeout().is_some());
/// # Ok(())
/// # }
/// ```
pub type PaseClient<C> = Handshake<Client<C>>;

/// The states of a [`PaseClient`].
#[expect(missing_debug_implementations, reason = "`Handshake` prints its state")]
pub struct Client<C: Crypto> {
    state: State<C>,
    local: LocalSessionId,
}

enum State<C: Crypto> {
    ExpectResponse(ExpectResponse<C>),
    /// PBKDF2 of the passcode is computed.
    Stretching(Begun, Stretch),
    /// Pake1 is computed.
    Sharing(Begun, Sharing),
    ExpectPake2(ExpectPake2),
    /// The secrets are computed, to be compared with the confirmation that Pake2 brought.
    Proving(ExpectPake2, Proving, [u8; HASH_LEN]),
    ExpectReport(ExpectReport),
    Ended,
}

struct ExpectResponse<C: Crypto> {
    passcode: Passcode,
    known: Option<PbkdfParameters>,
    random: [u8; 32],
    transcript: Transcript<C::Sha256>,
}

/// The responder has answered.
#[derive(Clone, Copy)]
struct Begun {
    ends: Ends,
    context: [u8; HASH_LEN],
}

#[derive(Clone)]
struct ExpectPake2 {
    begun: Begun,
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
    /// Starts a handshake: the first message is a PBKDFParamRequest at the start of `out`.
    ///
    /// # Errors
    /// [`HandshakeError::BufferTooSmall`].
    pub fn start(
        crypto: &C,
        cx: &mut Context<'_>,
        start: PaseStart<'_>,
        out: &mut [u8],
    ) -> Result<(Self, Outgoing), HandshakeError> {
        let PaseStart { passcode, known, local, parameters } = start;
        let mut random = [0; 32];
        cx.rng.fill_bytes(&mut random);
        let request = PbkdfParamRequest {
            initiator_random: &random,
            initiator_session_id: local.as_seen_by_peer(),
            passcode_id: DEFAULT_PASSCODE_ID,
            has_pbkdf_parameters: known.is_some(),
            session_parameters: Some(parameters.announced()),
        };
        let first = Outgoing::message(Opcode::PBKDF_PARAM_REQUEST, out, |w| request.write(w))?;
        let mut transcript = Transcript::new(crypto);
        transcript.add(first.payload(out));
        let state = State::ExpectResponse(ExpectResponse { passcode, known, random, transcript });
        Ok((Self::begin(Client { state, local }, cx.now), first))
    }

    /// Handles the next message of the responder. After an error the handshake has ended.
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
        let outcome = self.machine.step(crypto, &message);
        self.settle(outcome, out)
    }

    /// Computes the next part of Pake1 or Pake3: a slice of PBKDF2, or one operation on the curve.
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
        let outcome = self.machine.proceed(crypto, cx, out);
        self.settle(outcome, out)
    }

    /// Handles an answer to the request that may not be the device's, as the request was sent to
    /// several addresses. After an error the handshake waits for another answer.
    #[cfg(feature = "initiator")]
    pub(crate) fn try_answer(
        &mut self,
        crypto: &C,
        message: &Incoming<'_>,
    ) -> Result<Step, HandshakeError> {
        self.machine.step(crypto, message)
    }
}

impl<C: Crypto> Client<C> {
    #[inline(never)]
    fn proceed(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        match &mut self.state {
            State::Stretching(begun, stretch) => {
                if let Some(scalars) = stretch.step(crypto)? {
                    let sharing = Sharing::new(crypto, cx.rng, scalars)?;
                    self.state = State::Sharing(*begun, sharing);
                }
                Ok(Step::More)
            }
            State::Sharing(begun, sharing) => {
                let Some(pa) = sharing.step(crypto)? else { return Ok(Step::More) };
                let pake1 = Outgoing::message(Opcode::PASE_PAKE1, out, |w| Pake1 { pa }.write(w))?;
                let Sharing { x, w0, w1, .. } = &*sharing;
                let (x, w0, w1) = (x.clone(), w0.clone(), w1.clone());
                self.state = State::ExpectPake2(ExpectPake2 { begun: *begun, x, w0, w1, pa });
                Ok(Step::Send(pake1))
            }
            State::Proving(state, proving, cb) => {
                let Some(next) = state.prove(crypto, proving, cb, out)? else {
                    return Ok(Step::More);
                };
                let (next, pake3) = next;
                self.state = State::ExpectReport(next);
                Ok(Step::Send(pake3))
            }
            _ => Err(HandshakeError::NothingLeft),
        }
    }

    fn step(&mut self, crypto: &C, message: &Incoming<'_>) -> Result<Step, HandshakeError> {
        let payload = &*message.payload;
        match (&mut self.state, message.opcode) {
            (State::Ended, _) => Err(HandshakeError::Ended),
            (State::ExpectResponse(state), Opcode::PBKDF_PARAM_RESPONSE) => {
                let (begun, stretch) = state.handle(self.local, payload)?;
                self.state = State::Stretching(begun, stretch);
                Ok(Step::More)
            }
            (State::ExpectPake2(state), Opcode::PASE_PAKE2) => {
                let Pake2 { pb, cb } = Pake2::parse(payload)?;
                self.state = State::Proving(state.clone(), Proving::new(pb), *cb);
                Ok(Step::More)
            }
            (State::ExpectReport(state), Opcode::STATUS_REPORT) => {
                read_report(payload)?;
                let established = establish(crypto, &state.ends, &state.ke, &state.confirmed)?;
                Ok(Step::Established { reply: None, established })
            }
            (_, Opcode::STATUS_REPORT) => Err(early_report(payload)),
            (_, other) => Err(HandshakeError::UnexpectedMessage(other)),
        }
    }
}

impl<C: Crypto> ExpectResponse<C> {
    #[inline(never)]
    fn handle(
        &self,
        local: LocalSessionId,
        payload: &[u8],
    ) -> Result<(Begun, Stretch), HandshakeError> {
        let response = PbkdfParamResponse::parse(payload, self.known.is_some())?;
        if response.initiator_random != &self.random {
            return Err(HandshakeError::RandomMismatch);
        }
        let parameters = self.known.or(response.pbkdf).ok_or(TlvError::UnexpectedTag)?;
        let mut transcript = self.transcript.clone();
        transcript.add(payload);
        let ends = Ends {
            role: SessionRole::Initiator,
            local,
            peer: response.responder_session_id,
            peer_parameters: response.session_parameters.unwrap_or_default(),
        };
        let begun = Begun { ends, context: transcript.context() };
        Ok((begun, Stretch::new(self.passcode.clone(), parameters)))
    }
}

impl ExpectPake2 {
    /// Multiplies once. The last time, it returns Pake3.
    #[inline(never)]
    fn prove<C: Crypto>(
        &self,
        crypto: &C,
        proving: &mut Proving,
        cb: &[u8; HASH_LEN],
        out: &mut [u8],
    ) -> Result<Option<(ExpectReport, Outgoing)>, HandshakeError> {
        let Self { begun: Begun { ends, context }, x, w0, w1, pa } = self;
        let Some(secrets) = proving.step(crypto, x, w0, w1)? else { return Ok(None) };
        let pb = proving.y_share;
        let confirmation = Confirmation::derive(crypto, context, pa, &pb, &secrets, w0)?;
        let confirmed = ConfirmationVerified::check(&confirmation.cb, cb)?;
        let pake3 = Pake3 { ca: confirmation.ca.as_bytes() };
        let pake3 = Outgoing::message(Opcode::PASE_PAKE3, out, |w| pake3.write(w))?;
        Ok(Some((ExpectReport { ends: *ends, ke: confirmation.ke, confirmed }, pake3)))
    }
}

impl<C: Crypto> Machine for Client<C> {
    const NAME: &'static str = "PaseClient";

    fn state(&self) -> Option<&'static str> {
        match &self.state {
            State::ExpectResponse(_) => Some("ExpectResponse"),
            State::Stretching(..) => Some("Stretching"),
            State::Sharing(..) => Some("Sharing"),
            State::ExpectPake2(_) => Some("ExpectPake2"),
            State::Proving(..) => Some("Proving"),
            State::ExpectReport(_) => Some("ExpectReport"),
            State::Ended => None,
        }
    }

    fn has_more(&self) -> bool {
        matches!(&self.state, State::Stretching(..) | State::Sharing(..) | State::Proving(..))
    }

    fn end(&mut self) {
        self.state = State::Ended;
    }

    fn peer_parameters(&self) -> Option<&SessionParameters> {
        match &self.state {
            State::Stretching(Begun { ends, .. }, _)
            | State::Sharing(Begun { ends, .. }, _)
            | State::ExpectPake2(ExpectPake2 { begun: Begun { ends, .. }, .. })
            | State::Proving(ExpectPake2 { begun: Begun { ends, .. }, .. }, ..)
            | State::ExpectReport(ExpectReport { ends, .. }) => Some(&ends.peer_parameters),
            State::ExpectResponse(_) | State::Ended => None,
        }
    }
}
