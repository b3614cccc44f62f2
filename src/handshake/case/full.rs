//! The responder's side of a full handshake, from Sigma2 on.

use super::env::{BoundFabric, CaseEnv};
use super::keys::{TBE_DATA2_NONCE, TBE_DATA3_NONCE, open_tbe, s2k, s3k, session_keys, write_tbe};
use super::messages::{Sigma2, Sigma3, TbeData, TbsData};
use super::peer::{Keys, PeerVerified, Presentation};
use super::proof::{Proof, establish};
use super::resuming::Instead;
use crate::context::Context;
use crate::crypto::{Crypto, KeyPair, PublicKey, Secret, Sha256};
use crate::fabric::Fabric;
use crate::handshake::step::Ends;
use crate::handshake::{HandshakeError, Outgoing, SignRequest, Signed, Step};
use crate::keylog::KeyHook;
use crate::session::ResumptionId;
use crate::tlv::TlvError;
use crate::wire::secure_channel::Opcode;

/// Sigma1 asked for a full handshake, or its offer to resume was not accepted.
pub(super) struct Full<C: Crypto> {
    pub(super) fabric: BoundFabric,
    pub(super) ipk: Secret<16>,
    pub(super) shared: Secret<32>,
    pub(super) own_key: PublicKey,
    pub(super) peer_key: PublicKey,
    pub(super) resumption_id: ResumptionId,
    pub(super) ends: Ends,
    pub(super) transcript: C::Sha256,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    AwaitSignature {
        digest: [u8; 32],
        random: [u8; 32],
    },
    ExpectSigma3,
    /// Sigma3 has arrived, and its sender is being verified.
    Verifying(Presentation),
}

/// Sigma1 asked for a full handshake: the key pair and the shared secret are computed.
pub(super) struct Drawing<C: Crypto> {
    pub(super) fabric: BoundFabric,
    pub(super) ends: Ends,
    pub(super) first: Instead<C>,
    random: [u8; 32],
    /// Dropped with the state, once the secret is computed.
    ephemeral: Option<C::Ephemeral>,
}

impl<C: Crypto> Drawing<C> {
    pub(super) fn new(
        cx: &mut Context<'_>,
        fabric: BoundFabric,
        ends: Ends,
        first: Instead<C>,
    ) -> Self {
        let mut random = [0; 32];
        cx.rng.fill_bytes(&mut random);
        Self { fabric, ends, first, random, ephemeral: None }
    }

    /// Draws the key pair, or computes the secret and returns what asks for our signature.
    #[inline(never)]
    pub(super) fn proceed(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: &CaseEnv<'_>,
    ) -> Result<Option<(Full<C>, SignRequest)>, HandshakeError> {
        let Self { fabric, ends, first, random, ephemeral } = self;
        let found = fabric.find(env)?;
        let Some(ephemeral) = ephemeral else {
            *ephemeral = Some(crypto.ephemeral(cx.rng)?);
            return Ok(None);
        };
        let (own_key, shared) = (ephemeral.public(), ephemeral.agree(&first.peer_key)?);
        let Instead { ipk, peer_key, transcript } = first;
        let (noc, icac) = (found.noc(), found.icac());
        let tbs = TbsData { noc, icac, sender: &own_key, receiver: peer_key };
        let digest = tbs.digest(crypto)?;
        let full = Full {
            fabric: *fabric,
            // Cloned, as the state that is replaced wipes its secrets in their place.
            ipk: ipk.clone(),
            shared,
            own_key,
            peer_key: *peer_key,
            resumption_id: random_id(cx),
            ends: *ends,
            transcript: transcript.clone(),
            stage: Stage::AwaitSignature { digest, random: *random },
        };
        Ok(Some((full, SignRequest::new(digest, found.index()))))
    }
}

impl<C: Crypto> Full<C> {
    pub(super) fn awaits(&self, signed: &Signed) -> bool {
        matches!(&self.stage, Stage::AwaitSignature { digest, .. } if signed.answers(digest))
    }

    pub(super) fn sigma2(
        &mut self,
        crypto: &C,
        log: KeyHook<'_>,
        env: &CaseEnv<'_>,
        signed: &Signed,
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
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
        log.sigma2(&key);
        let message = Sigma2 {
            responder_random: *random,
            responder_session_id: self.ends.local.as_seen_by_peer(),
            responder_public_key: *own_key,
            encrypted: (),
            session_parameters: Some(env.parameters.announced()),
        };
        let sigma2 = Outgoing::try_message(Opcode::CASE_SIGMA2, out, |writer| {
            message.write_with(writer, |writer, tag| {
                write_tbe(crypto, writer, tag, &tbe, key, TBE_DATA2_NONCE)
            })
        })?;
        self.transcript.update(sigma2.payload(out));
        self.stage = Stage::ExpectSigma3;
        Ok(Step::Send(sigma2))
    }

    /// Decrypts the encrypted part of Sigma3, which is then part of the transcript.
    #[inline(never)]
    pub(super) fn sigma3(
        &mut self,
        crypto: &C,
        log: KeyHook<'_>,
        env: &mut CaseEnv<'_>,
        payload: &[u8],
    ) -> Result<Step, HandshakeError> {
        self.fabric.find(env)?;
        let sigma3 = Sigma3::parse(payload)?;
        let key = s3k(crypto, &self.shared, &self.ipk, &self.transcript)?;
        log.sigma3(&key);
        let encrypted = payload.get(sigma3.encrypted).ok_or(TlvError::Truncated)?;
        let plain = open_tbe(crypto, key, TBE_DATA3_NONCE, env.certificates.store(encrypted)?)?;
        TbeData::parse3(plain)?;
        let presentation = Presentation::new(crypto, plain)?;
        self.transcript.update(payload);
        self.stage = Stage::Verifying(presentation);
        Ok(Step::More)
    }

    /// Verifies the next signature that Sigma3 brought. After the last one the session is there.
    #[inline(never)]
    pub(super) fn proceed(
        &mut self,
        crypto: &C,
        cx: &Context<'_>,
        env: &mut CaseEnv<'_>,
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        let fabric = self.fabric.find(env)?;
        let Stage::Verifying(presentation) = &mut self.stage else {
            return Err(HandshakeError::NothingLeft);
        };
        let keys = Keys { own: &self.own_key, peer: &self.peer_key };
        let peer = presentation.verify_next(crypto, cx, env, fabric, None, keys)?;
        match peer {
            Some(peer) => self.established(crypto, fabric, &peer, out),
            None => Ok(Step::More),
        }
    }

    #[inline(never)]
    fn established(
        &self,
        crypto: &C,
        fabric: Fabric<'_>,
        peer: &PeerVerified,
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        let keys = session_keys(crypto, &self.shared, &self.ipk, &self.transcript)?;
        let reply = Some(Outgoing::success(out)?);
        let proof = Proof::Certificates {
            peer,
            resumption_id: &self.resumption_id,
            shared_secret: &self.shared,
        };
        Ok(Step::Established { reply, established: establish(fabric, &self.ends, keys, proof) })
    }
}

pub(super) fn random_id(cx: &mut Context<'_>) -> ResumptionId {
    let mut id = [0; ResumptionId::LEN];
    cx.rng.fill_bytes(&mut id);
    ResumptionId::new(id)
}
