//! Fabrics that come, change and go.

use matter_session::crypto::{RustCrypto, Secret};
use matter_session::fabric::{Fabric, FabricBuf, FabricCredentials, FabricError, Ipk};
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::{MessageType, NodeId, Peer};
use matter_session::manager::{
    CloseReason, Config, Event, FabricTableError, Fixed, OpenError, SessionHandle, Storage,
};

use crate::net::{Authority, Fate, IM, Net, PASSCODE, index, udp};

fn members() -> (Net, Authority) {
    let mut net = Net::pair();
    let mut authority = Authority::new(1, false);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    (net, authority)
}

#[test]
fn removing_a_fabric_ends_its_sessions_and_records_and_no_others() {
    let (mut net, _) = members();
    let mut other = Authority::new(2, false);
    other.join(&mut net, 0, 100);
    other.join(&mut net, 1, 200);
    for fabric in [1, 1, 2] {
        net.dial_case(0, 1, fabric, 200);
        net.run(1000);
    }
    let kept = net.node(1).established();
    // A PASE session over which the fabric was added goes with it.
    net.open_window(1);
    net.dial_pase(0, 1, PASSCODE);
    net.run(5000);
    let pase = net.node(1).established();
    assert!(net.node(1).manager.sessions_mut().associate_fabric(pase, index(1)).is_ok());
    assert!(net.node(1).manager.sessions_mut().associate_fabric(kept, index(1)).is_err());
    assert!(net.call(1, |manager, cx| manager.fabrics_mut().remove(cx, index(1))));
    assert!(!net.call(1, |manager, cx| manager.fabrics_mut().remove(cx, index(1))));
    net.run(1000);
    let closed = net.node(1).closed();
    assert_eq!(closed.len(), 3);
    assert!(closed.iter().all(|(.., reason)| *reason == CloseReason::FabricRemoved));
    assert_eq!(net.node(0).closed().len(), 3, "each peer was told");
    let left: Vec<_> = net.node(1).manager.sessions().iter().map(|s| s.handle()).collect();
    assert_eq!(left, [kept]);
    assert!(net.node(1).manager.dangerous_record(Peer::new(index(1), NodeId::new(100))).is_none());
    assert!(net.node(1).manager.dangerous_record(Peer::new(index(2), NodeId::new(100))).is_some());
    net.dial_case(0, 1, 1, 200);
    net.settle();
    let refused = HandshakeError::Refused(Refusal::NoSharedTrustRoots);
    assert_eq!(net.node(0).failures(), [refused]);
    net.assert_clean();
}

#[test]
fn a_handshake_fails_when_its_fabric_goes_or_changes() {
    for (update, remover) in [(false, 0), (false, 1), (true, 0), (true, 1)] {
        let (mut net, mut authority) = members();
        // The responder waits for its key, the initiator for the responder.
        net.node(1).signs = false;
        net.dial_case(0, 1, 1, 200);
        net.run(1000);
        let member = authority.admit(if remover == 0 { 100 } else { 200 });
        net.call(remover, |manager, cx| {
            if update {
                manager.fabrics_mut().update(cx, index(1), &member.credentials()).unwrap();
            } else {
                assert!(manager.fabrics_mut().remove(cx, index(1)));
            }
        });
        net.settle();
        assert_eq!(net.node(remover).failures(), [HandshakeError::UnknownFabric]);
        let refused = HandshakeError::Refused(Refusal::InvalidParameter);
        assert_eq!(net.node(1 - remover).failures(), [refused]);
        // The signature comes too late.
        let request = net.node(1).requests.pop().unwrap();
        let signed = request.sign_with(net.node(1).keys.get_mut(&index(1)).unwrap());
        assert!(!net.call(1, |manager, cx| manager.complete_signature(cx, signed).is_ok()));
        net.assert_clean();
    }
}

/// How a node leaves what it was on a fabric.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Update,
    Remove,
}

const CHANGES: [(Change, CloseReason); 2] =
    [(Change::Update, CloseReason::FabricUpdated), (Change::Remove, CloseReason::FabricRemoved)];

