//! The view of one certificate.

use super::extensions::{BasicConstraints, ExtendedKeyUsage, Extensions, KeyIdentifier, KeyUsage};
use super::name::{CertKind, DistinguishedName, Subject};
use super::{CertError, MAX_CERT_LEN, MAX_X509_LEN};
use crate::bytes::{Overflow, Sink, debug_lengths};
use crate::crypto::{
    Crypto, CryptoError, PUBLIC_KEY_LEN, PublicKey, SIGNATURE_LEN, Signature, SignedBytes,
};
use crate::ids::{CaseAuthTags, FabricId, NodeId};
use crate::time::MatterTime;
use crate::tlv::{Container, Value};

/// A certificate in Matter TLV, read without copying.
///
/// A value of this type is well formed, but nothing about it is verified: see
/// [`verify_chain`](super::verify_chain).
#[derive(Clone, Copy)]
pub struct Certificate<'a> {
    octets: &'a [u8],
    serial_number: &'a [u8],
    issuer: DistinguishedName<'a>,
    pub(super) not_before: u32,
    pub(super) not_after: u32,
    subject: DistinguishedName<'a>,
    identity: Subject,
    public_key: &'a [u8; PUBLIC_KEY_LEN],
    pub(super) extensions: Extensions<'a>,
    signature: &'a [u8; SIGNATURE_LEN],
}

