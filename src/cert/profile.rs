//! How strictly certificates are read, and which validity periods count.

use crate::time::{MatterTime, WallClock};

/// How strictly the certificates of a chain are read: those of peers, and a node's own when they are
/// installed.
///
/// The specification has a template for each kind of certificate. Certificates of real ecosystems
/// deviate from it. The default profile tolerates what connectedhomeip tolerates, except
/// [`ServerAuthAlone`](Tolerance::ServerAuthAlone). No tolerance of the default weakens
/// authentication: signatures, names, key identifiers, fabric ids, the kinds of certificates and
/// the right to sign certificates are checked in the same way by every profile.
///
/// | [`Tolerance`] | accepted | who needs it | default | [`STRICT`](Self::STRICT) |
/// |---|---|---|---|---|
/// | [`LongSerialNumber`](Tolerance::LongSerialNumber) | a serial number of more than 20 bytes | LG televisions: 21 bytes, of which the first is zero | yes | no |
/// | [`NocKeyUsage`](Tolerance::NocKeyUsage) | a NOC whose key may be used for more than digitalSignature | SmartThings: keyEncipherment as well | yes | no |
/// | [`NocPurposes`](Tolerance::NocPurposes) | a NOC with more extended key usages than serverAuth and clientAuth | nobody known; connectedhomeip accepts it | yes | no |
/// | [`NocConstraints`](Tolerance::NocConstraints) | a NOC whose basic constraints are missing, say that it is an authority, or have a path length; it signs for nobody all the same | nobody known; connectedhomeip accepts it | yes | no |
/// | [`AuthorityUsage`](Tolerance::AuthorityUsage) | an ICAC or root without cRLSign, with more key usages, or with extended key usages | nobody known; connectedhomeip accepts it | yes | no |
/// | [`RootNames`](Tolerance::RootNames) | an installed root that does not name itself as its issuer; installing one needs that in every profile | nobody known; connectedhomeip accepts it | yes | no |
/// | [`UnusedIcac`](Tolerance::UnusedIcac) | a NOC that the root signed, with an ICAC of the fabric beside it; the ICAC is ignored | a controller that was reported to matter.js | yes | no |
/// | [`ServerAuthAlone`](Tolerance::ServerAuthAlone) | a NOC without clientAuth | nobody known; connectedhomeip accepts it | no | no |
///
/// These need no switch: an empty ICAC counts as none, extensions stand in any order, texts are
/// UTF-8 or printable strings, and serial numbers have any number of bytes up to 20.
///
/// The profile also says which validity periods count: [`ValidityPolicy`]. It is
/// [`NocAndIcac`](ValidityPolicy::NocAndIcac) by default, and [`All`](ValidityPolicy::All) in
/// [`STRICT`](Self::STRICT).
///
/// Switch single tolerances on or off with [`tolerating`](Self::tolerating) and
/// [`refusing`](Self::refusing), and give the profile to
/// [`Config::with_certificate_profile`](crate::manager::Config::with_certificate_profile):
///
/// ```
/// use matter_session::cert::{Profile, Tolerance, ValidityPolicy};
///
/// // As the specification demands, but for LG televisions.
/// let profile = Profile::STRICT.tolerating(Tolerance::LongSerialNumber);
/// assert!(profile.tolerates(Tolerance::LongSerialNumber));
///
/// // As real homes need it, in a home where a certificate that has expired must not lock anybody
/// // out.
/// let profile = Profile::default().with_validity(ValidityPolicy::NotBefore);
/// assert!(profile.tolerates(Tolerance::NocKeyUsage));
/// ```
/// [Core, "Node Operational Credentials Specification: Certificate Elements"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Profile {
    /// The bits of the tolerances.
    tolerances: u8,
    validity: ValidityPolicy,
}

impl Profile {
    /// As the specification demands, without any [`Tolerance`], and with all validity periods:
    ///
    /// - the serial number has 1 to 20 bytes;
    /// - NOC: key usage is digitalSignature alone, extended key usage serverAuth and clientAuth
    ///   alone, and it is no authority;
    /// - ICAC, RCAC: key usage is keyCertSign and cRLSign, perhaps digitalSignature, and extended
    ///   key usage is absent;
    /// - RCAC: it names itself as its issuer;
    /// - an ICAC that is sent along issued the NOC.
    pub const STRICT: Self = Self { tolerances: 0, validity: ValidityPolicy::All };

    /// All zero: of a manager that has no settings yet.
    pub(crate) const UNSET: Self = Self { tolerances: 0, validity: ValidityPolicy::Ignore };

    const DEFAULT: Self = Self {
        tolerances: !(Tolerance::ServerAuthAlone as u8),
        validity: ValidityPolicy::NocAndIcac,
    };

    /// Tolerates this.
    #[must_use]
    pub const fn tolerating(self, tolerance: Tolerance) -> Self {
        Self { tolerances: self.tolerances | tolerance as u8, ..self }
    }

    /// Refuses this.
    #[must_use]
    pub const fn refusing(self, tolerance: Tolerance) -> Self {
        Self { tolerances: self.tolerances & !(tolerance as u8), ..self }
    }

