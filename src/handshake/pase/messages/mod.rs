//! The messages of PASE, to be read and written without a state machine.
//! [Core, "PASE: Protocol Details"]

use crate::bytes::{Overflow, Sink};
use crate::crypto::{HASH_LEN, PUBLIC_KEY_LEN, PbkdfParameters, PublicKey};
use crate::handshake::HandshakeError;
use crate::handshake::fields::{session_id, session_parameters};
use crate::ids::PeerSessionId;
use crate::session::SessionParameters;
use crate::tlv::{Container, ContainerKind, Tag, Writer};

const INITIATOR_RANDOM: u8 = 1;
const RANDOM_LEN: usize = 32;

/// PBKDFParamRequest: the initiator's opening.
#[derive(Clone, Copy, Debug)]
pub struct PbkdfParamRequest<'a> {
    /// The initiator's random.
    pub initiator_random: &'a [u8; RANDOM_LEN],
    /// The session id that the initiator will receive on.
    pub initiator_session_id: PeerSessionId,
    /// Which passcode; 0 is the only one in use.
    pub passcode_id: u16,
    /// Whether the initiator knows the PBKDF parameters already.
    pub has_pbkdf_parameters: bool,
    /// The initiator's session parameters.
    pub session_parameters: Option<SessionParameters>,
}

impl<'a> PbkdfParamRequest<'a> {
    /// Reads the payload of the message.
    ///
    /// # Errors
    /// [`HandshakeError::Malformed`], [`HandshakeError::InvalidSessionId`].
    pub fn parse(payload: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut fields = Container::message(payload)?;
        let message = Self {
            initiator_random: fields.field(INITIATOR_RANDOM)?.array()?,
            initiator_session_id: session_id(fields.field(2)?.u16()?)?,
            passcode_id: fields.field(3)?.u16()?,
            has_pbkdf_parameters: fields.field(4)?.bool()?,
            session_parameters: session_parameters(&mut fields, 5)?,
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
        writer.bytes(Tag::Context(INITIATOR_RANDOM), self.initiator_random)?;
        writer.unsigned(Tag::Context(2), self.initiator_session_id.get())?;
        writer.unsigned(Tag::Context(3), self.passcode_id)?;
        writer.bool(Tag::Context(4), self.has_pbkdf_parameters)?;
        if let Some(parameters) = &self.session_parameters {
            parameters.write(Tag::Context(5), writer)?;
        }
        writer.end()
    }
}

/// PBKDFParamResponse: the responder's answer.
#[derive(Clone, Copy, Debug)]
pub struct PbkdfParamResponse<'a> {
    /// The initiator's random, echoed.
    pub initiator_random: &'a [u8; RANDOM_LEN],
    /// The responder's random.
    pub responder_random: &'a [u8; RANDOM_LEN],
    /// The session id that the responder will receive on.
    pub responder_session_id: PeerSessionId,
    /// The parameters, if the initiator said it has none.
    pub pbkdf: Option<PbkdfParameters>,
    /// The responder's session parameters.
    pub session_parameters: Option<SessionParameters>,
}

impl<'a> PbkdfParamResponse<'a> {
    /// Reads the payload of the message.
    ///
    /// `known`: the request said that the parameters are known; then whatever stands in their
    /// place (nothing, an empty structure or full parameters, depending on the sender) is
    /// ignored.
    ///
    /// # Errors
    /// [`HandshakeError::Malformed`], [`HandshakeError::InvalidSessionId`],
    /// [`HandshakeError::Pbkdf`] for parameters outside their limits.
    pub fn parse(payload: &'a [u8], known: bool) -> Result<Self, HandshakeError> {
        let mut fields = Container::message(payload)?;
        let initiator_random = fields.field(INITIATOR_RANDOM)?.array()?;
        let responder_random = fields.field(2)?.array()?;
        let responder_session_id = session_id(fields.field(3)?.u16()?)?;
        let pbkdf = if known {
            if let Some(ignored) = fields.optional(4)? {
                ignored.container(ContainerKind::Structure)?;
            }
            None
        } else {
            let mut inner = fields.field(4)?.container(ContainerKind::Structure)?;
            let iterations = inner.field(1)?.u32()?;
            let salt = inner.field(2)?.bytes()?;
            inner.finish()?;
            Some(PbkdfParameters::new(iterations, salt)?)
        };
        let session_parameters = session_parameters(&mut fields, 5)?;
        fields.finish()?;
        Ok(Self {
            initiator_random,
            responder_random,
            responder_session_id,
            pbkdf,
            session_parameters,
        })
    }

