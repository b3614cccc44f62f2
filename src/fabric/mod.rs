//! Fabrics: the trust domains that this node is a member of.

#[cfg(all(feature = "issue", feature = "rustcrypto"))]
mod authority;
mod group_key;
mod stored;
mod verify;

use core::fmt;

use thiserror::Error;

#[cfg(all(feature = "issue", feature = "rustcrypto"))]
pub use self::authority::Authority;
pub use self::group_key::{EpochStart, GroupEpoch, GroupKey};
pub use self::verify::CredentialsCheck;
use crate::bytes::debug_lengths;
use crate::cert::{
    CertError, Certificate, CertificateBuf, ChainError, ChainFault, Position, Profile,
};
use crate::crypto::{Crypto, CryptoError, HASH_LEN, PUBLIC_KEY_LEN, PublicKey, Secret, Sha256};
use crate::ids::{CaseAuthTags, FabricId, FabricIndex, NodeId};
use crate::time::WallClock;

/// The 64-bit identifier of a fabric that is unique across root certificates.
/// [Core, "Compressed Fabric Identifier"]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompressedFabricId([u8; 8]);

impl CompressedFabricId {
    /// Makes the id from bytes that were derived before.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Derives the id from the root public key and the fabric id.
    ///
    /// # Errors
    /// [`CryptoError`] if the backend fails.
    pub fn derive<C: Crypto>(
        crypto: &C,
        root: &PublicKey,
        fabric: FabricId,
    ) -> Result<Self, CryptoError> {
        let (_, coordinates) = root.as_bytes().split_at(1);
        let mut id = [0; 8];
        crypto.hkdf(coordinates, &fabric.get().to_be_bytes(), b"CompressedFabric", &mut id)?;
        Ok(Self(id))
    }

    /// Returns the eight bytes, as they salt the derivation of group keys.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Debug for CompressedFabricId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CompressedFabricId({:016x})", u64::from_be_bytes(self.0))
    }
}

/// An identity protection key: the key of group key set 0.
pub type Ipk = GroupKey;

/// The credentials of a member of a fabric, as the administrator installs them.
///
/// They do not include the private key: the library asks for signatures when it needs them.
#[derive(Clone, Copy)]
pub struct FabricCredentials<'a> {
    /// The root certificate (RCAC), Matter TLV.
    pub root: &'a [u8],
    /// The intermediate certificate (ICAC), if the operational one was issued by one. An empty one
    /// counts as none. One that did not issue it is not kept.
    pub icac: Option<&'a [u8]>,
    /// This node's operational certificate (NOC).
    pub noc: &'a [u8],
    /// One to three identity protection keys, oldest first. A command that adds a fabric brings one.
    /// [`Fabrics::set_ipks`](crate::manager::Fabrics::set_ipks) rotates them. None for
    /// [`Fabrics::update`](crate::manager::Fabrics::update): the fabric keeps its keys.
    pub ipks: &'a [Ipk],
}

