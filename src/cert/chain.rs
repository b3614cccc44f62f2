//! Verifying a chain up to a trusted root.

use thiserror::Error;

use super::certificate::{Certificate, SignatureClaim};
use super::extensions::{ExtendedKeyUsage, KeyUsage};
#[cfg(feature = "issue")]
use super::name::Attribute;
use super::name::CertKind;
use crate::crypto::{Crypto, HASH_LEN, PUBLIC_KEY_LEN, PublicKey, Sha256};
use crate::ids::{CaseAuthTags, FabricId, NodeId};
use crate::time::{MatterTime, WallClock};

/// Proof that a NOC chains up to a trusted root, with the facts about its node.
///
/// Only [`verify_chain`] makes one. It proves whose key [`public_key`](Self::public_key) is. The
/// handshake proves that the peer holds the private key.
#[derive(Clone, Copy, Debug)]
#[must_use = "a verified identity still has to be compared with the expected one"]
pub struct ChainVerified {
    node_id: NodeId,
    fabric_id: FabricId,
    cats: CaseAuthTags,
    public_key: PublicKey,
    not_after: Option<MatterTime>,
}

impl ChainVerified {
    /// Returns the node that the NOC belongs to.
    #[must_use]
    pub const fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// Returns the fabric that the NOC belongs to. The caller compares it with the fabric it speaks
    /// for.
    #[must_use]
    pub const fn fabric_id(&self) -> FabricId {
        self.fabric_id
    }

    /// Returns the node's CASE Authenticated Tags.
    #[must_use]
    pub const fn cats(&self) -> CaseAuthTags {
        self.cats
    }

    /// Returns the node's operational public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Returns the earliest end of validity of the certificates of the chain, the root included;
    /// `None` if none of them ends.
    #[must_use]
    pub const fn not_after(&self) -> Option<MatterTime> {
        self.not_after
    }
}

/// How strictly the certificates of a chain must follow the specification's templates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Profile {
    /// As the specification demands:
    ///
    /// - NOC: key usage is digitalSignature alone, extended key usage serverAuth and clientAuth
    ///   alone, and it is no authority;
    /// - ICAC, RCAC: key usage is keyCertSign and cRLSign, perhaps digitalSignature, and extended
    ///   key usage is absent;
    /// - RCAC: it names itself as its issuer.
    ///
    /// [Core, "Node Operational Credentials Specification: Certificate Elements"]
    #[default]
    Strict,
    /// As connectedhomeip demands, for peers whose certificates contain more, or less, than they
    /// should: the NOC has digitalSignature and serverAuth among its usages, the authorities have
    /// keyCertSign among theirs. All checks that trust depends on are the same.
    Lenient,
}

/// The conditions for verifying a chain, except the root.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ChainPolicy {
    /// The calendar time, as far as it is known. All certificates of a chain must be valid then.
    pub clock: WallClock,
    /// How strictly certificates must follow the templates.
    pub profile: Profile,
}

impl ChainPolicy {
    /// Verifies with the strict profile, at this time.
    #[must_use]
    pub const fn new(clock: WallClock) -> Self {
        Self { clock, profile: Profile::Strict }
    }

    /// Replaces the profile.
    #[must_use]
    pub const fn with_profile(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }
}

/// A cache of certificates whose signature was verified, so that it need not be verified again:
/// those of issuers, and of nodes if there is room for them.
///
/// A fingerprint is a SHA-256 over the issuer's public key and the certificate. So an entry is
/// about one certificate under one key, and never becomes wrong. All other checks are made again
/// each time, including those of validity periods. An implementation must be bounded, since
/// fingerprints come from peers.
pub trait VerifiedCache {
    /// Returns true if `fingerprint` was inserted earlier.
    fn contains(&self, fingerprint: &[u8; HASH_LEN]) -> bool;

    /// Remembers `fingerprint`. A full cache evicts an older one.
    fn insert(&mut self, fingerprint: [u8; HASH_LEN]);

