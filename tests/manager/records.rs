//! Resumption records: kept, stored, restored, forgotten.

use core::time::Duration;

use matter_session::crypto::RustCrypto;
use matter_session::fabric::Fabric;
use matter_session::ids::{FabricIndex, NodeId, Peer};
use matter_session::manager::{Config, Event, RestoreError, SessionManager};
use matter_session::resumption::ResumptionRecord;
use matter_session::session::{ResumptionId, SessionParameters};
use matter_session::time::MatterTime;

use crate::net::{Authority, Dice, Fate, Net, index, udp};

fn changes(net: &mut Net, n: usize) -> Vec<u64> {
    let events = core::mem::take(&mut net.node(n).events);
    let peer = |event: Event<u32>| match event {
        Event::RecordChanged { peer: Peer { node: peer, .. }, .. } => Some(peer.get()),
        _ => None,
    };
    events.into_iter().filter_map(peer).collect()
}

#[test]
fn records_survive_a_restart_as_bytes() {
    let (net, ..) = Net::with_case();
    let stored: Vec<Vec<u8>> = (0..2)
        .map(|n| {
            net.nodes[n].manager.dangerous_records().next().unwrap().to_bytes().as_bytes().to_vec()
        })
        .collect();
    let config = || Config::default().with_claim_wait(Duration::from_millis(200));
    let mut net = Net::members_with(vec![(udp(1), config()), (udp(2), config())]);
    for (n, stored) in stored.iter().enumerate() {
        let record = ResumptionRecord::from_bytes(stored).unwrap();
        assert_eq!(net.call(n, |m, cx| m.records_mut().restore(cx, record.clone())), Ok(()));
        assert_eq!(
            net.node(n).manager.dangerous_record(Peer::new(record.fabric, record.peer)),
            Some(&record)
        );
        // A record of a fabric that is gone is not taken in.
        let foreign = ResumptionRecord { fabric: index(7), ..record };
        let refused = net.call(n, |m, cx| m.records_mut().restore(cx, foreign));
        assert_eq!(refused, Err(RestoreError::UnknownFabric));
    }
    assert!(changes(&mut net, 0).is_empty());
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    assert!(matches!(
        net.node(1).events[0],
        Event::Established { resumed: true, handshake: None, .. }
    ));
    assert_eq!(changes(&mut net, 0), [200]);
    net.assert_clean();
}

/// What can never be restored comes before what can be later: it may be deleted at once.
#[test]
fn a_stored_record_is_refused_with_the_reason_and_changes_nothing() {
    let (mut net, ..) = Net::with_case();
    let own = net.nodes[0].manager.dangerous_records().next().unwrap().clone();
    let other = |id: u8| {
        let id = ResumptionId::new([id; 16]);
        ResumptionRecord { peer: NodeId::new(300), id, ..own.clone() }
    };
    net.node(0).epoch = Some(900_000_000);
    let end = MatterTime::from_seconds(900_000_000);
    let long_ago = MatterTime::from_seconds(900_000_000 - 30 * 24 * 3600);
    let refused = [
        (ResumptionRecord { fabric: index(7), ..own.clone() }, RestoreError::UnknownFabric),
        (ResumptionRecord { valid_until: Some(end), ..own.clone() }, RestoreError::Expired),
        (ResumptionRecord { authenticated: Some(long_ago), ..own.clone() }, RestoreError::Expired),
    ];
    for (record, error) in refused {
        assert_eq!(net.call(0, |m, cx| m.records_mut().restore(cx, record)), Err(error));
        assert!(!error.is_temporary());
        assert_eq!(net.node(0).manager.dangerous_records().collect::<Vec<_>>(), [&own]);
    }
    assert!(!RestoreError::TooMany.is_temporary());
    // In place of the peer's own, with its id or another.
    assert_eq!(net.call(0, |m, cx| m.records_mut().restore(cx, own.clone())), Ok(()));
    assert_eq!(net.call(0, |m, cx| m.records_mut().restore(cx, other(1))), Ok(()));
    assert_eq!(net.call(0, |m, cx| m.records_mut().restore(cx, other(2))), Ok(()));
    assert!(
        net.node(0)
            .manager
            .dangerous_records()
            .all(|record| record.id != ResumptionId::new([1; 16]))
    );
    assert_eq!(net.node(0).manager.records().len(), 2);
}

