//! What is wrong with a chain.

use core::fmt;

use thiserror::Error;

/// A place in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Position {
    /// The node's certificate.
    Noc,
    /// The intermediate authority.
    Icac,
    /// The root.
    Rcac,
}

impl Position {
    /// Returns what makes a fault of a certificate in this place an error of the chain.
    pub(super) fn fault(self) -> impl FnOnce(ChainFault) -> ChainError {
        move |fault| ChainError { position: self, fault }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Noc => "NOC",
            Self::Icac => "ICAC",
            Self::Rcac => "root (RCAC)",
        })
    }
}

/// A chain that does not hold: which certificate is at fault, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("{position}: {fault}")]
pub struct ChainError {
    /// The certificate at fault.
    pub position: Position,
    /// What is wrong with it.
    pub fault: ChainFault,
}

/// What is wrong with a certificate in its place in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ChainFault {
    /// It is a certificate of another kind.
    #[error("its subject names another kind of certificate: were NOC, ICAC and root mixed up?")]
    Kind,
    /// Its serial number is longer than 20 bytes.
    #[error("its serial number is longer than 20 bytes (cert::Profile can tolerate it)")]
    SerialNumber,
    /// It carries an unknown extension marked critical.
    #[error("it has an unknown extension that is marked critical")]
    CriticalExtension,
    /// Its subject or authority key identifier is missing.
    #[error("its subject key identifier or authority key identifier is missing")]
    KeyIdentifier,
    /// Its validity period has not begun.
    #[error("it is not valid yet: is the clock right?")]
    NotYetValid,
    /// Its validity period is over.
    #[error("it has expired: renew it (cert::ValidityPolicy says which periods count)")]
    Expired,
    /// It is no authority in an authority's place, or the reverse.
    #[error("its basic constraints are not those of its place: CA in ICAC and root, not in a NOC")]
    BasicConstraints,
    /// More authorities stand below it than it permits.
    #[error("its path length permits fewer authorities than are below it")]
    PathLength,
    /// Its key usage is missing or wrong.
    #[error(
        "its key usage is missing or not that of its place: digitalSignature in a NOC, keyCertSign \
         and cRLSign in ICAC and root (cert::Profile can tolerate more)"
    )]
    KeyUsage,
    /// Its extended key usage is wrong, or missing in a NOC.
    #[error(
        "its extended key usage is not that of its place: serverAuth and clientAuth in a NOC, none \
         in ICAC and root (cert::Profile can tolerate more)"
    )]
    ExtendedKeyUsage,
    /// It names another issuer than the certificate above it.
    #[error(
        "its issuer or authority key identifier does not name the certificate above it: is it of \
         another chain, or is an ICAC missing?"
    )]
    Issuer,
    /// Its fabric identifier is not that of the NOC.
    #[error("its fabric id is not that of the NOC")]
    FabricId,
    /// Its public key is not a point of the curve.
    #[error("its public key is not a point of P-256")]
    PublicKey,
    /// Its signature does not verify under its issuer's key.
    #[error("its signature does not verify under its issuer's key")]
    Signature,
}
