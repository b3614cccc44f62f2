//! What a controller orders from the store.

use core::net::Ipv4Addr;
use std::sync::mpsc::Receiver;

use matter_session::crypto::Secret;
use matter_session::ids::{CaseAuthTags, FabricId};
use matter_session::session::SessionParameters;

use super::*;
use crate::RowKey;
use crate::authority::Authority;

const DEVICE: NodeId = NodeId::new(0xD1);

/// A controller of one device, and the orders that it leaves.
fn controller() -> (Controller, Receiver<Order>) {
    let mut rng = system_rng();
    let mut authority = Authority::found(FabricId::new(1).unwrap(), &mut rng).unwrap();
    let mut manager = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
    let (_, key) =
        authority.admit(&mut manager, NodeId::new(0xC0), CaseAuthTags::NONE, &mut rng).unwrap();
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let rows = RowKey::new(Secret::new([7; 32]));
    let identity = Identity::of(&manager, &key, rows.clone()).unwrap();
    let store = store::Settings {
        address: nowhere,
        timeout: Duration::from_secs(1),
        lease: Duration::from_secs(1),
        process: 0,
        key: rows,
    };
    let devices = vec![(DEVICE, nowhere)];
    let settings = Settings { store, devices, interval: Duration::from_secs(1), handshakes: 1 };
    let mut controller = Controller::start(&identity, settings).unwrap();
    let (store, orders) = Store::unattended();
    controller.store = store;
    (controller, orders)
}

fn record(controller: &Controller, id: u8) -> ResumptionRecord {
    let fabric = controller.node.manager.fabrics().iter().next().unwrap();
    ResumptionRecord {
        id: ResumptionId::new([id; 16]),
        fabric: fabric.index(),
        compressed_fabric: fabric.compressed_id(),
        peer: DEVICE,
        cats: CaseAuthTags::NONE,
        shared_secret: Secret::new([id; 32]),
        valid_until: None,
        authenticated: None,
        parameters: SessionParameters::default(),
        age_seconds: 0,
    }
}

/// The ids of the records that it saves.
fn saved(orders: &Receiver<Order>) -> Vec<ResumptionId> {
    let orders = orders.try_iter();
    orders
        .filter_map(|order| if let Order::Save { id, .. } = order { Some(id) } else { None })
        .collect()
}

/// An answer of the store can come between a record that was made here and its event: the event
/// then finds the former record, which another process may have claimed and replaced meanwhile.
#[test]
fn a_record_that_came_from_the_store_is_not_written_back() {
    let (mut controller, orders) = controller();
    let former = record(&controller, 1);
    let (peer, now) = (Peer::new(former.fabric, DEVICE), controller.uptime.now());
    controller.devices.get_mut(&DEVICE).unwrap().state = State::Loading(now + RECORD_WAIT);
    controller.take(Answer::Loaded(peer, Some(Box::new(former.clone()))));
    assert_eq!(controller.node.manager.records().get(peer).unwrap().id, former.id);
    controller.save(peer, now);
    assert_eq!(saved(&orders), []);
}

#[test]
fn a_record_is_saved_once() {
    let (mut controller, orders) = controller();
    let now = controller.uptime.now();
    for id in 1..=3 {
        let own = record(&controller, id);
        let (peer, id) = (Peer::new(own.fabric, DEVICE), own.id);
        // As if a session had made it.
        controller.node.with(|manager, cx| manager.records_mut().restore(cx, own).unwrap());
        controller.save(peer, now);
        controller.save(peer, now);
        assert_eq!(saved(&orders), [id]);
    }
}
