//! Fabrics that come, change and go.

use matter_session::crypto::Secret;
use matter_session::fabric::{FabricCredentials, FabricError, Ipk};
use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::{NodeId, Peer};
use matter_session::manager::{CloseReason, FabricTableError};

use crate::net::{Authority, Fate, Net, PASSCODE, index};

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

#[test]
fn updated_credentials_serve_the_next_handshake_and_sessions_stay() {
    let (mut net, mut authority) = members();
    let (a, _) = net.case(200);
    let member = authority.admit(200);
    net.call(1, |manager, cx| manager.fabrics_mut().update(cx, index(1), &member.credentials()))
        .unwrap();
    net.node(1).keys.insert(index(1), member.key);
    let exchange = net.say(0, a, 2);
    net.run(1000);
    assert!(net.node(0).acknowledged(exchange));
    assert_eq!(net.node(1).manager.records().len(), 0);
    net.case(200);
    assert_eq!(net.node(1).manager.sessions().len(), 2);
    net.assert_clean();
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
        assert_eq!(update, wrong);
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
