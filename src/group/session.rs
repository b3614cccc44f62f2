//! Group sessions: one key that many nodes send with and receive with.
//!
//! ```text
//! message header                        │ protocol header │ payload │ MIC (16)
//! │ clear (4) │ counter, source, dest.  │ `------ encrypted -----'
//! │           │ `- obfuscated if P ---' │
//! `---------------- AAD ---------------'
//! nonce = security flags || counter || the sender's node id
//! ```
//! [Core, "Group Communication", "Message Privacy"]

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use core::fmt;

use super::Fresh;
use crate::bytes::debug_lengths;
use crate::crypto::{
    Aead, Crypto, CryptoError, MIC_LEN, OpenNonce, PrivacyNonce, SealNonce, Secret,
};
use crate::fabric::{CompressedFabricId, GroupKey};
use crate::ids::{GroupId, GroupSessionId, MessageCounter, NodeId};
use crate::session::{DecodeError, Sealed};
use crate::wire::{
    Destination, EncodeError, MIN_PROTOCOL_HEADER, MessageBuf, MessageHeader, MessageKind, Packet,
    Parts, Preamble, ProtocolHeader, SessionRoute,
};

/// The bytes in front of what privacy obfuscates.
const CLEAR: usize = 4;

/// Tells operational group keys of a fabric from each other: 48 bits of a hash of the key, of which
/// the first 16 are the session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyId([u8; 6]);

impl KeyId {
    /// No other is less.
    pub(crate) const FIRST: Self = Self([0; 6]);

    pub(crate) const fn session(self) -> GroupSessionId {
        let [a, b, ..] = self.0;
        GroupSessionId::new(u16::from_be_bytes([a, b]))
    }
}

/// An operational group key, ready for use: it seals, opens and obfuscates group messages.
pub struct GroupSession<C: Crypto> {
    id: GroupSessionId,
    key_id: KeyId,
    key: C::Aead,
    privacy: C::Aead,
    /// For the log of keys.
    #[cfg(feature = "keylog")]
    operational: Secret<16>,
}

impl<C: Crypto> GroupSession<C> {
    /// Derives session id and privacy key of a group key.
    ///
    /// # Errors
    /// [`CryptoError`] if the backend fails.
    pub fn new(
        crypto: &C,
        key: &GroupKey,
        fabric: CompressedFabricId,
    ) -> Result<Self, CryptoError> {
        let key = key.operational(crypto, fabric)?;
        // The session id is the first two bytes, whatever length is derived.
        let mut id = [0; 6];
        crypto.hkdf(key.as_bytes(), &[], b"GroupKeyHash", &mut id)?;
        let key_id = KeyId(id);
        let mut privacy = Secret::zero();
        crypto.hkdf(key.as_bytes(), &[], b"PrivacyKey", privacy.as_mut_bytes())?;
        let id = key_id.session();
        Ok(Self {
            id,
            key_id,
            key: crypto.aead(&key),
            privacy: crypto.aead(&privacy),
            #[cfg(feature = "keylog")]
            operational: key,
        })
    }

    /// Returns the key, for the log of keys.
    #[cfg(feature = "keylog")]
    pub(crate) fn disclose(&self) -> Secret<16> {
        self.operational.clone()
    }

    pub(crate) const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// Returns the session id: a hash of the key, which other keys may have, too.
    #[must_use]
    pub const fn id(&self) -> GroupSessionId {
        self.id
    }

    /// Encrypts the payload in `msg` in place and writes the headers in front of it, obfuscated if
    /// `privacy` says so. A group message is never acknowledged and never sent again.
    ///
    /// # Errors
    /// [`EncodeError::PayloadTooLong`] above what the cipher takes, [`EncodeError::Crypto`].
    pub fn encode<'b, T: Into<Destination> + Copy>(
        &self,
        counter: Fresh<T>,
        source: NodeId,
        to: T,
        privacy: bool,
        header: &ProtocolHeader,
        msg: MessageBuf<'b>,
    ) -> Result<Sealed<'b>, EncodeError> {
        let counter = counter.into_counter();
        let mut message = MessageHeader::new(SessionRoute::Group(self.id), counter.value());
        message.source = Some(source);
        message.destination = to.into();
        message.control = matches!(message.destination, Destination::Node(_));
        message.privacy = privacy;
        let nonce = SealNonce::new(message.security_flags(), counter, source);
        let sealed = msg.into_sealed(&message, header, |Parts { aad, body, mic }| {
            *mic = self.key.seal(nonce, aad, body)?;
            if privacy && let Some(fields) = aad.get_mut(CLEAR..) {
                self.privacy.apply_privacy(PrivacyNonce::new(self.id, mic), fields)?;
            }
            Ok(())
        })?;
        Ok(Sealed::new(sealed))
    }

    /// Tries this key: `None` unless the message is authentic under it, and `accept` takes its
    /// header. The datagram is as it was then.
    fn open(
        &self,
        message: Frame,
        datagram: &mut [u8],
        accept: impl FnOnce(MessageKind) -> bool,
    ) -> Result<Option<Clear>, DecodeError> {
        message.apply_privacy(self, datagram)?;
        let opened = self.open_clear(datagram, accept);
        if !matches!(opened, Ok(Some(_))) {
            message.apply_privacy(self, datagram)?;
        }
        opened
    }

    fn open_clear(
        &self,
        datagram: &mut [u8],
        accept: impl FnOnce(MessageKind) -> bool,
    ) -> Result<Option<Clear>, DecodeError> {
        let packet = Packet::parse_clear(datagram)?;
        if packet.body_len() < MIN_PROTOCOL_HEADER + MIC_LEN {
            return Err(DecodeError::TooShort);
        }
        let (kind, header_len) = (packet.header().kind()?, packet.header_len());
        let Some(source) = packet.header().source.filter(|_| accept(kind)) else {
            return Ok(None);
        };
        let (header, aad, body) = packet.into_parts();
        let (text, mic) = body.split_last_chunk_mut().ok_or(DecodeError::TooShort)?;
        let nonce = OpenNonce::new(header.security_flags(), header.counter, source);
        match self.key.open_by_trial(nonce, aad, text, mic) {
            Ok(()) => Ok(Some(Clear {
                kind,
                privacy: header.privacy,
                source,
                counter: header.counter,
                header_len,
            })),
            Err(CryptoError::Backend) => Err(DecodeError::Crypto),
            Err(_) => Ok(None),
        }
    }
}

