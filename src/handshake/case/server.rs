//! The responder of CASE: a node that is dialled.

use core::{fmt, mem};

use subtle::ConstantTimeEq;

use super::keys::{
    ResumeMic, ResumptionVerified, TBE_DATA2_NONCE, TBE_DATA3_NONCE, open_tbe,
    resumed_session_keys, s2k, s3k, session_keys, write_tbe,
};
use super::messages::{ResumeRequest, Sigma1, Sigma2Resume, Sigma3, TbeData, TbsData};
use super::peer::{Keys, tbs_digest, verify_peer};
use super::{BoundFabric, CaseEnv, PeerCertificates, PeerIdentity, Proof, establish};
use crate::crypto::{Crypto, PublicKey, Secret, Sha256};
use crate::fabric::{Fabric, FabricTable};
use crate::handshake::error::{early_report, read_report};
use crate::handshake::step::{Move, Written, expire, settle};
use crate::handshake::{
    Context, Ends, Failure, HANDSHAKE_TIMEOUT, HandshakeError, Incoming, SignRequest, Signed, Step,
};
use crate::ids::{FabricIndex, LocalSessionId};
use crate::resumption::ResumptionRecord;
use crate::session::{ResumptionId, SessionKeys, SessionParameters, SessionRole};
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
    peer: Option<PeerCertificates>,
    resumes: bool,
}

enum State<C: Crypto> {
    ExpectSigma1,
    AwaitSignature(AwaitSignature<C>),
    ExpectSigma3(ExpectSigma3<C>),
    ExpectReport(ExpectReport),
    Ended,
}

/// What Sigma1 settled for the rest of a full handshake.
struct Agreed {
    fabric: BoundFabric,
    ipk: Secret<16>,
    shared: Secret<32>,
    own_key: PublicKey,
    peer_key: PublicKey,
    resumption_id: ResumptionId,
    ends: Ends,
}

struct AwaitSignature<C: Crypto> {
    agreed: Agreed,
    digest: [u8; 32],
    random: [u8; 32],
    transcript: C::Sha256,
}

struct ExpectSigma3<C: Crypto> {
    agreed: Agreed,
    transcript: C::Sha256,
}

struct ExpectReport {
    fabric: BoundFabric,
    old: ResumptionId,
    keys: SessionKeys,
    record: ResumptionRecord,
    verified: ResumptionVerified,
    ends: Ends,
}

impl<C: Crypto> CaseServer<C> {
    /// Awaits a Sigma1. `local` must not be in use by another session or handshake.
    #[must_use]
    pub fn new(local: LocalSessionId, now: Instant) -> Self {
        let deadline = now + HANDSHAKE_TIMEOUT;
        let state = State::ExpectSigma1;
        Self { state, local, deadline, fabric: None, peer: None, resumes: true }
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

    /// Takes the next message of the initiator. After an error the handshake is over.
    ///
    /// # Errors
    /// [`Failure`]: the reason, and the StatusReport to send if the peer gets one.
    pub fn handle<'o>(
        &mut self,
        message: Incoming<'_>,
        env: &mut CaseEnv<'_>,
        cx: &mut Context<'_>,
        crypto: &C,
        out: &'o mut [u8],
    ) -> Result<Step<'o, C>, Failure<'o>> {
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
    ) -> Result<Move<State<C>, C>, HandshakeError> {
        let Incoming { opcode, payload } = message;
        match (mem::replace(&mut self.state, State::Ended), opcode) {
            (State::Ended, _) => Err(HandshakeError::Ended),
            (State::ExpectSigma1, Opcode::CASE_SIGMA1) => {
                self.handle_sigma1(payload, env, cx, crypto, out)
            }
            (State::ExpectSigma3(state), Opcode::CASE_SIGMA3) => {
                let (next, certificates) = state.handle(payload, env, cx, crypto, out)?;
                self.peer = Some(certificates);
                Ok(next)
            }
            (State::ExpectReport(state), Opcode::STATUS_REPORT) => {
                read_report(payload)?;
                state.established(env, cx, crypto)
            }
            (_, Opcode::STATUS_REPORT) => Err(early_report(payload)),
            (_, other) => Err(HandshakeError::UnexpectedMessage(other)),
        }
    }

