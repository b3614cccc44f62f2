//! The messages of CASE, to be read and written without a state machine.
//! [Core, "CASE: Protocol Details"]
//!
//! A read [`Sigma2`] or [`Sigma3`] says where in the payload its encrypted part is, so that it can
//! be decrypted in place. To write one, give the encrypted part itself. Its plaintext is a
//! [`TbeData`].

use core::ops::Range;

use crate::bytes::debug_lengths;
use crate::bytes::{Overflow, Sink};
use crate::crypto::{
    Crypto, CryptoError, HASH_LEN, MIC_LEN, PUBLIC_KEY_LEN, PublicKey, SIGNATURE_LEN, SignedBytes,
};
use crate::handshake::HandshakeError;
use crate::handshake::fields::{session_id, session_parameters};
use crate::ids::PeerSessionId;
use crate::session::ResumptionId;
use crate::session::SessionParameters;
use crate::tlv::{Container, Tag, TlvError, Writer};

/// The length of the randoms in bytes.
pub const RANDOM_LEN: usize = 32;
/// The longest certificate in TLV, in bytes.
const MAX_CERTIFICATE_LEN: usize = crate::cert::MAX_CERT_LEN;
/// The longest encrypted part of Sigma2 that is accepted, in bytes. Two certificates of full
/// length need 912; the rest is room for fields of later revisions.
pub(super) const MAX_ENCRYPTED2_LEN: usize = 1030;
/// The longest encrypted part of Sigma3 that is accepted, in bytes; 893 are needed.
pub(super) const MAX_ENCRYPTED3_LEN: usize = 1010;

/// The resumption fields of Sigma1: both or neither.
#[derive(Clone, Copy, Debug)]
pub struct ResumeRequest<'a> {
    /// The record that the initiator wants to resume.
    pub id: ResumptionId,
    /// Its proof that it holds the record.
    pub mic: &'a [u8; MIC_LEN],
}

/// Sigma1: the initiator's opening.
#[derive(Clone, Copy, Debug)]
pub struct Sigma1<'a> {
    /// The initiator's random.
    pub initiator_random: &'a [u8; RANDOM_LEN],
    /// The session id that the initiator will receive on.
    pub initiator_session_id: PeerSessionId,
    /// Which node on which fabric is meant, in a form that only members can read.
    pub destination_id: &'a [u8; HASH_LEN],
    /// The initiator's ephemeral public key.
    pub initiator_public_key: PublicKey,
    /// The initiator's session parameters.
    pub session_parameters: Option<SessionParameters>,
    /// The wish to resume a former session.
    pub resumption: Option<ResumeRequest<'a>>,
}

impl<'a> Sigma1<'a> {
    /// Reads the payload of the message.
    ///
    /// # Errors
    /// [`HandshakeError::Malformed`] (also when one of the two resumption fields stands alone),
    /// [`HandshakeError::InvalidSessionId`], [`HandshakeError::Crypto`] for a compressed point.
    pub fn parse(payload: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut fields = Container::message(payload)?;
        let initiator_random = fields.field(1)?.array()?;
        let initiator_session_id = session_id(fields.field(2)?.u16()?)?;
        let destination_id = fields.field(3)?.array()?;
        let initiator_public_key = PublicKey::new(fields.field(4)?.array::<PUBLIC_KEY_LEN>()?)?;
        let session_parameters = session_parameters(&mut fields, 5)?;
        let id = fields.optional(6)?.map(|value| value.array()).transpose()?;
        let mic = fields.optional(7)?.map(|value| value.array()).transpose()?;
        let resumption = match (id, mic) {
            (Some(id), Some(mic)) => Some(ResumeRequest { id: ResumptionId::new(*id), mic }),
            (None, None) => None,
            _ => return Err(TlvError::UnexpectedTag.into()),
        };
        while let Some(field) = fields.element()? {
            // Both or neither: not one of them behind a field that we do not know, either.
            if matches!(field.tag, Tag::Context(6 | 7)) {
                return Err(TlvError::UnexpectedTag.into());
            }
        }
        Ok(Self {
            initiator_random,
            initiator_session_id,
            destination_id,
            initiator_public_key,
            session_parameters,
            resumption,
        })
    }

