//! Encryption of records: whoever reads the store, or its backups, learns no secret.

use aes::Aes256;
use ccm::aead::{AeadInOut, KeyInit};
use ccm::consts::{U13, U16};
use matter_session::crypto::Secret;
use matter_session::ids::Peer;
use matter_session::rand_core::Rng;
use matter_session::resumption::ResumptionRecord;

type Cipher = ccm::Ccm<Aes256, U16, U13>;

const NONCE: usize = 13;
const MIC: usize = 16;

/// The key of the rows. All processes of the node have it, the store has not.
#[derive(Clone, Debug)]
pub struct RowKey(Secret<32>);

impl RowKey {
    /// Takes a key.
    #[must_use]
    pub const fn new(key: Secret<32>) -> Self {
        Self(key)
    }

    pub(crate) const fn as_secret(&self) -> &Secret<32> {
        &self.0
    }

    /// Encrypts a record for the row of its peer. Rows cannot be exchanged for one another.
    pub(crate) fn seal(
        &self,
        peer: Peer,
        record: &Secret<{ ResumptionRecord::ENCODED_LEN }>,
        rng: &mut dyn Rng,
    ) -> Option<Vec<u8>> {
        // Drawn at random: 13 bytes do not repeat before some 2^48 rows are written.
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let mut row = nonce.to_vec();
        row.extend(record.as_bytes());
        let text = row.get_mut(NONCE..)?;
        let mic = self.cipher().encrypt_inout_detached(&nonce.into(), &name(peer), text.into());
        row.extend(mic.ok()?);
        Some(row)
    }

    /// Decrypts the record of a peer. `None` for anything that [`seal`](Self::seal) has not made
    /// for this peer.
    pub(crate) fn open(&self, peer: Peer, row: &[u8]) -> Option<ResumptionRecord> {
        let (nonce, rest) = row.split_first_chunk::<NONCE>()?;
        let (text, mic) = rest.split_last_chunk::<MIC>()?;
        let mut bytes = Secret::<{ ResumptionRecord::ENCODED_LEN }>::zero();
        if text.len() != bytes.as_bytes().len() {
            return None;
        }
        bytes.as_mut_bytes().copy_from_slice(text);
        let text = bytes.as_mut_bytes().as_mut_slice().into();
        self.cipher().decrypt_inout_detached(nonce.into(), &name(peer), text, mic.into()).ok()?;
        let record = ResumptionRecord::from_bytes(bytes.as_bytes()).ok()?;
        (Peer::new(record.fabric, record.peer) == peer).then_some(record)
    }

    fn cipher(&self) -> Cipher {
        Cipher::new(self.0.as_bytes().into())
    }
}

fn name(peer: Peer) -> Vec<u8> {
    [&[peer.fabric.get()], &peer.node.get().to_le_bytes()[..]].concat()
}
