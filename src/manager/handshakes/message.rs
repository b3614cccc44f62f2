//! Room for the message that a handshake has in flight.

use crate::manager::config::Config;
use crate::manager::delivery::{Delivery, HANDSHAKE_MESSAGE_LEN};
use crate::manager::handle::{HandshakeId, Source};
use crate::manager::storage::{ByteStore, Held, Owner, Storage};

/// Names the message in flight of a handshake in the table of messages.
pub(in crate::manager) const fn message_of(id: HandshakeId) -> Owner {
    Owner::Message(Source::Handshake(id))
}

/// Returns true if there is room for the messages of another handshake.
pub(in crate::manager) fn has_room<S: Storage, T>(delivery: &Delivery<S, T>) -> bool {
    /// No handshake has this id.
    const NONE: HandshakeId = 0;
    delivery.bytes.room(message_of(NONE)) >= HANDSHAKE_MESSAGE_LEN
}

/// Returns true if there is room for so many bytes that the peer of a handshake presents, and for the
/// report to it. `stays`: so does the message in flight, which the answer supersedes otherwise.
pub(in crate::manager) fn has_room_for<S: Storage, T>(
    id: HandshakeId,
    presented: usize,
    stays: bool,
    delivery: &Delivery<S, T>,
) -> bool {
    let owner = if stays { Owner::Certificates(id) } else { message_of(id) };
    let report = if stays { 0 } else { S::Bytes::OVERHEAD.saturating_add(REPORT_LEN) };
    delivery.bytes.room(owner) >= presented.saturating_add(report)
}

/// Room for a report.
const REPORT_LEN: usize = Config::buffer_len(10);

/// Allocates room for the next message of a handshake: for the largest one, or as much as is
/// free. Returns `None` if not even a report would fit.
pub(in crate::manager) fn allocate<S: Storage, T>(
    id: HandshakeId,
    delivery: &mut Delivery<S, T>,
) -> Option<Held<S>> {
    let owner = message_of(id);
    let room = delivery.bytes.room(owner);
    if room < REPORT_LEN {
        return None;
    }
    delivery.bytes.allocate(owner, HANDSHAKE_MESSAGE_LEN.min(room))
}
