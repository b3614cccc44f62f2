//! What is particular to tables of fixed size: octets that several messages share, a place in a
//! `static`.

use core::time::Duration;

use matter_session::context::Services;
use matter_session::crypto::{CompactRustCrypto, Passcode, RustCrypto};
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::MessageType;
use matter_session::ids::{CaseAuthTags, LocalSessionId, NodeId, Peer, PeerSessionId};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{Config, Event, Fixed, PeerAddress, SendError, Storage, Unstarted};
use matter_session::session::hazmat;
use matter_session::session::{Identity, SessionParameters, SessionRole, SessionSetup};
use matter_session::time::Instant;

use crate::net::{Authority, Dice, IM, Net, PASSCODE, index, udp};

/// Octets for two handshakes and little else.
type Tight =
    Fixed<Sessions<4>, Exchanges<4>, Handshakes<2>, Fabrics<2>, Records<2>, MessageBytes<2600>>;
/// Not even for the certificates of a peer beside the longest message of a handshake.
type Tighter =
    Fixed<Sessions<4>, Exchanges<4>, Handshakes<2>, Fabrics<2>, Records<2>, MessageBytes<1300>>;

fn members<S: Storage>() -> Net<S> {
    let config =
        Config::default().with_handshakes(2, Duration::from_millis(300)).with_less_than_specified();
    let nodes = [udp(1), udp(2), udp(3)].map(|address| (address, config.clone()));
    let mut net = Net::stored(nodes.into());
    let mut authority = Authority::new(1, true);
    for (n, node) in [100, 200, 300].into_iter().enumerate() {
        authority.join(&mut net, n, node);
    }
    net
}

#[test]
fn messages_share_octets_and_give_them_back() {
    let mut net = members::<Tight>();
    let (a, _) = net.case(200);
    let exchanges = [0; 3].map(|_| net.call(0, |m, cx| m.open_exchange(cx, a)).unwrap());
    let long = [7; 1150];
    let sent = exchanges
        .map(|exchange| net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 1), &long)));
    assert_eq!(sent, [Ok(()), Err(SendError::NoRoom), Err(SendError::NoRoom)]);
    // The room of another long one is kept for handshakes. A short one still has room, and nothing
    // was spent on the refused ones.
    assert_eq!(
        net.call(0, |m, cx| m.send(cx, exchanges[2], MessageType::new(IM, 1), &[1; 80])),
        Ok(())
    );
    net.run(1000);
    assert_eq!(net.node(1).got.len(), 2);
    let sent = exchanges
        .map(|exchange| net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 3), &long)));
    assert_eq!(sent, [Ok(()), Err(SendError::NoRoom), Err(SendError::NoRoom)]);
    for n in 0..2 {
        let open: Vec<_> = net.nodes[n].got.iter().map(|got| got.exchange).collect();
        open.into_iter().for_each(|exchange| net.close_exchange(n, exchange));
    }
    exchanges.into_iter().for_each(|exchange| net.close_exchange(0, exchange));
    net.assert_clean();
}

/// The smallest number of bytes is enough for what `max_payload` promises.
#[test]
fn the_longest_payload_that_is_announced_is_sent_with_the_fewest_bytes() {
    type Least =
        Fixed<Sessions<2>, Exchanges<2>, Handshakes<1>, Fabrics<1>, Records<1>, MessageBytes<1265>>;
    let mut net = members::<Least>();
    let (a, _) = net.case(200);
    let exchange = net.call(0, |m, cx| m.open_exchange(cx, a)).unwrap();
    let longest = net.node(0).manager.sessions().max_payload(exchange, IM).unwrap();
    let payload = vec![7; longest];
    let sent = net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 1), &payload));
    assert_eq!(sent, Ok(()));
    net.run(1000);
    assert_eq!(net.node(1).got.len(), 1);
}

#[test]
fn a_handshake_waits_until_messages_have_left_room() {
    let mut net = members::<Tighter>();
    let (_, b) = net.case(200);
    // Node 1 has a long message in flight that node 0 does not get. Its tables have room for one,
    // so none is kept for handshakes.
    let away = udp(1);
    net.on_send(move |datagram| {
        if datagram.to == away { crate::net::Fate::Lost } else { crate::net::Fate::Arrives }
    });
    let exchange = net.call(1, |m, cx| m.open_exchange(cx, b)).unwrap();
    net.call(1, |m, cx| m.send(cx, exchange, MessageType::new(IM, 1), &[7; 1150])).unwrap();
    net.dial_case(2, 1, 1, 200);
    net.run(200);
    let busy = Refusal::Busy { wait: Duration::from_millis(300) };
    assert_eq!(net.node(2).failures(), [HandshakeError::Refused(busy)]);
    // Once they are given up there is room again.
    net.run(20_000);
    net.dial_case(2, 1, 1, 200);
    net.run(2000);
    assert!(net.node(2).try_established().is_some());
}

