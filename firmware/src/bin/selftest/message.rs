//! One message of 64 octets: by the AES crate alone, and as the library does it.

use ccm::KeyInit;
use ccm::aead::AeadInOut;
use ccm::consts::{U13, U16};
use matter_session::ids::{ExchangeId, ProtocolId};
use matter_session::wire::{MessageBuf, Packet, ProtocolHeader};

use crate::meter::Meter;
use crate::recorded::{self, NOW};

type Ccm = ccm::Ccm<aes::Aes128Enc, U16, U13>;

const PAYLOAD: [u8; 64] = [0xA5; 64];

/// Length of the protocol header, which is encrypted with the payload.
const ENCRYPTED: usize = PAYLOAD.len() + 6;

/// Expands the key and seals as much as the message below has.
pub fn aes_seal(meter: &mut Meter) -> Option<()> {
    let mut octets = [0; ENCRYPTED];
    let sealed = |octets: &mut [u8; ENCRYPTED]| {
        let key = Ccm::new(&[1; 16].into());
        key.encrypt_inout_detached(&[2; 13].into(), &[3; 8], octets[..].as_mut().into()).is_ok()
    };
    let sealed = meter.run(|| sealed(&mut octets));
    (sealed && octets != [0; ENCRYPTED]).then_some(())
}

/// Expands the key and opens it.
pub fn aes_open(meter: &mut Meter) -> Option<()> {
    let (mut octets, nonce, aad) = ([0; ENCRYPTED], [2; 13].into(), [3; 8]);
    let key = Ccm::new(&[1; 16].into());
    let mic = key.encrypt_inout_detached(&nonce, &aad, (&mut octets[..]).into()).ok()?;
    let opened = |octets: &mut [u8; ENCRYPTED]| {
        let key = Ccm::new(&[1; 16].into());
        key.decrypt_inout_detached(&nonce, &aad, (&mut octets[..]).into(), &mic).is_ok()
    };
    let opened = meter.run(|| opened(&mut octets));
    (opened && octets == [0; ENCRYPTED]).then_some(())
}

pub fn encode(meter: &mut Meter) -> Option<()> {
    message(meter, &mut Meter::new())
}

pub fn decode(meter: &mut Meter) -> Option<()> {
    message(&mut Meter::new(), meter)
}

/// A message from one end of a session to the other.
fn message(encoding: &mut Meter, decoding: &mut Meter) -> Option<()> {
    let mut from = recorded::pase_initiator(&mut Meter::new())?;
    let mut to = recorded::pase_responder(&mut Meter::new())?;
    let header = ProtocolHeader {
        exchange: ExchangeId::new(1),
        protocol: ProtocolId::INTERACTION_MODEL,
        opcode: 2,
        initiator: true,
        needs_ack: true,
        ack: None,
    };
    let mut buffer = [0; 128];
    let msg = MessageBuf::with_payload(&mut buffer, &PAYLOAD).ok()?;
    let range =
        encoding.run(|| from.encode(&header, msg, NOW).map(|sealed| sealed.range())).ok()?;
    let datagram = buffer.get_mut(range)?;
    let packet = Packet::parse(datagram).ok()?;
    let opened = decoding.run(|| to.decode(packet, NOW)).ok()?;
    (*opened.payload == PAYLOAD && opened.header == header).then_some(())
}
