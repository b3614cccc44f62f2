//! What a session says of itself, its peer and its record, at any time.

use core::time::Duration;

use matter_session::cert::{Certificate, Profile, ValidityPolicy};
use matter_session::crypto::SigningKey;
use matter_session::ids::{FabricIndex, MessageType, NodeId, Peer, ProtocolId, VendorId};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{Config, Fixed, Heap, SessionHandle, SessionRef, Storage};
use matter_session::session::{SessionKind, SessionParameters, SessionRole};
use matter_session::time::{Instant, MatterTime};
use matter_session_testing::Backend;

use crate::net::{Authority, Dice, Membership, Net, PASSCODE, index, udp};

type Device =
    Fixed<Sessions<4>, Exchanges<4>, Handshakes<2>, Fabrics<1>, Records<2>, MessageBytes<4096>>;

/// The calendar time at the origin of the clock of all nodes, in seconds since 2000.
const EPOCH: u32 = 800_000_000;
/// The calendar time when networks of this file begin.
const BEGIN: u32 = EPOCH + 1000;
const END: MatterTime = MatterTime::from_seconds(BEGIN + 100_000);
const PEER: Peer = Peer::new(FabricIndex::MIN, NodeId::new(200));

fn session<S: Storage>(
    net: &Net<S>,
    n: usize,
    session: SessionHandle,
) -> SessionRef<'_, Backend, S, u32> {
    net.nodes[n].manager.session(session).unwrap()
}

/// Two nodes that know the time and whose certificates end, under an intermediate authority, and
/// what each presents.
fn members<S: Storage>(config: &Config) -> (Net<S>, Authority, [Membership; 2]) {
    let mut net = Net::stored(vec![(udp(1), config.clone()), (udp(2), config.clone())]);
    let mut authority = Authority::new(1, true);
    authority.until = Some(END);
    let mut members = [100, 200].map(|node| authority.admit(node));
    for (n, member) in members.iter_mut().enumerate() {
        net.nodes[n].manager.fabrics_mut().add(&member.credentials()).unwrap();
        net.nodes[n].epoch = Some(EPOCH);
        hand_over_key(&mut net, n, member);
    }
    (net, authority, members)
}

/// Gives a node the key of its membership.
fn hand_over_key<S: Storage>(net: &mut Net<S>, n: usize, member: &mut Membership) {
    let none = SigningKey::generate(&mut Dice::new(1)).unwrap();
    net.nodes[n].keys.insert(index(1), core::mem::replace(&mut member.key, none));
}

fn instant(seconds: u64) -> Instant {
    Instant::from_millis(1_000_000 + seconds * 1000)
}

fn names_the_peer_and_how_it_was_verified<S: Storage>() {
    let profile = Profile::default().with_validity(ValidityPolicy::All);
    let parameters = SessionParameters::default().with_revisions(19, 11, 0x0105_0100);
    let config = Config::default().with_certificate_profile(profile).with_parameters(parameters);
    let (mut net, _, members) = members::<S>(&config);
    let (a, b) = net.case(200);
    for (n, handle, role, peer) in
        [(0, a, SessionRole::Initiator, 200), (1, b, SessionRole::Responder, 100)]
    {
        let session = session(&net, n, handle);
        let inside = session.session();
        assert_eq!(session.handle(), handle);
        assert_eq!(inside.local_session_id(), handle.local_session_id());
        assert_eq!((inside.kind(), inside.role()), (SessionKind::Case, role));
        let peer = Peer::new(index(1), NodeId::new(peer));
        assert_eq!(session.peer(), Some(peer));
        assert_eq!(inside.identity().peer_node(), peer.node);
        let declared = inside.peer_parameters();
        assert_eq!(declared.specification_version, Some(0x0105_0100));
        assert_eq!(declared.data_model_revision, Some(19));
        assert_eq!(declared.interaction_model_revision, Some(11));
        let verification = session.verification().unwrap();
        assert_eq!(verification.profile, profile);
        assert_eq!(verification.profile.validity(), ValidityPolicy::All);
        assert_eq!(verification.authenticated, Some(MatterTime::from_seconds(BEGIN)));
        assert_eq!(verification.valid_until, Some(END));
        let (fabric, own) = (session.fabric().unwrap(), members[n].credentials());
        assert_eq!((fabric.noc(), fabric.icac()), (own.noc, own.icac));
        assert_eq!(fabric.root(), own.root);
        assert_eq!(
            (inside.cipher_suite(), inside.curve()),
            ("AES-128-CCM with HKDF-SHA256", "P-256")
        );
    }
}

#[test]
fn a_session_names_its_peer_and_how_that_was_verified() {
    names_the_peer_and_how_it_was_verified::<Heap>();
    names_the_peer_and_how_it_was_verified::<Device>();
}

