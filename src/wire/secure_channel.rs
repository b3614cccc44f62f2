//! The secure channel protocol: its opcodes and status codes.

use core::fmt;

/// A secure channel opcode, known or not. [Core, "Secure Channel Protocol: Opcodes"]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Opcode(pub u8);

impl Opcode {
    /// Asks for a group counter.
    pub const MSG_COUNTER_SYNC_REQ: Self = Self(0x00);
    /// Tells a group counter.
    pub const MSG_COUNTER_SYNC_RSP: Self = Self(0x01);
    /// An acknowledgement on its own: empty payload.
    pub const MRP_STANDALONE_ACK: Self = Self(0x10);
    /// PASE, first message: initiator to responder.
    pub const PBKDF_PARAM_REQUEST: Self = Self(0x20);
    /// PASE, second message.
    pub const PBKDF_PARAM_RESPONSE: Self = Self(0x21);
    /// PASE, third message: the initiator's share.
    pub const PASE_PAKE1: Self = Self(0x22);
    /// PASE, fourth message: the responder's share and confirmation.
    pub const PASE_PAKE2: Self = Self(0x23);
    /// PASE, fifth message: the initiator's confirmation.
    pub const PASE_PAKE3: Self = Self(0x24);
    /// CASE, first message: initiator to responder.
    pub const CASE_SIGMA1: Self = Self(0x30);
    /// CASE, second message.
    pub const CASE_SIGMA2: Self = Self(0x31);
    /// CASE, third message.
    pub const CASE_SIGMA3: Self = Self(0x32);
    /// CASE, second message of a resumption.
    pub const CASE_SIGMA2_RESUME: Self = Self(0x33);
    /// A [`StatusReport`](super::StatusReport).
    pub const STATUS_REPORT: Self = Self(0x40);
    /// An intermittently connected device checks in.
    pub const ICD_CHECK_IN: Self = Self(0x50);

    /// Returns true for the messages of PASE and CASE themselves: acknowledgements and status
    /// reports are not counted.
    #[must_use]
    pub const fn is_session_establishment(self) -> bool {
        matches!(self.0, 0x20..=0x24 | 0x30..=0x33)
    }

    /// Returns true for the messages that begin a handshake.
    #[must_use]
    pub const fn begins_handshake(self) -> bool {
        matches!(self, Self::PBKDF_PARAM_REQUEST | Self::CASE_SIGMA1)
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::MSG_COUNTER_SYNC_REQ => "MsgCounterSyncReq",
            Self::MSG_COUNTER_SYNC_RSP => "MsgCounterSyncRsp",
            Self::MRP_STANDALONE_ACK => "MRP Standalone Acknowledgement",
            Self::PBKDF_PARAM_REQUEST => "PBKDFParamRequest",
            Self::PBKDF_PARAM_RESPONSE => "PBKDFParamResponse",
            Self::PASE_PAKE1 => "PASE Pake1",
            Self::PASE_PAKE2 => "PASE Pake2",
            Self::PASE_PAKE3 => "PASE Pake3",
            Self::CASE_SIGMA1 => "CASE Sigma1",
            Self::CASE_SIGMA2 => "CASE Sigma2",
            Self::CASE_SIGMA3 => "CASE Sigma3",
            Self::CASE_SIGMA2_RESUME => "CASE Sigma2_Resume",
            Self::STATUS_REPORT => "StatusReport",
            Self::ICD_CHECK_IN => "ICD Check-In",
            Self(other) => return write!(f, "opcode 0x{other:02x}"),
        })
    }
}

/// The codes of a [`StatusReport`](super::StatusReport) of the secure channel protocol.
/// [Core, "Secure Channel Status Report Messages"]
pub mod status_code {
    /// The handshake is complete. General code: success.
    pub const SESSION_ESTABLISHMENT_SUCCESS: u16 = 0;
    /// No fabric of the responder matches the initiator's destination. General code: failure.
    pub const NO_SHARED_TRUST_ROOTS: u16 = 1;
    /// Anything else that is wrong with a handshake message. General code: failure.
    pub const INVALID_PARAMETER: u16 = 2;
    /// The sender has closed the session. General code: success.
    pub const CLOSE_SESSION: u16 = 3;
    /// The responder has no room; try again later. General code: busy.
    pub const BUSY: u16 = 4;
    /// No code is defined for what went wrong. General code: failure.
    pub const GENERAL_FAILURE: u16 = 0xFFFF;
}
