//! Received messages between ciphertext and plaintext.

use super::DecodeError;
use crate::bytes::debug_lengths;
use crate::crypto::{Aead, CryptoError, MIC_LEN, OpenNonce};
use crate::ids::{LocalSessionId, MessageCounter, NodeId};
use crate::wire::{MIN_PROTOCOL_HEADER, MessageHeader, MessageKind, Packet};

/// A message of a secure session whose authenticity nobody has looked at yet.
///
/// It may have been opened already, along with others ([`open_together`](super::open_together)).
/// What came of that is kept with the very bytes, and nobody else can set it: so the proof that
/// they are authentic still comes of opening them alone.
pub(crate) struct Unopened<'b> {
    pub(super) session: LocalSessionId,
    pub(super) counter: MessageCounter,
    pub(super) nonce: OpenNonce,
    pub(super) aad: &'b [u8],
    pub(super) text: &'b mut [u8],
    pub(super) mic: &'b [u8; MIC_LEN],
    pub(super) outcome: Option<Result<(), CryptoError>>,
}

debug_lengths!(Unopened[]['_]: session, counter; text);

impl<'b> Unopened<'b> {
    /// Makes a message of the session with this id, from this node.
    #[inline]
    pub(super) fn new(
        packet: Packet<'b>,
        session: LocalSessionId,
        source: NodeId,
    ) -> Result<Self, DecodeError> {
        check(packet.header(), packet.body_len(), session)?;
        let (header, aad, body) = packet.into_parts();
        let (text, mic) = body.split_last_chunk_mut().ok_or(DecodeError::TooShort)?;
        let counter = header.counter;
        let nonce = OpenNonce::new(header.security_flags(), counter, source);
        Ok(Self { session, counter, nonce, aad, text, mic, outcome: None })
    }

    /// Returns the id of the session that it is for.
    #[inline]
    pub(super) const fn session(&self) -> LocalSessionId {
        self.session
    }

    #[inline]
    pub(crate) const fn counter(&self) -> MessageCounter {
        self.counter
    }

    /// Opens the message, if that is still to be done.
    #[inline]
    pub(super) fn open<A: Aead>(self, key: &A) -> Result<Authentic<'b>, DecodeError> {
        let Self { counter, nonce, aad, text, mic, outcome, .. } = self;
        match outcome {
            None => key.open(nonce, aad, text, mic)?,
            Some(outcome) => outcome?,
        }
        Ok(Authentic { counter, text, offset: aad.len() })
    }
}

/// Checks whether a message with this header, and so many bytes after it, can be one of a session.
#[inline]
pub(super) fn check(
    header: &MessageHeader,
    body_len: usize,
    session: LocalSessionId,
) -> Result<(), DecodeError> {
    if header.kind()? != MessageKind::Unicast(session) {
        return Err(DecodeError::WrongSession);
    }
    if body_len < MIN_PROTOCOL_HEADER + MIC_LEN {
        return Err(DecodeError::TooShort);
    }
    Ok(())
}

/// An authentic message, and the proof that it is: only opening yields one.
pub(super) struct Authentic<'b> {
    counter: MessageCounter,
    text: &'b mut [u8],
    offset: usize,
}

debug_lengths!(Authentic[]['_]: counter; text);

impl<'b> Authentic<'b> {
    #[inline]
    pub(super) const fn counter(&self) -> MessageCounter {
        self.counter
    }

    /// Returns the plaintext: protocol header and payload.
    #[inline]
    pub(super) const fn text(&self) -> &[u8] {
        self.text
    }

    /// Returns the plaintext, and where in the datagram it begins.
    #[inline]
    pub(super) fn into_text(self) -> (&'b mut [u8], usize) {
        (self.text, self.offset)
    }
}
