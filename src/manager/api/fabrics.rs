//! The fabrics of this node.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::fabric::{Fabric, FabricCredentials, FabricTable};
use crate::ids::FabricIndex;
use crate::manager::SessionManager;
use crate::manager::event::FabricTableError;
use crate::manager::storage::Storage;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Makes this node a member of a fabric: it can connect to the nodes of the fabric, and they
    /// can connect to it.
    ///
    /// # Errors
    /// [`FabricTableError::Credentials`] if they do not verify, [`FabricTableError::Exists`] if
    /// this node is a member already, [`FabricTableError::TooMany`].
    pub fn add_fabric(
        &mut self,
        credentials: &FabricCredentials<'_>,
    ) -> Result<FabricIndex, FabricTableError> {
        let Self { crypto, node, .. } = self;
        node.fabrics.add(crypto, credentials, node.config.certificate_profile)
    }

    /// Adds a fabric that was stored in the form of [`Fabric::encode`]. The fabric keeps its index,
    /// which resumption records and access control lists refer to. No signature is verified again:
    /// the store is trusted.
    ///
    /// Restore fabrics before their records ([`restore_record`](Self::restore_record)). No event
    /// says when to store a fabric. Only [`add_fabric`](Self::add_fabric),
    /// [`update_fabric`](Self::update_fabric) and [`remove_fabric`](Self::remove_fabric) change
    /// fabrics, so the application stores or deletes right after it calls one of them.
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
        self.node.fabrics.restore(&self.crypto, bytes)
    }

    /// Gives this node new credentials on a fabric: another certificate, other keys. Handshakes on
    /// the fabric end. Its resumption records are forgotten, also in the store that `cx` names.
    /// Sessions stay.
    ///
    /// # Errors
    /// [`FabricTableError::Unknown`], [`FabricTableError::Credentials`],
    /// [`FabricTableError::OtherFabric`], [`FabricTableError::TooMany`] if there is no room for
    /// longer certificates. Nothing has changed then.
    pub fn update_fabric(
        &mut self,
        cx: &mut Context<'_>,
        index: FabricIndex,
        credentials: &FabricCredentials<'_>,
    ) -> Result<(), FabricTableError> {
        self.change_membership(cx, index, credentials)
    }

    /// Ends the membership of this node in a fabric. The manager closes the sessions of the fabric
    /// with a CloseSession report to each peer, ends the handshakes, removes the groups, and
    /// forgets the resumption records, also in the store that `cx` names. Returns false if there
    /// was no such fabric.
    ///
    /// A node that is told to leave over a session of that very fabric sends its answer first. It
    /// removes the fabric once the answer is [`Acknowledged`](crate::manager::Event::Acknowledged)
    /// or, over a reliable transport, sent.
    pub fn remove_fabric(&mut self, cx: &mut Context<'_>, index: FabricIndex) -> bool {
        self.end_membership(cx, index)
    }

    /// Returns a fabric of this node.
    #[must_use]
    pub fn fabric(&self, index: FabricIndex) -> Option<Fabric<'_>> {
        self.node.fabrics.by_index(index)
    }

    /// Returns the fabrics of this node.
    pub fn fabrics(&self) -> impl Iterator<Item = Fabric<'_>> {
        self.node.fabrics.iter()
    }
}
