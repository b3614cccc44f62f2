//! A Sigma2 that the initiator verifies, over several calls. It may be refused, and another one come.

use super::env::{BoundFabric, CaseEnv};
use super::keys::{TBE_DATA2_NONCE, open_tbe, s2k};
use super::messages::{Sigma2, TbeData};
use super::peer::{Keys, PeerVerified, Presentation};
use crate::context::Context;
use crate::crypto::{Crypto, KeyPair, PublicKey, Secret, Sha256};
use crate::handshake::HandshakeError;
use crate::handshake::step::Ends;
use crate::ids::{LocalSessionId, NodeId};
use crate::keylog::KeyHook;
use crate::session::{ResumptionId, SessionRole};
use crate::tlv::TlvError;

/// The peer that the handshake is for, fixed at its start.
pub(super) struct Target {
    pub(super) fabric: BoundFabric,
    pub(super) node: NodeId,
    pub(super) ipk: Secret<16>,
    pub(super) local: LocalSessionId,
}

/// A Sigma2 of which not all is verified yet.
pub(super) struct Answer<C: Crypto> {
    pub(super) key: PublicKey,
    pub(super) ends: Ends,
    /// The hash over Sigma1 and it.
    pub(super) heard: C::Sha256,
    part: Part,
}

/// What is done next with a Sigma2.
enum Part {
    /// The shared secret, with which the encrypted part is decrypted: so many bytes.
    Agree { random: [u8; 32], len: usize },
    /// The certificates are verified.
    Verify { shared: Secret<32>, resumption_id: ResumptionId, presentation: Presentation },
}

/// What a Sigma2 has brought once all of it is verified.
pub(super) struct Shared {
    pub(super) shared: Secret<32>,
    pub(super) resumption_id: ResumptionId,
    pub(super) peer: PeerVerified,
}

impl<C: Crypto> Answer<C> {
    /// Sigma2 was received.
    #[inline(never)]
    pub(super) fn new(
        transcript: &C::Sha256,
        target: &Target,
        env: &mut CaseEnv<'_>,
        payload: &[u8],
    ) -> Result<Self, HandshakeError> {
        let sigma2 = Sigma2::parse(payload)?;
        target.fabric.find(env)?;
        let encrypted = payload.get(sigma2.encrypted).ok_or(TlvError::Truncated)?;
        env.certificates.store(encrypted)?;
        let mut heard = transcript.clone();
        heard.update(payload);
        let ends = Ends {
            role: SessionRole::Initiator,
            local: target.local,
            peer: sigma2.responder_session_id,
            peer_parameters: sigma2.session_parameters.unwrap_or_default(),
        };
        let part = Part::Agree { random: sigma2.responder_random, len: encrypted.len() };
        Ok(Self { key: sigma2.responder_public_key, ends, heard, part })
    }

    /// Computes the shared secret, or verifies the next signature. After the last one returns what
    /// the handshake goes on with.
    #[inline(never)]
    pub(super) fn proceed(
        &mut self,
        crypto: &C,
        cx: &Context<'_>,
        env: &mut CaseEnv<'_>,
        ephemeral: &C::Ephemeral,
        target: &Target,
        transcript: &C::Sha256,
    ) -> Result<Option<Shared>, HandshakeError> {
        let fabric = target.fabric.find(env)?;
        let Part::Verify { shared, resumption_id, presentation } = &mut self.part else {
            self.agree(crypto, cx.keys, env, ephemeral, target, transcript)?;
            return Ok(None);
        };
        let keys = Keys { own: &ephemeral.public(), peer: &self.key };
        let peer = presentation.verify_next(crypto, cx, env, fabric, Some(target.node), keys)?;
        Ok(peer.map(|peer| Shared { shared: shared.clone(), resumption_id: *resumption_id, peer }))
    }

    /// Computes the shared secret, and decrypts the encrypted part. `transcript` ends before it.
    #[inline(never)]
    fn agree(
        &mut self,
        crypto: &C,
        log: KeyHook<'_>,
        env: &mut CaseEnv<'_>,
        ephemeral: &C::Ephemeral,
        target: &Target,
        transcript: &C::Sha256,
    ) -> Result<(), HandshakeError> {
        let Part::Agree { random, len } = &self.part else {
            return Err(HandshakeError::NothingLeft);
        };
        let shared = ephemeral.agree(&self.key)?;
        let key = s2k(crypto, &shared, &target.ipk, random, &self.key, transcript)?;
        log.sigma2(&key);
        let encrypted = env.certificates.stored(*len)?;
        let plain = open_tbe(crypto, key, TBE_DATA2_NONCE, encrypted)?;
        let resumption_id = TbeData::parse2(plain)?.resumption_id.ok_or(TlvError::UnexpectedTag)?;
        let presentation = Presentation::new(crypto, plain)?;
        self.part = Part::Verify { shared, resumption_id, presentation };
        Ok(())
    }
}
