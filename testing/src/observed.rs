//! An AEAD that tells an observer what its keys do.

use matter_session::crypto::{
    Aead, CryptoError, MIC_LEN, NONCE_LEN, OpenNonce, PrivacyNonce, SealNonce,
};

/// What a key is used for.
#[derive(Clone, Copy, Debug)]
pub enum Use {
    Seal,
    Open,
    OpenByTrial,
    Privacy,
}

/// Observes one key. It lives as long as the key.
pub trait Observer {
    /// The key is about to be used, with or without success.
    fn uses(&self, _what: Use) {}

    /// The key is about to seal a text.
    fn seals(&self, _nonce: [u8; NONCE_LEN], _aad: &[u8], _text: &[u8]) {}

    /// It has sealed it.
    fn sealed(&self, _nonce: [u8; NONCE_LEN], _aad: &[u8], _sealed: &[u8], _mic: &[u8; MIC_LEN]) {}

    /// It has opened a text.
    fn opened(&self, _nonce: [u8; NONCE_LEN], _aad: &[u8], _text: &[u8]) {}
}

/// A key and its observer.
#[derive(Debug)]
pub struct Observed<A, O> {
    pub inner: A,
    pub observer: O,
}

impl<A: Aead, O: Observer> Aead for Observed<A, O> {
    fn seal(
        &self,
        nonce: SealNonce,
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; MIC_LEN], CryptoError> {
        self.observer.uses(Use::Seal);
        let bytes = *nonce.as_bytes();
        self.observer.seals(bytes, aad, in_out);
        let mic = self.inner.seal(nonce, aad, in_out)?;
        self.observer.sealed(bytes, aad, in_out, &mic);
        Ok(mic)
    }

    fn open(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        self.observer.uses(Use::Open);
        self.inner.open(nonce, aad, in_out, mic)?;
        self.observer.opened(*nonce.as_bytes(), aad, in_out);
        Ok(())
    }

    fn open_by_trial(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        self.observer.uses(Use::OpenByTrial);
        self.inner.open_by_trial(nonce, aad, in_out, mic)?;
        self.observer.opened(*nonce.as_bytes(), aad, in_out);
        Ok(())
    }

    fn apply_privacy(&self, nonce: PrivacyNonce, in_out: &mut [u8]) -> Result<(), CryptoError> {
        self.observer.uses(Use::Privacy);
        self.inner.apply_privacy(nonce, in_out)
    }
}
