//! Records against a plain list.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::crypto::Secret;
use crate::fabric::CompressedFabricId;
use crate::ids::CaseAuthTags;
use crate::manager::sizes;
use crate::manager::storage::{Fixed, Heap};

const LIFETIME: Duration = Duration::from_millis(40);
const PLACES: usize = 5;

fn record(Peer { fabric, node: peer }: Peer, id: u8) -> ResumptionRecord {
    let (id, cats) = (ResumptionId::new([id; 16]), CaseAuthTags::NONE);
    let compressed_fabric = CompressedFabricId::from_bytes([0; 8]);
    let shared_secret = Secret::new([1; 32]);
    ResumptionRecord { id, fabric, compressed_fabric, peer, cats, shared_secret }
}

/// What can be done with records, and when.
#[derive(Clone, Debug)]
enum Step {
    Save(Peer, u8),
    Offer(Peer),
    Forget(Peer),
    Leave(FabricIndex),
    Expire,
}

fn step() -> impl Strategy<Value = (Step, u64)> {
    let fabric = || (1..4_u8).prop_map(|index| FabricIndex::new(index).unwrap());
    let peer = || (fabric(), 1..5_u64).prop_map(|(fabric, n)| Peer::new(fabric, NodeId::new(n)));
    let step = prop_oneof![
        4 => (peer(), 0..12_u8).prop_map(|(peer, id)| Step::Save(peer, id)),
        3 => peer().prop_map(Step::Offer),
        1 => peer().prop_map(Step::Forget),
        1 => fabric().prop_map(Step::Leave),
        1 => Just(Step::Expire),
    ];
    (step, 0..8_u64)
}

/// Who is in it, with id, time of saving and time of last use.
type Model = Vec<(Peer, u8, Instant, Instant)>;

fn act(model: &mut Model, step: &Step, now: Instant) -> Option<Peer> {
    match step {
        Step::Save(peer, id) => {
            model.retain(|(other, ..)| other != peer);
            if model.iter().any(|(_, other, ..)| other == id) {
                return None;
            }
            let first = model.iter().map(|(peer, _, _, used)| (*used, *peer)).min();
            let evicted = first.filter(|_| model.len() == PLACES).map(|(_, peer)| peer);
            model.retain(|(other, ..)| Some(*other) != evicted);
            model.push((*peer, *id, now, now));
            return evicted;
        }
        Step::Offer(peer) => {
            let entry = model.iter_mut().find(|(other, ..)| other == peer);
            entry.into_iter().for_each(|(_, _, _, used)| *used = now);
        }
        Step::Forget(peer) => model.retain(|(other, ..)| other != peer),
        Step::Leave(fabric) => model.retain(|(other, ..)| other.fabric != *fabric),
        Step::Expire => model.retain(|(_, _, saved, _)| now < *saved + LIFETIME),
    }
    None
}

fn agrees<S: Storage>(steps: &[(Step, u64)]) {
    let mut records = Records::<S>::EMPTY;
    records.limit(PLACES);
    let (mut model, mut now) = (Model::new(), Instant::ZERO);
    for (step, wait) in steps {
        now = now + Duration::from_millis(*wait);
        let evicted = act(&mut model, step, now);
        match step {
            Step::Save(peer, id) => {
                assert_eq!(records.save(&record(*peer, *id), now), evicted);
            }
            Step::Offer(peer) => {
                let fresh = |(other, _, saved, _): &&(Peer, _, Instant, _)| {
                    other == peer && now < *saved + LIFETIME
                };
                let found = records.at(now, LIFETIME).by_peer(*peer);
                assert_eq!(found.is_some(), model.iter().any(|entry| fresh(&entry)));
            }
            Step::Forget(peer) => {
                records.forget(*peer);
            }
            Step::Leave(fabric) => records.at(now, LIFETIME).remove_fabric(*fabric),
            Step::Expire => {
                while let Some(peer) = records.expired(now, LIFETIME) {
                    records.forget(peer);
                }
            }
        }
        assert_eq!(records.len(), model.len());
        for (peer, id, ..) in &model {
            assert_eq!(records.by_peer(*peer), Some(&record(*peer, *id)));
            assert_eq!(records.peer_of(&ResumptionId::new([*id; 16])), Some(*peer));
        }
        let expiry = model.iter().map(|(_, _, saved, _)| *saved + LIFETIME).min();
        assert_eq!(records.expiry(LIFETIME), expiry);
    }
}

proptest! {
    #[test]
    fn tables_of_records_agree_with_a_list(steps in proptest::collection::vec(step(), 0..80)) {
        agrees::<
            Fixed<
                sizes::Sessions<1>,
                sizes::Exchanges<1>,
                sizes::Handshakes<1>,
                sizes::Fabrics<1>,
                sizes::Records<PLACES>,
                sizes::MessageBytes<1243>,
            >,
        >(&steps);
        agrees::<Heap>(&steps);
    }
}

#[test]
fn a_record_id_that_is_taken_costs_nobody_a_record() {
    let mut records = Records::<Heap>::EMPTY;
    records.limit(4);
    let record = |peer| ResumptionRecord {
        id: ResumptionId::new([7; 16]),
        fabric: FabricIndex::new(1).unwrap(),
        compressed_fabric: CompressedFabricId::from_bytes([0; 8]),
        peer: NodeId::new(peer),
        cats: CaseAuthTags::NONE,
        shared_secret: Secret::new([peer.to_le_bytes()[0]; 32]),
    };
    assert_eq!(records.save(&record(1), Instant::ZERO), None);
    assert_eq!(records.save(&record(2), Instant::ZERO), None);
    let holder = ResumptionStore::by_id(
        &mut records.at(Instant::ZERO, Duration::from_secs(1)),
        &ResumptionId::new([7; 16]),
    );
    assert_eq!(holder, Some(record(1)));
    assert_eq!(records.len(), 1);
}
