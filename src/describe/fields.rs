//! The fields of headers and payloads.

use core::fmt;

use super::{EachField, Hex, StatusName};
use crate::check_in;
use crate::crypto::{MIC_LEN, NONCE_LEN};
use crate::group::{Challenge, SyncResponse};
use crate::handshake::HandshakeError;
use crate::handshake::case::messages::{Sigma1, Sigma2, Sigma2Resume, Sigma3};
use crate::handshake::pase::messages::{
    Pake1, Pake2, Pake3, PbkdfParamRequest, PbkdfParamResponse,
};
use crate::ids::ProtocolId;
use crate::session::{SessionParameters, Transports};
use crate::wire::secure_channel::Opcode;
use crate::wire::{Destination, MessageHeader, MessageKind, ProtocolHeader, StatusReport};

pub(super) fn message_header(header: &MessageHeader, each: &mut EachField<'_>) -> fmt::Result {
    let counter = header.counter;
    let mut put = |value: fmt::Arguments<'_>| each("message header", value);
    match header.kind() {
        Ok(MessageKind::FromInitiator(node)) => {
            put(format_args!("unsecured, from initiator {node}, counter {counter}"))
        }
        Ok(MessageKind::FromResponder(node)) => {
            put(format_args!("unsecured, to initiator {node}, counter {counter}"))
        }
        Ok(MessageKind::Unicast(session)) => {
            put(format_args!("session {session}, counter {counter}"))
        }
        Ok(MessageKind::GroupData { session, source, group }) => put(format_args!(
            "group session {session}, from {source} to group {group}, counter {counter}"
        )),
        Ok(MessageKind::GroupControl { session, source, node }) => put(format_args!(
            "group session {session}, control, from {source} to {node}, counter {counter}"
        )),
        Err(_) => {
            put(format_args!("session {}, counter {counter}", header.route.session_id()))?;
            if let Some(source) = header.source {
                each("source", format_args!("{source}"))?;
            }
            match header.destination {
                Destination::None => Ok(()),
                Destination::Node(node) => each("destination", format_args!("{node}")),
                Destination::Group(group) => each("destination", format_args!("group {group}")),
            }
        }
    }
}

pub(super) fn protocol_header(header: &ProtocolHeader, each: &mut EachField<'_>) -> fmt::Result {
    let role = if header.initiator { "initiator" } else { "responder" };
    let wish = if header.needs_ack { ", wants an acknowledgement" } else { "" };
    each("protocol header", format_args!("exchange {}, from its {role}{wish}", header.exchange))?;
    header.ack.map_or(Ok(()), |counter| each("acknowledges", format_args!("{counter}")))
}

pub(super) fn payload(
    header: &ProtocolHeader,
    payload: &[u8],
    each: &mut EachField<'_>,
) -> fmt::Result {
    if header.protocol != ProtocolId::SECURE_CHANNEL {
        return each("payload", format_args!("{} bytes: {}", payload.len(), Hex(payload)));
    }
    match secure_channel(Opcode(header.opcode), payload, each) {
        Ok(()) => Ok(()),
        Err(Stop::Format) => Err(fmt::Error),
        Err(Stop::Malformed(error)) => {
            each("unreadable", format_args!("{error}"))?;
            each("payload", format_args!("{} bytes: {}", payload.len(), Hex(payload)))
        }
        Err(Stop::Shape) => {
            each("unreadable", format_args!("payload of another length or form"))?;
            each("payload", format_args!("{} bytes: {}", payload.len(), Hex(payload)))
        }
    }
}

/// Why the fields of a payload end early.
enum Stop {
    Format,
    Malformed(HandshakeError),
    Shape,
}

impl From<fmt::Error> for Stop {
    fn from(_: fmt::Error) -> Self {
        Self::Format
    }
}

impl From<HandshakeError> for Stop {
    fn from(error: HandshakeError) -> Self {
        Self::Malformed(error)
    }
}

fn secure_channel(opcode: Opcode, payload: &[u8], each: &mut EachField<'_>) -> Result<(), Stop> {
    match opcode {
        Opcode::PBKDF_PARAM_REQUEST
        | Opcode::PBKDF_PARAM_RESPONSE
        | Opcode::PASE_PAKE1
        | Opcode::PASE_PAKE2
        | Opcode::PASE_PAKE3 => pase(opcode, payload, each),
        Opcode::CASE_SIGMA1
        | Opcode::CASE_SIGMA2
        | Opcode::CASE_SIGMA3
        | Opcode::CASE_SIGMA2_RESUME => case(opcode, payload, each),
        Opcode::STATUS_REPORT => {
            let report = StatusReport::parse(payload).map_err(|_| Stop::Shape)?;
            Ok(each("report", format_args!("{}", StatusName(&report)))?)
        }
        Opcode::MSG_COUNTER_SYNC_REQ => {
            let challenge = Challenge::parse(payload).ok_or(Stop::Shape)?;
            Ok(each("challenge", format_args!("{}", Hex(challenge.as_bytes())))?)
        }
        Opcode::MSG_COUNTER_SYNC_RSP => {
            let response = SyncResponse::parse(payload).ok_or(Stop::Shape)?;
            each("counter", format_args!("{}", response.counter))?;
            Ok(each("challenge", format_args!("{}", Hex(response.challenge.as_bytes())))?)
        }
        Opcode::ICD_CHECK_IN => check_in(payload, each),
        Opcode::MRP_STANDALONE_ACK if payload.is_empty() => Ok(()),
        _ => Ok(each("payload", format_args!("{} bytes: {}", payload.len(), Hex(payload)))?),
    }
}

