//! The X.509 form of a certificate, which its signature covers.

use super::certificate::{Certificate, Form};
use super::der::{self, Der};
use crate::bytes::{Overflow, Sink};
use crate::crypto::{Crypto, HASH_LEN, HashSink, PUBLIC_KEY_LEN, Signature, SignedBytes};

impl Certificate<'_> {
    /// Writes the TBSCertificate in DER: the bytes that the issuer signs.
    ///
    /// The serial number is taken over as it is; see [`verify_signature`](Self::verify_signature)
    /// for the one case in which stacks differ. At most [`MAX_X509_LEN`](super::MAX_X509_LEN)
    /// bytes.
    ///
    /// # Errors
    /// [`Overflow`] if `sink` is too small.
    pub fn write_tbs(&self, sink: &mut dyn Sink) -> Result<(), Overflow> {
        self.tbs(&mut Der::new(sink), SerialForm::Verbatim)
    }

    /// Writes the whole X.509 certificate in DER.
    ///
    /// At most [`MAX_X509_LEN`](super::MAX_X509_LEN) bytes.
    ///
    /// # Errors
    /// [`Overflow`] if `sink` is too small.
    pub fn write_x509(&self, sink: &mut dyn Sink) -> Result<(), Overflow> {
        self.x509(&mut Der::new(sink))
    }

    /// Returns the SHA-256 digest of the TBSCertificate, which is what ECDSA signs.
    pub fn tbs_digest<C: Crypto>(&self, crypto: &C) -> [u8; HASH_LEN] {
        let mut sink = HashSink::new(crypto.sha256());
        let written = self.write_tbs(&mut sink);
        debug_assert!(written.is_ok(), "a hash takes any number of bytes");
        sink.finish()
    }

    /// Writes the TBSCertificate in one of its forms.
    pub(super) fn write_tbs_form(&self, sink: &mut dyn Sink, form: Form) -> Result<(), Overflow> {
        match form {
            Form::Usual => self.write_tbs(sink),
            Form::Other if self.has_other_form() => {
                self.tbs(&mut Der::new(sink), SerialForm::NonNegative)
            }
            Form::Other => Err(Overflow),
        }
    }

    /// Returns true if there is another TBSCertificate that stacks make of this certificate: with
    /// the serial number as a non-negative integer.
    pub(super) fn has_other_form(&self) -> bool {
        !is_non_negative_integer(self.serial_number())
    }

    pub(super) fn x509_len(&self) -> Result<usize, Overflow> {
        Der::measure(&|der| self.x509(der))
    }

    fn x509(&self, der: &mut Der<'_>) -> Result<(), Overflow> {
        der.nested(der::SEQUENCE, |der| {
            self.tbs(der, SerialForm::Verbatim)?;
            signed(der, &self.signature())
        })
    }

    fn tbs(&self, der: &mut Der<'_>, form: SerialForm) -> Result<(), Overflow> {
        der.nested(der::SEQUENCE, |der| {
            der.nested(der::context(0), |der| der.unsigned(&[VERSION_3]))?;
            match form {
                SerialForm::Verbatim => der.element(der::INTEGER, self.serial_number())?,
                SerialForm::NonNegative => der.unsigned(self.serial_number())?,
            }
            signature_algorithm(der)?;
            self.issuer().write_der(der)?;
            der.nested(der::SEQUENCE, |der| {
                time(der, self.not_before)?;
                time(der, self.not_after)
            })?;
            self.subject().write_der(der)?;
            public_key_info(der, self.public_key_octets())?;
            self.extensions.write_der(der)
        })
    }
}

/// The TBSCertificate in DER.
impl SignedBytes for Certificate<'_> {
    fn write(&self, sink: &mut dyn Sink) -> Result<(), Overflow> {
        self.write_tbs(sink)
    }
}

/// How the serial number becomes an INTEGER.
#[derive(Clone, Copy)]
enum SerialForm {
    /// The bytes are the INTEGER's content.
    Verbatim,
    /// The bytes are the magnitude of the INTEGER.
    NonNegative,
}

/// Returns true for the DER content of an INTEGER that is not negative: both [`SerialForm`]s are
/// one.
pub(super) fn is_non_negative_integer(content: &[u8]) -> bool {
    match content {
        [] => false,
        [0, next, ..] => *next >= 0x80,
        [first, ..] => *first < 0x80,
    }
}

fn signature_algorithm(der: &mut Der<'_>) -> Result<(), Overflow> {
    der.nested(der::SEQUENCE, |der| der.oid(&ECDSA_WITH_SHA256))
}

