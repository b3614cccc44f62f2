//! Verifying a chain up to a trusted root.

use super::certificate::{Certificate, Form, MAX_SERIAL_LEN, SignatureClaim};
use super::extensions::{ExtendedKeyUsage, KeyUsage};
use super::fault::{ChainError, ChainFault, Position};
#[cfg(feature = "issue")]
use super::name::Attribute;
use super::name::CertKind;
use super::profile::{Profile, Tolerance};
use super::recent::VerifiedCache;
use crate::crypto::{Crypto, CryptoError, HASH_LEN, PUBLIC_KEY_LEN, PublicKey, Sha256};
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
    uses_icac: bool,
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

    /// Returns the earliest end of validity of NOC and ICAC, and of the root if its period counts
    /// ([`ValidityPolicy::All`](super::ValidityPolicy::All)); `None` if none of them ends.
    #[must_use]
    pub const fn not_after(&self) -> Option<MatterTime> {
        self.not_after
    }

    /// Returns true if an ICAC issued the NOC. Nothing was verified of an ICAC that was given and
    /// did not issue it: see [`Tolerance::UnusedIcac`].
    #[must_use]
    pub const fn uses_icac(&self) -> bool {
        self.uses_icac
    }
}

/// The conditions for verifying a chain, except the root.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ChainPolicy {
    /// The calendar time, as far as it is known.
    pub clock: WallClock,
    /// How strictly certificates are read, and which validity periods count.
    pub profile: Profile,
}

impl ChainPolicy {
    /// Verifies with the default profile, at this time.
    #[must_use]
    pub fn new(clock: WallClock) -> Self {
        Self { clock, profile: Profile::default() }
    }

    /// Replaces the profile.
    #[must_use]
    pub const fn with_profile(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }

    const fn tolerates(&self, tolerance: Tolerance) -> bool {
        self.profile.tolerates(tolerance)
    }
}

/// Verifies that `noc` chains up, through `icac` if given, to the trusted `rcac`. An ICAC that did
/// not issue the NOC is ignored where the profile has [`Tolerance::UnusedIcac`].
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
    uses_icac: bool,
    /// `None` if it was verified before.
    noc: Option<LinkClaim<'a>>,
    /// `None` if there is no ICAC, or it was verified before.
    icac: Option<LinkClaim<'a>>,
}

/// A signature of a chain, and the form of the certificate that it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Icac(Form),
    Noc(Form),
}

impl Link {
    /// What is verified first.
    pub(crate) const FIRST: Option<Self> = Some(Self::Icac(Form::Usual));
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
    let icac = match icac {
        Some(icac) => {
            find_use(noc, icac, rcac, fabric_id, policy).map_err(Position::Icac.fault())?
        }
        None => None,
    };
    check_root(rcac, u8::from(icac.is_some()), policy)
        .and_then(|()| check_fabric(rcac, fabric_id))
        .map_err(Position::Rcac.fault())?;

    let root = Some(rcac).filter(|_| policy.profile.validity().includes_root());
    let ends = [Some(noc), icac, root].into_iter().flatten();
    let not_after = ends.filter_map(Certificate::not_after).min();
    let issuer = icac.unwrap_or(rcac);
    check_link(noc, issuer).map_err(Position::Noc.fault())?;
    let root_key = rcac.public_key_octets();
    let uses_icac = icac.is_some();
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
        uses_icac,
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
        let mut next = Link::FIRST;
        while let Some(link) = next {
            next = self.verify_link(crypto, cache, link)?.0;
        }
        Ok(self.verified())
    }

    /// Verifies a signature. Returns what is to be verified next, and false if there was nothing to
    /// verify.
    pub(crate) fn verify_link<C: Crypto>(
        &self,
        crypto: &C,
        cache: &mut dyn VerifiedCache,
        link: Link,
    ) -> Result<(Option<Link>, bool), ChainError> {
        let (claim, position, next) = match link {
            Link::Icac(_) => (&self.icac, Position::Icac, Some(Link::Noc(Form::Usual))),
            Link::Noc(_) => (&self.noc, Position::Noc, None),
        };
        let Some((claim, fingerprint)) = claim else { return Ok((next, false)) };
        let (Link::Icac(form) | Link::Noc(form)) = link;
        let verified = claim.verify_form(crypto, form);
        let verified = verified.map_err(|_| ChainFault::Signature).map_err(position.fault())?;
        match (link, verified) {
            (Link::Icac(_), true) => cache.insert(*fingerprint),
            (Link::Noc(_), true) => cache.insert_node(*fingerprint),
            (Link::Icac(_), false) => return Ok((Some(Link::Icac(Form::Other)), true)),
            (Link::Noc(_), false) => return Ok((Some(Link::Noc(Form::Other)), true)),
        }
        Ok((next, true))
    }

    /// Returns the facts. The caller has verified both signatures.
    pub(crate) fn verified(&self) -> ChainVerified {
        let Self { node_id, fabric_id, cats, public_key, not_after, uses_icac, .. } = *self;
        let public_key = PublicKey::checked(public_key);
        ChainVerified { node_id, fabric_id, cats, public_key, not_after, uses_icac }
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
    check_new_root(rcac, profile)?.verify(crypto)
}

/// The key of a NOC, which is still to be checked: the chain does not use it.
pub(crate) struct KeyClaim<'a>(SignatureClaim<'a>);

impl<'a> KeyClaim<'a> {
    pub(crate) const fn of(noc: &Certificate<'a>) -> Self {
        Self(SignatureClaim::of(noc, noc.public_key_octets()))
    }

