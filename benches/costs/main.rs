//! What handshakes cost beside the operations on the curve that they cannot do without.
//!
//! Everything is measured in turns, and each turn yields a ratio; the table has the medians. So
//! whatever else the machine does meanwhile falls on both sides of a ratio.

mod naive;

use core::cell::RefCell;
use core::hint::black_box;
use core::time::Duration;
use std::time::Instant as Clock;

use matter_session::cert::{NoCache, RecentlyVerified, VerifiedCache};
use matter_session::crypto::{RustCrypto, Secret, Spake2p};
use matter_session::rand_core::{Rng, UnwrapErr};
use matter_session_testing::drive::{Spent, case, nodes, remember};
use p256::SecretKey;
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::ecdsa::{Signature, SigningKey};

/// Turns, of which the first few are not counted.
const TURNS: usize = 205;
const WARM_UP: usize = 4;

/// What was measured, and beside what.
type Pair = (Duration, Duration);

fn main() {
    // `cargo test --benches` runs it to see that it works.
    let turns = if std::env::args().any(|a| a == "--bench") { TURNS } else { WARM_UP + 1 };
    println!("{:32} {:>8} {:>8} {:>7}", "", "us", "beside", "ratio");
    spake(turns);
    for (name, verifications, cache, icac) in STATES {
        let (mut initiator, mut responder) = nodes(icac);
        (initiator.verified, responder.verified) = (RefCell::new(cache()), RefCell::new(cache()));
        let pairs = turn(turns, || {
            let spent = case(&initiator, &responder).0;
            let beside = curve(verifications);
            [(spent.initiator, beside), (spent.responder, beside)]
        });
        report(&format!("case/{name}/initiator"), &pairs[0]);
        report(&format!("case/{name}/responder"), &pairs[1]);
    }
    let (mut initiator, mut responder) = nodes(true);
    remember(&mut initiator, &mut responder);
    let pairs = turn(turns, || {
        let Spent { initiator, responder } = case(&initiator, &responder).0;
        [(initiator + responder, key_pair().1)]
    });
    report("case/resumed/both", &pairs[0]);
}

type State = (&'static str, usize, fn() -> Box<dyn VerifiedCache>, bool);

/// What a side remembers of its peer's certificates, and how many signatures are left to verify.
const STATES: [State; 4] = [
    ("cold", 3, || Box::new(NoCache), true),
    ("cold, no icac", 2, || Box::new(NoCache), false),
    ("issuer warm", 2, || Box::new(Issuers(RecentlyVerified::default())), true),
    ("noc warm", 1, || Box::new(RecentlyVerified::default()), true),
];

/// Remembers issuers alone: the peer is another one each time.
struct Issuers(RecentlyVerified);

impl VerifiedCache for Issuers {
    fn contains(&self, fingerprint: &[u8; 32]) -> bool {
        self.0.contains(fingerprint)
    }

    fn insert(&mut self, fingerprint: [u8; 32]) {
        self.0.insert(fingerprint);
    }
}

/// Both sides of SPAKE2+ beside the naive ones.
fn spake(turns: usize) {
    let crypto = RustCrypto;
    let rng = &mut UnwrapErr(getrandom::SysRng);
    let [x, y, w0, w1] = [(); 4].map(|()| crypto.random_scalar(rng).unwrap());
    let l = crypto.spake_l(&w1).unwrap();
    let x_share = crypto.spake_prover_share(&x, &w0).unwrap();
    let y_share = crypto.spake_verifier(&y, &w0, &l, &x_share).unwrap().0;
    let prepared = crypto.spake_prepare(&w0, &l).unwrap().unwrap();

    let (share, [z, v]) = naive::prover([&x, &w0, &w1], &y_share);
    let secrets = prepared.respond(&y, &x_share).unwrap().1;
    assert_eq!(share.as_bytes(), x_share.as_bytes());
    assert_eq!([z.as_bytes(), v.as_bytes()], [&secrets.z.as_bytes()[..], secrets.v.as_bytes()]);

    let pairs = turn(turns, || {
        let prover = timed(|| naive::prover([&x, &w0, &w1], &y_share));
        let own = timed(|| {
            let share = crypto.spake_prover_share(&x, &w0);
            (share, crypto.spake_prover_finish(&x, &w0, &w1, &y_share))
        });
        let verifier = timed(|| naive::verifier([&y, &w0], &l, &x_share));
        let plain = timed(|| crypto.spake_verifier(&y, &w0, &l, &x_share));
        let ready = timed(|| prepared.respond(&y, &x_share));
        let prepare = timed(|| crypto.spake_prepare(&w0, &l));
        [(own, prover), (plain, verifier), (ready, verifier), (prepare, verifier)]
    });
    for (name, pairs) in ["prover", "verifier", "verifier prepared", "preparing"].iter().zip(&pairs)
    {
        report(&format!("pase/{name}"), pairs);
    }
}

/// What a side of CASE does on the curve: a key pair, an agreement, a signature, verifications.
fn curve(verifications: usize) -> Duration {
    let (own, first) = key_pair();
    let (peer, signer) = (key_pair().0, SigningKey::from(key_pair().0));
    let (public, digest) = (peer.public_key(), [7; 32]);
    let agreement = timed(|| own.diffie_hellman(&public));
    let signature: Signature = signer.sign_prehash(&digest).unwrap();
    let signing = timed(|| -> Signature { signer.sign_prehash(&digest).unwrap() });
    let key = *signer.verifying_key();
    let verifying = timed(|| {
        for _ in 0..verifications {
            black_box(&key).verify_prehash(&digest, &signature).unwrap();
        }
    });
    first + agreement + signing + verifying
}

/// A key pair and the time that drawing it took.
fn key_pair() -> (SecretKey, Duration) {
    let mut octets = Secret::<32>::zero();
    UnwrapErr(getrandom::SysRng).fill_bytes(octets.as_mut_bytes());
    let secret = SecretKey::from_slice(octets.as_bytes()).unwrap();
    let took = timed(|| secret.public_key());
    (secret, took)
}

fn timed<R>(work: impl FnOnce() -> R) -> Duration {
    let begin = Clock::now();
    black_box(work());
    begin.elapsed()
}

/// Measures in turns; of each pair, the series of its turns.
fn turn<const N: usize>(turns: usize, mut measure: impl FnMut() -> [Pair; N]) -> [Vec<Pair>; N] {
    let mut series = [const { Vec::new() }; N];
    for number in 0..turns {
        let pairs = measure();
        if number >= WARM_UP {
            series.iter_mut().zip(pairs).for_each(|(series, pair)| series.push(pair));
        }
    }
    series
}

fn report(name: &str, pairs: &[Pair]) {
    let micros = |of: fn(&Pair) -> Duration| {
        median(pairs.iter().map(|pair| of(pair).as_secs_f64() * 1e6).collect())
    };
    let ratio = median(pairs.iter().map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect());
    println!("{name:32} {:8.1} {:8.1} {ratio:7.3}", micros(|p| p.0), micros(|p| p.1));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
