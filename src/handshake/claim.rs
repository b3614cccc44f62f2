//! The claim on a resumption record, as a step that the caller completes.

use crate::ids::Peer;
use crate::session::ResumptionId;

/// A request to delete a resumption record for good, before a responder answers from it.
///
/// Delete every stored copy of the record, wait until that is durable, and complete the request. A
/// copy that comes back later, for example because power failed before the deletion reached the
/// medium, lets an attacker repeat the session: see [`resumption`](crate::resumption).
///
/// It can be answered once, and only the handshake that made it accepts the answer.
#[must_use = "the handshake waits until the request is completed"]
#[derive(Debug)]
pub struct ClaimRequest {
    peer: Peer,
    id: ResumptionId,
    /// The new id of the record, which this handshake has drawn: no two requests share one.
    token: ResumptionId,
}

impl ClaimRequest {
    pub(crate) const fn new(peer: Peer, id: ResumptionId, token: ResumptionId) -> Self {
        Self { peer, id, token }
    }

    /// Returns the peer whose record is claimed.
    #[must_use]
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// Returns the id of the record that is claimed.
    #[must_use]
    pub const fn id(&self) -> &ResumptionId {
        &self.id
    }

    /// Completes the request; pass the result to
    /// [`Records::complete_claim`](crate::manager::Records::complete_claim). `granted`: no copy of
    /// the record is left, and none can come back. If in doubt, pass false: the handshake becomes a
    /// full one.
    ///
    /// If several managers share what is stored, two of them can be asked for one record, by a
    /// Sigma1 and its copy. Then grant the request only to the one whose deletion found the record.
    pub const fn complete(self, granted: bool) -> Claimed {
        Claimed { peer: self.peer, id: self.id, token: self.token, granted }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for ClaimRequest {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "ClaimRequest({}, fabric {})", self.peer.node, self.peer.fabric);
    }
}

/// A completed [`ClaimRequest`].
#[must_use = "pass it to `Records::complete_claim`"]
#[derive(Debug)]
pub struct Claimed {
    peer: Peer,
    id: ResumptionId,
    token: ResumptionId,
    granted: bool,
}

impl Claimed {
    pub(crate) const fn peer(&self) -> Peer {
        self.peer
    }

    pub(crate) const fn id(&self) -> &ResumptionId {
        &self.id
    }

    pub(crate) fn answers(&self, token: &ResumptionId) -> bool {
        self.token == *token
    }

    pub(crate) const fn granted(&self) -> bool {
        self.granted
    }

    /// Withdraws the grant.
    pub(crate) const fn refused(mut self) -> Self {
        self.granted = false;
        self
    }
}
