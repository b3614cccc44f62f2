//! The responder of CASE: a node that is dialled.

use core::{fmt, mem};

use subtle::ConstantTimeEq;

use super::keys::{
    ResumeMic, ResumptionVerified, TBE_DATA2_NONCE, TBE_DATA3_NONCE, open_tbe,
    resumed_session_keys, s2k, s3k, session_keys, write_tbe,
};
use super::messages::{ResumeRequest, Sigma1, Sigma2Resume, Sigma3, TbeData, TbsData};
use super::peer::{Keys, PeerVerified, tbs_digest, verify_peer};
use super::{BoundFabric, CaseEnv, Proof, establish};
use crate::context::Context;
use crate::context::PeerIdentity;
use crate::crypto::{Crypto, PublicKey, Secret, Sha256};
use crate::fabric::{Fabric, FabricTable};
use crate::handshake::error::{early_report, read_report};
use crate::handshake::step::{Move, Written, expire, settle};
use crate::handshake::{
    Ends, Failure, HANDSHAKE_TIMEOUT, HandshakeError, Incoming, SignRequest, Signed, Step,
};
use crate::ids::{FabricIndex, LocalSessionId, NodeId, Peer};
use crate::resumption::ResumptionRecord;
use crate::session::{ResumptionId, SessionParameters, SessionRole};
use crate::time::Instant;
use crate::tlv::{Tag, TlvError};
use crate::wire::secure_channel::Opcode;

/// The responder of CASE: serves one handshake.
///
/// ```text
/// new ─▶ ExpectSigma1 ──Sigma1──▶ AwaitSignature ──resume──▶ ExpectSigma3 ─▶ established
///              └──Sigma1 (resumption accepted)──▶ ExpectReport ────────────▶ established
///              any error, timeout ▶ ended
/// ```
pub struct CaseServer<C: Crypto> {
    state: State<C>,
    local: LocalSessionId,
    deadline: Instant,
    fabric: Option<FabricIndex>,
    resumes: bool,
}

#[derive(Default)]
enum State<C: Crypto> {
    ExpectSigma1,
    Full(Full<C>),
    ExpectReport(ExpectReport),
    #[default]
    Ended,
}

/// Sigma1 asked for a full handshake, or got it.
struct Full<C: Crypto> {
    fabric: BoundFabric,
    ipk: Secret<16>,
    shared: Secret<32>,
    own_key: PublicKey,
    peer_key: PublicKey,
    resumption_id: ResumptionId,
    ends: Ends,
    transcript: C::Sha256,
    stage: Stage,
}

enum Stage {
    AwaitSignature { digest: [u8; 32], random: [u8; 32] },
    ExpectSigma3,
}

/// Sigma1 asked for a resumption that we accept.
struct ExpectReport {
    accepted: Accepted,
    initiator_random: [u8; 32],
    old: ResumptionId,
    ends: Ends,
}

/// What entitles the initiator to a resumption.
struct Accepted {
    fabric: BoundFabric,
    record: ResumptionRecord,
    verified: ResumptionVerified,
}

impl<C: Crypto> CaseServer<C> {
    /// Awaits a Sigma1. `local` must not be in use by another session or handshake.
    #[must_use]
    pub fn new(local: LocalSessionId, now: Instant) -> Self {
        let deadline = now + HANDSHAKE_TIMEOUT;
        let state = State::ExpectSigma1;
        Self { state, local, deadline, fabric: None, resumes: true }
    }

    /// Answers with the full handshake even if the initiator offers to resume.
    ///
    /// The keys of a resumed session come from the record and the initiator's random, to which
    /// the responder adds nothing: a repeated Sigma1 yields the same keys. So while one handshake
    /// [is resuming](Self::resuming) a record, no other may.
    #[must_use]
    pub const fn without_resumption(mut self) -> Self {
        self.resumes = false;
        self
    }

    /// The id of the record that this handshake is about to resume, while it waits for the
    /// initiator's report.
    #[must_use]
    pub const fn resuming(&self) -> Option<&ResumptionId> {
        match &self.state {
            State::ExpectReport(state) => Some(&state.old),
            _ => None,
        }
    }

    /// Whether this handshake is about to resume from the record of a peer, or of any on the
    /// fabric.
    pub(crate) fn resumes_from(&self, fabric: FabricIndex, peer: Option<NodeId>) -> bool {
        matches!(&self.state, State::ExpectReport(ExpectReport { accepted, .. })
            if accepted.record.fabric == fabric
                && peer.is_none_or(|peer| accepted.record.peer == peer))
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
        env: &mut CaseEnv<'_>,
        cx: &mut Context<'_>,
        crypto: &C,
        out: &'o mut [u8],
    ) -> Result<Step<'o>, Failure<'o>> {
        let outcome = self.advance(message, env, cx, crypto, out);
        self.deadline = cx.now + HANDSHAKE_TIMEOUT;
        settle(outcome, &mut self.state, out)
    }

