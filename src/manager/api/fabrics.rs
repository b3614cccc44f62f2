//! The fabrics of this node.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::fabric::{Fabric, FabricCredentials, FabricTable, GroupEpoch};
use crate::ids::FabricIndex;
use crate::manager::SessionManager;
use crate::manager::error::FabricTableError;
use crate::manager::handle::SessionHandle;
use crate::manager::storage::Storage;

/// The fabrics of this node, of a manager borrowed as `M`: shared to read them, mutably to change
/// them. See [`SessionManager::fabrics`] and [`SessionManager::fabrics_mut`].
#[derive(Clone, Copy, Debug)]
pub struct Fabrics<M> {
    manager: M,
    spared: Option<SessionHandle>,
}

// A view of `&SessionManager` and one of `&mut SessionManager`, so that reading needs no exclusive
// borrow. Both are one type, so that the methods are documented on one page.

impl<C: Crypto, S: Storage, T> SessionManager<C, S, T> {
    /// Returns the fabrics of this node, to read them.
    #[must_use]
    pub const fn fabrics(&self) -> Fabrics<&Self> {
        Fabrics { manager: self, spared: None }
    }

    /// Returns the fabrics of this node, to add, update and remove them.
    #[must_use]
    pub const fn fabrics_mut(&mut self) -> Fabrics<&mut Self> {
        Fabrics { manager: self, spared: None }
    }
}

