//! Handshakes, by side: PASE with and without the stretching of the passcode, CASE with and
//! without an intermediate certificate, CASE resumed.

use core::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use matter_session::crypto::{
    CryptoError, HASH_LEN, Hashing, Passcode, PbkdfParameters, RustCrypto, Secret, Sha256State,
    Suite, Verifier,
};
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
    let stretched = Suite::of(RustCrypto).with_hashing(Stretched);
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

/// Hashing for which stretching the passcode costs next to nothing: one iteration.
struct Stretched;

impl Hashing for Stretched {
    type Sha256 = Sha256State;

    fn sha256(&self) -> Sha256State {
        RustCrypto.sha256()
    }

    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> Result<[u8; HASH_LEN], CryptoError> {
        RustCrypto.hmac(key, parts)
    }

    fn pbkdf2_rounds(
        &self,
        _: &[u8],
        _: u32,
        _: &mut Secret<HASH_LEN>,
        _: &mut Secret<HASH_LEN>,
    ) -> Result<(), CryptoError> {
        Ok(())
    }
}

criterion_group!(benches, handshakes);
criterion_main!(benches);
