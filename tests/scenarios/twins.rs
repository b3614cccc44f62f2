//! Two fabrics of the same id under different roots, and nodes that mix what they hold of both.

use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::ids::{FabricIndex, NodeId, Peer};
use matter_session::manager::{Config, Event};
use matter_session::resumption::ResumptionRecord;

use crate::net::{Authority, Net, index, udp};
use crate::raw::{SIGMA2, SIGMA2_RESUME};

const MIXER: usize = 0;
const VICTIM: usize = 1;

/// A node that holds what it likes, and one that is an honest member of both fabrics, as the same
/// node. Its fabrics are 1 and 2.
struct Twins {
    net: Net,
    /// What the mixer holds of either fabric, as stored octets in their parts.
    parts: [Parts; 2],
    authorities: [Authority; 2],
}

#[derive(Clone, Debug)]
struct Parts {
    root: Vec<u8>,
    icac: Vec<u8>,
    noc: Vec<u8>,
    ipk: Vec<u8>,
}

impl Twins {
    fn new(with_icac: bool) -> Self {
        let nodes = [udp(1), udp(2)].map(|address| (address, Config::default()));
        let mut net = Net::with(nodes.into());
        let mut authorities = [11, 12].map(|seed| Authority::seeded(seed, 1, with_icac));
        for (n, authority) in authorities.iter_mut().enumerate() {
            assert_eq!(authority.join(&mut net, VICTIM, 200), index(n as u8 + 1));
            assert_eq!(authority.join(&mut net, MIXER, 100), index(n as u8 + 1));
        }
        let parts = [1, 2].map(|n| Parts::of(&net, index(n)));
        assert_ne!(parts[0].ipk, parts[1].ipk);
        Self { net, parts, authorities }
    }

    /// Ends the mixer's membership; what it held it still has.
    fn leave(&mut self, fabric: u8) {
        assert!(self.net.call(MIXER, |m, cx| m.fabrics_mut().remove(cx, index(fabric))));
    }

    /// Makes the mixer a member of a fabric of which it has the root, the identity
    /// protection key and the certificates of these of the two.
    fn mix(&mut self, at: FabricIndex, root: usize, ipk: usize, noc: usize) {
        let [root, ipk, noc] = [root, ipk, noc].map(|n| self.parts[n].clone());
        let mixed = Parts { root: root.root, ipk: ipk.ipk, ..noc };
        let stored = mixed.stored(at);
        assert_eq!(self.net.node(MIXER).manager.fabrics_mut().restore(&stored), Ok(at));
    }

    /// Lets the mixer sign for a fabric with the key that it has for another.
    fn lend_key(&mut self, from: FabricIndex, to: FabricIndex) {
        let keys = &mut self.net.node(MIXER).keys;
        let key = keys.remove(&from).unwrap();
        keys.insert(to, key);
    }
}

impl Parts {
    fn of(net: &Net, at: FabricIndex) -> Self {
        let mut stored = [0; matter_session::fabric::Fabric::ENCODED_MAX_LEN];
        let fabric = net.nodes[MIXER].manager.fabrics().get(at).unwrap();
        let len = fabric.encode(&mut stored).unwrap();
        assert_eq!(stored[2], 1, "one key");
        let lengths =
            [3, 5, 7].map(|n| usize::from(u16::from_le_bytes([stored[n], stored[n + 1]])));
        let mut at = 9;
        let mut take = |len: usize| {
            at += len;
            stored[at - len..at].to_vec()
        };
        // The key and its start.
        let ipk = take(16 + 8);
        let [root, icac, noc] = lengths.map(&mut take);
        assert_eq!(at + 4, len);
        Self { root, icac, noc, ipk }
    }

    fn stored(&self, at: FabricIndex) -> Vec<u8> {
        let mut octets = vec![2, at.get(), 1];
        for part in [&self.root, &self.icac, &self.noc] {
            octets.extend((part.len() as u16).to_le_bytes());
        }
        for part in [&self.ipk, &self.root, &self.icac, &self.noc] {
            octets.extend(part);
        }
        let step = |crc: u32| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xEDB8_8320 };
        let crc = octets
            .iter()
            .fold(u32::MAX, |crc, octet| (0..8).fold(crc ^ u32::from(*octet), |crc, _| step(crc)));
        octets.extend((!crc).to_le_bytes());
        octets
    }
}

/// What a node has to show of its peers.
fn gains(net: &Net, n: usize) -> (usize, usize) {
    let manager = &net.nodes[n].manager;
    (manager.sessions().len(), manager.records().len())
}

#[test]
fn the_destination_id_picks_the_fabric_of_its_root() {
    for with_icac in [false, true] {
        let mut twins = Twins::new(with_icac);
        let net = &mut twins.net;
        for fabric in [1, 2, 2, 1] {
            net.dial_case(MIXER, VICTIM, fabric, 200);
            net.run(1000);
            let session = net.node(VICTIM).established();
            let identity =
                *net.nodes[VICTIM].manager.session(session).unwrap().session().identity();
            assert_eq!(identity.fabric(), Some(index(fabric)));
            assert_eq!(identity.peer_node(), NodeId::new(100));
        }
        for fabric in [1, 2] {
            let sessions = net.nodes[VICTIM]
                .manager
                .sessions()
                .with_peer(Peer::new(index(fabric), NodeId::new(100)));
            assert_eq!(sessions.count(), 2);
            assert!(
                net.nodes[VICTIM]
                    .manager
                    .records()
                    .get(Peer::new(index(fabric), NodeId::new(100)))
                    .is_some()
            );
        }
        net.assert_clean();
    }
}

