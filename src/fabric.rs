//! Fabrics: the trust domains that this node has joined.

mod stored;

use core::fmt;

use thiserror::Error;

use crate::cert::{
    self, CertError, Certificate, CertificateBuf, ChainError, ChainFault, ChainPolicy, NoCache,
    Position, Profile,
};
use crate::crypto::{Crypto, CryptoError, HASH_LEN, PublicKey, Secret, Sha256};
use crate::ids::{CaseAuthTags, FabricId, FabricIndex, NodeId};
use crate::time::WallClock;

/// The 64-bit identifier of a fabric that is unique across root certificates.
/// [Core, "Compressed Fabric Identifier"]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompressedFabricId([u8; 8]);

impl CompressedFabricId {
    /// Derives it from the root public key and the fabric id.
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

    /// The eight octets, as they salt the derivation of group keys.
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

/// An identity protection key as an administrator hands it out: key set 0 of a fabric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ipk {
    /// The epoch key; the operational key is derived from it.
    EpochKey(Secret<16>),
    /// The operational key itself, where only that was kept.
    OperationalKey(Secret<16>),
}

impl Ipk {
    fn operational<C: Crypto>(
        &self,
        crypto: &C,
        fabric: CompressedFabricId,
    ) -> Result<Secret<16>, CryptoError> {
        match self {
            Self::OperationalKey(key) => Ok(key.clone()),
            Self::EpochKey(epoch) => {
                let mut key = Secret::zero();
                let info = b"GroupKey v1.0";
                crypto.hkdf(epoch.as_bytes(), fabric.as_bytes(), info, key.as_mut_bytes())?;
                Ok(key)
            }
        }
    }
}

/// What makes a node a member of a fabric, in the form the administrator installs it.
///
/// The private key is not among it: the library asks for signatures when it needs them.
#[derive(Clone, Copy, Debug)]
pub struct FabricCredentials<'a> {
    /// The root certificate (RCAC), Matter TLV.
    pub root: &'a [u8],
    /// The intermediate certificate (ICAC), if the operational one was issued by one.
    pub icac: Option<&'a [u8]>,
    /// This node's operational certificate (NOC).
    pub noc: &'a [u8],
    /// One to three identity protection keys, oldest first.
    pub ipks: &'a [Ipk],
}