impl<C: Crypto> fmt::Debug for GroupSession<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupSession").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What does not depend on the key that a group message is tried with.
#[derive(Clone, Copy)]
struct Frame {
    preamble: Preamble,
    session: GroupSessionId,
}

impl Frame {
    /// Checks the clear flags: only a header that has them all as they must be is looked into.
    fn new(datagram: &[u8]) -> Result<Self, DecodeError> {
        let preamble = Packet::peek(datagram)?;
        let SessionRoute::Group(session) = preamble.route() else {
            return Err(DecodeError::WrongSession);
        };
        let shortest = CLEAR
            .saturating_add(preamble.fields_len())
            .saturating_add(MIN_PROTOCOL_HEADER + MIC_LEN);
        if datagram.len() < shortest {
            return Err(DecodeError::TooShort);
        }
        Ok(Self { preamble, session })
    }

    /// Makes an obfuscated header clear, or a clear one obfuscated.
    fn apply_privacy<C: Crypto>(
        self,
        session: &GroupSession<C>,
        datagram: &mut [u8],
    ) -> Result<(), DecodeError> {
        if !self.preamble.privacy() {
            return Ok(());
        }
        let (rest, mic) = datagram.split_last_chunk_mut().ok_or(DecodeError::TooShort)?;
        let nonce = PrivacyNonce::new(self.session, mic);
        let end = CLEAR.saturating_add(self.preamble.fields_len());
        let fields = rest.get_mut(CLEAR..end).ok_or(DecodeError::TooShort)?;
        Ok(session.privacy.apply_privacy(nonce, fields)?)
    }
}

/// The header of an authentic message.
struct Clear {
    kind: MessageKind,
    privacy: bool,
    source: NodeId,
    counter: MessageCounter,
    header_len: usize,
}

/// A message of a group session: authentic and decrypted. That its sender has a certificate of the
/// fabric is not proven: whoever has the group key can claim to be any node.
#[non_exhaustive]
pub struct GroupOpened<'b, K> {
    /// What stood beside the session that opened it.
    pub key: K,
    /// Data to a group, or control to a node.
    pub kind: MessageKind,
    /// Whether its header was hidden.
    pub privacy: bool,
    /// The sender.
    pub source: NodeId,
    /// The protocol header.
    pub header: ProtocolHeader,
    /// The message counter, to be judged by the window of the sender.
    pub counter: MessageCounter,
    /// The payload, in the receive buffer.
    pub payload: &'b mut [u8],
}

debug_lengths!(GroupOpened[K: fmt::Debug]['_, K]: key, kind, privacy, source, header, counter; payload);

/// Finds the key of a group message and decrypts it in place.
///
/// Every candidate that has the session id of the message is tried, until one opens it. `accept`
/// has a look at the header before: where it is not obfuscated a message to a group that the key is
/// not for costs no decryption, and where it is one block of AES or two. What is done for a
/// datagram is bounded by the number of candidates.
///
/// # Errors
/// [`DecodeError::WrongSession`] if there is no candidate that may have sealed it,
/// [`DecodeError::Unauthentic`] if those that are do not open it; the datagram is as it was then.
/// Else [`DecodeError`] says what is wrong with it under any key.
pub fn decode<'k, 'b, C: Crypto + 'k, K>(
    datagram: &'b mut [u8],
    candidates: impl IntoIterator<Item = (K, &'k GroupSession<C>)>,
    mut accept: impl FnMut(&K, MessageKind) -> bool,
) -> Result<GroupOpened<'b, K>, DecodeError> {
    let frame = Frame::new(datagram)?;
    let mut refusal = DecodeError::WrongSession;
    for (key, session) in candidates {
        if session.id != frame.session {
            continue;
        }
        let opened = session.open(frame, datagram, |kind| {
            let accepted = accept(&key, kind);
            if accepted {
                refusal = DecodeError::Unauthentic;
            }
            accepted
        })?;
        if let Some(clear) = opened {
            return clear.split(datagram, key);
        }
    }
    Err(refusal)
}

impl Clear {
    fn split<K>(self, datagram: &mut [u8], key: K) -> Result<GroupOpened<'_, K>, DecodeError> {
        let Self { kind, privacy, source, counter, header_len } = self;
        let end = datagram.len().saturating_sub(MIC_LEN);
        let text = datagram.get_mut(header_len..end).unwrap_or_default();
        let (header, offset) =
            ProtocolHeader::parse(text).map_err(|_| DecodeError::ProtocolHeader)?;
        if header.needs_ack {
            return Err(DecodeError::AckFromGroup);
        }
        let payload = text.get_mut(offset..).unwrap_or_default();
        Ok(GroupOpened { key, kind, privacy, source, header, counter, payload })
    }
}

impl From<GroupId> for Destination {
    fn from(group: GroupId) -> Self {
        Self::Group(group)
    }
}

impl From<NodeId> for Destination {
    fn from(node: NodeId) -> Self {
        Self::Node(node)
    }
}
