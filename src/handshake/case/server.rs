//! The responder of CASE.

use super::admission::{accept_resumption, find_destination};
use super::env::{BoundFabric, CaseEnv};
use super::full::{Drawing, Full, Stage, random_id};
use super::keys::{opens_sigma3, s3k};
use super::messages::Sigma1;
use super::resuming::{Instead, Resuming, ResumingStage};
use crate::context::Context;
use crate::crypto::{Crypto, Sha256};
use crate::handshake::envelope::Machine;
use crate::handshake::error::{early_report, read_report};
use crate::handshake::step::Ends;
use crate::handshake::{
    ClaimRequest, Claimed, Failure, Handshake, HandshakeError, Incoming, SignRequest, Signed, Step,
};
use crate::ids::{FabricIndex, LocalSessionId, NodeId};
use crate::resumption::Claim;
use crate::session::{ResumptionId, SessionParameters, SessionRole};
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;

/// The responder of CASE. It serves one handshake.
///
/// ```text
/// new ─▶ ExpectSigma1 ──Sigma1──▶ Drawing ──proceed──▶ AwaitSignature ──resume──▶ ExpectSigma3
///      ──Sigma3──▶ Verifying ──proceed──▶ established
///              └──Sigma1 (resumption accepted)──▶ AwaitClaim ──complete_claim──▶ ExpectReport ─▶ established
///                      (skipped if it is granted at once; a full handshake if it is refused)
///              any error, timeout ▶ ended
/// ```
///
#[cfg_attr(all(feature = "rustcrypto", feature = "issue"), doc = "```")]
#[cfg_attr(not(all(feature = "rustcrypto", feature = "issue")), doc = "```ignore")]
/// # use matter_session::cert::{CertificateRequest, NoCache, Profile, SerialNumber, Validity};
/// # use matter_session::cert::Issuer;
/// # use matter_session::crypto::Secret;
/// # use matter_session::fabric::FabricBuf;
/// # use matter_session::handshake::MAX_MESSAGE_LEN;
/// # use matter_session::handshake::case::Presented;
/// # use matter_session::ids::FabricId;
/// # use matter_session::resumption::NoRecords;
/// # use matter_session::{FabricCredentials, Instant, Ipk, LocalSessionId, MatterTime};
/// # use matter_session::{Services, SessionParameters, SigningKey};
/// # use matter_session::{CaseClient, CaseStart, FabricIndex, NodeId};
/// use matter_session::wire::secure_channel::Opcode;
/// use matter_session::{CaseEnv, CaseServer, Incoming, RustCrypto, Step};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
/// # let validity = Validity::new(MatterTime::from_seconds(1), None).ok_or("empty")?;
/// # let mut authority = SigningKey::generate(&mut rng)?;
/// # let serial = SerialNumber::random(&mut rng);
/// # let root = CertificateRequest::rcac(1, authority.public_key(), serial, validity)
/// #     .self_sign(&RustCrypto, &mut authority)?;
/// # let (node, fabric_id) = (NodeId::new(7), FabricId::new(1).ok_or("zero")?);
/// # let mut key = SigningKey::generate(&mut rng)?;
/// # let noc = CertificateRequest::noc(node, fabric_id, key.public_key(), serial, validity)
/// #     .sign(&RustCrypto, &mut Issuer::new(&root.certificate()?, &mut authority)?)?;
/// # let ipks = [Ipk::EpochKey(Secret::new(*b"temporary ipk 01"))];
/// # let (root, noc, icac) = (root.as_slice(), noc.as_slice(), None);
/// # let credentials = FabricCredentials { root, icac, noc, ipks: &ipks };
/// # let fabrics = [FabricBuf::new(&RustCrypto, FabricIndex::MIN, &credentials)?];
/// # let fabrics = fabrics.as_slice();
/// # let mut services = Services::new(&mut rng);
/// # let mut cx = services.at(Instant::ZERO);
/// # let (id, mut out) = (LocalSessionId::new(1).ok_or("zero")?, [0; MAX_MESSAGE_LEN]);
/// let mut room = [0; Presented::LEN];
/// let mut env = CaseEnv {
///     fabrics: &fabrics,
///     resumption: &mut NoRecords,
///     verified: &mut NoCache,
///     certificates: Presented::new(&mut room),
///     profile: Profile::default(),
///     record_lifetime: core::time::Duration::from_secs(30 * 24 * 3600),
///     parameters: &SessionParameters::default(),
/// };
/// # let start = CaseStart::new(matter_session::Peer::new(FabricIndex::MIN, NodeId::new(7)), id);
/// # let (_, sigma1) = CaseClient::start(&RustCrypto, &mut cx, &env, start, &mut out)?;
/// # let mut received = sigma1.payload(&out).to_vec();
/// let mut server = CaseServer::new(id, Instant::ZERO);
/// let sigma1 = Incoming::new(Opcode::CASE_SIGMA1, &mut received);
/// let mut step = server.handle(&RustCrypto, &mut cx, &mut env, sigma1, &mut out)?;
/// while let Step::More = step {
///     step = server.proceed(&RustCrypto, &mut cx, &mut env, &mut out)?;
/// }
///
/// // The operational key signs, here at once.
/// let Step::Sign(request) = step else { return Err("a signature is due".into()) };
/// let signed = request.sign_with(&mut key);
/// let step = server.resume(&RustCrypto, &cx, &env, &signed, &mut out)?;
/// let Step::Send(sigma2) = step else { return Err("Sigma2 is due".into()) };
/// assert_eq!(sigma2.opcode, Opcode::CASE_SIGMA2);
/// # Ok(())
/// # }
/// ```
pub type CaseServer<C> = Handshake<Server<C>>;

