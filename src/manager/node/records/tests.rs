//! Records against a plain list.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::crypto::Secret;
use crate::fabric::CompressedFabricId;
use crate::ids::CaseAuthTags;
use crate::manager::sizes;
use crate::manager::storage::{Fixed, Heap};
use crate::session::SessionParameters;

const LIFETIME: Duration = Duration::from_millis(40);
const PLACES: usize = 5;

fn record(Peer { fabric, node: peer }: Peer, id: u8, secret: u8) -> ResumptionRecord {
    ResumptionRecord {
        id: ResumptionId::new([id; 16]),
        fabric,
        compressed_fabric: CompressedFabricId::from_bytes([0; 8]),
        peer,
        cats: CaseAuthTags::NONE,
        shared_secret: Secret::new([secret; 32]),
        valid_until: None,
        authenticated: None,
        age_seconds: 0,
        parameters: SessionParameters::default(),
    }
}

/// What can be done with records, and when.
#[derive(Clone, Debug)]
enum Step {
    /// A full handshake, or a resumption that continues this secret.
    Save(Peer, u8, u8, bool),
    Restore(Peer, u8, u8),
    Export(Peer),
    Claim(Peer, u8),
    Consume(Peer, u8),
    Offer(Peer),
    Forget(Peer),
    Leave(FabricIndex),
    Expire,
}

fn step() -> impl Strategy<Value = (Step, u64)> {
    let fabric = || (1..4_u8).prop_map(|index| FabricIndex::new(index).unwrap());
    let peer = || (fabric(), 1..5_u64).prop_map(|(fabric, n)| Peer::new(fabric, NodeId::new(n)));
    // Few ids, so that peers share some.
    let id = || 0..4_u8;
    let step = prop_oneof![
        4 => (peer(), id(), 0..3_u8, any::<bool>())
            .prop_map(|(peer, id, secret, resumed)| Step::Save(peer, id, secret, resumed)),
        1 => (peer(), id(), 0..3_u8).prop_map(|(peer, id, secret)| Step::Restore(peer, id, secret)),
        2 => peer().prop_map(Step::Export),
        3 => (peer(), id()).prop_map(|(peer, id)| Step::Claim(peer, id)),
        1 => (peer(), id()).prop_map(|(peer, id)| Step::Consume(peer, id)),
        3 => peer().prop_map(Step::Offer),
        1 => peer().prop_map(Step::Forget),
        1 => fabric().prop_map(Step::Leave),
        1 => Just(Step::Expire),
    ];
    (step, 0..8_u64)
}

/// A record of the model.
#[derive(Clone, Debug)]
struct Known {
    peer: Peer,
    id: u8,
    secret: u8,
    expires: Instant,
    used: Instant,
    custody: Custody,
    /// In seconds, rounded up: the lifetime is less than one.
    age: u32,
}

impl Known {
    fn record(&self) -> ResumptionRecord {
        let Self { peer, id, secret, age, .. } = *self;
        ResumptionRecord { age_seconds: age, ..record(peer, id, secret) }
    }
}

#[derive(Default)]
struct Model(Vec<Known>);

impl Model {
    fn find(&mut self, peer: Peer) -> Option<&mut Known> {
        self.0.iter_mut().find(|known| known.peer == peer)
    }

    /// Puts a record in place of the peer's former one; evicts one of the largest fabric.
    fn put(&mut self, mut new: Known) -> Option<Peer> {
        // One with the same id only moves down the list.
        let known = self.find(new.peer).filter(|known| known.id == new.id);
        new.custody = known.map_or(new.custody, |known| known.custody.max(new.custody));
        self.0.retain(|known| known.peer != new.peer);
        let mut evicted = None;
        if self.0.len() == PLACES {
            let count = |fabric| self.0.iter().filter(|known| known.peer.fabric == fabric).count();
            let largest = self.0.iter().map(|known| known.peer.fabric);
            let largest = largest.max_by_key(|of| (count(*of), *of == new.peer.fabric, *of));
            let of_largest = self.0.iter().filter(|known| Some(known.peer.fabric) == largest);
            evicted = of_largest.map(|known| (known.used, known.peer)).min().map(|(_, peer)| peer);
            self.0.retain(|known| Some(known.peer) != evicted);
        }
        self.0.push(new);
        evicted
    }