#[test]
fn the_certificates_of_a_peer_are_lent_also_where_they_leave_room_for_a_report_alone() {
    fn lent<S: Storage>() -> bool {
        let mut net = members::<S>();
        net.node(1).polls = false;
        net.dial_case(0, 1, 1, 200);
        net.run(200);
        // Node 1 signs when its events are polled.
        let Some(Event::SignRequest(request)) = net.node(1).manager.poll_event() else {
            panic!("no signature was asked for")
        };
        let signed = request.sign_with(net.node(1).keys.get_mut(&index(1)).unwrap());
        assert!(net.call(1, |m, cx| m.complete_signature(cx, signed).is_ok()));
        net.run(1000);
        let event = net.node(1).manager.poll_event();
        assert!(matches!(event, Some(Event::Established { .. })), "{event:?}");
        let certificates = net.node(1).manager.handshakes().peer_certificates();
        let lent = certificates.is_some_and(|peer| peer.icac().is_some());
        assert!(net.node(0).try_established().is_some());
        net.node(1).polls = true;
        net.run(1000);
        assert!(net.node(1).manager.handshakes().peer_certificates().is_none());
        net.assert_clean();
        lent
    }
    assert!(lent::<Tight>());
    assert!(lent::<Tighter>());
}

#[test]
fn a_manager_in_its_place_is_started_once_and_for_all() {
    const PLACE: Unstarted<RustCrypto, Tight, u32> = Unstarted::new(RustCrypto);
    let (mut place, mut rng) = (PLACE, Dice::new(1));
    let member = Authority::new(1, false).admit(100);
    let node = place.start(Config::default().with_less_than_specified(), &mut rng);
    assert_eq!(node.fabrics_mut().add(&member.credentials()), Ok(index(1)));
    // Limits are those of the tables where they are lower than those of the settings.
    let second = Authority::new(2, false).admit(100);
    assert_eq!(node.fabrics_mut().add(&second.credentials()), Ok(index(2)));
    let third = Authority::new(3, false).admit(100);
    assert!(node.fabrics_mut().add(&third.credentials()).is_err());
    let node = place.start(Config::default().with_sessions(2), &mut rng);
    assert_eq!(node.fabrics().len(), 2);
    assert_eq!(node.config().max_sessions, 2);
}

#[test]
fn tables_are_as_small_as_they_are_said_to_be() {
    type Device = Fixed<
        Sessions<16>,
        Exchanges<8>,
        Handshakes<2>,
        Fabrics<5>,
        Records<15>,
        MessageBytes<4096>,
    >;
    let size = size_of::<Unstarted<CompactRustCrypto, Device>>();
    println!("a device of five fabrics: {size} octets");
    assert!(size <= 28_800, "{size}");
}

/// More tables than its settings use: what waits of handshakes must not outgrow its queue.
#[test]
fn settings_below_the_tables_lose_no_event_of_a_handshake() {
    type Roomy = Fixed<
        Sessions<60>,
        Exchanges<8>,
        Handshakes<2>,
        Fabrics<2>,
        Records<20>,
        MessageBytes<2600>,
    >;
    let config = Config::default()
        .with_less_than_specified()
        .with_sessions(1)
        .with_records(0, Duration::ZERO)
        .with_handshakes(2, Duration::from_millis(300));
    let mut net = Net::<Roomy>::stored([udp(1), udp(2)].map(|at| (at, config.clone())).into());
    Authority::new(1, false).join(&mut net, 0, 100);
    Authority::new(2, false).join(&mut net, 1, 200);
    net.node(1).polls = false;
    for _ in 0..40 {
        net.dial_case(0, 1, 1, 200);
        net.run(200);
    }
    let refused = net.node(1).manager.statistics().busy as usize;
    net.node(1).polls = true;
    net.pump();
    assert_eq!(net.node(1).failures().len() + refused, 40);
    assert!(refused > 0);
}

