//! What cannot be reached from outside in reasonable time: used-up ids and counters.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use rand_core::CryptoRng;

use super::table::SessionTable;
use crate::context::Services;
use crate::crypto::RustCrypto;
use crate::ids::{CaseAuthTags, FabricIndex, LocalSessionId, MessageType, NodeId, PeerSessionId};
use crate::manager::handle::{PeerAddress, SessionHandle};
use crate::manager::{CloseReason, Config, ConnectError, Event, Heap, SendError, SessionManager};
use crate::session::hazmat::{self, Counters};
use crate::session::{Identity, SecureSession, SessionParameters, SessionRole, SessionSetup};
use crate::time::Instant;

type Manager = SessionManager<RustCrypto, Heap, u32>;

fn rng() -> impl CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

fn fabric(index: u8) -> FabricIndex {
    FabricIndex::new(index).unwrap()
}

fn address() -> PeerAddress {
    PeerAddress::Udp(([127, 0, 0, 1], 5540).into())
}

/// A session with known keys; `role` tells the two ends apart.
fn session(
    role: SessionRole,
    local: u16,
    identity: Identity,
    counter: u32,
) -> SecureSession<RustCrypto> {
    let setup = SessionSetup {
        role,
        local_session_id: LocalSessionId::new(local).unwrap(),
        peer_session_id: PeerSessionId::new(local).unwrap(),
        identity,
        peer_parameters: SessionParameters::default(),
        resumption_id: None,
    };
    let keys = hazmat::session_keys(&[7; 48]);
    let counter = Counters::starting_at(counter);
    hazmat::secure_session(&RustCrypto, &keys, setup, counter, Instant::ZERO)
}

/// Adds a session as the end of a handshake does.
fn add(manager: &mut Manager, session: SecureSession<RustCrypto>) -> Option<SessionHandle> {
    let Manager { sessions, delivery, node, .. } = manager;
    sessions.add(session, address(), Instant::ZERO, delivery, node)
}

fn case(fabric_index: u8, peer: u64) -> Identity {
    Identity::case(fabric(fabric_index), NodeId::new(1), NodeId::new(peer), CaseAuthTags::NONE)
}

fn manager(config: Config) -> Manager {
    Manager::new(config, RustCrypto, &mut rng())
}

#[test]
fn session_ids_go_round_and_run_out() {
    let mut table = SessionTable::<RustCrypto, Heap, ()>::EMPTY;
    table.start(8, 1..=65_535, 65_533, &mut rng());
    let mut next = || table.free_id(|_| false).map(LocalSessionId::get);
    assert_eq!([next(), next(), next(), next()], [65_534, 65_535, 1, 2].map(Some), "never 0");
    assert_eq!(table.free_id(|_| true), None);
    let only = LocalSessionId::new(1000).unwrap();
    assert_eq!(table.free_id(|id| id != only), Some(only));
    // No id comes back before all others had their turn.
    let mut given = BTreeSet::new();
    while table.free_id(|_| false).is_some_and(|id| given.insert(id)) {}
    assert_eq!(given.len(), 65_535);
}

#[test]
fn session_ids_stay_in_their_range() {
    let mut table = SessionTable::<RustCrypto, Heap, ()>::EMPTY;
    for last in [0, 98, 102, 65_535] {
        table.start(8, 100..=102, last, &mut rng());
        let mut next = || table.free_id(|_| false).map_or(0, LocalSessionId::get);
        let mut given = [next(), next(), next()];
        given.sort_unstable();
        assert_eq!(given, [100, 101, 102]);
        assert_eq!(table.free_id(|_| true), None);
    }
}

#[test]
fn without_a_free_session_id_nothing_is_begun_and_the_caller_is_told_why() {
    let mut manager = manager(Config::default().with_sessions(usize::MAX).with_exchanges(8));
    for id in 1..=u16::MAX {
        let new = session(SessionRole::Initiator, id, Identity::pase(), 1);
        assert!(add(&mut manager, new).is_some());
    }
    assert_eq!(manager.sessions().len(), 65_535);
    let passcode = crate::crypto::Passcode::new(20_202_021).unwrap();
    let mut rng = rng();
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(Instant::ZERO);
    let refused = manager.connect_pase(&mut cx, address(), passcode.clone());
    assert_eq!(refused, Err(ConnectError::NoSessionId));
    let any = manager.sessions().iter().next().unwrap().handle();
    manager.close_session(&mut cx, any);
    assert!(manager.connect_pase(&mut cx, address(), passcode).is_ok());
}

