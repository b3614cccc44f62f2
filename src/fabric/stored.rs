//! A fabric as bytes, to outlive a restart.

use zeroize::Zeroize;

use super::{EpochStart, Fabric, FabricBuf, FabricCredentials, FabricError, Ipk};
use crate::bytes::{Buffer, Overflow, Sink};
use crate::cert::MAX_CERT_LEN;
use crate::crypto::{Crypto, Secret};
use crate::ids::FabricIndex;

const VERSION: u8 = 2;
/// A key and its start.
const IPK_LEN: usize = 16 + 8;
const CHECKSUM_LEN: usize = 4;
/// Version, index, number of keys, and the lengths of three certificates.
const HEAD_LEN: usize = 3 + 3 * 2;

impl Fabric<'_> {
    /// The most bytes that the encoded form takes.
    pub const ENCODED_MAX_LEN: usize =
        HEAD_LEN + Self::MAX_IPKS * IPK_LEN + 3 * MAX_CERT_LEN + CHECKSUM_LEN;

    /// Writes the fabric as versioned bytes, to be stored, and returns how many. They are secret,
    /// as identity protection keys are among them: the caller wipes its copy.
    ///
    /// ```text
    /// version 2 | fabric index | number of keys
    ///   | lengths of RCAC, ICAC, NOC LE (2 each; ICAC 0 = none)
    ///   | operational identity protection keys (16), each with its start in microseconds LE (8)
    ///   | RCAC | ICAC | NOC | CRC-32 LE (4)
    /// ```
    ///
    /// # Errors
    /// [`Overflow`] if they do not fit into `out`; [`ENCODED_MAX_LEN`](Self::ENCODED_MAX_LEN)
    /// bytes always do. No key is left in `out` then.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, Overflow> {
        let encoded = self.write(&mut Buffer::new(out));
        if encoded.is_err() {
            out.zeroize();
        }
        encoded
    }

    fn write(&self, out: &mut Buffer<'_>) -> Result<usize, Overflow> {
        let certificates = [self.root(), self.icac().unwrap_or_default(), self.noc()];
        let keys = u8::try_from(self.all_ipks().count()).map_err(|_| Overflow)?;
        out.put(&[VERSION, self.index().get(), keys])?;
        for certificate in certificates {
            let len = u16::try_from(certificate.len()).map_err(|_| Overflow)?;
            out.put(&len.to_le_bytes())?;
        }
        for (key, start) in self.all_ipks() {
            out.put(key.as_bytes())?;
            out.put(&start.as_micros().to_le_bytes())?;
        }
        for certificate in certificates {
            out.put(certificate)?;
        }
        let checksum = crc32(out.written_mut());
        out.put(&checksum.to_le_bytes())?;
        Ok(out.written_mut().len())
    }

    /// Reads the encoded form and hands on what it holds.
    pub(crate) fn read<R, E: From<FabricError>>(
        bytes: &[u8],
        then: impl FnOnce(
            FabricIndex,
            &FabricCredentials<'_>,
            &[EpochStart; Fabric::MAX_IPKS],
        ) -> Result<R, E>,
    ) -> Result<R, E> {
        let (rest, checksum) = bytes.split_last_chunk().ok_or(FabricError::Stored)?;
        if crc32(rest) != u32::from_le_bytes(*checksum) {
            return Err(FabricError::Stored.into());
        }
        let mut rest = rest;
        let [version, index, keys] = *chunk(&mut rest)?;
        let keys = usize::from(keys);
        if version != VERSION || !(1..=Self::MAX_IPKS).contains(&keys) {
            return Err(FabricError::Stored.into());
        }
        let index = FabricIndex::new(index).ok_or(FabricError::Stored)?;
        let mut lengths = [0; 3];
        for len in &mut lengths {
            *len = usize::from(u16::from_le_bytes(*chunk(&mut rest)?));
        }
        let mut ipks = [const { Ipk::OperationalKey(Secret::zero()) }; Self::MAX_IPKS];
        let mut starts = [EpochStart::default(); Self::MAX_IPKS];
        for (ipk, start) in ipks.iter_mut().zip(&mut starts).take(keys) {
            *ipk = Ipk::OperationalKey(Secret::from(chunk(&mut rest)?));
            *start = EpochStart::from_micros(u64::from_le_bytes(*chunk(&mut rest)?));
        }
        let [root, icac, noc] = lengths.map(|len| take(&mut rest, len));
        let icac = Some(icac?).filter(|icac| !icac.is_empty());
        let ipks = ipks.get(..keys).unwrap_or_default();
        let credentials = FabricCredentials { root: root?, icac, noc: noc?, ipks };
        if !rest.is_empty() {
            return Err(FabricError::Stored.into());
        }
        then(index, &credentials, &starts)
    }
}

impl FabricBuf {
    /// Reads the encoded form.
    ///
    /// Certificates are parsed, but no signature is verified again and no chain is: whoever can
    /// write to the store can make this node a member of any fabric.
    ///
    /// # Errors
    /// [`FabricError::Stored`] for damaged bytes and for another version;
    /// [`FabricError::Certificate`] and [`FabricError::Chain`] for certificates that no fabric
    /// has; [`FabricError::Crypto`].
    pub fn decode<C: Crypto>(crypto: &C, bytes: &[u8]) -> Result<Self, FabricError> {
        Fabric::read(bytes, |index, credentials, starts| {
            Ok(Self::of(credentials.trust(crypto, index, starts)?.fabric()))
        })
    }
}

fn chunk<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], FabricError> {
    crate::bytes::take(rest).ok_or(FabricError::Stored)
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], FabricError> {
    let (head, tail) = rest.split_at_checked(len).ok_or(FabricError::Stored)?;
    *rest = tail;
    Ok(head)
}

/// CRC-32 as in IEEE 802.3, without a table: it runs once per fabric and start.
fn crc32(octets: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xEDB8_8320;
    let step = |crc: u32| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ POLYNOMIAL };
    !octets
        .iter()
        .fold(u32::MAX, |crc, octet| (0..8).fold(crc ^ u32::from(*octet), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_ethernet() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