impl<'a, C: Crypto, S: Storage, T> Fabrics<&'a SessionManager<C, S, T>> {
    /// Returns the fabric with this index.
    #[must_use]
    pub fn get(self, index: FabricIndex) -> Option<Fabric<'a>> {
        self.manager.node.fabrics.by_index(index)
    }

    /// Returns all fabrics.
    pub fn iter(self) -> impl Iterator<Item = Fabric<'a>> + use<'a, C, S, T> {
        self.manager.node.fabrics.iter()
    }

    /// Returns the number of fabrics.
    #[must_use]
    pub fn len(self) -> usize {
        self.manager.node.fabrics.len()
    }

    /// Returns true if this node is a member of no fabric.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl<C: Crypto, S: Storage, T: Default> Fabrics<&mut SessionManager<C, S, T>> {
    /// Makes this node a member of a fabric: it can connect to the nodes of the fabric, and they
    /// can connect to it. The fabric gets the smallest free index. That of a fabric that was removed
    /// is free when no session of it is left.
    ///
    /// # Errors
    /// [`FabricTableError::Credentials`] if they do not verify, [`FabricTableError::Exists`] if
    /// this node is a member already, [`FabricTableError::TooMany`].
    pub fn add(
        &mut self,
        credentials: &FabricCredentials<'_>,
    ) -> Result<FabricIndex, FabricTableError> {
        let SessionManager { crypto, node, sessions, .. } = &mut *self.manager;
        // A session that was spared when its fabric was removed is of that fabric.
        let in_use = |index| sessions.has_fabric(index);
        node.fabrics.add(crypto, credentials, node.config.certificate_profile, in_use)
    }

    /// Adds a fabric that was stored in the form of [`Fabric::encode`]. The fabric keeps its index,
    /// which resumption records and access control lists refer to. No signature is verified again:
    /// the store is trusted.
    ///
    /// Restore fabrics before their records
    /// ([`Records::restore`](crate::manager::Records::restore)). No event says when to store a
    /// fabric. Only [`add`](Self::add), [`update`](Self::update), [`replace`](Self::replace),
    /// [`set_ipks`](Self::set_ipks) and [`remove`](Self::remove) change fabrics, so the application
    /// stores when it calls one of them, and before it answers the command. The order, and the
    /// marker that undoes half a commissioning, are in [`guide::firmware`](crate::guide::firmware).
    ///
    /// ```
    /// # use matter_session::crypto::Crypto;
    /// # use matter_session::fabric::Fabric;
    /// # use matter_session::manager::{FabricTableError, Storage};
    /// # use matter_session::{Context, FabricCredentials, FabricIndex, SessionManager};
    /// /// Joins a fabric and stores it under its index. If the store fails, the node has not joined.
    /// fn join<C: Crypto, S: Storage>(
    ///     node: &mut SessionManager<C, S>,
    ///     cx: &mut Context<'_>,
    ///     credentials: &FabricCredentials<'_>,
    ///     store: &mut dyn FnMut(FabricIndex, &[u8]) -> bool,
    /// ) -> Result<Option<FabricIndex>, FabricTableError> {
    ///     let index = node.fabrics_mut().add(credentials)?;
    ///     let mut bytes = [0; Fabric::ENCODED_MAX_LEN];
    ///     let encoded = node.fabrics().get(index).map(|fabric| fabric.encode(&mut bytes));
    ///     let stored = matches!(encoded, Some(Ok(len)) if store(index, &bytes[..len]));
    ///     bytes.fill(0); // it held keys
    ///     if !stored {
    ///         node.fabrics_mut().remove(cx, index);
    ///     }
    ///     Ok(stored.then_some(index))
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
    /// if the index is taken, also by a session that was [spared](Self::sparing), or this node is a
    /// member already, [`FabricTableError::TooMany`].
    pub fn restore(&mut self, bytes: &[u8]) -> Result<FabricIndex, FabricTableError> {
        let SessionManager { crypto, node, sessions, .. } = &mut *self.manager;
        node.fabrics.restore(crypto, bytes, |index| sessions.has_fabric(index))
    }

    /// Spares a session from the [update](Self::update), [replacement](Self::replace) or
    /// [removal](Self::remove) that follows: the one over which a command asks for it. The session
    /// stays until its last exchange is closed and settled, so that the answer arrives. It is not
    /// offered, no exchange begins on it, and no further message of the peer is delivered: exchanges
    /// that stay open expire ([`Config::exchange_lifetime`](crate::Config::exchange_lifetime)).
    ///
    /// ```
    /// # use matter_session::crypto::Crypto;
    /// # use matter_session::manager::{SendError, Storage};
    /// # use matter_session::{Context, ExchangeHandle, MessageType, Peer, SessionHandle};
    /// # use matter_session::{FabricIndex, SessionManager};
    /// /// Leaves a fabric because a message on this exchange asks for that.
    /// fn leave<C: Crypto, S: Storage>(
    ///     node: &mut SessionManager<C, S>,
    ///     cx: &mut Context<'_>,
    ///     (session, exchange): (SessionHandle, ExchangeHandle),
    ///     fabric: FabricIndex,
    ///     answer: &[u8],
    /// ) -> Result<(), SendError> {
    ///     // First, as no message is sent while many events wait.
    ///     let sent = node.send(cx, exchange, MessageType::INVOKE_RESPONSE, answer);
    ///     node.fabrics_mut().sparing(session).remove(cx, fabric);
    ///     node.close_exchange(exchange); // the session ends once the answer is acknowledged
    ///     sent
    /// }
    /// ```
    #[must_use]
    pub const fn sparing(self, session: SessionHandle) -> Self {
        Self { spared: Some(session), ..self }
    }

    /// Gives this node new credentials on a fabric: another certificate, other keys. All that was of
    /// the former node ends: the manager closes the sessions of the fabric
    /// ([`CloseReason::FabricUpdated`](crate::manager::CloseReason::FabricUpdated)), ends the
    /// handshakes, and forgets the resumption records, also in the store that `cx` names. To answer
    /// the command that asks for it, [spare](Self::sparing) its session.
    ///
    /// The command brings no identity protection keys: leave those of the credentials empty, and
    /// the fabric keeps the keys that it has, with their start times. Keys in the credentials
    /// replace them, without start times, as in [`add`](Self::add). To undo an update,
    /// [replace](Self::replace) the fabric by what was stored before. [Core, "UpdateNOC Command"]
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
        self.manager.update_fabric(cx, index, credentials, self.spared)
    }

    /// Gives a fabric back what was stored of it in the form of [`Fabric::encode`]: the undo of an
    /// [update](Self::update), if the fail-safe expires before the commissioner completes it. Store
    /// the fabric before the update, with a marker, and put the stored bytes back in its place before
    /// this call ([`guide::firmware`](crate::guide::firmware) has the order). The bytes name the
    /// fabric; its identity protection keys are replaced as well. No signature is verified again: the
    /// store is trusted.
    ///
    /// Everything of the present node ends, as with an update: sessions
    /// ([`CloseReason::FabricUpdated`](crate::manager::CloseReason::FabricUpdated)) but one that is
    /// [spared](Self::sparing), handshakes, and resumption records, also in the store that `cx`
    /// names. Groups stay.
    ///
    /// # Errors
    /// [`FabricTableError::Credentials`] if the bytes are damaged, [`FabricTableError::Unknown`] if
    /// there is no fabric with their index: [restore](Self::restore) them then,
    /// [`FabricTableError::OtherFabric`] if another fabric has it, [`FabricTableError::TooMany`] if
    /// there is no room for longer certificates. Nothing has changed then.
    pub fn replace(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Result<FabricIndex, FabricTableError> {
        self.manager.replace_fabric(cx, bytes, self.spared)
    }

    /// Replaces the identity protection keys of a fabric: one to three, the oldest first. They are
    /// those of group key set 0, so call this when an administrator writes that set. Sessions,
    /// records and handshakes under way stay. Store the fabric again after it.
    ///
    /// This node accepts handshakes under each of the keys. For its own handshakes it uses the newest
    /// key that has started, by the calendar time ([`WallClock`](crate::WallClock)); without the
    /// calendar time, or if no start times were given, the second newest. [Core, "Group Key
    /// Management"]
    ///
    /// # Errors
    /// [`FabricTableError::Unknown`], [`FabricTableError::Credentials`]. Nothing has changed then.
    pub fn set_ipks(
        &mut self,
        index: FabricIndex,
        epochs: &[GroupEpoch],
    ) -> Result<(), FabricTableError> {
        let SessionManager { crypto, node, .. } = &mut *self.manager;
        node.fabrics.set_ipks(crypto, index, epochs)
    }

    /// Ends the membership of this node in a fabric. The manager closes the sessions of the fabric
    /// with a CloseSession report to each peer, ends the handshakes, removes the groups, and
    /// forgets the resumption records, also in the store that `cx` names. Returns false if there
    /// was no such fabric.
    ///
    /// If a command over a session of this fabric asks the node to leave, [spare](Self::sparing)
    /// that session, so that the answer arrives. [Core, "RemoveFabric Command"]
    pub fn remove(&mut self, cx: &mut Context<'_>, index: FabricIndex) -> bool {
        self.manager.remove_fabric(cx, index, self.spared)
    }
}
