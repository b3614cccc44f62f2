//! Issuers that were verified lately.

use super::VerifiedCache;

/// How many are remembered.
const CAPACITY: usize = 8;

/// A [`VerifiedCache`] of the eight intermediate certificates that were verified last.
///
/// It saves one signature check in each handshake with a peer whose issuer is among them.
#[derive(Clone, Debug, Default)]
pub struct RecentlyVerified {
    fingerprints: [Option<[u8; 32]>; CAPACITY],
    next: usize,
}

impl RecentlyVerified {
    pub(crate) const EMPTY: Self = Self { fingerprints: [None; CAPACITY], next: 0 };
}

impl VerifiedCache for RecentlyVerified {
    fn contains(&self, fingerprint: &[u8; 32]) -> bool {
        self.fingerprints.iter().flatten().any(|known| known == fingerprint)
    }

    fn insert(&mut self, fingerprint: [u8; 32]) {
        if let Some(slot) = self.fingerprints.get_mut(self.next) {
            *slot = Some(fingerprint);
        }
        self.next = self.next.wrapping_add(1) % CAPACITY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_latest_are_remembered() {
        let mut recent = RecentlyVerified::default();
        for n in 0..20 {
            recent.insert([n; 32]);
            for known in 0..=n {
                let kept = usize::from(n - known) < CAPACITY;
                assert_eq!(recent.contains(&[known; 32]), kept, "{known} after {n}");
            }
        }
    }
}
