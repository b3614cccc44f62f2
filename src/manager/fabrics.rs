//! The fabrics of a node.

use super::storage::{Map, Storage};
use super::{CloseReason, FabricTableError, SessionManager};
use crate::crypto::Crypto;
use crate::fabric::{CredentialsVerified, Fabric, FabricCredentials, FabricError, FabricTable};
use crate::handshake::{Context, HandshakeError};
use crate::ids::FabricIndex;

pub(super) struct Fabrics<S: Storage>(S::Fabrics<Fabric>);

impl<S: Storage> Fabrics<S> {
    pub(super) const EMPTY: Self = Self(Map::EMPTY);

    pub(super) fn limit(&mut self, limit: usize) {
        self.0.limit(limit);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes a fabric in. Not inlined, so that the room that is made for it does not stand on
    /// the stack while signatures are verified.
    #[inline(never)]
    fn join(
        &mut self,
        index: FabricIndex,
        credentials: &CredentialsVerified<'_>,
    ) -> Result<(), FabricTableError> {
        self.0.insert(index, Fabric::vacant()).map_err(|_| FabricTableError::TooMany)?;
        if let Some(fabric) = self.0.get_mut(&index) {
            fabric.load(index, credentials);
        }
        Ok(())
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
    #[inline(never)]
    pub fn add_fabric(
        &mut self,
        credentials: &FabricCredentials<'_>,
    ) -> Result<FabricIndex, FabricTableError> {
        let index = self.node.fabrics.free_index().ok_or(FabricTableError::TooMany)?;
        let verified = self.verify_credentials(credentials)?;
        if self.node.fabrics.iter().any(|other| verified.are_of(other)) {
            return Err(FabricTableError::Exists);
        }
        self.node.fabrics.join(index, &verified)?;
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
            let trusted = credentials.trust(crypto)?;
            let taken = |other: &Fabric| other.index() == index || trusted.are_of(other);
            if node.fabrics.iter().any(taken) {
                return Err(FabricTableError::Exists);
            }
            node.fabrics.join(index, &trusted).map(|()| index)
        })?;
        log_info!("fabric {} restored", index);
        Ok(index)
    }

    /// Gives this node new credentials on a fabric: another certificate, other keys. Handshakes
    /// on the fabric end and its resumption records are forgotten; sessions stay.
    ///
    /// # Errors
    /// [`FabricTableError::Unknown`], [`FabricTableError::Credentials`],
    /// [`FabricTableError::OtherFabric`]; nothing changes then.
    pub fn update_fabric(
        &mut self,
        cx: &mut Context<'_>,
        index: FabricIndex,
        credentials: &FabricCredentials<'_>,
    ) -> Result<(), FabricTableError> {
        if self.node.fabrics.by_index(index).is_none() {
            return Err(FabricTableError::Unknown);
        }
        let verified = self.verify_credentials(credentials)?;
        match self.node.fabrics.0.get_mut(&index) {
            Some(fabric) if verified.are_of(fabric) => fabric.load(index, &verified),
            _ => return Err(FabricTableError::OtherFabric),
        }
        log_info!("fabric {} updated", index);
        self.fail_handshakes_of(index, HandshakeError::UnknownFabric, cx);
        self.forget_records_of(index);
        Ok(())
    }

    /// Ends this node's membership: sessions (each with a goodbye to the peer), handshakes and
    /// resumption records of the fabric go with it. Returns false if there was none.
    ///
    /// A node that is told to leave over a session of that very fabric sends its answer first
    /// and calls this once the answer is [`Acknowledged`](super::Event::Acknowledged), or, over
    /// a reliable transport, sent.
    pub fn remove_fabric(&mut self, cx: &mut Context<'_>, index: FabricIndex) -> bool {
        if !self.node.fabrics.0.discard(&index) {
            return false;
        }
        log_info!("fabric {} removed", index);
        self.fail_handshakes_of(index, HandshakeError::UnknownFabric, cx);
        while let Some(session) = self.sessions.first_of_fabric(index) {
            self.end_session(session, CloseReason::FabricRemoved, cx.now);
        }
        self.forget_records_of(index);
        true
    }

    fn verify_credentials<'a>(
        &self,
        credentials: &FabricCredentials<'a>,
    ) -> Result<CredentialsVerified<'a>, FabricError> {
        credentials.verify(&self.crypto, self.node.config.certificate_profile)
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
