//! The certificates that a peer has presented, until the application has had a look at them.

use crate::cert::MAX_CERT_LEN;
use crate::context::PeerCertificates;
use crate::crypto::PublicKey;
use crate::handshake::case::KeepCertificates;
use crate::manager::handle::HandshakeId;
use crate::manager::storage::{Held, Octets, Owner, Storage};

/// What a handshake's slot knows of them; the octets stand with those of messages.
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

/// Room for the certificates of one peer, in octets.
pub(in crate::manager) const CERTIFICATES_LEN: usize = 2 * MAX_CERT_LEN;

impl<S: Storage> Kept<S> {
    /// What a keeper has kept in `held`; the rest of it is given back.
    pub(in crate::manager) fn settle(
        octets: &mut S::Octets,
        id: HandshakeId,
        held: Held<S>,
        facts: Option<Facts>,
    ) -> Option<Self> {
        let owner = Owner::Certificates(id);
        match facts {
            Some(facts) => {
                octets.shrink(owner, facts.len);
                Some(Self { held, facts })
            }
            None => {
                octets.release(owner);
                None
            }
        }
    }

    pub(in crate::manager) fn lend<'a>(
        &'a self,
        octets: &'a S::Octets,
        id: HandshakeId,
    ) -> Option<PeerCertificates<'a>> {
        let Self { held, facts } = self;
        let octets = octets.get(Owner::Certificates(id), held).get(..facts.len)?;
        let (noc, icac) = octets.split_at_checked(facts.icac)?;
        let icac = Some(icac).filter(|icac| !icac.is_empty());
        Some(PeerCertificates::new(noc, icac, &facts.public_key))
    }
}

/// Takes certificates in as a handshake verifies them.
pub(in crate::manager) struct Keeper<'a> {
    octets: &'a mut [u8],
    pub(in crate::manager) facts: Option<Facts>,
}

impl<'a> Keeper<'a> {
    /// Keeps what fits `octets`.
    pub(in crate::manager) const fn new(octets: &'a mut [u8]) -> Self {
        Self { octets, facts: None }
    }
}

impl KeepCertificates for Keeper<'_> {
    fn keep(&mut self, certificates: &PeerCertificates<'_>) {
        let (noc, icac) = (certificates.noc(), certificates.icac().unwrap_or_default());
        let len = noc.len().saturating_add(icac.len());
        let Some(octets) = self.octets.get_mut(..len) else { return };
        for (to, from) in octets.iter_mut().zip(noc.iter().chain(icac)) {
            *to = *from;
        }
        self.facts = Some(Facts { icac: noc.len(), len, public_key: *certificates.public_key() });
    }
}