/// The states of a [`CaseServer`].
#[expect(missing_debug_implementations, reason = "`Handshake` prints its state")]
pub struct Server<C: Crypto> {
    state: State<C>,
    local: LocalSessionId,
    fabric: Option<FabricIndex>,
    resumes: bool,
}

enum State<C: Crypto> {
    ExpectSigma1,
    Drawing(Drawing<C>),
    Full(Full<C>),
    Resuming(Resuming<C>),
    Ended,
}

impl<C: Crypto> CaseServer<C> {
    /// Waits for a Sigma1. `local` must not be in use by another session or handshake.
    #[must_use]
    pub fn new(local: LocalSessionId, now: Instant) -> Self {
        let state = State::ExpectSigma1;
        Self::begin(Server { state, local, fabric: None, resumes: true }, now)
    }

    /// Answers with the full handshake even if the initiator offers to resume.
    ///
    /// The keys of a resumed session depend on the record and the initiator's random alone, so a
    /// repeated Sigma1 yields the same keys. Use this while another handshake [is
    /// resuming](Self::resuming) the record: the sessions of a Sigma1 and of its copy would repeat
    /// each other's nonces.
    #[must_use]
    pub const fn without_resumption(mut self) -> Self {
        self.machine.resumes = false;
        self
    }

    /// Returns the id of the record that this handshake is about to resume, from Sigma1 until the
    /// initiator's report.
    #[must_use]
    pub const fn resuming(&self) -> Option<&ResumptionId> {
        match &self.machine.state {
            State::Resuming(state) => Some(&state.accepted.record.id),
            _ => None,
        }
    }

    /// Returns true if this handshake is about to resume for a Sigma1 with this id and random.
    /// Another one with both would make the same keys.
    pub(crate) fn resumes_for(&self, id: &ResumptionId, initiator_random: &[u8; 32]) -> bool {
        matches!(&self.machine.state, State::Resuming(state)
            if state.accepted.record.id == *id && state.initiator_random == *initiator_random)
    }

    /// Returns true if this handshake is about to resume from the record of a peer, or of any on
    /// the fabric.
    pub(crate) fn resumes_from(&self, fabric: FabricIndex, peer: Option<NodeId>) -> bool {
        matches!(&self.machine.state, State::Resuming(Resuming { accepted, .. })
            if accepted.record.fabric == fabric
                && peer.is_none_or(|peer| accepted.record.peer == peer))
    }

