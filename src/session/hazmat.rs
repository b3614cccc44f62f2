//! Sessions from given keys, ids and counters: for tools, test vectors and bridges from other
//! stacks.
//!
//! **Every function here can break the encryption of a session.** The nonce of a message is its
//! counter and its sender's node id. Two different messages under one key and one nonce reveal the
//! XOR of their plaintexts, and allow an attacker to forge messages. A handshake with an honest
//! peer makes fresh keys, so nothing can be repeated. Here the caller has to ensure, for the
//! lifetime of the keys:
//!
//! - No counter is sent twice. A session that continues one of another stack starts above every
//!   counter that the other stack has sent, including messages that got lost. After that, the other
//!   stack sends nothing. If the last counter is not known for certain, establish a new session.
//! - At most one session seals with one key. The two ends have different roles, hence different
//!   keys.
//! - No counter is accepted twice. [`Counters::with_received`] says which ones have arrived;
//!   without it, everything that the peer sent before can be replayed.
//! - The keys come from a handshake. They are secret, are kept in memory only, and are wiped.
//!
//! To decrypt recorded messages with a session that never encodes is safe.
#![cfg_attr(feature = "rustcrypto", doc = "\n```")]
#![cfg_attr(not(feature = "rustcrypto"), doc = "\n```ignore")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use matter_session::ids::{LocalSessionId, PeerSessionId};
//! use matter_session::session::hazmat::{self, Counters};
//! use matter_session::session::{Identity, SessionParameters, SessionRole, SessionSetup};
//! use matter_session::wire::{MessageBuf, Packet, ProtocolHeader};
//! use matter_session::{Instant, RustCrypto};
//!
//! let keys = hazmat::session_keys(&[7; 48]);
//! let [mut here, mut there] = [SessionRole::Initiator, SessionRole::Responder].map(|role| {
//!     let setup = SessionSetup {
//!         role,
//!         local_session_id: LocalSessionId::new(1).unwrap(),
//!         peer_session_id: PeerSessionId::new(1).unwrap(),
//!         identity: Identity::pase(),
//!         peer_parameters: SessionParameters::default(),
//!         resumption_id: None,
//!     };
//!     let counters = Counters::starting_at(1000);
//!     hazmat::secure_session(&RustCrypto, &keys, setup, counters, Instant::ZERO)
//! });
//! let header = ProtocolHeader::parse(&[0x05, 0x08, 1, 0, 1, 0])?.0;
//! let mut buf = [0; 256];
//! let message = MessageBuf::with_payload(&mut buf, b"hello")?;
//! let mut datagram = here.encode(&header, message, Instant::ZERO)?.as_bytes().to_vec();
//! let opened = there.decode(Packet::parse(&mut datagram)?, Instant::ZERO)?;
//! assert_eq!((opened.counter.get(), &*opened.payload), (1000, &b"hello"[..]));
//! # Ok(())
//! # }
//! ```

use super::{
    EphemeralNodeId, SecureSession, SessionKeys, SessionSetup, UnsecureSession, UnsecuredCounter,
};
use crate::crypto::{Crypto, TxCounter};
use crate::ids::MessageCounter;
use crate::time::Instant;

/// Both message counters of a secure session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    next: u32,
    received: Option<MessageCounter>,
}

impl Counters {
    /// Makes the counters of a session that sends `next` next and has received nothing.
    #[must_use]
    pub const fn starting_at(next: u32) -> Self {
        Self { next, received: None }
    }

    /// Sets the largest counter that was received. It and all smaller ones count as duplicates.
    #[must_use]
    pub const fn with_received(mut self, largest: MessageCounter) -> Self {
        self.received = Some(largest);
        self
    }
}

/// Makes a session key block from its bytes: the I2R key, the R2I key, the attestation challenge.
#[must_use]
pub fn session_keys(block: &[u8; 48]) -> SessionKeys {
    SessionKeys::from_bytes(block)
}

/// Makes a secure session. Read [the module's page](self) first: a wrong counter breaks the
/// encryption.
///
/// The peer counts as active, as after a handshake.
#[must_use]
pub fn secure_session<C: Crypto>(
    crypto: &C,
    keys: &SessionKeys,
    setup: SessionSetup,
    counters: Counters,
    now: Instant,
) -> SecureSession<C> {
    let tx = TxCounter::at(counters.next);
    let mut session = SecureSession::with_counter(crypto, keys, setup, tx, now);
    if let Some(largest) = counters.received {
        session.has_received(largest);
    }
    session
}

/// Makes the initiator's end of an unsecured session with a known ephemeral node id. An id that is
/// used again makes the responder take the messages of two handshakes for those of one.
#[must_use]
pub fn unsecured_initiator(ephemeral: EphemeralNodeId, now: Instant) -> UnsecureSession {
    UnsecureSession::initiator_as(ephemeral, now)
}

/// Makes a counter of unsecured messages that sends `next` next.
#[must_use]
pub const fn unsecured_counter(next: u32) -> UnsecuredCounter {
    UnsecuredCounter::at(next)
}
