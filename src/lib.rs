//! The session layer of the Matter smart-home protocol, without I/O of its own.
//!
//! It establishes secure sessions by passcode ([PASE](handshake::pase)) and by operational
//! certificates ([CASE](handshake::case), with resumption), encrypts and authenticates messages
//! within them, refuses replays, and acknowledges and repeats messages over UDP (MRP). The caller
//! owns sockets, clock, randomness and storage: bytes and the time go in, bytes and events come
//! out. `no_std`, no `unsafe`.
//!
//! It is **not** a whole Matter stack. It opens no sockets, discovers no nodes, holds no data
//! model and does no commissioning beyond the session that commissioning runs on.
//!
//! # How the parts meet
//!
//! ```text
//!    application             SessionManager               socket            peer
//!         │  connect_pase()       │                          │                │
//!         │──────────────────────▶│      poll_transmit()     │   datagrams    │
//!         │                       │─────────────────────────▶│───────────────▶│
//!         │                       │      handle_datagram()   │                │
//!         │                       │◀─────────────────────────│◀───────────────│
//!         │  Event::Established   │            ...           │                │
//!         │◀──────────────────────│                          │                │
//!         │  open_exchange()      │                          │                │
//!         │  send()               │      sealed once         │                │
//!         │──────────────────────▶│─────────────────────────▶│───────X lost   │
//!         │                       │ ◀─ handle_timeout()      │                │
//!         │                       │      the same octets     │                │
//!         │                       │─────────────────────────▶│───────────────▶│
//!         │  Event::Acknowledged  │                          │                │
//!         │  Received::Message    │                          │                │
//!         │◀──────────────────────│◀─────────────────────────│◀───────────────│
//! ```
//!
//! [`SessionManager`] is the top of the crate: every session, exchange, handshake and timer of
//! a node behind one socket. Each part below it is public and usable alone:
//! [`session::SecureSession`], [`session::UnsecureSession`], the four handshakes in
//! [`handshake`], [`exchange::Exchange`], [`group`], [`cert`], [`tlv`], [`wire`]. Two parts stand beside the
//! manager: [`check_in`] has the messages by which intermittently connected devices say that they
//! are awake, [`stream`] frames what goes over TCP.
//!
//! The examples on this page keep their tables on the heap. [`manager::Fixed`] keeps them in arrays,
//! without an allocator: how a device with little memory is built, [`guide::firmware`] shows.
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
//! let mut phone = HeapSessionManager::<()>::new(Config::default(), RustCrypto, &mut rng);
//! let mut lamp = HeapSessionManager::<()>::new(Config::default(), RustCrypto, &mut rng);
//! let [at_phone, at_lamp] = [1, 2].map(|port| PeerAddress::Udp(([127, 0, 0, 1], port).into()));
//! let now = Instant::ZERO;
//!
//! // Whoever knows the passcode gets in.
//! let passcode = Passcode::new(20202021)?;
//! let mut services = Services::new(&mut rng);
//! let mut cx = services.at(now);
//! lamp.open_commissioning_window_for(&mut cx, &passcode, None)?;
//! phone.connect_pase(&mut cx, at_lamp, passcode)?;
//!
//! let mut heard = None;
//! while heard.is_none() {
//!     while let Some(sent) = phone.poll_transmit(now) {
//!         let mut datagram = sent.datagram.to_vec();
//!         if let Received::Message(m) = lamp.handle_datagram(&mut cx, at_phone, &mut datagram) {
//!             heard = Some(m.payload.to_vec());
//!         }
//!     }
//!     while let Some(sent) = lamp.poll_transmit(now) {
//!         phone.handle_datagram(&mut cx, at_lamp, &mut sent.datagram.to_vec());
//!     }
//!     if let Some(Event::Established { session, .. }) = phone.poll_event() {
//!         let exchange = phone.open_exchange(&mut cx, session)?;
//!         phone.send(&mut cx, exchange, MessageType::READ_REQUEST, b"hello")?;
//!     }
//! }
//! assert_eq!(heard.as_deref(), Some(&b"hello"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # The loop
//!
//! No order of calls is required: what is polled late happens late, nothing more. This one
//! serves. Where the date is known, name it with [`Services::with_wall`]: without it the validity
//! periods of certificates are not checked.
//!
#![cfg_attr(all(feature = "std", feature = "rustcrypto"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "std", feature = "rustcrypto")), doc = "```ignore")]
//! use std::io::{ErrorKind, Result};
//! use std::net::UdpSocket;
//! use std::time::Duration;
//!
//! use matter_session::rand_core::CryptoRng;
//! use matter_session::{
//!     Event, HeapSessionManager, Instant, OperationalKey, PeerAddress, Received, Services,
//! };
//!
//! fn run(
//!     socket: &UdpSocket,
//!     node: &mut HeapSessionManager,
//!     key: &mut impl OperationalKey,
//!     rng: &mut dyn CryptoRng,
//! ) -> Result<()> {
//!     let mut services = Services::new(rng);
//!     let clock = std::time::Instant::now();
//!     let now = || Instant::from_millis(clock.elapsed().as_millis() as u64);
//!     let mut datagram = [0; 1280];
//!     loop {
//!         // 1. Let time pass, and react to what has happened.
//!         let mut cx = services.at(now());
//!         node.handle_timeout(&mut cx);
//!         while let Some(event) = node.poll_event() {
//!             match event {
//!                 Event::SignRequest(request) => {
//!                     let _ = node.complete_signature(&mut cx, request.sign_with(key));
//!                 }
//!                 Event::Established { session, .. } => println!("{session:?}"),
//!                 _ => {}
//!             }
//!         }
//!         // 2. Send. A datagram that the socket refuses counts as lost: it is repeated.
//!         while let Some(sent) = node.poll_transmit(cx.now()) {
//!             if let PeerAddress::Udp(to) = sent.to {
//!                 let _ = socket.send_to(sent.datagram, to);
//!             }
//!         }
//!         // 3. Wait for a datagram or the next deadline.
//!         let wait = node.poll_timeout().map(|due| due.saturating_since(now()));
//!         socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
//!         let (len, from) = match socket.recv_from(&mut datagram) {
//!             Ok(received) => received,
//!             Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
//!                 continue;
//!             }
//!             Err(e) => return Err(e),
//!         };
//!         // 4. Handle it. `Received::Dropped` says why it was dropped: nothing to do about that.
//!         let mut cx = services.at(now());
//!         let received = node.handle_datagram(&mut cx, from.into(), &mut datagram[..len]);
//!         if let Received::Message(message) = received {
//!             let exchange = message.exchange;
//!             let _ = node.send(&mut cx, exchange, message.kind, message.payload);
//!             node.close_exchange(exchange);
//!         }
//!     }
//! }
//! ```
//!
//! Where many datagrams are read at once, [`SessionManager::handle_datagrams`] takes them in
//! together, and [`SessionManager::send_all`] sends many messages: the results are the same, and long
//! messages take less time.
//!
//! # CASE
//!
//! A node that is a member of a fabric dials another by fabric and node id. The operational key
//! stays with the caller: the manager hands out a [`SignRequest`] with a digest, which may be
//! answered at once, later or from another thread. If both sides still hold a record of an earlier
//! session, the handshake resumes it and nobody signs.
//!
//! Certificates come from the fabric's administrator; feature `issue` makes them in
//! [`cert`].
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
//!     let mut node = HeapSessionManager::<()>::new(Config::default(), RustCrypto, &mut rng);
//!     let fabric = node.add_fabric(&FabricCredentials { root, icac, noc, ipks: &ipks })?;
//!     nodes.push((node, key, fabric));
//! }
//!
//! // One dials the other.
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
//!         let mut datagrams = Vec::new();
//!         while let Some(event) = node.poll_event() {
//!             match event {
//!                 Event::SignRequest(request) => {
//!                     let _ = node.complete_signature(&mut cx, request.sign_with(key));
//!                 }
//!                 Event::Established { .. } => {
//!                     assert!(node.peer_certificates().is_some()); // lent until the next event
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
//! A node that is in groups, or sends to them, installs their keys
//! ([`set_group_key_set`](SessionManager::set_group_key_set)) and names them
//! ([`set_group`](SessionManager::set_group)) after every start, joins their
//! [addresses](SessionManager::group_address), and passes a [`group::CounterStore`] with every call
//! ([`Services::with_counters`]). Datagrams of all sockets go to the same
//! [`handle_datagram`](SessionManager::handle_datagram), which yields [`Received::Group`]; after
//! [`Event::GroupMessages`] there are more in
//! [`poll_group_message`](SessionManager::poll_group_message).
//! [`send_group`](SessionManager::send_group) sends: from the socket that receives unicast, as
//! receivers ask the source of a message for its counter, and with a multicast hop limit above the
//! usual one of 1 where the network has routers, as a Thread mesh has. See `examples/group.rs`.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `std` | yes | fast P-256 tables (about 25 kB of RAM, built on first use); implies `alloc` |
//! | `alloc` | by `std` | [`Heap`]: tables that grow; without it they are arrays, [`manager::Fixed`]. `manager::Shards`: several managers behind one port |
//! | `rustcrypto` | yes | [`RustCrypto`] and [`crypto::CompactRustCrypto`], backends on the RustCrypto crates; [`SigningKey`] |
//! | `aws-lc-rs` | no | `crypto::AwsLcCrypto` and `crypto::AwsLcSigningKey`: CASE on AWS-LC, for controllers with many nodes. A C compiler must be there; implies `std` and `rustcrypto` |
//! | `initiator` | yes | [`connect_pase`](SessionManager::connect_pase) and [`connect_case`](SessionManager::connect_case); a device that is only dialled does without |
//! | `issue` | no | issuing certificates, as a controller does |
//! | `log` | no | records of what happens, for the `log` crate; without secrets |
//! | `defmt` | no | the same for `defmt`, and `defmt::Format` of events, errors, handles and ids |
//!
//! Features add items; none changes what others do. Without `rustcrypto` the caller implements
//! [`crypto::Crypto`].
//!
//! # Limits
//!
//! - A local session id has 16 bits, so **one manager holds at most 65,535 sessions**, 65,534 of
//!   them CASE. The managers behind one UDP port share these ids (`manager::Shards`); more
//!   sessions need another port.
//! - A peer has at most sixteen CASE sessions with this node, unless
//!   [`Config::with_sessions_per_peer`] says otherwise. One more, or one more than the table holds,
//!   ends another: [`CloseReason::Evicted`].
//! - A session sends at least four billion messages (its counter starts at random, at most at
//!   2^28, and ends at 2^32), then no more; [`Event::CounterLow`] comes well before.
//! - Over UDP a message has at most 1,232 octets unless [`Config::with_max_message`] says
//!   otherwise, which leaves 1,196 octets or a little more for the payload:
//!   [`SessionManager::max_payload`] says how many. Over TCP the limit is what the peer declared,
//!   63,996 octets with the headers if it did not.
//! - One reliable message at a time is in flight on an exchange; a session may have several
//!   exchanges.
//! - A node id, fabric and tags are kept with each session; certificates are lent once, with
//!   [`Event::Established`].
//! - [`manager::Fixed`] has 65,535 octets at most for all messages in flight together.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

