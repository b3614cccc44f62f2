extern crate std;

use core::cell::RefCell;
use std::rc::Rc;
use std::vec::Vec;

use embedded_storage::nor_flash::{ErrorType, ReadNorFlash};
use flash_store::ram::{Fault, RamFlash, RamFlashError};
use matter_session::fabric::CompressedFabricId;
use matter_session::ids::{CaseAuthTags, FabricIndex, NodeId};
use matter_session::session::SessionParameters;

use super::*;

const LEN: usize = 8192;
const REGION: Range<u32> = 0..8192;

/// Flash that the test can reach while the memory has it.
#[derive(Clone)]
struct Flash(Rc<RefCell<RamFlash<LEN, 4096>>>);

impl ErrorType for Flash {
    type Error = RamFlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), RamFlashError> {
        self.0.borrow_mut().read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        LEN
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), RamFlashError> {
        self.0.borrow_mut().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), RamFlashError> {
        self.0.borrow_mut().write(offset, bytes)
    }
}

fn new() -> (Flash, Memory<Flash>) {
    let flash = Flash(Rc::new(RefCell::new(RamFlash::new())));
    let (memory, lost) = Memory::open(flash.clone(), REGION).unwrap();
    assert!(!lost);
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
        if let Kept::Record(record) = kept {
            records.push((record.peer.get(), record.id.as_bytes()[0]));
        }
    });
    records.sort_unstable();
    records
}

#[test]
fn an_item_that_is_too_long_for_a_record_hinders_no_other() {
    let (_, mut memory) = new();
    assert!(keep(&mut memory, &record(1, 1)));
    // An item of another version, where records are longer.
    memory.0.put(RECORD << 8 | 1, &[7; ResumptionRecord::ENCODED_LEN + 1]).unwrap();
    memory.0.put(RECORD << 8 | 2, record(2, 2).to_bytes().as_bytes()).unwrap();
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
        let (mut memory, lost) = Memory::open(flash, REGION).unwrap();
        assert!(!lost);
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
    let (mut memory, lost) = Memory::open(flash, REGION).unwrap();
    assert!(!lost);
    assert_eq!(kept(&mut memory), [(1, 1)]);
}

#[test]
fn a_deletion_that_was_only_reported_as_failed_is_repeated_and_done() {
    let (flash, mut memory) = new();
    assert!(keep(&mut memory, &record(1, 1)));
    for calls in 0..30 {
        let mut chip = flash.0.borrow().clone();
        chip.fail_after(calls, Fault::Failed(LEN));
        let flash = Flash(Rc::new(RefCell::new(chip)));
        let (mut memory, _) = Memory::open(flash.clone(), REGION).unwrap();
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
    let (mut memory, lost) = Memory::open(flash, REGION).unwrap();
    assert!(!lost);
    assert_eq!(kept(&mut memory), [(2, 2)]);
}
