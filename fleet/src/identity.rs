//! What makes several processes one node: the membership of the fabric with its index, the
//! operational key, and the key of the shared rows. It is secret.

use std::io::{Read, Write};

use matter_session::crypto::{Secret, SigningKey};
use matter_session::fabric::Fabric;
use matter_session::manager::HeapSessionManager;

use crate::{Outcome, RowKey};

/// The identity of the node. A product keeps it in a vault, and the key in an HSM if it has one.
#[derive(Clone, Debug)]
pub struct Identity {
    key: Secret<32>,
    /// The key of the rows.
    pub rows: RowKey,
    fabric: Secret<{ Fabric::ENCODED_MAX_LEN }>,
    len: usize,
}

impl Identity {
    /// Takes the identity of a manager that was commissioned, with its only fabric.
    ///
    /// # Errors
    /// It is in no fabric.
    pub fn of(manager: &HeapSessionManager, key: &SigningKey, rows: RowKey) -> Outcome<Self> {
        let mut fabric = Secret::zero();
        let membership = manager.fabrics().iter().next().ok_or("in no fabric")?;
        let len = membership.encode(fabric.as_mut_bytes()).map_err(|_| "a fabric is too long")?;
        Ok(Self { key: key.to_bytes(), rows, fabric, len })
    }

    /// Makes a manager this node. Returns its operational key.
    ///
    /// # Errors
    /// The identity is damaged.
    pub fn assume(&self, manager: &mut HeapSessionManager) -> Outcome<SigningKey> {
        let fabric = self.fabric.as_bytes().get(..self.len).unwrap_or_default();
        manager.fabrics_mut().restore(fabric)?;
        Ok(SigningKey::from_bytes(&self.key)?)
    }

    /// Writes the identity, for another process.
    ///
    /// # Errors
    /// The other side is gone.
    pub fn write(&self, mut to: impl Write) -> Outcome {
        to.write_all(self.key.as_bytes())?;
        to.write_all(self.rows.as_secret().as_bytes())?;
        to.write_all(self.fabric.as_bytes().get(..self.len).unwrap_or_default())?;
        Ok(())
    }

    /// Reads an identity to its end.
    ///
    /// # Errors
    /// It is not one.
    pub fn read(mut from: impl Read) -> Outcome<Self> {
        let [mut key, mut rows] = [const { Secret::zero() }; 2];
        from.read_exact(key.as_mut_bytes())?;
        from.read_exact(rows.as_mut_bytes())?;
        let (mut fabric, mut len) = (Secret::<{ Fabric::ENCODED_MAX_LEN }>::zero(), 0);
        loop {
            let rest = fabric.as_mut_bytes().get_mut(len..).unwrap_or_default();
            match from.read(rest)? {
                0 => return Ok(Self { key, rows: RowKey::new(rows), fabric, len }),
                read => len += read,
            }
        }
    }
}
