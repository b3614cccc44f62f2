//! Distinguished names and what a subject says.

use core::fmt;

use super::CertError;
use super::der::{self, Der};
use crate::bytes::Overflow;
#[cfg(feature = "issue")]
use crate::bytes::Sink;
use crate::ids::{CaseAuthTag, CaseAuthTags, FabricId, NodeId};
#[cfg(feature = "issue")]
use crate::tlv::Writer;
use crate::tlv::{Container, ContainerKind, Element, Tag, Value};

/// The subject or issuer of a certificate: at most five attributes, in order.
///
/// Two names are equal when they hold the same attributes, of the same string types and with the
/// same values, in the same order. [Core, "Subject and Issuer"]
#[derive(Clone, Copy)]
pub struct DistinguishedName<'a>(Container<'a>);

impl<'a> DistinguishedName<'a> {
    pub(super) fn parse(value: Value<'a>) -> Result<Self, CertError> {
        let name = value.container(ContainerKind::List)?;
        let mut rest = name;
        let mut count = 0_usize;
        while let Some(element) = rest.element()? {
            if count == MAX_ATTRIBUTES {
                return Err(CertError::TooManyAttributes);
            }
            Attribute::read(element)?;
            count = count.saturating_add(1);
        }
        Ok(Self(name))
    }

    /// Returns the attributes, in the certificate's order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || Attribute::next(&mut rest))
    }

    pub(super) fn write_der(&self, der: &mut Der<'_>) -> Result<(), Overflow> {
        der.nested(der::SEQUENCE, |der| {
            self.attributes().try_for_each(|attribute| {
                der.nested(der::SET, |der| {
                    der.nested(der::SEQUENCE, |der| attribute.write_der(der))
                })
            })
        })
    }
}

impl PartialEq for DistinguishedName<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.attributes().eq(other.attributes())
    }
}

impl Eq for DistinguishedName<'_> {}

impl fmt::Debug for DistinguishedName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.attributes()).finish()
    }
}

/// One attribute of a [`DistinguishedName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attribute<'a> {
    /// An attribute of the X.500 family, with any text.
    Text {
        /// Which attribute.
        attribute: TextAttribute,
        /// True for a PrintableString, false for a UTF8String. A domain component is an IA5String
        /// either way.
        printable: bool,
        /// The text.
        value: &'a str,
    },
    /// The node that a NOC belongs to; always in the operational range.
    NodeId(NodeId),
    /// The identifier of a firmware signing certificate.
    FirmwareSigningId(u64),
    /// The identifier of an ICAC.
    IcacId(u64),
    /// The identifier of an RCAC.
    RcacId(u64),
    /// The fabric that a certificate is restricted to.
    FabricId(FabricId),
    /// A tag of the node, which access control lists may name.
    CaseAuthTag(CaseAuthTag),
    /// The identifier of a vendor's certificate for vendor id verification.
    VidVerificationSignerId(u64),
}

impl<'a> Attribute<'a> {
    /// The flag in an attribute's tag that makes it a PrintableString.
    pub(super) const PRINTABLE: u8 = 0x80;

    /// The next one of a name. Parsing has read every attribute once, so none fails here.
    // Not inlined: names are walked in many places.
    #[inline(never)]
    fn next(rest: &mut Container<'a>) -> Option<Self> {
        Self::read(rest.element().ok()??).ok()
    }

    fn read(element: Element<'a>) -> Result<Self, CertError> {
        let Tag::Context(tag) = element.tag else { return Err(CertError::UnknownAttribute) };
        let value = element.value;
        Ok(match tag {
            17 => {
                let node = NodeId::new(value.u64()?);
                Self::NodeId(Some(node).filter(|id| id.is_operational()).ok_or(CertError::NodeId)?)
            }
            18 => Self::FirmwareSigningId(value.u64()?),
            19 => Self::IcacId(value.u64()?),
            20 => Self::RcacId(value.u64()?),
            21 => Self::FabricId(FabricId::new(value.u64()?).ok_or(CertError::FabricId)?),
            22 => Self::CaseAuthTag(CaseAuthTag::new(value.u32()?).ok_or(CertError::CaseAuthTag)?),
            23 => Self::VidVerificationSignerId(value.u64()?),
            _ => Self::Text {
                attribute: TextAttribute::from_tag(tag & !Self::PRINTABLE)
                    .ok_or(CertError::UnknownAttribute)?,
                printable: tag & Self::PRINTABLE != 0,
                value: value.utf8()?,
            },
        })
    }