#[test]
fn expired_records_vanish_and_tell() {
    let config = Config::default().with_records(8, Duration::from_secs(3600));
    let mut net = Net::members_with(vec![(udp(1), config.clone()), (udp(2), config)]);
    net.case(200);
    net.run(3_590_000);
    assert_eq!(net.node(0).manager.records().len(), 1);
    net.run(20_000);
    for (n, peer) in [(0, 200), (1, 100)] {
        assert_eq!(net.node(n).manager.records().len(), 0);
        assert_eq!(changes(&mut net, n), [peer]);
        assert_eq!(net.node(n).manager.poll_timeout(), None);
    }
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    assert!(matches!(net.node(0).events[0], Event::Established { resumed: false, .. }));
    net.assert_clean();
}

/// Four members of a fabric, each with room for two records.
fn four_with_two_records() -> Net {
    let config = Config::default().with_records(2, Duration::from_secs(3600));
    let nodes = (1..=4).map(|port| (udp(port), config.clone())).collect();
    let mut net = Net::with(nodes);
    let mut authority = Authority::new(1, false);
    for n in 0..4 {
        authority.join(&mut net, n, 100 * (n as u64 + 1));
    }
    net
}

#[test]
fn the_oldest_record_makes_room() {
    let mut net = four_with_two_records();
    for n in 1..4 {
        net.dial_case(0, n, 1, 100 * (n as u64 + 1));
        net.run(1000);
    }
    assert_eq!(changes(&mut net, 0), [200, 300, 200, 400]);
    let kept: Vec<_> =
        net.node(0).manager.dangerous_records().map(|record| record.peer.get()).collect();
    assert_eq!(kept, [300, 400]);
    // A full table takes no stored records in, except in place of their own.
    let mut record = net.node(0).manager.dangerous_records().next().unwrap().clone();
    assert_eq!(net.call(0, |m, cx| m.records_mut().restore(cx, record.clone())), Ok(()));
    record.peer = NodeId::new(200);
    let refused = net.call(0, |m, cx| m.records_mut().restore(cx, record));
    assert_eq!(refused, Err(RestoreError::TooMany));
    net.assert_clean();
}

#[test]
fn a_record_that_was_offered_lately_outlasts_one_that_was_saved_later() {
    let mut net = four_with_two_records();
    for n in 1..3 {
        net.dial_case(0, n, 1, 100 * (n as u64 + 1));
        net.run(1000);
    }
    // The first is out of reach at the moment, but is wanted.
    net.on_send(|d| if d.to == udp(2) { Fate::Lost } else { Fate::Arrives });
    net.dial_case(0, 1, 1, 200);
    net.settle();
    assert_eq!(net.node(0).failures().len(), 1);
    net.dial_case(0, 3, 1, 400);
    net.run(1000);
    let kept: Vec<_> =
        net.node(0).manager.dangerous_records().map(|record| record.peer.get()).collect();
    assert_eq!(kept, [200, 400]);
    net.assert_clean();
}

#[test]
fn forgotten_records_are_told_of() {
    let (mut net, ..) = Net::with_case();
    let peer = NodeId::new(200);
    net.call(0, |m, cx| m.records_mut().forget(cx, Peer::new(index(1), peer)));
    net.call(0, |m, cx| m.records_mut().forget(cx, Peer::new(index(1), peer)));
    net.pump();
    assert_eq!(changes(&mut net, 0), [200]);
    assert!(net.node(0).manager.dangerous_record(Peer::new(index(1), peer)).is_none());
    net.call(1, |m, cx| m.records_mut().forget_all(cx));
    net.pump();
    assert_eq!(changes(&mut net, 1), [100]);
    net.assert_clean();
}

const LIFETIME: Duration = Duration::from_secs(3600);