debug_lengths!(FabricCredentials[]['_]: ipks; root, noc);

impl<'a> FabricCredentials<'a> {
    /// Trusts the store that the credentials were verified: parses them, and verifies no signature.
    ///
    /// # Errors
    /// [`FabricError`] for certificates that no fabric has.
    pub(crate) fn trust<C: Crypto>(
        &self,
        crypto: &C,
        index: FabricIndex,
        starts: &[EpochStart; Fabric::MAX_IPKS],
    ) -> Result<CredentialsVerified<'a>, FabricError> {
        let (names, root_key, key) = self.read(index)?;
        let mut trusted = self.credentials(crypto, names, root_key, key)?;
        trusted.facts.starts = *starts;
        if self.ipks.is_empty() { Err(FabricError::Ipks) } else { Ok(trusted) }
    }

    #[inline(never)]
    fn read(&self, index: FabricIndex) -> Result<(Names, KeyPlace, KeyPlace), FabricError> {
        let (root, _, noc) = self.parse()?;
        let (Some(node), Some(id)) = (noc.node_id(), noc.fabric_id()) else {
            return Err(ChainError { position: Position::Noc, fault: ChainFault::Kind }.into());
        };
        let names = Names { index, id, node, cats: noc.cats() };
        Ok((names, KeyPlace::of(&root), KeyPlace::of(&noc)))
    }

    fn parse(&self) -> Result<Parsed<'a>, FabricError> {
        let parse = |position, octets| {
            Certificate::parse(octets).map_err(|error| FabricError::Certificate(position, error))
        };
        let icac = self.icac.filter(|icac| !icac.is_empty());
        Ok((
            parse(Position::Rcac, self.root)?,
            icac.map(|icac| parse(Position::Icac, icac)).transpose()?,
            parse(Position::Noc, self.noc)?,
        ))
    }

    #[inline(never)]
    fn credentials<C: Crypto>(
        &self,
        crypto: &C,
        Names { index, id, node, cats }: Names,
        root_key: KeyPlace,
        key: KeyPlace,
    ) -> Result<CredentialsVerified<'a>, FabricError> {
        let compressed_id = CompressedFabricId::derive(crypto, &root_key.read(self.root), id)?;
        if self.ipks.len() > Fabric::MAX_IPKS {
            return Err(FabricError::Ipks);
        }
        let mut fingerprint = crypto.sha256();
        for certificate in [self.root, self.icac.unwrap_or_default(), self.noc] {
            fingerprint.update(certificate);
        }
        let mut facts = Facts {
            index,
            id,
            compressed_id,
            node,
            cats,
            root_key,
            key,
            ipks: [const { Secret::zero() }; Fabric::MAX_IPKS],
            starts: [EpochStart::default(); Fabric::MAX_IPKS],
            ipk_count: self.ipks.len(),
            fingerprint: Fingerprint(fingerprint.finish()),
        };
        for (slot, ipk) in facts.ipks.iter_mut().zip(self.ipks) {
            ipk.derive(crypto, compressed_id, slot)?;
        }
        let Self { root, icac, noc, .. } = *self;
        Ok(CredentialsVerified { facts, root, icac: icac.unwrap_or_default(), noc })
    }
}

/// Root, ICAC and NOC.
type Parsed<'a> = (Certificate<'a>, Option<Certificate<'a>>, Certificate<'a>);

/// What an operational certificate names, and our number for the fabric.
struct Names {
    index: FabricIndex,
    id: FabricId,
    node: NodeId,
    cats: CaseAuthTags,
}

/// Proof that credentials make a fabric, and what they say: to be kept.
pub(crate) struct CredentialsVerified<'a> {
    facts: Facts,
    root: &'a [u8],
    /// Empty if there is none.
    icac: &'a [u8],
    noc: &'a [u8],
}

impl CredentialsVerified<'_> {
    pub(crate) const fn fabric(&self) -> Fabric<'_> {
        let Self { facts, root, icac, noc } = self;
        Fabric { facts, root, icac, noc }
    }
}

/// The credentials do not make a fabric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FabricError {
    /// A certificate is malformed: which, and why.
    #[error("{0}: {1}")]
    Certificate(Position, CertError),
    /// The operational certificate does not chain to the root, the root does not sign itself, or
    /// the key of the operational certificate is not on the curve.
    #[error("{0}")]
    Chain(#[from] ChainError),
    /// There must be one to three identity protection keys, each starting after the one before.
    #[error("a fabric needs one to three identity protection keys, the oldest first")]
    Ipks,
    /// Not a stored fabric of a known version, or a damaged one.
    #[error("not a stored fabric of a known version")]
    Stored,
    /// These are not the credentials that a [`CredentialsCheck`] has verified, or it has not verified
    /// all of them.
    #[error("these are not the credentials that were verified")]
    NotChecked,
    /// The crypto backend failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// A fabric that this node is a member of: verified credentials and what is derived from them. It
/// is a view of an entry of a [`FabricTable`].
#[derive(Clone, Copy)]
pub struct Fabric<'a> {
    facts: &'a Facts,
    root: &'a [u8],
    /// Empty if there is none.
    icac: &'a [u8],
    noc: &'a [u8],
}

