//! X.509 certificates, converted to Matter TLV.

use der::Tag as DerTag;
use der::Tagged as _;
use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use thiserror::Error;

use super::{Elements, Refusal, context};
use crate::bytes::{Overflow, Sink};
use crate::cert::certificate::{ALGORITHM, tag};
use crate::cert::extensions::{
    AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, ExtendedKeyUsage, KEY_USAGE,
    SUBJECT_KEY_ID, certificate_extension,
};
use crate::cert::name::{Attribute, TextAttribute, matter_tag};
use crate::cert::{CertError, CertificateBuf, x509};
use crate::time::MatterTime;
use crate::tlv::{Tag, Writer};

/// A certificate could not be converted to Matter TLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum X509Error {
    /// Not an X.509 certificate in DER.
    #[error("not an X.509 certificate in DER")]
    Der,
    /// Matter TLV cannot express its content: for example an attribute that Matter does not
    /// define, two attributes in one part of a name, or a time before 2000 or after 2136.
    #[error("X.509 certificate with content that Matter TLV cannot express")]
    NoMatterForm,
    /// It has content that Matter does not allow in a certificate.
    #[error(transparent)]
    Certificate(#[from] CertError),
}

impl From<Refusal> for X509Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Der => Self::Der,
            Refusal::Algorithm => Self::Certificate(CertError::Algorithm),
        }
    }
}

impl From<der::Error> for X509Error {
    fn from(_: der::Error) -> Self {
        Self::Der
    }
}

impl From<Overflow> for X509Error {
    fn from(_: Overflow) -> Self {
        Self::Certificate(CertError::TooLong)
    }
}

impl CertificateBuf {
    /// Converts an X.509 certificate in DER to Matter TLV. It is not verified.
    ///
    /// [`Certificate::write_x509`](crate::cert::Certificate::write_x509) converts the result back
    /// to the same bytes, which the signature covers. A certificate for which this does not hold is
    /// refused.
    ///
    /// # Errors
    /// [`X509Error`].
    pub fn from_x509(der: &[u8]) -> Result<Self, X509Error> {
        if let Some(text @ CertError::Text) = CertError::other_form(der) {
            return Err(text.into());
        }
        let buf = convert(der)?;
        let mut rest = Rest(der);
        buf.certificate()?.write_x509(&mut rest).map_err(|_| X509Error::NoMatterForm)?;
        if rest.0.is_empty() { Ok(buf) } else { Err(X509Error::NoMatterForm) }
    }
}

/// Takes only the bytes that come next.
struct Rest<'a>(&'a [u8]);

impl Sink for Rest<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Overflow> {
        self.0 = self.0.strip_prefix(bytes).ok_or(Overflow)?;
        Ok(())
    }
}

type Tlv = Writer<CertificateBuf>;

const fn field(number: u8) -> Tag {
    Tag::Context(number)
}

/// Converts the parts that both forms have. The caller detects other parts when it converts back.
fn convert(der: &[u8]) -> Result<CertificateBuf, X509Error> {
    let mut certificate = Elements::of_only(der, DerTag::Sequence)?;
    let mut tbs = certificate.elements(DerTag::Sequence)?;
    let signature = certificate.signature()?;
    let mut tlv = Writer::new(CertificateBuf::new());
    tlv.start_structure(Tag::Anonymous)?;

    tbs.content(context(0))?; // the version
    tlv.bytes(field(tag::SERIAL_NUMBER), tbs.content(DerTag::Integer)?)?;
    tbs.algorithm(&[&x509::ECDSA_WITH_SHA256])?;
    tlv.unsigned(field(tag::SIGNATURE_ALGORITHM), ALGORITHM)?;
    name(&mut tlv, tag::ISSUER, tbs.elements(DerTag::Sequence)?)?;
    let mut validity = tbs.elements(DerTag::Sequence)?;
    tlv.unsigned(field(tag::NOT_BEFORE), time(validity.any()?)?)?;
    tlv.unsigned(field(tag::NOT_AFTER), time(validity.any()?)?)?;
    name(&mut tlv, tag::SUBJECT, tbs.elements(DerTag::Sequence)?)?;
    tlv.unsigned(field(tag::PUBLIC_KEY_ALGORITHM), ALGORITHM)?;
    tlv.unsigned(field(tag::CURVE), ALGORITHM)?;
    tlv.bytes(field(tag::PUBLIC_KEY), tbs.public_key()?)?;
    let mut extensions = tbs.elements(context(3))?;
    tlv.start_list(field(tag::EXTENSIONS))?;
    let mut list = extensions.elements(DerTag::Sequence)?;
    while let Some(whole) = list.whole()? {
        extension(&mut tlv, whole)?;
    }
    tlv.end()?;

    tlv.bytes(field(tag::SIGNATURE), signature.as_bytes())?;
    tlv.end()?;
    Ok(tlv.into_sink())
}

