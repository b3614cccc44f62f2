//! Names of message types and of status codes.

use core::fmt;

use super::padded;
use crate::ids::{MessageType, ProtocolId};
use crate::wire::secure_channel::{Opcode, status_code};
use crate::wire::{GeneralCode, StatusReport};

/// A message type by its name in the standard: those of the secure channel and of the interaction
/// model. Others are printed as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageName(pub MessageType);

impl fmt::Display for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MessageType { protocol, opcode } = self.0;
        if protocol == ProtocolId::SECURE_CHANNEL {
            return padded(f, format_args!("{}", Opcode(opcode)));
        }
        f.pad(match self.0 {
            MessageType::STATUS_RESPONSE => "StatusResponse",
            MessageType::READ_REQUEST => "ReadRequest",
            MessageType::SUBSCRIBE_REQUEST => "SubscribeRequest",
            MessageType::SUBSCRIBE_RESPONSE => "SubscribeResponse",
            MessageType::REPORT_DATA => "ReportData",
            MessageType::WRITE_REQUEST => "WriteRequest",
            MessageType::WRITE_RESPONSE => "WriteResponse",
            MessageType::INVOKE_REQUEST => "InvokeRequest",
            MessageType::INVOKE_RESPONSE => "InvokeResponse",
            MessageType::TIMED_REQUEST => "TimedRequest",
            _ => {
                let ProtocolId { vendor, id } = protocol;
                return padded(f, format_args!("protocol {vendor}:{id}, opcode 0x{opcode:02x}"));
            }
        })
    }
}

/// A status report with the names of its codes.
#[derive(Clone, Copy, Debug)]
pub struct StatusName<'a>(pub &'a StatusReport<'a>);

impl fmt::Display for StatusName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let name = match (report.protocol == ProtocolId::SECURE_CHANNEL, report.code) {
            (true, status_code::SESSION_ESTABLISHMENT_SUCCESS) => "SESSION_ESTABLISHMENT_SUCCESS",
            (true, status_code::NO_SHARED_TRUST_ROOTS) => "NO_SHARED_TRUST_ROOTS",
            (true, status_code::INVALID_PARAMETER) => "INVALID_PARAMETER",
            (true, status_code::CLOSE_SESSION) => "CLOSE_SESSION",
            (true, status_code::BUSY) => "BUSY",
            (true, status_code::GENERAL_FAILURE) => "no code",
            _ => return fmt::Display::fmt(report, f),
        };
        if report.general == GeneralCode::BUSY && report.code == status_code::BUSY {
            let wait = report.busy_wait().unwrap_or_default();
            return write!(f, "BUSY, wait {} ms", wait.as_millis());
        }
        write!(f, "{}, {name}", report.general)
    }
}
