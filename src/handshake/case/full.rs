//! The responder's side of a full handshake, from Sigma2 on.

use super::env::{BoundFabric, CaseEnv};
use super::keys::{TBE_DATA2_NONCE, TBE_DATA3_NONCE, open_tbe, s2k, s3k, session_keys, write_tbe};
use super::messages::{Sigma2, Sigma3, TbeData};
use super::peer::{Keys, PeerVerified, verify_peer};
use super::proof::{Proof, establish};
use crate::context::Context;
use crate::crypto::{Crypto, KeyPair, PublicKey, Secret, Sha256};
use crate::fabric::Fabric;
use crate::handshake::step::Ends;
use crate::handshake::{HandshakeError, Outgoing, Signed, Step};
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
    AwaitSignature { digest: [u8; 32], random: [u8; 32] },
    ExpectSigma3,
}

/// The values that this side adds to a full handshake, and the shared secret.
pub(super) struct Agreed {
    pub(super) random: [u8; 32],
    pub(super) own_key: PublicKey,
    pub(super) shared: Secret<32>,
    pub(super) resumption_id: ResumptionId,
}

impl Agreed {
    #[inline(never)]
    pub(super) fn draw<C: Crypto>(
        crypto: &C,
        cx: &mut Context<'_>,
        peer_key: &PublicKey,
    ) -> Result<Self, HandshakeError> {
        let mut random = [0; 32];
        cx.rng.fill_bytes(&mut random);
        let ephemeral = crypto.ephemeral(cx.rng)?;
        let own_key = ephemeral.public();
        let shared = ephemeral.agree(peer_key)?;
        Ok(Self { random, own_key, shared, resumption_id: random_id(cx) })
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

    #[inline(never)]
    pub(super) fn sigma3(
        &mut self,
        crypto: &C,
        cx: &Context<'_>,
        env: &mut CaseEnv<'_>,
        payload: &mut [u8],
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        let fabric = self.fabric.find(env)?;
        let tbe = TbeData::parse3(self.open(crypto, cx.keys, payload)?)?;
        let keys = Keys { own: &self.own_key, peer: &self.peer_key };
        let peer = verify_peer(crypto, cx, env, fabric, None, &tbe, keys)?;
        self.established(crypto, fabric, &peer, out)
    }

    /// Decrypts the encrypted part of Sigma3, which is then part of the transcript.
    #[inline(never)]
    fn open<'m>(
        &mut self,
        crypto: &C,
        log: KeyHook<'_>,
        payload: &'m mut [u8],
    ) -> Result<&'m [u8], HandshakeError> {
        let sigma3 = Sigma3::parse(payload)?;
        let key = s3k(crypto, &self.shared, &self.ipk, &self.transcript)?;
        log.sigma3(&key);
        self.transcript.update(payload);
        let encrypted = payload.get_mut(sigma3.encrypted).ok_or(TlvError::Truncated)?;
        open_tbe(crypto, key, TBE_DATA3_NONCE, encrypted)
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