    /// Returns the request that this handshake waits for, while it does.
    pub(crate) fn claim_request(&self) -> Option<ClaimRequest> {
        match &self.machine.state {
            State::Resuming(state) if state.awaits_claim() => Some(state.claim_request()),
            _ => None,
        }
    }

    /// Returns the fabric that the initiator means, once Sigma1 was received.
    #[must_use]
    pub const fn fabric(&self) -> Option<FabricIndex> {
        self.machine.fabric
    }

    /// Returns true if a message is the one that this handshake waits for: a Sigma3 that was
    /// encrypted with the key that only the initiator has, or a report that the resumption
    /// succeeded, which proves nothing.
    pub(crate) fn expects(&self, crypto: &C, opcode: Opcode, payload: &[u8]) -> bool {
        match (&self.machine.state, opcode) {
            (
                State::Full(Full { stage: Stage::ExpectSigma3, shared, ipk, transcript, .. }),
                Opcode::CASE_SIGMA3,
            ) => {
                let key = s3k(crypto, shared, ipk, transcript);
                key.is_ok_and(|key| opens_sigma3(crypto, key, payload))
            }
            (
                State::Resuming(Resuming { stage: ResumingStage::ExpectReport, .. }),
                Opcode::STATUS_REPORT,
            ) => read_report(payload).is_ok(),
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
        env: &mut CaseEnv<'_>,
        message: Incoming<'_>,
        out: &mut [u8],
    ) -> Result<Step, Failure> {
        self.handle_timeout(cx.now, out)?;
        let outcome = self.machine.step(crypto, cx, env, message, out);
        self.restart_timeout(cx.now);
        self.settle(outcome, out)
    }

    /// Computes the next part: the key pair, the shared secret, or one verification of a signature.
    /// `env` has the certificates as the call before has left them.
    ///
    /// # Errors
    /// [`Failure`] with [`HandshakeError::NothingLeft`] if the last step was not [`Step::More`] (the
    /// handshake continues then), or with what went wrong.
    #[inline(never)]
    pub fn proceed(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: &mut CaseEnv<'_>,
        out: &mut [u8],
    ) -> Result<Step, Failure> {
        self.check_more(cx.now, out)?;
        let outcome = self.machine.proceed(crypto, cx, env, out);
        self.restart_timeout(cx.now);
        self.settle(outcome, out)
    }

    /// Continues with the signature that [`Step::Sign`] asked for: the next message is Sigma2.
    ///
    /// # Errors
    /// [`Failure`] with [`HandshakeError::StaleSignature`] if the signature answers another
    /// request (the handshake continues then), or with what went wrong.
    #[inline(never)]
    pub fn resume(
        &mut self,
        crypto: &C,
        cx: &Context<'_>,
        env: &CaseEnv<'_>,
        signed: &Signed,
        out: &mut [u8],
    ) -> Result<Step, Failure> {
        if self.awaits(signed) {
            self.handle_timeout(cx.now, out)?;
        }
        let outcome = match &mut self.machine.state {
            State::Full(state) if state.awaits(signed) => {
                state.sigma2(crypto, cx.keys, env, signed, out)
            }
            _ => return Err(Failure::silent(HandshakeError::StaleSignature)),
        };
        if outcome.is_ok() {
            self.restart_timeout(cx.now);
        }
        self.settle(outcome, out)
    }

    /// Continues with the claim that [`Step::Claim`] asked for. If it is granted, the next message
    /// is Sigma2Resume. Otherwise the handshake becomes a full one, and more is to be computed.
    ///
    /// # Errors
    /// [`Failure`] with [`HandshakeError::StaleClaim`] if it answers another request (the handshake
    /// continues then), or with what went wrong.
    #[inline(never)]
    pub fn complete_claim(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: &CaseEnv<'_>,
        claimed: &Claimed,
        out: &mut [u8],
    ) -> Result<Step, Failure> {
        if !self.awaits_claim(claimed) {
            return Err(Failure::silent(HandshakeError::StaleClaim));
        }
        // After the deadline the initiator may be gone; for a resumption it must not be.
        let is_late = self.poll_timeout().is_none_or(|due| cx.now >= due);
        let is_granted = claimed.granted() && !is_late;
        let claim = if is_granted { Claim::Granted } else { Claim::Refused };
        let outcome = self.machine.claimed(crypto, cx, env, claim, out);
        self.restart_timeout(cx.now);
        self.settle(outcome, out)
    }

    /// Returns true if `claimed` is the claim that this handshake waits for.
    #[must_use]
    pub fn awaits_claim(&self, claimed: &Claimed) -> bool {
        matches!(&self.machine.state, State::Resuming(state)
            if state.awaits_claim() && claimed.answers(&state.new))
    }

    /// Returns true if `signed` is the signature that this handshake waits for.
    #[must_use]
    pub fn awaits(&self, signed: &Signed) -> bool {
        matches!(&self.machine.state, State::Full(state) if state.awaits(signed))
    }

    /// Returns true if this handshake waits for the answer to `request`.
    #[must_use]
    pub fn asked(&self, request: &SignRequest) -> bool {
        matches!(&self.machine.state,
            State::Full(Full { stage: Stage::AwaitSignature { digest, .. }, .. })
            if request.asks_for(digest))
    }
}

impl<C: Crypto> Server<C> {
    fn proceed(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: &mut CaseEnv<'_>,
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        match &mut self.state {
            State::Drawing(_) => self.draw(crypto, cx, env),
            State::Full(state) => state.proceed(crypto, cx, env, out),
            _ => Err(HandshakeError::NothingLeft),
        }
    }