/// Node 1 gets new credentials on the fabric, or leaves it.
fn change(net: &mut Net, authority: &mut Authority, what: Change, spared: Option<SessionHandle>) {
    let member = authority.admit(201);
    net.call(1, |manager, cx| {
        let fabrics = manager.fabrics_mut();
        let mut fabrics = match spared {
            Some(session) => fabrics.sparing(session),
            None => fabrics,
        };
        match what {
            Change::Update => fabrics.update(cx, index(1), &member.credentials()).unwrap(),
            Change::Remove => assert!(fabrics.remove(cx, index(1))),
        }
    });
    net.node(1).keys.insert(index(1), member.key);
}

#[test]
fn an_update_ends_all_that_was_of_the_former_node() {
    let (mut net, mut authority) = members();
    let mut other = Authority::new(2, false);
    other.join(&mut net, 0, 100);
    other.join(&mut net, 1, 200);
    let former = [net.case(200), net.case(200)];
    net.dial_case(0, 1, 2, 200);
    net.run(1000);
    let kept = net.node(1).established();
    change(&mut net, &mut authority, Change::Update, None);
    net.run(1000);
    let ends = former.map(|(_, session)| (session, 0, CloseReason::FabricUpdated));
    assert_eq!(net.node(1).closed(), ends);
    let peers = former.map(|(session, _)| (session, 0, CloseReason::Peer));
    assert_eq!(net.node(0).closed(), peers, "each peer was told");
    assert!(net.nodes[1].manager.session(kept).is_some(), "another fabric");
    assert!(net.node(1).manager.dangerous_record(Peer::new(index(1), NodeId::new(100))).is_none());
    // The new node serves, and the former does not.
    net.node(0).events.clear();
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    let refused = HandshakeError::Refused(Refusal::NoSharedTrustRoots);
    assert_eq!(net.node(0).failures(), [refused]);
    net.case(201);
    net.assert_clean();
}

/// What is stored of the only fabric of node 1.
fn stored<S: Storage>(net: &mut Net<S>) -> Vec<u8> {
    let mut bytes = [0; Fabric::ENCODED_MAX_LEN];
    let fabric = net.node(1).manager.fabrics().get(index(1));
    let len = fabric.map(|fabric| fabric.encode(&mut bytes).unwrap()).unwrap();
    bytes[..len].to_vec()
}

/// When the fail-safe expires, an addition is removed, and stored bytes undo an update.
#[test]
fn an_undone_addition_or_update_leaves_no_session_of_the_new_node() {
    let (mut net, mut authority) = members();
    let bytes = stored(&mut net);
    let former = net.node(1).keys.remove(&index(1)).unwrap();
    change(&mut net, &mut authority, Change::Update, None);
    let (_, session) = net.case(201);
    assert_eq!(net.call(1, |m, cx| m.fabrics_mut().replace(cx, &bytes)), Ok(index(1)));
    net.node(1).keys.insert(index(1), former);
    net.run(1000);
    assert_eq!(net.node(1).closed(), [(session, 0, CloseReason::FabricUpdated)]);
    assert_eq!(stored(&mut net), bytes);
    assert!(net.node(1).manager.dangerous_record(Peer::new(index(1), NodeId::new(100))).is_none());
    net.node(0).events.clear();
    net.dial_case(0, 1, 1, 201);
    net.run(1000);
    let refused = HandshakeError::Refused(Refusal::NoSharedTrustRoots);
    assert_eq!(net.node(0).failures(), [refused], "nobody is the new node any more");
    let (_, session) = net.case(200);
    assert!(net.call(1, |m, cx| m.fabrics_mut().remove(cx, index(1))));
    net.run(1000);
    assert_eq!(net.node(1).closed(), [(session, 0, CloseReason::FabricRemoved)]);
    assert_eq!(net.node(1).manager.sessions().len(), 0);
    net.assert_clean();
}

