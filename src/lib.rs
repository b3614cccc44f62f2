//! The session layer of the Matter smart-home protocol, without I/O.
//!
//! It establishes secure sessions by passcode (PASE) and by certificates (CASE, with resumption),
//! encrypts and authenticates messages, rejects replays, and acknowledges and retransmits over UDP
//! (MRP). You pass in datagrams, the time and randomness; the library returns datagrams, messages
//! and events. `no_std`, no `unsafe`, no allocator needed.
//!
//! It is **not** a whole Matter stack: discovery, the commissioning steps after PASE, access
//! control and the data model are not included.
//!
//! # The eight names
//!
//! | name | what it is |
//! |---|---|
//! | [`SessionManager`] | All sessions, exchanges, handshakes and timers of a node. Start here. |
//! | [`SecureSession`] | One session with keys: it encodes and decodes encrypted messages. |
//! | [`UnsecureSession`] | One session without keys, which carries the messages of a handshake. |
//! | [`Session`] | The trait that both kinds of session implement. |
//! | [`PaseClient`] | A state machine: it establishes a session with a device whose passcode it knows. |
//! | [`PaseServer`] | Its other side: it holds a [`Verifier`] of the passcode. |
//! | [`CaseClient`] | A state machine: it establishes a session with a node of the same fabric, or resumes one. |
//! | [`CaseServer`] | Its other side. |
//!
//! The manager drives all the others. Each also works alone: it takes bytes and returns bytes. More
//! parts for use without the manager are in [`exchange`], [`group`], [`cert`], [`tlv`] and
//! [`wire`]. [`check_in`] has the messages by which intermittently connected devices announce that
//! they are awake. [`stream`] frames messages for TCP, [`btp`] for Bluetooth.
//!
//! ```text
//!  application             SessionManager               socket            peer
//!       │  connect_pase()       │                          │                │
//!       │──────────────────────▶│      poll_transmit()     │   datagrams    │
//!       │                       │─────────────────────────▶│───────────────▶│
//!       │                       │      handle_datagram()   │                │
//!       │                       │◀─────────────────────────│◀───────────────│
//!       │  Event::Established   │            ...           │                │
//!       │◀──────────────────────│                          │                │
//!       │  open_exchange()      │                          │                │
//!       │  send()               │      encrypted once      │                │
//!       │──────────────────────▶│─────────────────────────▶│───────X lost   │
//!       │                       │ ◀─ handle_timeout()      │                │
//!       │                       │      the same bytes      │                │
//!       │                       │─────────────────────────▶│───────────────▶│
//!       │  Event::Acknowledged  │                          │                │
//!       │  Received::Message    │                          │                │
//!       │◀──────────────────────│◀─────────────────────────│◀───────────────│
//! ```
//!
//! The examples on this page keep their tables on the heap. [`Fixed`] keeps them in arrays, without
//! an allocator: see [`guide::firmware`], [`guide::sleepy`], [`guide::thread`],
//! [`guide::bluetooth`] and [`guide::production`]. [`guide::pipelining`] is about many requests at
//! once, [`guide::reaching`] about peers that sleep, move or have several addresses.
//!
//! # A session in one process
//!
//! A phone commissions a lamp and sends it one encrypted message:
//!
#![cfg_attr(all(feature = "std", feature = "rustcrypto"), doc = "```")]
#![cfg_attr(not(all(feature = "std", feature = "rustcrypto")), doc = "```ignore")]
//! use matter_session::{
//!     Config, Event, HeapSessionManager, Instant, MessageType, Passcode, PeerAddress, Received,
//!     RustCrypto, Services,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
//! let mut phone = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
//! let mut lamp = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
//! let [at_phone, at_lamp] = [1, 2].map(|port| PeerAddress::Udp(([127, 0, 0, 1], port).into()));
//!
//! let mut services = Services::new(&mut rng);
//! let mut cx = services.at(Instant::ZERO);
//! let passcode = Passcode::new(20202021)?;
//! lamp.window().open_for(&mut cx, &passcode, None)?;
//! phone.connect_pase(&mut cx, at_lamp, passcode)?;
//!
//! let mut received = None;
//! while received.is_none() {
//!     phone.handle_timeout(&mut cx);
//!     lamp.handle_timeout(&mut cx);
//!     while let Some(sent) = phone.poll_transmit(cx.now()) {
//!         let mut datagram = sent.datagram.to_vec();
//!         if let Received::Message(m) = lamp.handle_datagram(&mut cx, at_phone, &mut datagram) {
//!             received = Some(m.payload.to_vec());
//!         }
//!     }
//!     while let Some(sent) = lamp.poll_transmit(cx.now()) {
//!         phone.handle_datagram(&mut cx, at_lamp, &mut sent.datagram.to_vec());
//!     }
//!     if let Some(Event::Established { session, .. }) = phone.poll_event() {
//!         let exchange = phone.open_exchange(&mut cx, session)?;
//!         phone.send(&mut cx, exchange, MessageType::READ_REQUEST, b"hello")?;
//!     }
//! }
//! assert_eq!(received.as_deref(), Some(&b"hello"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # The loop
//!
//! The calls may come in any order; this one works for most programs. Polling late delays
//! retransmissions, events and reports. Stop polling, and handshakes time out. If the node knows
//! the date, pass it to [`Services::with_wall`]: without it the manager accepts certificates that
//! have expired.
//!
#![cfg_attr(all(feature = "std", feature = "rustcrypto"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "std", feature = "rustcrypto")), doc = "```ignore")]
//! use std::io::Result;
//! use std::net::UdpSocket;
//! use std::time::Duration;
//!
//! use matter_session::{
//!     Event, HeapSessionManager, Instant, OperationalKey, PeerAddress, Received, Services,
//! };
//!
//! fn run(
//!     socket: &UdpSocket,
//!     node: &mut HeapSessionManager,
//!     key: &mut impl OperationalKey,
//!     services: &mut Services<'_>,
//! ) -> Result<()> {
//!     let clock = std::time::Instant::now();
//!     let now = || Instant::from_millis(clock.elapsed().as_millis() as u64);
//!     let mut datagram = [0; 1280];
//!     loop {
//!         // 1. Let time pass, and handle what happened.
//!         let mut cx = services.at(now());
//!         node.handle_timeout(&mut cx);
//!         while let Some(event) = node.poll_event() {
//!             match event {
//!                 Event::SignRequest(request) => {
//!                     // An error means that the handshake has ended meanwhile.
//!                     let _ = node.complete_signature(&mut cx, request.sign_with(key));
//!                 }
//!                 Event::Established { session, .. } => println!("{session:?}"),
//!                 _ => {}
//!             }
//!         }
//!         // 2. Send. A datagram that the socket refuses counts as lost: it is retransmitted.
//!         while let Some(sent) = node.poll_transmit(cx.now()) {
//!             if let PeerAddress::Udp(to) = sent.to {
//!                 let _ = socket.send_to(sent.datagram, to);
//!             }
//!         }
//!         // 3. Wait for a datagram or the next deadline.
//!         let wait = node.poll_timeout().map(|due| due.saturating_since(now()));
//!         socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
//!         // An error is a timeout, or is caused by a peer: on some systems by a long datagram.
//!         let Ok((len, from)) = socket.recv_from(&mut datagram) else { continue };
//!         // 4. Handle the datagram. This application sends back what it receives.
//!         let mut cx = services.at(now());
//!         match node.handle_datagram(&mut cx, from.into(), &mut datagram[..len]) {
//!             Received::Message(message) => {
//!                 let exchange = message.exchange;
//!                 let _ = node.send(&mut cx, exchange, message.kind, message.payload);
//!                 node.close_exchange(exchange);
//!             }
//!             // Everybody can cause this. Count it; never end the loop because of it.
//!             Received::Dropped(reason) => println!("dropped: {reason}"),
//!             _ => {}
//!         }
//!     }
//! }
//! ```
//!
//! If the program reads many datagrams at once, [`SessionManager::handle_datagrams`] handles them
//! together, and [`SessionManager::send_all`] sends many messages. The results are the same; long
//! messages take less time.
//!
//! # CASE
//!
//! A node that is a member of a fabric connects to another one by fabric and node id ([`Peer`]).
//! The operational key stays with the caller: the manager returns a [`SignRequest`] with a digest.
//! Answer it at once, later, or from another thread. If both nodes still hold a record of an
//! earlier session, the handshake resumes it and nobody signs.
//!
//! Certificates come from the fabric's administrator. Feature `issue` makes them in [`cert`].
//!
#![cfg_attr(all(feature = "std", feature = "rustcrypto", feature = "issue"), doc = "```")]
#![cfg_attr(
    not(all(feature = "std", feature = "rustcrypto", feature = "issue")),
    doc = "```ignore"
)]
//! # use matter_session::cert::{CertificateRequest, Issuer, SerialNumber, Validity};
//! # use matter_session::crypto::Secret;
//! # use matter_session::ids::FabricId;
//! use matter_session::{
//!     Config, Event, FabricCredentials, HeapSessionManager, Instant, Ipk, MatterTime, NodeId,
//!     Peer, PeerAddress, RustCrypto, Services, SigningKey, WallClock,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
//! # let today = MatterTime::from_seconds(800_000_000);
//! # let validity = Validity::new(today, None).ok_or("empty validity")?;
//! # let fabric_id = FabricId::new(1).ok_or("fabric id 0")?;
//! # let mut authority = SigningKey::generate(&mut rng)?;
//! # let serial = SerialNumber::random(&mut rng);
//! # let root = CertificateRequest::rcac(1, authority.public_key(), serial, validity)
//! #     .self_sign(&RustCrypto, &mut authority)?;
//! # let ipks = [Ipk::EpochKey(Secret::new(*b"temporary ipk 01"))];
//! let mut nodes = Vec::new();
//! for id in [NodeId::new(0xC0), NodeId::new(0xDE)] {
//! #   let (key, serial) = (SigningKey::generate(&mut rng)?, SerialNumber::random(&mut rng));
//! #   let noc = CertificateRequest::noc(id, fabric_id, key.public_key(), serial, validity)
//! #       .sign(&RustCrypto, &mut Issuer::new(&root.certificate()?, &mut authority)?)?;
//! #   let (root, noc, icac) = (root.as_slice(), noc.as_slice(), None);
//!     // The key is the node's own; the rest came from the fabric's authority.
//!     let mut node = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
//!     let fabric = node.fabrics_mut().add(&FabricCredentials { root, icac, noc, ipks: &ipks })?;
//!     nodes.push((node, key, fabric));
//! }
//!
//! // One connects to the other.
//! let address = |n| PeerAddress::Udp(([127, 0, 0, 1], n).into());
//! let mut services = Services::new(&mut rng).with_wall(WallClock::Known(today));
//! let mut cx = services.at(Instant::ZERO);
//! let (controller, _, fabric) = &mut nodes[0];
//! controller.connect_case(&mut cx, address(1), Peer::new(*fabric, NodeId::new(0xDE)))?;
//!
//! let mut established = 0;
//! while established < 2 {
//!     for from in [0, 1] {
//!         let (node, key, _) = &mut nodes[from];
//!         // Computes the next part of a handshake, besides timers.
//!         node.handle_timeout(&mut cx);
//!         let mut datagrams = Vec::new();
//!         while let Some(event) = node.poll_event() {
//!             match event {
//!                 Event::SignRequest(request) => {
//!                     let _ = node.complete_signature(&mut cx, request.sign_with(key));
//!                 }
//!                 Event::Established { .. } => {
//!                     assert!(node.handshakes().peer_certificates().is_some()); // lent until the next event
//!                     established += 1;
//!                 }
//!                 Event::HandshakeFailed { error, .. } => return Err(error.into()),
//!                 _ => {}
//!             }
//!         }
//!         while let Some(sent) = node.poll_transmit(cx.now()) {
//!             datagrams.push(sent.datagram.to_vec());
//!         }
//!         for mut datagram in datagrams {
//!             nodes[1 - from].0.handle_datagram(&mut cx, address(from as u16), &mut datagram);
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Groups
//!
//! 1. After every start, install the keys ([`Groups::set_key_set`]) and set the groups
//!    ([`Groups::set`]) that the node is a member of or sends to.
//! 2. Name a [`CounterStore`] in [`Services::with_counters`]. Without one, the node sends nothing
//!    to groups.
//! 3. Join the [address](Groups::address) of each group. Datagrams of all sockets go to
//!    [`handle_datagram`](SessionManager::handle_datagram), which returns [`Received::Group`].
//!    After [`Event::GroupMessages`], there are more messages in [`Groups::poll_message`].
//! 4. Send with [`Groups::send`], from the socket that receives unicast: receivers ask the source
//!    of a message for its counter. If the network has routers, as a Thread mesh has, set the
//!    multicast hop limit of the socket above 1.
//!
//! See `examples/group.rs`.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `std` | yes | P-256 in assembler on x86_64 and aarch64; tables of multiples (50 kB of RAM for PASE, 25 kB more on other processors, built on first use); implies `alloc` |
//! | `alloc` | by `std` | `Heap`: tables that grow (without it, tables are arrays: [`Fixed`]); `manager::Shards`: several managers behind one port |
//! | `rustcrypto` | yes | `RustCrypto` and `CompactRustCrypto`, backends on the RustCrypto crates; `SigningKey` |
//! | `initiator` | yes | `connect_pase` and `connect_case`; a device that only answers does without |
//! | `issue` | no | issuing certificates, as a controller does; verifying requests for them; converting X.509 certificates |
//! | `log` | no | records of what happens, for the `log` crate; without secrets |
//! | `defmt` | no | the same for `defmt`, and `defmt::Format` of events, errors, handles and ids |
//! | `describe` | no | `describe`: datagrams as lines of text; names of messages in the records of `log` |
//! | `keylog` | no | **discloses keys**: `keylog`, a hook that gets the keys of each session, to read recorded traffic. Never in a product |
//!
//! Features add items and never change others. Without `rustcrypto` you implement
//! [`Crypto`].
//!
//! # Limits
//!
//! - A local session id has 16 bits, so **one manager holds at most 65,535 sessions**, 65,534 of
//!   them CASE. The managers behind one UDP port share these ids (`manager::Shards`). More
//!   sessions need another port.
//! - A peer has at most sixteen CASE sessions with this node, unless
//!   [`Config::with_sessions_per_peer`] sets another limit. One more session, or one more than the
//!   table holds, evicts another: [`CloseReason::Evicted`].
//! - A session sends at least four billion messages, then no more: its counter starts at random,
//!   below 2^28, and ends at 2^32. [`Event::CounterLow`] comes well before.
//! - Over UDP a message has at most 1,232 bytes, or fewer if [`Config::with_max_message`] says so.
//!   This leaves 1,196 bytes or a little more for the payload:
//!   [`manager::Sessions::max_payload`] returns how many. Over TCP the limit is what the peer
//!   declared, 63,996 bytes with the headers if it declared nothing.
//! - An exchange has one reliable message in flight at a time. A session may have several
//!   exchanges.
//! - The manager keeps the node id, the fabric and the tags of the peer with each session. It lends
//!   the certificates once, with [`Event::Established`].
//! - [`Fixed`] has at most 65,535 bytes for all messages in flight together.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
// Of the library alone: tests and benches may panic, and have `std`.
#![warn(
    missing_debug_implementations,
    unreachable_pub,
    clippy::alloc_instead_of_core,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    clippy::use_self
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

