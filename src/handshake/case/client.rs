//! The initiator of CASE: a controller, or any node that connects to another.

use super::answer::{Answer, Shared, Target};
use super::env::{BoundFabric, CaseEnv};
use super::keys::{ResumeMic, TBE_DATA3_NONCE, resumed_session_keys, s3k, session_keys, write_tbe};
use super::messages::{ResumeRequest, Sigma1, Sigma2Resume, Sigma3, TbeData, TbsData};
use super::peer::PeerVerified;
use super::proof::{Proof, establish};
use super::start::CaseStart;
use crate::context::{Context, PeerIdentity, Rejected};
use crate::crypto::{Crypto, KeyPair, Secret, Sha256};
use crate::handshake::envelope::Machine;
use crate::handshake::error::{early_report, read_report};
use crate::handshake::step::Ends;
use crate::handshake::{
    Failure, Handshake, HandshakeError, Incoming, Outgoing, SignRequest, Signed, Step,
};
#[cfg(feature = "initiator")]
use crate::ids::NodeId;
use crate::ids::{FabricIndex, Peer};
use crate::keylog::KeyHook;
use crate::resumption::ResumptionRecord;
use crate::session::{ResumptionId, SessionParameters, SessionRole};
use crate::wire::secure_channel::Opcode;

/// The initiator of CASE.
///
/// ```text
/// start ─▶ ExpectSigma2 ──Sigma2──▶ Verifying ──proceed──▶ AwaitSignature ──resume──▶ ExpectReport
///                │                                                         ExpectReport ─▶ established
///                └───────Sigma2Resume─────────────────────────────────────▶ established
///                any error, timeout ▶ ended
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
/// use matter_session::wire::secure_channel::Opcode;
/// use matter_session::{CaseClient, CaseEnv, CaseStart, FabricIndex, NodeId, RustCrypto};
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
/// let env = CaseEnv {
///     fabrics: &fabrics,
///     resumption: &mut NoRecords,
///     verified: &mut NoCache,
///     certificates: Presented::none(),
///     profile: Profile::default(),
///     record_lifetime: core::time::Duration::from_secs(30 * 24 * 3600),
///     parameters: &SessionParameters::default(),
/// };
/// let start = CaseStart::new(matter_session::Peer::new(FabricIndex::MIN, NodeId::new(7)), id);
/// let (client, sigma1) = CaseClient::start(&RustCrypto, &mut cx, &env, start, &mut out)?;
///
/// // Send `sigma1.payload(&out)` to the node, and give its answer to `client.handle`.
/// assert_eq!(sigma1.opcode, Opcode::CASE_SIGMA1);
/// assert!(client.poll_timeout().is_some());
/// # let _ = &mut key;
/// # Ok(())
/// # }
/// ```
pub type CaseClient<C> = Handshake<Client<C>>;

/// The states of a [`CaseClient`].
#[expect(missing_debug_implementations, reason = "`Handshake` prints its state")]
pub struct Client<C: Crypto> {
    state: State<C>,
    /// The hash over the messages so far.
    transcript: C::Sha256,
    target: Target,
}

enum State<C: Crypto> {
    ExpectSigma2(ExpectSigma2<C>),
    Verified(Verified),
    Ended,
}

struct ExpectSigma2<C: Crypto> {
    random: [u8; 32],
    /// Dropped with the state, once an answer was accepted.
    ephemeral: C::Ephemeral,
    resuming: Option<ResumptionRecord>,
    /// A Sigma2 that is verified. It may be refused, and another one come.
    answer: Option<Answer<C>>,
}

/// Sigma2 was the responder's, and a full handshake goes on.
struct Verified {
    shared: Secret<32>,
    peer: PeerVerified,
    resumption_id: ResumptionId,
    ends: Ends,
    stage: Stage,
}

enum Stage {
    AwaitSignature { digest: [u8; 32] },
    ExpectReport,
}

