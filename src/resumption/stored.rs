//! The form in which a resumption record is stored.

use thiserror::Error;

use super::ResumptionRecord;
use crate::bytes::{take, write_parts};
use crate::crypto::Secret;
use crate::fabric::CompressedFabricId;
use crate::ids::{CaseAuthTag, CaseAuthTags, FabricIndex, NodeId};
use crate::session::{ResumptionId, SessionParameters};
use crate::time::MatterTime;

/// The bytes are not an encoded [`ResumptionRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("not a resumption record of a known version")]
pub struct RecordError;

/// The former version, which ends behind the tags.
const VERSION_2: u8 = 2;
const LEN_2: usize = 1 + 1 + 8 + 8 + ResumptionId::LEN + 32 + 4 * CaseAuthTags::CAPACITY;
const VERSION_3: u8 = 3;
/// Flags: the end of validity and the time of the full handshake are there.
const ENDS: u8 = 1;
const TIMED: u8 = 2;

impl ResumptionRecord {
    /// Length of the encoded form in bytes.
    pub const ENCODED_LEN: usize = LEN_2 + 1 + 4 + 4 + 4 + SessionParameters::STORED_LEN;

    /// Returns the record as versioned bytes, to be stored. They are secret: their holder can
    /// impersonate either node to the other.
    ///
    /// ```text
    /// version 3 | fabric index | compressed fabric id (8) | node id LE (8) | id (16) | secret (32)
    /// | 3 tags LE (4 each, 0 = none) | flags | valid until LE (4) | authenticated LE (4)
    /// | age LE (4) | session parameters (26)
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Secret<{ Self::ENCODED_LEN }> {
        let mut bytes = Secret::zero();
        let mut tags = self.cats.iter().map(CaseAuthTag::get);
        let mut tag = || tags.next().unwrap_or(0).to_le_bytes();
        let seconds = |time: Option<MatterTime>| time.map_or(0, MatterTime::as_seconds);
        let flags = if self.valid_until.is_some() { ENDS } else { 0 }
            | if self.authenticated.is_some() { TIMED } else { 0 };
        let parts: [&[u8]; 14] = [
            &[VERSION_3],
            &[self.fabric.get()],
            self.compressed_fabric.as_bytes(),
            &self.peer.get().to_le_bytes(),
            self.id.as_bytes(),
            self.shared_secret.as_bytes(),
            &tag(),
            &tag(),
            &tag(),
            &[flags],
            &seconds(self.valid_until).to_le_bytes(),
            &seconds(self.authenticated).to_le_bytes(),
            &self.age_seconds.to_le_bytes(),
            &self.parameters.to_stored(),
        ];
        write_parts(bytes.as_mut_bytes(), &parts);
        bytes
    }

    /// Reads the encoded form, of version 3 or 2.
    ///
    /// A record of version 2 contains no times, no age and no session parameters: it counts as new
    /// when it is restored, ends by its lifetime alone, and its peer has the default parameters.
    /// The next session is saved in version 3, with the age that counts from then on.
    ///
    /// # Errors
    /// [`RecordError`] for another length or version, and for values that no record has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        Self::read(bytes).ok_or(RecordError)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let [version] = *take(&mut rest)?;
        let len = if version == VERSION_2 { LEN_2 } else { Self::ENCODED_LEN };
        if bytes.len() != len {
            return None;
        }
        let [fabric] = *take(&mut rest)?;
        let fabric = FabricIndex::new(fabric)?;
        let compressed_fabric = CompressedFabricId::from_bytes(*take(&mut rest)?);
        let peer = NodeId::new(u64::from_le_bytes(*take(&mut rest)?));
        if !peer.is_operational() {
            return None;
        }
        let id = ResumptionId::new(*take(&mut rest)?);
        let shared_secret = Secret::from(take(&mut rest)?);
        let mut cats = CaseAuthTags::NONE;
        for _ in 0..CaseAuthTags::CAPACITY {
            let tag = u32::from_le_bytes(*take(&mut rest)?);
            if tag != 0 && !cats.insert(CaseAuthTag::new(tag)?) {
                return None;
            }
        }
        let Facts { valid_until, authenticated, age_seconds, parameters } = match version {
            VERSION_2 => Facts::default(),
            VERSION_3 => Facts::read(rest)?,
            _ => return None,
        };
        Some(Self {
            id,
            fabric,
            compressed_fabric,
            peer,
            cats,
            shared_secret,
            valid_until,
            authenticated,
            parameters,
            age_seconds,
        })
    }
}

/// The values that version 3 has and version 2 has not.
#[derive(Default)]
struct Facts {
    valid_until: Option<MatterTime>,
    authenticated: Option<MatterTime>,
    age_seconds: u32,
    parameters: SessionParameters,
}

impl Facts {
    fn read(mut rest: &[u8]) -> Option<Self> {
        let [flags] = *take(&mut rest)?;
        let mut time = |flag| match (flags & flag != 0, u32::from_le_bytes(*take(&mut rest)?)) {
            (true, seconds) => Some(Some(MatterTime::from_seconds(seconds))),
            (false, 0) => Some(None),
            (false, _) => None,
        };
        let (valid_until, authenticated) = (time(ENDS)?, time(TIMED)?);
        let age_seconds = u32::from_le_bytes(*take(&mut rest)?);
        let parameters = SessionParameters::from_stored(take(&mut rest)?)?;
        let is_known = flags & !(ENDS | TIMED) == 0;
        is_known.then_some(Self { valid_until, authenticated, age_seconds, parameters })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    #[test]
    fn records_survive_their_encoding() {
        for record in [record(), ResumptionRecord { age_seconds: 77, ..record() }] {
            let bytes = record.to_bytes();
            assert_eq!(ResumptionRecord::from_bytes(bytes.as_bytes()), Ok(record));
        }
    }

    #[test]
    fn damaged_records_are_refused() {
        let bytes = *record().to_bytes().as_bytes();
        assert_eq!(ResumptionRecord::from_bytes(&bytes[1..]), Err(RecordError));
        for (at, value) in [(0, 2), (0, 4), (1, 0), (1, 255), (66, 0), (78, 7), (78, 1), (91, 8)] {
            let mut bad = bytes;
            bad[at] = value;
            assert_eq!(ResumptionRecord::from_bytes(&bad), Err(RecordError), "octet {at}");
        }
        let mut no_node = bytes;
        no_node[10..18].fill(0);
        assert_eq!(ResumptionRecord::from_bytes(&no_node), Err(RecordError));
    }

    /// The bytes that the former version wrote.
    #[test]
    fn a_record_of_version_2_is_read_without_times_and_with_the_default_parameters() {
        let mut bytes = [0; LEN_2];
        bytes[..2].copy_from_slice(&[2, 3]);
        bytes[2..10].fill(4);
        bytes[10..18].copy_from_slice(&0x0123_4567_89AB_CDEF_u64.to_le_bytes());
        bytes[18..34].fill(7);
        bytes[34..66].fill(9);
        bytes[66..70].copy_from_slice(&0xABCD_0002_u32.to_le_bytes());
        let read = ResumptionRecord {
            valid_until: None,
            authenticated: None,
            age_seconds: 0,
            parameters: SessionParameters::default(),
            ..record()
        };
        assert_eq!(ResumptionRecord::from_bytes(&bytes), Ok(read));
        assert_eq!(ResumptionRecord::from_bytes(&bytes[1..]), Err(RecordError));
        bytes[0] = 3;
        assert_eq!(ResumptionRecord::from_bytes(&bytes), Err(RecordError));
    }
}
