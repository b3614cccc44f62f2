//! A node that restarts while its peer goes on.

use matter_session::crypto::RustCrypto;
use matter_session::fabric::Fabric;
use matter_session::manager::{Config, Dropped, SessionManager};
use matter_session::resumption::ResumptionRecord;

use crate::net::{Dice, Fate, Net, udp};

/// Restarts node 1, which keeps its fabric and its record.
fn restart(net: &mut Net) {
    let node = net.node(1);
    let record = node.manager.dangerous_records().map(ResumptionRecord::to_bytes).next().unwrap();
    let mut fabric = [0; Fabric::ENCODED_MAX_LEN];
    let len = node.manager.fabrics().iter().next().unwrap().encode(&mut fabric).unwrap();
    node.manager = SessionManager::new(Config::default(), RustCrypto, &mut Dice::new(77));
    node.manager.fabrics_mut().restore(&fabric[..len]).unwrap();
    let record = ResumptionRecord::from_bytes(record.as_bytes()).unwrap();
    assert_eq!(net.call(1, |m, cx| m.records_mut().restore(cx, record)), Ok(()));
    net.node(1).events.clear();
}

/// A responder that restarts while it is resumed gets the Sigma1 once more, and then the report
/// that answers its former Sigma2Resume. The initiator's session has the id that this one named.
#[test]
fn a_report_for_a_responder_before_its_restart_establishes_nothing_after_it() {
    let (mut net, _, _) = Net::with_case();
    net.settle();
    let since = net.sent.len();
    net.on_send(|d| {
        let report = d.from == udp(1) && d.handshake_opcode() == Some(0x40);
        if report { Fate::Late(200) } else { Fate::Arrives }
    });
    net.dial_case(0, 1, 1, 200);
    net.pump();
    assert!(net.nodes[0].try_established().is_some());
    let sigma1 = net.sent_by(0, since)[0].octets.clone();
    restart(&mut net);
    assert_eq!(net.hand(1, udp(1), &sigma1), Ok(()));
    assert_eq!(net.nodes[1].manager.handshakes().len(), 1);
    net.run(1000);
    assert_eq!(net.nodes[1].manager.sessions().len(), 0);
    assert!(net.nodes[1].dropped.contains(&Dropped::UnknownHandshake));
    // The next one is a full handshake, after which both have the same session.
    net.on_send(|_| Fate::Arrives);
    net.run(70_000);
    let (a, b) = net.case(200);
    let id = |net: &Net, n: usize, session| {
        let session = net.nodes[n].manager.session(session).unwrap();
        (session.session().local_session_id().get(), session.session().peer_session_id().get())
    };
    let (local, peer) = id(&net, 0, a);
    assert_eq!(id(&net, 1, b), (peer, local));
    assert!(net.nodes[1].manager.sessions().len() == 1);
}
