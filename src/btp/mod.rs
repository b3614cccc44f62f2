//! Messages over Bluetooth Low Energy: the Bluetooth Transport Protocol.
//! [Core, "Bluetooth Transport Protocol (BTP)"]
//!
//! BTP cuts messages into segments that fit a GATT value, numbers the packets, and acknowledges
//! them. Each side sends no more packets than the other's window has room for. [`BtpSession`] is
//! one connection, of either role, without I/O: it converts packets to messages and messages to
//! packets. The application handles GATT.
//!
//! | | client (central, the commissioner) | server (peripheral, the device) |
//! |---|---|---|
//! | makes | [`BtpSession::client`] | [`BtpSession::server`] |
//! | sends what [`poll_transmit`](BtpSession::poll_transmit) yields | as a write with response to [`C1`](BTP_C1_UUID) | as an indication of [`C2`](BTP_C2_UUID) |
//! | passes to [`handle_packet`](BtpSession::handle_packet) | each indication of C2 | each write to C1 |
//! | subscription to C2 | subscribes when the first write is confirmed | calls [`handle_subscription`](BtpSession::handle_subscription) |
//! | closes by | unsubscribing from C2 | disconnecting |
//!
//! Poll for the next packet when GATT has confirmed the last one. Keep the timer of
//! [`poll_timeout`](BtpSession::poll_timeout) as you keep the manager's. After an error, close the
//! connection and call [`handle_disconnect`](crate::manager::Connections::handle_disconnect).
//!
//! An idle session keeps itself alive: each acknowledgement is itself acknowledged, some seconds
//! later.
//!
//! # Memory
//!
//! A session has two buffers, which the caller supplies: arrays, slices, boxes or vectors. The
//! first holds the message that arrives, so it bounds what a peer can send. The second is a queue
//! of the messages to be sent, each with two bytes more. 1,280 bytes suffice for each, as messages
//! are no longer than over UDP.
//!
//! # A device that is commissioned over Bluetooth
//!
#![cfg_attr(all(feature = "std", feature = "rustcrypto", feature = "initiator"), doc = "```")]
#![cfg_attr(
    not(all(feature = "std", feature = "rustcrypto", feature = "initiator")),
    doc = "```ignore"
)]
//! use matter_session::btp::{BTP_MAX_SEGMENT, BtpConfig, BtpSession};
//! use matter_session::wire::MAX_UDP_MESSAGE;
//! use matter_session::{
//!     Config, Event, HeapSessionManager, Instant, Passcode, PeerAddress, RustCrypto, Services,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
//! let mut phone = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
//! let mut lamp = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
//! let mut services = Services::new(&mut rng);
//! let mut cx = services.at(Instant::ZERO);
//! let passcode = Passcode::new(20202021)?;
//! lamp.window().open_for(&mut cx, &passcode, None)?;
//!
//! // Each side gives its connection a number.
//! let (to_lamp, to_phone) = (PeerAddress::Link(1), PeerAddress::Link(1));
//! let config = BtpConfig::default().with_att_mtu(247);
//! let mut central = BtpSession::client(config, [0; 1280], [0; 1280]);
//! let mut peripheral = BtpSession::server(config, [0; 1280], [0; 1280]);
//! phone.connect_pase(&mut cx, to_lamp, passcode)?;
//!
//! let mut value = [0; BTP_MAX_SEGMENT];
//! let mut established = false;
//! while !established {
//!     // Each computes the next part of its handshake.
//!     phone.handle_timeout(&mut cx);
//!     lamp.handle_timeout(&mut cx);
//!     // The phone: a message waits in the manager until the queue has room.
//!     while central.has_room(MAX_UDP_MESSAGE) {
//!         let Some(sent) = phone.poll_transmit(cx.now()) else { break };
//!         central.send(sent.datagram)?;
//!     }
//!     // GATT carries a write to the lamp, and confirms it.
//!     if let Some(write) = central.poll_transmit(&mut value, cx.now()) {
//!         if let Some(message) = peripheral.handle_packet(write, cx.now())? {
//!             lamp.handle_datagram(&mut cx, to_phone, message);
//!         }
//!     }
//!     // After its first write, the phone subscribes to C2.
//!     peripheral.handle_subscription(cx.now());
//!     while peripheral.has_room(MAX_UDP_MESSAGE) {
//!         let Some(sent) = lamp.poll_transmit(cx.now()) else { break };
//!         peripheral.send(sent.datagram)?;
//!     }
//!     if let Some(indication) = peripheral.poll_transmit(&mut value, cx.now()) {
//!         if let Some(message) = central.handle_packet(indication, cx.now())? {
//!             phone.handle_datagram(&mut cx, to_lamp, message);
//!         }
//!     }
//!     established = matches!(phone.poll_event(), Some(Event::Established { .. }));
//! }
//! # Ok(())
//! # }
//! ```

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod config;
mod error;
mod packet;
mod queue;
mod reassembly;
mod session;
mod windows;

use core::time::Duration;

use crate::time::Instant;

pub use self::config::BtpConfig;
pub use self::error::{BtpError, BtpSendError};
pub use self::session::BtpSession;

/// The version of BTP that Matter 1.0 and later speak.
pub const BTP_VERSION: u8 = 4;

/// Maximum length in bytes of a packet: the longest value of C1 and C2 that BTP uses.
pub const BTP_MAX_SEGMENT: usize = config::MAX as usize;

/// Length in bytes of a packet that every connection carries: that of an ATT_MTU of 23. A node
/// neither asks for shorter packets nor grants them. A client accepts up to three bytes less, since
/// some servers take the length that it asks for to include the GATT header.
pub const BTP_MIN_SEGMENT: usize = config::MIN as usize;

/// How long each side waits for the other during the handshake: a client for the response, a
/// server for the subscription.
pub const BTP_CONN_RSP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a sent packet waits to be acknowledged, before the session is closed.
pub const BTP_ACK_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a received packet waits to be acknowledged, if no message is sent meanwhile. The
/// specification demands less than half of [`BTP_ACK_TIMEOUT`].
pub const BTP_SEND_ACK_TIMEOUT: Duration = Duration::from_millis(2500);

/// How long a client keeps a session over which no message is sent in either direction.
pub const BTP_CONN_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The GATT service of Matter, in its 16-bit form.
pub const MATTER_BLE_SERVICE_UUID: u16 = 0xFFF6;

/// The characteristic that the client writes to.
pub const BTP_C1_UUID: u128 = 0x18EE_2EF5_263D_4559_959F_4F9C_429F_9D11;

/// The characteristic that the server indicates.
pub const BTP_C2_UUID: u128 = 0x18EE_2EF5_263D_4559_959F_4F9C_429F_9D12;

/// The characteristic with additional commissioning data, which the client may read. BTP does not
/// use it.
pub const BTP_C3_UUID: u128 = 0x6463_0238_8772_45F2_B87D_748A_8321_8F04;

/// Length in bytes of the header that GATT puts in front of a value.
const GATT_HEADER_LEN: u16 = 3;

/// Minimum length in bytes of the packets that a client accepts. It asks for the ATT_MTU less the
/// header; a server that takes this for the whole ATT_MTU grants it less the header once more.
const LEAST_GRANTED: u16 = config::MIN - GATT_HEADER_LEN;

/// A sum that saturates.
#[allow(clippy::arithmetic_side_effects)]
fn after(now: Instant, wait: Duration) -> Instant {
    now + wait
}
