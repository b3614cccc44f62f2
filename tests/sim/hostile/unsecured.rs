//! What can be altered in messages of handshakes: nothing authenticates it, or not yet.

use matter_session_testing::raw::{PBKDF_REQUEST, PBKDF_RESPONSE, SIGMA1, SIGMA2, SIGMA2_RESUME};
use matter_session_testing::rng::Dice;
use matter_session_testing::tlv::{Field, fields, message};

/// Whether a datagram is a Sigma1 or a PBKDFParamRequest.
pub fn begins_handshake(octets: &[u8]) -> bool {
    matches!(octets, [0x04, 0, 0, 0, ..])
        && matches!(octets.get(17), Some(&(PBKDF_REQUEST | SIGMA1)))
}

/// Whether a datagram is an unsecured message.
pub fn is_unsecured(octets: &[u8]) -> bool {
    matches!(octets, [_, 0, 0, 0, ..]) && octets.len() >= 22
}

/// Where the protocol header begins: a node id of eight octets is before it.
const PROTOCOL: usize = 16;

/// An honest unsecured message with something altered in it.
pub fn altered(octets: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut octets = octets.to_vec();
    match dice.below(8) {
        0..4 => parameters(octets, dice),
        4 => {
            octets[8 + dice.below(8) as usize] ^= 1 << dice.below(8);
            octets
        }
        5 => {
            octets[PROTOCOL + 2 + dice.below(2) as usize] ^= 1 << dice.below(8);
            octets
        }
        6 => {
            octets[PROTOCOL] ^= 1 << dice.below(3);
            octets
        }
        _ => {
            octets[4..8].copy_from_slice(&(dice.roll() as u32).to_le_bytes());
            octets
        }
    }
}

/// Other session parameters, and at times another session id.
fn parameters(octets: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    let (id, parameters) = match octets[PROTOCOL + 1] {
        PBKDF_REQUEST | SIGMA1 | SIGMA2 => (2, 5),
        PBKDF_RESPONSE => (3, 5),
        SIGMA2_RESUME => (3, 4),
        _ => return octets,
    };
    let acks = 4 * usize::from(octets[PROTOCOL] & 2 != 0);
    let (header, payload) = octets.split_at(PROTOCOL + 6 + acks);
    let mut fields = fields(payload);
    if dice.below(4) == 0
        && let Some(field) = fields.iter_mut().find(|field| field.tag == id)
    {
        *field = Field::unsigned(id, dice.below(0x1_0000), 1);
    } else {
        const TIMES: [u32; 6] = [0, 1, 300, 65_535, 3_600_000, u32::MAX];
        let mut time = |n| {
            let time = TIMES[dice.below(TIMES.len() as u64) as usize];
            Field::unsigned(n, time.into(), 2)
        };
        let [idle, active] = [time(1), time(2)];
        let threshold = Field::unsigned(3, dice.below(0x1_0000), 1);
        // A structure without its first octet, which stands before the tag here.
        let body = message(&[idle, active, threshold]).split_off(1);
        let at = fields.iter().position(|field| field.tag >= parameters).unwrap_or(fields.len());
        let is_there = fields.get(at).is_some_and(|field| field.tag == parameters);
        let new = Field { tag: parameters, kind: 0x15, body };
        fields.splice(at..at + usize::from(is_there), [new]);
    }
    [header, &message(&fields)].concat()
}

/// A report of success in the handshake that an initiator's unsecured message belongs to.
pub fn forged_success(octets: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    // Flags (source node id present), session 0, counter, node id, exchange flags, opcode, exchange.
    let [0x04, 0, 0, 0, _, _, _, _, node @ ..] = octets else { return None };
    let (node, protocol) = node.split_first_chunk::<8>()?;
    let [_, _, e0, e1, 0, 0, ..] = protocol else { return None };
    let mut forged = vec![0x04, 0, 0, 0];
    forged.extend((dice.roll() as u32).to_le_bytes());
    forged.extend(node);
    forged.extend([0x01, 0x40, *e0, *e1, 0, 0]);
    forged.extend([0; 8]);
    Some(forged)
}
