//! Why a session ended, and why a message was not queued.

use thiserror::Error;

/// The BTP session has ended: close the connection. A client unsubscribes from C2, a server
/// disconnects.
///
/// All but the timeouts, and [`MessageTooLarge`](Self::MessageTooLarge), are faults of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BtpError {
    /// A packet is shorter than its header, contradicts itself, or carries nothing.
    #[error("malformed packet")]
    Malformed,
    /// A packet during the handshake is not a handshake packet, or a handshake packet comes after
    /// it.
    #[error("a handshake packet is missing or out of place")]
    Handshake,
    /// The client offers no version that this node speaks, or the server chose another.
    #[error("no version in common")]
    Version,
    /// The handshake names a window of no packets, or a larger one than this client offered.
    #[error("a window of {size} packets")]
    Window {
        /// The size that the peer named, in packets.
        size: u8,
    },
    /// The server chose packets of less than [`BTP_MIN_SEGMENT`](super::BTP_MIN_SEGMENT) bytes, even
    /// if it subtracted the GATT header of three bytes once more than it should: of less than 17.
    #[error("packets of {size} bytes, where {min} are the least", min = super::LEAST_GRANTED)]
    SegmentSize {
        /// The length that the server chose, in bytes.
        size: u16,
    },
    /// A packet is longer than the handshake allows.
    #[error("a packet of {len} bytes, where {max} are the most")]
    PacketTooLong {
        /// Its length in bytes.
        len: usize,
        /// Maximum length in bytes.
        max: usize,
    },
    /// A packet is not the next one.
    #[error("packet {received} where {expected} was next")]
    Sequence {
        /// The number that was next.
        expected: u8,
        /// The number of the packet.
        received: u8,
    },
    /// The peer acknowledges a packet that was not sent, or was acknowledged before.
    #[error("acknowledgement of packet {number}, which is not in flight")]
    Acknowledgement {
        /// The number that it acknowledges.
        number: u8,
    },
    /// The peer sends more packets than the window of this node has room for.
    #[error("more than {size} packets before an acknowledgement")]
    WindowExceeded {
        /// The size of the window, in packets.
        size: u8,
    },
    /// A segment continues a message that has not begun, or begins one inside another.
    #[error("segment out of place")]
    Segment,
    /// The segments of a message have another total length than its first segment announced.
    #[error("a message whose segments do not have its length of {len} bytes")]
    Length {
        /// The announced length in bytes.
        len: u16,
    },
    /// A message is longer than the buffer of this node.
    #[error("a message of {len} bytes, where {max} are the most")]
    MessageTooLarge {
        /// Its length in bytes.
        len: u16,
        /// Maximum length in bytes.
        max: usize,
    },
    /// The peer did not complete the handshake in time:
    /// [`BTP_CONN_RSP_TIMEOUT`](super::BTP_CONN_RSP_TIMEOUT).
    #[error("the handshake took too long")]
    ResponseTimeout,
    /// The peer did not acknowledge a packet in time: [`BTP_ACK_TIMEOUT`](super::BTP_ACK_TIMEOUT).
    #[error("a packet was not acknowledged in time")]
    AckTimeout,
    /// No message was sent in either direction for as long as this client waits:
    /// [`BtpConfig::with_idle_timeout`](super::BtpConfig::with_idle_timeout).
    #[error("idle for too long")]
    IdleTimeout,
}

/// The message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BtpSendError {
    /// The queue has no room now. Send the message again when packets have been sent.
    #[error("the queue is full")]
    Full,
    /// The message is longer than the queue can hold.
    #[error("a message longer than {max} bytes")]
    TooLarge {
        /// Maximum length in bytes.
        max: usize,
    },
    /// The message has no bytes. BTP cannot carry it.
    #[error("an empty message")]
    Empty,
    /// The session has ended.
    #[error("the session has ended: {0}")]
    Closed(BtpError),
}