    fn handle_sigma1(
        &mut self,
        payload: &[u8],
        env: &CaseEnv<'_>,
        cx: &mut Context<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<Move<State<C>, C>, HandshakeError> {
        let sigma1 = Sigma1::parse(payload)?;
        let (fabric, ipk) = find_destination(crypto, env.fabrics, &sigma1)
            .ok_or(HandshakeError::NoSharedTrustRoots)?;
        self.fabric = Some(fabric.index());
        let ends = Ends {
            role: SessionRole::Responder,
            local: self.local,
            peer: sigma1.initiator_session_id,
            peer_parameters: sigma1.session_parameters.unwrap_or_default(),
        };
        if let Some(request) = sigma1.resumption.as_ref().filter(|_| self.resumes) {
            let random = sigma1.initiator_random;
            if let Some(state) = accept_resumption(crypto, fabric, request, random, ends, env, cx) {
                return state.sigma2_resume(request.id, random, env, cx, crypto, out);
            }
        }
        full(crypto, fabric, ipk, &sigma1, payload, ends, cx)
    }

    /// Goes on with the signature that [`Step::Sign`] asked for: the next message is Sigma2.
    ///
    /// # Errors
    /// [`Failure`] with [`HandshakeError::StaleSignature`] if the signature answers another
    /// request (the handshake goes on then), or with what went wrong.
    pub fn resume<'o>(
        &mut self,
        signed: &Signed,
        env: &CaseEnv<'_>,
        cx: &Context<'_>,
        crypto: &C,
        out: &'o mut [u8],
    ) -> Result<Step<'o, C>, Failure<'o>> {
        let outcome = match mem::replace(&mut self.state, State::Ended) {
            State::AwaitSignature(state) if signed.answers(&state.digest) => {
                state.sigma2(signed, env, crypto, out)
            }
            state => {
                self.state = state;
                Err(HandshakeError::StaleSignature)
            }
        };
        if outcome.is_ok() {
            self.deadline = cx.now + HANDSHAKE_TIMEOUT;
        }
        settle(outcome, &mut self.state, out)
    }

    /// Whether `signed` is the signature that this handshake waits for.
    #[must_use]
    pub fn awaits(&self, signed: &Signed) -> bool {
        matches!(&self.state, State::AwaitSignature(state) if signed.answers(&state.digest))
    }

    /// The fabric that the initiator means, from Sigma1 on.
    #[must_use]
    pub const fn fabric(&self) -> Option<FabricIndex> {
        self.fabric
    }

    /// The peer's certificates, from Sigma3 on; `None` for a resumed session.
    #[must_use]
    pub const fn peer_certificates(&self) -> Option<&PeerCertificates> {
        self.peer.as_ref()
    }

