//! A node as a task: datagrams, time and a key that signs elsewhere.

use core::net::{IpAddr, SocketAddr};

use embassy_futures::select::{Either3, select3};
use embassy_net::Stack;
use embassy_net::udp::UdpSocket;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::Timer;
use matter_session::crypto::Crypto;
use matter_session::handshake::Signed;
use matter_session::manager::Storage;
use matter_session::rand_core::CryptoRng;
use matter_session::{
    Event, Group, Instant, PeerAddress, Received, Services, SessionManager, SignRequest,
};

/// As many as there can be handshakes at once.
const HANDSHAKES: usize = 2;

/// The request for the task of the secure element. It receives a request, has the chip sign the
/// digest, and sends `request.complete(..)`. The others wait in the loop of the node, which drops
/// those that no handshake waits for any more.
pub type Requests = Channel<NoopRawMutex, SignRequest, 1>;
/// The answers of that task.
pub type Signatures = Channel<NoopRawMutex, Signed, 1>;

/// Reads the clock: 64 bits, which never wrap.
fn now() -> Instant {
    Instant::from_millis(embassy_time::Instant::now().as_millis())
}

/// Joins the multicast addresses of all groups; returns false if the stack has no room for one.
/// Call it after each change of the groups, too. The feature `multicast` of embassy-net has these
/// functions, and `SMOLTCP_IFACE_MAX_MULTICAST_GROUP_COUNT` is the number of addresses.
pub fn join_groups<C: Crypto, S: Storage>(node: &SessionManager<C, S>, stack: Stack<'_>) -> bool {
    let mut joined = true;
    for fabric in node.fabrics().iter() {
        for (id, _) in node.groups().iter(fabric.index()) {
            let group = Group::new(fabric.index(), id);
            if let Some(SocketAddr::V6(address)) = node.groups().address(group) {
                joined &= stack.join_multicast_group(*address.ip()).is_ok();
            }
        }
    }
    joined
}

/// Runs the loop of a node, whose fabrics and groups are set.
pub async fn run<C: Crypto, S: Storage>(
    node: &mut SessionManager<C, S>,
    stack: Stack<'_>,
    socket: &UdpSocket<'_>,
    requests: &Requests,
    signatures: &Signatures,
    rng: &mut dyn CryptoRng,
) -> ! {
    let mut datagram = [0; 1280];
    let mut pending = [const { None::<SignRequest> }; HANDSHAKES];
    let mut services = Services::new(rng);
    if !join_groups(node, stack) {
        // Here: report it. The device misses the messages of some groups.
    }
    loop {
        let mut cx = services.at(now());
        node.handle_timeout(&mut cx);
        while let Some(event) = node.poll_event() {
            match event {
                Event::SignRequest(request) => {
                    drop_dead(&mut pending, node);
                    // There is a place for each handshake that waits.
                    if let Some(place) = pending.iter_mut().find(|place| place.is_none()) {
                        *place = Some(request);
                    }
                }
                // Here: store the record, and handle what the application wants to know.
                Event::RecordChanged { .. } => {}
                Event::GroupMessages => {
                    while let Some(_message) = node.groups_mut().poll_message() {}
                }
                _ => {}
            }
        }
        if !requests.is_full() {
            drop_dead(&mut pending, node);
            if let Some(request) = pending.iter_mut().find_map(Option::take) {
                let _ = requests.try_send(request);
            }
        }
        while let Some(sent) = node.poll_transmit(now()) {
            if let PeerAddress::Udp(SocketAddr::V6(to)) = sent.to {
                // A datagram that the stack refuses counts as lost: it is retransmitted.
                let _ = socket.send_to(sent.datagram, to).await;
            }
        }
        let due = node.poll_timeout().map_or(u64::MAX, Instant::as_millis);
        let due = embassy_time::Instant::try_from_millis(due).unwrap_or(embassy_time::Instant::MAX);
        let received = socket.recv_from(&mut datagram);
        match select3(received, signatures.receive(), Timer::at(due)).await {
            Either3::First(Ok((len, from))) => {
                let mut cx = services.at(now());
                let from = (IpAddr::from(from.endpoint.addr), from.endpoint.port);
                let from = PeerAddress::Udp(SocketAddr::from(from));
                let bytes = datagram.get_mut(..len).unwrap_or_default();
                match node.handle_datagram(&mut cx, from, bytes) {
                    Received::Message(message) => {
                        // Here: the application. This one sends back what it receives.
                        let exchange = message.exchange;
                        let _ = node.send(&mut cx, exchange, message.kind, message.payload);
                        node.close_exchange(exchange);
                    }
                    // Here: do what the message says. It is never answered.
                    Received::Group(_message) => {}
                    _ => {}
                }
            }
            // A datagram that is longer than every message.
            Either3::First(Err(_)) => {}
            Either3::Second(signed) => {
                let _ = node.complete_signature(&mut services.at(now()), signed);
            }
            Either3::Third(()) => {}
        }
    }
}

/// Drops the requests that no handshake waits for any more. An attacker can begin handshakes faster
/// than the element signs.
fn drop_dead<C: Crypto, S: Storage>(
    pending: &mut [Option<SignRequest>],
    node: &mut SessionManager<C, S>,
) {
    for place in pending {
        place.take_if(|request| !node.handshakes().is_awaited(request));
    }
}
