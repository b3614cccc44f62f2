//! What the memory of a device does when items cannot be read, and when the flash fails and works
//! again.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::arithmetic_side_effects)]

#[allow(dead_code, reason = "only the life looks at the changes")]
#[path = "life/flash.rs"]
mod flash;

use flash_store::Store;
use flash_store::memory::{Kept, Kind, Memory, StoredFabric, Undone};
use flash_store::ram::Fault;
use matter_session::crypto::Secret;
use matter_session::fabric::{CompressedFabricId, FabricBuf};
use matter_session::group::{CounterStore, GroupCounter};
use matter_session::ids::{CaseAuthTags, FabricIndex, NodeId, Peer};
use matter_session::resumption::ResumptionRecord;
use matter_session::session::{ResumptionId, SessionParameters};
use matter_session_testing::rng::Dice;
use matter_session_testing::toy::{Toy, ToyAuthority};

use self::flash::{Chip, Flash, LEN, REGION};

const RECORD: u16 = 0x0300;

fn open(flash: &Flash) -> Memory<Flash> {
    let (memory, lost) = Memory::open(flash.clone(), REGION).unwrap();
    assert!(!lost);
    memory
}

fn new() -> (Flash, Memory<Flash>) {
    let flash = Flash::new(Chip::new());
    let memory = open(&flash);
    (flash, memory)
}

fn record(peer: u8, id: u8) -> ResumptionRecord {
    ResumptionRecord {
        id: ResumptionId::new([id; 16]),
        fabric: FabricIndex::MIN,
        compressed_fabric: CompressedFabricId::from_bytes([1; 8]),
        peer: NodeId::new(peer.into()),
        cats: CaseAuthTags::NONE,
        shared_secret: Secret::new([id; 32]),
        valid_until: None,
        authenticated: None,
        age_seconds: 0,
        parameters: SessionParameters::default(),
    }
}

fn peer(peer: u8) -> Peer {
    Peer::new(FabricIndex::MIN, NodeId::new(peer.into()))
}

fn keep(memory: &mut Memory<Flash>, record: &ResumptionRecord) -> bool {
    memory.keep_record(Peer::new(record.fabric, record.peer), Some(&record.to_bytes()))
}

/// The peers and ids of all records.
fn kept(memory: &mut Memory<Flash>) -> Vec<(u64, u8)> {
    let mut records = Vec::new();
    memory.each(|kept| {
        if let Kept::Item(item) = kept {
            let record = ResumptionRecord::from_bytes(item.value).unwrap();
            records.push((item.id, record.id.as_bytes()[0]));
        }
    });
    records.sort_unstable();
    records
}

#[test]
fn an_item_that_is_too_long_for_a_record_hinders_no_other() {
    let (flash, mut memory) = new();
    assert!(keep(&mut memory, &record(1, 1)));
    // An item of another version, where records are longer.
    let mut store = Store::open(flash.clone(), REGION).unwrap();
    store.put(RECORD | 1, &[7; 9 + ResumptionRecord::ENCODED_LEN + 1]).unwrap();
    let mut memory = open(&flash);
    assert!(keep(&mut memory, &record(2, 2)));
    assert!(memory.keep_record(peer(2), None), "forgotten");
    assert!(keep(&mut memory, &record(3, 3)), "kept in the place of the long one");
    assert_eq!(kept(&mut memory), [(1, 1), (3, 3)]);
    assert!(memory.keep_record(peer(9), None), "nothing to forget");
}

#[test]
fn a_damaged_record_is_none_and_hinders_no_other() {
    let (flash, mut memory) = new();
    for n in 1..=3 {
        assert!(keep(&mut memory, &record(n, n)));
    }
    let secret = [2; 32];
    let at = flash.0.borrow().as_bytes().windows(32).position(|bytes| bytes == secret).unwrap();
    flash.0.borrow_mut().as_mut_bytes()[at] ^= 0x40;
    assert_eq!(kept(&mut memory), [(1, 1), (3, 3)]);
    assert!(memory.keep_record(peer(3), None));
    assert!(keep(&mut memory, &record(4, 4)));
    assert_eq!(kept(&mut memory), [(1, 1), (4, 4)]);
}