/// An owned fabric, for use without a manager.
#[derive(Clone)]
pub struct FabricBuf {
    facts: Facts,
    root: CertificateBuf,
    icac: CertificateBuf,
    noc: CertificateBuf,
}

/// What follows from credentials.
#[derive(Clone)]
pub(crate) struct Facts {
    index: FabricIndex,
    id: FabricId,
    compressed_id: CompressedFabricId,
    node: NodeId,
    cats: CaseAuthTags,
    root_key: KeyPlace,
    key: KeyPlace,
    /// Zeros where there is none, and not `None`: a move copies the bytes behind a `None`, too,
    /// which can be those of a secret that was in their place before.
    ipks: [Secret<16>; Fabric::MAX_IPKS],
    /// When each of them begins: all zero if that was not said.
    starts: [EpochStart; Fabric::MAX_IPKS],
    ipk_count: usize,
    fingerprint: Fingerprint,
}

impl Facts {
    /// Our number for the fabric.
    pub(crate) const fn index(&self) -> FabricIndex {
        self.index
    }

    /// Replaces the identity protection keys.
    #[inline(never)]
    pub(crate) fn set_ipks<C: Crypto>(
        &mut self,
        crypto: &C,
        epochs: &[GroupEpoch],
    ) -> Result<(), FabricError> {
        let ascending = epochs.is_sorted_by(|a, b| a.start < b.start);
        let is_one_enabled = epochs.iter().any(|epoch| epoch.start != EpochStart::DISABLED);
        if !is_one_enabled || epochs.len() > Fabric::MAX_IPKS || !ascending {
            return Err(FabricError::Ipks);
        }
        let mut ipks = [const { Secret::<16>::zero() }; Fabric::MAX_IPKS];
        for (ipk, epoch) in ipks.iter_mut().zip(epochs) {
            epoch.key.derive(crypto, self.compressed_id, ipk)?;
        }
        let start = |n| epochs.get(n).map(|epoch: &GroupEpoch| epoch.start).unwrap_or_default();
        let starts = core::array::from_fn(start);
        self.copy_ipks(&ipks, &starts, epochs.len());
        Ok(())
    }

    /// Copies keys to their place: a move would leave them where they were.
    fn copy_ipks(
        &mut self,
        ipks: &[Secret<16>; Fabric::MAX_IPKS],
        starts: &[EpochStart; Fabric::MAX_IPKS],
        count: usize,
    ) {
        for (to, ipk) in self.ipks.iter_mut().zip(ipks) {
            *to.as_mut_bytes() = *ipk.as_bytes();
        }
        (self.starts, self.ipk_count) = (*starts, count);
    }
}

/// Where the public key stands in a certificate.
#[derive(Clone, Copy)]
struct KeyPlace(usize);

impl KeyPlace {
    fn of(certificate: &Certificate<'_>) -> Self {
        let (key, start) = (certificate.public_key_octets(), certificate.as_bytes());
        Self(key.as_ptr().addr().saturating_sub(start.as_ptr().addr()))
    }

    /// The key. Elsewhere than in its certificate there is none: zeros, which no backend takes.
    fn read(self, certificate: &[u8]) -> PublicKey {
        let key = certificate.get(self.0..).and_then(<[u8]>::first_chunk);
        PublicKey::checked(key.unwrap_or(&[0; PUBLIC_KEY_LEN]))
    }
}

/// Stands for the certificates of a fabric: an index alone may be given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; HASH_LEN]);

