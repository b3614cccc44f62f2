//! Counters of a manager.

use super::received::Dropped;

/// Counters of a manager, from zero when it is made.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Statistics {
    dropped: [u32; Dropped::COUNT],
    /// Handshakes refused as busy.
    pub busy: u32,
    /// Requests for PASE refused because the commissioning window was closed.
    pub window_closed: u32,
    /// Short replies that were dropped because the queue was full.
    pub replies_dropped: u32,
}

impl Statistics {
    pub(super) const fn new() -> Self {
        Self { dropped: [0; Dropped::COUNT], busy: 0, window_closed: 0, replies_dropped: 0 }
    }

    /// Returns the number of datagrams dropped for this reason.
    #[must_use]
    pub fn dropped(&self, reason: Dropped) -> u32 {
        self.dropped.get(reason.index()).copied().unwrap_or(0)
    }

    /// Returns the number of datagrams dropped in all.
    #[must_use]
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.iter().copied().map(u64::from).sum()
    }

    /// Returns each reason, with the number of datagrams dropped for it.
    pub fn iter(&self) -> impl Iterator<Item = (Dropped, u32)> {
        Dropped::all().map(|reason| (reason, self.dropped(reason)))
    }

    pub(super) fn count(&mut self, reason: Dropped) {
        if let Some(count) = self.dropped.get_mut(reason.index()) {
            *count = count.saturating_add(1);
        }
    }
}
