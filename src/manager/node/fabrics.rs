//! The fabrics of a node.

use core::ops::Range;

use crate::cert::RecentlyVerified;
use crate::context::Context;
use crate::crypto::Crypto;
use crate::fabric::{
    CredentialsVerified, Fabric, FabricCredentials, FabricError, FabricTable, Facts,
};
use crate::handshake::HandshakeError;
use crate::ids::FabricIndex;
use crate::manager::storage::{Map, Octets, Owner, Storage};
use crate::manager::{CloseReason, FabricTableError, SessionManager};

pub(in crate::manager) struct Fabrics<S: Storage> {
    entries: S::Fabrics<Entry<S>>,
    certificates: S::Certificates,
}

/// A fabric, of which the certificates stand one after the other elsewhere.
pub(in crate::manager) struct Entry<S: Storage> {
    facts: Facts,
    certificates: <S::Certificates as Octets>::Held,
    /// Where the ICAC begins, behind the root, and the NOC behind that.
    icac: usize,
    noc: usize,
}

impl<S: Storage> Fabrics<S> {
    pub(in crate::manager) const EMPTY: Self =
        Self { entries: Map::EMPTY, certificates: Octets::EMPTY };

    pub(in crate::manager) fn limit(&mut self, limit: usize) {
        self.entries.limit(limit);
    }

    pub(in crate::manager) fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    pub(in crate::manager) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes a fabric in, or in place of what it was before.
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

    fn discard(&mut self, index: FabricIndex) -> bool {
        self.certificates.release(Owner::Fabric(index));
        self.entries.discard(&index)
    }

    fn view<'a>(&'a self, entry: &'a Entry<S>) -> Fabric<'a> {
        let Entry { facts, certificates, icac, noc } = entry;
        let octets = self.certificates.get(Owner::Fabric(facts.index()), certificates);
        let part = |range: Range<usize>| octets.get(range).unwrap_or_default();
        Fabric::kept(facts, part(0..*icac), part(*icac..*noc), part(*noc..octets.len()))
    }