#[macro_use]
mod trace;

pub mod btp;
pub mod bytes;
pub mod cert;
pub mod check_in;
pub mod context;
pub mod crypto;
#[cfg(feature = "describe")]
pub mod describe;
pub mod exchange;
pub mod fabric;
pub mod group;
#[cfg(feature = "rustcrypto")]
pub mod guide;
pub mod handshake;
pub mod ids;
#[cfg(feature = "keylog")]
pub mod keylog;
#[cfg(not(feature = "keylog"))]
mod keylog;
pub mod manager;
pub mod resumption;
pub mod session;
pub mod stream;
pub mod time;
pub mod tlv;
pub mod wire;

#[cfg(doc)]
use crate::manager::Groups;

pub use rand_core;

#[cfg(feature = "getrandom")]
pub use crate::context::SystemRng;
pub use crate::context::{
    AcceptAll, Context, PeerCertificates, PeerIdentity, PeerPolicy, Services,
};
#[cfg(feature = "rustcrypto")]
pub use crate::crypto::{CompactRustCrypto, RustCrypto, SigningKey};
pub use crate::crypto::{
    Crypto, OperationalKey, Passcode, PbkdfParameters, Secret, SignError, Signature, Verifier,
};
#[cfg(all(feature = "issue", feature = "rustcrypto"))]
pub use crate::fabric::Authority;
pub use crate::fabric::{Fabric, FabricCredentials, Ipk};
pub use crate::group::{CounterStore, GroupKeySet, StoreError};
pub use crate::handshake::{
    CaseClient, CaseEnv, CaseServer, CaseStart, ClaimRequest, Claimed, Established, Failure,
    HandshakeError, Incoming, NewSession, PaseClient, PaseServer, PaseStart, SignRequest, Signed,
    Step,
};
pub use crate::ids::{
    FabricIndex, Group, GroupId, LocalSessionId, MessageType, NodeId, Peer, ProtocolId,
};
#[cfg(all(feature = "alloc", feature = "rustcrypto"))]
pub use crate::manager::HeapSessionManager;
pub use crate::manager::{
    BatchMessage, CloseReason, CommissioningWindow, Config, ConnectError, Datagram, Dropped, Event,
    ExchangeHandle, FabricTableError, Fixed, GroupError, GroupMessage, GroupSendError,
    GroupSettings, HandshakeEnded, HandshakeHandle, Message, MoveError, NoPaseSession, NoSession,
    OpenError, PeerAddress, Received, RecordInfo, RestoreError, SendError, SessionHandle,
    SessionManager, SessionRef, Statistics, Storage, Transmit, Unstarted, WindowCloseReason,
    WindowError, WithGroups,
};
#[cfg(feature = "alloc")]
pub use crate::manager::{Delivered, Heap, Shard, Shards, drive};
pub use crate::resumption::{Claim, ResumptionRecord, ResumptionStore};
pub use crate::session::{
    ResumptionId, SecureSession, Session, SessionParameters, UnsecureSession,
};
pub use crate::time::{Instant, MatterTime, WallClock};
pub use crate::wire::StatusReport;

/// The programs of README.md, compiled with the other tests, and run unless they need a network.
#[cfg(all(
    doctest,
    feature = "std",
    feature = "rustcrypto",
    feature = "initiator",
    feature = "getrandom",
    feature = "issue"
))]
#[doc = include_str!("../README.md")]
struct Readme;