#[test]
fn stored_bytes_replace_the_fabric_that_they_are_of_and_no_other() {
    fn run<S: Storage>(mut net: Net<S>) {
        let mut authority = Authority::new(1, false);
        authority.join(&mut net, 0, 100);
        authority.join(&mut net, 1, 200);
        let bytes = stored(&mut net);
        let (_, session) = net.case(200);
        let refused = |net: &mut Net<S>, bytes: &[u8], error: FabricTableError| {
            let replaced = net.call(1, |m, cx| m.fabrics_mut().replace(cx, bytes));
            assert_eq!(replaced, Err(error));
            assert!(net.node(1).manager.session(session).is_some(), "nothing has changed");
        };
        let damaged = FabricTableError::Credentials(FabricError::Stored);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            refused(&mut net, &bad, damaged);
        }
        for (at, error) in [(1, FabricTableError::OtherFabric), (2, FabricTableError::Unknown)] {
            let mut other = Authority::new(7, false);
            let other = FabricBuf::new(&RustCrypto, index(at), &other.admit(200).credentials());
            let mut buf = [0; Fabric::ENCODED_MAX_LEN];
            let len = other.unwrap().view().encode(&mut buf).unwrap();
            refused(&mut net, &buf[..len], error);
        }
        // It is replaced by itself as well, and once for each of many updates.
        for node in 201..210 {
            let member = authority.admit(node);
            let updated =
                net.call(1, |m, cx| m.fabrics_mut().update(cx, index(1), &member.credentials()));
            assert_eq!(updated, Ok(()));
            for _ in 0..2 {
                let replaced = net.call(1, |m, cx| m.fabrics_mut().replace(cx, &bytes));
                assert_eq!(replaced, Ok(index(1)));
                assert_eq!(stored(&mut net), bytes);
            }
        }
        net.run(1000);
        net.node(1).events.clear();
        net.case(200);
    }
    run(Net::pair());
    run(Net::<Fixed>::stored(vec![(udp(1), Config::default()), (udp(2), Config::default())]));
}

#[test]
fn the_session_that_a_change_is_asked_over_stays_until_its_answer_is_acknowledged() {
    for (what, reason) in CHANGES {
        let (mut net, mut authority) = members();
        let (_, other) = net.case(200);
        let (a, b) = net.case(200);
        let request = net.say(0, a, 8);
        net.pump();
        let exchange = net.node(1).got[0].exchange;
        change(&mut net, &mut authority, what, Some(b));
        net.pump();
        assert_eq!(net.node(1).closed(), [(other, 0, reason)], "{what:?}: the others at once");
        // It is not offered, and nothing begins on it, neither here nor there.
        let peer = Peer::new(index(1), NodeId::new(100));
        assert_eq!(net.nodes[1].manager.session_with(peer), None);
        assert!(net.nodes[1].manager.session(b).unwrap().is_closing());
        let open = net.call(1, |m, cx| m.open_exchange(cx, b));
        assert_eq!(open, Err(OpenError::Closed));
        net.on_send(|d| if d.from == udp(2) { Fate::Lost } else { Fate::Arrives });
        let late = net.say(0, a, 8);
        net.pump();
        assert_eq!(net.node(1).got.len(), 1, "{what:?}");
        // The answer is lost once, and arrives.
        net.answer(1, exchange, 9);
        net.close_exchange(1, exchange);
        net.pump();
        assert!(net.nodes[1].manager.session(b).is_some(), "{what:?}: the answer is on its way");
        net.on_send(|_| Fate::Arrives);
        net.run(3000);
        let answers: Vec<_> = net.node(0).got.iter().map(|got| got.opcode).collect();
        assert_eq!(answers, [9], "{what:?}");
        assert!(net.node(0).acknowledged(request) && !net.node(0).acknowledged(late));
        assert_eq!(net.node(1).closed().last(), Some(&(b, 0, reason)), "{what:?}");
        assert_eq!(net.node(0).closed().last(), Some(&(a, 0, CloseReason::Peer)), "told");
        let events = &net.nodes[1].events;
        let at = |wanted: fn(&Event<u32>) -> bool| events.iter().rposition(wanted).unwrap();
        let acknowledged = at(|e| matches!(e, Event::Acknowledged { .. }));
        assert!(acknowledged < at(|e| matches!(e, Event::Closed { .. })), "first the one");
        assert_eq!(net.node(1).manager.sessions().len(), 0);
        net.assert_clean();
    }
}

