//! An allocator that looks for known secrets in every block that is freed, and a crypto backend
//! that tells it the secrets.
//!
//! A reallocation is an allocation, a copy and a free here, so it is looked at as well. A value
//! that is dropped properly is wiped before its block is freed: whatever is found was left behind
//! by a move, or was not wiped.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use matter_session::crypto::{
    Blind, Cipher, CryptoError, Curve, Hashing, KeyPair, MIC_LEN, OpenNonce, PublicKey, RustCrypto,
    SealNonce, Secret, Sha256State, Signature, SignedBytes, Spake2p, SpakeVerifier,
};
use matter_session::rand_core::CryptoRng;

/// The allocator, to be the global one of a test target.
pub struct Watch;

/// What a secret is of. The names are those of [`Found`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A key of AES-128-CCM: of a session, a group, a Check-In client, or used once.
    AeadKey,
    /// A secret that keys are derived from, or a key of an HMAC: records, IPKs, epoch keys.
    Input,
    /// What was derived: session keys, attestation challenges, operational keys.
    Derived,
    /// What PASE computes with: `w0`, `w1`, `L`, and the drawn scalars.
    Pase,
    /// The result of PASE, or of a key agreement.
    Agreed,
    /// Private bytes of a key pair that was drawn.
    Drawn,
    /// What a test has named itself.
    Named,
    /// A passcode, whose four bytes are looked for.
    Passcode,
}

const KINDS: usize = 8;
const PLACES: usize = 1 << 16;
/// Windows of eight bytes, with the kind in a second row. Zero is vacant.
static WINDOWS: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];
static KIND_OF: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];
static PASSCODE: AtomicU32 = AtomicU32::new(0);
static NOTED: AtomicUsize = AtomicUsize::new(0);
static FOUND: [AtomicUsize; KINDS] = [const { AtomicUsize::new(0) }; KINDS];
static SIZES: [AtomicUsize; KINDS] = [const { AtomicUsize::new(0) }; KINDS];

thread_local! {
    static WATCHING: Cell<bool> = const { Cell::new(false) };
}

/// One test at a time knows secrets.
static TURN: Mutex<()> = Mutex::new(());

/// Watches the blocks that this thread frees, until it is dropped.
pub struct Watching {
    _turn: MutexGuard<'static, ()>,
}