    /// Sets which validity periods count.
    #[must_use]
    pub const fn with_validity(self, validity: ValidityPolicy) -> Self {
        Self { validity, ..self }
    }

    /// Returns true if the profile tolerates this.
    #[must_use]
    pub const fn tolerates(self, tolerance: Tolerance) -> bool {
        self.tolerances & tolerance as u8 != 0
    }

    /// Returns which validity periods count.
    #[must_use]
    pub const fn validity(self) -> ValidityPolicy {
        self.validity
    }
}

impl Default for Profile {
    /// Tolerates what connectedhomeip tolerates, except
    /// [`ServerAuthAlone`](Tolerance::ServerAuthAlone). The periods of NOC and ICAC count.
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A deviation of certificates from the templates of the specification, which a [`Profile`]
/// tolerates or refuses. The table there says who needs which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum Tolerance {
    /// A serial number of more than 20 bytes.
    LongSerialNumber = 1,
    /// A NOC whose key may be used for more than digitalSignature.
    NocKeyUsage = 1 << 1,
    /// A NOC with more extended key usages than serverAuth and clientAuth.
    NocPurposes = 1 << 2,
    /// A NOC whose basic constraints are missing, say that it is an authority, or have a path
    /// length. No chain goes through it all the same, as only an ICAC can be between NOC and root.
    NocConstraints = 1 << 3,
    /// An ICAC or root whose key may sign certificates, but that has no cRLSign, more key usages,
    /// or extended key usages.
    AuthorityUsage = 1 << 4,
    /// A root that was installed earlier and does not name itself as its issuer. It is trusted
    /// because it was installed. [`verify_root`](super::verify_root) never accepts such a root.
    RootNames = 1 << 5,
    /// An ICAC that did not issue the NOC, beside a NOC that the root issued. It must be an ICAC and
    /// not of another fabric. Otherwise it is ignored: its signature is not verified, the
    /// application does not get it, and it is not kept with a node's own credentials.
    UnusedIcac = 1 << 6,
    /// A NOC without clientAuth among its extended key usages. It is not tolerated by default:
    /// whoever issued it did not permit its node to begin sessions, and this library does not ask
    /// which node did.
    ServerAuthAlone = 1 << 7,
}

/// Which validity periods of certificates count. Each choice refuses what the one before it
/// refuses, and more.
///
/// The time is that of [`Services::with_wall`](crate::Services::with_wall). A node that has no
/// clock, or only a time that has passed for certain, cannot check much: most devices are such
/// nodes.
///
/// | policy | refused at [`WallClock::Known`] | refused at [`WallClock::LastKnownGood`] |
/// |---|---|---|
/// | `Ignore` | nothing | nothing |
/// | `NotBefore` | a NOC or ICAC that is not valid yet | nothing |
/// | `NocAndIcac`, the default | a NOC or ICAC that is not valid yet, or has expired | nothing |
/// | `All` | any certificate that is not valid yet, or has expired | any certificate that had expired by then |
///
/// With [`WallClock::Unknown`] nothing is refused. A resumption record follows the same policy: where
/// expiry counts, nothing is resumed after the certificates behind the record have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum ValidityPolicy {
    /// No validity period counts. For a home whose nodes have wrong clocks: a wrong time locks
    /// nobody out. Certificates that were meant to end do not. To exclude a node, use a
    /// [`PeerPolicy`](crate::context::PeerPolicy) or new credentials for all others.
    Ignore,
    /// A certificate must have begun to be valid. For a home that must go on working if its
    /// controller, which renews certificates, is gone for long: no certificate expires.
    NotBefore,
    /// NOC and ICAC must be valid, as in connectedhomeip. In a home whose NOCs last 275 days, peers
    /// that know the time refuse a node whose NOC was not renewed before. A root never ends: it
    /// cannot be replaced without commissioning every node again.
    #[default]
    NocAndIcac,
    /// Every certificate must be valid, the root too, and a time that has passed for certain counts
    /// for expiry. A home in which the root ends is lost on that day: every node must be
    /// commissioned again. A last known good time from a wrong source ends certificates early.
    All,
}

impl ValidityPolicy {
    /// Returns the time by which certificates must have begun to be valid, if any.
    pub(crate) const fn begun_by(self, clock: WallClock) -> Option<MatterTime> {
        match self {
            Self::Ignore => None,
            Self::NotBefore | Self::NocAndIcac | Self::All => clock.present(),
        }
    }

    /// Returns the time by which certificates must not have ended, if any.
    pub(crate) const fn not_ended_by(self, clock: WallClock) -> Option<MatterTime> {
        match self {
            Self::Ignore | Self::NotBefore => None,
            Self::NocAndIcac => clock.present(),
            Self::All => clock.passed(),
        }
    }

    /// Returns true if certificates can expire.
    pub(crate) const fn ends(self) -> bool {
        matches!(self, Self::NocAndIcac | Self::All)
    }

    /// Returns true if the validity period of the root counts.
    pub(crate) const fn includes_root(self) -> bool {
        matches!(self, Self::All)
    }
}
