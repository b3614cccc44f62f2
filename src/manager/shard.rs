//! Several managers behind one UDP port: which of them a datagram is for.
//!
//! ```text
//!                    ┌─ session id: the shard in whose range it lies
//! datagram ─ header ─┤─ none: keyed hash of the initiator's ephemeral node id
//!                    └─ PASE towards a device, group messages: the first shard
//! ```
//! Both are readable in every datagram. So one thread reads the socket and passes each datagram to
//! its manager. All managers send through the same socket.

use core::fmt;
use core::hash::Hasher;
use core::ops::RangeInclusive;

#[cfg(feature = "initiator")]
use rand_core::CryptoRng;
use siphasher::sip::SipHasher13;

#[cfg(feature = "initiator")]
use crate::crypto::CryptoError;
use crate::ids::{LocalSessionId, NodeId, ProtocolId};
#[cfg(feature = "initiator")]
use crate::session::EphemeralNodeId;
use crate::wire::secure_channel::Opcode;
use crate::wire::{MessageHeader, MessageKind, Packet, ProtocolHeader, SessionRoute};

/// A node whose sessions are spread over several managers: its shards.
///
/// Make each manager with the [`Config::shard`](super::Config::shard) that [`shard`](Self::shard)
/// returns, and pass it the datagrams for which [`of`](Self::of) returns its index. It then uses
/// session ids of its own range only, and as an initiator it uses ephemeral node ids that lead back
/// to it.
///
/// The shards are one node:
///
/// - **Fabrics** are in each shard. One manager adds or updates a fabric; the others
///   [restore](crate::manager::Fabrics::restore) what it encodes, so that the index is the same.
/// - **PASE** is served by the first shard: open the commissioning window there.
/// - **Resumption records** belong to one manager. A Sigma1 that reaches a shard without the record
///   leads to a full handshake. If that happens too often, let the shards share one
///   [`ResumptionStore`](crate::resumption::ResumptionStore).
/// - **Sessions**, limits, events and timers belong to one manager. Connect to a node from the same
///   shard each time, to find its sessions there.
/// - **Connections** over TCP have one number in all shards. Call
///   [`handle_disconnect`](crate::manager::Connections::handle_disconnect) on each shard when one
///   is lost, and close one when no shard [uses](crate::manager::Connections::is_in_use) it.
///
/// ```
/// # use matter_session::manager::{Config, Shards};
/// # fn handle(_: usize, _: &[u8]) {}
/// # let (key, datagram) = ([7; 16], [0, 0x10, 0, 0]);
/// let shards = Shards::new(4, key).ok_or("at most 256")?; // the key drawn at the start
/// let configs: Vec<_> =
///     shards.iter().map(|shard| Config::default().with_shard(shard)).collect();
/// if let Some(shard) = shards.of(&datagram) {
///     handle(shard, &datagram); // on the thread of that manager
/// }
/// # assert_eq!(configs.len(), 4);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shards {
    /// How many there are, less one.
    others: u8,
    key: [u8; 16],
}

impl Shards {
    /// Maximum number of shards.
    pub const MAX: usize = 256;

    /// Makes this number of shards; `None` for 0 and for more than [`MAX`](Self::MAX).
    ///
    /// The key hides which shard a handshake goes to only until the shard answers: its session id
    /// lies in the range of the shard.
    ///
    /// `key` distributes handshakes. Draw it at random when the node starts: an attacker who knows
    /// it can send all handshakes to one shard. All processes that route to the same shards need
    /// the same key.
    #[must_use]
    pub fn new(count: usize, key: [u8; 16]) -> Option<Self> {
        let others = u8::try_from(count.checked_sub(1)?).ok()?;
        Some(Self { others, key })
    }

    /// Returns the number of shards.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::from(self.others).saturating_add(1)
    }

    /// Returns a shard, counted from 0.
    #[must_use]
    pub fn shard(&self, index: usize) -> Option<Shard> {
        let index = u8::try_from(index).ok().filter(|index| *index <= self.others)?;
        Some(Shard { of: *self, index })
    }

    /// Returns all shards in order.
    pub fn iter(&self) -> impl Iterator<Item = Shard> {
        let of = *self;
        (0..=of.others).map(move |index| Shard { of, index })
    }

    /// Returns the index of the shard that a received datagram is for. `None` if no manager would
    /// accept it.
    ///
    /// PASE messages of an initiator are for the first shard. The acknowledgements and reports that
    /// an initiator sends in PASE look like those of CASE, so they are routed by its ephemeral node
    /// id. If that is another shard, they are lost: the first shard then retransmits its last
    /// message five times before it serves the next initiator. Group messages are for the first
    /// shard as well, since their counters must be in one place.
    #[must_use]
    pub fn of(&self, datagram: &[u8]) -> Option<usize> {
        match Packet::peek(datagram).ok()?.route() {
            SessionRoute::Unicast(id) => Some(self.of_session(id)),
            SessionRoute::Group(_) => Some(FIRST),
            SessionRoute::Unsecured => {
                let (header, len) = MessageHeader::parse(datagram).ok()?;
                match header.kind().ok()? {
                    MessageKind::FromInitiator(_) if is_pase(datagram.get(len..)?) => Some(FIRST),
                    MessageKind::FromInitiator(node) | MessageKind::FromResponder(node) => {
                        Some(self.of_initiator(node))
                    }
                    _ => None,
                }
            }
        }
    }

    /// Returns the shard whose session id this is.
    fn of_session(&self, id: LocalSessionId) -> usize {
        let place = u32::from(id.get().saturating_sub(1));
        let scaled = place.saturating_mul(u32::from(self.others).saturating_add(1));
        usize::try_from(scaled / IDS).unwrap_or(FIRST)
    }

    fn of_initiator(&self, ephemeral: NodeId) -> usize {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write_u64(ephemeral.get());
        // The high half is as good as all of it, scaled without a division.
        let hash = hasher.finish() >> 32;
        let scaled = hash.saturating_mul(u64::from(self.others).saturating_add(1));
        usize::try_from(scaled >> 32).unwrap_or(FIRST)
    }
}