#[test]
fn a_single_place_is_no_session_that_nobody_hears_of() {
    type Single =
        Fixed<Sessions<1>, Exchanges<4>, Handshakes<2>, Fabrics<2>, Records<2>, MessageBytes<4096>>;
    let mut net = members::<Single>();
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    for n in 0..2 {
        assert_eq!(net.node(n).failures(), [HandshakeError::NoRoom]);
        assert_eq!(net.node(n).manager.sessions().len(), 0);
    }
}

#[test]
fn lower_settings_of_a_second_start_lose_no_timer_and_no_event() {
    let mut place: Unstarted<RustCrypto, Tight, u32> = Unstarted::new(RustCrypto);
    let mut rng = Dice::new(1);
    let node = place.start(Config::default(), &mut rng);
    let mut now = Instant::from_millis(1000);
    for port in [7, 8] {
        let passcode = Passcode::new(PASSCODE).unwrap();
        node.connect_pase(&mut Services::new(&mut rng).at(now), udp(port), passcode).unwrap();
    }
    let lower = Config::default()
        .with_sessions(1)
        .with_exchanges(0)
        .with_events(1)
        .with_records(0, Duration::ZERO)
        .with_handshakes(1, Duration::from_millis(300));
    let node = place.start(lower, &mut rng);
    let mut steps = 0;
    while let Some(due) = node.poll_timeout() {
        now = due;
        node.handle_timeout(&mut Services::new(&mut rng).at(now));
        while node.poll_transmit(now).is_some() {}
        steps += 1;
        assert!(steps < 100);
    }
    let failed = core::iter::from_fn(|| node.poll_event())
        .filter(|event| matches!(event, Event::HandshakeFailed { .. }));
    assert_eq!(failed.count(), 2);
}

#[test]
fn lower_settings_of_a_second_start_hide_no_session() {
    let mut place: Unstarted<RustCrypto, Tight, u32> = Unstarted::new(RustCrypto);
    let mut rng = Dice::new(1);
    let node = place.start(Config::default().with_sessions(3), &mut rng);
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(Instant::ZERO);
    let peer = |n: u64| NodeId::new(100 + n);
    let sessions = [1, 2, 3].map(|n| {
        let setup = SessionSetup {
            role: SessionRole::Responder,
            local_session_id: LocalSessionId::new(1).unwrap(),
            peer_session_id: PeerSessionId::new(1).unwrap(),
            identity: Identity::case(index(1), NodeId::new(1), peer(n), CaseAuthTags::NONE),
            peer_parameters: SessionParameters::default(),
            resumption_id: None,
        };
        let keys = hazmat::session_keys(&[7; 48]);
        node.dangerous_add_session(&mut cx, udp(7), &keys, setup).unwrap()
    });
    node.close_session(&mut cx, sessions[0]);
    node.close_session(&mut cx, sessions[1]);
    let node = place.start(Config::default().with_sessions(1), &mut rng);
    assert_eq!(node.session_with(Peer::new(index(1), peer(3))), Some(sessions[2]));
    assert!(node.sessions().with_peer(Peer::new(index(1), peer(3))).eq([sessions[2]]));
    node.sessions_mut().close_with_peer(
        &mut Services::new(&mut rng).at(Instant::ZERO),
        Peer::new(index(1), peer(3)),
    );
    assert_eq!(node.sessions().len(), 0);
}

#[test]
fn what_a_reliable_transport_has_taken_gives_its_octets_back() {
    let link = PeerAddress::Link;
    let nodes = [link(1), link(2)].map(|address| (address, Config::default()));
    let mut net = Net::<Tight>::stored(nodes.into());
    let mut authority = Authority::new(1, true);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    let (a, _) = net.case(200);
    net.run(20_000);
    for _ in 0..3 {
        let exchange = net.call(0, |m, cx| m.open_exchange(cx, a)).unwrap();
        assert_eq!(
            net.call(0, |m, cx| m.send(cx, exchange, MessageType::new(IM, 1), &[7; 1150])),
            Ok(())
        );
        net.run(10);
    }
    assert_eq!(net.node(1).got.len(), 3);
}

/// The default limit for one session is above what a small device has in all.
#[test]
fn one_session_never_takes_all_exchanges() {
    let mut net = members::<Tight>();
    let (a, _) = net.case(200);
    net.dial_case(2, 1, 1, 200);
    net.run(1000);
    let c = net.node(2).established();
    for _ in 0..3 {
        net.say(0, a, 1);
    }
    net.run(100);
    net.say(2, c, 1);
    net.run(100);
    let got = &net.node(1).got;
    assert_eq!(got.iter().filter(|got| got.first).count(), 4);
    assert!(got[0].session != got[3].session);
}
