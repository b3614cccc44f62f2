//! What a controller keeps in an embedded database: resumption records, fabrics, keys.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use matter_session::crypto::{Hashing, RustCrypto, Secret, Sha256, SigningKey};
use matter_session::fabric::Fabric;
use matter_session::ids::{FabricIndex, Peer};
use matter_session::resumption::{Claim, ResumptionRecord, ResumptionStore};
use matter_session::session::ResumptionId;
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};

pub(crate) use super::guarded::Error;
use super::guarded::Guarded;

/// A fabric's index and a peer's node id.
type Key = (u8, u64);

/// Records by fabric and peer, each with its check value.
const RECORDS: TableDefinition<'_, Key, &[u8]> = TableDefinition::new("records");
/// By fabric and id the peers whose record has the id: for responders, and only while nobody has
/// claimed it.
const IDS: TableDefinition<'_, (u8, [u8; 16], u64), ()> = TableDefinition::new("record ids");
/// Fabrics by index. Their stored form has a check value of its own.
const FABRICS: TableDefinition<'_, u8, &[u8]> = TableDefinition::new("fabrics");
/// The operational key of each, with its check value.
const KEYS: TableDefinition<'_, u8, &[u8]> = TableDefinition::new("keys");

/// A database that one process has open. It holds secrets in the clear, so on Unix its file is made
/// for its owner alone. A product sees to that elsewhere, too, and to copies of the file, or it
/// encrypts the rows.
pub(crate) struct Store {
    database: Guarded,
    unforgotten: Unforgotten,
}

/// What is to be removed and could not be yet. It is offered to nobody, and removed before anything
/// else is done. It is lost with the process: a product that cannot remove a peer tells its
/// operator, and does not end before it can.
#[derive(Default)]
struct Unforgotten {
    peers: BTreeSet<Key>,
    fabrics: BTreeSet<u8>,
}

impl Unforgotten {
    fn is_empty(&self) -> bool {
        self.peers.is_empty() && self.fabrics.is_empty()
    }

    fn contains(&self, key: Key) -> bool {
        self.peers.contains(&key) || self.fabrics.contains(&key.0)
    }
}

/// A membership as it is stored.
pub(crate) struct Membership {
    pub(crate) fabric: Vec<u8>,
    pub(crate) key: SigningKey,
}