fn check_in(payload: &[u8], each: &mut EachField<'_>) -> Result<(), Stop> {
    if !(check_in::MIN_PAYLOAD..=check_in::MAX_PAYLOAD).contains(&payload.len()) {
        return Err(Stop::Shape);
    }
    let (nonce, rest) = payload.split_at_checked(NONCE_LEN).ok_or(Stop::Shape)?;
    let sealed = rest.len().saturating_sub(MIC_LEN);
    each("nonce", format_args!("{}", Hex(nonce)))?;
    Ok(each("counter and data", format_args!("{sealed} bytes, encrypted"))?)
}

fn pase(opcode: Opcode, payload: &[u8], each: &mut EachField<'_>) -> Result<(), Stop> {
    match opcode {
        Opcode::PBKDF_PARAM_REQUEST => {
            let message = PbkdfParamRequest::parse(payload)?;
            each("initiator random", format_args!("{}", Hex(message.initiator_random)))?;
            each("initiator session id", format_args!("{}", message.initiator_session_id))?;
            each("passcode id", format_args!("{}", message.passcode_id))?;
            each("knows PBKDF already", format_args!("{}", message.has_pbkdf_parameters))?;
            parameters(message.session_parameters, each)?;
        }
        Opcode::PBKDF_PARAM_RESPONSE => {
            // Without the request nobody knows whether the parameters must be there.
            let message = PbkdfParamResponse::parse(payload, false)
                .or_else(|_| PbkdfParamResponse::parse(payload, true))?;
            each("initiator random", format_args!("{}", Hex(message.initiator_random)))?;
            each("responder random", format_args!("{}", Hex(message.responder_random)))?;
            each("responder session id", format_args!("{}", message.responder_session_id))?;
            if let Some(pbkdf) = &message.pbkdf {
                each("PBKDF iterations", format_args!("{}", pbkdf.iterations()))?;
                each("PBKDF salt", format_args!("{}", Hex(pbkdf.salt())))?;
            }
            parameters(message.session_parameters, each)?;
        }
        Opcode::PASE_PAKE1 => {
            each("pA", format_args!("{}", Hex(Pake1::parse(payload)?.pa.as_bytes())))?;
        }
        Opcode::PASE_PAKE2 => {
            let message = Pake2::parse(payload)?;
            each("pB", format_args!("{}", Hex(message.pb.as_bytes())))?;
            each("cB", format_args!("{}", Hex(message.cb)))?;
        }
        _ => each("cA", format_args!("{}", Hex(Pake3::parse(payload)?.ca)))?,
    }
    Ok(())
}

fn case(opcode: Opcode, payload: &[u8], each: &mut EachField<'_>) -> Result<(), Stop> {
    match opcode {
        Opcode::CASE_SIGMA1 => {
            let message = Sigma1::parse(payload)?;
            each("initiator random", format_args!("{}", Hex(message.initiator_random)))?;
            each("initiator session id", format_args!("{}", message.initiator_session_id))?;
            each("destination id", format_args!("{}", Hex(message.destination_id)))?;
            let key = message.initiator_public_key;
            each("ephemeral key", format_args!("{}", Hex(key.as_bytes())))?;
            parameters(message.session_parameters, each)?;
            if let Some(resumption) = message.resumption {
                each("resumption id", format_args!("{}", Hex(resumption.id.as_bytes())))?;
                each("resumption MIC", format_args!("{}", Hex(resumption.mic)))?;
            }
        }
        Opcode::CASE_SIGMA2 => {
            let message = Sigma2::parse(payload)?;
            each("responder random", format_args!("{}", Hex(&message.responder_random)))?;
            each("responder session id", format_args!("{}", message.responder_session_id))?;
            let key = message.responder_public_key;
            each("ephemeral key", format_args!("{}", Hex(key.as_bytes())))?;
            sealed_certificates(message.encrypted.len(), each)?;
            parameters(message.session_parameters, each)?;
        }
        Opcode::CASE_SIGMA2_RESUME => {
            let message = Sigma2Resume::parse(payload)?;
            each("new resumption id", format_args!("{}", Hex(message.resumption_id.as_bytes())))?;
            each("resumption MIC", format_args!("{}", Hex(message.mic)))?;
            each("responder session id", format_args!("{}", message.responder_session_id))?;
            parameters(message.session_parameters, each)?;
        }
        _ => sealed_certificates(Sigma3::parse(payload)?.encrypted.len(), each)?,
    }
    Ok(())
}

fn sealed_certificates(len: usize, each: &mut EachField<'_>) -> fmt::Result {
    each("certificates", format_args!("{len} bytes, encrypted"))
}

fn parameters(parameters: Option<SessionParameters>, each: &mut EachField<'_>) -> fmt::Result {
    let Some(parameters) = parameters else { return Ok(()) };
    each(
        "session parameters",
        format_args!(
            "idle {} ms, active {} ms for {} ms",
            parameters.idle_interval_ms,
            parameters.active_interval_ms,
            parameters.active_threshold_ms
        ),
    )?;
    if let Some(version) = parameters.specification_version {
        let [major, minor, patch, _] = version.to_be_bytes();
        each("specification", format_args!("{major}.{minor}.{patch}"))?;
    }
    if parameters.transports != Transports::NONE {
        let max = parameters.max_tcp_message;
        each("TCP", format_args!("messages of up to {max} bytes"))?;
    }
    Ok(())
}