#[test]
fn a_session_of_pase_has_no_peer_no_certificates_and_no_record() {
    let mut net = Net::pair();
    net.open_window(1);
    net.dial_pase(0, 1, PASSCODE);
    net.settle();
    for n in 0..2 {
        let session = session(&net, n, net.nodes[n].established());
        assert_eq!(session.session().kind(), SessionKind::Pase);
        assert_eq!((session.peer(), session.verification()), (None, None));
        assert_eq!((session.ticket(), session.resumed_at()), (None, None));
        assert!(session.fabric().is_none() && session.peer_certificates().is_none());
        assert_eq!(session.session().curve(), "P-256");
    }
}

/// A full handshake, a message, and two resumptions: nothing but the full handshake renews what
/// follows from the certificates.
fn tells_its_times<S: Storage>() {
    let (mut net, ..) = members::<S>(&Config::default());
    let (a, b) = net.case(200);
    for (n, handle) in [(0, a), (1, b)] {
        let session = session(&net, n, handle);
        assert_eq!(session.session().created_at(), instant(0));
        assert_eq!(session.resumed_at(), None);
        assert_eq!(session.session().last_activity(), instant(0));
    }
    net.run(99_000);
    let exchange = net.say(0, a, 1);
    net.pump();
    net.close_exchange(0, exchange);
    for (n, handle) in [(0, a), (1, b)] {
        assert_eq!(session(&net, n, handle).session().last_activity(), instant(100));
    }
    for seconds in [300, 500] {
        net.run((instant(seconds).as_millis()) - net.now);
        let (a, b) = net.case(200);
        for (n, handle) in [(0, a), (1, b)] {
            let session = session(&net, n, handle);
            assert_eq!(session.session().created_at(), instant(seconds));
            assert_eq!(session.resumed_at(), Some(instant(seconds)));
            let verification = session.verification().unwrap();
            assert_eq!(verification.authenticated, Some(MatterTime::from_seconds(BEGIN)));
            assert_eq!(verification.valid_until, Some(END));
        }
    }
}

#[test]
fn a_session_tells_when_it_was_established_resumed_and_used() {
    tells_its_times::<Heap>();
    tells_its_times::<Device>();
}

#[test]
fn without_a_clock_and_an_end_a_session_knows_no_times_of_its_certificates() {
    let (net, a, _) = Net::with_case();
    let verification = session(&net, 0, a).verification().unwrap();
    assert_eq!((verification.authenticated, verification.valid_until), (None, None));
    assert_eq!(session(&net, 0, a).ticket().unwrap().expires_at, None);
}

/// A ticket is of use until its lifetime is over or the certificates end, whichever is first.
fn has_a_ticket_until_it_is_replaced<S: Storage>() {
    for (lifetime, expires_at) in [(3600, BEGIN + 3600), (200_000, END.as_seconds() + 1)] {
        let config = Config::default().with_records(2, Duration::from_secs(lifetime));
        let (mut net, ..) = members::<S>(&config);
        let (first, _) = net.case(200);
        let ticket = session(&net, 0, first).ticket().unwrap();
        assert_eq!(Some(&ticket.id), session(&net, 0, first).session().resumption_id());
        assert_eq!(ticket.expires, instant(lifetime));
        assert_eq!(ticket.expires_at, Some(MatterTime::from_seconds(expires_at)));
        assert_eq!(ticket.parameters, SessionParameters::matter_1_6());
        assert_eq!(net.nodes[0].manager.records().get(PEER), Some(ticket));
        assert_eq!(net.nodes[0].manager.records().iter().collect::<Vec<_>>(), [ticket]);
        // A resumption makes another id, and renews nothing.
        net.run(1_000_000);
        let (second, _) = net.case(200);
        assert!(session(&net, 0, second).resumed_at().is_some());
        assert_eq!(session(&net, 0, first).ticket(), None);
        let renamed = session(&net, 0, second).ticket().unwrap();
        assert_ne!(renamed.id, ticket.id);
        assert_eq!((renamed.expires, renamed.expires_at), (ticket.expires, ticket.expires_at));
        net.call(0, |m, cx| m.records_mut().forget(cx, PEER));
        assert_eq!(session(&net, 0, second).ticket(), None);
    }
}

#[test]
fn a_session_has_a_ticket_until_a_newer_session_has_replaced_it() {
    has_a_ticket_until_it_is_replaced::<Heap>();
    has_a_ticket_until_it_is_replaced::<Device>();
}

fn presented<S: Storage>(
    net: &Net<S>,
    n: usize,
    handle: SessionHandle,
    member: &Membership,
) -> bool {
    let session = session(net, n, handle);
    session.peer_certificates().is_some_and(|certificates| {
        let credentials = member.credentials();
        assert_eq!(certificates.noc(), credentials.noc);
        assert_eq!(certificates.icac(), credentials.icac);
        let noc = Certificate::parse(credentials.noc).unwrap();
        assert_eq!(*certificates.public_key(), noc.public_key());
        true
    })
}