    /// Writes the element of a TLV name.
    #[cfg(feature = "issue")]
    pub(super) fn write_tlv<S: Sink>(&self, tlv: &mut Writer<S>) -> Result<(), Overflow> {
        match *self {
            Self::Text { attribute, printable, value } => {
                let flag = if printable { Self::PRINTABLE } else { 0 };
                tlv.utf8(Tag::Context(attribute.tag() | flag), value)
            }
            Self::NodeId(id) => tlv.unsigned(Tag::Context(17), id.get()),
            Self::FirmwareSigningId(id) => tlv.unsigned(Tag::Context(18), id),
            Self::IcacId(id) => tlv.unsigned(Tag::Context(19), id),
            Self::RcacId(id) => tlv.unsigned(Tag::Context(20), id),
            Self::FabricId(id) => tlv.unsigned(Tag::Context(21), id.get()),
            Self::CaseAuthTag(tag) => tlv.unsigned(Tag::Context(22), tag.get()),
            Self::VidVerificationSignerId(id) => tlv.unsigned(Tag::Context(23), id),
        }
    }

    /// The content of an AttributeTypeAndValue.
    fn write_der(&self, der: &mut Der<'_>) -> Result<(), Overflow> {
        let (number, value) = match *self {
            Self::Text { attribute, printable, value } => {
                der.oid(attribute.oid())?;
                let tag = match (attribute, printable) {
                    (TextAttribute::DomainComponent, _) => der::IA5_STRING,
                    (_, true) => der::PRINTABLE_STRING,
                    (_, false) => der::UTF8_STRING,
                };
                return der.element(tag, value.as_bytes());
            }
            Self::NodeId(id) => (1, id.get()),
            Self::FirmwareSigningId(id) => (2, id),
            Self::IcacId(id) => (3, id),
            Self::RcacId(id) => (4, id),
            Self::FabricId(id) => (5, id.get()),
            Self::CaseAuthTag(tag) => {
                der.oid(&matter_oid(6))?;
                return der.element(der::UTF8_STRING, hex(tag.get().to_be_bytes()).as_flattened());
            }
            Self::VidVerificationSignerId(id) => (7, id),
        };
        der.oid(&matter_oid(number))?;
        der.element(der::UTF8_STRING, hex(value.to_be_bytes()).as_flattened())
    }
}

/// An attribute of the X.500 family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum TextAttribute {
    /// `CN`.
    CommonName = 1,
    /// `SN`.
    Surname = 2,
    /// `serialNumber`: of the subject, not of the certificate.
    SerialNumber = 3,
    /// `C`.
    CountryName = 4,
    /// `L`.
    LocalityName = 5,
    /// `ST`.
    StateOrProvinceName = 6,
    /// `O`.
    OrganizationName = 7,
    /// `OU`.
    OrganizationalUnitName = 8,
    /// `title`.
    Title = 9,
    /// `name`.
    Name = 10,
    /// `GN`.
    GivenName = 11,
    /// `initials`.
    Initials = 12,
    /// `generationQualifier`.
    GenerationQualifier = 13,
    /// `dnQualifier`.
    DnQualifier = 14,
    /// `pseudonym`.
    Pseudonym = 15,
    /// `DC`.
    DomainComponent = 16,
}