impl Store {
    /// Opens the database, or makes it. A file that is there keeps its permissions.
    ///
    /// Returns an error if the file is damaged. Then restore a copy, or delete the file and
    /// commission anew.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let path = path.to_owned();
        Self::of(move || {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            Ok(Database::builder().create_file(options.open(&path)?)?)
        })
    }

    pub(crate) fn of(open: impl Fn() -> Result<Database, Error> + 'static) -> Result<Self, Error> {
        let mut database = Guarded::new(open)?;
        database.attempt(|database| {
            let write = begin(database)?;
            write.open_table(RECORDS)?;
            write.open_table(IDS)?;
            write.open_table(FABRICS)?;
            write.open_table(KEYS)?;
            Ok(write.commit()?)
        })?;
        Ok(Self { database, unforgotten: Unforgotten::default() })
    }

    /// Keeps a fabric with its operational key: right after it was added or updated. If records
    /// are left of what had its index before, they are removed in the same step.
    pub(crate) fn keep_fabric(
        &mut self,
        fabric: Fabric<'_>,
        key: &SigningKey,
    ) -> Result<(), Error> {
        let mut bytes = Secret::<{ Fabric::ENCODED_MAX_LEN }>::zero();
        let len = fabric.encode(bytes.as_mut_bytes()).map_err(|_| "a fabric is too long")?;
        let fabric_bytes = bytes.as_bytes().get(..len).unwrap_or_default();
        let index = fabric.index().get();
        self.database.attempt(|database| {
            let write = begin(database)?;
            write.open_table(FABRICS)?.insert(index, fabric_bytes)?;
            let key = with_check((index, 0), key.to_bytes().as_bytes());
            write.open_table(KEYS)?.insert(index, &*key)?;
            remove_records(&write, index)?;
            Ok(write.commit()?)
        })?;
        self.unforgotten.fabrics.remove(&index);
        self.unforgotten.peers.retain(|(of, _)| *of != index);
        Ok(())
    }

    /// All memberships, to be restored at the start.
    pub(crate) fn memberships(&mut self) -> Result<Vec<Membership>, Error> {
        self.database.attempt(|database| {
            let read = database.begin_read()?;
            let (fabrics, keys) = (read.open_table(FABRICS)?, read.open_table(KEYS)?);
            let mut memberships = Vec::new();
            for entry in fabrics.iter()? {
                let (index, fabric) = entry?;
                let key = keys.get(index.value())?.ok_or("a fabric without its key")?;
                let key = checked((index.value(), 0), key.value()).ok_or("a damaged key")?;
                let key = SigningKey::from_bytes(&Secret::from(<&[u8; 32]>::try_from(key)?))?;
                memberships.push(Membership { fabric: fabric.value().to_vec(), key });
            }
            Ok(memberships)
        })
    }

    /// All records; those that cannot be read are none.
    pub(crate) fn records(&mut self) -> Result<Vec<ResumptionRecord>, Error> {
        self.or_default(Self::forget);
        let unforgotten = &self.unforgotten;
        self.database.attempt(|database| {
            let read = database.begin_read()?;
            let mut records = Vec::new();
            for entry in read.open_table(RECORDS)?.iter()? {
                let (key, row) = entry?;
                if !unforgotten.contains(key.value()) {
                    records.extend(decode(key.value(), row.value()));
                }
            }
            Ok(records)
        })
    }

    /// Removes what could not be removed before.
    pub(crate) fn forget(&mut self) -> Result<(), Error> {
        let unforgotten = &self.unforgotten;
        if unforgotten.is_empty() {
            return Ok(());
        }
        self.database.attempt(|database| {
            let write = begin(database)?;
            for fabric in &unforgotten.fabrics {
                remove_records(&write, *fabric)?;
            }
            for key in &unforgotten.peers {
                discard(&mut write.open_table(RECORDS)?, &mut write.open_table(IDS)?, *key)?;
            }
            Ok(write.commit()?)
        })?;
        self.unforgotten = Unforgotten::default();
        Ok(())
    }

    fn find(&mut self, key: Key) -> Result<Option<ResumptionRecord>, Error> {
        self.or_default(Self::forget);
        if self.unforgotten.contains(key) {
            return Ok(None);
        }
        self.database.attempt(|database| {
            let read = database.begin_read()?;
            let row = read.open_table(RECORDS)?.get(key)?;
            Ok(row.and_then(|row| decode(key, row.value())))
        })
    }

    /// An index entry says where to look, and no more: what counts is the id in the record, which
    /// has a check value.
    fn find_by_id(
        &mut self,
        of: FabricIndex,
        id: &ResumptionId,
        n: usize,
    ) -> Result<Option<ResumptionRecord>, Error> {
        self.or_default(Self::forget);
        let unforgotten = &self.unforgotten;
        let (fabric, bytes) = (of.get(), *id.as_bytes());
        self.database.attempt(|database| {
            let read = database.begin_read()?;
            let (ids, records) = (read.open_table(IDS)?, read.open_table(RECORDS)?);
            let mut left = n;
            for entry in ids.range((fabric, bytes, 0)..=(fabric, bytes, u64::MAX))? {
                let key = (fabric, entry?.0.value().2);
                if unforgotten.contains(key) {
                    continue;
                }
                let record = records.get(key)?.and_then(|row| decode(key, row.value()));
                match record.filter(|record| record.id == *id) {
                    Some(record) if left == 0 => return Ok(Some(record)),
                    Some(_) => left -= 1,
                    None => {}
                }
            }
            Ok(None)
        })
    }

    /// On disk before the peer is answered: a process that is killed and comes back does not
    /// answer from the record a second time.
    fn try_claim(&mut self, peer: Peer, id: &ResumptionId) -> Result<bool, Error> {
        self.forget()?;
        let key = (peer.fabric.get(), peer.node.get());
        self.database.attempt(|database| {
            let write = begin(database)?;
            let found = write.open_table(IDS)?.remove((key.0, *id.as_bytes(), key.1))?.is_some();
            let row = write.open_table(RECORDS)?.get(key)?.and_then(|row| decode(key, row.value()));
            write.commit()?;
            Ok(found && row.is_some_and(|record| record.id == *id))
        })
    }

    /// The former record is removed and the new one stored, or neither. If that fails the former
    /// one is outdated, and has to be forgotten.
    fn try_save(&mut self, record: &ResumptionRecord) -> Result<(), Error> {
        let key = (record.fabric.get(), record.peer.get());
        let saved = self.forget().and_then(|()| {
            self.database.attempt(|database| {
                let write = begin(database)?;
                {
                    let (mut records, mut ids) =
                        (write.open_table(RECORDS)?, write.open_table(IDS)?);
                    discard(&mut records, &mut ids, key)?;
                    ids.insert((key.0, *record.id.as_bytes(), key.1), ())?;
                    records.insert(key, &*with_check(key, record.to_bytes().as_bytes()))?;
                }
                Ok(write.commit()?)
            })
        });
        if saved.is_err() {
            self.unforgotten.peers.insert(key);
        }
        saved
    }

    fn try_remove(&mut self, key: Key) -> Result<(), Error> {
        self.unforgotten.peers.insert(key);
        self.forget()
    }

    fn try_remove_fabric(&mut self, fabric: FabricIndex) -> Result<(), Error> {
        self.unforgotten.fabrics.insert(fabric.get());
        self.forget()
    }

    /// Reports what went wrong. That costs a resumption at most, or the removal is repeated.
    fn or_default<T: Default>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, Error>) -> T {
        act(self).unwrap_or_else(|error| {
            eprintln!("the store failed: {error}");
            T::default()
        })
    }
}

