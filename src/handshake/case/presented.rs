//! The room in which the certificates of a peer stay while they are verified.

use core::fmt;
use core::ops::Range;

use super::messages::MAX_ENCRYPTED2_LEN;
use crate::context::PeerCertificates;
use crate::crypto::PublicKey;
use crate::handshake::HandshakeError;

/// Room for the certificates that a peer presents: [`Self::LEN`] bytes, or as many as its Sigma2 or
/// Sigma3 is long.
///
/// A handshake does not hold them itself, since they would be most of its memory. From the message
/// that brings them until the step after the last [`Step::More`](crate::handshake::Step::More), each
/// call gets the same bytes: a handshake that finds others fails.
pub struct Presented<'a> {
    room: &'a mut [u8],
    /// How many bytes a handshake has stored.
    used: usize,
    verified: Option<Places>,
}

/// Where verified certificates stand in the room.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    noc: (u16, u16),
    /// Empty if there is none that something vouches for.
    icac: (u16, u16),
    public_key: PublicKey,
}

impl<'a> Presented<'a> {
    /// The most bytes that are needed.
    pub const LEN: usize = MAX_ENCRYPTED2_LEN;

    /// Lends this room.
    #[must_use]
    pub const fn new(room: &'a mut [u8]) -> Self {
        Self { room, used: 0, verified: None }
    }

    /// No room, for calls by which no certificates come: a handshake that needs it fails with
    /// [`HandshakeError::BufferTooSmall`].
    #[must_use]
    pub const fn none() -> Self {
        Self::new(&mut [])
    }

    /// Returns the certificates of the peer if the last call has verified them and the policy has
    /// accepted the peer: once in a full handshake. The handshake can still fail after that.
    #[must_use]
    pub fn certificates(&self) -> Option<PeerCertificates<'_>> {
        self.verified.as_ref().map(|places| places.read(self.room))
    }

    /// Copies what a peer has presented.
    pub(super) fn store(&mut self, presented: &[u8]) -> Result<&mut [u8], HandshakeError> {
        self.used = presented.len();
        let place = self.room.get_mut(..presented.len()).ok_or(HandshakeError::BufferTooSmall)?;
        place.copy_from_slice(presented);
        Ok(place)
    }

    /// Returns what was copied: this many bytes.
    pub(super) fn stored(&mut self, len: usize) -> Result<&mut [u8], HandshakeError> {
        self.used = len;
        self.room.get_mut(..len).ok_or(HandshakeError::RoomChanged)
    }

    /// Notes that these certificates, which stand in the room, are verified.
    pub(super) fn note_verified(&mut self, places: Places) {
        self.verified = Some(places);
    }

    /// Returns how many bytes are in use, and where verified certificates stand in them.
    pub(crate) const fn outcome(&self) -> (usize, Option<Places>) {
        (self.used, self.verified)
    }
}

impl Places {
    /// Notes where certificates stand in the bytes that they are a part of.
    pub(super) fn of(bytes: &[u8], certificates: &PeerCertificates<'_>) -> Self {
        let place = |part: &[u8]| {
            let start = part.as_ptr().addr().saturating_sub(bytes.as_ptr().addr());
            let as_short = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
            (as_short(start), as_short(start.saturating_add(part.len())))
        };
        Self {
            noc: place(certificates.noc()),
            icac: certificates.icac().map_or((0, 0), place),
            public_key: *certificates.public_key(),
        }
    }

    /// Returns how many bytes hold the certificates.
    pub(crate) fn end(&self) -> usize {
        self.noc.1.max(self.icac.1).into()
    }

    /// Returns the certificates.
    pub(crate) fn read<'b>(&'b self, bytes: &'b [u8]) -> PeerCertificates<'b> {
        let part = |(start, end): (u16, u16)| {
            let range = Range { start: usize::from(start), end: usize::from(end) };
            bytes.get(range).unwrap_or_default()
        };
        let icac = Some(part(self.icac)).filter(|icac| !icac.is_empty());
        PeerCertificates::new(part(self.noc), icac, &self.public_key)
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("room", &self.room.len()).finish_non_exhaustive()
    }
}
