//! Group communication: one message that many nodes of a fabric receive.
//!
//! ```text
//!  administrator: GroupKeySet ──▶ OperationalKeySet: up to three GroupSessions, one for sending now
//!
//!  CounterStore ──▶ GroupCounters ──Fresh──▶ GroupSession::encode ──▶ Sealed ──▶ multicast
//!  datagram, candidates ──▶ decode ──▶ GroupOpened ──▶ window of the sender ──▶ application
//! ```
//! Group messages are encrypted with a key that all members have, carry their sender's node id, may
//! hide counter and node ids in their header (privacy), and are neither acknowledged nor answered.
//! To detect replays, a receiver keeps a window for each key of each sender. It begins with the
//! first counter that it receives, or with one that it asks the sender for ([`Challenges`]).
//!
//! [`SessionManager`](crate::SessionManager) does all of it for a node. Each part can be used
//! without it, where the caller keeps these windows, for each fabric, until it restarts:
//!
#![cfg_attr(all(feature = "std", feature = "rustcrypto"), doc = "```")]
#![cfg_attr(not(all(feature = "std", feature = "rustcrypto")), doc = "```ignore")]
//! use matter_session::RustCrypto;
//! use matter_session::crypto::Secret;
//! use matter_session::fabric::{CompressedFabricId, GroupKey};
//! use matter_session::group::{self, CounterStore, GroupCounter, GroupCounters, GroupSession};
//! use matter_session::ids::{ExchangeId, GroupId, NodeId, ProtocolId};
//! use matter_session::session::{ReplayWindow, Verdict};
//! use matter_session::wire::{MessageBuf, ProtocolHeader};
//!
//! /// In the memory of this process. A real one survives power loss.
//! #[derive(Default)]
//! struct Memory([Option<u64>; 2]);
//!
//! impl CounterStore for Memory {
//!     fn load(&mut self, counter: GroupCounter) -> Result<Option<u64>, group::StoreError> {
//!         Ok(self.0[counter as usize])
//!     }
//!
//!     fn store(&mut self, counter: GroupCounter, bound: u64) -> Result<(), group::StoreError> {
//!         self.0[counter as usize] = Some(bound);
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
//! let key = GroupKey::EpochKey(Secret::new([7; 16]));
//! let fabric = CompressedFabricId::from_bytes([1; 8]);
//! let (lamp, kitchen) = (NodeId::new(5), GroupId::new(1));
//!
//! // The sender.
//! let session = GroupSession::new(&RustCrypto, &key, fabric)?;
//! let (mut counters, mut store) = (GroupCounters::new(), Memory::default());
//! let counter = counters.take_data(&mut store, &mut rng)?;
//! let header = ProtocolHeader {
//!     exchange: ExchangeId::new(1),
//!     protocol: ProtocolId::INTERACTION_MODEL,
//!     opcode: 8,
//!     initiator: true,
//!     needs_ack: false,
//!     ack: None,
//! };
//! let mut buffer = [0; 128];
//! let message = MessageBuf::with_payload(&mut buffer, b"lights on")?;
//! let sealed = session.encode(counter, lamp, kitchen, true, &header, message)?;
//!
//! // A receiver.
//! let mut datagram = sealed.as_bytes().to_vec();
//! let opened = group::decode(&mut datagram, [("lights", &session)], |_, _| true)?;
//! assert_eq!((opened.key, opened.source, &*opened.payload), ("lights", lamp, &b"lights on"[..]));
//! let mut window = ReplayWindow::group_trust_first();
//! assert_eq!(window.check(opened.counter), Verdict::New);
//! window.commit(opened.counter);
//! # Ok(())
//! # }
//! ```
//! [Core, "Group Communication", "Group Key Management"]

mod address;
mod counter;
mod key_set;
mod session;
mod sync;

pub use self::address::{GROUP_PORT, MulticastAddress};
pub use self::counter::{
    COUNTER_BLOCK, CounterError, CounterStore, Fresh, GroupCounter, GroupCounters, StoreError,
};
pub use self::key_set::{GroupKeySet, KeySetError, MAX_EPOCHS, OperationalKeySet, SecurityPolicy};
pub(crate) use self::session::KeyId;
pub use self::session::{GroupOpened, GroupSession, decode};
pub use self::sync::{
    Challenge, Challenges, REQUEST_SPREAD, SYNC_TIMEOUT, SyncResponse, Synchronized, request_at,
};
pub use crate::fabric::{EpochStart, GroupEpoch};