#[test]
fn a_used_up_counter_is_told_and_leaves_nothing_behind() {
    let mut manager = manager(Config::default());
    // All but the last 64 are for the application.
    let new = session(SessionRole::Responder, 9, case(1, 5), u32::MAX - 66);
    let handle = add(&mut manager, new).unwrap();
    let mut rng = rng();
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(Instant::ZERO);
    let exchange = manager.open_exchange(&mut cx, handle).unwrap();
    let mut buf = [0; 128];
    let mut sent = 0;
    let kind = MessageType::READ_REQUEST;
    let exhausted = loop {
        match manager.send_unreliable(&mut cx, exchange, kind, b"x", &mut buf) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((exhausted, sent), (SendError::CounterExhausted, 2));
    assert!(
        matches!(manager.poll_event(), Some(Event::CounterLow { session }) if session == handle)
    );
    let closed = manager.poll_event();
    let reason = CloseReason::CounterExhausted;
    assert!(matches!(closed, Some(Event::Closed { reason: why, .. }) if why == reason));
    assert!(manager.poll_event().is_none(), "warned once");
    assert_eq!(manager.send(&mut cx, exchange, kind, b"x"), Err(SendError::Closed));
    assert!(manager.poll_transmit(cx.now).is_some(), "the peer is told");
    assert!(manager.poll_transmit(cx.now).is_none());
    assert_eq!(manager.poll_timeout(), None);
}

#[test]
fn eviction_spares_the_small_fabric_and_the_only_session_of_the_newcomers_peer() {
    let mut manager = manager(Config::default().with_sessions(5).with_exchanges(8));
    // Fabric 1: peers 10, 11; fabric 2: peers 20, 21, 22. The later, the less idle.
    let plan = [(1, 10), (1, 11), (2, 20), (2, 21), (2, 22)];
    for (n, (fabric, peer)) in plan.into_iter().enumerate() {
        let id = u16::try_from(n).unwrap() + 1;
        let mut new = session(SessionRole::Initiator, id, case(fabric, peer), 1);
        new.notify_activity(Instant::from_millis(id.into()));
        add(&mut manager, new).unwrap();
    }
    let victim = |manager: &Manager, newcomer: Identity| {
        manager.sessions.table.victim_for(&newcomer, 16).unwrap().local.get()
    };
    assert_eq!(victim(&manager, case(1, 12)), 3, "from the fabric that has most");
    assert_eq!(victim(&manager, case(2, 20)), 3, "its only session is treated like the others");
    let pase = manager.sessions.table.victim_for(&Identity::pase(), 16);
    assert_eq!(pase, None, "a place is kept for it");
    let defunct = LocalSessionId::new(5).unwrap();
    manager.sessions.table.unanswered(defunct);
    assert_eq!(victim(&manager, case(1, 12)), 5, "a defunct one first");
    assert_eq!(victim(&manager, case(2, 22)), 5);
    // A second session with peer 21 makes that peer the one with most.
    manager.sessions.table.received_from(defunct, None);
    let mut new = session(SessionRole::Initiator, 6, case(2, 21), 1);
    new.notify_activity(Instant::from_millis(6));
    let handle = add(&mut manager, new).unwrap();
    assert_eq!(handle.local.get(), 6);
    assert!(manager.sessions.table.by_local(LocalSessionId::new(3).unwrap()).is_none());
    assert_eq!(victim(&manager, case(2, 22)), 4, "peer 21 has two, this one idle longest");
}

#[test]
fn pase_sessions_make_room_for_each_other() {
    let mut manager = manager(Config::default().with_sessions(2).with_exchanges(8));
    for id in 1..=5 {
        let mut new = session(SessionRole::Initiator, id, Identity::pase(), 1);
        new.notify_activity(Instant::from_millis(id.into()));
        add(&mut manager, new).unwrap();
    }
    let left: Vec<u16> = manager.sessions().iter().map(|s| s.handle().local.get()).collect();
    assert_eq!(left, [3, 4, 5]);
    // A CASE session finds room even then.
    let new = session(SessionRole::Initiator, 9, case(1, 5), 1);
    assert!(add(&mut manager, new).is_some());
    assert_eq!(manager.sessions().len(), 3);
}
