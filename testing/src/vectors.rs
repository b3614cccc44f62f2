//! Recorded vectors: where they are, and how they are read.

use std::{env, fs};

use matter_session::ids::{ExchangeId, MessageCounter, ProtocolId};
use matter_session::wire::ProtocolHeader;
use serde_json::Value;

/// The octets that a string of hexadecimal digits stands for.
pub fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_else(|| panic!("no string: {value}"));
    let octet = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(octet).collect()
}

/// The same, of a length known in advance.
pub fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap_or_else(|v: Vec<u8>| panic!("{} octets for {N}", v.len()))
}

/// An identifier of 16 hexadecimal digits.
pub fn id(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap(), 16).unwrap()
}

/// A number that fits.
pub fn number<T: TryFrom<u64>>(value: &Value) -> T {
    T::try_from(value.as_u64().unwrap()).ok().unwrap()
}

/// The elements of a list, which must have this many.
pub fn list(value: &Value, len: usize) -> &[Value] {
    let all = value.as_array().unwrap();
    assert_eq!(all.len(), len);
    all
}

/// Recorded by running matter.js 0.17.9 with fixed keys.
pub fn matterjs() -> Value {
    read("matterjs.json")
}

/// BTP sessions between this library and matter.js 0.17.9.
pub fn matterjs_btp() -> Value {
    read("matterjs-btp.json")
}

/// Those of Wycheproof's test vectors of AES-CCM that have the lengths of Matter.
pub fn wycheproof() -> Value {
    read("wycheproof-aes-ccm.json")
}

/// Wycheproof's test vectors of ECDSA and ECDH on P-256.
pub fn wycheproof_p256() -> Value {
    read("wycheproof-p256.json")
}

/// A file of `tests/vectors`.
fn read(name: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/");
    serde_json::from_str(&fs::read_to_string(format!("{path}{name}")).unwrap()).unwrap()
}

/// Test data of connectedhomeip, if the environment says where it is.
pub fn chip() -> Option<Value> {
    let Ok(path) = env::var("MATTER_CHIP_VECTORS") else {
        println!("skipped: MATTER_CHIP_VECTORS is not set");
        return None;
    };
    Some(serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
}

/// The private key of the root of fabric A.
pub fn root_key() -> [u8; 32] {
    array(&matterjs()["certificates"]["list"][0]["subjectPrivateKey"])
}

/// The protocol header that a vector describes.
pub fn protocol_of(input: &Value) -> ProtocolHeader {
    let number = |name: &str| u32::try_from(input[name].as_u64().unwrap()).unwrap();
    ProtocolHeader {
        exchange: ExchangeId::new(u16::try_from(number("exchangeId")).unwrap()),
        protocol: ProtocolId::from_u32(number("protocolVendorId") << 16 | number("protocolId")),
        opcode: u8::try_from(number("opcode")).unwrap(),
        initiator: input["initiator"].as_bool().unwrap(),
        needs_ack: input["requiresAck"].as_bool().unwrap(),
        ack: input.get("ackCounter").map(|_| MessageCounter::new(number("ackCounter"))),
    }
}