/// How many secrets of a kind were found in freed blocks, and the size of the last such block.
#[derive(Debug, PartialEq, Eq)]
pub struct Found(pub Vec<(&'static str, usize, usize)>);

impl Watching {
    /// Forgets all secrets, and begins to watch.
    pub fn begin() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        for place in &WINDOWS {
            place.store(0, Relaxed);
        }
        PASSCODE.store(0, Relaxed);
        NOTED.store(0, Relaxed);
        for count in &FOUND {
            count.store(0, Relaxed);
        }
        WATCHING.set(true);
        Self { _turn: turn }
    }

    /// What was found in freed blocks.
    pub fn found(&self) -> Found {
        const NAMES: [&str; KINDS] =
            ["AeadKey", "Input", "Derived", "Pase", "Agreed", "Drawn", "Named", "Passcode"];
        WATCHING.set(false);
        let counts = FOUND.iter().zip(&SIZES).map(|(n, size)| (n.load(Relaxed), size.load(Relaxed)));
        let found = NAMES.into_iter().zip(counts).map(|(name, (n, size))| (name, n, size));
        let found = found.filter(|(_, n, _)| *n > 0).collect();
        WATCHING.set(true);
        Found(found)
    }

    /// How many windows of secrets are looked for.
    pub fn noted(&self) -> usize {
        NOTED.load(Relaxed)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        WATCHING.set(false);
    }
}

/// Looks for a secret from now on: each of its parts of eight bytes, in this order of bytes and in
/// the other, which numbers of the curve have in memory. Parts with hardly any different bytes are
/// left out, as memory is full of them.
pub fn note(secret: &[u8], kind: Kind) {
    for part in secret.as_chunks::<8>().0 {
        let mut different = *part;
        different.sort_unstable();
        if different.windows(2).filter(|pair| pair[0] != pair[1]).count() < 4 {
            continue;
        }
        for window in [u64::from_le_bytes(*part), u64::from_be_bytes(*part)] {
            let (Ok(place) | Err(place)) = find(window);
            if WINDOWS[place].swap(window, Relaxed) == 0 {
                KIND_OF[place].store(kind as u64, Relaxed);
                assert!(NOTED.fetch_add(1, Relaxed) < PLACES / 2, "too many secrets");
            }
        }
    }
}

/// Looks for a passcode from now on, instead of the one before.
pub fn note_passcode(passcode: u32) {
    PASSCODE.store(passcode, Relaxed);
}

/// The place of a window, or the vacant one where it would be.
fn find(window: u64) -> Result<usize, usize> {
    let mut place = (window.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as usize;
    loop {
        match WINDOWS[place].load(Relaxed) {
            0 => return Err(place),
            known if known == window => return Ok(place),
            _ => place = (place + 1) % PLACES,
        }
    }
}

// SAFETY: every call is passed on to the allocator of the system.
unsafe impl GlobalAlloc for Watch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // All zero, so that no block shows what another one has left.
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // In the last moments of a thread there may be no such variable any more.
        if WATCHING.try_with(Cell::get).unwrap_or(false) {
            // SAFETY: the block is as long as its layout says, and initialised: it began as zeros.
            look(unsafe { core::slice::from_raw_parts(block, layout.size()) });
        }
        // SAFETY: the caller keeps to the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

fn look(block: &[u8]) {
    for window in block.windows(8) {
        let window = u64::from_le_bytes(window.try_into().unwrap_or_default());
        if window != 0
            && let Ok(place) = find(window)
        {
            found(KIND_OF[place].load(Relaxed) as usize, block.len());
        }
    }
    let passcode = PASSCODE.load(Relaxed).to_le_bytes();
    if passcode != [0; 4] && block.windows(4).any(|window| window == passcode) {
        found(Kind::Passcode as usize, block.len());
    }
}

fn found(kind: usize, size: usize) {
    FOUND[kind].fetch_add(1, Relaxed);
    SIZES[kind].store(size, Relaxed);
}

/// [`RustCrypto`], or another backend; every secret that passes through it is noted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Noting<B = RustCrypto>(pub B);

/// A key pair whose agreement is noted.
pub struct NotedPair<P>(P);

impl<P: KeyPair> KeyPair for NotedPair<P> {
    fn public(&self) -> PublicKey {
        self.0.public()
    }

    fn agree(&self, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
        let agreed = self.0.agree(peer)?;
        note(agreed.as_bytes(), Kind::Agreed);
        Ok(agreed)
    }
}

impl<B: Cipher> Cipher for Noting<B> {
    type Aead = B::Aead;

    fn aead(&self, key: &Secret<16>) -> B::Aead {
        note(key.as_bytes(), Kind::AeadKey);
        self.0.aead(key)
    }

    fn seal_once(
        &self,
        key: &Secret<16>,
        nonce: SealNonce,
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; MIC_LEN], CryptoError> {
        note(key.as_bytes(), Kind::AeadKey);
        self.0.seal_once(key, nonce, aad, in_out)
    }

    fn open_once(
        &self,
        key: &Secret<16>,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        note(key.as_bytes(), Kind::AeadKey);
        self.0.open_once(key, nonce, aad, in_out, mic)
    }
}

impl<B: Hashing<Sha256 = Sha256State>> Hashing for Noting<B> {
    type Sha256 = Sha256State;

    fn sha256(&self) -> Sha256State {
        self.0.sha256()
    }

    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> Result<[u8; 32], CryptoError> {
        note(key, Kind::Input);
        self.0.hmac(key, parts)
    }

    fn hkdf(
        &self,
        secret: &[u8],
        salt: &[u8],
        info: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.0.hkdf(secret, salt, info, out)?;
        // That of the compressed fabric id is public.
        if info != b"CompressedFabric" {
            note(secret, Kind::Input);
            note(out, Kind::Derived);
        }
        Ok(())
    }

    fn pbkdf2_rounds(
        &self,
        password: &[u8],
        rounds: u32,
        last: &mut Secret<32>,
        sum: &mut Secret<32>,
    ) -> Result<(), CryptoError> {
        self.0.pbkdf2_rounds(password, rounds, last, sum)?;
        note(last.as_bytes(), Kind::Pase);
        note(sum.as_bytes(), Kind::Pase);
        Ok(())
    }
}

impl<B: Curve + Spake2p> Curve for Noting<B> {
    type Ephemeral = NotedPair<B::Ephemeral>;

    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<Self::Ephemeral, CryptoError> {
        let mut drawn = DrawnFrom(rng);
        self.0.ephemeral(&mut drawn).map(NotedPair)
    }

    fn verify(
        &self,
        key: &PublicKey,
        signed: &dyn SignedBytes,
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        self.0.verify(key, signed, signature)
    }
}

/// A source of randomness whose bytes are noted.
struct DrawnFrom<'a>(&'a mut dyn CryptoRng);

impl matter_session::rand_core::TryRng for DrawnFrom<'_> {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill_bytes(bytes);
        note(bytes, Kind::Drawn);
        Ok(())
    }
}

