//! The methods of each part by those of another backend. The names that these macros use must be
//! in scope where they are called.

macro_rules! forward_cipher {
    ($self:ident => $inner:expr) => {
        fn aead(&$self, key: &Secret<KEY_LEN>) -> Self::Aead {
            $inner.aead(key)
        }

        fn seal_once(
            &$self,
            key: &Secret<KEY_LEN>,
            nonce: SealNonce,
            aad: &[u8],
            in_out: &mut [u8],
        ) -> Result<[u8; MIC_LEN], CryptoError> {
            $inner.seal_once(key, nonce, aad, in_out)
        }

        fn open_once(
            &$self,
            key: &Secret<KEY_LEN>,
            nonce: OpenNonce,
            aad: &[u8],
            in_out: &mut [u8],
            mic: &[u8; MIC_LEN],
        ) -> Result<(), CryptoError> {
            $inner.open_once(key, nonce, aad, in_out, mic)
        }

        fn seal_batch(&$self, jobs: &mut [SealJob<'_, Self::Aead>]) {
            $inner.seal_batch(jobs);
        }

        fn open_batch(&$self, jobs: &mut [OpenJob<'_, Self::Aead>]) {
            $inner.open_batch(jobs);
        }
    };
}

macro_rules! forward_hashing {
    ($self:ident => $inner:expr) => {
        fn sha256(&$self) -> Self::Sha256 {
            $inner.sha256()
        }

        fn hmac(&$self, key: &[u8], parts: &[&[u8]]) -> Result<[u8; HASH_LEN], CryptoError> {
            $inner.hmac(key, parts)
        }

        fn hkdf(
            &$self,
            secret: &[u8],
            salt: &[u8],
            info: &[u8],
            out: &mut [u8],
        ) -> Result<(), CryptoError> {
            $inner.hkdf(secret, salt, info, out)
        }

        fn pbkdf2_rounds(
            &$self,
            password: &[u8],
            rounds: u32,
            last: &mut Secret<HASH_LEN>,
            sum: &mut Secret<HASH_LEN>,
        ) -> Result<(), CryptoError> {
            $inner.pbkdf2_rounds(password, rounds, last, sum)
        }

        fn pbkdf2(
            &$self,
            password: &[u8],
            salt: &[u8],
            iterations: u32,
            out: &mut [u8],
        ) -> Result<(), CryptoError> {
            $inner.pbkdf2(password, salt, iterations, out)
        }
    };
}

macro_rules! forward_curve {
    ($self:ident => $inner:expr) => {
        fn ephemeral(&$self, rng: &mut dyn CryptoRng) -> Result<Self::Ephemeral, CryptoError> {
            $inner.ephemeral(rng)
        }

        fn verify(
            &$self,
            key: &PublicKey,
            signed: &dyn SignedBytes,
            signature: &Signature,
        ) -> Result<(), CryptoError> {
            $inner.verify(key, signed, signature)
        }
    };
}

macro_rules! forward_spake2p {
    ($self:ident => $inner:expr) => {
        fn point_mul(
            &$self,
            scalar: &Secret<32>,
            point: &[u8; PUBLIC_KEY_LEN],
        ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
            $inner.point_mul(scalar, point)
        }

        fn point_add(
            &$self,
            a: &[u8; PUBLIC_KEY_LEN],
            b: &[u8; PUBLIC_KEY_LEN],
        ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
            $inner.point_add(a, b)
        }

        fn random_scalar(&$self, rng: &mut dyn CryptoRng) -> Result<Secret<32>, CryptoError> {
            $inner.random_scalar(rng)
        }

        fn spake_reduce(&$self, wide: &[u8; 40]) -> Result<Secret<32>, CryptoError> {
            $inner.spake_reduce(wide)
        }

        fn spake_l(&$self, w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
            $inner.spake_l(w1)
        }

        fn spake_blind(
            &$self,
            w0: &Secret<32>,
            blind: Blind,
            point: &[u8; PUBLIC_KEY_LEN],
        ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
            $inner.spake_blind(w0, blind, point)
        }

        fn spake_unblind(
            &$self,
            w0: &Secret<32>,
            blind: Blind,
            share: &PublicKey,
        ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
            $inner.spake_unblind(w0, blind, share)
        }

        #[cfg(feature = "std")]
        fn spake_prepare(
            &$self,
            w0: &Secret<32>,
            l: &PublicKey,
        ) -> Result<Option<Arc<dyn SpakeVerifier>>, CryptoError> {
            $inner.spake_prepare(w0, l)
        }
    };
}

pub(super) use {forward_cipher, forward_curve, forward_hashing, forward_spake2p};
