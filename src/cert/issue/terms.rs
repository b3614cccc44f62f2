//! The parts of a certificate that its issuer is free to choose.

use rand_core::CryptoRng;

use crate::cert::certificate::{Certificate, MAX_SERIAL_LEN};
use crate::cert::x509::is_non_negative_integer;
use crate::time::MatterTime;

/// The serial number of a certificate: 1 to 20 bytes, unique for its issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialNumber {
    bytes: [u8; MAX_SERIAL_LEN],
    len: usize,
}

impl SerialNumber {
    const RANDOM_LEN: usize = 16;

    /// Makes the serial number with these big-endian bytes.
    ///
    /// `None` unless they are 1 to 20 bytes, do not begin with a needless zero byte, and have
    /// their first bit clear: stacks do not agree on the X.509 form of any other.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut serial = Self { bytes: [0; MAX_SERIAL_LEN], len: bytes.len() };
        serial.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        is_non_negative_integer(bytes).then_some(serial)
    }

    /// Makes a positive number of 16 bytes, 126 bits of which are random.
    #[must_use]
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut serial = Self { bytes: [0; MAX_SERIAL_LEN], len: Self::RANDOM_LEN };
        let (bytes, _) = serial.bytes.split_at_mut(Self::RANDOM_LEN);
        rng.fill_bytes(bytes);
        if let Some(first) = bytes.first_mut() {
            *first = *first & 0x7F | 0x40;
        }
        serial
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The validity period of a certificate, with its first and last second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub(super) not_before: MatterTime,
    pub(super) not_after: Option<MatterTime>,
}

impl Validity {
    /// Makes a validity period. With `None` for `not_after`, it never ends.
    ///
    /// Returns `None` if the period is empty, or begins with the very first second of the year
    /// 2000, for which certificates have no notation.
    #[must_use]
    pub fn new(not_before: MatterTime, not_after: Option<MatterTime>) -> Option<Self> {
        let begins = not_before.as_seconds() > 0;
        let lasts = not_after.is_none_or(|end| end > not_before);
        (begins && lasts).then_some(Self { not_before, not_after })
    }

    /// Makes the validity period that begins at this time and never ends. The very first second of
    /// the year 2000 has no notation, and counts as the second one.
    #[must_use]
    pub const fn since(not_before: MatterTime) -> Self {
        let seconds = not_before.as_seconds();
        let not_before = MatterTime::from_seconds(if seconds == 0 { 1 } else { seconds });
        Self { not_before, not_after: None }
    }

    /// The validity period of a certificate.
    #[cfg(feature = "rustcrypto")]
    pub(crate) const fn of(certificate: &Certificate<'_>) -> Self {
        Self { not_before: certificate.not_before(), not_after: certificate.not_after() }
    }

    /// Returns true if an authority is valid from the first second to the last.
    pub(super) fn is_within(&self, authority: &Certificate<'_>) -> bool {
        let ends = authority.not_after();
        let ends_first = ends.is_none_or(|end| self.not_after.is_some_and(|own| own <= end));
        authority.not_before() <= self.not_before && ends_first
    }
}
