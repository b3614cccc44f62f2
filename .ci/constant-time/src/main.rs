//! Runs the cryptography of the library with its secrets marked as undefined. Memcheck then reports
//! each jump and each address that depends on a secret. See `run.sh` and `check.mjs`.
//!
//! ```text
//! constant-time            everything, in a line for each operation
//! constant-time leak       a function that leaks: it must be found
//! ```

mod mark;

use core::convert::Infallible;
use core::hint::black_box;

use mark::public;
use matter_session::crypto::{
    Aead, CompactRustCrypto, Crypto, Curve, Hashing, KeyPair, OpenNonce, OperationalKey, Passcode,
    PbkdfParameters, PublicKey, RustCrypto, SealNonce, Secret, SignedBytes, SigningKey, Verifier,
};
use matter_session::rand_core::{TryCryptoRng, TryRng};

fn main() {
    assert!(mark::on_valgrind(), "run this under valgrind");
    if std::env::args().nth(1).as_deref() == Some("leak") {
        leak();
        return;
    }
    everything(&RustCrypto, "RustCrypto");
    everything(&CompactRustCrypto, "CompactRustCrypto");
    comparisons();
    signing();
}

/// Runs an operation and says so.
fn run(of: &str, what: &str, act: impl FnOnce()) {
    act();
    println!("{of} {what}");
}

/// A value that memcheck takes for secret.
fn secret<const N: usize>(mut bytes: [u8; N]) -> Secret<N> {
    mark::secret(&mut bytes);
    Secret::new(black_box(bytes))
}

/// A generator whose output is secret.
struct Rng(u64);

impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for byte in &mut *out {
            self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            *byte = self.0.to_be_bytes()[0];
        }
        mark::secret(out);
        Ok(())
    }
}

impl TryCryptoRng for Rng {}

fn everything<C: Crypto>(backend: &C, of: &str) {
    run(of, "AES-CCM", || {
        let aead = backend.aead(&secret([1; 16]));
        for len in [0, 1, 16, 100, 1024] {
            let (nonce, aad) = ([2; 13], [3; 20]);
            let mut text = vec![4; len];
            mark::secret(&mut text);
            let seal = SealNonce::dangerous_from_bytes(&nonce);
            let mut tag = aead.seal(seal, &aad, &mut text).unwrap();
            public(&*text);
            public(&tag);
            let open = || OpenNonce::dangerous_from_bytes(&nonce);
            aead.open(open(), &aad, &mut text, &tag).unwrap();
            public(&*text);
            tag[0] ^= 1;
            assert!(aead.open(open(), &aad, &mut text, &tag).is_err());
        }
    });
    run(of, "HMAC", || {
        let key = secret([1; 32]);
        black_box(backend.hmac(key.as_bytes(), &[secret([2; 70]).as_bytes()]).unwrap());
    });
    run(of, "HKDF", || {
        let (key, mut out) = (secret([1; 32]), [0; 48]);
        backend.hkdf(key.as_bytes(), &[3; 16], b"info", &mut out).unwrap();
        black_box(out);
    });
    run(of, "PBKDF2", || {
        let (passcode, mut out) = (secret([1; 4]), [0; 80]);
        backend.pbkdf2(passcode.as_bytes(), &[5; 32], 10, &mut out).unwrap();
        black_box(out);
    });
    run(of, "ECDH", || {
        let (ours, theirs) = (backend.ephemeral(&mut Rng(1)), backend.ephemeral(&mut Rng(2)));
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
        let peer = theirs.public();
        public(&peer);
        black_box(ours.agree(&peer).unwrap());
    });
    run(of, "SPAKE2+", || spake(backend));
}

fn spake<C: Crypto>(backend: &C) {
    let scalar = |seed| backend.random_scalar(&mut Rng(seed)).unwrap();
    let (w0, w1, x, y) = (scalar(3), scalar(4), scalar(5), scalar(6));
    black_box(backend.spake_reduce(secret([7; 40]).as_bytes()).unwrap());
    let l = backend.spake_l(&w1).unwrap();
    let x_share = backend.spake_prover_share(&x, &w0).unwrap();
    public(&x_share);
    let (y_share, secrets) = backend.spake_verifier(&y, &w0, &l, &x_share).unwrap();
    public(&y_share);
    let others = backend.spake_prover_finish(&x, &w0, &w1, &y_share).unwrap();
    public(&secrets);
    public(&others);
    assert!(secrets.z == others.z && secrets.v == others.v);
    if let Some(prepared) = backend.spake_prepare(&w0, &l).unwrap() {
        let (share, secrets) = prepared.respond(&y, &x_share).unwrap();
        public(&share);
        public(&secrets);
        assert!(share == y_share && secrets.z == others.z);
    }
}

fn comparisons() {
    run("comparison", "of secrets", || {
        let same = secret([1; 32]) == secret([1; 32]);
        public(&same);
        assert!(same);
    });
    run("comparison", "of verifiers", || {
        let parameters = PbkdfParameters::new(1000, &[1; 32]).unwrap();
        let passcode = Passcode::new(20_202_021).unwrap();
        let verifier = Verifier::generate(&RustCrypto, &passcode, &parameters).unwrap();
        let mut bytes = verifier.to_bytes();
        mark::secret(&mut bytes.as_mut_bytes()[..32]);
        let copy = Verifier::from_bytes(bytes.as_bytes()).unwrap();
        let same = copy == verifier;
        public(&same);
        assert!(same);
    });
}

fn signing() {
    run("SigningKey", "ECDSA", || {
        let mut key = SigningKey::from_bytes(&secret([9; 32])).unwrap();
        let mut public_key = key.public_key();
        public(&public_key);
        let digest = (&[8_u8; 32] as &dyn SignedBytes).digest(RustCrypto.sha256()).unwrap();
        let signature = key.sign_digest(&digest).unwrap();
        public(&signature);
        public_key = PublicKey::new(public_key.as_bytes()).unwrap();
        RustCrypto.verify(&public_key, &[8_u8; 32], &signature).unwrap();
    });
}

/// A comparison that ends at the first difference, and an index that is secret: what this program
/// is to find.
#[inline(never)]
fn leak() {
    let (a, b) = (secret([1; 32]), secret([2; 32]));
    let mut equal = true;
    for (a, b) in a.as_bytes().iter().zip(b.as_bytes()) {
        if black_box(*a) != black_box(*b) {
            equal = false;
            break;
        }
    }
    let table = black_box([7_u8; 256]);
    black_box((equal, table[usize::from(a.as_bytes()[0])]));
}
