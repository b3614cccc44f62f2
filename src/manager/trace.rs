//! Log records of a manager's events and of the datagrams that it drops.

use super::event::{Event, WindowCloseReason};
use super::handle::PeerAddress;
use super::received::Dropped;

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
