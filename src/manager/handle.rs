//! Handles of sessions, exchanges and handshakes, and the addresses of peers.

use core::cmp::Ordering;
use core::fmt;
use core::net::SocketAddr;

use crate::ids::{ExchangeId, LocalSessionId};

/// The address of a peer, and the transport that carries datagrams to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PeerAddress {
    /// UDP: messages are acknowledged and retransmitted (MRP).
    Udp(SocketAddr),
    /// A TCP connection, by a number that the caller gives it. It is reliable by itself: MRP is
    /// off. Give every connection a number of its own, also two to one address. Use a number again
    /// only after [`handle_disconnect`](super::Connections::handle_disconnect) was called for it.
    Tcp(u32),
    /// Any other link that delivers every message once and in order, numbered in the same way:
    /// Bluetooth ([`btp`](crate::btp)), Wi-Fi Public Action Frames, NFC, or a proxy. MRP is off,
    /// and messages are as long as over UDP.
    Link(u32),
}

impl PeerAddress {
    /// Returns true if the transport delivers every message by itself.
    #[must_use]
    pub const fn is_reliable(&self) -> bool {
        !matches!(self, Self::Udp(_))
    }

    /// Returns true if messages of one session may come from both: from any address over UDP, but
    /// over one connection elsewhere.
    pub(super) fn shares_sessions(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Udp(_), Self::Udp(_))) || self.is(other)
    }

    /// Returns true if both lead to one host, as far as an address tells: the same IP address over
    /// UDP, the same connection elsewhere.
    pub(super) fn shares_source(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Udp(one), Self::Udp(other)) => one.ip() == other.ip(),
            _ => self.is(other),
        }
    }

    /// Returns true if both are the same. Over UDP the IP address and the port count: the scope id
    /// and the flow label of IPv6 are no part of who somebody is. Not inlined, as what compares them
    /// is longer than a call.
    #[inline(never)]
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Udp(one), Self::Udp(other)) => {
                one.ip() == other.ip() && one.port() == other.port()
            }
            _ => self == other,
        }
    }
}

impl AsRef<[Self]> for PeerAddress {
    /// A list of this address alone.
    fn as_ref(&self) -> &[Self] {
        core::slice::from_ref(self)
    }
}

impl From<SocketAddr> for PeerAddress {
    /// A UDP address.
    fn from(address: SocketAddr) -> Self {
        Self::Udp(address)
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp:{address}"),
            Self::Tcp(connection) => write!(f, "tcp:{connection}"),
            Self::Link(connection) => write!(f, "link:{connection}"),
        }
    }
}

/// A secure session. The handle of a session that has ended never refers to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SessionHandle {
    pub(super) local: LocalSessionId,
    pub(super) serial: u64,
}

impl SessionHandle {
    /// Returns the local session id.
    #[must_use]
    pub const fn local_session_id(self) -> LocalSessionId {
        self.local
    }
}

/// An exchange of a secure session. The handle of an exchange that has ended never refers to
/// another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ExchangeHandle {
    pub(super) key: ExchangeKey,
    pub(super) serial: u64,
}

impl ExchangeHandle {
    /// Returns the exchange id.
    #[must_use]
    pub const fn id(self) -> ExchangeId {
        self.key.id
    }

    /// Returns the local id of the session that the exchange belongs to.
    #[must_use]
    pub const fn local_session_id(self) -> LocalSessionId {
        self.key.session
    }
}

/// A handshake that this node began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HandshakeHandle(pub(super) HandshakeId);

/// A handshake slot's number; given out once.
pub(crate) type HandshakeId = u64;

/// What makes an exchange unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ExchangeKey {
    pub(super) session: LocalSessionId,
    pub(super) id: ExchangeId,
    /// Whether this node began it.
    pub(super) initiator: bool,
}

impl ExchangeKey {
    /// Returns the parts in their order as one number: what is compared at every look into a table.
    #[inline]
    pub(super) const fn number(self) -> u64 {
        let Self { session, id, initiator } = self;
        (session.get() as u64) << 32 | (id.get() as u64) << 16 | initiator as u64
    }

    /// Returns the key that has this number.
    pub(super) fn from_number(number: u64) -> Option<Self> {
        let [initiator, _, a, b, c, d, ..] = number.to_le_bytes();
        let session = LocalSessionId::new(u16::from_le_bytes([c, d]))?;
        let id = ExchangeId::new(u16::from_le_bytes([a, b]));
        Some(Self { session, id, initiator: initiator != 0 })
    }

    /// Before every exchange of a session.
    pub(super) const fn first_of(session: LocalSessionId) -> Self {
        Self { session, id: ExchangeId::new(0), initiator: false }
    }
}

impl Ord for ExchangeKey {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for ExchangeKey {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// An owner of deadlines and output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// An exchange of a secure session.
    Exchange(ExchangeKey),
    /// A handshake.
    Handshake(HandshakeId),
}