#[macro_use]
mod trace;

pub mod bytes;
pub mod cert;
pub mod check_in;
pub mod context;
pub mod crypto;
pub mod exchange;
pub mod fabric;
pub mod group;
#[cfg(feature = "rustcrypto")]
pub mod guide;
pub mod handshake;
pub mod ids;
pub mod manager;
pub mod resumption;
pub mod session;
pub mod stream;
pub mod time;
pub mod tlv;
pub mod wire;

pub use rand_core;

pub use crate::context::{Context, Services};
#[cfg(feature = "aws-lc-rs")]
pub use crate::crypto::{AwsLcCrypto, AwsLcSigningKey};
#[cfg(feature = "rustcrypto")]
pub use crate::crypto::{CompactRustCrypto, RustCrypto, SigningKey};
pub use crate::crypto::{OperationalKey, Passcode, PbkdfParameters, Verifier};
pub use crate::fabric::{FabricCredentials, Ipk};
pub use crate::handshake::{HandshakeError, SignRequest};
pub use crate::ids::{FabricIndex, Group, GroupId, MessageType, NodeId, Peer, ProtocolId};
#[cfg(feature = "alloc")]
pub use crate::manager::Heap;
#[cfg(all(feature = "alloc", feature = "rustcrypto"))]
pub use crate::manager::HeapSessionManager;
#[cfg(feature = "alloc")]
pub use crate::manager::Shards;
pub use crate::manager::{
    BatchMessage, CloseReason, CommissioningWindow, Config, Datagram, Dropped, Event,
    ExchangeHandle, Fixed, GroupMessage, GroupSettings, HandshakeHandle, Message, PeerAddress,
    Received, SessionHandle, SessionManager, Transmit, Unstarted,
};
pub use crate::resumption::{ResumptionRecord, ResumptionStore};
pub use crate::session::SessionParameters;
pub use crate::time::{Instant, MatterTime, WallClock};

/// The snippets of README.md, compiled and run with the other tests.
#[cfg(all(doctest, feature = "std", feature = "rustcrypto"))]
#[doc = include_str!("../README.md")]
struct Readme;
