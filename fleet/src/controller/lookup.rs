//! Peers that want to resume a session which another process had with them.
//!
//! The manager resumes from records in its own table only. So a first message that names a record
//! is held until the store has been asked for the record, and is handled then.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use matter_session::handshake::case::messages::Sigma1;
use matter_session::ids::ProtocolId;
use matter_session::session::ResumptionId;
use matter_session::time::Instant;
use matter_session::wire::secure_channel::Opcode;
use matter_session::wire::{Packet, ProtocolHeader, SessionRoute};

/// How long a message is held at most: the peer retransmits after 300 ms.
const WAIT: Duration = Duration::from_millis(100);

/// How many are held. Anybody can send one.
const LIMIT: usize = 64;

/// A datagram that was held.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) from: SocketAddr,
    pub(super) datagram: Vec<u8>,
    id: ResumptionId,
    until: Instant,
}

/// The datagrams that are held, oldest first.
#[derive(Debug, Default)]
pub(super) struct Lookups(VecDeque<Held>);

impl Lookups {
    /// Holds a datagram if it is the first message of a peer that wants to resume, and returns the
    /// id to ask for. `None`: it is to be handled now.
    pub(super) fn hold(
        &mut self,
        datagram: &[u8],
        from: SocketAddr,
        now: Instant,
    ) -> Option<ResumptionId> {
        if self.0.len() >= LIMIT {
            return None;
        }
        let id = wanted(datagram)?;
        self.0.push_back(Held { from, datagram: datagram.to_vec(), id, until: now + WAIT });
        Some(id)
    }

    /// Returns one that was held for this id.
    pub(super) fn take(&mut self, id: &ResumptionId) -> Option<Held> {
        let place = self.0.iter().position(|held| held.id == *id)?;
        self.0.remove(place)
    }

    /// Returns one that was held for long enough.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<Held> {
        let is_overdue = self.0.front().is_some_and(|held| held.until <= now);
        if is_overdue { self.0.pop_front() } else { None }
    }
}

/// The id of the record that a Sigma1 wants to resume.
fn wanted(datagram: &[u8]) -> Option<ResumptionId> {
    if Packet::peek(datagram).ok()?.route() != SessionRoute::Unsecured {
        return None;
    }
    let mut datagram = datagram.to_vec();
    let (_, _, body) = Packet::parse(&mut datagram).ok()?.into_parts();
    let (header, at) = ProtocolHeader::parse(body).ok()?;
    let is_sigma1 = header.protocol == ProtocolId::SECURE_CHANNEL
        && Opcode(header.opcode) == Opcode::CASE_SIGMA1;
    let payload = body.get(at..).filter(|_| is_sigma1)?;
    Sigma1::parse(payload).ok()?.resumption.map(|request| request.id)
}