impl FabricBuf {
    /// Verifies credentials (root self-signed, chain complete, every key a point of the curve, the
    /// default [`Profile`]; validity periods are not checked) and derives the operational identity
    /// protection keys.
    ///
    /// # Errors
    /// [`FabricError`] says which part is wrong.
    pub fn new<C: Crypto>(
        crypto: &C,
        index: FabricIndex,
        credentials: &FabricCredentials<'_>,
    ) -> Result<Self, FabricError> {
        Self::with_profile(crypto, index, credentials, Profile::default())
    }

    /// Makes a fabric like [`new`](Self::new), but reads the certificates with this profile.
    ///
    /// # Errors
    /// [`FabricError`] says which part is wrong.
    pub fn with_profile<C: Crypto>(
        crypto: &C,
        index: FabricIndex,
        credentials: &FabricCredentials<'_>,
        profile: Profile,
    ) -> Result<Self, FabricError> {
        Ok(Self::of(credentials.verify(crypto, index, profile, None, None)?.fabric()))
    }

    fn of(fabric: Fabric<'_>) -> Self {
        // What was read as a certificate fits.
        let owned = |octets| CertificateBuf::try_from(octets).unwrap_or_default();
        Self {
            facts: fabric.facts.clone(),
            root: owned(fabric.root),
            icac: owned(fabric.icac),
            noc: owned(fabric.noc),
        }
    }

    /// Returns the fabric.
    #[must_use]
    pub fn view(&self) -> Fabric<'_> {
        let Self { facts, root, icac, noc } = self;
        Fabric { facts, root: root.as_slice(), icac: icac.as_slice(), noc: noc.as_slice() }
    }
}

impl<'a> Fabric<'a> {
    /// Number of epochs of the identity protection key that a node accepts.
    pub const MAX_IPKS: usize = 3;

    /// Makes the fabric of verified credentials, of which the certificates are kept elsewhere.
    pub(crate) const fn kept(
        facts: &'a Facts,
        root: &'a [u8],
        icac: &'a [u8],
        noc: &'a [u8],
    ) -> Self {
        Self { facts, root, icac, noc }
    }

