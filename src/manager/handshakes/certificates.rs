//! The certificates that a peer has presented, kept until the application has read them.

use crate::cert::MAX_CERT_LEN;
use crate::context::PeerCertificates;
use crate::crypto::PublicKey;
use crate::handshake::case::KeepCertificates;
use crate::manager::handle::HandshakeId;
use crate::manager::storage::{ByteStore, Held, Owner, Storage};

/// The certificates of a peer as its slot keeps them. Their bytes are in the table of messages.
pub(in crate::manager) struct Kept<S: Storage> {
    held: Held<S>,
    facts: Facts,
}

#[derive(Clone, Copy)]
pub(in crate::manager) struct Facts {
    /// Where the ICAC begins, behind the NOC.
    icac: usize,
    len: usize,
    public_key: PublicKey,
}

/// Room for the certificates of one peer, in bytes.
pub(in crate::manager) const CERTIFICATES_LEN: usize = 2 * MAX_CERT_LEN;

impl<S: Storage> Kept<S> {
    /// Keeps what a keeper has copied into `held`, and releases the rest.
    pub(in crate::manager) fn settle(
        bytes: &mut S::Bytes,
        id: HandshakeId,
        held: Held<S>,
        facts: Option<Facts>,
    ) -> Option<Self> {
        let owner = Owner::Certificates(id);
        match facts {
            Some(facts) => {
                bytes.shrink(owner, facts.len);
                Some(Self { held, facts })
            }
            None => {
                bytes.release(owner);
                None
            }
        }
    }

    pub(in crate::manager) fn lend<'a>(
        &'a self,
        bytes: &'a S::Bytes,
        id: HandshakeId,
    ) -> Option<PeerCertificates<'a>> {
        let Self { held, facts } = self;
        let bytes = bytes.get(Owner::Certificates(id), held).get(..facts.len)?;
        let (noc, icac) = bytes.split_at_checked(facts.icac)?;
        let icac = Some(icac).filter(|icac| !icac.is_empty());
        Some(PeerCertificates::new(noc, icac, &facts.public_key))
    }
}

/// Copies certificates while a handshake verifies them.
pub(in crate::manager) struct Keeper<'a> {
    bytes: &'a mut [u8],
    pub(in crate::manager) facts: Option<Facts>,
}

impl<'a> Keeper<'a> {
    /// Returns a keeper that copies certificates into `bytes` if they fit.
    pub(in crate::manager) const fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, facts: None }
    }
}

impl KeepCertificates for Keeper<'_> {
    fn keep(&mut self, certificates: &PeerCertificates<'_>) {
        let (noc, icac) = (certificates.noc(), certificates.icac().unwrap_or_default());
        let len = noc.len().saturating_add(icac.len());
        let Some(bytes) = self.bytes.get_mut(..len) else { return };
        for (to, from) in bytes.iter_mut().zip(noc.iter().chain(icac)) {
            *to = *from;
        }
        self.facts = Some(Facts { icac: noc.len(), len, public_key: *certificates.public_key() });
    }
}
