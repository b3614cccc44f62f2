//! The certificates that a peer has presented: kept while they are verified, and then until the
//! application has read them.

use crate::context::PeerCertificates;
use crate::handshake::case::Places;
use crate::manager::handle::HandshakeId;
use crate::manager::storage::{ByteStore, Held, Owner, Storage};

/// The certificates of a peer as its slot keeps them. Their bytes are in the table of messages.
pub(in crate::manager) struct Kept<S: Storage> {
    held: Held<S>,
    /// Where they stand, once they are verified.
    places: Option<Places>,
}

impl<S: Storage> Kept<S> {
    /// Keeps what a step has left in its room: so many bytes, or only the certificates once they
    /// are verified. `has_more`: they are still to be.
    pub(in crate::manager) fn settle(
        bytes: &mut S::Bytes,
        id: HandshakeId,
        held: Held<S>,
        (used, places): (usize, Option<Places>),
        has_more: bool,
    ) -> Option<Self> {
        let owner = Owner::Certificates(id);
        let len = match &places {
            Some(places) => places.end(),
            None if has_more => used,
            None => {
                bytes.release(owner);
                return None;
            }
        };
        bytes.shrink(owner, len);
        Some(Self { held, places })
    }

    /// Returns the room, for the next step.
    pub(in crate::manager) fn into_room(self) -> Held<S> {
        self.held
    }

    pub(in crate::manager) fn lend<'a>(
        &'a self,
        bytes: &'a S::Bytes,
        id: HandshakeId,
    ) -> Option<PeerCertificates<'a>> {
        let Self { held, places } = self;
        Some(places.as_ref()?.read(bytes.get(Owner::Certificates(id), held)))
    }
}
