//! One connection: the handshake, packets in, packets out, timers.

use super::packet::{self, Packet, Request, Response};
use super::queue::Queue;
use super::reassembly::Reassembly;
use super::windows::Windows;
use super::{
    BTP_CONN_RSP_TIMEOUT, BTP_MAX_SEGMENT, BtpConfig, BtpError, BtpSendError, GATT_HEADER_LEN,
    after,
};
use crate::bytes::{debug_lengths, write_parts};
use crate::time::Instant;

/// One BTP connection, as a client or a server.
///
/// `R` is the buffer for the message that arrives, `T` for the messages to be sent: arrays, slices,
/// boxes or vectors of bytes. After an error nothing is sent or received any more: close the
/// connection.
pub struct BtpSession<R, T> {
    config: BtpConfig,
    phase: Phase,
    reassembly: Reassembly<R>,
    queue: Queue<T>,
}

debug_lengths!(BtpSession[R, T][R, T]: config, phase, reassembly, queue; );

/// The state of a session.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// A client has not sent its request.
    Request,
    /// A client has not received the response.
    Response { deadline: Instant },
    /// A server has not sent its response, since the request or the subscription is missing.
    Accept { answer: Option<Response>, is_subscribed: bool, deadline: Option<Instant> },
    /// Messages are sent and received.
    Open(Open),
    /// The session has ended.
    Closed(BtpError),
}

#[derive(Clone, Copy, Debug)]
struct Open {
    windows: Windows,
    /// Maximum length of a packet to the peer.
    to_peer: u16,
    /// Maximum length of a packet from the peer.
    from_peer: u16,
    /// When a client ends the session unless a message is sent.
    idle_deadline: Option<Instant>,
}

impl<R: AsMut<[u8]>, T: AsMut<[u8]>> BtpSession<R, T> {
    /// Makes the side that begins: a central, a commissioner. The first packet to be sent is the
    /// handshake request. Make it when the ATT_MTU was exchanged.
    #[must_use]
    pub const fn client(config: BtpConfig, receive: R, transmit: T) -> Self {
        Self::new(config, Phase::Request, receive, transmit)
    }

    /// Makes the side that answers: a peripheral, a device. It has no timer until the client does
    /// something: make it when the first write to C1 arrives, or limit how long a silent client
    /// stays connected.
    #[must_use]
    pub const fn server(config: BtpConfig, receive: R, transmit: T) -> Self {
        let phase = Phase::Accept { answer: None, is_subscribed: false, deadline: None };
        Self::new(config, phase, receive, transmit)
    }

    const fn new(config: BtpConfig, phase: Phase, receive: R, transmit: T) -> Self {
        Self { config, phase, reassembly: Reassembly::new(receive), queue: Queue::new(transmit) }
    }

    /// The client has subscribed to indications of C2. A server calls it, before or after the first
    /// packet has arrived. More calls have no effect.
    pub fn handle_subscription(&mut self, now: Instant) {
        if let Phase::Accept { is_subscribed, deadline, .. } = &mut self.phase {
            *is_subscribed = true;
            deadline.get_or_insert(after(now, BTP_CONN_RSP_TIMEOUT));
        }
    }

    /// Takes a packet: a value that was written to C1, or indicated by C2. Returns the message that
    /// it completes, lent until the next call.
    ///
    /// # Errors
    /// [`BtpError`], again with every call.
    pub fn handle_packet(
        &mut self,
        packet: &[u8],
        now: Instant,
    ) -> Result<Option<&mut [u8]>, BtpError> {
        match self.receive(packet, now) {
            Ok(is_complete) => Ok(is_complete.then(|| self.reassembly.message())),
            Err(error) => Err(self.close(error)),
        }
    }

    fn receive(&mut self, packet: &[u8], now: Instant) -> Result<bool, BtpError> {
        match &mut self.phase {
            Phase::Request => Err(BtpError::Handshake),
            Phase::Response { .. } => {
                let response = Response::parse(packet)?;
                let (to_peer, from_peer) = self.config.accept(&response)?;
                let windows = Windows::of_client(response.window, now);
                let idle_deadline = Some(after(now, self.config.idle_timeout));
                self.phase = Phase::Open(Open { windows, to_peer, from_peer, idle_deadline });
                Ok(false)
            }
            Phase::Accept { answer: answer @ None, deadline, .. } => {
                *answer = Some(self.config.answer(&Request::parse(packet)?)?);
                deadline.get_or_insert(after(now, BTP_CONN_RSP_TIMEOUT));
                Ok(false)
            }
            Phase::Accept { .. } => Err(BtpError::Handshake),
            Phase::Open(open) => {
                // Some centrals fill a value to the whole ATT_MTU.
                let max = usize::from(open.from_peer.saturating_add(GATT_HEADER_LEN));
                if packet.len() > max {
                    return Err(BtpError::PacketTooLong { len: packet.len(), max });
                }
                let packet = Packet::parse(packet)?;
                open.windows.receive(&packet, now)?;
                let Some(segment) = &packet.segment else { return Ok(false) };
                open.postpone_idle(&self.config, now);
                self.reassembly.receive(segment)
            }
            Phase::Closed(error) => Err(*error),
        }
    }

    /// Queues a message. It may be queued before the handshake is complete.
    ///
    /// # Errors
    /// [`BtpSendError`]; the message is not queued then.
    pub fn send(&mut self, message: &[u8]) -> Result<(), BtpSendError> {
        if let Phase::Closed(error) = self.phase {
            return Err(BtpSendError::Closed(error));
        }
        if message.is_empty() {
            return Err(BtpSendError::Empty);
        }
        self.queue.push(message)
    }

