//! A crypto backend that counts what is asked of it, and the key handles that are alive.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use matter_session::crypto::{
    Aead, AesCcm, Crypto, CryptoError, EphemeralKey, MIC_LEN, OpenNonce, PrivacyNonce, PublicKey,
    RustCrypto, SealNonce, Secret, Sha256State, Signature, SpakeSecrets,
};
use matter_session::rand_core::CryptoRng;

/// Operations since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    pub hmac: u32,
    pub hkdf: u32,
    pub aead: u32,
    pub ephemeral: u32,
    pub ecdh: u32,
    pub verify: u32,
    pub spake: u32,
}

impl Work {
    pub const NONE: Self =
        Self { hmac: 0, hkdf: 0, aead: 0, ephemeral: 0, ecdh: 0, verify: 0, spake: 0 };

    /// Multiplications of points, roughly: what is expensive.
    pub fn curve(&self) -> u32 {
        self.ephemeral + self.ecdh + self.verify + self.spake
    }
}

#[derive(Clone, Debug, Default)]
pub struct Counting {
    work: Rc<RefCell<Work>>,
    ephemerals: Rc<Cell<usize>>,
    keys: Rc<Cell<usize>>,
}

impl Counting {
    /// What was done since the last call.
    pub fn take(&self) -> Work {
        self.work.take()
    }

    /// How many ephemeral keys and how many prepared keys are alive.
    pub fn alive(&self) -> (usize, usize) {
        (self.ephemerals.get(), self.keys.get())
    }

    fn count(&self, f: impl FnOnce(&mut Work)) {
        f(&mut self.work.borrow_mut());
    }
}

/// Counts while it lives.
struct Alive(Rc<Cell<usize>>);

impl Alive {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

pub struct Key {
    inner: AesCcm,
    _alive: Alive,
}

impl Aead for Key {
    fn seal(
        &self,
        nonce: SealNonce,
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; MIC_LEN], CryptoError> {
        self.inner.seal(nonce, aad, in_out)
    }

    fn open(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        self.inner.open(nonce, aad, in_out, mic)
    }

    fn open_by_trial(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        self.inner.open_by_trial(nonce, aad, in_out, mic)
    }

    fn apply_privacy(&self, nonce: PrivacyNonce, in_out: &mut [u8]) -> Result<(), CryptoError> {
        self.inner.apply_privacy(nonce, in_out)
    }
}

pub struct Ephemeral {
    inner: EphemeralKey,
    _alive: Alive,
}

impl Crypto for Counting {
    type Aead = Key;
    type Sha256 = Sha256State;
    type Ephemeral = Ephemeral;

    fn aead(&self, key: &Secret<16>) -> Key {
        self.count(|work| work.aead += 1);
        Key { inner: RustCrypto.aead(key), _alive: Alive::new(&self.keys) }
    }

    fn sha256(&self) -> Sha256State {
        RustCrypto.sha256()
    }

    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        self.count(|work| work.hmac += 1);
        RustCrypto.hmac(key, parts)
    }

    fn hkdf(
        &self,
        secret: &[u8],
        salt: &[u8],
        info: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.count(|work| work.hkdf += 1);
        RustCrypto.hkdf(secret, salt, info, out)
    }

    fn pbkdf2(&self, password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) {
        RustCrypto.pbkdf2(password, salt, iterations, out);
    }

    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<Ephemeral, CryptoError> {
        self.count(|work| work.ephemeral += 1);
        let inner = RustCrypto.ephemeral(rng)?;
        Ok(Ephemeral { inner, _alive: Alive::new(&self.ephemerals) })
    }

    fn ephemeral_public(&self, own: &Ephemeral) -> PublicKey {
        RustCrypto.ephemeral_public(&own.inner)
    }

    fn ecdh(&self, own: Ephemeral, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
        self.count(|work| work.ecdh += 1);
        RustCrypto.ecdh(own.inner, peer)
    }

    fn verify(
        &self,
        key: &PublicKey,
        digest: &[u8; 32],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        self.count(|work| work.verify += 1);
        RustCrypto.verify(key, digest, signature)
    }

    fn random_scalar(&self, rng: &mut dyn CryptoRng) -> Result<Secret<32>, CryptoError> {
        RustCrypto.random_scalar(rng)
    }

    fn spake_reduce(&self, wide: &[u8; 40]) -> Result<Secret<32>, CryptoError> {
        RustCrypto.spake_reduce(wide)
    }

    fn spake_l(&self, w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
        self.count(|work| work.spake += 1);
        RustCrypto.spake_l(w1)
    }

    fn spake_prover_share(
        &self,
        x: &Secret<32>,
        w0: &Secret<32>,
    ) -> Result<PublicKey, CryptoError> {
        self.count(|work| work.spake += 1);
        RustCrypto.spake_prover_share(x, w0)
    }

    fn spake_prover_finish(
        &self,
        x: &Secret<32>,
        w0: &Secret<32>,
        w1: &Secret<32>,
        y_share: &PublicKey,
    ) -> Result<SpakeSecrets, CryptoError> {
        self.count(|work| work.spake += 1);
        RustCrypto.spake_prover_finish(x, w0, w1, y_share)
    }

    fn spake_verifier(
        &self,
        y: &Secret<32>,
        w0: &Secret<32>,
        l: &PublicKey,
        x_share: &PublicKey,
    ) -> Result<(PublicKey, SpakeSecrets), CryptoError> {
        self.count(|work| work.spake += 1);
        RustCrypto.spake_verifier(y, w0, l, x_share)
    }
}