/// Restarts node 0 with its fabric and with what it has exported.
fn restart(net: &mut Net, config: &Config, stored: &[u8]) {
    let node = net.node(0);
    let mut fabric = [0; Fabric::ENCODED_MAX_LEN];
    let len = node.manager.fabrics().iter().next().unwrap().encode(&mut fabric).unwrap();
    node.manager = SessionManager::new(config.clone(), RustCrypto, &mut Dice::new(77));
    node.manager.fabrics_mut().restore(&fabric[..len]).unwrap();
    node.events.clear();
    let record = ResumptionRecord::from_bytes(stored).unwrap();
    assert_eq!(net.call(0, |m, cx| m.records_mut().restore(cx, record)), Ok(()));
}

fn export(net: &mut Net) -> Vec<u8> {
    let bytes = net.node(0).manager.records_mut().export(SERVED).unwrap();
    bytes.as_bytes().to_vec()
}

const SERVED: Peer = Peer::new(FabricIndex::MIN, NodeId::new(200));

#[test]
fn a_restart_renews_no_record_where_the_calendar_time_is_known() {
    let config = Config::default().with_records(8, LIFETIME);
    let mut net = Net::members_with(vec![(udp(1), config.clone()), (udp(2), config.clone())]);
    net.node(0).epoch = Some(900_000_000);
    net.case(200);
    let before = net.node(0).manager.records().get(SERVED).unwrap();
    let stored = export(&mut net);
    for _ in 0..3 {
        net.run(1_000_000);
        restart(&mut net, &config, &stored);
        assert_eq!(net.node(0).manager.records().get(SERVED), Some(before));
    }
    net.run(599_000 - 1000);
    assert_eq!(net.node(0).manager.records().len(), 1);
    net.run(1000);
    assert_eq!(net.node(0).manager.records().len(), 0);
}

/// A node without a clock resumes again and again, and restarts a second after each session. Its
/// record knows how old it was when the session was made; that second does not count.
#[test]
fn a_restart_renews_no_record_where_nobody_knows_the_time() {
    let config = Config::default().with_records(8, LIFETIME);
    let mut net = Net::members_with(vec![(udp(1), config.clone()), (udp(2), config.clone())]);
    net.case(200);
    let mut aged = net.nodes[0].manager.dangerous_records().next().unwrap().clone();
    let began = net.now - 1000;
    for uncounted in [1000, 2000, 3000] {
        net.run(1_000_000);
        let (session, _) = net.case(200);
        assert!(net.node(0).manager.session(session).unwrap().resumed_at().is_some());
        let stored = export(&mut net);
        restart(&mut net, &config, &stored);
        let expires = net.node(0).manager.records().get(SERVED).unwrap().expires.as_millis();
        let left = began + 3_600_000 - net.now;
        assert!((left..=left + uncounted).contains(&(expires - net.now)), "{left} ms are left");
    }
    net.run(began + 3_603_000 - net.now);
    assert_eq!(net.node(0).manager.records().len(), 0);
    // It is too old whoever restores it, whenever.
    aged.age_seconds = 3600;
    let refused = net.call(0, |m, cx| m.records_mut().restore(cx, aged));
    assert_eq!(refused, Err(RestoreError::Expired));
}

/// What the version before has stored: no times, no parameters.
#[test]
fn a_record_of_format_version_2_serves_a_node_that_begins_handshakes() {
    let config = Config::default().with_records(8, LIFETIME);
    let mut net = Net::members_with(vec![(udp(1), config.clone()), (udp(2), config.clone())]);
    net.case(200);
    let mut stored = export(&mut net)[..78].to_vec();
    stored[0] = 2;
    restart(&mut net, &config, &stored);
    let facts = net.node(0).manager.records().get(SERVED).unwrap();
    assert_eq!((facts.authenticated, facts.valid_until, facts.expires_at), (None, None, None));
    assert_eq!(facts.parameters, SessionParameters::default());
    assert_eq!(facts.expires.as_millis(), net.now + 3_600_000);
    let (session, _) = net.case(200);
    assert!(net.node(0).manager.session(session).unwrap().resumed_at().is_some());
    assert_eq!(export(&mut net)[0], 3);
}