    /// Writes the payload of the message.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn write<S: Sink>(&self, writer: &mut Writer<S>) -> Result<(), Overflow> {
        writer.start_structure(Tag::Anonymous)?;
        writer.bytes(Tag::Context(INITIATOR_RANDOM), self.initiator_random)?;
        writer.bytes(Tag::Context(2), self.responder_random)?;
        writer.unsigned(Tag::Context(3), self.responder_session_id.get())?;
        if let Some(pbkdf) = &self.pbkdf {
            writer.start_structure(Tag::Context(4))?;
            writer.unsigned(Tag::Context(1), pbkdf.iterations())?;
            writer.bytes(Tag::Context(2), pbkdf.salt())?;
            writer.end()?;
        }
        if let Some(parameters) = &self.session_parameters {
            parameters.write(Tag::Context(5), writer)?;
        }
        writer.end()
    }
}

/// Pake1: the prover's share.
#[derive(Clone, Copy, Debug)]
pub struct Pake1 {
    /// `X = x*G + w0*M`.
    pub pa: PublicKey,
}

impl Pake1 {
    /// Reads the payload of the message.
    ///
    /// # Errors
    /// [`HandshakeError::Malformed`], [`HandshakeError::Crypto`] for a compressed point.
    pub fn parse(payload: &[u8]) -> Result<Self, HandshakeError> {
        let mut fields = Container::message(payload)?;
        let pa = PublicKey::new(fields.field(1)?.array::<PUBLIC_KEY_LEN>()?)?;
        fields.finish()?;
        Ok(Self { pa })
    }

    /// Writes the payload of the message.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn write<S: Sink>(&self, writer: &mut Writer<S>) -> Result<(), Overflow> {
        writer.start_structure(Tag::Anonymous)?;
        writer.bytes(Tag::Context(1), self.pa.as_bytes())?;
        writer.end()
    }
}

/// Pake2: the verifier's share and confirmation.
#[derive(Clone, Copy, Debug)]
pub struct Pake2<'a> {
    /// `Y = y*G + w0*N`.
    pub pb: PublicKey,
    /// The verifier's confirmation.
    pub cb: &'a [u8; HASH_LEN],
}

impl<'a> Pake2<'a> {
    /// Reads the payload of the message.
    ///
    /// # Errors
    /// [`HandshakeError::Malformed`], [`HandshakeError::Crypto`] for a compressed point.
    pub fn parse(payload: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut fields = Container::message(payload)?;
        let pb = PublicKey::new(fields.field(1)?.array::<PUBLIC_KEY_LEN>()?)?;
        let cb = fields.field(2)?.array()?;
        fields.finish()?;
        Ok(Self { pb, cb })
    }

    /// Writes the payload of the message.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn write<S: Sink>(&self, writer: &mut Writer<S>) -> Result<(), Overflow> {
        writer.start_structure(Tag::Anonymous)?;
        writer.bytes(Tag::Context(1), self.pb.as_bytes())?;
        writer.bytes(Tag::Context(2), self.cb)?;
        writer.end()
    }
}

/// Pake3: the prover's confirmation.
#[derive(Clone, Copy, Debug)]
pub struct Pake3<'a> {
    /// The prover's confirmation.
    pub ca: &'a [u8; HASH_LEN],
}

impl<'a> Pake3<'a> {
    /// Reads the payload of the message.
    ///
    /// # Errors
    /// [`HandshakeError::Malformed`].
    pub fn parse(payload: &'a [u8]) -> Result<Self, HandshakeError> {
        let mut fields = Container::message(payload)?;
        let ca = fields.field(1)?.array()?;
        fields.finish()?;
        Ok(Self { ca })
    }

    /// Writes the payload of the message.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn write<S: Sink>(&self, writer: &mut Writer<S>) -> Result<(), Overflow> {
        writer.start_structure(Tag::Anonymous)?;
        writer.bytes(Tag::Context(1), self.ca)?;
        writer.end()
    }
}

#[cfg(test)]
mod tests;