    fn save(&mut self, peer: Peer, id: u8, secret: u8, resumed: bool, now: Instant) -> Saved {
        let expires = match self.find(peer) {
            _ if !resumed => now + LIFETIME,
            Some(former) if former.secret == secret => former.expires,
            _ => return Saved::default(),
        };
        let custody = Custody::Fresh;
        let age = (expires < now + LIFETIME).into();
        let evicted = self.put(Known { peer, id, secret, expires, used: now, custody, age });
        Saved { saved: true, evicted }
    }

    fn restore(&mut self, peer: Peer, id: u8, secret: u8, now: Instant) {
        let custody = Custody::Stored;
        let expires = now + LIFETIME;
        self.put(Known { peer, id, secret, expires, used: now, custody, age: 0 });
    }

    fn claim(&mut self, peer: Peer, id: u8, asks: bool, now: Instant) -> Claim {
        let Some(known) = self.find(peer).filter(|known| known.id == id) else {
            return Claim::Refused;
        };
        if let Custody::Claimed(until) = known.custody {
            return if now < until { Claim::Granted } else { Claim::Refused };
        }
        let is_elsewhere = known.custody != Custody::Fresh;
        let (custody, claim) = match (is_elsewhere, asks) {
            (false, _) => (Custody::Claimed(now + Duration::from_secs(60)), Claim::Granted),
            (true, true) => (Custody::Asked, Claim::Pending),
            (true, false) => (known.custody, Claim::Refused),
        };
        known.custody = custody;
        claim
    }
}

fn agrees<S: Storage>(steps: &[(Step, u64)], asks: bool) {
    let mut records = Records::<S>::EMPTY;
    records.limit(PLACES);
    let (mut model, mut now) = (Model::default(), Instant::ZERO);
    for (step, wait) in steps {
        now = now + Duration::from_millis(*wait);
        match *step {
            Step::Save(peer, id, secret, resumed) => {
                let saved = records.save(&record(peer, id, secret), resumed, now, LIFETIME);
                assert_eq!(saved, model.save(peer, id, secret, resumed, now));
            }
            Step::Restore(peer, id, secret) => {
                let record = record(peer, id, secret);
                // A full table is checked before.
                if records.check_room(&record).is_ok() {
                    records.restore(&record, Duration::ZERO, now, LIFETIME);
                    model.restore(peer, id, secret, now);
                }
            }
            Step::Export(peer) => {
                let known = model.find(peer).filter(|known| known.custody <= Custody::Stored);
                let expected = known.map(|known| {
                    known.custody = Custody::Stored;
                    known.record().to_bytes()
                });
                assert_eq!(records.export(peer), expected);
            }
            Step::Claim(peer, id) => {
                let claim = records.at(now, asks).claim(peer, &ResumptionId::new([id; 16]));
                assert_eq!(claim, model.claim(peer, id, asks, now));
            }
            Step::Consume(peer, id) => {
                let asked = |known: &&mut Known| known.id == id && known.custody >= Custody::Asked;
                let known = model.find(peer).filter(asked);
                let consumed = records.consume(peer, &ResumptionId::new([id; 16]), now);
                assert_eq!(consumed, known.is_some());
                let custody = Custody::Claimed(now + Duration::from_secs(60));
                known.into_iter().for_each(|known| known.custody = custody);
            }
            Step::Offer(peer) => {
                let known = model.find(peer);
                let expected = known.as_ref().is_some_and(|known| now < known.expires);
                known.into_iter().for_each(|known| known.used = now);
                assert_eq!(records.at(now, asks).by_peer(peer).is_some(), expected);
            }
            Step::Forget(peer) => {
                if asks {
                    assert_eq!(records.forget(peer), model.find(peer).is_some());
                } else {
                    records.at(now, asks).remove(peer);
                }
                model.0.retain(|known| known.peer != peer);
            }
            Step::Leave(fabric) => {
                records.at(now, asks).remove_fabric(fabric);
                model.0.retain(|known| known.peer.fabric != fabric);
            }
            Step::Expire => {
                while let Some(peer) = records.expired(now) {
                    records.forget(peer);
                }
                model.0.retain(|known| now < known.expires);
            }
        }
        agrees_now(&mut records, &model, now);
    }
}