impl matter_session::rand_core::TryCryptoRng for DrawnFrom<'_> {}

fn pase(secrets: &[&[u8]]) {
    for secret in secrets {
        note(secret, Kind::Pase);
    }
}

/// The coordinates of a point, after the byte that says that it has both.
fn coordinates(point: &[u8; 65]) -> &[u8] {
    point.get(1..).unwrap_or_default()
}

impl<B: Spake2p> Spake2p for Noting<B> {
    fn point_mul(&self, by: &Secret<32>, point: &[u8; 65]) -> Result<Secret<65>, CryptoError> {
        let product = self.0.point_mul(by, point)?;
        note(coordinates(product.as_bytes()), Kind::Agreed);
        Ok(product)
    }

    fn point_add(&self, a: &[u8; 65], b: &[u8; 65]) -> Result<Secret<65>, CryptoError> {
        self.0.point_add(a, b)
    }

    fn random_scalar(&self, rng: &mut dyn CryptoRng) -> Result<Secret<32>, CryptoError> {
        let scalar = self.0.random_scalar(rng)?;
        pase(&[scalar.as_bytes()]);
        Ok(scalar)
    }

    fn spake_reduce(&self, wide: &[u8; 40]) -> Result<Secret<32>, CryptoError> {
        let scalar = self.0.spake_reduce(wide)?;
        pase(&[wide, scalar.as_bytes()]);
        Ok(scalar)
    }

    fn spake_l(&self, w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
        let l = self.0.spake_l(w1)?;
        pase(&[w1.as_bytes(), coordinates(l.as_bytes())]);
        Ok(l)
    }

    fn spake_blind(
        &self,
        w0: &Secret<32>,
        blind: Blind,
        point: &[u8; 65],
    ) -> Result<Secret<65>, CryptoError> {
        // The blinded share is public.
        self.0.spake_blind(w0, blind, point)
    }

    fn spake_unblind(
        &self,
        w0: &Secret<32>,
        blind: Blind,
        share: &PublicKey,
    ) -> Result<Secret<65>, CryptoError> {
        pase(&[w0.as_bytes()]);
        let unblinded = self.0.spake_unblind(w0, blind, share)?;
        note(coordinates(unblinded.as_bytes()), Kind::Agreed);
        Ok(unblinded)
    }

    fn spake_prepare(
        &self,
        w0: &Secret<32>,
        l: &PublicKey,
    ) -> Result<Option<Arc<dyn SpakeVerifier>>, CryptoError> {
        pase(&[coordinates(l.as_bytes()), w0.as_bytes()]);
        let prepared = self.0.spake_prepare(w0, l)?;
        Ok(prepared.map(|inner| Arc::new(NotedVerifier(inner)) as Arc<dyn SpakeVerifier>))
    }
}

struct NotedVerifier(Arc<dyn SpakeVerifier>);

impl SpakeVerifier for NotedVerifier {
    fn z(&self, y: &Secret<32>, x_share: &PublicKey) -> Result<Secret<65>, CryptoError> {
        let z = self.0.z(y, x_share)?;
        note(coordinates(z.as_bytes()), Kind::Agreed);
        Ok(z)
    }

    fn share(&self, y: &Secret<32>) -> Result<PublicKey, CryptoError> {
        self.0.share(y)
    }

    fn v(&self, y: &Secret<32>) -> Result<Secret<65>, CryptoError> {
        let v = self.0.v(y)?;
        note(coordinates(v.as_bytes()), Kind::Agreed);
        Ok(v)
    }
}
