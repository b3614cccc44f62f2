//! A backend of which one primitive is falsified.

#[cfg(feature = "std")]
use std::sync::Arc;

#[cfg(feature = "std")]
use matter_session::crypto::SpakeVerifier;
use matter_session::crypto::check::Primitive;
use matter_session::crypto::{
    Aead, AesCcm, Blind, Cipher, CryptoError, Curve, EphemeralKey, HASH_LEN, Hashing, KEY_LEN,
    KeyPair, MIC_LEN, OpenJob, OpenNonce, PUBLIC_KEY_LEN, PrivacyNonce, PublicKey, RustCrypto,
    SealJob, SealNonce, Secret, Sha256, Sha256State, Signature, SignedBytes, Spake2p,
};
use matter_session::rand_core::CryptoRng;

/// How a primitive is falsified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its result is another one.
    Wrong,
    /// It fails always.
    Fails,
    /// It has some result where it should refuse.
    Gullible,
}

/// `RustCrypto`, but for one primitive.
#[derive(Clone, Copy)]
pub struct Lies(pub Option<(Fault, Primitive)>);

impl Lies {
    fn fault(self, primitive: Primitive) -> Option<Fault> {
        self.0.filter(|(_, of)| *of == primitive).map(|(fault, _)| fault)
    }

    /// The result of a primitive, falsified if it is this one.
    fn about<T>(
        self,
        primitive: Primitive,
        truth: Result<T, CryptoError>,
        wrong: impl FnOnce() -> T,
    ) -> Result<T, CryptoError> {
        match self.fault(primitive) {
            None => truth,
            Some(Fault::Wrong) => truth.map(|_| wrong()),
            Some(Fault::Fails) => Err(CryptoError::Backend),
            Some(Fault::Gullible) => truth.or_else(|_| Ok(wrong())),
        }
    }

    /// The same for results in place.
    fn in_place(
        self,
        primitive: Primitive,
        truth: Result<(), CryptoError>,
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.about(primitive, truth, || out.iter_mut().for_each(|byte| *byte ^= 1))
    }
}

/// A key that lies as its backend does. Batches and single uses go around it.
pub struct Key(AesCcm, Lies);

impl Aead for Key {
    fn seal(
        &self,
        nonce: SealNonce,
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; MIC_LEN], CryptoError> {
        self.1.about(Primitive::Seal, self.0.seal(nonce, aad, in_out), || [0; MIC_LEN])
    }

    fn open(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        self.1.in_place(Primitive::Open, self.0.open(nonce, aad, in_out, mic), in_out)
    }

    fn open_by_trial(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        let truth = self.0.open_by_trial(nonce, aad, in_out, mic);
        self.1.in_place(Primitive::OpenByTrial, truth, in_out)
    }

    fn apply_privacy(&self, nonce: PrivacyNonce, in_out: &mut [u8]) -> Result<(), CryptoError> {
        self.1.in_place(Primitive::Privacy, self.0.apply_privacy(nonce, in_out), in_out)
    }
}

impl Cipher for Lies {
    type Aead = Key;

    fn aead(&self, key: &Secret<KEY_LEN>) -> Key {
        Key(RustCrypto.aead(key), *self)
    }

    fn seal_once(
        &self,
        key: &Secret<KEY_LEN>,
        nonce: SealNonce,
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; MIC_LEN], CryptoError> {
        let truth = RustCrypto.seal_once(key, nonce, aad, in_out);
        self.about(Primitive::SealOnce, truth, || [0; MIC_LEN])
    }

    fn open_once(
        &self,
        key: &Secret<KEY_LEN>,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        let truth = RustCrypto.open_once(key, nonce, aad, in_out, mic);
        self.in_place(Primitive::OpenOnce, truth, in_out)
    }

