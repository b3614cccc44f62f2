//! Group key sets: up to three keys, of which one is for sending now.

use core::fmt;

use thiserror::Error;

use super::{GroupSession, KeyId};
use crate::crypto::{Crypto, CryptoError};
use crate::fabric::{CompressedFabricId, EpochStart, GroupEpoch};
use crate::ids::GroupKeySetId;
use crate::time::WallClock;

/// How a receiver handles senders whose counter it does not know yet. [Core, "Group Key Set"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SecurityPolicy {
    /// Trusts the first counter that it receives. An attacker who has recorded messages can replay
    /// them, in their order, to a node that has restarted, until the node receives a message that
    /// the sender itself has sealed with the same key.
    #[default]
    TrustFirst,
    /// Queues the message and asks its sender for the counter: after a restart, only the last 32
    /// messages before the answer can be replayed. Provisional in the specification. Messages of a
    /// sender that does not answer, as connectedhomeip and matter.js in 2026, are dropped.
    CacheAndSync,
}

/// A group key set as an administrator installs it.
#[derive(Clone, Copy, Debug)]
pub struct GroupKeySet<'a> {
    /// Its id on the fabric, from 1 on: set 0 is made of the fabric's identity protection keys
    /// ([`Fabrics::set_ipks`](crate::manager::Fabrics::set_ipks)).
    pub id: GroupKeySetId,
    /// How unknown senders are handled.
    pub policy: SecurityPolicy,
    /// One to three keys, the oldest first.
    pub epochs: &'a [GroupEpoch],
}

/// A group key set is not well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum KeySetError {
    /// Set 0 is that of the identity protection keys.
    #[error("group key set 0 is made of the identity protection keys")]
    Reserved,
    /// There must be one to three keys, each starting after the one before.
    #[error("a group key set needs one to three keys, the oldest first")]
    Epochs,
    /// The crypto backend failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// Maximum number of keys of a group key set.
pub const MAX_EPOCHS: usize = 3;

/// A group key set on a fabric, with its keys derived and expanded.
pub struct OperationalKeySet<C: Crypto> {
    policy: SecurityPolicy,
    epochs: [Option<Epoch<C>>; MAX_EPOCHS],
}

struct Epoch<C: Crypto> {
    start: EpochStart,
    session: GroupSession<C>,
}

impl<C: Crypto> OperationalKeySet<C> {
    /// Derives all that the keys of a set are needed for. No packet derives anything.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn new(
        crypto: &C,
        fabric: CompressedFabricId,
        set: &GroupKeySet<'_>,
    ) -> Result<Self, KeySetError> {
        if set.id == GroupKeySetId::IPK {
            return Err(KeySetError::Reserved);
        }
        let ascending = set.epochs.is_sorted_by(|a, b| a.start < b.start);
        if set.epochs.is_empty() || set.epochs.len() > MAX_EPOCHS || !ascending {
            return Err(KeySetError::Epochs);
        }
        let mut epochs = [const { None }; MAX_EPOCHS];
        for (slot, epoch) in epochs.iter_mut().zip(set.epochs) {
            let session = GroupSession::new(crypto, &epoch.key, fabric)?;
            *slot = Some(Epoch { start: epoch.start, session });
        }
        Ok(Self { policy: set.policy, epochs })
    }

    /// Returns how unknown senders are handled.
    #[must_use]
    pub const fn policy(&self) -> SecurityPolicy {
        self.policy
    }

    /// Returns the session that messages are sent with now. With the calendar time, this is the
    /// session of the newest key that has begun, otherwise of the second newest. [Core, "Epoch Key
    /// Rotation without Time Synchronization"]
    ///
    /// A clock that is behind every start chooses the oldest key. `None` if all are disabled.
    #[must_use]
    pub fn sending(&self, wall: WallClock) -> Option<&GroupSession<C>> {
        let count = self.enabled().count();
        let newest_begun = match wall {
            WallClock::Known(now) => {
                let begun = |epoch: &&Epoch<C>| epoch.start.is_past(now.as_seconds());
                self.enabled().filter(begun).count().saturating_sub(1)
            }
            WallClock::Unknown | WallClock::LastKnownGood(_) => count.saturating_sub(2),
        };
        self.enabled().nth(newest_begun).map(|epoch| &epoch.session)
    }

    /// Returns the session of the key at this place of the set.
    #[must_use]
    pub fn session(&self, place: u8) -> Option<&GroupSession<C>> {
        let epoch = self.epochs.get(usize::from(place))?.as_ref()?;
        (epoch.start != EpochStart::DISABLED).then_some(&epoch.session)
    }

    /// Returns the keys that are accepted, by their place in the set.
    pub fn sessions(&self) -> impl Iterator<Item = (u8, &GroupSession<C>)> {
        (0..).zip(&self.epochs).filter_map(|(place, _)| Some((place, self.session(place)?)))
    }

    /// Returns the ids of the keys that are accepted, by their place.
    pub(crate) fn key_ids(&self) -> [Option<KeyId>; MAX_EPOCHS] {
        let mut ids = [None; MAX_EPOCHS];
        for (place, session) in self.sessions() {
            if let Some(id) = ids.get_mut(usize::from(place)) {
                *id = Some(session.key_id());
            }
        }
        ids
    }

    fn enabled(&self) -> impl Iterator<Item = &Epoch<C>> {
        self.epochs.iter().flatten().filter(|epoch| epoch.start != EpochStart::DISABLED)
    }
}

impl<C: Crypto> fmt::Debug for OperationalKeySet<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sessions = f.debug_struct("OperationalKeySet");
        sessions.field("policy", &self.policy);
        for (_, session) in self.sessions() {
            sessions.field("session", &session.id());
        }
        sessions.finish_non_exhaustive()
    }
}
