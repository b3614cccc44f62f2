//! The certificates of peers, for as long as a session or a record lives.

#[cfg(feature = "alloc")]
use alloc::{boxed::Box, collections::BTreeMap};

use crate::context::PeerCertificates;
#[cfg(feature = "alloc")]
use crate::crypto::PublicKey;

/// Copies of the certificates that peers have presented, by session or by record.
pub trait Chains<K> {
    /// No certificates.
    const EMPTY: Self;
    /// Whether this storage keeps any.
    const KEEPS: bool;
    /// Keeps a copy under a key, in place of the former one.
    fn keep(&mut self, key: K, certificates: &PeerCertificates<'_>);
    /// The certificates under a key.
    fn get(&self, key: &K) -> Option<PeerCertificates<'_>>;
    /// Forgets the certificates under a key.
    fn forget(&mut self, key: &K);
}

/// Copies on the heap.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct KeptChains<K>(BTreeMap<K, Chain>);

#[cfg(feature = "alloc")]
#[derive(Debug)]
struct Chain {
    noc: Box<[u8]>,
    icac: Option<Box<[u8]>>,
    public_key: PublicKey,
}

#[cfg(feature = "alloc")]
impl<K: Ord> Chains<K> for KeptChains<K> {
    const EMPTY: Self = Self(BTreeMap::new());
    const KEEPS: bool = true;

    fn keep(&mut self, key: K, certificates: &PeerCertificates<'_>) {
        let chain = Chain {
            noc: certificates.noc().into(),
            icac: certificates.icac().map(Into::into),
            public_key: *certificates.public_key(),
        };
        self.0.insert(key, chain);
    }

    fn get(&self, key: &K) -> Option<PeerCertificates<'_>> {
        let Chain { noc, icac, public_key } = self.0.get(key)?;
        Some(PeerCertificates::new(noc, icac.as_deref(), public_key))
    }

    fn forget(&mut self, key: &K) {
        self.0.remove(key);
    }
}

/// No copies: a device reads the certificates when the session is established.
#[derive(Debug)]
pub struct NoChains;

impl<K> Chains<K> for NoChains {
    const EMPTY: Self = Self;
    const KEEPS: bool = false;

    fn keep(&mut self, _: K, _: &PeerCertificates<'_>) {}

    fn get(&self, _: &K) -> Option<PeerCertificates<'_>> {
        None
    }

    fn forget(&mut self, _: &K) {}
}
