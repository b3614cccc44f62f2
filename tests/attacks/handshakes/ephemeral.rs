//! Node ids that no initiator can have given itself.

use matter_session::manager::{Dropped, Heap};

use super::{DEVICE, host, members, record, running};
use crate::raw::{ACK, Raw, parts};

/// Behind flags, session id, security flags and counter.
const NODE_AT: usize = 8;

fn under(datagram: &[u8], node: u64) -> Vec<u8> {
    let mut datagram = datagram.to_vec();
    datagram[NODE_AT..NODE_AT + 8].copy_from_slice(&node.to_le_bytes());
    datagram
}

/// The undefined id, temporary local ids, groups, ids of PAKE keys and of tags, and what is reserved.
const NOT_OPERATIONAL: [u64; 8] = [
    0,
    0xFFFF_FFF0_0000_0000,
    0xFFFF_FFFB_0000_0000,
    0xFFFF_FFFD_0001_0001,
    0xFFFF_FFFE_0000_0001,
    0xFFFF_FFFF_0000_0000,
    0xFFFF_FFFF_FFFF_0001,
    u64::MAX,
];

#[test]
fn a_handshake_under_a_node_id_that_is_not_operational_is_refused_in_silence() {
    let mut net = members::<Heap>(16);
    let sigma1 = record(&mut net, 1).remove(0);
    net.open_window(DEVICE);
    net.on_send(|_| crate::net::Fate::Lost);
    net.dial_pase(0, DEVICE, crate::net::PASSCODE);
    net.pump();
    let request = net.sent.last().unwrap().octets.clone();
    assert_eq!(parts(&request).unwrap().0, crate::raw::PBKDF_REQUEST);
    let since = net.sent.len();
    let before = net.nodes[DEVICE].facts();
    for node in NOT_OPERATIONAL {
        let unsolicited = Raw { node, ..Raw::new(ACK, &[]) }.octets();
        for datagram in [under(&sigma1, node), under(&request, node), unsolicited] {
            let handed = net.hand(DEVICE, host(9), &datagram);
            assert_eq!(handed, Err(Dropped::EphemeralNodeId), "{node:x}");
        }
        net.pump();
        assert_eq!(net.sent.len(), since, "nothing is sent to {node:x}");
        assert_eq!(running(&mut net), 0);
    }
    assert_eq!(net.nodes[DEVICE].facts(), before);
    let dropped = net.node(DEVICE).manager.statistics().dropped(Dropped::EphemeralNodeId);
    assert_eq!(dropped, 3 * NOT_OPERATIONAL.len() as u32);
}

#[test]
fn the_first_and_the_last_operational_node_id_are_served() {
    for node in [1, 0xFFFF_FFEF_FFFF_FFFF] {
        let mut net = members::<Heap>(16);
        net.node(DEVICE).signs = false;
        let sigma1 = record(&mut net, 1).remove(0);
        net.hand(DEVICE, host(9), &under(&sigma1, node)).unwrap();
        assert_eq!(running(&mut net), 1);
    }
}