/// A bit is read wrongly, and rightly later.
#[test]
fn a_record_that_could_not_be_read_while_it_was_given_up_does_not_come_back() {
    for newer in [None, Some(record(2, 20))] {
        let (flash, mut memory) = new();
        for n in 1..=3 {
            assert!(keep(&mut memory, &record(n, n)));
        }
        let secret = [2; 32];
        let at = flash.0.borrow().as_bytes().windows(32).position(|bytes| bytes == secret).unwrap();
        flash.0.borrow_mut().as_mut_bytes()[at] ^= 0x40;
        let newer_bytes = newer.as_ref().map(ResumptionRecord::to_bytes);
        assert!(memory.keep_record(peer(2), newer_bytes.as_ref()));
        flash.0.borrow_mut().as_mut_bytes()[at] ^= 0x40;
        let mut memory = open(&flash);
        let left: &[_] =
            if newer.is_some() { &[(1, 1), (2, 20), (3, 3)] } else { &[(1, 1), (3, 3)] };
        assert_eq!(kept(&mut memory), left);
    }
}

/// Nobody is told that it is gone.
#[test]
fn a_record_that_cannot_be_read_nor_erased_is_not_given_up() {
    let (flash, mut memory) = new();
    assert!(keep(&mut memory, &record(2, 2)));
    let at = flash.0.borrow().as_bytes().windows(32).position(|bytes| bytes == [2; 32]).unwrap();
    flash.0.borrow_mut().as_mut_bytes()[at] ^= 0x40;
    flash.0.borrow_mut().cut_after(0, 0);
    assert!(!memory.keep_record(peer(2), None));
}

#[test]
fn a_record_that_could_not_be_deleted_is_deleted_when_that_is_repeated() {
    let (flash, mut memory) = new();
    for n in 1..=3 {
        assert!(keep(&mut memory, &record(n, n)));
    }
    // The flash is gone for a moment.
    flash.0.borrow_mut().cut_after(0, 0);
    assert!(!memory.keep_record(peer(2), None));
    assert!(!keep(&mut memory, &record(3, 30)));
    assert!(!memory.retain_records(|_, _| false));
    flash.0.borrow_mut().restore_power();
    // The node knows peer 1 by this record, peer 3 by another, and peer 2 no more.
    let is_current = |of, id: &ResumptionId| of == peer(1) && *id == record(1, 1).id;
    assert!(memory.retain_records(is_current));
    assert_eq!(kept(&mut memory), [(1, 1)]);
    let mut memory = open(&flash);
    assert_eq!(kept(&mut memory), [(1, 1)]);
}

#[test]
fn a_deletion_that_was_only_reported_as_failed_is_repeated_and_done() {
    let (flash, mut memory) = new();
    assert!(keep(&mut memory, &record(1, 1)));
    for calls in 0..30 {
        let mut chip = flash.chip();
        chip.fail_after(calls, Fault::Failed(LEN));
        let flash = Flash::new(chip);
        let mut memory = open(&flash);
        if !memory.keep_record(peer(1), None) {
            assert!(memory.retain_records(|_, _| false));
        }
        flash.0.borrow_mut().restore_power();
        assert_eq!(kept(&mut Memory::open(flash, REGION).unwrap().0), [], "{calls}");
    }
}

#[test]
fn a_lost_store_is_reported_once_and_serves_again() {
    let (flash, mut memory) = new();
    assert!(keep(&mut memory, &record(1, 1)));
    flash.0.borrow_mut().as_mut_bytes()[0] ^= 1;
    let (mut memory, lost) = Memory::open(flash.clone(), REGION).unwrap();
    assert!(lost);
    assert!(keep(&mut memory, &record(2, 2)));
    let mut memory = open(&flash);
    assert_eq!(kept(&mut memory), [(2, 2)]);
}