#[test]
fn the_certificates_of_a_peer_stay_with_each_session_if_they_are_asked_for() {
    let config = Config::default().with_peer_certificates();
    let (mut net, _, members) = members::<Heap>(&config);
    let (a, b) = net.case(200);
    assert!(presented(&net, 0, a, &members[1]) && presented(&net, 1, b, &members[0]));
    // Two resumptions, while the first session lives and when it is closed.
    let (second, _) = net.case(200);
    net.call(0, |m, cx| m.close_session(cx, a));
    net.pump();
    let (third, at_peer) = net.case(200);
    for session_of in [second, third] {
        assert!(session(&net, 0, session_of).resumed_at().is_some());
        assert!(presented(&net, 0, session_of, &members[1]));
    }
    assert!(presented(&net, 1, at_peer, &members[0]));
    // Without the record they stay with the sessions. The next handshake is a full one.
    net.call(0, |m, cx| m.records_mut().forget(cx, PEER));
    net.pump();
    assert!(presented(&net, 0, third, &members[1]));
    let (fourth, _) = net.case(200);
    assert_eq!(session(&net, 0, fourth).resumed_at(), None);
    assert!(presented(&net, 0, fourth, &members[1]));
}

/// Each full handshake replaces what resumptions from then on have.
#[test]
fn after_the_peer_has_new_certificates_resumed_sessions_have_those() {
    let config = Config::default().with_peer_certificates();
    let (mut net, mut authority, members) = members::<Heap>(&config);
    let (former, _) = net.case(200);
    let mut renewed = authority.admit(200);
    net.call(1, |m, cx| m.fabrics_mut().update(cx, index(1), &renewed.credentials())).unwrap();
    hand_over_key(&mut net, 1, &mut renewed);
    net.settle();
    assert!(net.nodes[0].manager.session(former).is_none(), "its peer has closed it");
    for resumed in [false, true] {
        let (session_of, _) = net.case(200);
        assert_eq!(session(&net, 0, session_of).resumed_at().is_some(), resumed);
        assert!(presented(&net, 0, session_of, &renewed));
    }
    assert_ne!(renewed.credentials().noc, members[1].credentials().noc);
}

#[test]
fn certificates_are_not_kept_unless_they_are_asked_for_nor_by_a_device() {
    let (mut net, _, members) = members::<Heap>(&Config::default());
    let (a, _) = net.case(200);
    assert!(!presented(&net, 0, a, &members[1]));
    let (mut net, _, members) =
        self::members::<Device>(&Config::default().with_peer_certificates());
    let (a, _) = net.case(200);
    assert!(!presented(&net, 0, a, &members[1]));
}

/// The header of a message of a vendor's protocol that acknowledges another is the longest.
#[test]
fn every_message_has_room_for_the_largest_payload_of_its_session() {
    let (mut net, a, b) = Net::with_case();
    let most = session(&net, 0, a).max_payload();
    assert_eq!(most, session(&net, 1, b).max_payload());
    let kind = MessageType::new(ProtocolId::vendor(VendorId::new(0xFFF1), 1), 2);
    let exchange = net.call(0, |m, cx| {
        let exchange = m.open_exchange(cx, a).unwrap();
        m.send(cx, exchange, kind, &vec![7; most]).unwrap();
        exchange
    });
    net.pump();
    let answered = net.nodes[1].got[0].exchange;
    assert_eq!(net.nodes[1].got[0].payload.len(), most);
    net.call(1, |m, cx| {
        assert!(m.send(cx, answered, kind, &vec![7; most + 1]).is_err());
        m.send(cx, answered, kind, &vec![7; most]).unwrap();
    });
    net.pump();
    assert_eq!(net.nodes[0].got[0].payload.len(), most);
    net.close_exchange(0, exchange);
}

#[test]
fn a_session_that_closes_for_new_credentials_does_not_show_them_as_its_own() {
    let (mut net, mut authority, members) = members::<Heap>(&Config::default());
    let (_, b) = net.case(200);
    net.say(0, net.nodes[0].manager.session_with(PEER).unwrap(), 1);
    net.pump();
    let renewed = authority.admit(200);
    assert_eq!(session(&net, 1, b).fabric().unwrap().noc(), members[1].credentials().noc);
    net.call(1, |m, cx| {
        let mut fabrics = m.fabrics_mut().sparing(b);
        fabrics.update(cx, index(1), &renewed.credentials()).unwrap();
    });
    let spared = session(&net, 1, b);
    assert!(spared.is_closing() && spared.fabric().is_none());
}
