//! Handshakes, by side: PASE with and without the stretching of the passcode, CASE with and
//! without an intermediate certificate, CASE resumed.

use core::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use matter_session::crypto::{
    Crypto, CryptoError, HASH_LEN, KEY_LEN, Passcode, PbkdfParameters, PublicKey, RustCrypto,
    Secret, Signature, SpakeSecrets, Verifier,
};
use matter_session::rand_core::CryptoRng;
use matter_session_testing::drive::{Spent, case, nodes, pase, remember};
use matter_session_testing::net::PASSCODE;

/// Benches a handshake as a whole and by side.
fn sides(c: &mut Criterion, name: &str, mut handshake: impl FnMut() -> Spent) {
    type Side = (&'static str, fn(&Spent) -> Duration);
    let sides: [Side; 3] = [
        ("both", |spent| spent.initiator + spent.responder),
        ("initiator", |spent| spent.initiator),
        ("responder", |spent| spent.responder),
    ];
    let mut group = c.benchmark_group(name);
    for (side, part) in sides {
        group.bench_function(side, |b| {
            b.iter_custom(|iterations| (0..iterations).map(|_| part(&handshake())).sum());
        });
    }
    group.finish();
}

fn handshakes(c: &mut Criterion) {
    let pbkdf = PbkdfParameters::new(1000, &[0x5A; 32]).unwrap();
    let passcode = Passcode::new(PASSCODE).unwrap();
    let stretched = Stretched(RustCrypto);
    let verifier = Verifier::generate(&stretched, &passcode, &pbkdf).unwrap();
    sides(c, "pase/no-pbkdf2", || pase(&stretched, &verifier, pbkdf));
    let verifier = Verifier::generate(&RustCrypto, &passcode, &pbkdf).unwrap();
    sides(c, "pase/pbkdf2-1000", || pase(&RustCrypto, &verifier, pbkdf));
    c.bench_function("pbkdf2/1000", |b| {
        let mut out = [0; 80];
        b.iter(|| RustCrypto.pbkdf2(&PASSCODE.to_le_bytes(), &[0x5A; 32], 1000, &mut out));
    });

    let (initiator, responder) = nodes(false);
    sides(c, "case/full", || case(&initiator, &responder).0);
    let (mut initiator, mut responder) = nodes(true);
    sides(c, "case/full-icac", || case(&initiator, &responder).0);

    remember(&mut initiator, &mut responder);
    sides(c, "case/resumed", || case(&initiator, &responder).0);
}

/// A backend for which stretching the passcode costs nothing: its result is a constant.
struct Stretched(RustCrypto);

impl Crypto for Stretched {
    type Aead = <RustCrypto as Crypto>::Aead;
    type Sha256 = <RustCrypto as Crypto>::Sha256;
    type Ephemeral = <RustCrypto as Crypto>::Ephemeral;

    fn pbkdf2(&self, _: &[u8], _: &[u8], _: u32, out: &mut [u8]) {
        out.fill(0x5A);
    }

    fn aead(&self, key: &Secret<KEY_LEN>) -> Self::Aead {
        self.0.aead(key)
    }

    fn sha256(&self) -> Self::Sha256 {
        self.0.sha256()
    }

    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> [u8; HASH_LEN] {
        self.0.hmac(key, parts)
    }

    fn hkdf(
        &self,
        secret: &[u8],
        salt: &[u8],
        info: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.0.hkdf(secret, salt, info, out)
    }

    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<Self::Ephemeral, CryptoError> {
        self.0.ephemeral(rng)
    }

    fn ephemeral_public(&self, own: &Self::Ephemeral) -> PublicKey {
        self.0.ephemeral_public(own)
    }

    fn ecdh(&self, own: Self::Ephemeral, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
        self.0.ecdh(own, peer)
    }

    fn verify(
        &self,
        key: &PublicKey,
        digest: &[u8; HASH_LEN],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        self.0.verify(key, digest, signature)
    }

    fn random_scalar(&self, rng: &mut dyn CryptoRng) -> Result<Secret<32>, CryptoError> {
        self.0.random_scalar(rng)
    }

    fn spake_reduce(&self, wide: &[u8; 40]) -> Result<Secret<32>, CryptoError> {
        self.0.spake_reduce(wide)
    }

    fn spake_l(&self, w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
        self.0.spake_l(w1)
    }

    fn spake_prover_share(
        &self,
        x: &Secret<32>,
        w0: &Secret<32>,
    ) -> Result<PublicKey, CryptoError> {
        self.0.spake_prover_share(x, w0)
    }

    fn spake_prover_finish(
        &self,
        x: &Secret<32>,
        w0: &Secret<32>,
        w1: &Secret<32>,
        y_share: &PublicKey,
    ) -> Result<SpakeSecrets, CryptoError> {
        self.0.spake_prover_finish(x, w0, w1, y_share)
    }

    fn spake_verifier(
        &self,
        y: &Secret<32>,
        w0: &Secret<32>,
        l: &PublicKey,
        x_share: &PublicKey,
    ) -> Result<(PublicKey, SpakeSecrets), CryptoError> {
        self.0.spake_verifier(y, w0, l, x_share)
    }
}

criterion_group!(benches, handshakes);
criterion_main!(benches);