    fn seal_batch(&self, jobs: &mut [SealJob<'_, Key>]) {
        // The results of jobs are theirs: a batch lies by leaving one out.
        let wrong = usize::from(self.fault(Primitive::SealBatch).is_some());
        jobs.iter_mut().skip(wrong).for_each(SealJob::run);
    }

    fn open_batch(&self, jobs: &mut [OpenJob<'_, Key>]) {
        let wrong = usize::from(self.fault(Primitive::OpenBatch).is_some());
        jobs.iter_mut().skip(wrong).for_each(OpenJob::run);
    }
}

impl Hashing for Lies {
    type Sha256 = Sha256State;

    fn sha256(&self) -> Sha256State {
        let mut hash = RustCrypto.sha256();
        if self.fault(Primitive::Sha256).is_some() {
            hash.update(b"a lie");
        }
        hash
    }

    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> Result<[u8; HASH_LEN], CryptoError> {
        self.about(Primitive::Hmac, RustCrypto.hmac(key, parts), || [0; HASH_LEN])
    }

    fn hkdf(
        &self,
        secret: &[u8],
        salt: &[u8],
        info: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.in_place(Primitive::Hkdf, RustCrypto.hkdf(secret, salt, info, out), out)
    }

    fn pbkdf2_rounds(
        &self,
        password: &[u8],
        rounds: u32,
        last: &mut Secret<32>,
        sum: &mut Secret<32>,
    ) -> Result<(), CryptoError> {
        let truth = RustCrypto.pbkdf2_rounds(password, rounds, last, sum);
        self.in_place(Primitive::Pbkdf2, truth, sum.as_mut_bytes())
    }
}

/// A key pair that lies as its backend does.
pub struct Pair(EphemeralKey, Lies);

impl KeyPair for Pair {
    fn public(&self) -> PublicKey {
        self.0.public()
    }

    fn agree(&self, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
        self.1.about(Primitive::Agreement, self.0.agree(peer), Secret::zero)
    }
}

impl Curve for Lies {
    type Ephemeral = Pair;

    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<Pair, CryptoError> {
        Ok(Pair(RustCrypto.ephemeral(rng)?, *self))
    }

    fn verify(
        &self,
        key: &PublicKey,
        signed: &dyn SignedBytes,
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        match self.fault(Primitive::Ecdsa) {
            Some(Fault::Wrong) => Ok(()),
            _ => self.about(Primitive::Ecdsa, RustCrypto.verify(key, signed, signature), || ()),
        }
    }
}

/// Some point.
fn point() -> PublicKey {
    let mut five = Secret::<32>::zero();
    five.as_mut_bytes()[31] = 5;
    RustCrypto.spake_l(&five).unwrap()
}

fn secret_point() -> Secret<PUBLIC_KEY_LEN> {
    Secret::from(point().as_bytes())
}

impl Spake2p for Lies {
    fn point_mul(
        &self,
        scalar: &Secret<32>,
        point: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        self.about(Primitive::PointMul, RustCrypto.point_mul(scalar, point), secret_point)
    }

    fn point_add(
        &self,
        a: &[u8; PUBLIC_KEY_LEN],
        b: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        self.about(Primitive::PointAdd, RustCrypto.point_add(a, b), secret_point)
    }

    fn random_scalar(&self, rng: &mut dyn CryptoRng) -> Result<Secret<32>, CryptoError> {
        self.about(Primitive::RandomScalar, RustCrypto.random_scalar(rng), Secret::zero)
    }

    fn spake_reduce(&self, wide: &[u8; 40]) -> Result<Secret<32>, CryptoError> {
        self.about(Primitive::SpakeReduce, RustCrypto.spake_reduce(wide), Secret::zero)
    }

    fn spake_l(&self, w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
        self.about(Primitive::SpakeL, RustCrypto.spake_l(w1), point)
    }

    fn spake_blind(
        &self,
        w0: &Secret<32>,
        blind: Blind,
        point: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        let truth = RustCrypto.spake_blind(w0, blind, point);
        self.about(Primitive::SpakeBlind, truth, secret_point)
    }

    fn spake_unblind(
        &self,
        w0: &Secret<32>,
        blind: Blind,
        share: &PublicKey,
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        let truth = RustCrypto.spake_unblind(w0, blind, share);
        self.about(Primitive::SpakeUnblind, truth, secret_point)
    }

    #[cfg(feature = "std")]
    fn spake_prepare(
        &self,
        w0: &Secret<32>,
        l: &PublicKey,
    ) -> Result<Option<Arc<dyn SpakeVerifier>>, CryptoError> {
        if self.fault(Primitive::SpakePrepare).is_some() {
            // Prepared for another device.
            return RustCrypto.spake_prepare(w0, &point());
        }
        RustCrypto.spake_prepare(w0, l)
    }
}