/// One of the [`Shards`] of a node, or a node that has no others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    of: Shards,
    index: u8,
}

impl Shard {
    /// The only manager of a node.
    pub const WHOLE: Self = Self { of: Shards { others: 0, key: [0; 16] }, index: 0 };

    /// Returns the index of this shard, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        usize::from(self.index)
    }

    /// Returns the local session ids of this shard: at least 255.
    #[must_use]
    pub fn session_ids(&self) -> RangeInclusive<u16> {
        let count = u32::from(self.of.others).saturating_add(1);
        // The first place that `of_session` scales to this shard, and to the next.
        let first = |index: u8| u32::from(index).saturating_mul(IDS).div_ceil(count);
        let first_id = first(self.index).saturating_add(1);
        let last_id = match self.index.checked_add(1) {
            Some(next) if next <= self.of.others => first(next),
            _ => IDS,
        };
        let id = |id: u32| u16::try_from(id).unwrap_or(u16::MAX);
        id(first_id)..=id(last_id)
    }

    /// Draws a node id for an initiator, so that its answers are routed to this shard.
    #[cfg(feature = "initiator")]
    pub(super) fn ephemeral(
        &self,
        rng: &mut dyn CryptoRng,
    ) -> Result<EphemeralNodeId, CryptoError> {
        /// Of 256 shards none is missed by so many with a probability above 2^-92.
        const TRIES: u64 = 1 << 14;
        let drawn = EphemeralNodeId::random(rng)?;
        // Counting up instead of drawing again: it ends, whatever the source of randomness.
        let start = drawn.node().get();
        Ok((0..TRIES)
            .map(|n| NodeId::new(start.wrapping_add(n)))
            .filter_map(EphemeralNodeId::received)
            .find(|drawn| self.of.of_initiator(drawn.node()) == self.index())
            .unwrap_or(drawn))
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

/// Number of session ids: all except 0.
const IDS: u32 = 0xFFFF;

/// The shard that handles what a node has only once.
const FIRST: usize = 0;

/// Returns true if an initiator's unsecured message belongs to PASE itself.
fn is_pase(body: &[u8]) -> bool {
    ProtocolHeader::parse(body).is_ok_and(|(header, _)| {
        let pase = [Opcode::PBKDF_PARAM_REQUEST, Opcode::PASE_PAKE1, Opcode::PASE_PAKE3];
        header.protocol == ProtocolId::SECURE_CHANNEL && pase.contains(&Opcode(header.opcode))
    })
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shards").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shard({} of {})", self.index, self.of.count())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const COUNTS: [usize; 9] = [1, 2, 3, 7, 16, 100, 254, 255, 256];

    #[test]
    fn every_session_id_belongs_to_the_shard_that_has_it_in_its_range() {
        for count in COUNTS {
            let shards = Shards::new(count, [1; 16]).unwrap();
            let mut next = 1_u32;
            for shard in shards.iter() {
                let ids = shard.session_ids();
                assert_eq!(u32::from(*ids.start()), next, "{shard:?}");
                assert!(ids.len() >= 255, "{shard:?}");
                for id in ids.clone() {
                    let id = LocalSessionId::new(id).unwrap();
                    assert_eq!(shards.of_session(id), shard.index(), "{shard:?}, id {id}");
                }
                next = u32::from(*ids.end()) + 1;
            }
            assert_eq!(next, 0x1_0000, "{count} shards have all ids");
        }
    }

    #[test]
    fn initiators_spread_over_all_shards_by_a_key() {
        for count in COUNTS {
            let [one, other] = [[1; 16], [2; 16]].map(|key| Shards::new(count, key).unwrap());
            let mut found = vec![0_u32; count];
            let mut same = 0;
            // An attacker would choose them like this.
            for node in 1..=64 * count as u64 {
                let node = NodeId::new(node << 40);
                found[one.of_initiator(node)] += 1;
                same += usize::from(one.of_initiator(node) == other.of_initiator(node));
            }
            // Each gets 64 on average, with a standard deviation of 8.
            assert!(found.iter().all(|found| (16..=128).contains(found)), "{found:?}");
            assert!(count == 1 || same < 45 * count, "the key decides");
        }
    }

    #[test]
    fn there_are_one_to_256_shards() {
        for count in [0, 257, usize::MAX] {
            assert_eq!(Shards::new(count, [0; 16]), None);
        }
        let shards = Shards::new(256, [0; 16]).unwrap();
        assert_eq!((shards.count(), shards.iter().count()), (256, 256));
        assert_eq!(shards.shard(256), None);
        assert_eq!(Shard::WHOLE.session_ids(), 1..=65_535);
    }

    #[cfg(feature = "initiator")]
    #[test]
    fn a_source_of_randomness_that_repeats_itself_ends_the_search() {
        struct Stuck;
        impl rand_core::TryRng for Stuck {
            type Error = core::convert::Infallible;
            fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
                Ok(7)
            }
            fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
                Ok(42)
            }
            fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
                bytes.fill(7);
                Ok(())
            }
        }
        impl rand_core::TryCryptoRng for Stuck {}
        let shards = Shards::new(16, [3; 16]).unwrap();
        for shard in shards.iter() {
            let node = shard.ephemeral(&mut Stuck).unwrap().node();
            assert_eq!(shards.of_initiator(node), shard.index());
        }
    }
}
