//! A secure session as the application sees it.

use core::fmt;

use crate::cert::Profile;
use crate::context::PeerCertificates;
use crate::crypto::Crypto;
use crate::fabric::{Fabric, FabricTable};
use crate::ids::{LocalSessionId, Peer};
use crate::manager::event::CloseReason;
use crate::manager::handle::{PeerAddress, SessionHandle};
use crate::manager::node::Node;
use crate::manager::node::records::RecordInfo;
use crate::manager::sessions::entry::{Entry, peer_of};
use crate::manager::sessions::statistics::SessionStatistics;
use crate::manager::storage::{Chains, Storage};
use crate::session::SecureSession;
use crate::time::{Instant, MatterTime};
use crate::wire::MAX_PROTOCOL_HEADER;

/// A secure session of a manager, with all that is known of it.
///
/// Keys, counters, the peer's parameters and the times of use are those of the
/// [`SecureSession`](Self::session). The facts that depend on the node are here: the peer's
/// certificates, the record to resume from, the own fabric.
///
/// ```
/// use matter_session::manager::{SessionRef, Storage};
/// use matter_session::Crypto;
///
/// /// Describes a session to somebody who looks for a fault.
/// fn describe<C: Crypto, S: Storage, T>(session: &SessionRef<'_, C, S, T>) -> String {
///     let inside = session.session();
///     let mut text = format!("{inside} at {:?}\n", session.peer_address());
///     text += &format!("{}, {}\n", inside.cipher_suite(), inside.curve());
///     text += &format!("established at {}", inside.created_at());
///     if session.resumed_at().is_some() {
///         text += ", by resumption";
///     }
///     text += &format!(", last used at {}\n", inside.last_activity());
///     text += &format!("peer declares {:?}\n", inside.peer_parameters());
///     if let Some(verification) = session.verification() {
///         text += &format!("{verification:?}\n");
///     }
///     match session.ticket() {
///         Some(ticket) => text + &format!("can be resumed until {}", ticket.expires),
///         None => text + "cannot be resumed",
///     }
/// }
/// ```
pub struct SessionRef<'a, C: Crypto, S: Storage, T> {
    pub(super) entry: &'a Entry<C, T>,
    pub(super) defunct: bool,
    pub(super) certificates: &'a S::Chains<LocalSessionId>,
    pub(super) node: &'a Node<S>,
}

/// How the certificates of a peer were verified, and until when they are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerVerification {
    /// How strictly certificates are read, with the
    /// [policy of validity periods](Profile::validity): those of the configuration.
    pub profile: Profile,
    /// When the peer presented its certificates: in the full handshake, also if the session was
    /// resumed since. `None` if the calendar time was not known then.
    pub authenticated: Option<MatterTime>,
    /// The earliest end of validity among its certificates (and the root, if its period counts);
    /// `None` if none of them ends. A session does not end with them: close it if you want that.
    pub valid_until: Option<MatterTime>,
}

impl<'a, C: Crypto, S: Storage, T> SessionRef<'a, C, S, T> {
    /// Returns the handle of the session.
    #[must_use]
    pub const fn handle(&self) -> SessionHandle {
        self.entry.handle()
    }

    /// Returns the session itself: kind, identities, peer parameters, attestation challenge, times.
    #[must_use]
    pub const fn session(&self) -> &'a SecureSession<C> {
        &self.entry.session
    }

    /// Returns the address that the newest message of the peer came from.
    #[must_use]
    pub const fn peer_address(&self) -> PeerAddress {
        self.entry.address
    }

    /// Returns the peer, `None` for PASE. If this node began the session
    /// ([`SecureSession::role`]), it is the node that `connect_case` named.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        peer_of(self.entry.session.identity())
    }

    /// Returns when the session was resumed from a former one; `None` if a full handshake
    /// established it.
    #[must_use]
    pub fn resumed_at(&self) -> Option<Instant> {
        self.entry.is_resumed.then_some(self.entry.session.created_at())
    }

    /// Returns how the peer's certificates were verified, in the full handshake before all
    /// resumptions; `None` for PASE.
    #[must_use]
    pub fn verification(&self) -> Option<PeerVerification> {
        let time = |seconds: u32| (seconds > 0).then_some(MatterTime::from_seconds(seconds));
        self.peer().map(|_| PeerVerification {
            profile: self.node.config.certificate_profile,
            authenticated: time(self.entry.authenticated),
            valid_until: time(self.entry.valid_until),
        })
    }

    /// Returns the certificates and the public key that the peer presented, in the full handshake
    /// before all resumptions. `None` unless the configuration asks for them
    /// ([`Config::with_peer_certificates`](crate::manager::Config::with_peer_certificates)); for
    /// PASE; for a session that was resumed from a record that was restored, or that is in a
    /// [`ResumptionStore`](crate::resumption::ResumptionStore); and with
    /// [`Fixed`](crate::manager::Fixed) storage, which keeps none.
    #[must_use]
    pub fn peer_certificates(&self) -> Option<PeerCertificates<'a>> {
        self.certificates.get(&self.entry.session.local_session_id())
    }

    /// Returns the record from which the session can be resumed, and until when. `None` for PASE,
    /// if the record is not in the manager's table any more, and if a newer session with the peer
    /// has replaced it.
    #[must_use]
    pub fn ticket(&self) -> Option<RecordInfo> {
        let id = self.entry.session.resumption_id()?;
        let record = self.node.records.info(self.peer()?, &self.node.config)?;
        (record.id == *id).then_some(record)
    }

    /// Returns the fabric of the session, with the certificates by which the peer knows this node.
    /// `None` for PASE, and while the session closes because its fabric has new ones.
    #[must_use]
    pub fn fabric(&self) -> Option<Fabric<'a>> {
        let is_former = self.entry.closing == Some(CloseReason::FabricUpdated);
        let peer = self.peer().filter(|_| !is_former)?;
        self.node.fabrics.by_index(peer.fabric)
    }

    /// Returns the length in bytes of the longest payload that any message on the session can have.
    /// Some can have a few bytes more:
    /// [`Sessions::max_payload`](crate::manager::Sessions::max_payload).
    #[must_use]
    pub fn max_payload(&self) -> usize {
        self.entry.max_payload(MAX_PROTOCOL_HEADER, &self.node.config)
    }

    /// Returns the counters of the session.
    #[must_use]
    pub const fn statistics(&self) -> &'a SessionStatistics {
        &self.entry.statistics
    }

    /// Returns true if the peer left a message unacknowledged and no message of it was received
    /// since.
    #[must_use]
    pub const fn is_defunct(&self) -> bool {
        self.defunct
    }

    /// Returns true if the session closes as soon as it has no exchange. None can be opened on it.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.entry.closing.is_some()
    }

    /// Returns the application's data.
    #[must_use]
    pub const fn data(&self) -> &'a T {
        &self.entry.data
    }
}

impl<C: Crypto, S: Storage, T> fmt::Debug for SessionRef<'_, C, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry.fmt(f)
    }
}