    pub(crate) const fn facts(&self) -> &'a Facts {
        self.facts
    }

    /// Returns true if another is the same fabric: same id under the same root.
    pub(crate) fn is_same(&self, other: Self) -> bool {
        self.id() == other.id() && self.root_public_key() == other.root_public_key()
    }

    /// Returns this node's index of the fabric.
    #[must_use]
    pub const fn index(&self) -> FabricIndex {
        self.facts.index
    }

    /// Returns the fabric's id, unique under its root.
    #[must_use]
    pub const fn id(&self) -> FabricId {
        self.facts.id
    }

    /// Returns the fabric's compressed id, unique across roots.
    #[must_use]
    pub const fn compressed_id(&self) -> CompressedFabricId {
        self.facts.compressed_id
    }

    /// Returns this node's id on the fabric.
    #[must_use]
    pub const fn node_id(&self) -> NodeId {
        self.facts.node
    }

    /// Returns the CASE Authenticated Tags of this node's certificate.
    #[must_use]
    pub const fn cats(&self) -> CaseAuthTags {
        self.facts.cats
    }

    /// Returns the root's public key.
    #[must_use]
    pub fn root_public_key(&self) -> PublicKey {
        self.facts.root_key.read(self.root())
    }

    /// Returns the public key of this node's operational key pair.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.facts.key.read(self.noc())
    }

    /// Returns the root certificate.
    #[must_use]
    pub const fn root(&self) -> &'a [u8] {
        self.root
    }

    /// Returns this node's intermediate certificate.
    #[must_use]
    pub fn icac(&self) -> Option<&'a [u8]> {
        Some(self.icac).filter(|icac| !icac.is_empty())
    }

    /// Returns this node's operational certificate.
    #[must_use]
    pub const fn noc(&self) -> &'a [u8] {
        self.noc
    }

    /// Returns what tells this fabric from any later one of the same index, and from itself once
    /// its certificates were updated.
    pub(crate) const fn fingerprint(&self) -> Fingerprint {
        self.facts.fingerprint
    }

    /// Returns the operational identity protection keys and when they start, oldest first.
    fn all_ipks(&self) -> impl Iterator<Item = (&'a Secret<16>, EpochStart)> + use<'a> {
        let Facts { ipks, starts, ipk_count, .. } = self.facts;
        ipks.iter().zip(starts.iter().copied()).take(*ipk_count)
    }

    /// Returns those that are not disabled: the ones that this node accepts.
    fn enabled_ipks(&self) -> impl Iterator<Item = (&'a Secret<16>, EpochStart)> + use<'a> {
        self.all_ipks().filter(|(_, start)| *start != EpochStart::DISABLED)
    }

    /// Returns the operational identity protection keys that this node accepts, oldest first.
    pub(crate) fn ipks(&self) -> impl Iterator<Item = &'a Secret<16>> + use<'a> {
        self.enabled_ipks().map(|(ipk, _)| ipk)
    }

    /// Returns the key that this node uses as an initiator. With the calendar time and start times,
    /// this is the newest key that has begun, or the oldest if none has. Otherwise it is the second
    /// newest, so that peers which have not received the newest one yet still understand.
    /// [Core, "Epoch Key Rotation without Time Synchronization"]
    pub(crate) fn current_ipk(&self, wall: WallClock) -> Option<&'a Secret<16>> {
        let has_starts = self.enabled_ipks().map(|(_, start)| start).is_sorted_by(|a, b| a < b);
        let place = match wall {
            WallClock::Known(now) if has_starts => {
                let has_begun = |(_, start): &(_, EpochStart)| start.is_past(now.as_seconds());
                self.enabled_ipks().filter(has_begun).count().saturating_sub(1)
            }
            _ => self.enabled_ipks().count().saturating_sub(2),
        };
        self.ipks().nth(place)
    }

    /// The destination id that an initiator sends to reach `node` on this fabric.
    pub(crate) fn destination_id<C: Crypto>(
        &self,
        crypto: &C,
        ipk: &Secret<16>,
        initiator_random: &[u8; 32],
        node: NodeId,
    ) -> Result<[u8; HASH_LEN], CryptoError> {
        let root = self.root_public_key();
        let parts: [&[u8]; 4] = [
            initiator_random,
            root.as_bytes(),
            &self.facts.id.get().to_le_bytes(),
            &node.get().to_le_bytes(),
        ];
        crypto.hmac(ipk.as_bytes(), &parts)
    }
}

impl fmt::Debug for Fabric<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fabric")
            .field("index", &self.facts.index)
            .field("id", &self.facts.id)
            .field("node", &self.facts.node)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FabricBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// The fabrics of a node, for handshakes.
pub trait FabricTable {
    /// Returns the fabric with this index.
    fn by_index(&self, index: FabricIndex) -> Option<Fabric<'_>>;

    /// Returns the `n`-th fabric in any stable order; `None` after the last.
    fn nth(&self, n: usize) -> Option<Fabric<'_>>;
}

impl<T: FabricTable + ?Sized> FabricTable for &T {
    fn by_index(&self, index: FabricIndex) -> Option<Fabric<'_>> {
        (**self).by_index(index)
    }

    fn nth(&self, n: usize) -> Option<Fabric<'_>> {
        (**self).nth(n)
    }
}

impl FabricTable for [FabricBuf] {
    fn by_index(&self, index: FabricIndex) -> Option<Fabric<'_>> {
        self.iter().map(FabricBuf::view).find(|fabric| fabric.index() == index)
    }

    fn nth(&self, n: usize) -> Option<Fabric<'_>> {
        self.get(n).map(FabricBuf::view)
    }
}
