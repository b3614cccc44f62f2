//! Which process serves which device.
//!
//! This is a matter of load, not of safety: two processes that serve one device for a moment have
//! a session of their own each, with keys of its own. So nothing has to be agreed upon. Each process
//! computes the assignment from the list of those that live, by rendezvous hashing: a device belongs
//! to the process with the highest score. If a process dies, its devices alone move, and they spread
//! over all others.

use core::time::Duration;
use std::collections::BTreeMap;

use matter_session::ids::NodeId;
use matter_session::time::Instant;

/// The number of a process.
pub type Process = u8;

/// Returns the process that serves a device.
#[must_use]
pub fn owner(device: NodeId, processes: impl IntoIterator<Item = Process>) -> Option<Process> {
    processes.into_iter().max_by_key(|process| (score(device, *process), *process))
}

/// Every process must compute the same, also one of another version of this program. So this is a
/// fixed function (the finaliser of `splitmix64`) and not the hasher of the standard library.
fn score(device: NodeId, process: Process) -> u64 {
    let mix = |mut x: u64| {
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    };
    mix(mix(u64::from(process).wrapping_mul(0x9E37_79B9_7F4A_7C15)) ^ mix(device.get()))
}

/// The processes that live, as one of them sees it.
#[derive(Debug)]
pub struct View {
    own: Process,
    lease: Duration,
    live: BTreeMap<Process, Instant>,
    /// Since when the store has answered without a pause.
    answers_since: Option<Instant>,
    /// Whether it has seen long enough who else lives.
    serves: bool,
}

impl View {
    /// A view of a process that has seen no other yet.
    #[must_use]
    pub const fn new(own: Process, lease: Duration) -> Self {
        Self { own, lease, live: BTreeMap::new(), answers_since: None, serves: false }
    }

    /// Takes what the store says: the processes with a lease, or that it does not answer. Returns
    /// true if another process lives now, or one does not any more.
    ///
    /// A process that is missing counts as dead if the store has answered for a lease: a store
    /// that comes back, perhaps empty, knows nobody until each has been there.
    pub fn update(&mut self, now: Instant, live: Option<&[Process]>) -> bool {
        let Some(live) = live else {
            self.answers_since = None;
            return false;
        };
        let since = *self.answers_since.get_or_insert(now);
        let before: Vec<_> = self.live.keys().copied().collect();
        self.live.extend(live.iter().map(|process| (*process, now)));
        self.serves |= now.saturating_since(since) >= self.lease / 2;
        if now.saturating_since(since) >= self.lease {
            self.live.retain(|process, seen| *process == self.own || *seen == now);
        }
        !self.live.keys().eq(before.iter())
    }

    /// Returns true if this process serves a device. It serves none before the store has answered for
    /// half a lease: processes that start together have seen each other then, and do not all connect
    /// to the same devices.
    #[must_use]
    pub fn is_mine(&self, device: NodeId) -> bool {
        self.serves && owner(device, self.live.keys().copied()) == Some(self.own)
    }

    /// Returns how many processes live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Returns true if it has not heard from the store yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(1);

    fn devices() -> impl Iterator<Item = NodeId> {
        (1..=3000).map(|n| NodeId::new(0xD000 + n))
    }

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn every_device_has_one_owner_and_the_owners_have_as_many() {
        for process in 1..=3 {
            let owned = devices().filter(|device| owner(*device, 1..=3) == Some(process)).count();
            assert!((900..=1100).contains(&owned), "{owned}");
        }
    }

    #[test]
    fn if_a_process_dies_its_devices_alone_move_to_all_others() {
        let mut moved = [0; 3];
        for device in devices() {
            let [before, after] = [&[1, 2, 3][..], &[1, 3]]
                .map(|processes| owner(device, processes.iter().copied()).unwrap());
            if before == 2 {
                moved[usize::from(after) - 1] += 1;
            } else {
                assert_eq!(before, after);
            }
        }
        assert!(moved[0] > 400 && moved[1] == 0 && moved[2] > 400, "{moved:?}");
    }

    #[test]
    fn a_store_that_comes_back_empty_makes_nobody_dead() {
        let mut view = View::new(1, LEASE);
        assert!(view.update(at(0), Some(&[1, 2, 3])));
        assert!(!view.update(at(2000), Some(&[1, 2, 3])));
        assert!(!view.update(at(2200), None));
        // Empty; the others come again within their lease.
        assert!(!view.update(at(5000), Some(&[1])));
        assert!(!view.update(at(5900), Some(&[1, 2])));
        // The third does not.
        assert!(view.update(at(6100), Some(&[1, 2])));
        assert_eq!(view.len(), 2);
    }

    #[test]
    fn a_process_serves_nothing_before_it_has_seen_the_others_and_keeps_itself() {
        let mut view = View::new(2, LEASE);
        assert!(devices().all(|device| !view.is_mine(device)));
        assert!(view.update(at(0), Some(&[2])));
        assert!(view.update(at(200), Some(&[1, 2])));
        assert!(devices().all(|device| !view.is_mine(device)));
        assert!(!view.update(at(500), Some(&[1, 2])));
        let mine = devices().filter(|device| view.is_mine(*device)).count();
        assert!((1300..=1700).contains(&mine), "{mine}");
        assert!(!view.update(at(700), None));
        assert!(view.update(at(3000), Some(&[2])) || view.update(at(4000), Some(&[2])));
        assert!(devices().all(|device| view.is_mine(device)));
        assert!(!view.update(at(4100), Some(&[])), "its own lease has ended: it serves on");
    }
}
