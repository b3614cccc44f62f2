//! The two ends of a session.

use core::fmt;

use crate::ids::{CaseAuthTags, FabricIndex, NodeId};

/// The handshake that established a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SessionKind {
    /// PASE, by passcode, for commissioning. The peer has no identity.
    Pase,
    /// CASE, by operational certificates. The peer is a node of a fabric.
    Case,
}

impl fmt::Display for SessionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pase => "PASE",
            Self::Case => "CASE",
        })
    }
}

/// The side of a handshake that this node is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[doc(alias = "client")]
#[doc(alias = "server")]
pub enum SessionRole {
    /// This node sent the first message; it encrypts with the I2R key.
    Initiator,
    /// This node answered; it encrypts with the R2I key.
    Responder,
}

/// The two ends of a secure session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub(super) kind: SessionKind,
    pub(super) local_node: NodeId,
    pub(super) peer_node: NodeId,
    pub(super) fabric: Option<FabricIndex>,
    pub(super) tags: CaseAuthTags,
}

impl Identity {
    /// Makes the ends of a PASE session: no node has an identity yet.
    #[must_use]
    pub const fn pase() -> Self {
        Self {
            kind: SessionKind::Pase,
            local_node: NodeId::UNSPECIFIED,
            peer_node: NodeId::UNSPECIFIED,
            fabric: None,
            tags: CaseAuthTags::NONE,
        }
    }

    /// Makes the ends of a CASE session: two nodes of a fabric; `tags` are the peer's.
    #[must_use]
    pub const fn case(
        fabric: FabricIndex,
        local_node: NodeId,
        peer_node: NodeId,
        tags: CaseAuthTags,
    ) -> Self {
        Self { kind: SessionKind::Case, local_node, peer_node, fabric: Some(fabric), tags }
    }

    /// Returns the handshake that established the session.
    #[must_use]
    pub const fn kind(&self) -> SessionKind {
        self.kind
    }

    /// Returns this node's identifier on the fabric; unspecified on PASE sessions.
    #[must_use]
    pub const fn local_node(&self) -> NodeId {
        self.local_node
    }

    /// Returns the peer's identifier on the fabric; unspecified on PASE sessions.
    #[must_use]
    pub const fn peer_node(&self) -> NodeId {
        self.peer_node
    }

    /// Returns the fabric. A PASE session has one only once a fabric was added over it.
    #[must_use]
    pub const fn fabric(&self) -> Option<FabricIndex> {
        self.fabric
    }

    /// Returns the tags of the peer's certificate.
    #[must_use]
    pub const fn tags(&self) -> &CaseAuthTags {
        &self.tags
    }
}

/// The identifier by which a CASE session can be resumed. It is not secret: without the record it
/// is useless.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResumptionId([u8; Self::LEN]);

impl ResumptionId {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// Makes the identifier with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for ResumptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, ..] = self.0;
        write!(f, "ResumptionId({a:02x}{b:02x}..)")
    }
}
