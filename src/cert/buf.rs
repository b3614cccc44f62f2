//! A certificate's bytes, owned.

use core::fmt;

use super::{CertError, Certificate, MAX_CERT_LEN};
use crate::bytes::{Overflow, Sink};

/// Room for one certificate in Matter TLV, inline: no allocation.
///
/// Holds any bytes up to [`MAX_CERT_LEN`]; [`certificate`](Self::certificate) reads them.
#[derive(Clone)]
pub struct CertificateBuf {
    octets: [u8; MAX_CERT_LEN],
    len: u16,
}

impl CertificateBuf {
    /// Makes an empty buffer.
    #[must_use]
    pub const fn new() -> Self {
        Self { octets: [0; MAX_CERT_LEN], len: 0 }
    }

    /// Returns the bytes of the certificate.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.len()).unwrap_or_default()
    }

    #[cfg(feature = "issue")]
    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.octets.get_mut(..usize::from(self.len)).unwrap_or_default()
    }

    /// Holds these bytes from now on.
    ///
    /// # Errors
    /// [`CertError::TooLong`] above [`MAX_CERT_LEN`], or which other form of a certificate it is;
    /// the buffer is empty then.
    pub(crate) fn set(&mut self, octets: &[u8]) -> Result<(), CertError> {
        self.len = 0;
        let other = || CertError::other_form(octets).unwrap_or(CertError::TooLong);
        self.put(octets).map_err(|_| other())
    }

    /// Returns the number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Returns true if the buffer holds nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads the certificate.
    ///
    /// # Errors
    /// Those of [`Certificate::parse`].
    pub fn certificate(&self) -> Result<Certificate<'_>, CertError> {
        Certificate::parse(self.as_slice())
    }
}

impl Default for CertificateBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl TryFrom<&[u8]> for CertificateBuf {
    type Error = CertError;

    /// Copies the bytes. Above [`MAX_CERT_LEN`] it fails: with [`CertError::Der`] or
    /// [`CertError::Text`] if they are another form of a certificate, else with
    /// [`CertError::TooLong`].
    fn try_from(octets: &[u8]) -> Result<Self, CertError> {
        let mut buf = Self::new();
        buf.set(octets)?;
        Ok(buf)
    }
}

impl From<&Certificate<'_>> for CertificateBuf {
    fn from(certificate: &Certificate<'_>) -> Self {
        // A parsed certificate always fits.
        Self::try_from(certificate.as_bytes()).unwrap_or_default()
    }
}

impl Sink for CertificateBuf {
    fn put(&mut self, octets: &[u8]) -> Result<(), Overflow> {
        let start = self.len();
        let end = start.checked_add(octets.len()).ok_or(Overflow)?;
        let room = self.octets.get_mut(start..end).ok_or(Overflow)?;
        self.len = u16::try_from(end).map_err(|_| Overflow)?;
        room.copy_from_slice(octets);
        Ok(())
    }
}

impl AsRef<[u8]> for CertificateBuf {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for CertificateBuf {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for CertificateBuf {}

impl fmt::Debug for CertificateBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateBuf({} bytes)", self.len)
    }
}
