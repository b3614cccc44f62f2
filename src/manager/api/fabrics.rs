//! The fabrics of this node.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::fabric::{Fabric, FabricCredentials, FabricTable};
use crate::ids::FabricIndex;
use crate::manager::SessionManager;
use crate::manager::error::FabricTableError;
use crate::manager::storage::Storage;

/// The fabrics of this node, of a manager borrowed as `M`: shared to read them, mutably to change
/// them. See [`SessionManager::fabrics`] and [`SessionManager::fabrics_mut`].
#[derive(Clone, Copy, Debug)]
pub struct Fabrics<M>(M);

// A view of `&SessionManager` and one of `&mut SessionManager`, so that reading needs no exclusive
// borrow. Both are one type, so that the methods are documented on one page.

impl<C: Crypto, S: Storage, T> SessionManager<C, S, T> {
    /// Returns the fabrics of this node, to read them.
    #[must_use]
    pub const fn fabrics(&self) -> Fabrics<&Self> {
        Fabrics(self)
    }

    /// Returns the fabrics of this node, to add, update and remove them.
    #[must_use]
    pub const fn fabrics_mut(&mut self) -> Fabrics<&mut Self> {
        Fabrics(self)
    }
}

impl<'a, C: Crypto, S: Storage, T> Fabrics<&'a SessionManager<C, S, T>> {
    /// Returns the fabric with this index.
    #[must_use]
    pub fn get(self, index: FabricIndex) -> Option<Fabric<'a>> {
        self.0.node.fabrics.by_index(index)
    }

    /// Returns all fabrics.
    pub fn iter(self) -> impl Iterator<Item = Fabric<'a>> + use<'a, C, S, T> {
        self.0.node.fabrics.iter()
    }

    /// Returns the number of fabrics.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.node.fabrics.len()
    }

    /// Returns true if this node is a member of no fabric.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl<C: Crypto, S: Storage, T: Default> Fabrics<&mut SessionManager<C, S, T>> {
    /// Makes this node a member of a fabric: it can connect to the nodes of the fabric, and they
    /// can connect to it.
    ///
    /// # Errors
    /// [`FabricTableError::Credentials`] if they do not verify, [`FabricTableError::Exists`] if
    /// this node is a member already, [`FabricTableError::TooMany`].
    pub fn add(
        &mut self,
        credentials: &FabricCredentials<'_>,
    ) -> Result<FabricIndex, FabricTableError> {
        let SessionManager { crypto, node, .. } = &mut *self.0;
        node.fabrics.add(crypto, credentials, node.config.certificate_profile)
    }

    /// Adds a fabric that was stored in the form of [`Fabric::encode`]. The fabric keeps its index,
    /// which resumption records and access control lists refer to. No signature is verified again:
    /// the store is trusted.
    ///
    /// Restore fabrics before their records
    /// ([`Records::restore`](crate::manager::Records::restore)). No event says when to store a
    /// fabric. Only [`add`](Self::add), [`update`](Self::update) and [`remove`](Self::remove)
    /// change fabrics, so the application stores or deletes right after it calls one of them.
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
    ///     let index = node.fabrics_mut().add(credentials)?;
    ///     let mut bytes = [0; Fabric::ENCODED_MAX_LEN];
    ///     if let Some(Ok(len)) = node.fabrics().get(index).map(|fabric| fabric.encode(&mut bytes)) {
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
    ///         node.fabrics_mut().restore(bytes)?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`FabricTableError::Credentials`] if the bytes are damaged, [`FabricTableError::Exists`]
    /// if the index is taken or this node is a member already, [`FabricTableError::TooMany`].
    pub fn restore(&mut self, bytes: &[u8]) -> Result<FabricIndex, FabricTableError> {
        self.0.node.fabrics.restore(&self.0.crypto, bytes)
    }

    /// Gives this node new credentials on a fabric: another certificate, other keys. Handshakes on
    /// the fabric end. Its resumption records are forgotten, also in the store that `cx` names.
    /// Sessions stay.
    ///
    /// # Errors
    /// [`FabricTableError::Unknown`], [`FabricTableError::Credentials`],
    /// [`FabricTableError::OtherFabric`], [`FabricTableError::TooMany`] if there is no room for
    /// longer certificates. Nothing has changed then.
    pub fn update(
        &mut self,
        cx: &mut Context<'_>,
        index: FabricIndex,
        credentials: &FabricCredentials<'_>,
    ) -> Result<(), FabricTableError> {
        self.0.update_fabric(cx, index, credentials)
    }

    /// Ends the membership of this node in a fabric. The manager closes the sessions of the fabric
    /// with a CloseSession report to each peer, ends the handshakes, removes the groups, and
    /// forgets the resumption records, also in the store that `cx` names. Returns false if there
    /// was no such fabric.
    ///
    /// If a command over a session of this fabric asks the node to leave, send the answer first,
    /// and remove the fabric once the answer is
    /// [`Acknowledged`](crate::manager::Event::Acknowledged) or, over a reliable transport, sent.
    pub fn remove(&mut self, cx: &mut Context<'_>, index: FabricIndex) -> bool {
        self.0.remove_fabric(cx, index)
    }
}