#[test]
fn a_spared_session_ends_when_its_answer_is_given_up() {
    for (what, reason) in CHANGES {
        let (mut net, mut authority) = members();
        let (a, b) = net.case(200);
        net.say(0, a, 8);
        net.pump();
        let exchange = net.node(1).got[0].exchange;
        change(&mut net, &mut authority, what, Some(b));
        net.on_send(|_| Fate::Lost);
        net.answer(1, exchange, 9);
        net.close_exchange(1, exchange);
        net.run(20_000);
        assert!(net.node(1).undelivered(exchange));
        assert_eq!(net.node(1).closed(), [(b, 0, reason)], "{what:?}");
        net.on_send(|_| Fate::Arrives);
        net.assert_clean();
    }
}

#[test]
fn a_session_without_an_exchange_or_of_another_fabric_is_not_spared() {
    for (what, reason) in CHANGES {
        let (mut net, mut authority) = members();
        let mut other = Authority::new(2, false);
        other.join(&mut net, 0, 100);
        other.join(&mut net, 1, 200);
        let (_, session) = net.case(200);
        net.dial_case(0, 1, 2, 200);
        net.run(1000);
        let foreign = net.node(1).established();
        change(&mut net, &mut authority, what, Some(session));
        net.pump();
        assert_eq!(net.node(1).closed(), [(session, 0, reason)], "nothing is left to settle");
        if what == Change::Remove {
            authority.join(&mut net, 1, 201);
        }
        change(&mut net, &mut authority, what, Some(foreign));
        net.run(1000);
        let known = net.nodes[1].manager.session(foreign).unwrap();
        assert!(!known.is_closing(), "{what:?}: the other fabric is as it was");
    }
}

#[test]
fn the_pase_session_over_which_a_fabric_was_added_can_be_spared_as_well() {
    let (mut net, mut authority) = members();
    net.open_window(1);
    net.dial_pase(0, 1, PASSCODE);
    net.run(1000);
    let (a, b) = (net.node(0).established(), net.node(1).established());
    net.node(1).manager.sessions_mut().associate_fabric(b, index(1)).unwrap();
    net.say(0, a, 8);
    net.pump();
    let exchange = net.node(1).got[0].exchange;
    change(&mut net, &mut authority, Change::Remove, Some(b));
    net.answer(1, exchange, 9);
    net.close_exchange(1, exchange);
    net.run(1000);
    assert_eq!(net.node(0).got.len(), 1);
    assert_eq!(net.node(1).closed(), [(b, 0, CloseReason::FabricRemoved)]);
}

#[test]
fn credentials_that_do_not_fit_change_nothing() {
    let (mut net, mut authority) = members();
    let mut other = Authority::new(2, false);
    let foreign = other.admit(200);
    let update = net
        .call(1, |manager, cx| manager.fabrics_mut().update(cx, index(1), &foreign.credentials()));
    assert_eq!(update, Err(FabricTableError::OtherFabric));
    let unknown = net
        .call(1, |manager, cx| manager.fabrics_mut().update(cx, index(2), &foreign.credentials()));
    assert_eq!(unknown, Err(FabricTableError::Unknown));
    let again = authority.admit(201);
    let add = net.node(1).manager.fabrics_mut().add(&again.credentials());
    assert_eq!(add, Err(FabricTableError::Exists));
    let mut mixed = again.credentials();
    let foreign = foreign.credentials();
    mixed.noc = foreign.noc;
    let add = net.node(1).manager.fabrics_mut().add(&mixed);
    assert!(matches!(add, Err(FabricTableError::Credentials(_))));
    assert_eq!(net.node(1).manager.fabrics().len(), 1);
    net.case(200);
    net.assert_clean();
}

#[test]
fn an_unknown_fabric_is_not_dialled() {
    use matter_session::manager::ConnectError;
    let (mut net, _) = members();
    let to = net.nodes[1].address;
    let before = net.node(0).facts();
    let dial = net
        .call(0, |manager, cx| manager.connect_case(cx, to, Peer::new(index(9), NodeId::new(200))));
    assert_eq!(dial, Err(ConnectError::Handshake(HandshakeError::UnknownFabric)));
    assert_eq!(net.node(0).facts(), before);
    net.on_send(|_| Fate::Arrives);
    net.assert_clean();
}