/// Fabric 1 of this device: its first or its second certificate.
fn fabric(node: u64) -> FabricBuf {
    let mut rng = Dice::new(5);
    let mut authority = ToyAuthority::new(1, false, &mut rng);
    let mut members = [1, 2].map(|node| authority.admit(node, &mut rng)).into_iter();
    let member = members.nth(usize::try_from(node).unwrap() - 1).unwrap();
    FabricBuf::new(&Toy::<false>, FabricIndex::MIN, &member.credentials()).unwrap()
}

/// The node id in the certificate of the fabric that is kept.
fn node_kept(memory: &mut Memory<Flash>) -> Option<u64> {
    let mut buf = StoredFabric::zero();
    let bytes = memory.fabric(FabricIndex::MIN, &mut buf)?;
    Some(FabricBuf::decode(&Toy::<false>, bytes).unwrap().view().node_id().get())
}

/// Every write goes wrong, one at a time: the command is answered as the flash is.
#[test]
fn what_was_refused_as_the_flash_failed_is_not_there_and_can_be_repeated() {
    let (mut refused, mut struck) = (0, 0);
    for calls in 0.. {
        for fault in [Fault::Failed(0), Fault::Failed(6), Fault::Failed(LEN), Fault::Skipped(3)] {
            let (flash, mut memory) = new();
            assert!(memory.keep_added(fabric(1).view()) && memory.complete(FabricIndex::MIN));
            assert!(keep(&mut memory, &record(1, 1)));
            flash.0.borrow_mut().fail_after(calls, fault);
            let updated = memory.keep_updated(fabric(2).view());
            if flash.0.borrow().is_fault_pending() {
                assert!(updated && refused + struck > 20, "{refused} of {struck} were refused");
                return;
            }
            (refused, struck) = (refused + u32::from(!updated), struck + 1);
            if !updated {
                let mut buf = StoredFabric::zero();
                assert!(memory.roll_back(FabricIndex::MIN, &mut buf).is_some());
                assert_eq!(node_kept(&mut memory), Some(1), "{calls} {fault:?}");
                assert!(memory.keep_updated(fabric(2).view()), "once more");
            }
            let mut restarted = open(&Flash::new(flash.chip()));
            assert_eq!(node_kept(&mut restarted), Some(1), "not complete");
            assert!(memory.complete(FabricIndex::MIN));
            let mut restarted = open(&flash);
            assert_eq!((node_kept(&mut restarted), kept(&mut restarted)), (Some(2), vec![]));
        }
    }
}

#[test]
fn nothing_is_said_to_be_kept_on_a_flash_that_is_gone() {
    let (flash, mut memory) = new();
    flash.0.borrow_mut().cut_after(0, 0);
    assert!(!memory.keep_added(fabric(1).view()));
    assert_eq!(node_kept(&mut memory), None);
    assert!(!memory.keep(Kind::Group, FabricIndex::MIN, 1, Some(&[1])));
    assert!(!memory.keep_check_in_bound(7) && memory.store(GroupCounter::Data, 7).is_err());
    assert!(!memory.reset() && !memory.forget_fabric(FabricIndex::MIN));
    flash.0.borrow_mut().restore_power();
    assert!(memory.keep_added(fabric(1).view()) && memory.complete(FabricIndex::MIN));
    flash.0.borrow_mut().cut_after(0, 0);
    assert!(!memory.keep_updated(fabric(2).view()));
    assert_eq!(node_kept(&mut memory), Some(1));
    flash.0.borrow_mut().restore_power();
    // While an update is not complete, no other begins.
    assert!(memory.keep_updated(fabric(2).view()) && !memory.keep_updated(fabric(2).view()));
    flash.0.borrow_mut().cut_after(0, 0);
    assert!(!memory.complete(FabricIndex::MIN));
    flash.0.borrow_mut().restore_power();
    let mut buf = StoredFabric::zero();
    let undone = memory.roll_back(FabricIndex::MIN, &mut buf);
    assert!(matches!(undone, Some(Undone::Replaced(_))));
    assert_eq!(memory.roll_back(FabricIndex::MIN, &mut buf), Some(Undone::Nothing));
    assert_eq!(node_kept(&mut memory), Some(1));
}