    /// Returns true if `fingerprint` was inserted earlier as that of a node's certificate. The
    /// default returns false.
    fn contains_node(&self, fingerprint: &[u8; HASH_LEN]) -> bool {
        let _ = fingerprint;
        false
    }

    /// Remembers the `fingerprint` of a node's certificate. There are many more nodes than issuers,
    /// so it should not evict the fingerprint of an issuer. The default does nothing.
    fn insert_node(&mut self, fingerprint: [u8; HASH_LEN]) {
        let _ = fingerprint;
    }
}

/// No cache: every signature is verified every time.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCache;

impl VerifiedCache for NoCache {
    fn contains(&self, _: &[u8; HASH_LEN]) -> bool {
        false
    }

    fn insert(&mut self, _: [u8; HASH_LEN]) {}
}

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

/// A chain that does not hold: which certificate is at fault, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("{position:?}: {fault}")]
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
    #[error("certificate of a wrong kind")]
    Kind,
    /// It carries an unknown extension marked critical.
    #[error("unknown critical extension")]
    CriticalExtension,
    /// Its subject or authority key identifier is missing.
    #[error("key identifier missing")]
    KeyIdentifier,
    /// Its validity period has not begun.
    #[error("not yet valid")]
    NotYetValid,
    /// Its validity period is over.
    #[error("expired")]
    Expired,
    /// It is no authority in an authority's place, or the reverse.
    #[error("wrong basic constraints")]
    BasicConstraints,
    /// More authorities stand below it than it permits.
    #[error("path too long")]
    PathLength,
    /// Its key usage is missing or wrong.
    #[error("wrong key usage")]
    KeyUsage,
    /// Its extended key usage is wrong, or missing in a NOC.
    #[error("wrong extended key usage")]
    ExtendedKeyUsage,
    /// It names another issuer than the certificate above it.
    #[error("issued by another authority")]
    Issuer,
    /// Its fabric identifier is not that of the NOC.
    #[error("wrong fabric id")]
    FabricId,
    /// Its signature does not verify under its issuer's key.
    #[error("signature does not verify")]
    Signature,
}

/// Verifies that `noc` chains up, through `icac` if given, to the trusted `rcac`.
///
/// The root's own signature is not looked at: it is trusted because the caller says so, and was
/// checked by [`verify_root`] when it was installed. The cheap checks come first.
/// [Core, "Node Operational Credentials Specification: Certificate Chain Validation"]
///
/// # Errors
/// [`ChainError`] for the first certificate found at fault.
pub fn verify_chain<C: Crypto>(
    crypto: &C,
    noc: &Certificate<'_>,
    icac: Option<&Certificate<'_>>,
    rcac: &Certificate<'_>,
    policy: &ChainPolicy,
    cache: &mut dyn VerifiedCache,
) -> Result<ChainVerified, ChainError> {
    check_chain(crypto, noc, icac, rcac, policy, cache)?.verify(crypto, cache)
}

/// A chain of which all holds but the signatures, which are still to be verified.
pub(crate) struct ChainClaim<'a> {
    node_id: NodeId,
    fabric_id: FabricId,
    cats: CaseAuthTags,
    public_key: &'a [u8; PUBLIC_KEY_LEN],
    not_after: Option<MatterTime>,
    /// `None` if it was verified before.
    noc: Option<LinkClaim<'a>>,
    /// `None` if there is no ICAC, or it was verified before.
    icac: Option<LinkClaim<'a>>,
}

/// A certificate that is still to be verified under its issuer's key, with its fingerprint.
type LinkClaim<'a> = (SignatureClaim<'a>, [u8; HASH_LEN]);