    /// Draws the key pair, or computes the secret and asks for our signature. Not inlined: the new
    /// state is not on the stack while certificates are verified.
    #[inline(never)]
    fn draw(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: &CaseEnv<'_>,
    ) -> Result<Step, HandshakeError> {
        let State::Drawing(state) = &mut self.state else {
            return Err(HandshakeError::NothingLeft);
        };
        let Some((full, request)) = state.proceed(crypto, cx, env)? else {
            return Ok(Step::More);
        };
        self.state = State::Full(full);
        Ok(Step::Sign(request))
    }

    fn step(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: &mut CaseEnv<'_>,
        message: Incoming<'_>,
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        let Incoming { opcode, payload } = message;
        match (&mut self.state, opcode) {
            (State::Ended, _) => Err(HandshakeError::Ended),
            (State::ExpectSigma1, Opcode::CASE_SIGMA1) => {
                self.sigma1(crypto, cx, env, payload, out)
            }
            (State::Full(state @ Full { stage: Stage::ExpectSigma3, .. }), Opcode::CASE_SIGMA3) => {
                state.sigma3(crypto, cx.keys, env, payload)
            }
            (
                State::Resuming(state @ Resuming { stage: ResumingStage::ExpectReport, .. }),
                Opcode::STATUS_REPORT,
            ) => {
                read_report(payload)?;
                state.established(crypto, env)
            }
            (_, Opcode::STATUS_REPORT) => Err(early_report(payload)),
            (_, other) => Err(HandshakeError::UnexpectedMessage(other)),
        }
    }

