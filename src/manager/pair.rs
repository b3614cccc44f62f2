//! Two nodes in one process, for tests and first steps.

use alloc::vec::Vec;

use super::handle::{ExchangeHandle, SessionHandle};
use super::received::Received;
use super::{SessionManager, Storage};
use crate::bytes::debug_lengths;
use crate::context::Context;
use crate::crypto::Crypto;
use crate::ids::MessageType;

/// A message that a node received in [`drive`].
#[non_exhaustive]
pub struct Delivered {
    /// The session.
    pub session: SessionHandle,
    /// The exchange, which an answer is sent on.
    pub exchange: ExchangeHandle,
    /// The type of the message: its protocol and opcode.
    pub kind: MessageType,
    /// The payload.
    pub payload: Vec<u8>,
}

debug_lengths!(Delivered[][]: session, exchange, kind; payload);

/// Carries datagrams between two nodes of one process, until neither has anything left to compute
/// or to send. Returns the messages that each of the two received, oldest first.
///
/// It takes the place of a network, for first steps and for tests of an application: it calls
/// [`handle_timeout`](SessionManager::handle_timeout),
/// [`poll_transmit`](SessionManager::poll_transmit) and
/// [`handle_datagram`](SessionManager::handle_datagram), as the [loop](crate#the-loop) of a node
/// does, and nothing else. Events stay with each node, for
/// [`poll_event`](SessionManager::poll_event). After events that ask for something
/// ([`SignRequest`](crate::Event::SignRequest)), call it again.
///
/// The nodes know each other by any address: a datagram comes from the address that it was sent to.
/// No datagram is lost, and time does not pass: to test a timer, call it with a context of a later
/// time. Both nodes use the services of `cx`, so it must not have a store that belongs to one of
/// them. Group messages and Check-In messages are dropped.
///
#[cfg_attr(
    all(feature = "std", feature = "rustcrypto", feature = "initiator", feature = "getrandom"),
    doc = "```"
)]
#[cfg_attr(
    not(all(
        feature = "std",
        feature = "rustcrypto",
        feature = "initiator",
        feature = "getrandom"
    )),
    doc = "```ignore"
)]
/// use matter_session::{
///     Config, HeapSessionManager, Instant, MessageType, Passcode, PeerAddress, RustCrypto,
///     Services, SystemRng, drive,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut rng = SystemRng;
/// let mut phone = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
/// let mut lamp = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
/// let mut services = Services::new(&mut rng);
/// let mut cx = services.at(Instant::ZERO);
///
/// lamp.window().open_for(&mut cx, &Passcode::new(20202021)?, None)?;
/// let address = PeerAddress::Udp(([127, 0, 0, 1], 5540).into());
/// phone.connect_pase(&mut cx, address, Passcode::new(20202021)?)?;
/// drive(&mut cx, &mut phone, &mut lamp);
/// let session = phone.sessions().pase().ok_or("no session")?;
///
/// let exchange = phone.open_exchange(&mut cx, session)?;
/// phone.send(&mut cx, exchange, MessageType::READ_REQUEST, b"on or off?")?;
/// let [_, at_lamp] = drive(&mut cx, &mut phone, &mut lamp);
/// assert_eq!(at_lamp[0].payload, b"on or off?");
/// # Ok(())
/// # }
/// ```
pub fn drive<C1, S1, T1, C2, S2, T2>(
    cx: &mut Context<'_>,
    first: &mut SessionManager<C1, S1, T1>,
    second: &mut SessionManager<C2, S2, T2>,
) -> [Vec<Delivered>; 2]
where
    C1: Crypto,
    S1: Storage,
    T1: Default,
    C2: Crypto,
    S2: Storage,
    T2: Default,
{
    let (mut at_first, mut at_second) = (Vec::new(), Vec::new());
    loop {
        compute(cx, first);
        compute(cx, second);
        let there = carry(cx, first, second, &mut at_second);
        let back = carry(cx, second, first, &mut at_first);
        if !there && !back {
            return [at_first, at_second];
        }
    }
}

/// Handles the deadlines that have come, and computes all parts of handshakes.
fn compute<C: Crypto, S: Storage, T: Default>(
    cx: &mut Context<'_>,
    node: &mut SessionManager<C, S, T>,
) {
    node.handle_timeout(cx);
    while node.handshakes().is_computing() {
        node.handle_timeout(cx);
    }
}

/// Carries everything that one node has ready. Returns true if that was something.
fn carry<C1, S1, T1, C2, S2, T2>(
    cx: &mut Context<'_>,
    from: &mut SessionManager<C1, S1, T1>,
    to: &mut SessionManager<C2, S2, T2>,
    inbox: &mut Vec<Delivered>,
) -> bool
where
    C1: Crypto,
    S1: Storage,
    T1: Default,
    C2: Crypto,
    S2: Storage,
    T2: Default,
{
    let mut any = false;
    while let Some(sent) = from.poll_transmit(cx.now()) {
        any = true;
        let mut datagram = sent.datagram.to_vec();
        if let Received::Message(message) = to.handle_datagram(cx, sent.to, &mut datagram) {
            inbox.push(Delivered {
                session: message.session,
                exchange: message.exchange,
                kind: message.kind,
                payload: message.payload.to_vec(),
            });
        }
    }
    any
}