/// Makes all checks of [`verify_chain`] except those of signatures.
pub(crate) fn check_chain<'a, C: Crypto>(
    crypto: &C,
    noc: &Certificate<'a>,
    icac: Option<&Certificate<'a>>,
    rcac: &Certificate<'a>,
    policy: &ChainPolicy,
    cache: &dyn VerifiedCache,
) -> Result<ChainClaim<'a>, ChainError> {
    let (node_id, fabric_id) = check_noc(noc, policy).map_err(Position::Noc.fault())?;
    if let Some(icac) = icac {
        check_authority(icac, CertKind::Icac, 0, policy)
            .and_then(|()| check_fabric(icac, fabric_id))
            .map_err(Position::Icac.fault())?;
    }
    check_root(rcac, u8::from(icac.is_some()), policy)
        .and_then(|()| check_fabric(rcac, fabric_id))
        .map_err(Position::Rcac.fault())?;

    let ends = [Some(noc), icac, Some(rcac)].into_iter().flatten();
    let not_after = ends.filter_map(Certificate::not_after).min();
    let issuer = icac.unwrap_or(rcac);
    check_link(noc, issuer).map_err(Position::Noc.fault())?;
    let root_key = rcac.public_key_octets();
    let icac = match icac {
        None => None,
        Some(icac) => {
            check_link(icac, rcac).map_err(Position::Icac.fault())?;
            link_claim(crypto, icac, root_key, |fingerprint| cache.contains(fingerprint))
        }
    };
    let noc_claim = link_claim(crypto, noc, issuer.public_key_octets(), |fingerprint| {
        cache.contains_node(fingerprint)
    });
    Ok(ChainClaim {
        node_id,
        fabric_id,
        cats: noc.cats(),
        public_key: noc.public_key_octets(),
        not_after,
        noc: noc_claim,
        icac,
    })
}

impl ChainClaim<'_> {
    /// Verifies the signatures, from the root downwards.
    pub(crate) fn verify<C: Crypto>(
        &self,
        crypto: &C,
        cache: &mut dyn VerifiedCache,
    ) -> Result<ChainVerified, ChainError> {
        let fault = |_| ChainFault::Signature;
        if let Some((icac, fingerprint)) = &self.icac {
            icac.verify(crypto).map_err(fault).map_err(Position::Icac.fault())?;
            cache.insert(*fingerprint);
        }
        if let Some((noc, fingerprint)) = &self.noc {
            noc.verify(crypto).map_err(fault).map_err(Position::Noc.fault())?;
            cache.insert_node(*fingerprint);
        }
        let Self { node_id, fabric_id, cats, public_key, not_after, .. } = *self;
        let public_key = PublicKey::checked(public_key);
        Ok(ChainVerified { node_id, fabric_id, cats, public_key, not_after })
    }
}

/// Checks a root before it is trusted: that it is a root, and signed by itself.
///
/// Its validity period is not looked at. [Core, "AddTrustedRootCertificate Command"]
///
/// # Errors
/// [`ChainError`], always for [`Position::Rcac`].
pub fn verify_root<C: Crypto>(
    crypto: &C,
    rcac: &Certificate<'_>,
    profile: Profile,
) -> Result<(), ChainError> {
    check_new_root(crypto, rcac, profile)?.verify(crypto)
}

/// A root of which all holds but its signature, which is still to be verified.
pub(crate) struct RootClaim<'a>(SignatureClaim<'a>);

/// Makes all checks of [`verify_root`] except that of the signature.
pub(crate) fn check_new_root<'a, C: Crypto>(
    crypto: &C,
    rcac: &Certificate<'a>,
    profile: Profile,
) -> Result<RootClaim<'a>, ChainError> {
    let policy = ChainPolicy { clock: WallClock::Unknown, profile };
    check_root(rcac, 0, &policy)
        .and_then(|()| check_link(rcac, rcac))
        .and_then(|()| match rcac.basic_constraints().and_then(|c| c.path_length) {
            None | Some(0..=MAX_INTERMEDIATES) => Ok(()),
            Some(_) => Err(ChainFault::PathLength),
        })
        .map_err(Position::Rcac.fault())?;
    Ok(RootClaim(SignatureClaim::of(crypto, rcac, rcac.public_key_octets())))
}

