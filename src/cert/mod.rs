//! Operational certificates: reading, verifying and (feature `issue`) making them.
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
//!    1 serial number        bytes, 1..20          [0] version 3, INTEGER serial
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
//! [`ChainVerified`], which cannot be had in any other way.
//! [Core, "Operational Certificate Encoding", "Node Operational Credentials Specification"]

mod buf;
mod certificate;
mod chain;
mod der;
mod extensions;
#[cfg(feature = "issue")]
mod issue;
mod name;
mod recent;
mod x509;

use thiserror::Error;

use crate::tlv::TlvError;

pub use self::buf::CertificateBuf;
pub use self::certificate::Certificate;
pub(crate) use self::chain::{ChainClaim, RootClaim, check_chain, check_new_root};
pub use self::chain::{
    ChainError, ChainFault, ChainPolicy, ChainVerified, NoCache, Position, Profile, VerifiedCache,
    verify_chain, verify_root,
};
pub use self::extensions::{
    BasicConstraints, ExtendedKeyUsage, KEY_ID_LEN, KeyIdentifier, KeyUsage,
};
#[cfg(feature = "issue")]
pub use self::issue::{CertificateRequest, IssueError, Issuer, SerialNumber, Validity};
pub use self::name::{Attribute, CertKind, DistinguishedName, TextAttribute};
pub use self::recent::RecentlyVerified;

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
    #[error("certificate too long")]
    TooLong,
    /// Not the TLV of a certificate: a field is missing, misplaced, unknown or of a wrong type.
    #[error("malformed certificate: {0}")]
    Encoding(#[from] TlvError),
    /// Bytes follow the certificate's end.
    #[error("bytes behind the certificate")]
    TrailingBytes,
    /// The serial number is not 1 to 20 bytes long.
    #[error("serial number of a wrong length")]
    SerialNumber,
    /// An algorithm or curve other than ECDSA-SHA256 on P-256.
    #[error("unsupported algorithm")]
    Algorithm,
    /// The validity period ends before or when it begins.
    #[error("empty validity period")]
    Validity,
    /// The public key is not an uncompressed point.
    #[error("malformed public key")]
    PublicKey,
    /// A name holds more than five attributes.
    #[error("too many attributes in a name")]
    TooManyAttributes,
    /// A name holds an attribute that does not exist, or an identifier marked as a string.
    #[error("unknown attribute in a name")]
    UnknownAttribute,
    /// A node identifier outside the operational range.
    #[error("node id out of range")]
    NodeId,
    /// A fabric identifier is zero, missing beside a node identifier, doubled or misplaced.
    #[error("wrong fabric id")]
    FabricId,
    /// A CASE Authenticated Tag has version 0, repeats an identifier, is the fourth, or stands in
    /// a certificate of no node.
    #[error("wrong CASE authenticated tag")]
    CaseAuthTag,
    /// The subject holds two identifiers that each say what the certificate is.
    #[error("subject with two identities")]
    AmbiguousSubject,
    /// An extension of an unknown number.
    #[error("unknown extension")]
    UnknownExtension,
    /// The same extension twice.
    #[error("extension repeated")]
    DuplicateExtension,
    /// A key usage or key purpose that does not exist.
    #[error("unknown key usage")]
    KeyUsage,
    /// A carried X.509 extension is malformed, or has a TLV form of its own.
    #[error("wrong carried extension")]
    FutureExtension,
    /// The signature does not verify under the issuer's key.
    #[error("signature does not verify")]
    Signature,
}