impl<C: Crypto> CaseClient<C> {
    /// Starts a handshake: the first message is a Sigma1 at the start of `out`.
    ///
    /// # Errors
    /// [`HandshakeError::UnknownFabric`] when `env` has no such fabric,
    /// [`HandshakeError::BufferTooSmall`], [`HandshakeError::Crypto`].
    pub fn start(
        crypto: &C,
        cx: &mut Context<'_>,
        env: &CaseEnv<'_>,
        start: CaseStart,
        out: &mut [u8],
    ) -> Result<(Self, Outgoing), HandshakeError> {
        let CaseStart { peer: Peer { fabric, node }, local, record } = start;
        let own = env.fabrics.by_index(fabric).ok_or(HandshakeError::UnknownFabric)?;
        let ipk = own.current_ipk(cx.wall).ok_or(HandshakeError::UnknownFabric)?.clone();
        let resuming =
            record.filter(|r| r.is_of(own) && r.peer == node && env.is_current(r, cx.wall));
        let mut random = [0; 32];
        cx.rng.fill_bytes(&mut random);
        let ephemeral = crypto.ephemeral(cx.rng)?;
        let public = ephemeral.public();
        let mic = match &resuming {
            Some(r) => ResumeMic::Sigma1.make(crypto, &r.shared_secret, &random, &r.id)?,
            None => [0; 16],
        };
        let sigma1 = Sigma1 {
            initiator_random: &random,
            initiator_session_id: local.as_seen_by_peer(),
            destination_id: &own.destination_id(crypto, &ipk, &random, node)?,
            initiator_public_key: public,
            session_parameters: Some(match &resuming {
                Some(record) => env.parameters.announced_to_resume(&record.parameters),
                None => env.parameters.announced(),
            }),
            resumption: resuming.as_ref().map(|r| ResumeRequest { id: r.id, mic: &mic }),
        };
        let first = Outgoing::message(Opcode::CASE_SIGMA1, out, |w| sigma1.write(w))?;
        let mut transcript = crypto.sha256();
        transcript.update(first.payload(out));
        let state = State::ExpectSigma2(ExpectSigma2 { random, ephemeral, resuming, answer: None });
        let target = Target { fabric: BoundFabric::to(own), node, ipk, local };
        Ok((Self::begin(Client { state, transcript, target }, cx.now), first))
    }

    /// Continues as if this had been the Sigma1: for recordings of other stacks, which encode it in
    /// another way.
    #[cfg(feature = "_test-util")]
    #[doc(hidden)]
    pub fn dangerous_replace_sigma1(&mut self, crypto: &C, sigma1: &[u8]) {
        self.machine.transcript = crypto.sha256();
        self.machine.transcript.update(sigma1);
    }

    /// Returns the fabric that the handshake is on.
    #[must_use]
    pub const fn fabric(&self) -> FabricIndex {
        self.machine.target.fabric.index
    }

    /// Returns the peer that the handshake is for.
    #[must_use]
    pub const fn peer(&self) -> Peer {
        Peer::new(self.fabric(), self.machine.target.node)
    }

    /// Withdraws the offer to resume if it rests on the record of this peer, or of any on the
    /// fabric. The full handshake remains possible.
    #[cfg(feature = "initiator")]
    pub(crate) fn forget_record(&mut self, fabric: FabricIndex, peer: Option<NodeId>) {
        let Client { state, target, .. } = &mut self.machine;
        if let State::ExpectSigma2(state) = state
            && target.fabric.index == fabric
            && peer.is_none_or(|peer| target.node == peer)
        {
            state.resuming = None;
        }
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
        env: &mut CaseEnv<'_>,
        message: Incoming<'_>,
        out: &mut [u8],
    ) -> Result<Step, Failure> {
        self.handle_timeout(cx.now, out)?;
        let outcome = self.machine.step(crypto, cx, env, message, out);
        self.restart_timeout(cx.now);
        self.settle(outcome, out)
    }

    /// Computes the next part: the shared secret, or one verification of a signature. `env` has the
    /// certificates as the call before has left them.
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
        let outcome = self.machine.proceed(crypto, cx, env);
        self.restart_timeout(cx.now);
        self.settle(outcome, out)
    }

    /// Computes the next part of an answer to Sigma1 that may not be the peer's. After an error the
    /// handshake waits for another answer.
    #[inline(never)]
    #[cfg(feature = "initiator")]
    pub(crate) fn try_proceed(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: &mut CaseEnv<'_>,
    ) -> Result<Step, HandshakeError> {
        let outcome = self.machine.proceed(crypto, cx, env);
        match (&outcome, &mut self.machine.state) {
            (Err(_), State::ExpectSigma2(state)) => state.answer = None,
            // Nothing proves yet who has answered.
            (Ok(Step::More), _) => {}
            _ => self.restart_timeout(cx.now),
        }
        outcome
    }

    /// Handles an answer to Sigma1 that may not be the peer's, as Sigma1 was sent to several
    /// addresses. After an error the handshake waits for another answer.
    #[inline(never)]
    #[cfg(feature = "initiator")]
    pub(crate) fn try_answer(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: &mut CaseEnv<'_>,
        message: Incoming<'_>,
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        let step = self.machine.step(crypto, cx, env, message, out)?;
        if !matches!(step, Step::More) {
            self.restart_timeout(cx.now);
        }
        self.accept(step)
    }

    /// Continues with the signature that [`Step::Sign`] asked for: the next message is Sigma3.
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
        let Client { state, transcript, target } = &mut self.machine;
        let outcome = match state {
            State::Verified(state) if state.awaits(signed) => {
                state.sigma3(crypto, (cx.keys, env), (target, transcript), signed, out)
            }
            _ => return Err(Failure::silent(HandshakeError::StaleSignature)),
        };
        if outcome.is_ok() {
            self.restart_timeout(cx.now);
        }
        self.settle(outcome, out)
    }

    /// Returns true if `signed` is the signature that this handshake waits for.
    #[must_use]
    pub fn awaits(&self, signed: &Signed) -> bool {
        matches!(&self.machine.state, State::Verified(state) if state.awaits(signed))
    }

    /// Returns true if this handshake waits for the answer to `request`.
    #[must_use]
    pub fn asked(&self, request: &SignRequest) -> bool {
        matches!(&self.machine.state,
            State::Verified(Verified { stage: Stage::AwaitSignature { digest }, .. })
            if request.asks_for(digest))
    }
}

