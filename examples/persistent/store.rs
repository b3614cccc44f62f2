//! What a controller keeps in an embedded database: resumption records, fabrics, keys.

use std::fs::File;
use std::path::Path;

use matter_session::crypto::{Secret, SigningKey};
use matter_session::fabric::Fabric;
use matter_session::ids::{FabricIndex, NodeId, Peer};
use matter_session::resumption::{Claim, ResumptionRecord, ResumptionStore};
use matter_session::session::ResumptionId;
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};

/// Records by fabric and peer.
const RECORDS: TableDefinition<'_, (u8, u64), &[u8]> = TableDefinition::new("records");
/// By fabric and id the peers whose record has the id: for responders, and only while nobody has
/// claimed it.
const IDS: TableDefinition<'_, (u8, [u8; 16], u64), ()> = TableDefinition::new("record ids");
/// Fabrics by index.
const FABRICS: TableDefinition<'_, u8, &[u8]> = TableDefinition::new("fabrics");
/// The operational key of each.
const KEYS: TableDefinition<'_, u8, [u8; 32]> = TableDefinition::new("keys");

pub(crate) type Error = Box<dyn core::error::Error>;

/// A database that one process has open. It holds secrets in the clear, so on Unix its file is made
/// for its owner alone. A product sees to that elsewhere, too, and to copies of the file, or it
/// encrypts the rows.
pub(crate) struct Store {
    database: Database,
}

/// A membership as it is stored.
pub(crate) struct Membership {
    pub(crate) fabric: Vec<u8>,
    pub(crate) key: SigningKey,
}

impl Store {
    /// Opens the database, or makes it. A file that is there keeps its permissions.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Self::of(Database::builder().create_file(options.open(path)?)?)
    }

    pub(crate) fn of(database: Database) -> Result<Self, Error> {
        let store = Self { database };
        let write = store.begin()?;
        write.open_table(RECORDS)?;
        write.open_table(IDS)?;
        write.open_table(FABRICS)?;
        write.open_table(KEYS)?;
        write.commit()?;
        Ok(store)
    }

    fn begin(&self) -> Result<WriteTransaction, Error> {
        let mut write = self.database.begin_write()?;
        // Peers choose some of what is stored: no checksum alone shall tell an old state from a
        // torn one.
        write.set_two_phase_commit(true);
        Ok(write)
    }

    /// Keeps a fabric with its operational key: right after it was added or updated. If records
    /// are left of what had its index before, they go in the same step.
    pub(crate) fn keep_fabric(&self, fabric: Fabric<'_>, key: &SigningKey) -> Result<(), Error> {
        let mut bytes = Secret::<{ Fabric::ENCODED_MAX_LEN }>::zero();
        let len = fabric.encode(bytes.as_mut_bytes()).map_err(|_| "a fabric is too long")?;
        let index = fabric.index().get();
        let write = self.begin()?;
        write
            .open_table(FABRICS)?
            .insert(index, bytes.as_bytes().get(..len).unwrap_or_default())?;
        write.open_table(KEYS)?.insert(index, key.to_bytes().as_bytes())?;
        remove_records(&write, index)?;
        Ok(write.commit()?)
    }

    /// All memberships, to be restored at the start.
    pub(crate) fn memberships(&self) -> Result<Vec<Membership>, Error> {
        let read = self.database.begin_read()?;
        let (fabrics, keys) = (read.open_table(FABRICS)?, read.open_table(KEYS)?);
        let mut memberships = Vec::new();
        for entry in fabrics.iter()? {
            let (index, fabric) = entry?;
            let key = keys.get(index.value())?.ok_or("a fabric without its key")?;
            let key = SigningKey::from_bytes(&Secret::from(&key.value()))?;
            memberships.push(Membership { fabric: fabric.value().to_vec(), key });
        }
        Ok(memberships)
    }

    /// All records; those that cannot be read are none.
    pub(crate) fn records(&self) -> Result<Vec<ResumptionRecord>, Error> {
        let read = self.database.begin_read()?;
        let mut records = Vec::new();
        for entry in read.open_table(RECORDS)?.iter()? {
            records.extend(ResumptionRecord::from_bytes(entry?.1.value()));
        }
        Ok(records)
    }

    fn find(&self, (fabric, peer): (u8, u64)) -> Result<Option<ResumptionRecord>, Error> {
        let read = self.database.begin_read()?;
        let row = read.open_table(RECORDS)?.get((fabric, peer))?;
        Ok(row.and_then(|row| ResumptionRecord::from_bytes(row.value()).ok()))
    }

    fn holder(&self, of: FabricIndex, id: &ResumptionId, n: usize) -> Result<Option<u64>, Error> {
        let read = self.database.begin_read()?;
        let (fabric, id) = (of.get(), *id.as_bytes());
        let mut holders = read.open_table(IDS)?.range((fabric, id, 0)..=(fabric, id, u64::MAX))?;
        Ok(holders.nth(n).transpose()?.map(|(key, _)| key.value().2))
    }

    /// On disk before the peer is answered: a process that is killed and comes back does not
    /// answer from the record a second time.
    fn try_claim(&self, peer: Peer, id: &ResumptionId) -> Result<bool, Error> {
        let write = self.begin()?;
        let key = (peer.fabric.get(), *id.as_bytes(), peer.node.get());
        let claimed = write.open_table(IDS)?.remove(key)?.is_some();
        write.commit()?;
        Ok(claimed)
    }

    /// The former record goes and the new one comes, or neither.
    fn try_save(&self, record: &ResumptionRecord) -> Result<(), Error> {
        let key = (record.fabric.get(), record.peer.get());
        let write = self.begin()?;
        {
            let (mut records, mut ids) = (write.open_table(RECORDS)?, write.open_table(IDS)?);
            discard(&mut records, &mut ids, key)?;
            ids.insert((key.0, *record.id.as_bytes(), key.1), ())?;
            records.insert(key, &record.to_bytes().as_bytes()[..])?;
        }
        Ok(write.commit()?)
    }

    fn try_remove(&self, fabric: FabricIndex, peer: NodeId) -> Result<(), Error> {
        let key = (fabric.get(), peer.get());
        let write = self.begin()?;
        discard(&mut write.open_table(RECORDS)?, &mut write.open_table(IDS)?, key)?;
        Ok(write.commit()?)
    }

    fn try_remove_fabric(&self, fabric: FabricIndex) -> Result<(), Error> {
        let write = self.begin()?;
        remove_records(&write, fabric.get())?;
        Ok(write.commit()?)
    }
}