/// Nobody knows what the fabric was, and what it is was not confirmed.
#[test]
fn a_fabric_whose_former_state_is_damaged_goes() {
    let (flash, mut memory) = new();
    assert!(memory.keep_added(fabric(1).view()) && memory.complete(FabricIndex::MIN));
    assert!(memory.keep_updated(fabric(2).view()));
    let mut former = [0; 1500];
    let len = fabric(1).view().encode(&mut former).unwrap();
    let part = &former[len - 40..len - 20];
    let at = flash.0.borrow().as_bytes().windows(20).rposition(|bytes| bytes == part).unwrap();
    flash.0.borrow_mut().as_mut_bytes()[at] ^= 1;
    assert_eq!(node_kept(&mut open(&flash)), None);
}

#[test]
fn a_full_store_is_reset_and_serves_again() {
    let (flash, mut memory) = new();
    assert!(memory.keep_added(fabric(1).view()) && memory.complete(FabricIndex::MIN));
    memory.store(GroupCounter::Data, 1000).unwrap();
    let kinds = [Kind::KeySet, Kind::Group, Kind::Client, Kind::Record];
    let mut all = kinds.into_iter().flat_map(|kind| (0..Kind::PLACES).map(move |id| (kind, id)));
    let value = [0x5A; Kind::VALUE_MAX];
    let mut full =
        |(kind, id): (Kind, u16)| !memory.keep(kind, FabricIndex::MIN, id.into(), Some(&value));
    assert!(all.any(&mut full));
    // Each smaller thing as well, until nothing fits.
    let mut store = Store::open(flash.clone(), REGION).unwrap();
    for key in 0x7000.. {
        if store.put(key, &[]).is_err() {
            break;
        }
    }
    assert!(open(&flash).reset());
    let mut memory = open(&flash);
    memory.each(|kept| panic!("{kept:?} is there"));
    assert_eq!(memory.load(GroupCounter::Data), Ok(Some(1000)));
    assert!(memory.keep_added(fabric(1).view()) && memory.complete(FabricIndex::MIN));
}

#[test]
fn a_reset_leaves_the_factorys_data_and_bounds_of_counters_that_can_be_read() {
    let (flash, mut memory) = new();
    memory.store(GroupCounter::Data, 1000).unwrap();
    memory.store(GroupCounter::Control, 0x1122_3344_5566_7788).unwrap();
    assert!(memory.keep_check_in_bound(3000));
    let mut store = Store::open(flash.clone(), REGION).unwrap();
    store.put(0xF100, b"verifier").unwrap();
    store.put(0x7777, b"boots").unwrap();
    let bound = 0x1122_3344_5566_7788_u64.to_le_bytes();
    let at = flash.0.borrow().as_bytes().windows(8).position(|bytes| bytes == bound).unwrap();
    flash.0.borrow_mut().as_mut_bytes()[at] ^= 1;
    let mut memory = open(&flash);
    assert!(memory.load(GroupCounter::Control).is_err(), "it must not begin again");
    assert!(memory.reset());
    let mut memory = open(&flash);
    assert_eq!(memory.load(GroupCounter::Data), Ok(Some(1000)));
    assert_eq!(memory.load(GroupCounter::Control), Ok(None), "it counts again, with other keys");
    assert_eq!(memory.check_in_bound(), Ok(Some(3000)));
    let mut store = Store::open(flash, REGION).unwrap();
    let mut buf = [0; 16];
    assert_eq!(store.get(0xF100, &mut buf), Ok(Some(&b"verifier"[..])));
    assert_eq!(store.get(0x7777, &mut buf), Ok(None));
}