    /// What the initiator has declared, from Sigma1 on and until the handshake ends.
    #[must_use]
    pub const fn peer_parameters(&self) -> Option<&SessionParameters> {
        match &self.state {
            State::AwaitSignature(AwaitSignature { agreed: Agreed { ends, .. }, .. })
            | State::ExpectSigma3(ExpectSigma3 { agreed: Agreed { ends, .. }, .. })
            | State::ExpectReport(ExpectReport { ends, .. }) => Some(&ends.peer_parameters),
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
        expire(&mut self.state, State::Ended, deadline, now, out)
    }
}

/// Finds the fabric and the key epoch that the initiator means. No ECDH is spent on a Sigma1
/// that means none of ours; all candidates are compared, in constant time.
fn find_destination<'f, C: Crypto>(
    crypto: &C,
    fabrics: &'f dyn FabricTable,
    sigma1: &Sigma1<'_>,
) -> Option<(&'f Fabric, Secret<16>)> {
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

/// The record that the initiator wants to resume, if we hold it, its MIC verifies, it is of the
/// fabric that the destination id means and the policy still accepts the peer. Whatever fails,
/// the answer is the full handshake.
fn accept_resumption<C: Crypto>(
    crypto: &C,
    fabric: &Fabric,
    request: &ResumeRequest<'_>,
    initiator_random: &[u8; 32],
    ends: Ends,
    env: &CaseEnv<'_>,
    cx: &Context<'_>,
) -> Option<AcceptedResumption> {
    let record = env.resumption.by_id(&request.id)?;
    let secret = &record.shared_secret;
    let verified = ResumeMic::Sigma1
        .verify(crypto, secret, initiator_random, &request.id, request.mic)
        .ok()?;
    if record.fabric != fabric.index() {
        return None;
    }
    let identity = PeerIdentity {
        fabric: record.fabric,
        node: record.peer,
        cats: record.cats,
        certificates: None,
    };
    cx.policy.authorize(&identity).ok()?;
    let fabric = BoundFabric::to(fabric);
    Some(AcceptedResumption { fabric, record, verified, ends })
}

struct AcceptedResumption {
    fabric: BoundFabric,
    record: ResumptionRecord,
    verified: ResumptionVerified,
    ends: Ends,
}

impl AcceptedResumption {
    fn sigma2_resume<C: Crypto>(
        self,
        old: ResumptionId,
        initiator_random: &[u8; 32],
        env: &CaseEnv<'_>,
        cx: &mut Context<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<Move<State<C>, C>, HandshakeError> {
        let Self { fabric, record, verified, ends } = self;
        let new = random_id(cx);
        let secret = &record.shared_secret;
        let keys = resumed_session_keys(crypto, secret, initiator_random, &old)?;
        let message = Sigma2Resume {
            resumption_id: new,
            mic: &ResumeMic::Sigma2.make(crypto, secret, initiator_random, &new)?,
            responder_session_id: ends.local.as_seen_by_peer(),
            session_parameters: Some(*env.parameters),
        };
        let written = Written::message(Opcode::CASE_SIGMA2_RESUME, out, |w| message.write(w))?;
        let record = ResumptionRecord { id: new, ..record };
        let next = State::ExpectReport(ExpectReport { fabric, old, keys, record, verified, ends });
        Ok(Move::Send(next, written))
    }
}

/// Sigma1 of a full handshake: agrees on the secret and asks for our signature.
fn full<C: Crypto>(
    crypto: &C,
    fabric: &Fabric,
    ipk: Secret<16>,
    sigma1: &Sigma1<'_>,
    payload: &[u8],
    ends: Ends,
    cx: &mut Context<'_>,
) -> Result<Move<State<C>, C>, HandshakeError> {
    let peer_key = sigma1.initiator_public_key;
    let mut random = [0; 32];
    cx.rng.fill_bytes(&mut random);
    let ephemeral = crypto.ephemeral(cx.rng)?;
    let own_key = crypto.ephemeral_public(&ephemeral);
    let shared = crypto.ecdh(ephemeral, &peer_key)?;
    let tbs =
        TbsData { noc: fabric.noc(), icac: fabric.icac(), sender: &own_key, receiver: &peer_key };
    let digest = tbs_digest(crypto, &tbs)?;
    let mut transcript = crypto.sha256();
    transcript.update(payload);
    let request = SignRequest::new(digest, fabric.index());
    let fabric = BoundFabric::to(fabric);
    let resumption_id = random_id(cx);
    let agreed = Agreed { fabric, ipk, shared, own_key, peer_key, resumption_id, ends };
    let next = AwaitSignature { agreed, digest, random, transcript };
    Ok(Move::Sign(State::AwaitSignature(next), request))
}

impl<C: Crypto> AwaitSignature<C> {
    fn sigma2(
        self,
        signed: &Signed,
        env: &CaseEnv<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<Move<State<C>, C>, HandshakeError> {
        let Self { agreed, random, mut transcript, .. } = self;
        let signature = signed.result()?;
        let fabric = agreed.fabric.find(env)?;
        let tbe = TbeData {
            noc: fabric.noc(),
            icac: fabric.icac(),
            signature,
            resumption_id: Some(agreed.resumption_id),
        };
        let Agreed { shared, ipk, own_key, .. } = &agreed;
        let key = s2k(crypto, shared, ipk, &random, own_key, transcript.clone())?;
        let written = Written::try_message(Opcode::CASE_SIGMA2, out, |writer| {
            writer.start_structure(Tag::Anonymous)?;
            writer.bytes(Tag::Context(1), &random)?;
            writer.unsigned(Tag::Context(2), agreed.ends.local.get())?;
            writer.bytes(Tag::Context(3), own_key.as_bytes())?;
            write_tbe(writer, Tag::Context(4), &tbe, crypto, key, TBE_DATA2_NONCE)?;
            env.parameters.write(Tag::Context(5), writer)?;
            Ok(writer.end()?)
        })?;
        transcript.update(written.payload(out));
        Ok(Move::Send(State::ExpectSigma3(ExpectSigma3 { agreed, transcript }), written))
    }
}

impl<C: Crypto> ExpectSigma3<C> {
    fn handle(
        self,
        payload: &mut [u8],
        env: &mut CaseEnv<'_>,
        cx: &mut Context<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<(Move<State<C>, C>, PeerCertificates), HandshakeError> {
        let Self { agreed, mut transcript } = self;
        let fabric = agreed.fabric.find(env)?;
        let sigma3 = Sigma3::parse(payload)?;
        let key = s3k(crypto, &agreed.shared, &agreed.ipk, transcript.clone())?;
        transcript.update(payload);
        let encrypted = payload.get_mut(sigma3.encrypted).ok_or(TlvError::Truncated)?;
        let tbe = TbeData::parse3(open_tbe(crypto, key, TBE_DATA3_NONCE, encrypted)?)?;
        let keys = Keys { own: &agreed.own_key, peer: &agreed.peer_key };
        let (peer, certificates) = verify_peer(crypto, &tbe, keys, fabric, None, env, cx)?;
        let keys = session_keys(crypto, &agreed.shared, &agreed.ipk, transcript)?;
        let written = Written::success(out)?;
        let proof = Proof::Certificates {
            peer,
            resumption_id: agreed.resumption_id,
            shared_secret: agreed.shared,
        };
        let established = establish(crypto, fabric, &agreed.ends, &keys, proof, cx);
        Ok((Move::Establish(State::Ended, Some(written), established), certificates))
    }
}

impl ExpectReport {
    fn established<C: Crypto>(
        self,
        env: &CaseEnv<'_>,
        cx: &mut Context<'_>,
        crypto: &C,
    ) -> Result<Move<State<C>, C>, HandshakeError> {
        let fabric = self.fabric.find(env)?;
        let proof = Proof::Resumption { record: self.record, _verified: self.verified };
        let established = establish(crypto, fabric, &self.ends, &self.keys, proof, cx);
        Ok(Move::Establish(State::Ended, None, established))
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
            Self::AwaitSignature(_) => "AwaitSignature",
            Self::ExpectSigma3(_) => "ExpectSigma3",
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
