//! Log records of a manager's events, of the messages in and out, and of what it drops.

#[cfg(not(feature = "describe"))]
use core::fmt;

use super::event::{Event, WindowCloseReason};
use super::handle::PeerAddress;
use super::received::Dropped;
#[cfg(feature = "describe")]
use crate::describe::MessageName;
use crate::ids::{ExchangeId, MessageCounter, MessageType};
use crate::wire::{ProtocolHeader, StatusReport};

pub(super) fn event<T>(event: &Event<T>) {
    match event {
        Event::Established { session, resumed, .. } => {
            log_info!("session {} established, resumed: {}", session.local, resumed);
        }
        Event::HandshakeFailed { address: peer, error, .. } => {
            log_info!("handshake failed: {}", error);
            log_debug!("it was with {}", peer);
        }
        Event::SignRequest(request) => {
            log_debug!("the operational key of fabric {} is to sign", request.fabric());
        }
        Event::Acknowledged { exchange } => {
            log_trace!(
                "acknowledged: exchange {} of session {}",
                exchange.id(),
                exchange.key.session
            );
        }
        Event::Undelivered { exchange } => {
            log_info!(
                "undelivered: exchange {} of session {}",
                exchange.id(),
                exchange.key.session
            );
        }
        Event::NoResponse { exchange } => {
            log_info!(
                "no response: exchange {} of session {}",
                exchange.id(),
                exchange.key.session
            );
        }
        Event::PeerSilent { session, exchange } => {
            log_debug!(
                "no acknowledgement: exchange {} of session {}",
                exchange.id(),
                session.local
            );
        }
        Event::ExchangeAvailable { session } => {
            log_trace!("session {} has room for an exchange", session.local);
        }
        Event::ExchangeExpired { exchange } => {
            log_info!("expired: exchange {} of session {}", exchange.id(), exchange.key.session);
        }
        Event::Closed { session, reason, .. } => {
            log_info!("session {} closed: {:?}", session.local, reason);
        }
        Event::CounterLow { session } => {
            log_warn!("session {} can send few messages more", session.local);
        }
        Event::ClaimRequest(request) => {
            let peer = request.peer();
            log_debug!("{} on fabric {} claims its stored record", peer.node, peer.fabric);
        }
        Event::RecordChanged { peer } => {
            log_debug!("resumption record of {} on fabric {} changed", peer.node, peer.fabric);
        }
        Event::WindowClosed { reason: WindowCloseReason::TooManyFailures } => {
            log_warn!("commissioning window closed: too many failures");
        }
        Event::GroupMessages => log_debug!("group messages wait no more"),
        Event::GroupCounterLow { counter } => {
            log_warn!("the counter of group messages runs out: {:?}", counter);
        }
        Event::GroupSendersFull { fabric } => {
            log_warn!("too many nodes send to groups of fabric {}", fabric);
        }
        Event::WindowClosed { reason } => log_info!("commissioning window closed: {:?}", reason),
    }
}

pub(super) fn dropped(from: PeerAddress, reason: Dropped) {
    log_debug!("datagram dropped: {}", reason);
    log_trace!("it came from {}", from);
}

/// A peer's handshake that is refused before it begins.
pub(super) fn refused(from: PeerAddress, report: &StatusReport<'_>) {
    log_debug!("handshake refused: {}, code {}", report.general, report.code);
    log_trace!("it came from {}", from);
}

/// The direction of a message.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// It was received for the first time, and is authentic if it is encrypted.
    In,
    /// It was received before.
    InAgain,
    /// It was encoded, and is sent as soon as it is polled.
    Out,
}

/// A message in or out. `session` is this node's id of the session, or that of the group key; 0 is
/// the unsecured session.
pub(super) fn message(way: Way, session: u16, header: &ProtocolHeader, counter: MessageCounter) {
    let way = match way {
        Way::In => "received",
        Way::InAgain => "received again",
        Way::Out => "sent",
    };
    let name = MessageName(MessageType::new(header.protocol, header.opcode));
    let exchange = header.exchange;
    match header.ack {
        Some(ack) => log_trace!(
            "{}: session {}, exchange {}, {}, counter {}, acknowledges {}",
            way,
            session,
            exchange,
            name,
            counter,
            ack
        ),
        None => log_trace!(
            "{}: session {}, exchange {}, {}, counter {}",
            way,
            session,
            exchange,
            name,
            counter
        ),
    }
}

/// The message in flight of an exchange, which is sent. [`message`] logs its first transmission.
pub(super) fn in_flight(session: u16, exchange: ExchangeId, retransmissions: u8) {
    if retransmissions > 0 {
        log_trace!(
            "sent again: session {}, exchange {}, for the {}. time",
            session,
            exchange,
            retransmissions
        );
    }
}

/// A message type as numbers.
#[cfg(not(feature = "describe"))]
struct MessageName(MessageType);

#[cfg(not(feature = "describe"))]
impl fmt::Display for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MessageType { protocol, opcode } = self.0;
        write!(f, "protocol {}:{}, opcode 0x{opcode:02x}", protocol.vendor, protocol.id)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for MessageName {
    fn format(&self, f: defmt::Formatter<'_>) {
        let MessageType { protocol, opcode } = self.0;
        let (vendor, id) = (protocol.vendor.get(), protocol.id);
        defmt::write!(f, "protocol {=u16}:{=u16}, opcode 0x{=u8:02x}", vendor, id, opcode);
    }
}