fn begin(database: &Database) -> Result<WriteTransaction, Error> {
    let mut write = database.begin_write()?;
    // Peers choose some of what is stored: no checksum alone shall tell an old state from a
    // torn one.
    write.set_two_phase_commit(true);
    Ok(write)
}

fn remove_records(write: &WriteTransaction, fabric: u8) -> Result<(), Error> {
    write.open_table(RECORDS)?.retain(|(of, _), _| of != fabric)?;
    write.open_table(IDS)?.retain(|(of, ..), ()| of != fabric)?;
    Ok(())
}

/// A record is removed, and its id with it unless it was claimed. The id of a damaged record is not
/// known, so that all ids of its peer are looked for.
fn discard(
    records: &mut Table<'_, Key, &[u8]>,
    ids: &mut Table<'_, (u8, [u8; 16], u64), ()>,
    key: Key,
) -> Result<(), Error> {
    let former = records.remove(key)?.map(|row| decode(key, row.value()));
    match former {
        Some(Some(former)) => drop(ids.remove((key.0, *former.id.as_bytes(), key.1))?),
        Some(None) => ids.retain(|(fabric, _, peer), ()| (fabric, peer) != key)?,
        None => {}
    }
    Ok(())
}

/// The length of a check value.
const CHECK: usize = 32;

/// SHA-256 over the key and the value of a row, so that no damage turns one record into another,
/// nor moves it to another peer. It has no key: who can write the file can add fabrics, too.
fn check(key: Key, value: &[u8]) -> [u8; CHECK] {
    let mut hash = RustCrypto.sha256();
    hash.update(&[key.0]);
    hash.update(&key.1.to_le_bytes());
    hash.update(value);
    hash.finish()
}

/// A row: a value and its check value.
fn with_check(key: Key, value: &[u8]) -> Vec<u8> {
    [value, &check(key, value)].concat()
}

/// The value of a row, unless it is damaged.
fn checked(key: Key, row: &[u8]) -> Option<&[u8]> {
    let (value, found) = row.split_last_chunk()?;
    (check(key, value) == *found).then_some(value)
}

fn decode(key: Key, row: &[u8]) -> Option<ResumptionRecord> {
    ResumptionRecord::from_bytes(checked(key, row)?).ok()
}

impl ResumptionStore for Store {
    fn by_id(
        &mut self,
        fabric: FabricIndex,
        id: &ResumptionId,
        n: usize,
    ) -> Option<ResumptionRecord> {
        self.or_default(|store| store.find_by_id(fabric, id, n))
    }

    fn by_peer(&mut self, Peer { fabric, node: peer }: Peer) -> Option<ResumptionRecord> {
        self.or_default(|store| store.find((fabric.get(), peer.get())))
    }

    fn claim(&mut self, peer: Peer, id: &ResumptionId) -> Claim {
        // What may not have reached the disk is refused: the peer gets the full handshake.
        let claimed = self.or_default(|store| store.try_claim(peer, id));
        if claimed { Claim::Granted } else { Claim::Refused }
    }

    fn save(&mut self, record: &ResumptionRecord) {
        self.or_default(|store| store.try_save(record));
    }

    fn remove(&mut self, Peer { fabric, node: peer }: Peer) {
        self.or_default(|store| store.try_remove((fabric.get(), peer.get())));
    }

    fn remove_fabric(&mut self, fabric: FabricIndex) {
        self.or_default(|store| store.try_remove_fabric(fabric));
    }
}

#[cfg(test)]
impl Store {
    /// Adds an entry to the index, as damage could.
    pub(crate) fn damage_index(&mut self, fabric: u8, id: u8, peer: u64) {
        let added = self.database.attempt(|database| {
            let write = begin(database)?;
            write.open_table(IDS)?.insert((fabric, [id; 16], peer), ())?;
            Ok(write.commit()?)
        });
        assert!(added.is_ok());
    }
}