    /// Writes the payload of the message.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn write<S: Sink>(&self, writer: &mut Writer<S>) -> Result<(), Overflow> {
        writer.start_structure(Tag::Anonymous)?;
        writer.bytes(Tag::Context(1), self.initiator_random)?;
        writer.unsigned(Tag::Context(2), self.initiator_session_id.get())?;
        writer.bytes(Tag::Context(3), self.destination_id)?;
        writer.bytes(Tag::Context(4), self.initiator_public_key.as_bytes())?;
        if let Some(parameters) = &self.session_parameters {
            parameters.write_in_sigma1(Tag::Context(5), writer)?;
        }
        if let Some(resumption) = &self.resumption {
            writer.bytes(Tag::Context(6), resumption.id.as_bytes())?;
            writer.bytes(Tag::Context(7), resumption.mic)?;
        }
        writer.end()
    }
}

/// Sigma2: the responder's answer, with its certificates in the encrypted part.
#[derive(Clone, Debug)]
pub struct Sigma2<E = Range<usize>> {
    /// The responder's random.
    pub responder_random: [u8; RANDOM_LEN],
    /// The session id that the responder will receive on.
    pub responder_session_id: PeerSessionId,
    /// The responder's ephemeral public key.
    pub responder_public_key: PublicKey,
    /// The encrypted part, ciphertext and MIC: its place in a payload that was read, or its bytes.
    pub encrypted: E,
    /// The responder's session parameters.
    pub session_parameters: Option<SessionParameters>,
}

impl Sigma2 {
    /// Reads the payload of the message.
    ///
    /// # Errors
    /// [`HandshakeError::Malformed`], [`HandshakeError::InvalidSessionId`],
    /// [`HandshakeError::Crypto`] for a compressed point.
    pub fn parse(payload: &[u8]) -> Result<Self, HandshakeError> {
        let mut fields = Container::message(payload)?;
        let responder_random = *fields.field(1)?.array()?;
        let responder_session_id = session_id(fields.field(2)?.u16()?)?;
        let responder_public_key = PublicKey::new(fields.field(3)?.array::<PUBLIC_KEY_LEN>()?)?;
        let encrypted = encrypted(payload, fields.field(4)?.bytes()?, MAX_ENCRYPTED2_LEN)?;
        let session_parameters = session_parameters(&mut fields, 5)?;
        fields.finish()?;
        Ok(Self {
            responder_random,
            responder_session_id,
            responder_public_key,
            encrypted,
            session_parameters,
        })
    }
}

impl Sigma2<&[u8]> {
    /// Writes the payload of the message.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn write<S: Sink>(&self, writer: &mut Writer<S>) -> Result<(), Overflow> {
        self.write_with(writer, |writer, tag| writer.bytes(tag, self.encrypted))
    }
}

impl<E> Sigma2<E> {
    /// Writes the payload of the message; `encrypted` writes that part.
    pub(super) fn write_with<S: Sink, X: From<Overflow>>(
        &self,
        writer: &mut Writer<S>,
        encrypted: impl FnOnce(&mut Writer<S>, Tag) -> Result<(), X>,
    ) -> Result<(), X> {
        writer.start_structure(Tag::Anonymous)?;
        writer.bytes(Tag::Context(1), &self.responder_random)?;
        writer.unsigned(Tag::Context(2), self.responder_session_id.get())?;
        writer.bytes(Tag::Context(3), self.responder_public_key.as_bytes())?;
        encrypted(writer, Tag::Context(4))?;
        if let Some(parameters) = &self.session_parameters {
            parameters.write(Tag::Context(5), writer)?;
        }
        Ok(writer.end()?)
    }
}

/// Sigma2Resume: the responder's answer to a resumption that it accepts.
#[derive(Clone, Copy, Debug)]
pub struct Sigma2Resume<'a> {
    /// The new name of the record.
    pub resumption_id: ResumptionId,
    /// The responder's proof that it holds the record.
    pub mic: &'a [u8; MIC_LEN],
    /// The session id that the responder will receive on.
    pub responder_session_id: PeerSessionId,
    /// The responder's session parameters.
    pub session_parameters: Option<SessionParameters>,
}

