//! The fabrics of a node.

use super::storage::{Map, Storage};
use super::{CloseReason, FabricTableError, SessionManager};
use crate::crypto::Crypto;
use crate::fabric::{Fabric, FabricCredentials, FabricTable};
use crate::handshake::{Context, HandshakeError};
use crate::ids::FabricIndex;

pub(super) struct Fabrics<S: Storage>(S::Fabrics<Fabric>);

impl<S: Storage> Fabrics<S> {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Map::with_capacity(capacity))
    }

    fn iter(&self) -> impl Iterator<Item = &Fabric> {
        self.0.iter().map(|(_, fabric)| fabric)
    }

    /// The smallest index that is free.
    fn free_index(&self) -> Option<FabricIndex> {
        (1..=FabricIndex::MAX.get())
            .filter_map(FabricIndex::new)
            .find(|index| self.0.get(index).is_none())
    }
}

impl<S: Storage> FabricTable for Fabrics<S> {
    fn by_index(&self, index: FabricIndex) -> Option<&Fabric> {
        self.0.get(&index)
    }

    fn nth(&self, n: usize) -> Option<&Fabric> {
        self.iter().nth(n)
    }
}

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Makes this node a member of a fabric: it can dial its nodes and be dialled from now on.
    ///
    /// # Errors
    /// [`FabricTableError::Credentials`] if they do not verify, [`FabricTableError::Exists`] if
    /// this node is a member already, [`FabricTableError::TooMany`].
    pub fn add_fabric(
        &mut self,
        credentials: &FabricCredentials<'_>,
    ) -> Result<FabricIndex, FabricTableError> {
        let index = self.node.fabrics.free_index().ok_or(FabricTableError::TooMany)?;
        let fabric = Fabric::new(&self.crypto, index, credentials)?;
        let same = |other: &Fabric| {
            other.id() == fabric.id() && other.root_public_key() == fabric.root_public_key()
        };
        if self.node.fabrics.iter().any(same) {
            return Err(FabricTableError::Exists);
        }
        self.node.fabrics.0.insert(index, fabric).map_err(|_| FabricTableError::TooMany)?;
        Ok(index)
    }

    /// Gives this node new credentials on a fabric: another certificate, other keys. Handshakes
    /// on the fabric end and its resumption records are forgotten; sessions stay.
    ///
    /// # Errors
    /// [`FabricTableError::Unknown`], [`FabricTableError::Credentials`]; nothing changes then.
    pub fn update_fabric(
        &mut self,
        cx: &mut Context<'_>,
        index: FabricIndex,
        credentials: &FabricCredentials<'_>,
    ) -> Result<(), FabricTableError> {
        if self.fabric(index).is_none() {
            return Err(FabricTableError::Unknown);
        }
        let fabric = Fabric::new(&self.crypto, index, credentials)?;
        self.node.fabrics.0.insert(index, fabric).map_err(|_| FabricTableError::TooMany)?;
        self.fail_handshakes_of(index, HandshakeError::UnknownFabric, cx);
        self.forget_records_of(index);
        Ok(())
    }

    /// Ends this node's membership: sessions (each with a goodbye to the peer), handshakes and
    /// resumption records of the fabric go with it. Returns false if there was none.
    pub fn remove_fabric(&mut self, cx: &mut Context<'_>, index: FabricIndex) -> bool {
        if self.node.fabrics.0.remove(&index).is_none() {
            return false;
        }
        self.fail_handshakes_of(index, HandshakeError::UnknownFabric, cx);
        while let Some(session) = self.sessions.first_of_fabric(index) {
            self.end_session(session, CloseReason::FabricRemoved, cx.now);
        }
        self.forget_records_of(index);
        true
    }

    /// A fabric of this node.
    #[must_use]
    pub fn fabric(&self, index: FabricIndex) -> Option<&Fabric> {
        self.node.fabrics.by_index(index)
    }

    /// The fabrics of this node.
    pub fn fabrics(&self) -> impl Iterator<Item = &Fabric> {
        self.node.fabrics.iter()
    }
}