/// Makes the checks of [`verify_chain`] for a certificate that is about to be signed and for the
/// authority that signs it.
///
/// The root above an intermediate authority is not at hand. But the fabric that it is restricted to
/// is part of its name.
#[cfg(feature = "issue")]
pub(super) fn check_issued(
    certificate: &Certificate<'_>,
    authority: &Certificate<'_>,
) -> Result<(), ChainFault> {
    let policy = ChainPolicy::new(WallClock::Unknown);
    let below = match certificate.kind() {
        CertKind::Noc => {
            check_noc(certificate, &policy)?;
            0
        }
        _ => {
            check_authority(certificate, CertKind::Icac, 0, &policy)?;
            1
        }
    };
    match authority.kind() {
        CertKind::Icac if below == 0 => check_authority(authority, CertKind::Icac, 0, &policy)?,
        _ => check_root(authority, below, &policy)?,
    }
    if let Some(fabric) = certificate.fabric_id() {
        check_fabric(authority, fabric)?;
        let of_root = authority.issuer().attributes().find_map(|attribute| match attribute {
            Attribute::FabricId(id) => Some(id),
            _ => None,
        });
        require(of_root.is_none_or(|id| id == fabric), ChainFault::FabricId)?;
    }
    check_link(certificate, authority)
}

impl RootClaim<'_> {
    pub(crate) fn verify<C: Crypto>(&self, crypto: &C) -> Result<(), ChainError> {
        let fault = |_| ChainFault::Signature;
        self.0.verify(crypto).map_err(fault).map_err(Position::Rcac.fault())
    }
}

impl Position {
    fn fault(self) -> impl FnOnce(ChainFault) -> ChainError {
        move |fault| ChainError { position: self, fault }
    }
}

fn check_noc(
    noc: &Certificate<'_>,
    policy: &ChainPolicy,
) -> Result<(NodeId, FabricId), ChainFault> {
    let (CertKind::Noc, Some(node_id), Some(fabric_id)) =
        (noc.kind(), noc.node_id(), noc.fabric_id())
    else {
        return Err(ChainFault::Kind);
    };
    check_any(noc, policy)?;
    let usage = noc.key_usage().ok_or(ChainFault::KeyUsage)?;
    let purposes = noc.extended_key_usage().ok_or(ChainFault::ExtendedKeyUsage)?;
    let both = ExtendedKeyUsage::SERVER_AUTH.union(ExtendedKeyUsage::CLIENT_AUTH);
    let (usage_fits, purposes_fit, constraints_fit) = match policy.profile {
        Profile::Strict => (
            usage == KeyUsage::DIGITAL_SIGNATURE,
            purposes == both,
            noc.basic_constraints().is_some_and(|c| !c.is_ca && c.path_length.is_none()),
        ),
        Profile::Lenient => (
            usage.contains(KeyUsage::DIGITAL_SIGNATURE),
            purposes.contains(ExtendedKeyUsage::SERVER_AUTH),
            true,
        ),
    };
    require(usage_fits, ChainFault::KeyUsage)?;
    require(purposes_fit, ChainFault::ExtendedKeyUsage)?;
    require(constraints_fit, ChainFault::BasicConstraints)?;
    Ok((node_id, fabric_id))
}

fn check_root(
    rcac: &Certificate<'_>,
    authorities_below: u8,
    policy: &ChainPolicy,
) -> Result<(), ChainFault> {
    check_authority(rcac, CertKind::Rcac, authorities_below, policy)?;
    match policy.profile {
        Profile::Strict => check_link(rcac, rcac),
        Profile::Lenient => Ok(()),
    }
}

