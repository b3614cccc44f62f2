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
//! A phone connects to a lamp by passcode, asks it a question, and gets the answer. `drive` takes
//! the place of the network:
//!
#![cfg_attr(
    all(feature = "std", feature = "rustcrypto", feature = "initiator", feature = "getrandom"),
    doc = "```"
)]
#![cfg_attr(
    not(all(
        feature = "std",
        feature = "rustcrypto",
        feature = "initiator",
        feature = "getrandom"
    )),
    doc = "```ignore"
)]
//! use matter_session::{
//!     Config, HeapSessionManager, Instant, MessageType, Passcode,
//!     PeerAddress, RustCrypto, Services, SystemRng, drive,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (config, mut rng) = (Config::default(), SystemRng);
//! let mut phone = HeapSessionManager::new(config.clone(), RustCrypto, &mut rng);
//! let mut lamp = HeapSessionManager::new(config, RustCrypto, &mut rng);
//! let mut services = Services::new(&mut rng);
//! let mut cx = services.at(Instant::ZERO);
//!
//! let passcode = Passcode::new(20202021)?;
//! lamp.window().open_for(&mut cx, &passcode, None)?;
//! let address = PeerAddress::Udp(([127, 0, 0, 1], 5540).into());
//! phone.connect_pase(&mut cx, address, passcode)?;
//! drive(&mut cx, &mut phone, &mut lamp);
//! let session = phone.sessions().pase().ok_or("no session")?;
//!
//! let exchange = phone.open_exchange(&mut cx, session)?;
//! phone.send(&mut cx, exchange, MessageType::READ_REQUEST, b"on?")?;
//! let [_, at_lamp] = drive(&mut cx, &mut phone, &mut lamp);
//! assert_eq!(at_lamp[0].payload, b"on?");
//!
//! let exchange = at_lamp[0].exchange;
//! lamp.send(&mut cx, exchange, MessageType::REPORT_DATA, b"yes")?;
//! let [at_phone, _] = drive(&mut cx, &mut phone, &mut lamp);
//! assert_eq!(at_phone[0].payload, b"yes");
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
//! Certificates come from the fabric's administrator. Feature `issue` has one,
//! `fabric::Authority`, and makes other certificates in [`cert`].
//!
#![cfg_attr(
    all(feature = "std", feature = "rustcrypto", feature = "issue", feature = "getrandom"),
    doc = "```"
)]
#![cfg_attr(
    not(all(feature = "std", feature = "rustcrypto", feature = "issue", feature = "getrandom")),
    doc = "```ignore"
)]
//! # use matter_session::{HeapSessionManager, RustCrypto};
//! use matter_session::cert::Validity;
//! use matter_session::{
//!     Authority, Config, Event, Instant, MatterTime, NodeId, Peer,
//!     PeerAddress, Services, SystemRng, WallClock, drive,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut rng = SystemRng;
//! # let config = Config::default();
//! # let mut controller = HeapSessionManager::new(config.clone(), RustCrypto, &mut rng);
//! # let mut device = HeapSessionManager::new(config, RustCrypto, &mut rng);
//! // A new fabric. Each node gets a key, a certificate for it, and the fabric.
//! let now = MatterTime::now().ok_or("the clock is wrong")?;
//! let validity = Validity::since(now);
//! let mut authority = Authority::new(&RustCrypto, validity, &mut rng)?;
//! let id = NodeId::new(1);
//! let (mut key, noc) = authority.admit(&RustCrypto, id, &mut rng)?;
//! let fabric = controller.fabrics_mut().add(&authority.credentials(&noc))?;
//! let id = NodeId::new(2);
//! let (mut device_key, noc) = authority.admit(&RustCrypto, id, &mut rng)?;
//! device.fabrics_mut().add(&authority.credentials(&noc))?;
//!
//! // One connects to the other.
//! let mut services = Services::new(&mut rng).with_wall(WallClock::system());
//! let mut cx = services.at(Instant::ZERO);
//! let address = PeerAddress::Udp(([127, 0, 0, 1], 5540).into());
//! let peer = Peer::new(fabric, id);
//! controller.connect_case(&mut cx, address, peer)?;
//! while !controller.handshakes().is_empty() {
//!     drive(&mut cx, &mut controller, &mut device);
//!     for (node, key) in
//!         [(&mut controller, &mut key), (&mut device, &mut device_key)]
//!     {
//!         while let Some(event) = node.poll_event() {
//!             match event {
//!                 Event::SignRequest(request) => {
//!                     let signed = request.sign_with(key);
//!                     node.complete_signature(&mut cx, signed)?;
//!                 }
//!                 Event::Established { .. } => {
//!                     // Lent until the next event.
//!                     let _ = node.handshakes().peer_certificates();
//!                 }
//!                 Event::HandshakeFailed { error, .. } => Err(error)?,
//!                 _ => {}
//!             }
//!         }
//!     }
//! }
//! assert!(controller.session_with(peer).is_some());
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
//! # Examples
//!
//! `cargo run --example NAME` in the repository runs one.
//!
//! | to start with | |
//! |---|---|
//! | `quickstart` | two nodes in one process: PASE, a request and its answer |
//! | `quickstart_case` | a new fabric, CASE, and CASE resumed |
//! | `udp_device`, `udp_controller` | the same by PASE behind sockets |
//! | `demo` | two nodes over a network that loses datagrams, drawn |
//!
//! | for a controller | |
//! |---|---|
//! | `persistent_controller` | a controller that is killed and comes back as the same node |
//! | `group` | one message to three lights, and replays of it |
//! | `hsm_signer` | an operational key outside of the process |
//! | `sharded` | one socket, one thread for each shard of the sessions |
//!
//! | for a device | |
//! |---|---|
//! | `firmware/` | a complete device for a Cortex-M4F |
//! | `pase`, `case` | the state machines of the handshakes alone, without a manager |
//!
//! | tools | |
//! |---|---|
//! | `device`, `controller` | the peers of the interoperability tests, for the command line |
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `std` | yes | P-256 in assembler on x86_64 and aarch64; tables of multiples (50 kB of RAM for PASE, 25 kB more on other processors, built on first use); implies `alloc` |
//! | `alloc` | by `std` | `Heap`: tables that grow (without it, tables are arrays: [`Fixed`]); `manager::Shards`: several managers behind one port |
//! | `rustcrypto` | yes | `RustCrypto` and `CompactRustCrypto`, backends on the RustCrypto crates; `SigningKey` |
//! | `getrandom` | yes | `SystemRng`, the random number generator of the operating system |
//! | `p256-cm4` | no | `crypto::CortexM4Crypto`: P-256 in assembler for Cortex-M4, M7 and M33; implies `rustcrypto`, and adds nothing for other processors |
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