impl<C: Crypto> Client<C> {
    fn step(
        &mut self,
        crypto: &C,
        cx: &Context<'_>,
        env: &mut CaseEnv<'_>,
        message: Incoming<'_>,
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        let Incoming { opcode, payload } = message;
        match (&mut self.state, opcode) {
            (State::Ended, _) => Err(HandshakeError::Ended),
            (State::ExpectSigma2(state), Opcode::CASE_SIGMA2) if state.answer.is_none() => {
                state.answer = Some(Answer::new(&self.transcript, &self.target, env, payload)?);
                Ok(Step::More)
            }
            (State::ExpectSigma2(state), Opcode::CASE_SIGMA2_RESUME) if state.answer.is_none() => {
                state.resume(crypto, cx, env, &self.target, payload, out)
            }
            (
                State::Verified(state @ Verified { stage: Stage::ExpectReport, .. }),
                Opcode::STATUS_REPORT,
            ) => {
                read_report(payload)?;
                state.established(crypto, env, &self.target, &self.transcript)
            }
            (_, Opcode::STATUS_REPORT) => Err(early_report(payload)),
            (_, other) => Err(HandshakeError::UnexpectedMessage(other)),
        }
    }

    /// Computes the next part of Sigma2. After the last one the responder is verified, and our
    /// signature is asked for.
    #[inline(never)]
    fn proceed(
        &mut self,
        crypto: &C,
        cx: &Context<'_>,
        env: &mut CaseEnv<'_>,
    ) -> Result<Step, HandshakeError> {
        let Self { state: State::ExpectSigma2(state), target, transcript } = self else {
            return Err(HandshakeError::NothingLeft);
        };
        let ExpectSigma2 { ephemeral, answer: Some(answer), .. } = state else {
            return Err(HandshakeError::NothingLeft);
        };
        let part = answer.proceed(crypto, cx, env, ephemeral, target, transcript)?;
        match part {
            Some(shared) => self.ask(crypto, env, shared),
            None => Ok(Step::More),
        }
    }

    /// The responder is verified: asks for our signature.
    #[inline(never)]
    fn ask(
        &mut self,
        crypto: &C,
        env: &CaseEnv<'_>,
        verified: Shared,
    ) -> Result<Step, HandshakeError> {
        let Self { state: State::ExpectSigma2(state), target, transcript } = self else {
            return Err(HandshakeError::NothingLeft);
        };
        let ExpectSigma2 { ephemeral, answer: Some(answer), .. } = state else {
            return Err(HandshakeError::NothingLeft);
        };
        let fabric = target.fabric.find(env)?;
        let (noc, icac) = (fabric.noc(), fabric.icac());
        let (sender, receiver) = (&ephemeral.public(), &answer.key);
        let digest = TbsData { noc, icac, sender, receiver }.digest(crypto)?;
        let stage = Stage::AwaitSignature { digest };
        *transcript = answer.heard.clone();
        let (ends, Shared { shared, resumption_id, peer }) = (answer.ends, verified);
        self.state = State::Verified(Verified { shared, peer, resumption_id, ends, stage });
        Ok(Step::Sign(SignRequest::new(digest, fabric.index())))
    }
}

