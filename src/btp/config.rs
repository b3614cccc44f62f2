//! The parameters that a node offers in the handshake, and their negotiation.

use core::time::Duration;

use super::packet::{Request, Response};
use super::{BTP_CONN_IDLE_TIMEOUT, BTP_VERSION, BtpError, GATT_HEADER_LEN, LEAST_GRANTED};

/// [`BTP_MIN_SEGMENT`](super::BTP_MIN_SEGMENT), as the handshake has it.
pub(super) const MIN: u16 = 20;
/// [`BTP_MAX_SEGMENT`](super::BTP_MAX_SEGMENT), as the handshake has it.
pub(super) const MAX: u16 = 244;

/// The parameters that a node offers for a BTP session.
#[derive(Clone, Copy, Debug)]
pub struct BtpConfig {
    /// Maximum length of a packet in bytes, if the ATT_MTU is known.
    segment: Option<u16>,
    window: u8,
    pub(super) idle_timeout: Duration,
}

impl Default for BtpConfig {
    /// An unknown ATT_MTU, a window of 6 packets, and [`BTP_CONN_IDLE_TIMEOUT`].
    fn default() -> Self {
        Self { segment: None, window: 6, idle_timeout: BTP_CONN_IDLE_TIMEOUT }
    }
}

impl BtpConfig {
    /// The ATT_MTU of this connection in bytes, as the Bluetooth stacks of both sides have
    /// exchanged it. The longest packets have three bytes less, from
    /// [`BTP_MIN_SEGMENT`](super::BTP_MIN_SEGMENT) to [`BTP_MAX_SEGMENT`](super::BTP_MAX_SEGMENT)
    /// bytes: 247 is enough. Unknown by default: a client asks for the shortest packets, and a
    /// server relies on what the client names.
    #[must_use]
    pub const fn with_att_mtu(mut self, att_mtu: u16) -> Self {
        let segment = att_mtu.saturating_sub(GATT_HEADER_LEN);
        self.segment = Some(if segment < MIN {
            MIN
        } else if segment > MAX {
            MAX
        } else {
            segment
        });
        self
    }

    /// The size of the window: the number of packets that the peer may send before this node
    /// acknowledges them. The Bluetooth stack has to hold as many that were not passed on yet. 6 by
    /// default, at least 1. Both sides use the smaller of their windows. Below 4, messages may wait
    /// for [`BTP_SEND_ACK_TIMEOUT`](super::BTP_SEND_ACK_TIMEOUT).
    #[must_use]
    pub const fn with_window(mut self, packets: u8) -> Self {
        self.window = if packets == 0 { 1 } else { packets };
        self
    }

    /// How long a client keeps a session over which no message is sent in either direction:
    /// [`BTP_CONN_IDLE_TIMEOUT`] by default. A commissioner whose device takes longer to join a
    /// network needs more. A server does not use it.
    #[must_use]
    pub const fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Returns the request of a client.
    pub(super) const fn request(&self) -> Request {
        /// The smallest ATT_MTU. A client that does not know its own asks for all of it, as others
        /// do; no packet of it is longer than what the server grants.
        const UNKNOWN: u16 = MIN + GATT_HEADER_LEN;
        let att_mtu = match self.segment {
            Some(segment) => segment,
            None => UNKNOWN,
        };
        Request { versions: [BTP_VERSION, 0, 0, 0], att_mtu, window: self.window }
    }

    /// Returns the response of a server.
    pub(super) fn answer(&self, request: &Request) -> Result<Response, BtpError> {
        if !request.offers(BTP_VERSION) {
            return Err(BtpError::Version);
        }
        if request.window == 0 {
            return Err(BtpError::Window { size: 0 });
        }
        let segment = match (self.segment, request.att_mtu) {
            // The client has no preference.
            (own, 0) => own.unwrap_or(MIN),
            (Some(own), asked) => own.min(asked.max(MIN)),
            // The client should name its ATT_MTU less the header. Some name the whole.
            (None, asked) => asked.saturating_sub(GATT_HEADER_LEN).clamp(MIN, MAX),
        };
        let window = self.window.min(request.window);
        Ok(Response { version: BTP_VERSION, segment, window })
    }

    /// Checks what a server granted. Returns the maximum length of packets to and from it.
    pub(super) fn accept(&self, response: &Response) -> Result<(u16, u16), BtpError> {
        let Response { version, segment, window } = *response;
        if version != BTP_VERSION {
            return Err(BtpError::Version);
        }
        if window == 0 || window > self.window {
            return Err(BtpError::Window { size: window });
        }
        if segment < LEAST_GRANTED {
            return Err(BtpError::SegmentSize { size: segment });
        }
        let from_server = segment.min(MAX);
        Ok((from_server.min(self.segment.unwrap_or(MAX)), from_server))
    }
}
