//! The encrypted parts of Sigma2 and Sigma3.

use crate::crypto::{Crypto, KEY_LEN, OneTimeKey, Secret};
use crate::handshake::case::messages::{Sigma2, Sigma3, TbeData};
use crate::handshake::case::{TBE_DATA2_NONCE, TBE_DATA3_NONCE, open_tbe};
use crate::wire::secure_channel::Opcode;

/// Decrypts the certificates in the payload of a Sigma2 or Sigma3, in place, with a key of the
/// [key log](crate#features). `None` if the payload is another message, is malformed, or was
/// encrypted with another key; its content is lost then.
#[must_use]
pub fn open_sigma<'m, C: Crypto>(
    crypto: &C,
    opcode: Opcode,
    key: &Secret<KEY_LEN>,
    payload: &'m mut [u8],
) -> Option<TbeData<'m>> {
    let (range, nonce) = match opcode {
        Opcode::CASE_SIGMA2 => (Sigma2::parse(payload).ok()?.encrypted, TBE_DATA2_NONCE),
        Opcode::CASE_SIGMA3 => (Sigma3::parse(payload).ok()?.encrypted, TBE_DATA3_NONCE),
        _ => return None,
    };
    let key = OneTimeKey::of(key.clone());
    let plain = open_tbe(crypto, key, nonce, payload.get_mut(range)?).ok()?;
    match opcode {
        Opcode::CASE_SIGMA2 => TbeData::parse2(plain).ok(),
        _ => TbeData::parse3(plain).ok(),
    }
}