    fn iter(&self) -> impl Iterator<Item = Fabric<'_>> {
        self.entries.iter().map(|(_, entry)| self.view(entry))
    }

    /// The smallest index that is free.
    fn free_index(&self) -> Option<FabricIndex> {
        (1..=FabricIndex::MAX.get())
            .filter_map(FabricIndex::new)
            .find(|index| self.entries.get(index).is_none())
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

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Makes this node a member of a fabric: it can dial its nodes and be dialled from now on.
    ///
    /// # Errors
    /// [`FabricTableError::Credentials`] if they do not verify, [`FabricTableError::Exists`] if
    /// this node is a member already, [`FabricTableError::TooMany`].
    #[inline(never)]
    pub fn add_fabric(
        &mut self,
        credentials: &FabricCredentials<'_>,
    ) -> Result<FabricIndex, FabricTableError> {
        let index = self.node.fabrics.free_index().ok_or(FabricTableError::TooMany)?;
        let verified = self.verify_credentials(index, credentials)?;
        let fabric = verified.fabric();
        if self.node.fabrics.iter().any(|other| other.is_same(fabric)) {
            return Err(FabricTableError::Exists);
        }
        self.node.fabrics.keep(fabric)?;
        log_info!("fabric {} added", index);
        Ok(index)
    }

    /// Takes in a fabric that was stored before, in the form of [`Fabric::encode`]. It keeps its
    /// index, which resumption records and access control lists refer to. No signature is
    /// verified again: the store is trusted.
    ///
    /// Fabrics come before their records ([`restore_record`](Self::restore_record)). No event
    /// tells when one is to be stored: only [`add_fabric`](Self::add_fabric),
    /// [`update_fabric`](Self::update_fabric) and [`remove_fabric`](Self::remove_fabric) change
    /// them, so the application stores or deletes right after those.
    ///
    /// ```
    /// # use matter_session::crypto::Crypto;
    /// # use matter_session::fabric::Fabric;
    /// # use matter_session::manager::{FabricTableError, Storage};
    /// # use matter_session::{FabricCredentials, FabricIndex, SessionManager};
    /// /// Joins a fabric and stores it under its index.
    /// fn join<C: Crypto, S: Storage>(
    ///     node: &mut SessionManager<C, S>,
    ///     credentials: &FabricCredentials<'_>,
    ///     store: &mut dyn FnMut(FabricIndex, &[u8]),
    /// ) -> Result<FabricIndex, FabricTableError> {
    ///     let index = node.add_fabric(credentials)?;
    ///     let mut bytes = [0; Fabric::ENCODED_MAX_LEN];
    ///     if let Some(Ok(len)) = node.fabric(index).map(|fabric| fabric.encode(&mut bytes)) {
    ///         store(index, &bytes[..len]);
    ///     }
    ///     bytes.fill(0); // it held keys
    ///     Ok(index)
    /// }
    ///
    /// /// After a restart, with what was stored then.
    /// fn rejoin<'a, C: Crypto, S: Storage>(
    ///     node: &mut SessionManager<C, S>,
    ///     stored: impl Iterator<Item = &'a [u8]>,
    /// ) -> Result<(), FabricTableError> {
    ///     for bytes in stored {
    ///         node.restore_fabric(bytes)?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`FabricTableError::Credentials`] if the bytes are damaged, [`FabricTableError::Exists`]
    /// if the index is taken or this node is a member already, [`FabricTableError::TooMany`].
    pub fn restore_fabric(&mut self, bytes: &[u8]) -> Result<FabricIndex, FabricTableError> {
        let Self { node, crypto, .. } = self;
        let index = Fabric::read(bytes, |index, credentials| {
            let trusted = credentials.trust(crypto, index)?;
            let fabric = trusted.fabric();
            let taken = |other: Fabric<'_>| other.index() == index || other.is_same(fabric);
            if node.fabrics.iter().any(taken) {
                return Err(FabricTableError::Exists);
            }
            node.fabrics.keep(fabric).map(|()| index)
        })?;
        log_info!("fabric {} restored", index);
        Ok(index)
    }

    /// Gives this node new credentials on a fabric: another certificate, other keys. Handshakes
    /// on the fabric end and its resumption records are forgotten, also those of the store that
    /// `cx` names; sessions stay.
    ///
    /// # Errors
    /// [`FabricTableError::Unknown`], [`FabricTableError::Credentials`],
    /// [`FabricTableError::OtherFabric`], [`FabricTableError::TooMany`] if longer certificates find
    /// no room; nothing changes then.
    pub fn update_fabric(
        &mut self,
        cx: &mut Context<'_>,
        index: FabricIndex,
        credentials: &FabricCredentials<'_>,
    ) -> Result<(), FabricTableError> {
        let former = self.node.fabrics.by_index(index).ok_or(FabricTableError::Unknown)?;
        let verified = self.verify_credentials(index, credentials)?;
        let fabric = verified.fabric();
        if !former.is_same(fabric) {
            return Err(FabricTableError::OtherFabric);
        }
        self.node.fabrics.keep(fabric)?;
        self.rename_in_groups(index);
        log_info!("fabric {} updated", index);
        let (error, delivery, node) =
            (HandshakeError::UnknownFabric, &mut self.delivery, &mut self.node);
        self.handshakes.fail_of_fabric(&self.crypto, cx, index, error, delivery, node);
        self.forget_records_of(index, cx);
        Ok(())
    }

    /// Ends this node's membership: sessions (each with a goodbye to the peer), handshakes,
    /// resumption records and groups of the fabric go with it, also those of the store that `cx` names.
    /// Returns false if there was none.
    ///
    /// A node that is told to leave over a session of that very fabric sends its answer first
    /// and calls this once the answer is [`Acknowledged`](crate::manager::Event::Acknowledged), or, over
    /// a reliable transport, sent.
    pub fn remove_fabric(&mut self, cx: &mut Context<'_>, index: FabricIndex) -> bool {
        if !self.node.fabrics.discard(index) {
            return false;
        }
        log_info!("fabric {} removed", index);
        let (error, delivery, node) =
            (HandshakeError::UnknownFabric, &mut self.delivery, &mut self.node);
        self.handshakes.fail_of_fabric(&self.crypto, cx, index, error, delivery, node);
        while let Some(session) = self.sessions.table.first_of_fabric(index) {
            self.end_session(session, CloseReason::FabricRemoved, cx.now);
        }
        self.forget_records_of(index, cx);
        self.remove_groups_of(index);
        // Those of other fabrics, which share the memory, are verified once more.
        self.node.verified = RecentlyVerified::EMPTY;
        true
    }

    fn verify_credentials<'a>(
        &self,
        index: FabricIndex,
        credentials: &FabricCredentials<'a>,
    ) -> Result<CredentialsVerified<'a>, FabricError> {
        credentials.verify(&self.crypto, index, self.node.config.certificate_profile)
    }

    /// A fabric of this node.
    #[must_use]
    pub fn fabric(&self, index: FabricIndex) -> Option<Fabric<'_>> {
        self.node.fabrics.by_index(index)
    }

    /// The fabrics of this node.
    pub fn fabrics(&self) -> impl Iterator<Item = Fabric<'_>> {
        self.node.fabrics.iter()
    }
}