/// Seconds since 2000; 0 for the date that stands for none.
fn time(element: AnyRef<'_>) -> Result<u32, X509Error> {
    let since_1970 = match element.tag() {
        DerTag::GeneralizedTime if element.value() == x509::NO_EXPIRY => return Ok(0),
        DerTag::GeneralizedTime => element.decode_as::<GeneralizedTime>()?.to_unix_duration(),
        _ => element.decode_as::<UtcTime>()?.to_unix_duration(),
    };
    let time = MatterTime::from_unix_seconds(since_1970.as_secs());
    time.map(MatterTime::as_seconds).ok_or(X509Error::NoMatterForm)
}

fn name(tlv: &mut Tlv, number: u8, mut parts: Elements<'_>) -> Result<(), X509Error> {
    tlv.start_list(field(number))?;
    while let Some(part) = parts.whole()? {
        let mut part = Elements::of_only(part, DerTag::Set)?;
        let mut attribute = part.elements(DerTag::Sequence)?;
        let oid = attribute.content(DerTag::ObjectIdentifier)?;
        let value = attribute.any()?;
        let text = str::from_utf8(value.value()).map_err(|_| X509Error::NoMatterForm)?;
        if let Some(tag) = matter_tag(oid) {
            let number = u64::from_str_radix(text, 16).map_err(|_| X509Error::NoMatterForm)?;
            tlv.unsigned(field(tag), number)?;
        } else {
            let attribute = TextAttribute::from_oid(oid).ok_or(X509Error::NoMatterForm)?;
            let is_printable = value.tag() == DerTag::PrintableString;
            let flag = if is_printable { Attribute::PRINTABLE } else { 0 };
            tlv.utf8(field(attribute.tag() | flag), text)?;
        }
    }
    Ok(tlv.end()?)
}

fn extension(tlv: &mut Tlv, whole: &[u8]) -> Result<(), X509Error> {
    let mut extension = Elements::of_only(whole, DerTag::Sequence)?;
    let oid = extension.content(DerTag::ObjectIdentifier)?;
    let mut value = extension.any()?;
    if value.tag() == DerTag::Boolean {
        value = extension.any()?; // the flag `critical` stood before it
    }
    let mut value = Elements::of(value.value())?;
    let is = |arc| oid == certificate_extension(arc);
    if is(BASIC_CONSTRAINTS) {
        basic_constraints(tlv, value.elements(DerTag::Sequence)?)
    } else if is(KEY_USAGE) {
        Ok(tlv.unsigned(field(2), key_usage(value.content(DerTag::BitString)?))?)
    } else if is(EXTENDED_KEY_USAGE) {
        purposes(tlv, value.elements(DerTag::Sequence)?)
    } else if is(SUBJECT_KEY_ID) {
        Ok(tlv.bytes(field(4), value.content(DerTag::OctetString)?)?)
    } else if is(AUTHORITY_KEY_ID) {
        let id = value.elements(DerTag::Sequence)?.any()?;
        Ok(tlv.bytes(field(5), id.value())?)
    } else {
        Ok(tlv.bytes(field(6), whole)?)
    }
}

fn basic_constraints(tlv: &mut Tlv, mut fields: Elements<'_>) -> Result<(), X509Error> {
    let (mut is_ca, mut path_length) = (false, None);
    while let Some(whole) = fields.whole()? {
        let element = Elements::of(whole)?.any()?;
        match (element.tag(), element.value()) {
            (DerTag::Boolean, _) => is_ca = true,
            (DerTag::Integer, &[length]) => path_length = Some(length),
            _ => return Err(X509Error::NoMatterForm),
        }
    }
    tlv.start_structure(field(1))?;
    tlv.bool(field(1), is_ca)?;
    if let Some(length) = path_length {
        tlv.unsigned(field(2), length)?;
    }
    Ok(tlv.end()?)
}

/// The bits of a BIT STRING, its first bit as the lowest one.
fn key_usage(content: &[u8]) -> u16 {
    let byte = |index| content.get(index).copied().unwrap_or(0);
    u16::from_be_bytes([byte(1), byte(2)]).reverse_bits()
}

fn purposes(tlv: &mut Tlv, mut purposes: Elements<'_>) -> Result<(), X509Error> {
    tlv.start_array(field(3))?;
    while let Some(whole) = purposes.whole()? {
        let oid = Elements::of(whole)?.content(DerTag::ObjectIdentifier)?;
        let value = ExtendedKeyUsage::value_of(oid).ok_or(X509Error::NoMatterForm)?;
        tlv.unsigned(Tag::Anonymous, value)?;
    }
    Ok(tlv.end()?)
}