    /// Returns true if a message of `len` bytes finds room in the queue now. Ask before you poll
    /// the manager for its next message.
    pub fn has_room(&mut self, len: usize) -> bool {
        !matches!(self.phase, Phase::Closed(_)) && self.queue.check(len).is_ok()
    }

    /// Returns the next packet to be sent, written to `packet`, or nothing if there is none now.
    /// Call it when GATT has confirmed the last packet: a packet that is lost ends the session.
    pub fn poll_transmit<'p>(
        &mut self,
        packet: &'p mut [u8; BTP_MAX_SEGMENT],
        now: Instant,
    ) -> Option<&'p [u8]> {
        let len = match &mut self.phase {
            Phase::Request => {
                self.phase = Phase::Response { deadline: after(now, BTP_CONN_RSP_TIMEOUT) };
                write_parts(packet, &[&self.config.request().encode()]);
                Request::LEN
            }
            Phase::Accept { answer: Some(answer), is_subscribed: true, .. } => {
                let Response { segment, window, .. } = *answer;
                write_parts(packet, &[&answer.encode()]);
                let windows = Windows::of_server(window, now);
                let (to_peer, from_peer) = (segment, segment);
                let idle_deadline = None;
                self.phase = Phase::Open(Open { windows, to_peer, from_peer, idle_deadline });
                Response::LEN
            }
            Phase::Open(open) => {
                let has_segment = !self.queue.is_empty();
                if !open.windows.may_send(has_segment) {
                    return None;
                }
                if has_segment {
                    open.postpone_idle(&self.config, now);
                }
                let (number, ack) = open.windows.send(has_segment, now);
                let to_peer = usize::from(open.to_peer);
                write_packet(packet.get_mut(..to_peer)?, number, ack, &mut self.queue)
            }
            Phase::Response { .. } | Phase::Accept { .. } | Phase::Closed(_) => return None,
        };
        packet.get(..len)
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Request | Phase::Closed(_) => None,
            // The response is ready to be sent.
            Phase::Accept { answer: Some(_), is_subscribed: true, .. } => None,
            Phase::Accept { deadline, .. } => *deadline,
            Phase::Response { deadline } => Some(*deadline),
            Phase::Open(open) => {
                open.windows.poll_timeout().into_iter().chain(open.idle_deadline).min()
            }
        }
    }

    /// Does what the time demands: an acknowledgement is to be sent, or the session ends. Poll for
    /// packets afterwards.
    ///
    /// # Errors
    /// [`BtpError`], again with every call.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), BtpError> {
        let is_over = self.poll_timeout().is_some_and(|deadline| deadline <= now);
        let result = match &mut self.phase {
            Phase::Closed(error) => Err(*error),
            _ if !is_over => Ok(()),
            Phase::Open(open) if open.idle_deadline.is_some_and(|deadline| deadline <= now) => {
                Err(BtpError::IdleTimeout)
            }
            Phase::Open(open) => open.windows.handle_timeout(now),
            _ => Err(BtpError::ResponseTimeout),
        };
        result.map_err(|error| self.close(error))
    }

    fn close(&mut self, error: BtpError) -> BtpError {
        if !matches!(self.phase, Phase::Closed(_)) {
            log_debug!("BTP session ends: {:?}", error);
        }
        self.phase = Phase::Closed(error);
        error
    }

    /// Returns true if the handshake is complete and the session has not ended.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Returns true if no message waits to be sent, and the peer has acknowledged all that were
    /// sent; also if the session has ended. Wait for it before you close a connection.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        match &self.phase {
            Phase::Open(open) => self.queue.is_empty() && open.windows.is_settled(),
            Phase::Closed(_) => true,
            _ => self.queue.is_empty(),
        }
    }

    /// Returns the maximum length in bytes of the packets that this node sends, once the handshake
    /// is complete.
    #[must_use]
    pub const fn segment_size(&self) -> Option<u16> {
        match &self.phase {
            Phase::Open(open) => Some(open.to_peer),
            _ => None,
        }
    }

    /// Returns the size of both windows in packets, once the handshake is complete.
    #[must_use]
    pub const fn window_size(&self) -> Option<u8> {
        match &self.phase {
            Phase::Open(open) => Some(open.windows.size()),
            _ => None,
        }
    }
}

impl Open {
    /// A message is on its way, in either direction.
    fn postpone_idle(&mut self, config: &BtpConfig, now: Instant) {
        if let Some(deadline) = &mut self.idle_deadline {
            *deadline = after(now, config.idle_timeout);
        }
    }
}

/// Writes a packet with the next part of the queue, if that has one. Returns its length.
fn write_packet<T: AsMut<[u8]>>(
    to: &mut [u8],
    number: u8,
    ack: Option<u8>,
    queue: &mut Queue<T>,
) -> usize {
    let (mut flags, header_len) = match ack {
        Some(_) => (packet::ACK, 3_usize),
        None => (0, 2),
    };
    let mut len = header_len;
    if !queue.is_empty() {
        let part = queue.take(to.get_mut(header_len..).unwrap_or_default());
        flags |= if part.begins { packet::BEGINNING } else { packet::CONTINUING };
        flags |= if part.ends { packet::ENDING } else { 0 };
        len = len.saturating_add(part.len);
    }
    match ack {
        Some(ack) => write_parts(to, &[&[flags, ack, number]]),
        None => write_parts(to, &[&[flags, number]]),
    }
    len
}
