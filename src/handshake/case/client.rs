//! The initiator of CASE: a controller, or any node that dials another.

use core::fmt;

use super::keys::{
    ResumeMic, TBE_DATA2_NONCE, TBE_DATA3_NONCE, open_tbe, resumed_session_keys, s2k, s3k,
    session_keys, write_tbe,
};
use super::messages::{ResumeRequest, Sigma1, Sigma2, Sigma2Resume, TbeData, TbsData};
use super::peer::{Keys, PeerVerified, tbs_digest, verify_peer};
use super::{BoundFabric, CaseEnv, Proof, establish};
use crate::context::Context;
use crate::context::{PeerIdentity, Rejected};
use crate::crypto::{Crypto, PublicKey, Secret, Sha256};
use crate::fabric::Fabric;
use crate::handshake::error::{early_report, read_report};
use crate::handshake::step::{Move, Written, expire, settle};
use crate::handshake::{
    Ends, Failure, HANDSHAKE_TIMEOUT, HandshakeError, Incoming, Outgoing, SignRequest, Signed, Step,
};
use crate::ids::{FabricIndex, LocalSessionId, NodeId, Peer};
use crate::resumption::ResumptionRecord;
use crate::session::{ResumptionId, SessionParameters, SessionRole};
use crate::time::Instant;
use crate::tlv::{Tag, TlvError};
use crate::wire::secure_channel::Opcode;

/// The initiator of CASE.
///
/// ```text
/// start ─▶ ExpectSigma2 ──Sigma2──▶ AwaitSignature ──resume──▶ ExpectReport ─▶ established
///                └───────Sigma2Resume─────────────────────────────────────▶ established
///                any error, timeout ▶ ended
/// ```
pub struct CaseClient<C: Crypto> {
    state: State<C>,
    /// The hash over the messages so far.
    transcript: C::Sha256,
    target: Target,
    deadline: Instant,
}

/// Whom the handshake is for, fixed at its start.
struct Target {
    fabric: BoundFabric,
    node: NodeId,
    ipk: Secret<16>,
    local: LocalSessionId,
}

#[derive(Default)]
enum State<C: Crypto> {
    ExpectSigma2(ExpectSigma2<C>),
    Verified(Verified),
    #[default]
    Ended,
}