fn agrees_now<S: Storage>(records: &mut Records<S>, Model(model): &Model, now: Instant) {
    assert_eq!(records.len(), model.len());
    for known in model {
        assert_eq!(records.by_peer(known.peer), Some(&known.record()));
        assert_eq!(records.by_peer.get(&known.peer).unwrap().custody, known.custody);
    }
    let expiry = model.iter().map(|known| known.expires).min();
    assert_eq!(records.expiry(), expiry);
    for fabric in (1..4).filter_map(FabricIndex::new) {
        for id in 0..4_u8 {
            let with_id = |k: &&Known| k.peer.fabric == fabric && k.id == id;
            let mut peers: Vec<_> = model.iter().filter(with_id).map(|known| known.peer).collect();
            peers.sort_unstable();
            let found = |n| records.peer_of(fabric, &ResumptionId::new([id; 16]), n);
            assert_eq!((0..).map_while(found).collect::<Vec<_>>(), peers, "{now:?}");
        }
    }
}

proptest! {
    #[test]
    fn tables_of_records_agree_with_a_list(
        steps in proptest::collection::vec(step(), 0..80),
        asks: bool,
    ) {
        agrees::<
            Fixed<
                sizes::Sessions<1>,
                sizes::Exchanges<1>,
                sizes::Handshakes<1>,
                sizes::Fabrics<1>,
                sizes::Records<PLACES>,
                sizes::MessageBytes<1265>,
            >,
        >(&steps, asks);
        agrees::<Heap>(&steps, asks);
    }

    /// From the export of a record on, its id is granted to no responder without the answer of the
    /// application; from the grant on, it is not exported.
    #[test]
    fn no_record_is_both_granted_and_given_out(
        steps in proptest::collection::vec(0..5_u8, 0..20),
    ) {
        let peer = Peer::new(FabricIndex::MIN, NodeId::new(1));
        let mut records = Records::<Heap>::EMPTY;
        records.limit(PLACES);
        let (now, id) = (Instant::ZERO, ResumptionId::new([1; 16]));
        records.save(&record(peer, 1, 1), false, now, LIFETIME);
        let (mut stored, mut granted) = (false, false);
        for step in steps {
            match step {
                0 if records.export(peer).is_some() => stored = true,
                1 => granted |= records.at(now, true).claim(peer, &id) == Claim::Granted,
                2 => granted |= records.at(now, false).claim(peer, &id) == Claim::Granted,
                // The application deletes what it was asked to delete.
                3 if records.by_peer.get(&peer).unwrap().custody == Custody::Asked => {
                    stored = false;
                    granted |= records.consume(peer, &id, now);
                }
                // It restores what it has.
                4 if stored => records.restore(&record(peer, 1, 1), Duration::ZERO, now, LIFETIME),
                _ => {}
            }
            prop_assert!(!(stored && granted));
        }
    }
}

/// Whoever withholds what follows an answer cannot deliver it days later.
#[test]
fn a_record_is_granted_again_for_a_minute_and_no_longer() {
    let mut records = Records::<Heap>::EMPTY;
    records.limit(1);
    let peer = Peer::new(FabricIndex::MIN, NodeId::new(7));
    let new = record(peer, 1, 1);
    let id = new.id;
    records.save(&new, false, Instant::ZERO, Duration::from_secs(3600));
    let mut claim = |seconds| {
        let now = Instant::ZERO + Duration::from_secs(seconds);
        records.at(now, true).claim(peer, &id)
    };
    assert_eq!([0, 59, 60, 600].map(&mut claim), {
        use Claim::{Granted, Refused};
        [Granted, Granted, Refused, Refused]
    });
}
