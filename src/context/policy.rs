//! The policy by which the application accepts or rejects peers that CASE has authenticated.

use thiserror::Error;

use crate::bytes::debug_lengths;
use crate::crypto::PublicKey;
use crate::ids::{CaseAuthTags, Peer};
use crate::resumption::ResumptionRecord;
use crate::time::MatterTime;

/// An authenticated peer, before a session with it is made.
#[derive(Debug)]
#[non_exhaustive]
pub struct PeerIdentity<'a> {
    /// The peer: its node id, on the fabric that both nodes are members of.
    pub peer: Peer,
    /// The peer's CASE Authenticated Tags.
    pub cats: CaseAuthTags,
    /// Its certificates; `None` when the session is resumed.
    pub certificates: Option<PeerCertificates<'a>>,
    /// The earliest end of validity among its certificates (and the root, if its period counts:
    /// [`ValidityPolicy::All`](crate::cert::ValidityPolicy::All)), also of a session that is
    /// resumed; `None` if none of them ends.
    pub valid_until: Option<MatterTime>,
    /// When it presented its certificates: now, or in the full handshake before the resumption.
    /// `None` if the calendar time was not known then.
    pub authenticated: Option<MatterTime>,
}

impl PeerIdentity<'_> {
    /// The peer of a session that is resumed.
    pub(crate) const fn of_record(record: &ResumptionRecord) -> Self {
        Self {
            peer: Peer::new(record.fabric, record.peer),
            cats: record.cats,
            certificates: None,
            valid_until: record.valid_until,
            authenticated: record.authenticated,
        }
    }
}

/// The policy rejects the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[error("rejected by policy")]
pub struct Rejected;

/// Decides on peers whose certificate chain was verified: for example with a revocation list.
pub trait PeerPolicy {
    /// Accepts or rejects the peer.
    ///
    /// # Errors
    /// [`Rejected`] ends the handshake with an InvalidParameter report.
    fn authorize(&self, peer: &PeerIdentity<'_>) -> Result<(), Rejected>;
}

/// Accepts every peer that belongs to the fabric.
#[derive(Clone, Copy, Debug, Default)]
pub struct AcceptAll;

impl PeerPolicy for AcceptAll {
    fn authorize(&self, _: &PeerIdentity<'_>) -> Result<(), Rejected> {
        Ok(())
    }
}

/// The certificates that the peer presented, verified. They borrow the peer's message.
#[derive(Clone, Copy)]
pub struct PeerCertificates<'a> {
    noc: &'a [u8],
    icac: Option<&'a [u8]>,
    public_key: &'a PublicKey,
}

debug_lengths!(PeerCertificates[]['_]: public_key; noc);

impl<'a> PeerCertificates<'a> {
    /// Returns the operational certificate, Matter TLV.
    #[must_use]
    pub const fn noc(&self) -> &'a [u8] {
        self.noc
    }

    /// Returns the intermediate certificate that issued the operational one, Matter TLV; `None` if
    /// the root issued it.
    #[must_use]
    pub const fn icac(&self) -> Option<&'a [u8]> {
        self.icac
    }

    /// Returns the public key of the operational certificate.
    #[must_use]
    pub const fn public_key(&self) -> &'a PublicKey {
        self.public_key
    }

    /// Certificates that were verified.
    pub(crate) const fn new(
        noc: &'a [u8],
        icac: Option<&'a [u8]>,
        public_key: &'a PublicKey,
    ) -> Self {
        Self { noc, icac, public_key }
    }
}