impl<C: Crypto> ExpectSigma2<C> {
    /// Sigma2Resume: the responder holds our record.
    #[inline(never)]
    fn resume(
        &self,
        crypto: &C,
        cx: &Context<'_>,
        env: &CaseEnv<'_>,
        target: &Target,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        let unexpected = HandshakeError::UnexpectedMessage(Opcode::CASE_SIGMA2_RESUME);
        let old = self.resuming.as_ref().ok_or(unexpected)?;
        let message = Sigma2Resume::parse(payload)?;
        let fabric = target.fabric.find(env)?;
        let verified = ResumeMic::Sigma2
            .verify(crypto, &old.shared_secret, &self.random, &message.resumption_id, message.mic)
            .map_err(|_| HandshakeError::WrongResumption)?;
        if !env.is_current(old, cx.wall) {
            return Err(HandshakeError::RecordExpired);
        }
        let identity = PeerIdentity::of_record(old);
        cx.policy.authorize(&identity).map_err(|Rejected| HandshakeError::Rejected)?;
        let keys = resumed_session_keys(crypto, &old.shared_secret, &self.random, &old.id)?;
        let record = ResumptionRecord { id: message.resumption_id, ..old.clone() };
        let ends = Ends {
            role: SessionRole::Initiator,
            local: target.local,
            peer: message.responder_session_id,
            // Nothing authenticates what this message declares.
            peer_parameters: old
                .parameters
                .bounding(&message.session_parameters.unwrap_or_default()),
        };
        let reply = Some(Outgoing::success(out)?);
        let proof = Proof::Resumption { record, _verified: &verified };
        Ok(Step::Established { reply, established: establish(fabric, &ends, keys, proof) })
    }
}

impl Verified {
    fn awaits(&self, signed: &Signed) -> bool {
        matches!(&self.stage, Stage::AwaitSignature { digest } if signed.answers(digest))
    }

    fn sigma3<C: Crypto>(
        &mut self,
        crypto: &C,
        (log, env): (KeyHook<'_>, &CaseEnv<'_>),
        (target, transcript): (&Target, &mut C::Sha256),
        signed: &Signed,
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        let signature = signed.signature()?;
        let fabric = target.fabric.find(env)?;
        let tbe =
            TbeData { noc: fabric.noc(), icac: fabric.icac(), signature, resumption_id: None };
        let key = s3k(crypto, &self.shared, &target.ipk, transcript)?;
        log.sigma3(&key);
        let sigma3 = Outgoing::try_message(Opcode::CASE_SIGMA3, out, |writer| {
            Sigma3 { encrypted: () }.write_with(writer, |writer, tag| {
                write_tbe(crypto, writer, tag, &tbe, key, TBE_DATA3_NONCE)
            })
        })?;
        transcript.update(sigma3.payload(out));
        self.stage = Stage::ExpectReport;
        Ok(Step::Send(sigma3))
    }

    #[inline(never)]
    fn established<C: Crypto>(
        &self,
        crypto: &C,
        env: &CaseEnv<'_>,
        target: &Target,
        transcript: &C::Sha256,
    ) -> Result<Step, HandshakeError> {
        let fabric = target.fabric.find(env)?;
        let keys = session_keys(crypto, &self.shared, &target.ipk, transcript)?;
        let proof = Proof::Certificates {
            peer: &self.peer,
            resumption_id: &self.resumption_id,
            shared_secret: &self.shared,
        };
        let established = establish(fabric, &self.ends, keys, proof);
        Ok(Step::Established { reply: None, established })
    }
}

impl<C: Crypto> Machine for Client<C> {
    const NAME: &'static str = "CaseClient";

    fn state(&self) -> Option<&'static str> {
        match &self.state {
            State::ExpectSigma2(ExpectSigma2 { answer: None, .. }) => Some("ExpectSigma2"),
            State::ExpectSigma2(_) => Some("Verifying"),
            State::Verified(Verified { stage: Stage::AwaitSignature { .. }, .. }) => {
                Some("AwaitSignature")
            }
            State::Verified(Verified { stage: Stage::ExpectReport, .. }) => Some("ExpectReport"),
            State::Ended => None,
        }
    }

    fn awaits_signature(&self) -> bool {
        let State::Verified(Verified { stage, .. }) = &self.state else { return false };
        matches!(stage, Stage::AwaitSignature { .. })
    }

    fn has_more(&self) -> bool {
        matches!(&self.state, State::ExpectSigma2(ExpectSigma2 { answer: Some(_), .. }))
    }

    fn end(&mut self) {
        self.state = State::Ended;
    }

    fn peer_parameters(&self) -> Option<&SessionParameters> {
        match &self.state {
            State::Verified(Verified { ends, .. }) => Some(&ends.peer_parameters),
            State::ExpectSigma2(_) | State::Ended => None,
        }
    }
}