impl TextAttribute {
    /// Each attribute with its object identifier, in the order of the tags.
    const TABLE: [(Self, &'static [u8]); 16] = [
        (Self::CommonName, &[0x55, 4, 3]),
        (Self::Surname, &[0x55, 4, 4]),
        (Self::SerialNumber, &[0x55, 4, 5]),
        (Self::CountryName, &[0x55, 4, 6]),
        (Self::LocalityName, &[0x55, 4, 7]),
        (Self::StateOrProvinceName, &[0x55, 4, 8]),
        (Self::OrganizationName, &[0x55, 4, 10]),
        (Self::OrganizationalUnitName, &[0x55, 4, 11]),
        (Self::Title, &[0x55, 4, 12]),
        (Self::Name, &[0x55, 4, 41]),
        (Self::GivenName, &[0x55, 4, 42]),
        (Self::Initials, &[0x55, 4, 43]),
        (Self::GenerationQualifier, &[0x55, 4, 44]),
        (Self::DnQualifier, &[0x55, 4, 46]),
        (Self::Pseudonym, &[0x55, 4, 65]),
        (Self::DomainComponent, &[0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 1, 25]),
    ];

    fn from_tag(tag: u8) -> Option<Self> {
        Self::TABLE.iter().map(|(attribute, _)| *attribute).find(|a| a.tag() == tag)
    }

    #[cfg(feature = "issue")]
    pub(super) fn from_oid(oid: &[u8]) -> Option<Self> {
        Self::TABLE.iter().find(|(_, known)| *known == oid).map(|(attribute, _)| *attribute)
    }

    /// Returns the attribute's tag in a TLV name.
    pub(super) const fn tag(self) -> u8 {
        self as u8
    }

    /// Returns true if the attribute can have this value. [ITU-T X.520; RFC 4519]
    #[cfg(feature = "issue")]
    pub(super) fn takes(self, text: &str) -> bool {
        let is_ascii =
            [Self::DomainComponent, Self::CountryName, Self::SerialNumber, Self::DnQualifier];
        !text.is_empty() && (text.is_ascii() || !is_ascii.contains(&self))
    }

    pub(super) fn oid(self) -> &'static [u8] {
        Self::TABLE.iter().find(|(attribute, _)| *attribute == self).map_or(&[], |(_, oid)| oid)
    }
}

/// What a certificate is for, as its subject tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CertKind {
    /// A root.
    Rcac,
    /// An intermediate authority.
    Icac,
    /// A node's operational certificate.
    Noc,
    /// A certificate that signs firmware images.
    FirmwareSigning,
    /// A certificate that signs vendor id verification statements.
    VidVerificationSigner,
    /// The subject does not say: of no use in an operational chain.
    Unspecified,
}

/// What the attributes of a subject amount to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) kind: CertKind,
    pub(super) node_id: Option<NodeId>,
    pub(super) fabric_id: Option<FabricId>,
    pub(super) cats: CaseAuthTags,
}

impl Subject {
    pub(super) fn of(name: &DistinguishedName<'_>) -> Result<Self, CertError> {
        let mut kinds = name.attributes().filter_map(|attribute| match attribute {
            Attribute::NodeId(_) => Some(CertKind::Noc),
            Attribute::FirmwareSigningId(_) => Some(CertKind::FirmwareSigning),
            Attribute::IcacId(_) => Some(CertKind::Icac),
            Attribute::RcacId(_) => Some(CertKind::Rcac),
            Attribute::VidVerificationSignerId(_) => Some(CertKind::VidVerificationSigner),
            _ => None,
        });
        let kind = kinds.next().unwrap_or(CertKind::Unspecified);
        if kinds.next().is_some() {
            return Err(CertError::AmbiguousSubject);
        }
        let mut subject = Self { kind, node_id: None, fabric_id: None, cats: CaseAuthTags::NONE };
        for attribute in name.attributes() {
            match attribute {
                Attribute::NodeId(id) => subject.node_id = Some(id),
                Attribute::FabricId(id) if subject.fabric_id.replace(id).is_some() => {
                    return Err(CertError::FabricId);
                }
                Attribute::CaseAuthTag(tag)
                    if kind != CertKind::Noc || !subject.cats.insert(tag) =>
                {
                    return Err(CertError::CaseAuthTag);
                }
                _ => {}
            }
        }
        match (kind, subject.fabric_id) {
            (CertKind::Noc, None) | (CertKind::VidVerificationSigner, Some(_)) => {
                Err(CertError::FabricId)
            }
            _ => Ok(subject),
        }
    }
}

/// The most attributes that one name may hold.
const MAX_ATTRIBUTES: usize = 5;

/// Returns the tag in a TLV name of the attribute of Matter that has this object identifier.
#[cfg(feature = "issue")]
pub(super) fn matter_tag(oid: &[u8]) -> Option<u8> {
    (1..=7).find(|&number| oid == matter_oid(number)).map(|number| 16 + number)
}

/// 1.3.6.1.4.1.37244.1.`attribute`
const fn matter_oid(attribute: u8) -> [u8; 10] {
    [0x2B, 6, 1, 4, 1, 0x82, 0xA2, 0x7C, 1, attribute]
}

/// Two uppercase digits for each byte.
fn hex<const N: usize>(octets: [u8; N]) -> [[u8; 2]; N] {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
    octets.map(|octet| [digit(octet >> 4), digit(octet & 0xF)])
}