/// The mixer dials, and is dialled.
#[test]
fn what_belongs_to_one_twin_gains_nothing_on_the_other() {
    for with_icac in [false, true] {
        for mix in 0..8 {
            let [root, ipk, noc] = [mix & 1, mix >> 1 & 1, mix >> 2];
            let genuine = root == ipk && ipk == noc;
            for dials in [true, false] {
                let what = format!("root {root}, ipk {ipk}, noc {noc}, dials: {dials}");
                let mut twins = Twins::new(with_icac);
                twins.leave(1);
                twins.leave(2);
                twins.mix(index(7), root, ipk, noc);
                twins.lend_key(index(noc as u8 + 1), index(7));
                let net = &mut twins.net;
                if dials {
                    net.dial_case(MIXER, VICTIM, 7, 200);
                } else {
                    net.dial_case(VICTIM, MIXER, root as u8 + 1, 100);
                }
                net.run(5000);
                let expected = if genuine { (1, 1) } else { (0, 0) };
                assert_eq!(gains(net, VICTIM), expected, "{what}");
                assert_eq!(gains(net, MIXER), expected, "{what}");
                if !genuine {
                    let refusal = if root == ipk {
                        Refusal::InvalidParameter
                    } else {
                        Refusal::NoSharedTrustRoots
                    };
                    let initiator = if dials { MIXER } else { VICTIM };
                    let failures = net.nodes[initiator].failures();
                    let told = HandshakeError::Refused(refusal);
                    let found_out = matches!(failures[..], [HandshakeError::Chain(_)]);
                    assert!(failures == [told] || (!dials && found_out), "{what}: {failures:?}");
                }
                net.assert_clean();
            }
        }
    }
}

#[test]
fn a_record_of_one_twin_resumes_nothing_on_the_other() {
    let mut twins = Twins::new(false);
    twins.net.dial_case(MIXER, VICTIM, 1, 200);
    twins.net.run(1000);
    let record = twins.net.nodes[MIXER].manager.dangerous_records().next().unwrap().clone();
    twins
        .net
        .call(MIXER, |m, cx| m.records_mut().forget(cx, Peer::new(index(1), NodeId::new(200))));
    // A fabric that means the other twin, and the record as if it were of that.
    twins.leave(2);
    twins.mix(index(7), 1, 1, 0);
    let net = &mut twins.net;
    let compressed_fabric =
        net.nodes[MIXER].manager.fabrics().get(index(7)).unwrap().compressed_id();
    let relabelled = ResumptionRecord { fabric: index(7), compressed_fabric, ..record.clone() };
    assert_eq!(net.call(MIXER, |m, cx| m.records_mut().restore(cx, relabelled)), Ok(()));
    let before =
        net.nodes[VICTIM].manager.dangerous_record(Peer::new(index(1), NodeId::new(100))).cloned();
    // Signatures are those of the certificate's key.
    twins.lend_key(index(1), index(7));
    let net = &mut twins.net;
    let since = net.sent.len();
    net.node(MIXER).events.clear();
    net.dial_case(MIXER, VICTIM, 7, 200);
    net.run(5000);
    let answers = net.sent_by(VICTIM, since);
    let opcodes: Vec<_> = answers.iter().filter_map(|d| d.handshake_opcode()).collect();
    assert!(opcodes.contains(&SIGMA2) && !opcodes.contains(&SIGMA2_RESUME), "{opcodes:x?}");
    assert_eq!(net.node(MIXER).try_established(), None);
    assert_eq!(gains(net, VICTIM), (1, 1));
    assert_eq!(
        net.nodes[VICTIM].manager.dangerous_record(Peer::new(index(1), NodeId::new(100))).cloned(),
        before
    );
    // On its own fabric the record is as good as ever.
    twins.leave(7);
    twins.lend_key(index(7), index(1));
    let net = &mut twins.net;
    assert_eq!(net.call(MIXER, |m, cx| m.records_mut().restore(cx, record)), Ok(()));
    net.dial_case(MIXER, VICTIM, 1, 200);
    net.run(1000);
    let resumed = |event: &Event<u32>| matches!(event, Event::Established { resumed: true, .. });
    assert!(net.nodes[MIXER].events.iter().any(resumed));
    net.assert_clean();
}

#[test]
fn a_node_that_leaves_one_twin_keeps_all_of_the_other() {
    let mut twins = Twins::new(true);
    let net = &mut twins.net;
    for fabric in [1, 2] {
        net.dial_case(MIXER, VICTIM, fabric, 200);
        net.run(1000);
    }
    assert!(net.call(VICTIM, |manager, cx| manager.fabrics_mut().remove(cx, index(1))));
    net.run(1000);
    let manager = &net.nodes[VICTIM].manager;
    let fabrics: Vec<_> =
        manager.sessions().iter().map(|s| s.session().identity().fabric().unwrap()).collect();
    assert_eq!(fabrics, [index(2)]);
    assert_eq!(manager.dangerous_records().map(|r| r.fabric).collect::<Vec<_>>(), [index(2)]);
    assert_eq!(gains(net, MIXER), (1, 2));
    // It comes back as another member of the first: the old record means nothing there.
    let member = twins.authorities[0].admit(201);
    let back = net.node(VICTIM).manager.fabrics_mut().add(&member.credentials()).unwrap();
    assert_eq!(back, index(1));
    net.dial_case(MIXER, VICTIM, 1, 200);
    net.run(1000);
    let failures = net.nodes[MIXER].failures();
    assert_eq!(failures, [HandshakeError::Refused(Refusal::NoSharedTrustRoots)]);
    assert_eq!(gains(net, VICTIM), (1, 1));
    net.assert_clean();
}
