//! The store on a disk that is full for a moment, and over damaged files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io};

use matter_session::crypto::RustCrypto;
use matter_session::ids::{NodeId, Peer};
use matter_session::manager::Config;
use matter_session::resumption::{Claim, ResumptionRecord, ResumptionStore};
use matter_session::session::ResumptionId;
use matter_session_testing::net::{Authority, Dice, Manager};
use redb::StorageBackend;

use super::store::Store;
use super::tests::{Disk, File, fabric, open, record};

/// A disk that takes nothing while it is full.
#[derive(Clone, Debug, Default)]
struct Full {
    disk: Disk,
    full: Arc<AtomicBool>,
}

impl Full {
    fn set(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    fn room(&self) -> io::Result<()> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Full {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(at, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.room()?;
        self.disk.sync_data()
    }

    fn write(&self, at: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        self.disk.write(at, data)
    }
}

fn peer(node: u8) -> Peer {
    Peer::new(fabric(1), NodeId::new(node.into()))
}

#[test]
fn after_a_moment_of_full_disk_writes_work_again() {
    let disk = Full::default();
    let mut store = open(&disk);
    store.save(&record(1, 1, 1));
    disk.set(true);
    store.save(&record(1, 2, 2));
    disk.set(false);
    store.save(&record(1, 3, 3));
    drop(store);
    assert_eq!(open(&disk).records().unwrap(), [record(1, 1, 1), record(1, 3, 3)]);
}

/// Nobody is offered what could not be removed, and it is removed when that is possible again.
#[test]
fn what_could_not_be_removed_is_not_offered_and_does_not_come_back() {
    for of_fabric in [false, true] {
        let disk = Full::default();
        let mut store = open(&disk);
        store.save(&record(1, 1, 1));
        store.save(&record(2, 9, 9));
        disk.set(true);
        match of_fabric {
            false => store.remove(peer(1)),
            true => store.remove_fabric(fabric(1)),
        }
        let id = ResumptionId::new([1; 16]);
        for full in [true, false] {
            disk.set(full);
            assert_eq!(store.by_peer(peer(1)), None);
            assert_eq!(store.by_id(fabric(1), &id, 0), None);
            assert_eq!(store.claim(peer(1), &id), Claim::Refused);
            match store.records() {
                Ok(records) => assert_eq!(records, [record(2, 9, 9)]),
                Err(error) => assert!(full, "{error}"),
            }
        }
        drop(store);
        let mut store = open(&disk);
        assert_eq!(store.by_peer(peer(1)), None);
        assert_eq!(store.records().unwrap(), [record(2, 9, 9)]);
    }
}

#[test]
fn a_record_that_could_not_be_replaced_is_not_offered_either() {
    let disk = Full::default();
    let mut store = open(&disk);
    store.save(&record(1, 1, 1));
    disk.set(true);
    store.save(&record(1, 1, 2));
    assert_eq!(store.by_peer(peer(1)), None);
    disk.set(false);
    assert_eq!(store.by_peer(peer(1)), None);
    // And a removal that is still to be repeated does not strike a newer record.
    store.save(&record(1, 1, 3));
    assert_eq!(store.by_peer(peer(1)), Some(record(1, 1, 3)));
    drop(store);
    assert_eq!(open(&disk).records().unwrap(), [record(1, 1, 3)]);
}

/// A store that is damaged in 400 ways: truncated, with flipped bits, with a sector of another
/// content. It returns records that were stored, or none.
#[test]
fn a_damaged_file_yields_no_altered_record_and_no_panic() {
    let file = File::new("damaged");
    let mut store = Store::open(&file.0).unwrap();
    let mut manager: Manager = Manager::new(Config::default(), RustCrypto, &mut Dice::new(1));
    let member = Authority::new(5, false).admit(200);
    let index = manager.fabrics_mut().add(&member.credentials()).unwrap();
    store.keep_fabric(manager.fabrics().get(index).unwrap(), &member.key).unwrap();
    let kept: Vec<_> = (1..=30).map(|n| record(1, n, n)).collect();
    for record in &kept {
        store.save(record);
    }
    store.save(&record(2, 1, 50));
    store.remove_fabric(fabric(2));
    let fabric_bytes = store.memberships().unwrap()[0].fabric.clone();
    drop(store);
    let whole = fs::read(&file.0).unwrap();
    // Where something is stored: an empty page takes no harm.
    let used: Vec<_> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut dice = 7_u64;
    let mut roll = move |n: usize| {
        dice = dice.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        usize::try_from(dice >> 33).unwrap() % n
    };
    let (mut unopened, mut read) = (0, 0);
    for variant in 0..400 {
        let mut bytes = whole.clone();
        match variant % 8 {
            0 => bytes.truncate(roll(whole.len())),
            1 => {
                let at = used[roll(used.len())] / 512 * 512;
                let other = used[roll(used.len())] / 512 * 512;
                bytes.copy_within(other..other + 512, at);
            }
            n => {
                for _ in 0..if n == 2 { 20 } else { 1 } {
                    bytes[used[roll(used.len())]] ^= 1 << roll(8);
                }
            }
        }
        fs::write(&file.0, bytes).unwrap();
        let Ok(mut store) = Store::open(&file.0) else {
            unopened += 1;
            continue;
        };
        let is_kept = |found: &ResumptionRecord| kept.contains(found);
        let records = store.records().unwrap_or_default();
        assert!(records.iter().all(is_kept), "variant {variant}");
        read += records.len();
        for record in &kept {
            let found = store.by_peer(Peer::new(record.fabric, record.peer));
            assert!(found.is_none_or(|found| found == *record), "variant {variant}");
            let found = store.by_id(record.fabric, &record.id, 0);
            assert!(found.is_none_or(|found| found == *record), "variant {variant}");
        }
        for membership in store.memberships().unwrap_or_default() {
            assert_eq!(membership.fabric, fabric_bytes, "variant {variant}");
            let public = |key: &matter_session::crypto::SigningKey| key.to_bytes();
            assert!(public(&membership.key) == public(&member.key), "variant {variant}");
        }
        assert_ne!(store.claim(peer(1), &kept[0].id), Claim::Pending);
        store.save(&record(1, 1, 77));
        store.remove(peer(2));
        store.remove_fabric(fabric(1));
    }
    assert!(unopened > 50 && read > 1_000, "both happen: {unopened}, {read}");
}
