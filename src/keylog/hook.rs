//! The hook as the layers pass it on. Without the feature `keylog` it has no size and does nothing.

#[cfg(feature = "keylog")]
use core::fmt;
#[cfg(not(feature = "keylog"))]
use core::marker::PhantomData;

#[cfg(feature = "keylog")]
use super::{GroupSecrets, KeyLog, KeyLogEntry, SessionSecrets};
use crate::crypto::OneTimeKey;
use crate::session::{SessionKeys, SessionSetup};

/// The hook that a call borrows to log keys.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "keylog"), derive(Debug))]
pub(crate) struct KeyHook<'a> {
    #[cfg(feature = "keylog")]
    log: Option<&'a dyn KeyLog>,
    #[cfg(not(feature = "keylog"))]
    none: PhantomData<&'a ()>,
}

#[cfg(feature = "keylog")]
impl<'a> KeyHook<'a> {
    /// Logs nothing.
    pub(crate) const NONE: Self = Self { log: None };

    pub(crate) const fn to(log: &'a dyn KeyLog) -> Self {
        Self { log: Some(log) }
    }

    /// Returns true if the application has named a hook.
    pub(crate) const fn is_set(self) -> bool {
        self.log.is_some()
    }

    /// Logs the keys of a session that begins.
    pub(crate) fn session(self, keys: &SessionKeys, setup: &SessionSetup) {
        self.log(|| KeyLogEntry::Session(SessionSecrets::new(keys, setup)));
    }

    /// Logs the key that opens the certificates in a Sigma2.
    pub(crate) fn sigma2(self, key: &OneTimeKey) {
        self.log(|| KeyLogEntry::Sigma2(key.disclose()));
    }

    /// Logs the key that opens the certificates in a Sigma3.
    pub(crate) fn sigma3(self, key: &OneTimeKey) {
        self.log(|| KeyLogEntry::Sigma3(key.disclose()));
    }

    /// Logs a key of a group.
    pub(crate) fn group(self, secrets: impl FnOnce() -> GroupSecrets) {
        self.log(|| KeyLogEntry::Group(secrets()));
    }

    fn log(self, entry: impl FnOnce() -> KeyLogEntry) {
        if let Some(log) = self.log {
            log.log(&entry());
        }
    }
}

#[cfg(feature = "keylog")]
impl fmt::Debug for KeyHook<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHook").field("is_set", &self.is_set()).finish_non_exhaustive()
    }
}

#[cfg(not(feature = "keylog"))]
#[allow(clippy::unused_self, reason = "with the feature they use it")]
impl KeyHook<'_> {
    pub(crate) const NONE: Self = Self { none: PhantomData };

    pub(crate) const fn session(self, _: &SessionKeys, _: &SessionSetup) {}

    pub(crate) const fn sigma2(self, _: &OneTimeKey) {}

    pub(crate) const fn sigma3(self, _: &OneTimeKey) {}
}