struct ExpectSigma2<C: Crypto> {
    random: [u8; 32],
    /// Taken by the one key agreement.
    ephemeral: Option<C::Ephemeral>,
    resuming: Option<ResumptionRecord>,
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
    /// Begins a handshake: the first message is a Sigma1 at the start of `out`.
    ///
    /// `local` must not be in use by another session or handshake. With a record of this peer
    /// the responder is offered to resume; it is free to insist on the full handshake.
    ///
    /// # Errors
    /// [`HandshakeError::UnknownFabric`] when `env` has no such fabric,
    /// [`HandshakeError::BufferTooSmall`], [`HandshakeError::Crypto`].
    #[expect(clippy::too_many_arguments, reason = "each is one fact of the handshake")]
    pub fn start<'o>(
        fabric: FabricIndex,
        node: NodeId,
        record: Option<ResumptionRecord>,
        local: LocalSessionId,
        env: &CaseEnv<'_>,
        cx: &mut Context<'_>,
        crypto: &C,
        out: &'o mut [u8],
    ) -> Result<(Self, Outgoing<'o>), HandshakeError> {
        let own = env.fabrics.by_index(fabric).ok_or(HandshakeError::UnknownFabric)?;
        let ipk = own.current_ipk().ok_or(HandshakeError::UnknownFabric)?.clone();
        let resuming = record.filter(|r| r.is_of(own) && r.peer == node);
        let mut random = [0; 32];
        cx.rng.fill_bytes(&mut random);
        let ephemeral = crypto.ephemeral(cx.rng)?;
        let public = crypto.ephemeral_public(&ephemeral);
        let mic = match &resuming {
            Some(r) => ResumeMic::Sigma1.make(crypto, &r.shared_secret, &random, &r.id)?,
            None => [0; 16],
        };
        let sigma1 = Sigma1 {
            initiator_random: &random,
            initiator_session_id: local.as_seen_by_peer(),
            destination_id: &own.destination_id(crypto, &ipk, &random, node),
            initiator_public_key: public,
            session_parameters: Some(*env.parameters),
            resumption: resuming.as_ref().map(|r| ResumeRequest { id: r.id, mic: &mic }),
        };
        let written = Written::message(Opcode::CASE_SIGMA1, out, |w| sigma1.write(w))?;
        let mut transcript = crypto.sha256();
        transcript.update(written.payload(out));
        let ephemeral = Some(ephemeral);
        let state = State::ExpectSigma2(ExpectSigma2 { random, ephemeral, resuming });
        let target = Target { fabric: BoundFabric::to(own), node, ipk, local };
        let deadline = cx.now + HANDSHAKE_TIMEOUT;
        Ok((Self { state, transcript, target, deadline }, written.outgoing(out)))
    }

    /// The fabric that it dials on.
    #[must_use]
    pub const fn fabric(&self) -> FabricIndex {
        self.target.fabric.index
    }

    /// Withdraws the offer to resume if it rests on the record of this peer, or of any on the
    /// fabric; the full handshake is still welcome.
    #[cfg(feature = "initiator")]
    pub(crate) fn forget_record(&mut self, fabric: FabricIndex, peer: Option<NodeId>) {
        if let State::ExpectSigma2(state) = &mut self.state
            && self.target.fabric.index == fabric
            && peer.is_none_or(|peer| self.target.node == peer)
        {
            state.resuming = None;
        }
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
            (State::ExpectSigma2(_), Opcode::CASE_SIGMA2) => {
                self.handle_sigma2(payload, env, cx, crypto)
            }
            (State::ExpectSigma2(state), Opcode::CASE_SIGMA2_RESUME) => {
                state.resume(&self.target, payload, env, cx, crypto, out)
            }
            (
                State::Verified(state @ Verified { stage: Stage::ExpectReport, .. }),
                Opcode::STATUS_REPORT,
            ) => {
                read_report(payload)?;
                state.established(&self.target, &self.transcript, env, crypto)
            }
            (_, Opcode::STATUS_REPORT) => Err(early_report(payload)),
            (_, other) => Err(HandshakeError::UnexpectedMessage(other)),
        }
    }

    /// Sigma2: the full handshake. Verifies the responder and asks for our signature.
    #[inline(never)]
    fn handle_sigma2(
        &mut self,
        payload: &mut [u8],
        env: &mut CaseEnv<'_>,
        cx: &Context<'_>,
        crypto: &C,
    ) -> Result<Move, HandshakeError> {
        let Self { state: State::ExpectSigma2(state), target, transcript, .. } = self else {
            return Err(HandshakeError::Ended);
        };
        // What is large stays where it was returned to: moving it is one more copy on the stack.
        let sigma2 = Sigma2::parse(payload);
        let sigma2 = sigma2.as_ref().map_err(|error| *error)?;
        let fabric = target.fabric.find(env)?;
        let agreed = state.agree(&sigma2.responder_public_key, crypto);
        let (own_key, shared) = agreed.as_ref().map_err(|error| *error)?;
        let tbe = TbeData::parse2(open(sigma2, shared, target, transcript, payload, crypto)?)?;
        let resumption_id = tbe.resumption_id.ok_or(TlvError::UnexpectedTag)?;
        let keys = Keys { own: own_key, peer: &sigma2.responder_public_key };
        let peer = verify_peer(crypto, &tbe, keys, fabric, Some(target.node), env, cx)?;
        self.ask(fabric, sigma2, keys, shared, peer, resumption_id, crypto)
    }

    /// The responder is verified: asks for our signature.
    #[expect(clippy::too_many_arguments, reason = "each is one fact of the handshake")]
    #[inline(never)]
    fn ask(
        &mut self,
        fabric: Fabric<'_>,
        sigma2: &Sigma2,
        keys: Keys<'_>,
        shared: &Secret<32>,
        peer: PeerVerified,
        resumption_id: ResumptionId,
        crypto: &C,
    ) -> Result<Move, HandshakeError> {
        let (noc, icac) = (fabric.noc(), fabric.icac());
        let tbs = TbsData { noc, icac, sender: keys.own, receiver: keys.peer };
        let digest = tbs_digest(crypto, &tbs)?;
        let ends = Ends {
            role: SessionRole::Initiator,
            local: self.target.local,
            peer: sigma2.responder_session_id,
            peer_parameters: sigma2.session_parameters.unwrap_or_default(),
        };
        let (shared, stage) = (shared.clone(), Stage::AwaitSignature { digest });
        self.state = State::Verified(Verified { shared, peer, resumption_id, ends, stage });
        Ok(Move::Sign(SignRequest::new(digest, fabric.index())))
    }

    /// Goes on with the signature that [`Step::Sign`] asked for: the next message is Sigma3.
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
            State::Verified(state) if state.awaits(signed) => {
                state.sigma3(&self.target, &mut self.transcript, signed, env, crypto, out)
            }
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
        matches!(&self.state, State::Verified(state) if state.awaits(signed))
    }

    /// What the responder has declared, from Sigma2 on and until the handshake ends.
    #[must_use]
    pub const fn peer_parameters(&self) -> Option<&SessionParameters> {
        match &self.state {
            State::Verified(Verified { ends, .. }) => Some(&ends.peer_parameters),
            State::ExpectSigma2(_) | State::Ended => None,
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

impl<C: Crypto> ExpectSigma2<C> {
    /// Our ephemeral public key and the secret that it makes with the responder's.
    #[inline(never)]
    fn agree(
        &mut self,
        responder_key: &PublicKey,
        crypto: &C,
    ) -> Result<(PublicKey, Secret<32>), HandshakeError> {
        let ephemeral = self.ephemeral.take().ok_or(HandshakeError::Ended)?;
        let own_key = crypto.ephemeral_public(&ephemeral);
        Ok((own_key, crypto.ecdh(ephemeral, responder_key)?))
    }

    /// Sigma2Resume: the responder holds our record.
    #[inline(never)]
    fn resume(
        &self,
        target: &Target,
        payload: &[u8],
        env: &CaseEnv<'_>,
        cx: &Context<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<Move, HandshakeError> {
        let unexpected = HandshakeError::UnexpectedMessage(Opcode::CASE_SIGMA2_RESUME);
        let old = self.resuming.as_ref().ok_or(unexpected)?;
        let message = Sigma2Resume::parse(payload)?;
        let fabric = target.fabric.find(env)?;
        let verified = ResumeMic::Sigma2
            .verify(crypto, &old.shared_secret, &self.random, &message.resumption_id, message.mic)
            .map_err(|_| HandshakeError::WrongResumption)?;
        let identity = PeerIdentity {
            peer: Peer::new(old.fabric, old.peer),
            cats: old.cats,
            certificates: None,
        };
        cx.policy.authorize(&identity).map_err(|Rejected| HandshakeError::Rejected)?;
        let keys = resumed_session_keys(crypto, &old.shared_secret, &self.random, &old.id)?;
        let record = ResumptionRecord { id: message.resumption_id, ..old.clone() };
        let ends = Ends {
            role: SessionRole::Initiator,
            local: target.local,
            peer: message.responder_session_id,
            peer_parameters: message.session_parameters.unwrap_or_default(),
        };
        let written = Written::success(out)?;
        let proof = Proof::Resumption { record, _verified: &verified };
        Ok(Move::Establish(Some(written), establish(fabric, &ends, keys, proof)))
    }
}

/// Decrypts the encrypted part of Sigma2, which is then part of the transcript.
#[inline(never)]
fn open<'m, C: Crypto>(
    sigma2: &Sigma2,
    shared: &Secret<32>,
    target: &Target,
    transcript: &mut C::Sha256,
    payload: &'m mut [u8],
    crypto: &C,
) -> Result<&'m [u8], HandshakeError> {
    let (random, key) = (&sigma2.responder_random, &sigma2.responder_public_key);
    let key = s2k(crypto, shared, &target.ipk, random, key, transcript)?;
    transcript.update(payload);
    let encrypted = payload.get_mut(sigma2.encrypted.clone()).ok_or(TlvError::Truncated)?;
    open_tbe(crypto, key, TBE_DATA2_NONCE, encrypted)
}

impl Verified {
    fn awaits(&self, signed: &Signed) -> bool {
        matches!(&self.stage, Stage::AwaitSignature { digest } if signed.answers(digest))
    }

    fn sigma3<C: Crypto>(
        &mut self,
        target: &Target,
        transcript: &mut C::Sha256,
        signed: &Signed,
        env: &CaseEnv<'_>,
        crypto: &C,
        out: &mut [u8],
    ) -> Result<Move, HandshakeError> {
        let signature = signed.signature()?;
        let fabric = target.fabric.find(env)?;
        let tbe =
            TbeData { noc: fabric.noc(), icac: fabric.icac(), signature, resumption_id: None };
        let key = s3k(crypto, &self.shared, &target.ipk, transcript)?;
        let written = Written::try_message(Opcode::CASE_SIGMA3, out, |writer| {
            writer.start_structure(Tag::Anonymous)?;
            write_tbe(writer, Tag::Context(1), &tbe, crypto, key, TBE_DATA3_NONCE)?;
            Ok(writer.end()?)
        })?;
        transcript.update(written.payload(out));
        self.stage = Stage::ExpectReport;
        Ok(Move::Send(written))
    }

    #[inline(never)]
    fn established<C: Crypto>(
        &self,
        target: &Target,
        transcript: &C::Sha256,
        env: &CaseEnv<'_>,
        crypto: &C,
    ) -> Result<Move, HandshakeError> {
        let fabric = target.fabric.find(env)?;
        let keys = session_keys(crypto, &self.shared, &target.ipk, transcript)?;
        let proof = Proof::Certificates {
            peer: &self.peer,
            resumption_id: &self.resumption_id,
            shared_secret: &self.shared,
        };
        Ok(Move::Establish(None, establish(fabric, &self.ends, keys, proof)))
    }
}

impl<C: Crypto> State<C> {
    const fn name(&self) -> &'static str {
        match self {
            Self::ExpectSigma2(_) => "ExpectSigma2",
            Self::Verified(Verified { stage: Stage::AwaitSignature { .. }, .. }) => {
                "AwaitSignature"
            }
            Self::Verified(Verified { stage: Stage::ExpectReport, .. }) => "ExpectReport",
            Self::Ended => "Ended",
        }
    }
}

impl<C: Crypto> fmt::Debug for CaseClient<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaseClient")
            .field("state", &self.state.name())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
