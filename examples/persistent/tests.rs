//! The store of the example `persistent_controller`: what it keeps, and what a crash leaves of it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::{fs, io};

use matter_session::crypto::{RustCrypto, Secret};
use matter_session::fabric::CompressedFabricId;
use matter_session::ids::{CaseAuthTags, FabricIndex, NodeId, Peer};
use matter_session::manager::Config;
use matter_session::resumption::{Claim, ResumptionRecord, ResumptionStore};
use matter_session::session::{ResumptionId, SessionParameters};

use super::store::Store;
use matter_session_testing::net::{Authority, Dice, Manager};
use redb::{Database, StorageBackend};

/// A file that goes with the test.
pub(super) struct File(pub(super) PathBuf);

impl File {
    pub(super) fn new(name: &str) -> Self {
        let file = format!("matter-session-{}-{name}.redb", std::process::id());
        Self(std::env::temp_dir().join(file))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

pub(super) fn fabric(index: u8) -> FabricIndex {
    FabricIndex::new(index).unwrap()
}

pub(super) fn record(index: u8, peer: u8, id: u8) -> ResumptionRecord {
    ResumptionRecord {
        id: ResumptionId::new([id; 16]),
        fabric: fabric(index),
        compressed_fabric: CompressedFabricId::from_bytes([index; 8]),
        peer: NodeId::new(peer.into()),
        cats: CaseAuthTags::NONE,
        shared_secret: Secret::new([id; 32]),
        valid_until: None,
        authenticated: None,
        age_seconds: 0,
        parameters: SessionParameters::default(),
    }
}

fn by_id(store: &mut Store, index: u8, id: u8) -> Option<ResumptionRecord> {
    store.by_id(fabric(index), &ResumptionId::new([id; 16]), 0)
}

fn claims(store: &mut Store, index: u8, peer: u8, id: u8) -> bool {
    let peer = Peer::new(fabric(index), NodeId::new(peer.into()));
    store.claim(peer, &ResumptionId::new([id; 16])) == Claim::Granted
}

#[test]
fn records_outlive_the_process_and_go_with_their_fabric() {
    let file = File::new("records");
    let mut store = Store::open(&file.0).unwrap();
    for (index, peer, id) in [(1, 1, 1), (1, 2, 2), (2, 1, 3), (1, 1, 4)] {
        store.save(&record(index, peer, id));
    }
    drop(store);
    let mut store = Store::open(&file.0).unwrap();
    assert_eq!(by_id(&mut store, 1, 1), None, "replaced");
    assert_eq!(by_id(&mut store, 1, 4), Some(record(1, 1, 4)));
    assert_eq!(store.by_peer(Peer::new(fabric(1), NodeId::new(2))), Some(record(1, 2, 2)));
    assert_eq!(store.by_peer(Peer::new(fabric(2), NodeId::new(2))), None);
    store.remove_fabric(fabric(1));
    assert_eq!(store.records().unwrap(), [record(2, 1, 3)]);
    assert_eq!(by_id(&mut store, 1, 2), None);
    assert_eq!(by_id(&mut store, 2, 3), Some(record(2, 1, 3)));
}

/// Records that were not removed with their fabric would be of the next one with its index.
#[test]
fn a_new_fabric_finds_no_records() {
    let file = File::new("left");
    let mut store = Store::open(&file.0).unwrap();
    store.save(&record(1, 1, 1));
    store.save(&record(2, 1, 2));
    let mut manager: Manager = Manager::new(Config::default(), RustCrypto, &mut Dice::new(1));
    let member = Authority::new(5, false).admit(200);
    let index = manager.fabrics_mut().add(&member.credentials()).unwrap();
    assert_eq!(index, fabric(1));
    store.keep_fabric(manager.fabrics().get(index).unwrap(), &member.key).unwrap();
    assert_eq!(store.records().unwrap(), [record(2, 1, 2)]);
    assert_eq!(by_id(&mut store, 1, 1), None);
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;

    let file = File::new("owner");
    let mut store = Store::open(&file.0).unwrap();
    store.save(&record(1, 1, 1));
    assert_eq!(fs::metadata(&file.0).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_record_that_is_removed_is_found_by_neither_peer_nor_id() {
    let file = File::new("removed");
    let mut store = Store::open(&file.0).unwrap();
    store.save(&record(1, 1, 1));
    store.save(&record(1, 2, 2));
    store.save(&record(2, 1, 3));
    for _ in 0..2 {
        store.remove(Peer::new(fabric(1), NodeId::new(1)));
        assert_eq!(by_id(&mut store, 1, 1), None);
        assert_eq!(store.by_peer(Peer::new(fabric(1), NodeId::new(1))), None);
        assert!(!claims(&mut store, 1, 1, 1));
        assert_eq!(store.records().unwrap(), [record(1, 2, 2), record(2, 1, 3)]);
    }
}

#[test]
fn peers_with_the_same_id_have_a_record_each() {
    let file = File::new("ids");
    let mut store = Store::open(&file.0).unwrap();
    for (index, peer) in [(1, 1), (1, 2), (2, 3)] {
        store.save(&record(index, peer, 7));
    }
    let id = ResumptionId::new([7; 16]);
    let found = |store: &mut Store, n| store.by_id(fabric(1), &id, n).map(|r| r.peer.get());
    assert_eq!([0, 1, 2].map(|n| found(&mut store, n)), [Some(1), Some(2), None]);
    assert!(!claims(&mut store, 1, 3, 7), "of another fabric");
    assert!(claims(&mut store, 1, 1, 7));
    assert_eq!([0, 1].map(|n| found(&mut store, n)), [Some(2), None]);
    store.remove(Peer::new(fabric(1), NodeId::new(1)));
    assert!(claims(&mut store, 1, 2, 7));
}

/// An entry of the index that is damaged, or was copied, names the record of another id or none.
#[test]
fn a_damaged_index_gives_out_no_record_of_another_id_and_hides_none() {
    let file = File::new("index");
    let mut store = Store::open(&file.0).unwrap();
    store.save(&record(1, 2, 2));
    store.save(&record(1, 5, 5));
    for (id, peer) in [(2, 1), (2, 5), (5, 2), (7, 2)] {
        store.damage_index(1, id, peer);
    }
    for id in [2, 5] {
        let id_of = ResumptionId::new([id; 16]);
        let found = |store: &mut Store, n| store.by_id(fabric(1), &id_of, n);
        assert_eq!([0, 1].map(|n| found(&mut store, n)), [Some(record(1, id, id)), None]);
    }
    assert_eq!(by_id(&mut store, 1, 7), None);
    for (peer, id) in [(5, 2), (2, 5), (2, 7), (1, 2)] {
        assert!(!claims(&mut store, 1, peer, id), "{peer} has another record than {id}");
    }
    assert!(claims(&mut store, 1, 2, 2) && claims(&mut store, 1, 5, 5));
}

#[test]
fn a_record_is_claimed_once_also_over_a_restart() {
    let file = File::new("claims");
    let mut store = Store::open(&file.0).unwrap();
    store.save(&record(1, 1, 1));
    assert!(claims(&mut store, 1, 1, 1));
    assert!(!claims(&mut store, 1, 1, 1));
    drop(store);
    let mut store = Store::open(&file.0).unwrap();
    assert!(!claims(&mut store, 1, 1, 1));
    assert_eq!(by_id(&mut store, 1, 1), None);
    assert_eq!(
        store.by_peer(Peer::new(fabric(1), NodeId::new(1))),
        Some(record(1, 1, 1)),
        "to be offered"
    );
    store.save(&record(1, 1, 2));
    assert!(claims(&mut store, 1, 1, 2));
    assert!(!claims(&mut store, 1, 1, 1));
}

/// What was done to a disk.
#[derive(Clone, Debug)]
enum Act {
    Write(u64, Vec<u8>),
    Resize(u64),
    Sync,
}

/// A disk that remembers in which order it was written to.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<(Vec<u8>, Vec<Act>)>>);

impl Disk {
    /// A disk with this content.
    fn of(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new((bytes, Vec::new()))))
    }

    fn act(&self, act: Act) {
        let mut disk = self.0.lock().unwrap();
        apply(&mut disk.0, &act);
        disk.1.push(act);
    }

    fn open(&self) -> Store {
        open(self)
    }
}

/// The store on a disk.
pub(super) fn open(disk: &(impl StorageBackend + Clone)) -> Store {
    let disk = disk.clone();
    Store::of(move || Ok(Database::builder().create_with_backend(disk.clone())?)).unwrap()
}

fn apply(bytes: &mut Vec<u8>, act: &Act) {
    match act {
        Act::Write(at, data) => {
            let at = usize::try_from(*at).unwrap();
            bytes.resize(bytes.len().max(at + data.len()), 0);
            bytes[at..at + data.len()].copy_from_slice(data);
        }
        Act::Resize(len) => bytes.resize(usize::try_from(*len).unwrap(), 0),
        Act::Sync => {}
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().0.len() as u64)
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(at).unwrap();
        let disk = self.0.lock().unwrap();
        let bytes = disk.0.get(at..at + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.act(Act::Resize(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.act(Act::Sync);
        Ok(())
    }

    fn write(&self, at: u64, data: &[u8]) -> io::Result<()> {
        self.act(Act::Write(at, data.to_vec()));
        Ok(())
    }
}

/// Power fails while a record is written. What was synced is on the disk; of the sectors written
/// since, any. Whatever is there, every record is, the newest in its new form or in its old.
#[test]
fn a_torn_write_loses_the_newest_record_at_most() {
    const SECTOR: usize = 512;
    const PEERS: u8 = 20;
    let disk = Disk::default();
    let mut store = disk.open();
    for peer in 1..=PEERS {
        store.save(&record(1, peer, peer));
    }
    let mut dice = 1_u64;
    let mut roll = move |n: usize| {
        dice = dice.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        usize::try_from(dice >> 33).unwrap() % n
    };
    let (mut kept_old, mut kept_new) = (0, 0);
    for turn in 0..100_u8 {
        let peer = turn % PEERS + 1;
        let old = store.by_peer(Peer::new(fabric(1), NodeId::new(peer.into()))).unwrap();
        let before = {
            let mut disk = disk.0.lock().unwrap();
            disk.1.clear();
            disk.0.clone()
        };
        let new = record(1, peer, 100 + turn);
        store.save(&new);
        // The moment, and what has reached the disk by then.
        let acts = disk.0.lock().unwrap().1.clone();
        let until = roll(acts.len() + 1);
        let synced = acts[..until].iter().rposition(|act| matches!(act, Act::Sync)).unwrap_or(0);
        let mut torn = before;
        for (n, act) in acts[..until].iter().enumerate() {
            match act {
                Act::Write(at, data) if n >= synced => {
                    for (sector, data) in data.chunks(SECTOR).enumerate() {
                        if roll(2) == 0 {
                            let at = *at + (sector * SECTOR) as u64;
                            apply(&mut torn, &Act::Write(at, data.to_vec()));
                        }
                    }
                }
                act => apply(&mut torn, act),
            }
        }
        let mut survived = Disk::of(torn).open();
        let found = survived.by_peer(Peer::new(fabric(1), NodeId::new(peer.into()))).unwrap();
        kept_old += u32::from(found == old);
        kept_new += u32::from(found == new);
        assert!(found == old || found == new, "turn {turn}");
        assert_eq!(survived.by_id(fabric(1), &found.id, 0), Some(found), "turn {turn}");
        let others = |r: &ResumptionRecord| r.peer.get() != u64::from(peer);
        let expected: Vec<_> = store.records().unwrap().into_iter().filter(others).collect();
        let rest: Vec<_> = survived.records().unwrap().into_iter().filter(others).collect();
        assert_eq!(rest, expected, "turn {turn}");
    }
    assert!(kept_old > 10 && kept_new > 10, "both happened: {kept_old}, {kept_new}");
}
