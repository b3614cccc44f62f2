//! Operational certificates: reading and verifying them; requests for them; and, with the feature
//! `issue`, issuing them and converting X.509 certificates.
//!
//! A node proves its identity with a chain of two or three certificates that ends in a root which
//! the verifier trusts already:
//!
//! ```text
//! RCAC  root, stored with the fabric       subject { RCAC id, [fabric id] }
//!   │ signs                                key usage keyCertSign | cRLSign, CA
//!   ├──▶ ICAC  optional intermediate       subject { ICAC id, [fabric id] }
//!   │      │ signs                         key usage keyCertSign | cRLSign, CA
//!   ▼      ▼
//! NOC  the node's own certificate          subject { node id, fabric id, up to 3 CATs }
//!                                          key usage digitalSignature, not CA
//! ```
//! On the wire a certificate is Matter TLV, but its signature covers the equal X.509 certificate:
//!
//! ```text
//! structure {                                    TBSCertificate ::= SEQUENCE {
//!    1 serial number        bytes, 1 or more      [0] version 3, INTEGER serial
//!    2 signature algorithm  1 = ECDSA-SHA256       AlgorithmIdentifier
//!    3 issuer               list of attributes     Name
//!    4 not before           s since 2000           Validity { UTCTime or GeneralizedTime,
//!    5 not after            s since 2000, 0: never            UTCTime or GeneralizedTime }
//!    6 subject              list of attributes     Name
//!    7 key algorithm        1 = EC                 SubjectPublicKeyInfo {
//!    8 curve                1 = P-256                ecPublicKey, prime256v1,
//!    9 public key           65 bytes                BIT STRING }
//!   10 extensions           list                   [3] Extensions }
//!   11 signature            64 bytes, r || s
//! }
//! ```
//! [`Certificate::parse`] gives a view that borrows the TLV; it writes the X.509 form byte by
//! byte straight into a hash. [`verify_chain`] checks a whole chain and returns a
//! [`ChainVerified`], which cannot be had in any other way. A [`Profile`] says how strictly.
//! [Core, "Operational Certificate Encoding", "Node Operational Credentials Specification"]

mod buf;
mod certificate;
mod chain;
mod csr;
mod der;
mod extensions;
mod fault;
#[cfg(feature = "issue")]
mod import;
#[cfg(feature = "issue")]
mod issue;
mod name;
mod profile;
mod recent;
mod x509;

use thiserror::Error;

use crate::tlv::TlvError;

pub use self::buf::CertificateBuf;
pub use self::certificate::Certificate;
pub(crate) use self::certificate::Form;
pub(crate) use self::chain::{ChainClaim, KeyClaim, Link, RootClaim, check_chain, check_new_root};
pub use self::chain::{ChainPolicy, ChainVerified, verify_chain, verify_root};
pub use self::csr::{CsrError, MAX_CSR_LEN, NocsrElements, write_csr};
pub use self::extensions::{
    BasicConstraints, ExtendedKeyUsage, KEY_ID_LEN, KeyIdentifier, KeyUsage,
};
pub use self::fault::{ChainError, ChainFault, Position};
#[cfg(feature = "issue")]
pub use self::import::{X509Error, verify_csr};
#[cfg(feature = "issue")]
pub use self::issue::{CertificateRequest, IssueError, Issuer, SerialNumber, Validity};
pub use self::name::{Attribute, CertKind, DistinguishedName, TextAttribute};
pub use self::profile::{Profile, Tolerance, ValidityPolicy};
pub use self::recent::{NoCache, RecentlyVerified, VerifiedCache};

/// Maximum length of an operational certificate in Matter TLV, in bytes.
pub const MAX_CERT_LEN: usize = 400;
/// Maximum length of an operational certificate in X.509 DER, in bytes.
pub const MAX_X509_LEN: usize = 600;

/// The certificate is refused, whatever chain it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CertError {
    /// More than [`MAX_CERT_LEN`] bytes, or [`MAX_X509_LEN`] once converted.
    #[error("certificate longer than 400 bytes in Matter TLV, or 600 in X.509")]
    TooLong,
    /// It is X.509 in DER. Convert it to Matter TLV with `CertificateBuf::from_x509` (feature
    /// `issue`), or with `chip-cert convert-cert --chip`.
    #[error("certificate is X.509 DER: convert it to Matter TLV first")]
    Der,
    /// It is text: PEM, Base64 or hexadecimal digits. This library takes the bytes of Matter TLV.
    #[error("certificate is text (PEM, Base64 or hex): give the bytes of its Matter TLV")]
    Text,
    /// Not the TLV of a certificate: a field is missing, misplaced, unknown or of a wrong type.
    #[error("not a certificate in Matter TLV: {0}")]
    Encoding(#[from] TlvError),
    /// Bytes follow the certificate's end.
    #[error("bytes follow the end of the certificate")]
    TrailingBytes,
    /// The serial number is empty.
    #[error("serial number is empty")]
    SerialNumber,
    /// An algorithm or curve other than ECDSA-SHA256 on P-256.
    #[error("algorithm is not ECDSA with SHA-256 on P-256")]
    Algorithm,
    /// The validity period ends before or when it begins.
    #[error("validity period ends before it begins")]
    Validity,
    /// The public key is not an uncompressed point.
    #[error("public key is not an uncompressed point of 65 bytes")]
    PublicKey,
    /// A name holds more than five attributes.
    #[error("subject or issuer has more than five attributes")]
    TooManyAttributes,
    /// A name holds an attribute that does not exist, or an identifier marked as a string.
    #[error("subject or issuer has an attribute that Matter does not define")]
    UnknownAttribute,
    /// A node identifier outside the operational range.
    #[error("node id is not operational: outside 1 to 0xFFFFFFEFFFFFFFFF")]
    NodeId,
    /// A fabric identifier is zero, missing beside a node identifier, doubled or misplaced.
    #[error("fabric id is zero, given twice, missing beside the node id, or misplaced")]
    FabricId,
    /// A CASE Authenticated Tag has version 0, repeats an identifier, is the fourth, or stands in
    /// a certificate of no node.
    #[error(
        "CASE authenticated tag has version 0, repeats an identifier, is the fourth, or is in a \
         certificate that is no NOC"
    )]
    CaseAuthTag,
    /// The subject holds two identifiers that each say what the certificate is.
    #[error("subject has two of: node id, ICAC id, RCAC id, firmware signing id, signer id")]
    AmbiguousSubject,
    /// An extension of an unknown number.
    #[error("extension has a tag that Matter does not define")]
    UnknownExtension,
    /// The same extension twice.
    #[error("extension is given twice")]
    DuplicateExtension,
    /// A key usage or key purpose that does not exist.
    #[error("key usage or extended key usage that X.509 does not define")]
    KeyUsage,
    /// A carried X.509 extension is malformed, or has a TLV form of its own.
    #[error("carried X.509 extension is malformed, or has a TLV form of its own")]
    FutureExtension,
    /// The signature does not verify under the issuer's key.
    #[error("signature does not verify under the issuer's key")]
    Signature,
}

impl CertError {
    /// Returns which other form of a certificate these bytes are, if they are one.
    fn other_form(octets: &[u8]) -> Option<Self> {
        match octets {
            // A long SEQUENCE. No X.509 certificate is shorter.
            [0x30, 0x81 | 0x82, ..] => Some(Self::Der),
            // Matter TLV begins with a control character that no text has.
            [_, ..] if octets.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) => {
                Some(Self::Text)
            }
            _ => None,
        }
    }
}
