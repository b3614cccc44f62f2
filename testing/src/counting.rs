//! A crypto backend that counts what is asked of it, and the key handles that are alive.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use matter_session::crypto::{
    AesCcm, Blind, Cipher, CryptoError, Curve, EphemeralKey, Hashing, KeyPair, PublicKey, RustCrypto,
    Secret, Sha256State, Signature, SignedBytes, Spake2p,
};
use matter_session::rand_core::CryptoRng;

use crate::observed::{Observed, Observer};

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
    /// Iterations of PBKDF2.
    pub rounds: u32,
}

impl Work {
    pub const NONE: Self =
        Self { hmac: 0, hkdf: 0, aead: 0, ephemeral: 0, ecdh: 0, verify: 0, spake: 0, rounds: 0 };

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
pub struct Alive(Rc<Cell<usize>>);

impl Alive {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(count.clone())
    }
}

impl Observer for Alive {}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

pub struct Ephemeral {
    inner: EphemeralKey,
    work: Rc<RefCell<Work>>,
    _alive: Alive,
}

impl KeyPair for Ephemeral {
    fn public(&self) -> PublicKey {
        self.inner.public()
    }

    fn agree(&self, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
        self.work.borrow_mut().ecdh += 1;
        self.inner.agree(peer)
    }
}

impl Cipher for Counting {
    type Aead = Observed<AesCcm, Alive>;

    fn aead(&self, key: &Secret<16>) -> Self::Aead {
        self.count(|work| work.aead += 1);
        Observed { inner: RustCrypto.aead(key), observer: Alive::new(&self.keys) }
    }
}

impl Hashing for Counting {
    type Sha256 = Sha256State;

    fn sha256(&self) -> Sha256State {
        RustCrypto.sha256()
    }

    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> Result<[u8; 32], CryptoError> {
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

    fn pbkdf2_rounds(
        &self,
        password: &[u8],
        rounds: u32,
        last: &mut Secret<32>,
        sum: &mut Secret<32>,
    ) -> Result<(), CryptoError> {
        self.count(|work| work.rounds += rounds);
        RustCrypto.pbkdf2_rounds(password, rounds, last, sum)
    }
}

impl Curve for Counting {
    type Ephemeral = Ephemeral;

    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<Ephemeral, CryptoError> {
        self.count(|work| work.ephemeral += 1);
        let inner = RustCrypto.ephemeral(rng)?;
        let work = Rc::clone(&self.work);
        Ok(Ephemeral { inner, work, _alive: Alive::new(&self.ephemerals) })
    }

    fn verify(
        &self,
        key: &PublicKey,
        signed: &dyn SignedBytes,
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        self.count(|work| work.verify += 1);
        RustCrypto.verify(key, signed, signature)
    }
}

impl Spake2p for Counting {
    fn point_mul(&self, by: &Secret<32>, point: &[u8; 65]) -> Result<Secret<65>, CryptoError> {
        self.count(|work| work.spake += 1);
        RustCrypto.point_mul(by, point)
    }

    fn point_add(&self, a: &[u8; 65], b: &[u8; 65]) -> Result<Secret<65>, CryptoError> {
        RustCrypto.point_add(a, b)
    }

    fn spake_l(&self, w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
        self.count(|work| work.spake += 1);
        RustCrypto.spake_l(w1)
    }

    fn spake_blind(
        &self,
        w0: &Secret<32>,
        blind: Blind,
        point: &[u8; 65],
    ) -> Result<Secret<65>, CryptoError> {
        self.count(|work| work.spake += 1);
        RustCrypto.spake_blind(w0, blind, point)
    }

    fn spake_unblind(
        &self,
        w0: &Secret<32>,
        blind: Blind,
        share: &PublicKey,
    ) -> Result<Secret<65>, CryptoError> {
        self.count(|work| work.spake += 1);
        RustCrypto.spake_unblind(w0, blind, share)
    }
}