#[test]
fn a_fabric_has_one_to_three_identity_protection_keys() {
    let (mut net, mut authority) = members();
    let mut other = Authority::new(2, false);
    let (own, new) = (authority.admit(200), other.admit(200));
    let keys: [Ipk; 5] = core::array::from_fn(|n| Ipk::EpochKey(Secret::new([n as u8 + 1; 16])));
    let wrong = Err(FabricTableError::Credentials(FabricError::Ipks));
    for count in [0, 4, 5] {
        let with = FabricCredentials { ipks: &keys[..count], ..new.credentials() };
        assert_eq!(net.node(1).manager.fabrics_mut().add(&with).map(drop), wrong);
        let with = FabricCredentials { ipks: &keys[..count], ..own.credentials() };
        let update = net.call(1, |m, cx| m.fabrics_mut().update(cx, index(1), &with));
        // Without keys, an update keeps those of the fabric.
        assert_eq!(update, if count == 0 { Ok(()) } else { wrong });
        assert_eq!(net.node(1).manager.fabrics().len(), 1);
    }
    // The key of the authority may stand at any of the three places.
    for place in 0..3 {
        for count in place + 1..=3 {
            let own = authority.admit(200);
            let mut keys = keys.clone();
            keys[place] = own.credentials().ipks[0].clone();
            let with = FabricCredentials { ipks: &keys[..count], ..own.credentials() };
            net.call(1, |m, cx| m.fabrics_mut().update(cx, index(1), &with)).unwrap();
            net.node(1).keys.insert(index(1), own.key);
            net.call(0, |m, cx| m.records_mut().forget_all(cx));
            net.case(200);
        }
    }
}

/// The peer of a spared session may get its answer. Whatever it sends on other exchanges, which the
/// application has not closed, is for nobody and keeps nothing.
#[test]
fn a_spared_session_delivers_nothing_more_and_ends_however_much_its_peer_sends() {
    for (what, reason) in CHANGES {
        for closes_first in [false, true] {
            let (mut net, mut authority) = members();
            let (a, b) = net.case(200);
            net.say(0, a, 8);
            let others = [10, 12].map(|opcode| net.say(0, a, opcode));
            net.pump();
            let exchange = net.node(1).got[0].exchange;
            net.run(1000);
            if closes_first {
                net.node(1).manager.sessions_mut().close_when_settled(b);
            }
            change(&mut net, &mut authority, what, Some(b));
            net.node(1).manager.sessions_mut().close_when_settled(b);
            net.answer(1, exchange, 9);
            net.close_exchange(1, exchange);
            for _ in 0..40 {
                for other in others {
                    let kind = MessageType::new(IM, 14);
                    let _ = net.call(0, |m, cx| m.send(cx, other, kind, &[1]));
                }
                net.run(15_000);
            }
            assert_eq!(net.node(1).got.len(), 3, "{what:?}");
            assert_eq!(net.node(0).got.len(), 1, "{what:?}: the answer");
            assert_eq!(net.node(1).closed(), [(b, 0, reason)], "{what:?}");
            net.assert_clean();
        }
    }
}

/// The peer of a session that was spared is an administrator of the fabric that is gone. It must not
/// become one of the next fabric.
#[test]
fn the_index_of_a_fabric_is_not_given_again_while_a_session_of_it_lives() {
    let (mut net, _) = members();
    let (a, b) = net.case(200);
    net.say(0, a, 8);
    net.pump();
    let exchange = net.node(1).got[0].exchange;
    let mut stored = [0; Fabric::ENCODED_MAX_LEN];
    let len = net.node(1).manager.fabrics().get(index(1)).unwrap().encode(&mut stored).unwrap();
    assert!(net.call(1, |m, cx| m.fabrics_mut().sparing(b).remove(cx, index(1))));
    let join = |net: &mut Net, fabric| {
        let membership = Authority::new(fabric, false).admit(200);
        net.node(1).manager.fabrics_mut().add(&membership.credentials()).unwrap()
    };
    assert_eq!(join(&mut net, 2), index(2));
    let restored = net.node(1).manager.fabrics_mut().restore(&stored[..len]);
    assert_eq!(restored, Err(FabricTableError::Exists));
    net.close_exchange(1, exchange);
    net.run(1000);
    assert_eq!(net.node(1).manager.sessions().len(), 0);
    assert_eq!(join(&mut net, 3), index(1));
}
