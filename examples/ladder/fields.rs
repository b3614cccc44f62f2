//! What stands in a datagram, as far as a bystander can read it.

use matter_session::handshake::case::messages::{Sigma1, Sigma2, Sigma2Resume, Sigma3};
use matter_session::handshake::pase::messages::{
    Pake1, Pake2, Pake3, PbkdfParamRequest, PbkdfParamResponse,
};
use matter_session::ids::ProtocolId;
use matter_session::session::SessionParameters;
use matter_session::wire::secure_channel::Opcode;
use matter_session::wire::{
    MessageHeader, MessageKind, Packet, ProtocolHeader, StatusReport, TAILROOM,
};

use super::{Outcome, hex};

/// A datagram's name and fields.
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) fields: Vec<(&'static str, String)>,
}

/// Reads a datagram; one that cannot be read is described as such.
pub(crate) fn describe(datagram: &[u8]) -> Description {
    let mut description = Description { name: "datagram".into(), fields: Vec::new() };
    if let Err(error) = description.read(datagram) {
        description.put("unreadable", error);
    }
    description
}

impl Description {
    fn put(&mut self, field: &'static str, value: impl ToString) {
        self.fields.push((field, value.to_string()));
    }

    fn read(&mut self, datagram: &[u8]) -> Outcome {
        // A parsed packet can be decrypted in place, so it wants octets of its own.
        let mut octets = datagram.to_vec();
        let packet = Packet::parse(&mut octets)?;
        self.message_header(packet.header())?;
        let secure = matches!(packet.header().kind()?, MessageKind::Unicast(_));
        let (_, _, body) = packet.into_parts();
        if secure {
            self.name = "encrypted message".into();
            self.put("ciphertext", format!("{} octets", body.len().saturating_sub(TAILROOM)));
            self.put("integrity code", format!("{TAILROOM} octets"));
            return Ok(());
        }
        let (header, start) = ProtocolHeader::parse(body)?;
        self.protocol_header(&header);
        if header.protocol == ProtocolId::SECURE_CHANNEL {
            self.name = Opcode(header.opcode).to_string();
            self.secure_channel(Opcode(header.opcode), body.get(start..).unwrap_or_default())?;
        }
        Ok(())
    }

    fn message_header(&mut self, header: &MessageHeader) -> Outcome {
        let session = match header.kind()? {
            MessageKind::FromInitiator(node) => format!("unsecured, from initiator {node}"),
            MessageKind::FromResponder(node) => format!("unsecured, to initiator {node}"),
            MessageKind::Unicast(id) => format!("session {id}"),
            other => format!("{other:?}"),
        };
        self.put("message header", format!("{session}, counter {}", header.counter));
        Ok(())
    }

    fn protocol_header(&mut self, header: &ProtocolHeader) {
        let role = if header.initiator { "initiator" } else { "responder" };
        let wish = if header.needs_ack { ", wants an acknowledgement" } else { "" };
        self.put("protocol header", format!("exchange {}, from its {role}{wish}", header.exchange));
        if let Some(counter) = header.ack {
            self.put("acknowledges", counter);
        }
    }

    fn secure_channel(&mut self, opcode: Opcode, payload: &[u8]) -> Outcome {
        match opcode {
            Opcode::PBKDF_PARAM_REQUEST => {
                let message = PbkdfParamRequest::parse(payload)?;
                self.put("initiator random", hex(message.initiator_random));
                self.put("initiator session id", message.initiator_session_id);
                self.put("passcode id", message.passcode_id);
                self.put("knows PBKDF already", message.has_pbkdf_parameters);
                self.parameters(message.session_parameters);
            }
            Opcode::PBKDF_PARAM_RESPONSE => {
                let message = PbkdfParamResponse::parse(payload, false)?;
                self.put("initiator random", hex(message.initiator_random));
                self.put("responder random", hex(message.responder_random));
                self.put("responder session id", message.responder_session_id);
                if let Some(pbkdf) = message.pbkdf {
                    self.put("PBKDF iterations", pbkdf.iterations());
                    self.put("PBKDF salt", hex(pbkdf.salt()));
                }
                self.parameters(message.session_parameters);
            }
            Opcode::PASE_PAKE1 => {
                self.put("pA", hex(Pake1::parse(payload)?.pa.as_bytes()));
            }
            Opcode::PASE_PAKE2 => {
                let message = Pake2::parse(payload)?;
                self.put("pB", hex(message.pb.as_bytes()));
                self.put("cB", hex(message.cb));
            }
            Opcode::PASE_PAKE3 => self.put("cA", hex(Pake3::parse(payload)?.ca)),
            Opcode::CASE_SIGMA1 => {
                let message = Sigma1::parse(payload)?;
                self.put("initiator random", hex(message.initiator_random));
                self.put("initiator session id", message.initiator_session_id);
                self.put("destination id", hex(message.destination_id));
                self.put("ephemeral key", hex(message.initiator_public_key.as_bytes()));
                self.parameters(message.session_parameters);
                if let Some(resumption) = message.resumption {
                    self.put("resumption id", hex(resumption.id.as_bytes()));
                    self.put("resumption MIC", hex(resumption.mic));
                }
            }
            Opcode::CASE_SIGMA2 => {
                let message = Sigma2::parse(payload)?;
                self.put("responder random", hex(&message.responder_random));
                self.put("responder session id", message.responder_session_id);
                self.put("ephemeral key", hex(message.responder_public_key.as_bytes()));
                self.put("certificates, sealed", format!("{} octets", message.encrypted.len()));
                self.parameters(message.session_parameters);
            }
            Opcode::CASE_SIGMA3 => {
                let sealed = Sigma3::parse(payload)?.encrypted.len();
                self.put("certificates, sealed", format!("{sealed} octets"));
            }
            Opcode::CASE_SIGMA2_RESUME => {
                let message = Sigma2Resume::parse(payload)?;
                self.put("new resumption id", hex(message.resumption_id.as_bytes()));
                self.put("resumption MIC", hex(message.mic));
                self.put("responder session id", message.responder_session_id);
                self.parameters(message.session_parameters);
            }
            Opcode::STATUS_REPORT => self.put("report", StatusReport::parse(payload)?),
            _ => {}
        }
        Ok(())
    }

    fn parameters(&mut self, parameters: Option<SessionParameters>) {
        let Some(parameters) = parameters else { return };
        let text = format!(
            "idle {} ms, active {} ms for {} ms",
            parameters.idle_interval_ms,
            parameters.active_interval_ms,
            parameters.active_threshold_ms
        );
        self.put("session parameters", text);
    }
}