/// What follows the part that is signed: the algorithm and the signature.
pub(super) fn signed(der: &mut Der<'_>, signature: &Signature) -> Result<(), Overflow> {
    let (r, s) = signature.as_bytes().split_at(32);
    signature_algorithm(der)?;
    der.nested(der::BIT_STRING, |der| {
        der.raw(&[0])?; // no unused bits
        der.nested(der::SEQUENCE, |der| {
            der.unsigned(r)?;
            der.unsigned(s)
        })
    })
}

/// The SubjectPublicKeyInfo of a key.
pub(super) fn public_key_info(
    der: &mut Der<'_>,
    key: &[u8; PUBLIC_KEY_LEN],
) -> Result<(), Overflow> {
    der.nested(der::SEQUENCE, |der| {
        der.nested(der::SEQUENCE, |der| {
            der.oid(&EC_PUBLIC_KEY)?;
            der.oid(&PRIME256V1)
        })?;
        der.nested(der::BIT_STRING, |der| {
            der.raw(&[0])?; // no unused bits
            der.raw(key)
        })
    })
}

/// A point in time: two digits for the year before 2050, four from then on.
fn time(der: &mut Der<'_>, seconds: u32) -> Result<(), Overflow> {
    if seconds == 0 {
        return der.element(der::GENERALIZED_TIME, NO_EXPIRY);
    }
    let (year, month, day) = civil_date(seconds / SECONDS_PER_DAY);
    let second = seconds % SECONDS_PER_DAY;
    let digits = [
        two_digits(year / 100),
        two_digits(year % 100),
        two_digits(month),
        two_digits(day),
        two_digits(second / 3600),
        two_digits(second / 60 % 60),
        two_digits(second % 60),
    ];
    let (tag, digits) = match digits.split_first() {
        Some((_, short)) if year < 2050 => (der::UTC_TIME, short),
        _ => (der::GENERALIZED_TIME, &digits[..]),
    };
    der.nested(tag, |der| {
        der.raw(digits.as_flattened())?;
        der.raw(b"Z")
    })
}

/// Year, month and day, `days` after 2000-01-01.
///
/// Counts from 1 March, so that the leap day ends a year, and in cycles of 400 years.
const fn civil_date(days: u32) -> (u32, u32, u32) {
    // 1600-03-01 began the cycle that 2000-02-29 ends, 60 days after 2000-01-01 included.
    const DAYS_PER_CYCLE: u32 = 146_097;
    let since_1600 = days + DAYS_PER_CYCLE - 60;
    let cycle = since_1600 / DAYS_PER_CYCLE;
    let day_of_cycle = since_1600 % DAYS_PER_CYCLE;
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, carry) =
        if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
    (1600 + 400 * cycle + year_of_cycle + carry, month, day)
}

/// Decimal digits of a value below 100.
#[inline(never)]
const fn two_digits(value: u32) -> [u8; 2] {
    [b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]
}

const SECONDS_PER_DAY: u32 = 86_400;
const VERSION_3: u8 = 2;

/// How X.509 writes that a certificate has no expiry.
pub(super) const NO_EXPIRY: &[u8] = b"99991231235959Z";

/// 1.2.840.10045.4.3.2
pub(super) const ECDSA_WITH_SHA256: [u8; 8] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2];
/// 1.2.840.10045.2.1
pub(super) const EC_PUBLIC_KEY: [u8; 7] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1];
/// 1.2.840.10045.3.1.7
pub(super) const PRIME256V1: [u8; 8] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(civil_date(0), (2000, 1, 1));
        assert_eq!(civil_date(59), (2000, 2, 29));
        assert_eq!(civil_date(60), (2000, 3, 1));
        assert_eq!(civil_date(365), (2000, 12, 31));
        assert_eq!(civil_date(366), (2001, 1, 1));
        assert_eq!(civil_date(36_525), (2100, 1, 1));
        assert_eq!(civil_date(36_525 + 59), (2100, 3, 1));
        assert_eq!(civil_date(u32::MAX / SECONDS_PER_DAY), (2136, 2, 7));
    }

    /// Walks every day and counts along, month by month.
    #[test]
    fn every_day_follows_the_one_before() {
        let mut date = civil_date(0);
        for days in 1..=u32::MAX / SECONDS_PER_DAY {
            let (year, month, day) = date;
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + u32::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            date = match (day == last, month) {
                (false, _) => (year, month, day + 1),
                (true, 12) => (year + 1, 1, 1),
                (true, _) => (year, month + 1, 1),
            };
            assert_eq!(civil_date(days), date);
        }
    }
}
