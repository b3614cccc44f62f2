//! The Check-In Protocol: an intermittently connected device (ICD) tells clients whose
//! subscriptions it has lost that it is awake. [Core, "Check-In Protocol"]
//!
//! ```text
//! ICD     IcdCounter::check_in ──▶ CheckIn::encode, for each RegisteredKey ──▶ datagram
//! client  datagram ──▶ payload ──▶ open, with all Registrations ──▶ CheckedIn
//!
//! payload = nonce (13) || encrypted: counter LE (4), application data || integrity code (16)
//! nonce   = the first 13 bytes of HMAC-SHA256(key, counter LE)
//! ```
//! One unsecured message on an exchange of its own, never acknowledged and never answered. The key
//! alone identifies the sender, so a client tries the keys of all ICDs that it is registered with.
//!
#![cfg_attr(all(feature = "std", feature = "rustcrypto"), doc = "```")]
#![cfg_attr(not(all(feature = "std", feature = "rustcrypto")), doc = "```ignore")]
//! use matter_session::check_in::{self, IcdCounter, MAX_DATAGRAM_BUFFER, Registration};
//! use matter_session::crypto::{RustCrypto, Secret, StoreFirst};
//! use matter_session::fabric::CompressedFabricId;
//! use matter_session::ids::{ExchangeId, FabricIndex, NodeId};
//! use matter_session::session::UnsecuredCounter;
//! use matter_session::wire::Packet;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
//! # let store = |_: u64| {};
//! # let key = || Secret::new(*b"from RegisterCli");
//! // A client registers: it sends a key, and gets the value of the counter.
//! let mut icd = IcdCounter::random(100, &mut rng);
//! if let Some(bound) = icd.bound_to_store() {
//!     store(bound);
//!     icd.stored(bound);
//! }
//! let registered = [icd.register(key(), &[])?]; // with all keys that are registered
//! let (fabric, lamp) = (FabricIndex::new(1).ok_or("zero")?, NodeId::new(0x1A));
//! let compressed = CompressedFabricId::from_bytes([7; 8]);
//! let mut registrations = [Registration::new(fabric, compressed, lamp, key(), icd.value())];
//!
//! // The ICD wakes up. It uses one counter for all of its clients.
//! let threshold_ms = 300_u16.to_le_bytes();
//! let check_in = loop {
//!     match icd.check_in(&threshold_ms) {
//!         Ok(check_in) => break check_in,
//!         Err(StoreFirst { bound }) => {
//!             store(bound);
//!             icd.stored(bound);
//!         }
//!     }
//! };
//! let mut unsecured = UnsecuredCounter::random(&mut rng);
//! let mut buf = [0; MAX_DATAGRAM_BUFFER];
//! for key in &registered {
//!     let exchange = ExchangeId::new(0x4711);
//!     let sent =
//!         check_in.encode(&RustCrypto, key, exchange, &mut unsecured, &mut rng, &mut buf)?;
//!
//!     // The client.
//!     let mut datagram = sent.as_bytes().to_vec();
//!     let payload = check_in::payload(Packet::parse(&mut datagram)?).ok_or("something else")?;
//!     let opened = check_in::open(&RustCrypto, &mut registrations, payload)?;
//!     assert_eq!(opened.registration.peer, lamp); // store this registration again
//!     assert_eq!(opened.active_mode_threshold_ms(), Some(300));
//!     assert!(!opened.refresh_key);
//! }
//! # Ok(())
//! # }
//! ```

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod client;
mod icd;

use thiserror::Error;

pub use self::client::{CheckInError, CheckedIn, Registration, open};
pub(crate) use self::icd::protocol_header;
pub use self::icd::{CheckIn, IcdCounter, KeyUsedUp, RegisteredKey, SealError};
use crate::crypto::{MIC_LEN, NONCE_LEN};
use crate::ids::ProtocolId;
use crate::session::UnsecureSession;
use crate::wire::secure_channel::Opcode;
use crate::wire::{HEADROOM, MessageKind, Packet, ProtocolHeader, TAILROOM};

/// Minimum length of the payload of a Check-In message in bytes: without application data.
pub const MIN_PAYLOAD: usize = NONCE_LEN + COUNTER_LEN + MIC_LEN;
/// Maximum length of the application data in bytes. The standard defines 2 bytes. The limit bounds
/// the cost of decrypting a message under the key of every registration.
pub const MAX_APPLICATION_DATA: usize = 124;
/// Maximum length of the payload of a Check-In message in bytes.
pub const MAX_PAYLOAD: usize = MIN_PAYLOAD + MAX_APPLICATION_DATA;
/// Length in bytes of a buffer that holds every Check-In message with its headers.
pub const MAX_DATAGRAM_BUFFER: usize = HEADROOM + MAX_PAYLOAD + TAILROOM;

const COUNTER_LEN: usize = 4;
const MAX_TEXT: usize = COUNTER_LEN + MAX_APPLICATION_DATA;

/// The bytes are not an encoded [`Registration`] or [`RegisteredKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("not a Check-In registration of a known version")]
pub struct RegistrationError;

/// Returns true for the protocol header of a Check-In message. The message must have arrived
/// unsecured.
#[must_use]
pub fn is_check_in(header: &ProtocolHeader) -> bool {
    header.protocol == ProtocolId::SECURE_CHANNEL
        && Opcode(header.opcode) == Opcode::ICD_CHECK_IN
        && header.initiator
}

/// Returns the payload of a datagram that has the form of a Check-In message, for [`open`]. Returns
/// `None` for every other. The acknowledgement fields have no effect, since the protocol has no
/// acknowledgements.
#[must_use]
pub fn payload(packet: Packet<'_>) -> Option<&mut [u8]> {
    let Ok(MessageKind::FromInitiator(_)) = packet.header().kind() else { return None };
    let message = UnsecureSession::read(packet).ok()?;
    is_check_in(&message.header).then_some(message.payload)
}