    /// Checks that the key is a point of the curve, which a backend looks at before it verifies a
    /// signature. That of the NOC is of another key, so it does not verify.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPoint`], [`CryptoError::Backend`].
    pub(crate) fn check<C: Crypto>(&self, crypto: &C) -> Result<(), CryptoError> {
        match self.0.verify_over(crypto, Form::Usual) {
            Ok(()) | Err(CryptoError::Unauthentic) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A root of which all holds but its signature, which is still to be verified.
pub(crate) struct RootClaim<'a>(SignatureClaim<'a>);

/// Makes all checks of [`verify_root`] except that of the signature.
pub(crate) fn check_new_root<'a>(
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
    Ok(RootClaim(SignatureClaim::of(rcac, rcac.public_key_octets())))
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
    let policy = ChainPolicy::default().with_profile(Profile::STRICT);
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
        if self.verify_form(crypto, Form::Usual)? {
            return Ok(());
        }
        self.verify_form(crypto, Form::Other).map(|_| ())
    }

    /// Verifies the signature over one form of the root. Returns false if it is to be verified over
    /// the other form.
    pub(crate) fn verify_form<C: Crypto>(
        &self,
        crypto: &C,
        form: Form,
    ) -> Result<bool, ChainError> {
        let fault = |_| ChainFault::Signature;
        self.0.verify_form(crypto, form).map_err(fault).map_err(Position::Rcac.fault())
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
    let usage_fits = usage == KeyUsage::DIGITAL_SIGNATURE
        || policy.tolerates(Tolerance::NocKeyUsage) && usage.contains(KeyUsage::DIGITAL_SIGNATURE);
    require(usage_fits, ChainFault::KeyUsage)?;
    let purposes = noc.extended_key_usage().ok_or(ChainFault::ExtendedKeyUsage)?;
    let both = ExtendedKeyUsage::SERVER_AUTH.union(ExtendedKeyUsage::CLIENT_AUTH);
    let needed = match policy.tolerates(Tolerance::ServerAuthAlone) {
        true => ExtendedKeyUsage::SERVER_AUTH,
        false => both,
    };
    let purposes_fit = purposes.contains(needed)
        && (policy.tolerates(Tolerance::NocPurposes) || both.contains(purposes));
    require(purposes_fit, ChainFault::ExtendedKeyUsage)?;
    let constraints_fit = policy.tolerates(Tolerance::NocConstraints)
        || noc.basic_constraints().is_some_and(|c| !c.is_ca && c.path_length.is_none());
    require(constraints_fit, ChainFault::BasicConstraints)?;
    Ok((node_id, fabric_id))
}

/// Checks an ICAC that was given beside a NOC. Returns it if it issued the NOC, and `None` if the
/// root did: then only what it says of itself counts, and nothing it says is verified.
fn find_use<'c, 'a>(
    noc: &Certificate<'_>,
    icac: &'c Certificate<'a>,
    rcac: &Certificate<'_>,
    fabric_id: FabricId,
    policy: &ChainPolicy,
) -> Result<Option<&'c Certificate<'a>>, ChainFault> {
    require(icac.kind() == CertKind::Icac, ChainFault::Kind)?;
    check_fabric(icac, fabric_id)?;
    let unused = policy.tolerates(Tolerance::UnusedIcac)
        && noc.is_issued_by(rcac)
        && !noc.is_issued_by(icac);
    if unused {
        return Ok(None);
    }
    check_authority(icac, CertKind::Icac, 0, policy)?;
    Ok(Some(icac))
}

fn check_root(
    rcac: &Certificate<'_>,
    authorities_below: u8,
    policy: &ChainPolicy,
) -> Result<(), ChainFault> {
    check_authority(rcac, CertKind::Rcac, authorities_below, policy)?;
    if policy.tolerates(Tolerance::RootNames) { Ok(()) } else { check_link(rcac, rcac) }
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
    if policy.tolerates(Tolerance::AuthorityUsage) {
        return require(usage.contains(KeyUsage::KEY_CERT_SIGN), ChainFault::KeyUsage);
    }
    let needed = KeyUsage::KEY_CERT_SIGN.union(KeyUsage::CRL_SIGN);
    let allowed = needed.union(KeyUsage::DIGITAL_SIGNATURE);
    let usage_fits = usage.contains(needed) && allowed.contains(usage);
    require(usage_fits, ChainFault::KeyUsage)?;
    require(authority.extended_key_usage().is_none(), ChainFault::ExtendedKeyUsage)
}

/// What holds for a certificate in any place.
fn check_any(certificate: &Certificate<'_>, policy: &ChainPolicy) -> Result<(), ChainFault> {
    require(!certificate.has_critical_unknown_extension(), ChainFault::CriticalExtension)?;
    let ids = (certificate.subject_key_id(), certificate.authority_key_id());
    require(matches!(ids, (Some(_), Some(_))), ChainFault::KeyIdentifier)?;
    let serial_fits = certificate.serial_number().len() <= MAX_SERIAL_LEN
        || policy.tolerates(Tolerance::LongSerialNumber);
    require(serial_fits, ChainFault::SerialNumber)?;
    let validity = policy.profile.validity();
    if certificate.kind() == CertKind::Rcac && !validity.includes_root() {
        return Ok(());
    }
    let begun_by = validity.begun_by(policy.clock);
    let begun = begun_by.is_none_or(|now| certificate.not_before() <= now);
    require(begun, ChainFault::NotYetValid)?;
    let over_by = validity.not_ended_by(policy.clock);
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
    (!known(&fingerprint)).then(|| (SignatureClaim::of(certificate, issuer_key), fingerprint))
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