    #[inline(never)]
    fn sigma1(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: &mut CaseEnv<'_>,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        let sigma1 = Sigma1::parse(payload)?;
        let (fabric, ipk) = find_destination(crypto, env.fabrics, &sigma1)?
            .ok_or(HandshakeError::NoSharedTrustRoots)?;
        self.fabric = Some(fabric.index());
        if let Some(request) = sigma1.resumption.as_ref().filter(|_| self.resumes) {
            let random = sigma1.initiator_random;
            let accepted = accept_resumption(crypto, cx, env, fabric, request, random);
            if let Some((accepted, claim)) = accepted {
                let mut transcript = crypto.sha256();
                transcript.update(payload);
                let peer_key = sigma1.initiator_public_key;
                self.state = State::Resuming(Resuming {
                    accepted,
                    initiator_random: *random,
                    new: random_id(cx),
                    ends: self.ends(&sigma1),
                    stage: ResumingStage::AwaitClaim(Instead { ipk, peer_key, transcript }),
                });
                return self.claimed(crypto, cx, env, claim, out);
            }
        }
        let mut transcript = crypto.sha256();
        transcript.update(payload);
        let (ends, peer_key) = (self.ends(&sigma1), sigma1.initiator_public_key);
        let first = Instead { ipk, peer_key, transcript };
        self.state = State::Drawing(Drawing::new(cx, BoundFabric::to(fabric), ends, first));
        Ok(Step::More)
    }

    fn ends(&self, sigma1: &Sigma1<'_>) -> Ends {
        Ends {
            role: SessionRole::Responder,
            local: self.local,
            peer: sigma1.initiator_session_id,
            peer_parameters: sigma1.session_parameters.unwrap_or_default(),
        }
    }

    /// Goes on with the answer to the claim on the record: resumes, waits, or makes the handshake a
    /// full one.
    fn claimed(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: &CaseEnv<'_>,
        claim: Claim,
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        match (&mut self.state, claim) {
            (State::Resuming(state), Claim::Granted) => state.sigma2_resume(crypto, env, out),
            (State::Resuming(state), Claim::Pending) => Ok(Step::Claim(state.claim_request())),
            _ => self.full_instead(cx),
        }
    }

    /// The claim is refused: goes on with the full handshake that the initiator is ready for.
    #[inline(never)]
    fn full_instead(&mut self, cx: &mut Context<'_>) -> Result<Step, HandshakeError> {
        let State::Resuming(state) = &self.state else { return Err(HandshakeError::Ended) };
        let ResumingStage::AwaitClaim(Instead { ipk, peer_key, transcript }) = &state.stage else {
            return Err(HandshakeError::Ended);
        };
        // Cloned, as the state that is replaced wipes its secrets in their place.
        let (ipk, transcript) = (ipk.clone(), transcript.clone());
        let first = Instead { ipk, peer_key: *peer_key, transcript };
        let (fabric, ends) = (state.accepted.fabric, state.ends);
        self.state = State::Drawing(Drawing::new(cx, fabric, ends, first));
        Ok(Step::More)
    }
}

impl<C: Crypto> Machine for Server<C> {
    const NAME: &'static str = "CaseServer";

    fn state(&self) -> Option<&'static str> {
        match &self.state {
            State::ExpectSigma1 => Some("ExpectSigma1"),
            State::Drawing(_) => Some("Drawing"),
            State::Full(Full { stage: Stage::Verifying(_), .. }) => Some("Verifying"),
            State::Full(Full { stage: Stage::AwaitSignature { .. }, .. }) => Some("AwaitSignature"),
            State::Full(Full { stage: Stage::ExpectSigma3, .. }) => Some("ExpectSigma3"),
            State::Resuming(state) => Some(state.name()),
            State::Ended => None,
        }
    }

    fn awaits_signature(&self) -> bool {
        matches!(&self.state, State::Full(Full { stage: Stage::AwaitSignature { .. }, .. }))
    }

    fn has_more(&self) -> bool {
        matches!(
            &self.state,
            State::Drawing(_) | State::Full(Full { stage: Stage::Verifying(_), .. })
        )
    }

    fn end(&mut self) {
        self.state = State::Ended;
    }

    fn peer_parameters(&self) -> Option<&SessionParameters> {
        match &self.state {
            State::Drawing(Drawing { ends, .. })
            | State::Full(Full { ends, .. })
            | State::Resuming(Resuming { ends, .. }) => Some(&ends.peer_parameters),
            State::ExpectSigma1 | State::Ended => None,
        }
    }
}