fn remove_records(write: &WriteTransaction, fabric: u8) -> Result<(), Error> {
    write.open_table(RECORDS)?.retain(|(of, _), _| of != fabric)?;
    write.open_table(IDS)?.retain(|(of, ..), ()| of != fabric)?;
    Ok(())
}

/// A record goes, and its id with it unless it was claimed.
fn discard(
    records: &mut Table<'_, (u8, u64), &[u8]>,
    ids: &mut Table<'_, (u8, [u8; 16], u64), ()>,
    key: (u8, u64),
) -> Result<(), Error> {
    let former = records.remove(key)?.map(|row| ResumptionRecord::from_bytes(row.value()));
    if let Some(Ok(former)) = former {
        ids.remove((key.0, *former.id.as_bytes(), key.1))?;
    }
    Ok(())
}

/// What went wrong is told, and costs a resumption at most.
fn or_default<T: Default>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| {
        eprintln!("the store failed: {error}");
        T::default()
    })
}

impl ResumptionStore for Store {
    fn by_id(
        &mut self,
        fabric: FabricIndex,
        id: &ResumptionId,
        n: usize,
    ) -> Option<ResumptionRecord> {
        let holder = or_default(self.holder(fabric, id, n))?;
        or_default(self.find((fabric.get(), holder)))
    }

    fn by_peer(&mut self, Peer { fabric, node: peer }: Peer) -> Option<ResumptionRecord> {
        or_default(self.find((fabric.get(), peer.get())))
    }

    fn claim(&mut self, peer: Peer, id: &ResumptionId) -> Claim {
        // What may not have reached the disk is refused: the peer gets the full handshake.
        if or_default(self.try_claim(peer, id)) { Claim::Granted } else { Claim::Refused }
    }

    fn save(&mut self, record: &ResumptionRecord) {
        // If this fails the former record stays on disk; the peer has forgotten it, and if it was
        // resumed here, it is claimed for good.
        or_default(self.try_save(record));
    }

    fn remove(&mut self, Peer { fabric, node: peer }: Peer) {
        // If this fails the peer can still resume. A product would have its operator try again.
        or_default(self.try_remove(fabric, peer));
    }

    fn remove_fabric(&mut self, fabric: FabricIndex) {
        or_default(self.try_remove_fabric(fabric));
    }
}
