//! The protocols on top of the sessions: an echo, and as much Interaction Model as it takes to
//! ask one question and to answer any.

use matter_session::ids::{ProtocolId, VendorId};

/// A vendor's echo protocol: the payload comes back under the next opcode.
pub const ECHO: ProtocolId = ProtocolId::vendor(VendorId::new(0xFFF1), 1);
/// The same without a vendor id in the header.
pub const ECHO_WITHOUT_VENDOR: ProtocolId = ProtocolId::standard(0x00F1);
pub const ECHO_REQUEST: u8 = 1;

/// A payload to be echoed. No two blocks of 256 bytes are equal up to 64 kB, so that lost, repeated
/// and exchanged parts of a message show.
#[cfg(feature = "std")]
#[must_use]
pub fn echo_payload(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index ^ (index >> 8)).to_le_bytes()[0]).collect()
}

pub const STATUS_RESPONSE: u8 = 1;
pub const READ_REQUEST: u8 = 2;
pub const REPORT_DATA: u8 = 5;
pub const INVOKE_REQUEST: u8 = 8;

/// ReadRequest { attributes: [BasicInformation.VendorName of endpoint 0], filtered: no }
pub const READ_VENDOR_NAME: &[u8] = &[
    0x15, // structure
    0x36, 0x00, 0x17, // 0: array of lists
    0x24, 0x02, 0x00, 0x24, 0x03, 0x28, 0x24, 0x04, 0x01, // endpoint, cluster, attribute
    0x18, 0x18, 0x28, 0x03, // 3: not filtered by fabric
    0x24, 0xFF, 0x0C, 0x18, // 255: revision 12
];
/// Off, On and Toggle of the On/Off cluster.
pub const ON_OFF_COMMANDS: [u8; 3] = [0, 1, 2];

/// InvokeRequest { suppress response: yes, timed: no, commands: [one of On/Off], revision: 12 }
pub const fn invoke_on_off(command: u8) -> [u8; 23] {
    [
        0x15, // structure
        0x29, 0x00, 0x28, 0x01, // 0: no response; 1: not timed
        0x36, 0x02, 0x15, // 2: array of structures
        0x37, 0x00, 0x24, 0x01, 0x06, 0x24, 0x02, command,
        0x18, // 0: path of cluster, command
        0x18, 0x18, // the ends of both
        0x24, 0xFF, 0x0C, 0x18, // 255: revision 12
    ]
}
/// ReportData { suppress response: yes, revision: 12 }
const EMPTY_REPORT: &[u8] = &[0x15, 0x29, 0x04, 0x24, 0xFF, 0x0C, 0x18];
/// StatusResponse { status: success, revision: 12 }
const SUCCESS: &[u8] = &[0x15, 0x24, 0x00, 0x00, 0x24, 0xFF, 0x0C, 0x18];

/// Opcode and payload of the answer to a request; `None` if it gets none.
pub fn answer(protocol: ProtocolId, opcode: u8, payload: &[u8]) -> Option<(u8, &[u8])> {
    match (protocol, opcode) {
        (ECHO | ECHO_WITHOUT_VENDOR, _) => Some((opcode.wrapping_add(1), payload)),
        (ProtocolId::INTERACTION_MODEL, READ_REQUEST) => Some((REPORT_DATA, EMPTY_REPORT)),
        (ProtocolId::INTERACTION_MODEL, STATUS_RESPONSE | REPORT_DATA) => None,
        (ProtocolId::INTERACTION_MODEL, _) => Some((STATUS_RESPONSE, SUCCESS)),
        _ => None,
    }
}
