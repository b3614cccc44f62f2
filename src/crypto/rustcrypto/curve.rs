//! The operations on P-256: by an engine if there is one, and portable.

#[cfg(feature = "std")]
use alloc::sync::Arc;

use p256::SecretKey;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rand_core::CryptoRng;

use super::engine::Engine;
use super::hash::Sha256State;
use super::point::{decode, draw, encode};
use super::spake;
#[cfg(feature = "std")]
use crate::crypto::SpakeVerifier;
use crate::crypto::{
    Blind, CryptoError, Curve, KeyPair, PUBLIC_KEY_LEN, PublicKey, Secret, Signature, SignedBytes,
    Spake2p,
};

/// P-256 on an engine, or portable.
pub(super) struct P256(pub(super) Option<Engine>);

impl Curve for P256 {
    type Ephemeral = EphemeralKey;

    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<EphemeralKey, CryptoError> {
        let secret = draw(rng)?;
        let public = match self.0 {
            Some(engine) => engine.generator_mul(&bytes(&secret))?,
            None => encode(secret.public_key().as_affine())?,
        };
        Ok(EphemeralKey { secret, public, engine: self.0 })
    }

    fn verify(
        &self,
        key: &PublicKey,
        signed: &dyn SignedBytes,
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        if let Some(verdict) = self.0.and_then(|engine| engine.verify(key, signed, signature)) {
            return verdict;
        }
        let digest = signed.digest(Sha256State::default())?;
        let key = p256::ecdsa::VerifyingKey::from(decode(key)?);
        p256::ecdsa::Signature::from_slice(signature.as_bytes())
            .and_then(|signature| key.verify_prehash(&digest, &signature))
            .map_err(|_| CryptoError::Unauthentic)
    }
}

impl Spake2p for P256 {
    fn point_mul(
        &self,
        scalar: &Secret<32>,
        point: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        spake::point_mul(self.0, scalar, point)
    }

    fn point_add(
        &self,
        a: &[u8; PUBLIC_KEY_LEN],
        b: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        spake::point_add(a, b)
    }

    fn random_scalar(&self, rng: &mut dyn CryptoRng) -> Result<Secret<32>, CryptoError> {
        Ok(Secret::new(draw(rng)?.to_bytes().into()))
    }

    fn spake_reduce(&self, wide: &[u8; 40]) -> Result<Secret<32>, CryptoError> {
        spake::reduce(wide)
    }

    fn spake_l(&self, w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
        spake::registration(self.0, w1)
    }

    fn spake_blind(
        &self,
        w0: &Secret<32>,
        blind: Blind,
        point: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        spake::blind(w0, blind, point)
    }

    fn spake_unblind(
        &self,
        w0: &Secret<32>,
        blind: Blind,
        share: &PublicKey,
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        spake::unblind(w0, blind, share)
    }

    #[cfg(feature = "std")]
    fn spake_prepare(
        &self,
        w0: &Secret<32>,
        l: &PublicKey,
    ) -> Result<Option<Arc<dyn SpakeVerifier>>, CryptoError> {
        Ok(Some(Arc::new(spake::Prepared::new(self.0, w0, l)?)))
    }
}

/// A P-256 key pair for one key agreement; wiped on drop.
#[derive(Debug)]
pub struct EphemeralKey {
    secret: SecretKey,
    public: PublicKey,
    engine: Option<Engine>,
}

impl KeyPair for EphemeralKey {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn agree(&self, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
        if let Some(engine) = self.engine {
            return engine.agree(&bytes(&self.secret), peer);
        }
        let shared = self.secret.diffie_hellman(&decode(peer)?);
        Ok(Secret::new((*shared.raw_secret_bytes()).into()))
    }
}

fn bytes(secret: &SecretKey) -> Secret<32> {
    Secret::new(secret.to_bytes().into())
}