impl<'a> Sigma2Resume<'a> {
    /// Reads the payload of the message.
    ///
    /// # Errors
    /// [`HandshakeError::Malformed`], [`HandshakeError::InvalidSessionId`].
    pub fn parse(payload: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut fields = Container::message(payload)?;
        let message = Self {
            resumption_id: ResumptionId::new(*fields.field(1)?.array()?),
            mic: fields.field(2)?.array()?,
            responder_session_id: session_id(fields.field(3)?.u16()?)?,
            session_parameters: session_parameters(&mut fields, 4)?,
        };
        fields.finish()?;
        Ok(message)
    }

    /// Writes the payload of the message.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn write<S: Sink>(&self, writer: &mut Writer<S>) -> Result<(), Overflow> {
        writer.start_structure(Tag::Anonymous)?;
        writer.bytes(Tag::Context(1), self.resumption_id.as_bytes())?;
        writer.bytes(Tag::Context(2), self.mic)?;
        writer.unsigned(Tag::Context(3), self.responder_session_id.get())?;
        if let Some(parameters) = &self.session_parameters {
            parameters.write(Tag::Context(4), writer)?;
        }
        writer.end()
    }
}

/// Sigma3: the initiator's certificates, encrypted.
#[derive(Clone, Debug)]
pub struct Sigma3<E = Range<usize>> {
    /// The encrypted part, ciphertext and MIC: its place in a payload that was read, or its bytes.
    pub encrypted: E,
}

impl Sigma3 {
    /// Reads the payload of the message.
    ///
    /// # Errors
    /// [`HandshakeError::Malformed`].
    pub fn parse(payload: &[u8]) -> Result<Self, HandshakeError> {
        let mut fields = Container::message(payload)?;
        let encrypted = encrypted(payload, fields.field(1)?.bytes()?, MAX_ENCRYPTED3_LEN)?;
        fields.finish()?;
        Ok(Self { encrypted })
    }
}

impl Sigma3<&[u8]> {
    /// Writes the payload of the message.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn write<S: Sink>(&self, writer: &mut Writer<S>) -> Result<(), Overflow> {
        self.write_with(writer, |writer, tag| writer.bytes(tag, self.encrypted))
    }
}

impl<E> Sigma3<E> {
    /// Writes the payload of the message; `encrypted` writes that part.
    pub(super) fn write_with<S: Sink, X: From<Overflow>>(
        &self,
        writer: &mut Writer<S>,
        encrypted: impl FnOnce(&mut Writer<S>, Tag) -> Result<(), X>,
    ) -> Result<(), X> {
        writer.start_structure(Tag::Anonymous)?;
        encrypted(writer, Tag::Context(1))?;
        Ok(writer.end()?)
    }
}

/// TBEData2 or TBEData3: the plaintext of the encrypted parts.
#[derive(Clone, Copy)]
#[doc(alias = "TBEData2")]
#[doc(alias = "TBEData3")]
pub struct TbeData<'a> {
    /// The sender's operational certificate.
    pub noc: &'a [u8],
    /// The sender's intermediate certificate.
    pub icac: Option<&'a [u8]>,
    /// The sender's signature over the [`TbsData`].
    pub signature: &'a [u8; SIGNATURE_LEN],
    /// TBEData2 only: the name of the record from which this session can be resumed.
    pub resumption_id: Option<ResumptionId>,
}