debug_lengths!(Certificate[]['_]: subject, issuer, not_before, not_after; octets);

impl<'a> Certificate<'a> {
    /// Reads a certificate of at most [`MAX_CERT_LEN`] bytes, which must fill `octets`.
    ///
    /// Everything is refused that cannot be a certificate of any kind: unknown fields,
    /// attributes, extensions and algorithms, identifiers out of range, subjects that contradict
    /// themselves. X.509 in DER and text such as PEM are recognised.
    /// [Core, "Operational Certificate Encoding"]
    ///
    /// # Errors
    /// Every [`CertError`] except [`CertError::Signature`].
    pub fn parse(octets: &'a [u8]) -> Result<Self, CertError> {
        if let Some(other) = CertError::other_form(octets) {
            return Err(other);
        }
        if octets.len() > MAX_CERT_LEN {
            return Err(CertError::TooLong);
        }
        let mut fields = Container::message(octets)?;
        if Container::message_len(octets)? != octets.len() {
            return Err(CertError::TrailingBytes);
        }
        let serial_number = fields.field(tag::SERIAL_NUMBER)?.bytes()?;
        if serial_number.is_empty() {
            return Err(CertError::SerialNumber);
        }
        expect_algorithm(fields.field(tag::SIGNATURE_ALGORITHM)?)?;
        let issuer = DistinguishedName::parse(fields.field(tag::ISSUER)?)?;
        let not_before = fields.field(tag::NOT_BEFORE)?.u32()?;
        let not_after = fields.field(tag::NOT_AFTER)?.u32()?;
        if not_after != 0 && not_after <= not_before {
            return Err(CertError::Validity);
        }
        let subject = DistinguishedName::parse(fields.field(tag::SUBJECT)?)?;
        let identity = Subject::of(&subject)?;
        expect_algorithm(fields.field(tag::PUBLIC_KEY_ALGORITHM)?)?;
        expect_algorithm(fields.field(tag::CURVE)?)?;
        let public_key = fields.field(tag::PUBLIC_KEY)?.array::<PUBLIC_KEY_LEN>()?;
        PublicKey::new(public_key).map_err(|_| CertError::PublicKey)?;
        let extensions = Extensions::parse(fields.field(tag::EXTENSIONS)?)?;
        let signature = fields.field(tag::SIGNATURE)?.array::<SIGNATURE_LEN>()?;
        fields.expect_end()?;
        let certificate = Self {
            octets,
            serial_number,
            issuer,
            not_before,
            not_after,
            subject,
            identity,
            public_key,
            extensions,
            signature,
        };
        match certificate.x509_len() {
            Ok(0..=MAX_X509_LEN) => Ok(certificate),
            _ => Err(CertError::TooLong),
        }
    }

    /// Returns the TLV that was read.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.octets
    }

    /// Returns the serial number: the content of a DER INTEGER. It has 1 to 20 bytes, or more: see
    /// [`Tolerance::LongSerialNumber`](super::Tolerance::LongSerialNumber).
    #[must_use]
    pub const fn serial_number(&self) -> &'a [u8] {
        self.serial_number
    }

    /// Returns the subject.
    #[must_use]
    pub const fn subject(&self) -> &DistinguishedName<'a> {
        &self.subject
    }

    /// Returns the issuer.
    #[must_use]
    pub const fn issuer(&self) -> &DistinguishedName<'a> {
        &self.issuer
    }

    /// Returns the kind of the certificate, by its subject.
    #[must_use]
    pub const fn kind(&self) -> CertKind {
        self.identity.kind
    }

    /// Returns the subject's node identifier: of a NOC, and of no other kind.
    #[must_use]
    pub const fn node_id(&self) -> Option<NodeId> {
        self.identity.node_id
    }

    /// Returns the subject's fabric identifier: always there in a NOC, optional in an RCAC or ICAC.
    #[must_use]
    pub const fn fabric_id(&self) -> Option<FabricId> {
        self.identity.fabric_id
    }

    /// Returns the subject's CASE Authenticated Tags; none unless it is a NOC.
    #[must_use]
    pub const fn cats(&self) -> CaseAuthTags {
        self.identity.cats
    }

    /// Returns the first second of the validity period.
    #[must_use]
    pub const fn not_before(&self) -> MatterTime {
        MatterTime::from_seconds(self.not_before)
    }

    /// Returns the last second of the validity period; `None` if the certificate never expires.
    #[must_use]
    pub const fn not_after(&self) -> Option<MatterTime> {
        match self.not_after {
            0 => None,
            seconds => Some(MatterTime::from_seconds(seconds)),
        }
    }

    /// Returns the subject's public key. It is not checked to be on the curve before it is used.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        PublicKey::checked(self.public_key)
    }

    /// Returns true if the subject is an authority.
    #[must_use]
    pub const fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.extensions.basic_constraints
    }

    /// Returns what the key may be used for.
    #[must_use]
    pub const fn key_usage(&self) -> Option<KeyUsage> {
        self.extensions.key_usage
    }

    /// Returns the purposes that the key may be used for.
    #[must_use]
    pub const fn extended_key_usage(&self) -> Option<ExtendedKeyUsage> {
        self.extensions.extended_key_usage
    }

    /// Returns the name of the subject's key.
    #[must_use]
    pub const fn subject_key_id(&self) -> Option<&'a KeyIdentifier> {
        self.extensions.subject_key_id
    }

    /// Returns the name of the issuer's key.
    #[must_use]
    pub const fn authority_key_id(&self) -> Option<&'a KeyIdentifier> {
        self.extensions.authority_key_id
    }

    /// Returns true if the certificate carries an extension that is unknown and marked critical,
    /// which bars it from every chain.
    #[must_use]
    pub const fn has_critical_unknown_extension(&self) -> bool {
        self.extensions.has_critical_unknown
    }

    /// Returns the issuer's signature over the X.509 form.
    #[must_use]
    pub const fn signature(&self) -> Signature {
        Signature::new(*self.signature)
    }

    /// Returns true if the certificate names itself as its issuer, by name and by key identifier.
    ///
    /// [`verify_signature`](Self::verify_signature) checks that it signed itself as well.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.is_issued_by(self)
    }

    /// Returns true if `issuer`'s subject and key identifier are those that this certificate
    /// points to.
    pub(super) fn is_issued_by(&self, issuer: &Certificate<'_>) -> bool {
        self.issuer == issuer.subject
            && self.authority_key_id().is_some()
            && self.authority_key_id() == issuer.subject_key_id()
    }

    /// Checks the signature, and nothing else, with the issuer's key.
    ///
    /// A serial number that is no positive DER integer (one whose first bit is set, say) has two
    /// readings: connectedhomeip takes it over into X.509 as it is, a negative number; matter.js
    /// makes a positive one of it. A signature over either counts.
    ///
    /// # Errors
    /// [`CertError::Signature`] if it does not verify or the key is no point of the curve.
    pub fn verify_signature<C: Crypto>(
        &self,
        crypto: &C,
        issuer_key: &PublicKey,
    ) -> Result<(), CertError> {
        SignatureClaim::of(self, issuer_key.as_bytes()).verify(crypto)
    }

    /// Returns the bytes of the public key, as they stand in the certificate.
    pub(crate) const fn public_key_octets(&self) -> &'a [u8; PUBLIC_KEY_LEN] {
        self.public_key
    }
}

