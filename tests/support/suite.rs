//! A backend for transcripts of nodes that do not declare their transports.
//!
//! Session parameters got their member 8 with TCP; this crate always sends it, as today's nodes
//! do. Recordings of older nodes lack it. [`Without8`] takes the member out of what is hashed, and
//! [`without_8`] out of what is sent, so that such a handshake can still be replayed to its last
//! octet by both sides.

use matter_session::crypto::{
    Crypto, CryptoError, PublicKey, RustCrypto, Secret, Sha256, Signature, SpakeSecrets,
};
use matter_session::rand_core::CryptoRng;

/// `message` without member 8 of its session parameters.
pub fn without_8(message: &[u8]) -> Vec<u8> {
    // member 7 in one octet, member 8 empty, end of the structure
    let found =
        message.windows(7).position(|w| w[..2] == [0x24, 7] && w[3..] == [0x24, 8, 0, 0x18]);
    match found {
        Some(at) => [&message[..at + 3], &message[at + 6..]].concat(),
        None => message.to_vec(),
    }
}

pub struct Without8;

#[derive(Clone)]
pub struct Without8Hash(<RustCrypto as Crypto>::Sha256);

impl Sha256 for Without8Hash {
    fn update(&mut self, data: &[u8]) {
        self.0.update(&without_8(data));
    }

    fn finish(self) -> [u8; 32] {
        self.0.finish()
    }
}

impl Crypto for Without8 {
    type Aead = <RustCrypto as Crypto>::Aead;
    type Sha256 = Without8Hash;
    type Ephemeral = <RustCrypto as Crypto>::Ephemeral;

    fn aead(&self, key: &Secret<16>) -> Self::Aead {
        RustCrypto.aead(key)
    }

    fn sha256(&self) -> Without8Hash {
        Without8Hash(RustCrypto.sha256())
    }

    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        RustCrypto.hmac(key, parts)
    }

    fn hkdf(
        &self,
        ikm: &[u8],
        salt: &[u8],
        info: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        RustCrypto.hkdf(ikm, salt, info, out)
    }

    fn pbkdf2(&self, password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) {
        RustCrypto.pbkdf2(password, salt, iterations, out);
    }

    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<Self::Ephemeral, CryptoError> {
        RustCrypto.ephemeral(rng)
    }

    fn ephemeral_public(&self, own: &Self::Ephemeral) -> PublicKey {
        RustCrypto.ephemeral_public(own)
    }

    fn ecdh(&self, own: Self::Ephemeral, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
        RustCrypto.ecdh(own, peer)
    }

    fn verify(
        &self,
        key: &PublicKey,
        digest: &[u8; 32],
        sig: &Signature,
    ) -> Result<(), CryptoError> {
        RustCrypto.verify(key, digest, sig)
    }

    fn random_scalar(&self, rng: &mut dyn CryptoRng) -> Result<Secret<32>, CryptoError> {
        RustCrypto.random_scalar(rng)
    }

    fn spake_reduce(&self, wide: &[u8; 40]) -> Result<Secret<32>, CryptoError> {
        RustCrypto.spake_reduce(wide)
    }

    fn spake_l(&self, w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
        RustCrypto.spake_l(w1)
    }

    fn spake_prover_share(
        &self,
        x: &Secret<32>,
        w0: &Secret<32>,
    ) -> Result<PublicKey, CryptoError> {
        RustCrypto.spake_prover_share(x, w0)
    }

    fn spake_prover_finish(
        &self,
        x: &Secret<32>,
        w0: &Secret<32>,
        w1: &Secret<32>,
        y_share: &PublicKey,
    ) -> Result<SpakeSecrets, CryptoError> {
        RustCrypto.spake_prover_finish(x, w0, w1, y_share)
    }

    fn spake_verifier(
        &self,
        y: &Secret<32>,
        w0: &Secret<32>,
        l: &PublicKey,
        x_share: &PublicKey,
    ) -> Result<(PublicKey, SpakeSecrets), CryptoError> {
        RustCrypto.spake_verifier(y, w0, l, x_share)
    }
}
