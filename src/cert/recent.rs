//! Certificates that were verified before.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use crate::crypto::HASH_LEN;

/// A cache of certificates whose signature was verified, so that it need not be verified again:
/// those of issuers, and of nodes if there is room for them.
///
/// A fingerprint is a SHA-256 over the issuer's public key and the certificate. So an entry is
/// about one certificate under one key, and never becomes wrong. All other checks are made again
/// each time, including those of validity periods. An implementation must be bounded, since
/// fingerprints come from peers.
pub trait VerifiedCache {
    /// Returns true if `fingerprint` was inserted earlier.
    fn contains(&self, fingerprint: &[u8; HASH_LEN]) -> bool;

    /// Remembers `fingerprint`. A full cache evicts an older one.
    fn insert(&mut self, fingerprint: [u8; HASH_LEN]);

    /// Returns true if `fingerprint` was inserted earlier as that of a node's certificate. The
    /// default returns false.
    fn contains_node(&self, fingerprint: &[u8; HASH_LEN]) -> bool {
        let _ = fingerprint;
        false
    }

    /// Remembers the `fingerprint` of a node's certificate. There are many more nodes than issuers,
    /// so it should not evict the fingerprint of an issuer. The default does nothing.
    fn insert_node(&mut self, fingerprint: [u8; HASH_LEN]) {
        let _ = fingerprint;
    }
}

/// No cache: every signature is verified every time.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCache;

impl VerifiedCache for NoCache {
    fn contains(&self, _: &[u8; HASH_LEN]) -> bool {
        false
    }

    fn insert(&mut self, _: [u8; HASH_LEN]) {}
}

/// Number of issuers that are remembered.
const ISSUERS: usize = 8;

/// How many nodes are, 32 bytes each.
#[cfg(feature = "alloc")]
const NODES: usize = 1024;

/// A [`VerifiedCache`] of the eight intermediate certificates that were verified last and, with
/// an allocator (feature `alloc`), of the 1,024 node certificates.
///
/// It saves one signature check in each handshake with a peer whose issuer it has, and another one
/// if it has the peer. Its heap grows with the nodes, to at most 32 kB.
#[derive(Clone, Debug, Default)]
pub struct RecentlyVerified {
    issuers: [Option<[u8; 32]>; ISSUERS],
    next_issuer: usize,
    #[cfg(feature = "alloc")]
    nodes: Vec<[u8; 32]>,
    /// The one that is replaced next, once there is no room for more.
    #[cfg(feature = "alloc")]
    next_node: usize,
}

impl RecentlyVerified {
    pub(crate) const EMPTY: Self = Self {
        issuers: [None; ISSUERS],
        next_issuer: 0,
        #[cfg(feature = "alloc")]
        nodes: Vec::new(),
        #[cfg(feature = "alloc")]
        next_node: 0,
    };
}

impl VerifiedCache for RecentlyVerified {
    fn contains(&self, fingerprint: &[u8; 32]) -> bool {
        self.issuers.iter().flatten().any(|known| known == fingerprint)
    }

    fn insert(&mut self, fingerprint: [u8; 32]) {
        if let Some(slot) = self.issuers.get_mut(self.next_issuer) {
            *slot = Some(fingerprint);
        }
        self.next_issuer = self.next_issuer.wrapping_add(1) % ISSUERS;
    }

    #[cfg(feature = "alloc")]
    fn contains_node(&self, fingerprint: &[u8; 32]) -> bool {
        self.nodes.contains(fingerprint)
    }

    #[cfg(feature = "alloc")]
    fn insert_node(&mut self, fingerprint: [u8; 32]) {
        if self.nodes.len() < NODES {
            self.nodes.push(fingerprint);
        } else if let Some(slot) = self.nodes.get_mut(self.next_node) {
            *slot = fingerprint;
            self.next_node = self.next_node.wrapping_add(1) % NODES;
        }
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
                let kept = usize::from(n - known) < ISSUERS;
                assert_eq!(recent.contains(&[known; 32]), kept, "{known} after {n}");
            }
        }
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn the_latest_nodes_are_remembered_and_cost_no_issuer() {
        let fingerprint = |n: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(n as u64).to_le_bytes());
            bytes
        };
        let mut recent = RecentlyVerified::default();
        recent.insert([7; 32]);
        for n in 0..2 * NODES + 3 {
            assert!(!recent.contains_node(&fingerprint(n)), "{n}");
            recent.insert_node(fingerprint(n));
            assert!(recent.contains_node(&fingerprint(n)), "{n}");
            assert_eq!(recent.nodes.len(), NODES.min(n + 1));
        }
        let known = (0..2 * NODES + 3).filter(|n| recent.contains_node(&fingerprint(*n)));
        assert!(known.eq(NODES + 3..2 * NODES + 3));
        assert!(recent.contains(&[7; 32]));
        assert!(!recent.contains(&fingerprint(2 * NODES)));
    }
}