/// Which X.509 form of a certificate its signature is verified over: some can be written in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Usual,
    Other,
}

/// A signature that is still to be verified, with what it takes.
///
/// It is a third of a certificate's view, which need not lie on the stack any more when the
/// backend begins its work: that takes more than all else.
#[derive(Clone, Copy)]
pub(super) struct SignatureClaim<'a> {
    certificate: &'a [u8],
    signature: &'a [u8; SIGNATURE_LEN],
    issuer_key: &'a [u8; PUBLIC_KEY_LEN],
}

impl<'a> SignatureClaim<'a> {
    pub(super) const fn of(
        certificate: &Certificate<'a>,
        issuer_key: &'a [u8; PUBLIC_KEY_LEN],
    ) -> Self {
        let Certificate { octets, signature, .. } = *certificate;
        Self { certificate: octets, signature, issuer_key }
    }

    pub(super) fn verify<C: Crypto>(&self, crypto: &C) -> Result<(), CertError> {
        if self.verify_form(crypto, Form::Usual)? {
            return Ok(());
        }
        self.verify_form(crypto, Form::Other).map(|_| ())
    }

    /// Verifies the signature over one form of the certificate. Returns false if it is to be verified
    /// over the other form.
    pub(super) fn verify_form<C: Crypto>(&self, crypto: &C, form: Form) -> Result<bool, CertError> {
        match (self.verify_over(crypto, form), form) {
            (Ok(()), _) => Ok(true),
            (Err(_), Form::Usual) if has_other_form(self.certificate) => Ok(false),
            (Err(_), _) => Err(CertError::Signature),
        }
    }

    pub(super) fn verify_over<C: Crypto>(&self, crypto: &C, form: Form) -> Result<(), CryptoError> {
        let key = PublicKey::checked(self.issuer_key);
        let tbs = Tbs { certificate: self.certificate, form };
        crypto.verify(&key, &tbs, &Signature::new(*self.signature))
    }
}

/// What an issuer signs of a certificate.
struct Tbs<'a> {
    certificate: &'a [u8],
    form: Form,
}

impl SignedBytes for Tbs<'_> {
    /// Reads the certificate once more: its view leaves the stack before the curve is computed on.
    #[inline(never)]
    fn write(&self, sink: &mut dyn Sink) -> Result<(), Overflow> {
        Certificate::parse(self.certificate).map_err(|_| Overflow)?.write_tbs_form(sink, self.form)
    }
}

#[inline(never)]
fn has_other_form(certificate: &[u8]) -> bool {
    Certificate::parse(certificate).is_ok_and(|certificate| certificate.has_other_form())
}

/// Each algorithm field has one permitted value.
fn expect_algorithm(value: Value<'_>) -> Result<(), CertError> {
    if value.u64()? == ALGORITHM { Ok(()) } else { Err(CertError::Algorithm) }
}

/// The field tags of the certificate structure.
pub(super) mod tag {
    pub(crate) const SERIAL_NUMBER: u8 = 1;
    pub(crate) const SIGNATURE_ALGORITHM: u8 = 2;
    pub(crate) const ISSUER: u8 = 3;
    pub(crate) const NOT_BEFORE: u8 = 4;
    pub(crate) const NOT_AFTER: u8 = 5;
    pub(crate) const SUBJECT: u8 = 6;
    pub(crate) const PUBLIC_KEY_ALGORITHM: u8 = 7;
    pub(crate) const CURVE: u8 = 8;
    pub(crate) const PUBLIC_KEY: u8 = 9;
    pub(crate) const EXTENSIONS: u8 = 10;
    pub(crate) const SIGNATURE: u8 = 11;
}

/// ECDSA-SHA256, EC and prime256v1 all have the number 1 in their fields.
pub(super) const ALGORITHM: u64 = 1;

/// The longest serial number of the specification, in bytes.
pub(super) const MAX_SERIAL_LEN: usize = 20;
