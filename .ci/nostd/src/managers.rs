//! Two managers in fixed tables: PASE, and a message that is acknowledged.

use matter_session::context::{Context, Services};
use matter_session::crypto::{CompactRustCrypto, Passcode};
use matter_session::ids::MessageType;
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{
    Config, Event, Fixed, PeerAddress, Received, SessionHandle, SessionManager, Unstarted,
};

use crate::steps::{NOW, Sequence};

type Tables =
    Fixed<Sessions<2>, Exchanges<2>, Handshakes<1>, Fabrics<1>, Records<1>, MessageBytes<2560>>;
type Manager = SessionManager<CompactRustCrypto, Tables>;

pub fn run() -> Option<()> {
    let mut rng = Sequence(4);
    let (mut a, mut b) = (Unstarted::new(CompactRustCrypto), Unstarted::new(CompactRustCrypto));
    let a: &mut Manager = a.start(Config::default(), &mut rng);
    let b: &mut Manager = b.start(Config::default(), &mut rng);
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(NOW);
    let passcode = Passcode::new(20_202_021).ok()?;
    b.window().open_for(&mut cx, &passcode, None).ok()?;
    a.connect_pase(&mut cx, PeerAddress::Link(1), passcode).ok()?;
    let session = loop {
        carry(a, b, &mut cx)?;
        carry(b, a, &mut cx)?;
        if let Some(session) = established(a) {
            break session;
        }
    };
    let exchange = a.open_exchange(&mut cx, session).ok()?;
    a.send(&mut cx, exchange, MessageType::INVOKE_REQUEST, b"octets").ok()?;
    (carry(a, b, &mut cx)? == 1).then_some(())
}

fn established(node: &mut Manager) -> Option<SessionHandle> {
    match node.poll_event()? {
        Event::Established { session, .. } => Some(session),
        _ => None,
    }
}

/// Carries what one has to say to the other. Returns how many messages arrived, or nothing if
/// something was dropped.
fn carry(from: &mut Manager, to: &mut Manager, cx: &mut Context<'_>) -> Option<usize> {
    let (mut datagram, mut messages) = ([0; 1280], 0);
    from.handle_timeout(cx);
    while let Some(sent) = from.poll_transmit(NOW) {
        let octets = datagram.get_mut(..sent.datagram.len())?;
        octets.copy_from_slice(sent.datagram);
        if let Received::Message(message) = to.handle_datagram(cx, PeerAddress::Link(1), octets) {
            messages += usize::from(*message.payload == *b"octets");
        }
        while to.handshakes().is_computing() {
            to.handle_timeout(cx);
        }
    }
    Some(messages)
}
