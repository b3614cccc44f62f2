//! Who is at either end of a session.

use core::fmt;

use crate::ids::{CaseAuthTags, FabricIndex, NodeId};

/// Which handshake made a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SessionKind {
    /// By passcode: commissioning. The peer has no identity.
    Pase,
    /// By operational certificates. The peer is a node of a fabric.
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

/// Which side of a session's handshake this node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[doc(alias = "client")]
#[doc(alias = "server")]
pub enum SessionRole {
    /// It sent the first message; it encrypts with the I2R key.
    Initiator,
    /// It answered; it encrypts with the R2I key.
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
    /// The ends of a PASE session: no node has an identity yet.
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

    /// The ends of a CASE session: two nodes of a fabric; `tags` are the peer's.
    #[must_use]
    pub const fn case(
        fabric: FabricIndex,
        local_node: NodeId,
        peer_node: NodeId,
        tags: CaseAuthTags,
    ) -> Self {
        Self { kind: SessionKind::Case, local_node, peer_node, fabric: Some(fabric), tags }
    }

    /// Which handshake established these facts.
    #[must_use]
    pub const fn kind(&self) -> SessionKind {
        self.kind
    }

    /// This node's identifier on the fabric; unspecified on PASE sessions.
    #[must_use]
    pub const fn local_node(&self) -> NodeId {
        self.local_node
    }

    /// The peer's identifier on the fabric; unspecified on PASE sessions.
    #[must_use]
    pub const fn peer_node(&self) -> NodeId {
        self.peer_node
    }

    /// The fabric. A PASE session has one only once a fabric was added over it.
    #[must_use]
    pub const fn fabric(&self) -> Option<FabricIndex> {
        self.fabric
    }

    /// The tags of the peer's certificate.
    #[must_use]
    pub const fn tags(&self) -> &CaseAuthTags {
        &self.tags
    }
}

/// The identifier under which a CASE session can be resumed. It is not secret on the wire, but
/// of use to nobody else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResumptionId([u8; Self::LEN]);

impl ResumptionId {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// The identifier with these bytes.
    #[must_use]
    pub const fn new(octets: [u8; Self::LEN]) -> Self {
        Self(octets)
    }

    /// The bytes.
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