    fn advance(
        &mut self,
        message: Incoming<'_>,
        env: &mut CaseEnv<'_>,
        cx: &mut Context<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<Move, HandshakeError> {
        let Incoming { opcode, payload } = message;
        match (&mut self.state, opcode) {
            (State::Ended, _) => Err(HandshakeError::Ended),
            (State::ExpectSigma1, Opcode::CASE_SIGMA1) => {
                self.handle_sigma1(payload, env, cx, crypto, out)
            }
            (State::Full(state @ Full { stage: Stage::ExpectSigma3, .. }), Opcode::CASE_SIGMA3) => {
                state.sigma3(payload, env, cx, crypto, out)
            }
            (State::ExpectReport(state), Opcode::STATUS_REPORT) => {
                read_report(payload)?;
                state.established(env, crypto)
            }
            (_, Opcode::STATUS_REPORT) => Err(early_report(payload)),
            (_, other) => Err(HandshakeError::UnexpectedMessage(other)),
        }
    }

    #[inline(never)]
    fn handle_sigma1(
        &mut self,
        payload: &[u8],
        env: &mut CaseEnv<'_>,
        cx: &mut Context<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<Move, HandshakeError> {
        let sigma1 = Sigma1::parse(payload)?;
        let (fabric, ipk) = find_destination(crypto, env.fabrics, &sigma1)
            .ok_or(HandshakeError::NoSharedTrustRoots)?;
        self.fabric = Some(fabric.index());
        if let Some(request) = sigma1.resumption.as_ref().filter(|_| self.resumes) {
            let random = sigma1.initiator_random;
            let accepted = accept_resumption(crypto, fabric, request, random, env, cx);
            if let Some(accepted) = accepted {
                return self.sigma2_resume(accepted, &sigma1, env, cx, crypto, out);
            }
        }
        let agreed = Agreed::draw(&sigma1.initiator_public_key, cx, crypto)?;
        self.full(fabric, ipk, agreed, &sigma1, payload, cx, crypto)
    }

    fn ends(&self, sigma1: &Sigma1<'_>) -> Ends {
        Ends {
            role: SessionRole::Responder,
            local: self.local,
            peer: sigma1.initiator_session_id,
            peer_parameters: sigma1.session_parameters.unwrap_or_default(),
        }
    }

    /// Sigma1 of a resumption: answers with Sigma2Resume.
    #[inline(never)]
    fn sigma2_resume(
        &mut self,
        mut accepted: Accepted,
        sigma1: &Sigma1<'_>,
        env: &CaseEnv<'_>,
        cx: &mut Context<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<Move, HandshakeError> {
        let new = random_id(cx);
        let initiator_random = *sigma1.initiator_random;
        let secret = &accepted.record.shared_secret;
        let message = Sigma2Resume {
            resumption_id: new,
            mic: &ResumeMic::Sigma2.make(crypto, secret, &initiator_random, &new)?,
            responder_session_id: self.local.as_seen_by_peer(),
            session_parameters: Some(*env.parameters),
        };
        let written = Written::message(Opcode::CASE_SIGMA2_RESUME, out, |w| message.write(w))?;
        let old = mem::replace(&mut accepted.record.id, new);
        let ends = self.ends(sigma1);
        self.state = State::ExpectReport(ExpectReport { accepted, initiator_random, old, ends });
        Ok(Move::Send(written))
    }

    /// Sigma1 of a full handshake: asks for our signature.
    #[expect(clippy::too_many_arguments, reason = "each is one fact of the handshake")]
    #[inline(never)]
    fn full(
        &mut self,
        fabric: Fabric<'_>,
        ipk: Secret<16>,
        agreed: Agreed,
        sigma1: &Sigma1<'_>,
        payload: &[u8],
        cx: &mut Context<'_>,
        crypto: &C,
    ) -> Result<Move, HandshakeError> {
        let Agreed { random, own_key, shared } = agreed;
        let peer_key = sigma1.initiator_public_key;
        let (noc, icac) = (fabric.noc(), fabric.icac());
        let tbs = TbsData { noc, icac, sender: &own_key, receiver: &peer_key };
        let digest = tbs_digest(crypto, &tbs)?;
        let mut transcript = crypto.sha256();
        transcript.update(payload);
        self.state = State::Full(Full {
            fabric: BoundFabric::to(fabric),
            ipk,
            shared,
            own_key,
            peer_key,
            resumption_id: random_id(cx),
            ends: self.ends(sigma1),
            transcript,
            stage: Stage::AwaitSignature { digest, random },
        });
        Ok(Move::Sign(SignRequest::new(digest, fabric.index())))
    }

    /// Goes on with the signature that [`Step::Sign`] asked for: the next message is Sigma2.
    ///
    /// # Errors
    /// [`Failure`] with [`HandshakeError::StaleSignature`] if the signature answers another
    /// request (the handshake goes on then), or with what went wrong.
    #[inline(never)]
    pub fn resume<'o>(
        &mut self,
        signed: &Signed,
        env: &CaseEnv<'_>,
        cx: &Context<'_>,
        crypto: &C,
        out: &'o mut [u8],
    ) -> Result<Step<'o>, Failure<'o>> {
        let outcome = match &mut self.state {
            State::Full(state) if state.awaits(signed) => state.sigma2(signed, env, crypto, out),
            _ => return Err(Failure::new(HandshakeError::StaleSignature, out)),
        };
        if outcome.is_ok() {
            self.deadline = cx.now + HANDSHAKE_TIMEOUT;
        }
        settle(outcome, &mut self.state, out)
    }

    /// Whether `signed` is the signature that this handshake waits for.
    #[must_use]
    pub fn awaits(&self, signed: &Signed) -> bool {
        matches!(&self.state, State::Full(state) if state.awaits(signed))
    }

    /// The fabric that the initiator means, from Sigma1 on.
    #[must_use]
    pub const fn fabric(&self) -> Option<FabricIndex> {
        self.fabric
    }

    /// What the initiator has declared, from Sigma1 on and until the handshake ends.
    #[must_use]
    pub const fn peer_parameters(&self) -> Option<&SessionParameters> {
        match &self.state {
            State::Full(Full { ends, .. }) | State::ExpectReport(ExpectReport { ends, .. }) => {
                Some(&ends.peer_parameters)
            }
            State::ExpectSigma1 | State::Ended => None,
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

/// Finds the fabric and the key epoch that the initiator means. No ECDH is spent on a Sigma1
/// that means none of ours; all candidates are compared, in constant time.
#[inline(never)]
fn find_destination<'f, C: Crypto>(
    crypto: &C,
    fabrics: &'f dyn FabricTable,
    sigma1: &Sigma1<'_>,
) -> Option<(Fabric<'f>, Secret<16>)> {
    let mut found = None;
    let mut n = 0;
    while let Some(fabric) = fabrics.nth(n) {
        for ipk in fabric.ipks() {
            let random = sigma1.initiator_random;
            let id = fabric.destination_id(crypto, ipk, random, fabric.node_id());
            if found.is_none() & bool::from(id.ct_eq(sigma1.destination_id)) {
                found = Some((fabric, ipk.clone()));
            }
        }
        n = n.saturating_add(1);
    }
    found
}

/// The record that the initiator wants to resume, if we hold it under this very id (the keys come
/// of it, and a store may answer with what became of the record), its MIC verifies, it is of the
/// fabric that the destination id means, the policy still accepts the peer, and nobody else
/// resumes it. Whatever fails, the answer is the full handshake.
#[inline(never)]
fn accept_resumption<C: Crypto>(
    crypto: &C,
    fabric: Fabric<'_>,
    request: &ResumeRequest<'_>,
    initiator_random: &[u8; 32],
    env: &mut CaseEnv<'_>,
    cx: &Context<'_>,
) -> Option<Accepted> {
    let record = env.resumption.by_id(&request.id).filter(|record| record.id == request.id)?;
    let secret = &record.shared_secret;
    let verified = ResumeMic::Sigma1
        .verify(crypto, secret, initiator_random, &request.id, request.mic)
        .ok()?;
    if !record.is_of(fabric) {
        return None;
    }
    let identity = PeerIdentity {
        peer: Peer::new(record.fabric, record.peer),
        cats: record.cats,
        certificates: None,
    };
    cx.policy.authorize(&identity).ok()?;
    if !env.resumption.claim(&request.id) {
        return None;
    }
    Some(Accepted { fabric: BoundFabric::to(fabric), record, verified })
}

/// What this side adds to a full handshake, and the secret that comes of it.
struct Agreed {
    random: [u8; 32],
    own_key: PublicKey,
    shared: Secret<32>,
}

impl Agreed {
    #[inline(never)]
    fn draw<C: Crypto>(
        peer_key: &PublicKey,
        cx: &mut Context<'_>,
        crypto: &C,
    ) -> Result<Self, HandshakeError> {
        let mut random = [0; 32];
        cx.rng.fill_bytes(&mut random);
        let ephemeral = crypto.ephemeral(cx.rng)?;
        let own_key = crypto.ephemeral_public(&ephemeral);
        let shared = crypto.ecdh(ephemeral, peer_key)?;
        Ok(Self { random, own_key, shared })
    }
}

impl<C: Crypto> Full<C> {
    fn awaits(&self, signed: &Signed) -> bool {
        matches!(&self.stage, Stage::AwaitSignature { digest, .. } if signed.answers(digest))
    }

    fn sigma2(
        &mut self,
        signed: &Signed,
        env: &CaseEnv<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<Move, HandshakeError> {
        let Stage::AwaitSignature { random, .. } = &self.stage else {
            return Err(HandshakeError::StaleSignature);
        };
        let signature = signed.signature()?;
        let fabric = self.fabric.find(env)?;
        let tbe = TbeData {
            noc: fabric.noc(),
            icac: fabric.icac(),
            signature,
            resumption_id: Some(self.resumption_id),
        };
        let (shared, ipk, own_key) = (&self.shared, &self.ipk, &self.own_key);
        let key = s2k(crypto, shared, ipk, random, own_key, &self.transcript)?;
        let written = Written::try_message(Opcode::CASE_SIGMA2, out, |writer| {
            writer.start_structure(Tag::Anonymous)?;
            writer.bytes(Tag::Context(1), random)?;
            writer.unsigned(Tag::Context(2), self.ends.local.get())?;
            writer.bytes(Tag::Context(3), own_key.as_bytes())?;
            write_tbe(writer, Tag::Context(4), &tbe, crypto, key, TBE_DATA2_NONCE)?;
            env.parameters.write(Tag::Context(5), writer)?;
            Ok(writer.end()?)
        })?;
        self.transcript.update(written.payload(out));
        self.stage = Stage::ExpectSigma3;
        Ok(Move::Send(written))
    }

    #[inline(never)]
    fn sigma3(
        &mut self,
        payload: &mut [u8],
        env: &mut CaseEnv<'_>,
        cx: &Context<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<Move, HandshakeError> {
        let fabric = self.fabric.find(env)?;
        let tbe = TbeData::parse3(self.open(payload, crypto)?)?;
        let keys = Keys { own: &self.own_key, peer: &self.peer_key };
        let peer = verify_peer(crypto, &tbe, keys, fabric, None, env, cx)?;
        self.established(fabric, &peer, crypto, out)
    }

    /// Decrypts the encrypted part of Sigma3, which is then part of the transcript.
    #[inline(never)]
    fn open<'m>(&mut self, payload: &'m mut [u8], crypto: &C) -> Result<&'m [u8], HandshakeError> {
        let sigma3 = Sigma3::parse(payload)?;
        let key = s3k(crypto, &self.shared, &self.ipk, &self.transcript)?;
        self.transcript.update(payload);
        let encrypted = payload.get_mut(sigma3.encrypted).ok_or(TlvError::Truncated)?;
        open_tbe(crypto, key, TBE_DATA3_NONCE, encrypted)
    }

    #[inline(never)]
    fn established(
        &self,
        fabric: Fabric<'_>,
        peer: &PeerVerified,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<Move, HandshakeError> {
        let keys = session_keys(crypto, &self.shared, &self.ipk, &self.transcript)?;
        let written = Written::success(out)?;
        let proof = Proof::Certificates {
            peer,
            resumption_id: &self.resumption_id,
            shared_secret: &self.shared,
        };
        Ok(Move::Establish(Some(written), establish(fabric, &self.ends, keys, proof)))
    }
}

impl ExpectReport {
    #[inline(never)]
    fn established<C: Crypto>(
        &self,
        env: &CaseEnv<'_>,
        crypto: &C,
    ) -> Result<Move, HandshakeError> {
        let Accepted { fabric, record, verified } = &self.accepted;
        let fabric = fabric.find(env)?;
        let secret = &record.shared_secret;
        let keys = resumed_session_keys(crypto, secret, &self.initiator_random, &self.old)?;
        let proof = Proof::Resumption { record: record.clone(), _verified: verified };
        Ok(Move::Establish(None, establish(fabric, &self.ends, keys, proof)))
    }
}

fn random_id(cx: &mut Context<'_>) -> ResumptionId {
    let mut id = [0; ResumptionId::LEN];
    cx.rng.fill_bytes(&mut id);
    ResumptionId::new(id)
}

impl<C: Crypto> State<C> {
    const fn name(&self) -> &'static str {
        match self {
            Self::ExpectSigma1 => "ExpectSigma1",
            Self::Full(Full { stage: Stage::AwaitSignature { .. }, .. }) => "AwaitSignature",
            Self::Full(Full { stage: Stage::ExpectSigma3, .. }) => "ExpectSigma3",
            Self::ExpectReport(_) => "ExpectReport",
            Self::Ended => "Ended",
        }
    }
}

impl<C: Crypto> fmt::Debug for CaseServer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaseServer")
            .field("state", &self.state.name())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