debug_lengths!(TbeData[]['_]: resumption_id; noc);

impl<'a> TbeData<'a> {
    /// Reads TBEData2, the plaintext of the encrypted part of Sigma2.
    ///
    /// # Errors
    /// [`HandshakeError::Malformed`].
    pub fn parse2(plaintext: &'a [u8]) -> Result<Self, HandshakeError> {
        Self::parse(plaintext, |fields| Ok(Some(ResumptionId::new(*fields.field(4)?.array()?))))
    }

    /// Reads TBEData3, the plaintext of the encrypted part of Sigma3.
    ///
    /// # Errors
    /// [`HandshakeError::Malformed`].
    pub fn parse3(plaintext: &'a [u8]) -> Result<Self, HandshakeError> {
        Self::parse(plaintext, |_| Ok(None))
    }

    fn parse(
        plaintext: &'a [u8],
        resumption_id: impl FnOnce(&mut Container<'a>) -> Result<Option<ResumptionId>, TlvError>,
    ) -> Result<Self, HandshakeError> {
        let mut fields = Container::message(plaintext)?;
        let noc = certificate(fields.field(1)?.bytes()?)?;
        let icac = fields.optional(2)?.map(|value| certificate(value.bytes()?)).transpose()?;
        // Some stacks send an empty octet string where they have no ICAC.
        let icac = icac.filter(|icac| !icac.is_empty());
        let signature = fields.field(3)?.array()?;
        let resumption_id = resumption_id(&mut fields)?;
        fields.finish()?;
        Ok(Self { noc, icac, signature, resumption_id })
    }

    /// Writes the structure.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn write<S: Sink>(&self, writer: &mut Writer<S>) -> Result<(), Overflow> {
        writer.start_structure(Tag::Anonymous)?;
        writer.bytes(Tag::Context(1), self.noc)?;
        if let Some(icac) = self.icac {
            writer.bytes(Tag::Context(2), icac)?;
        }
        writer.bytes(Tag::Context(3), self.signature)?;
        if let Some(id) = &self.resumption_id {
            writer.bytes(Tag::Context(4), id.as_bytes())?;
        }
        writer.end()
    }
}

/// TBSData2 or TBSData3: what the sender of a [`TbeData`] signs. It is not sent; the receiver
/// writes it again, so its encoding is fixed.
#[derive(Clone, Copy)]
#[doc(alias = "TBSData2")]
#[doc(alias = "TBSData3")]
pub struct TbsData<'a> {
    /// The sender's operational certificate.
    pub noc: &'a [u8],
    /// The sender's intermediate certificate.
    pub icac: Option<&'a [u8]>,
    /// The sender's ephemeral public key.
    pub sender: &'a PublicKey,
    /// The receiver's ephemeral public key.
    pub receiver: &'a PublicKey,
}

debug_lengths!(TbsData[]['_]: sender, receiver; noc);

impl TbsData<'_> {
    /// Returns the SHA-256 digest, which is signed.
    ///
    /// # Errors
    /// None: a hash takes any number of bytes.
    pub fn digest<C: Crypto>(&self, crypto: &C) -> Result<[u8; HASH_LEN], CryptoError> {
        (self as &dyn SignedBytes).digest(crypto.sha256())
    }
}

impl SignedBytes for TbsData<'_> {
    fn write(&self, sink: &mut dyn Sink) -> Result<(), Overflow> {
        let mut writer = Writer::new(sink);
        writer.start_structure(Tag::Anonymous)?;
        writer.bytes(Tag::Context(1), self.noc)?;
        if let Some(icac) = self.icac {
            writer.bytes(Tag::Context(2), icac)?;
        }
        writer.bytes(Tag::Context(3), self.sender.as_bytes())?;
        writer.bytes(Tag::Context(4), self.receiver.as_bytes())?;
        writer.end()
    }
}

fn certificate(value: &[u8]) -> Result<&[u8], TlvError> {
    if value.len() > MAX_CERTIFICATE_LEN { Err(TlvError::OutOfRange) } else { Ok(value) }
}

/// Where `part`, a field of `payload`, stands in it.
fn encrypted(payload: &[u8], part: &[u8], max: usize) -> Result<Range<usize>, TlvError> {
    if part.len() <= MIC_LEN || part.len() > max {
        return Err(TlvError::OutOfRange);
    }
    let start = part.as_ptr().addr().saturating_sub(payload.as_ptr().addr());
    Ok(start..start.saturating_add(part.len()))
}

#[cfg(test)]
mod tests;
