//! The fabrics of a node.

use core::ops::Range;

use crate::cert::Profile;
use crate::crypto::Crypto;
use crate::fabric::{Fabric, FabricCredentials, FabricTable, Facts, GroupEpoch};
use crate::ids::FabricIndex;
use crate::manager::error::FabricTableError;
use crate::manager::storage::{ByteStore, Map, Owner, Storage};

pub(in crate::manager) struct Fabrics<S: Storage> {
    entries: S::Fabrics<Entry<S>>,
    certificates: S::Certificates,
}

/// A fabric. Its certificates are stored one after the other in memory that all fabrics share.
pub(in crate::manager) struct Entry<S: Storage> {
    facts: Facts,
    certificates: <S::Certificates as ByteStore>::Held,
    /// Where the ICAC begins, after the root, and the NOC after that.
    icac: usize,
    noc: usize,
}

impl<S: Storage> Fabrics<S> {
    pub(in crate::manager) const EMPTY: Self =
        Self { entries: Map::EMPTY, certificates: ByteStore::EMPTY };

    pub(in crate::manager) fn limit(&mut self, limit: usize) {
        self.entries.limit(limit);
    }

    pub(in crate::manager) fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    pub(in crate::manager) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds a fabric under the smallest index that is free and not `in_use`.
    #[inline(never)]
    pub(in crate::manager) fn add(
        &mut self,
        crypto: &impl Crypto,
        credentials: &FabricCredentials<'_>,
        profile: Profile,
        in_use: impl Fn(FabricIndex) -> bool,
    ) -> Result<FabricIndex, FabricTableError> {
        let index = self.free_index(in_use).ok_or(FabricTableError::TooMany)?;
        let verified = credentials.verify(crypto, index, profile, None)?;
        let fabric = verified.fabric();
        if self.iter().any(|other| other.is_same(fabric)) {
            return Err(FabricTableError::Exists);
        }
        self.keep(fabric)?;
        log_info!("fabric {} added", index);
        Ok(index)
    }

    /// Adds a fabric from its stored form. No signature is verified: the store is trusted.
    pub(in crate::manager) fn restore(
        &mut self,
        crypto: &impl Crypto,
        bytes: &[u8],
        in_use: impl Fn(FabricIndex) -> bool,
    ) -> Result<FabricIndex, FabricTableError> {
        let index = Fabric::read(bytes, |index, credentials, starts| {
            let trusted = credentials.trust(crypto, index, starts)?;
            let fabric = trusted.fabric();
            let taken = |other: Fabric<'_>| other.index() == index || other.is_same(fabric);
            if in_use(index) || self.iter().any(taken) {
                return Err(FabricTableError::Exists);
            }
            self.keep(fabric).map(|()| index)
        })?;
        log_info!("fabric {} restored", index);
        Ok(index)
    }

    /// Replaces the credentials of a fabric.
    pub(in crate::manager) fn update(
        &mut self,
        crypto: &impl Crypto,
        index: FabricIndex,
        credentials: &FabricCredentials<'_>,
        profile: Profile,
    ) -> Result<(), FabricTableError> {
        let former = self.by_index(index).ok_or(FabricTableError::Unknown)?;
        let verified = credentials.verify(crypto, index, profile, Some(former.facts()))?;
        let fabric = verified.fabric();
        if !former.is_same(fabric) {
            return Err(FabricTableError::OtherFabric);
        }
        self.keep(fabric)
    }

    /// Replaces the credentials of a fabric by stored ones. No signature is verified: the store is
    /// trusted.
    pub(in crate::manager) fn replace(
        &mut self,
        crypto: &impl Crypto,
        bytes: &[u8],
    ) -> Result<FabricIndex, FabricTableError> {
        Fabric::read(bytes, |index, credentials, starts| {
            let present = self.by_index(index).ok_or(FabricTableError::Unknown)?;
            let trusted = credentials.trust(crypto, index, starts)?;
            let fabric = trusted.fabric();
            if !present.is_same(fabric) {
                return Err(FabricTableError::OtherFabric);
            }
            self.keep(fabric).map(|()| index)
        })
    }

    /// Replaces the identity protection keys of a fabric.
    pub(in crate::manager) fn set_ipks(
        &mut self,
        crypto: &impl Crypto,
        index: FabricIndex,
        epochs: &[GroupEpoch],
    ) -> Result<(), FabricTableError> {
        let entry = self.entries.get_mut(&index).ok_or(FabricTableError::Unknown)?;
        Ok(entry.facts.set_ipks(crypto, epochs)?)
    }

    /// Stores a fabric, in place of the one with its index.
    fn keep(&mut self, fabric: Fabric<'_>) -> Result<(), FabricTableError> {
        let index = fabric.index();
        let full = self.entries.len() >= self.entries.capacity();
        if full && self.entries.get(&index).is_none() {
            return Err(FabricTableError::TooMany);
        }
        let (root, icac, noc) = (fabric.root(), fabric.icac().unwrap_or_default(), fabric.noc());
        let (icac_at, noc_at) = (root.len(), root.len().saturating_add(icac.len()));
        let (owner, len) = (Owner::Fabric(index), noc_at.saturating_add(noc.len()));
        let mut certificates =
            self.certificates.allocate(owner, len).ok_or(FabricTableError::TooMany)?;
        let to = self.certificates.get_mut(owner, &mut certificates).iter_mut();
        for (to, from) in to.zip([root, icac, noc].into_iter().flatten()) {
            *to = *from;
        }
        let facts = fabric.facts().clone();
        let entry = Entry { facts, certificates, icac: icac_at, noc: noc_at };
        self.entries.insert(index, entry).map_err(|_| FabricTableError::TooMany)
    }

    /// Removes a fabric. Returns false if there was none.
    pub(in crate::manager) fn remove(&mut self, index: FabricIndex) -> bool {
        self.certificates.release(Owner::Fabric(index));
        self.entries.discard(&index)
    }

    fn view<'a>(&'a self, entry: &'a Entry<S>) -> Fabric<'a> {
        let Entry { facts, certificates, icac, noc } = entry;
        let octets = self.certificates.get(Owner::Fabric(facts.index()), certificates);
        let part = |range: Range<usize>| octets.get(range).unwrap_or_default();
        Fabric::kept(facts, part(0..*icac), part(*icac..*noc), part(*noc..octets.len()))
    }

    pub(in crate::manager) fn iter(&self) -> impl Iterator<Item = Fabric<'_>> {
        self.entries.iter().map(|(_, entry)| self.view(entry))
    }

    /// The smallest index that is free and not `in_use`.
    fn free_index(&self, in_use: impl Fn(FabricIndex) -> bool) -> Option<FabricIndex> {
        (1..=FabricIndex::MAX.get())
            .filter_map(FabricIndex::new)
            .find(|index| self.entries.get(index).is_none() && !in_use(*index))
    }
}

impl<S: Storage> FabricTable for Fabrics<S> {
    fn by_index(&self, index: FabricIndex) -> Option<Fabric<'_>> {
        self.entries.get(&index).map(|entry| self.view(entry))
    }

    fn nth(&self, n: usize) -> Option<Fabric<'_>> {
        self.iter().nth(n)
    }
}
