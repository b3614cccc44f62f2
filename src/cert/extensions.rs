//! Certificate extensions.

use super::CertError;
use super::der::{self, Der};
use crate::bytes::Overflow;
use crate::tlv::{Container, ContainerKind, Element, Tag, Value};

/// Length of a [`KeyIdentifier`] in bytes.
pub const KEY_ID_LEN: usize = 20;

/// The short name of a public key, by which a certificate points to its issuer's.
pub type KeyIdentifier = [u8; KEY_ID_LEN];

/// Whether a certificate's key may sign certificates, and how long a chain it may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicConstraints {
    /// True for an authority.
    pub is_ca: bool,
    /// How many intermediate authorities may stand below this one; `None` for any number.
    pub path_length: Option<u8>,
}

/// Defines a set of flags.
macro_rules! flags {
    ($(#[$doc:meta])* $name:ident($int:ty) { $($(#[$flag_doc:meta])* $flag:ident = $bit:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name($int);

        impl $name {
            $($(#[$flag_doc])* pub const $flag: Self = Self($bit);)*

            /// Both sets together.
            #[must_use]
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// Returns true if all of `other` is in this set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
        }
    };
}

flags! {
    /// What a certificate's key may be used for.
    KeyUsage(u16) {
        /// Signing anything but certificates.
        DIGITAL_SIGNATURE = 0x0001;
        /// Signing what the signer must not deny later.
        NON_REPUDIATION = 0x0002;
        /// Encrypting keys.
        KEY_ENCIPHERMENT = 0x0004;
        /// Encrypting data.
        DATA_ENCIPHERMENT = 0x0008;
        /// Key agreement.
        KEY_AGREEMENT = 0x0010;
        /// Signing certificates.
        KEY_CERT_SIGN = 0x0020;
        /// Signing revocation lists.
        CRL_SIGN = 0x0040;
        /// Key agreement for encryption only.
        ENCIPHER_ONLY = 0x0080;
        /// Key agreement for decryption only.
        DECIPHER_ONLY = 0x0100;
    }
}

flags! {
    /// For which purposes a certificate's key may be used.
    ExtendedKeyUsage(u8) {
        /// The server side of a connection.
        SERVER_AUTH = 0x01;
        /// The client side of a connection.
        CLIENT_AUTH = 0x02;
        /// Signing code.
        CODE_SIGNING = 0x04;
        /// Protecting mail.
        EMAIL_PROTECTION = 0x08;
        /// Signing time stamps.
        TIME_STAMPING = 0x10;
        /// Signing certificate status responses.
        OCSP_SIGNING = 0x20;
    }
}

impl KeyUsage {
    const KNOWN: u16 = 0x01FF;

    #[cfg(feature = "issue")]
    pub(super) const fn bits(self) -> u16 {
        self.0
    }

    fn read(value: Value<'_>) -> Result<Self, CertError> {
        let bits = value.u16()?;
        if bits & !Self::KNOWN == 0 { Ok(Self(bits)) } else { Err(CertError::KeyUsage) }
    }

    /// A BIT STRING whose first bit is the lowest one, without trailing zero bits.
    fn write_der(self, der: &mut Der<'_>) -> Result<(), Overflow> {
        let [high, low] = self.0.reverse_bits().to_be_bytes();
        let octets = [high, low];
        let used = match octets {
            [0, 0] => &[],
            [_, 0] => &octets[..1],
            _ => &octets[..],
        };
        let unused_bits = used.last().map_or(0, |last| last.trailing_zeros().to_le_bytes()[0]);
        der.nested(der::BIT_STRING, |der| {
            der.raw(&[unused_bits])?;
            der.raw(used)
        })
    }
}

impl ExtendedKeyUsage {
    /// The sixth part of each purpose's object identifier, 1.3.6.1.5.5.7.3.x, by TLV value.
    const PURPOSES: [(u8, Self, u8); 6] = [
        (1, Self::SERVER_AUTH, 1),
        (2, Self::CLIENT_AUTH, 2),
        (3, Self::CODE_SIGNING, 3),
        (4, Self::EMAIL_PROTECTION, 4),
        (5, Self::TIME_STAMPING, 8),
        (6, Self::OCSP_SIGNING, 9),
    ];

    /// Returns the TLV value of the purpose with this object identifier.
    #[cfg(feature = "issue")]
    pub(super) fn value_of(oid: &[u8]) -> Option<u8> {
        let is_of = |arc| purpose_oid(arc) == oid;
        Self::PURPOSES.iter().find(|(.., arc)| is_of(*arc)).map(|(value, ..)| *value)
    }

    /// The TLV values of what every NOC has, in the order of other stacks.
    #[cfg(feature = "issue")]
    pub(super) const OF_A_NODE: [u8; 2] = [2, 1];

    fn read(mut purposes: Container<'_>) -> Result<Self, CertError> {
        let mut all = Self::default();
        while let Some(element) = purposes.element()? {
            all = all.union(Self::purpose(element)?.0);
        }
        Ok(all)
    }

    /// One element of the array: the purpose and the end of its object identifier.
    fn purpose(element: Element<'_>) -> Result<(Self, u8), CertError> {
        let value = element.value.u8()?;
        Self::PURPOSES
            .iter()
            .find(|(number, ..)| *number == value && element.tag == Tag::Anonymous)
            .map(|&(_, purpose, arc)| (purpose, arc))
            .ok_or(CertError::KeyUsage)
    }
}

/// One extension as it stands in the list.
#[derive(Clone, Copy)]
enum Extension<'a> {
    BasicConstraints(BasicConstraints),
    KeyUsage(KeyUsage),
    ExtendedKeyUsage(Container<'a>),
    SubjectKeyId(&'a KeyIdentifier),
    AuthorityKeyId(&'a KeyIdentifier),
    /// An X.509 extension carried as it is: its DER, and whether it is critical.
    Future(&'a [u8], bool),
}

impl<'a> Extension<'a> {
    fn read(element: Element<'a>) -> Result<Self, CertError> {
        let value = element.value;
        Ok(match element.tag {
            Tag::Context(1) => {
                let mut fields = value.container(ContainerKind::Structure)?;
                let is_ca = fields.field(1)?.bool()?;
                let path_length = fields.optional(2)?.map(Value::u8).transpose()?;
                fields.expect_end()?;
                Self::BasicConstraints(BasicConstraints { is_ca, path_length })
            }
            Tag::Context(2) => Self::KeyUsage(KeyUsage::read(value)?),
            Tag::Context(3) => Self::ExtendedKeyUsage(value.container(ContainerKind::Array)?),
            Tag::Context(4) => Self::SubjectKeyId(value.array()?),
            Tag::Context(5) => Self::AuthorityKeyId(value.array()?),
            Tag::Context(6) => {
                let der = value.bytes()?;
                Self::Future(der, is_critical(der).ok_or(CertError::FutureExtension)?)
            }
            _ => return Err(CertError::UnknownExtension),
        })
    }

    fn write_der(&self, der: &mut Der<'_>) -> Result<(), Overflow> {
        let (arc, critical) = match *self {
            Self::SubjectKeyId(_) => (SUBJECT_KEY_ID, false),
            Self::KeyUsage(_) => (KEY_USAGE, true),
            Self::BasicConstraints(_) => (BASIC_CONSTRAINTS, true),
            Self::AuthorityKeyId(_) => (AUTHORITY_KEY_ID, false),
            Self::ExtendedKeyUsage(_) => (EXTENDED_KEY_USAGE, true),
            Self::Future(extension, _) => return der.raw(extension),
        };
        der.nested(der::SEQUENCE, |der| {
            der.oid(&certificate_extension(arc))?;
            if critical {
                der.bool_true()?;
            }
            der.nested(der::OCTET_STRING, |der| self.write_value(der))
        })
    }

    fn write_value(&self, der: &mut Der<'_>) -> Result<(), Overflow> {
        match *self {
            Self::BasicConstraints(BasicConstraints { is_ca, path_length }) => {
                der.nested(der::SEQUENCE, |der| {
                    if is_ca {
                        der.bool_true()?;
                    }
                    path_length.map_or(Ok(()), |length| der.unsigned(&[length]))
                })
            }
            Self::KeyUsage(usage) => usage.write_der(der),
            Self::ExtendedKeyUsage(purposes) => der.nested(der::SEQUENCE, |der| {
                let mut rest = purposes;
                while let Ok(Some(element)) = rest.element() {
                    if let Ok((_, arc)) = ExtendedKeyUsage::purpose(element) {
                        der.oid(&purpose_oid(arc))?;
                    }
                }
                Ok(())
            }),
            Self::SubjectKeyId(id) => der.element(der::OCTET_STRING, id),
            Self::AuthorityKeyId(id) => {
                der.nested(der::SEQUENCE, |der| der.element(KEY_ID_OF_AUTHORITY, id))
            }
            Self::Future(..) => Ok(()),
        }
    }
}

/// The extensions of a certificate: each read once, and the list for writing them again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extensions<'a> {
    list: Container<'a>,
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) extended_key_usage: Option<ExtendedKeyUsage>,
    pub(super) subject_key_id: Option<&'a KeyIdentifier>,
    pub(super) authority_key_id: Option<&'a KeyIdentifier>,
    pub(super) has_critical_unknown: bool,
}

impl<'a> Extensions<'a> {
    pub(super) fn parse(value: Value<'a>) -> Result<Self, CertError> {
        let list = value.container(ContainerKind::List)?;
        let mut all = Self {
            list,
            basic_constraints: None,
            key_usage: None,
            extended_key_usage: None,
            subject_key_id: None,
            authority_key_id: None,
            has_critical_unknown: false,
        };
        let mut rest = list;
        while let Some(element) = rest.element()? {
            let repeated = match Extension::read(element)? {
                Extension::BasicConstraints(c) => all.basic_constraints.replace(c).is_some(),
                Extension::KeyUsage(usage) => all.key_usage.replace(usage).is_some(),
                Extension::ExtendedKeyUsage(purposes) => {
                    let purposes = ExtendedKeyUsage::read(purposes)?;
                    all.extended_key_usage.replace(purposes).is_some()
                }
                Extension::SubjectKeyId(id) => all.subject_key_id.replace(id).is_some(),
                Extension::AuthorityKeyId(id) => all.authority_key_id.replace(id).is_some(),
                Extension::Future(_, critical) => {
                    all.has_critical_unknown |= critical;
                    false
                }
            };
            if repeated {
                return Err(CertError::DuplicateExtension);
            }
        }
        Ok(all)
    }

    /// `[3] { SEQUENCE OF Extension }`
    pub(super) fn write_der(&self, der: &mut Der<'_>) -> Result<(), Overflow> {
        der.nested(der::context(3), |der| {
            der.nested(der::SEQUENCE, |der| {
                let mut rest = self.list;
                while let Ok(Some(element)) = rest.element() {
                    if let Ok(extension) = Extension::read(element) {
                        extension.write_der(der)?;
                    }
                }
                Ok(())
            })
        })
    }
}

/// Reads a carried extension: SEQUENCE { OID, BOOLEAN critical DEFAULT FALSE, OCTET STRING }.
///
/// `None` if it is anything else, or an extension that has a TLV form of its own.
fn is_critical(extension: &[u8]) -> Option<bool> {
    let (der::SEQUENCE, fields, []) = der::split_element(extension)? else { return None };
    let (der::OBJECT_IDENTIFIER, oid, fields) = der::split_element(fields)? else { return None };
    let known =
        [SUBJECT_KEY_ID, KEY_USAGE, BASIC_CONSTRAINTS, AUTHORITY_KEY_ID, EXTENDED_KEY_USAGE];
    if oid.is_empty() || known.iter().any(|&arc| certificate_extension(arc) == oid) {
        return None;
    }
    let (critical, fields) = match der::split_element(fields)? {
        (der::BOOLEAN, [flag], fields) => (*flag != 0, fields),
        _ => (false, fields),
    };
    let (der::OCTET_STRING, _, []) = der::split_element(fields)? else { return None };
    Some(critical)
}

/// 1.3.6.1.5.5.7.3.`arc`
const fn purpose_oid(arc: u8) -> [u8; 8] {
    [0x2B, 6, 1, 5, 5, 7, 3, arc]
}

/// 2.5.29.`arc`
pub(super) const fn certificate_extension(arc: u8) -> [u8; 3] {
    [0x55, 29, arc]
}

pub(super) const SUBJECT_KEY_ID: u8 = 14;
pub(super) const KEY_USAGE: u8 = 15;
pub(super) const BASIC_CONSTRAINTS: u8 = 19;
pub(super) const AUTHORITY_KEY_ID: u8 = 35;
pub(super) const EXTENDED_KEY_USAGE: u8 = 37;

/// `[0] IMPLICIT OCTET STRING` in an AuthorityKeyIdentifier.
const KEY_ID_OF_AUTHORITY: u8 = 0x80;