fn check_authority(
    authority: &Certificate<'_>,
    kind: CertKind,
    authorities_below: u8,
    policy: &ChainPolicy,
) -> Result<(), ChainFault> {
    require(authority.kind() == kind, ChainFault::Kind)?;
    check_any(authority, policy)?;
    let constraints = authority.basic_constraints().ok_or(ChainFault::BasicConstraints)?;
    require(constraints.is_ca, ChainFault::BasicConstraints)?;
    let path_fits = constraints.path_length.is_none_or(|most| authorities_below <= most);
    require(path_fits, ChainFault::PathLength)?;
    let usage = authority.key_usage().ok_or(ChainFault::KeyUsage)?;
    match policy.profile {
        Profile::Strict => {
            let needed = KeyUsage::KEY_CERT_SIGN.union(KeyUsage::CRL_SIGN);
            let allowed = needed.union(KeyUsage::DIGITAL_SIGNATURE);
            let usage_fits = usage.contains(needed) && allowed.contains(usage);
            require(usage_fits, ChainFault::KeyUsage)?;
            require(authority.extended_key_usage().is_none(), ChainFault::ExtendedKeyUsage)
        }
        Profile::Lenient => require(usage.contains(KeyUsage::KEY_CERT_SIGN), ChainFault::KeyUsage),
    }
}

/// What holds for a certificate in any place.
fn check_any(certificate: &Certificate<'_>, policy: &ChainPolicy) -> Result<(), ChainFault> {
    require(!certificate.has_critical_unknown_extension(), ChainFault::CriticalExtension)?;
    let ids = (certificate.subject_key_id(), certificate.authority_key_id());
    require(matches!(ids, (Some(_), Some(_))), ChainFault::KeyIdentifier)?;
    let (begun_by, over_by) = match policy.clock {
        WallClock::Unknown => (None, None),
        WallClock::LastKnownGood(time) => (None, Some(time)),
        WallClock::Known(time) => (Some(time), Some(time)),
    };
    let begun = begun_by.is_none_or(|now| certificate.not_before() <= now);
    require(begun, ChainFault::NotYetValid)?;
    let over = over_by.zip(certificate.not_after()).is_some_and(|(now, end)| now > end);
    require(!over, ChainFault::Expired)
}

/// An authority restricted to a fabric signs for that fabric alone.
fn check_fabric(authority: &Certificate<'_>, fabric_id: FabricId) -> Result<(), ChainFault> {
    require(authority.fabric_id().is_none_or(|id| id == fabric_id), ChainFault::FabricId)
}

fn check_link(certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> Result<(), ChainFault> {
    require(certificate.is_issued_by(issuer), ChainFault::Issuer)
}

/// What is to be verified of a certificate under its issuer's key, unless its fingerprint, which
/// stands for both in a [`VerifiedCache`], is known.
#[inline(never)]
fn link_claim<'a, C: Crypto>(
    crypto: &C,
    certificate: &Certificate<'a>,
    issuer_key: &'a [u8; PUBLIC_KEY_LEN],
    known: impl FnOnce(&[u8; HASH_LEN]) -> bool,
) -> Option<LinkClaim<'a>> {
    let fingerprint = fingerprint(crypto, certificate, issuer_key);
    (!known(&fingerprint))
        .then(|| (SignatureClaim::of(crypto, certificate, issuer_key), fingerprint))
}

// Not inlined: one code for both certificates.
#[inline(never)]
fn fingerprint<C: Crypto>(
    crypto: &C,
    certificate: &Certificate<'_>,
    issuer_key: &[u8; PUBLIC_KEY_LEN],
) -> [u8; HASH_LEN] {
    let mut hash = crypto.sha256();
    hash.update(issuer_key);
    hash.update(certificate.as_bytes());
    hash.finish()
}

fn require(holds: bool, fault: ChainFault) -> Result<(), ChainFault> {
    if holds { Ok(()) } else { Err(fault) }
}

/// How many intermediate authorities a chain can have.
const MAX_INTERMEDIATES: u8 = 1;