/// Credentials that do not make a fabric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FabricError {
    /// A certificate is malformed or the root does not sign itself.
    #[error("invalid certificate: {0}")]
    Certificate(#[from] CertError),
    /// The operational certificate does not chain to the root.
    #[error("invalid certificate chain: {0}")]
    Chain(#[from] ChainError),
    /// There must be one to three identity protection keys.
    #[error("a fabric needs one to three identity protection keys")]
    Ipks,
    /// Not a stored fabric of a known version, or a damaged one.
    #[error("not a stored fabric of a known version")]
    Stored,
    /// The crypto backend failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// A fabric that this node belongs to: verified credentials and what follows from them.
#[derive(Clone)]
pub struct Fabric {
    index: FabricIndex,
    id: FabricId,
    compressed_id: CompressedFabricId,
    node: NodeId,
    cats: CaseAuthTags,
    root_public_key: PublicKey,
    public_key: PublicKey,
    root: CertificateBuf,
    icac: Option<CertificateBuf>,
    noc: CertificateBuf,
    ipks: [Option<Secret<16>>; Self::MAX_IPKS],
    fingerprint: Fingerprint,
}

/// Stands for the certificates of a fabric: an index alone may be given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; HASH_LEN]);

impl Fabric {
    /// How many epochs of the identity protection key a node accepts.
    pub const MAX_IPKS: usize = 3;

    /// Verifies credentials (root self-signed, chain complete, the strict profile; validity
    /// periods are not looked at) and derives the operational identity protection keys.
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

    /// Like [`new`](Self::new), but reads the certificates as strictly as `profile` says.
    ///
    /// # Errors
    /// [`FabricError`] says which part is wrong.
    pub fn with_profile<C: Crypto>(
        crypto: &C,
        index: FabricIndex,
        credentials: &FabricCredentials<'_>,
        profile: Profile,
    ) -> Result<Self, FabricError> {
        let root = Certificate::parse(credentials.root)?;
        let icac = credentials.icac.map(Certificate::parse).transpose()?;
        let noc = Certificate::parse(credentials.noc)?;
        cert::verify_root(crypto, &root, profile)?;
        let policy = ChainPolicy::new(WallClock::Unknown).with_profile(profile);
        let _ = cert::verify_chain(crypto, &noc, icac.as_ref(), &root, &policy, &mut NoCache)?;
        Self::trusted(crypto, index, credentials)
    }

    /// Makes a fabric of credentials that were verified before.
    fn trusted<C: Crypto>(
        crypto: &C,
        index: FabricIndex,
        credentials: &FabricCredentials<'_>,
    ) -> Result<Self, FabricError> {
        let root = Certificate::parse(credentials.root)?;
        let icac = credentials.icac.map(Certificate::parse).transpose()?;
        let noc = Certificate::parse(credentials.noc)?;
        let (Some(node), Some(id)) = (noc.node_id(), noc.fabric_id()) else {
            return Err(ChainError { position: Position::Noc, fault: ChainFault::Kind }.into());
        };
        let root_public_key = *root.public_key();
        let compressed_id = CompressedFabricId::derive(crypto, &root_public_key, id)?;
        if credentials.ipks.is_empty() || credentials.ipks.len() > Self::MAX_IPKS {
            return Err(FabricError::Ipks);
        }
        let mut fingerprint = crypto.sha256();
        for certificate in [credentials.root, credentials.icac.unwrap_or_default(), credentials.noc]
        {
            fingerprint.update(certificate);
        }
        let mut ipks = [const { None }; Self::MAX_IPKS];
        for (slot, ipk) in ipks.iter_mut().zip(credentials.ipks) {
            *slot = Some(ipk.operational(crypto, compressed_id)?);
        }
        Ok(Self {
            index,
            id,
            compressed_id,
            node,
            cats: noc.cats(),
            root_public_key,
            public_key: *noc.public_key(),
            root: CertificateBuf::from(&root),
            icac: icac.as_ref().map(CertificateBuf::from),
            noc: CertificateBuf::from(&noc),
            ipks,
            fingerprint: Fingerprint(fingerprint.finish()),
        })
    }

    /// This node's number for the fabric.
    #[must_use]
    pub const fn index(&self) -> FabricIndex {
        self.index
    }

    /// The fabric's id, unique under its root.
    #[must_use]
    pub const fn id(&self) -> FabricId {
        self.id
    }

    /// The fabric's compressed id, unique across roots.
    #[must_use]
    pub const fn compressed_id(&self) -> CompressedFabricId {
        self.compressed_id
    }

    /// This node's id on the fabric.
    #[must_use]
    pub const fn node_id(&self) -> NodeId {
        self.node
    }

    /// The CASE Authenticated Tags of this node's certificate.
    #[must_use]
    pub const fn cats(&self) -> CaseAuthTags {
        self.cats
    }

    /// The root's public key.
    #[must_use]
    pub const fn root_public_key(&self) -> &PublicKey {
        &self.root_public_key
    }

    /// The public half of this node's operational key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The root certificate.
    #[must_use]
    pub fn root(&self) -> &[u8] {
        self.root.as_slice()
    }

    /// This node's intermediate certificate.
    #[must_use]
    pub fn icac(&self) -> Option<&[u8]> {
        self.icac.as_ref().map(CertificateBuf::as_slice)
    }

    /// This node's operational certificate.
    #[must_use]
    pub fn noc(&self) -> &[u8] {
        self.noc.as_slice()
    }

    /// What tells this fabric from any later one of the same index, and from itself once its
    /// certificates were updated.
    pub(crate) const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The operational identity protection keys, oldest first.
    pub(crate) fn ipks(&self) -> impl Iterator<Item = &Secret<16>> {
        self.ipks.iter().flatten()
    }

    /// The key that this node uses as an initiator: the second newest, so that peers which have
    /// not received the newest one yet still understand.
    pub(crate) fn current_ipk(&self) -> Option<&Secret<16>> {
        let count = self.ipks().count();
        self.ipks().nth(count.saturating_sub(2))
    }

    /// The destination id that an initiator sends to reach `node` on this fabric.
    pub(crate) fn destination_id<C: Crypto>(
        &self,
        crypto: &C,
        ipk: &Secret<16>,
        initiator_random: &[u8; 32],
        node: NodeId,
    ) -> [u8; HASH_LEN] {
        let parts: [&[u8]; 4] = [
            initiator_random,
            self.root_public_key.as_bytes(),
            &self.id.get().to_le_bytes(),
            &node.get().to_le_bytes(),
        ];
        crypto.hmac(ipk.as_bytes(), &parts)
    }
}

impl fmt::Debug for Fabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fabric")
            .field("index", &self.index)
            .field("id", &self.id)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

/// The fabrics of a node, as the handshakes see them.
pub trait FabricTable {
    /// The fabric with this index.
    fn by_index(&self, index: FabricIndex) -> Option<&Fabric>;

    /// The `n`-th fabric in any stable order; `None` behind the last.
    fn nth(&self, n: usize) -> Option<&Fabric>;
}

impl<T: FabricTable + ?Sized> FabricTable for &T {
    fn by_index(&self, index: FabricIndex) -> Option<&Fabric> {
        (**self).by_index(index)
    }

    fn nth(&self, n: usize) -> Option<&Fabric> {
        (**self).nth(n)
    }
}

impl FabricTable for [Fabric] {
    fn by_index(&self, index: FabricIndex) -> Option<&Fabric> {
        self.iter().find(|fabric| fabric.index == index)
    }

    fn nth(&self, n: usize) -> Option<&Fabric> {
        self.get(n)
    }
}
