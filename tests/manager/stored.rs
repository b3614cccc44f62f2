//! Fabrics as bytes: what is stored comes back, what is damaged does not.

use core::time::Duration;

use matter_session::cert::{ChainError, ChainFault, Position};
use matter_session::crypto::{RustCrypto, Secret};
use matter_session::fabric::{Fabric, FabricBuf, FabricCredentials, FabricError, Ipk};
use matter_session::ids::NodeId;
use matter_session::manager::{Config, Event, FabricTableError, RestoreError};
use proptest::prelude::*;

use crate::net::{Authority, Net, index, udp};

fn encoded(fabric: Fabric<'_>) -> Vec<u8> {
    let mut bytes = vec![0; Fabric::ENCODED_MAX_LEN];
    let len = fabric.encode(&mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

fn fabric(with_icac: bool, ipks: &[Ipk]) -> FabricBuf {
    let member = Authority::new(1, with_icac).admit(100);
    let credentials = FabricCredentials { ipks, ..member.credentials() };
    FabricBuf::new(&RustCrypto, index(3), &credentials).unwrap()
}

/// The same with a checksum that fits again.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let body = bytes.len() - 4;
    let step = |crc: u32| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xEDB8_8320 };
    let crc = bytes[..body]
        .iter()
        .fold(u32::MAX, |crc, octet| (0..8).fold(crc ^ u32::from(*octet), |crc, _| step(crc)));
    bytes[body..].copy_from_slice(&(!crc).to_le_bytes());
    bytes
}

#[test]
fn fabrics_survive_a_restart_as_bytes_with_their_records() {
    let (mut net, ..) = Net::with_case();
    let mut stored = Vec::new();
    for node in &mut net.nodes {
        let fabric = encoded(node.manager.fabrics().iter().next().unwrap());
        let record = node.manager.dangerous_records().next().unwrap().clone();
        stored.push((fabric, record, node.keys.remove(&index(1)).unwrap()));
    }
    let config = || Config::default().with_claim_wait(Duration::from_millis(200));
    let mut net = Net::with(vec![(udp(1), config()), (udp(2), config())]);
    for (n, (fabric, record, key)) in stored.into_iter().enumerate() {
        let early = net.call(n, |m, cx| m.records_mut().restore(cx, record.clone()));
        assert_eq!(early, Err(RestoreError::UnknownFabric), "its fabric comes first");
        assert_eq!(net.node(n).manager.fabrics_mut().restore(&fabric), Ok(index(1)));
        assert_eq!(net.call(n, |m, cx| m.records_mut().restore(cx, record)), Ok(()));
        net.node(n).keys.insert(index(1), key);
        // Twice is once too often.
        let again = net.node(n).manager.fabrics_mut().restore(&fabric);
        assert_eq!(again, Err(FabricTableError::Exists));
    }
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    assert!(matches!(net.node(1).events[0], Event::Established { resumed: true, .. }));
    // And in full, with the restored certificates and keys.
    for n in 0..2 {
        net.call(n, |m, cx| m.records_mut().forget_all(cx));
    }
    net.node(0).events.clear();
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    let established =
        |event: &Event<u32>| matches!(event, Event::Established { resumed: false, .. });
    assert!(net.node(0).events.iter().any(established));
    net.assert_clean();
}

#[test]
fn a_restored_fabric_keeps_its_index_and_its_neighbours() {
    let mut net = Net::pair();
    Authority::new(2, false).join(&mut net, 0, 100);
    let restored = encoded(fabric(true, &[Ipk::EpochKey(Secret::new([1; 16]))]).view());
    assert_eq!(net.node(0).manager.fabrics_mut().restore(&restored), Ok(index(3)));
    let indices: Vec<_> =
        net.node(0).manager.fabrics().iter().map(|fabric| fabric.index()).collect();
    assert_eq!(indices, [index(1), index(3)]);
    // A fabric of another root under an index that is taken.
    let member = Authority::new(4, false).admit(100);
    let other = FabricBuf::new(&RustCrypto, index(3), &member.credentials()).unwrap();
    let refused = net.node(0).manager.fabrics_mut().restore(&encoded(other.view()));
    assert_eq!(refused, Err(FabricTableError::Exists));
}

#[test]
fn too_little_room_is_an_error_and_leaves_no_keys() {
    let fabric = fabric(true, &[Ipk::OperationalKey(Secret::new([0xA5; 16]))]);
    let len = encoded(fabric.view()).len();
    for room in [0, 8, 30, len - 1] {
        let mut bytes = vec![0; room];
        assert!(fabric.view().encode(&mut bytes).is_err());
        assert!(bytes.iter().all(|octet| *octet == 0));
    }
    assert_eq!(fabric.view().encode(&mut vec![0; len]), Ok(len));
}

#[test]
fn every_damaged_or_missing_octet_is_noticed() {
    let bytes = encoded(fabric(true, &[Ipk::EpochKey(Secret::new([1; 16]))]).view());
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xFF] {
            let mut bad = bytes.clone();
            bad[at] ^= flip;
            let read = FabricBuf::decode(&RustCrypto, &bad);
            assert_eq!(read.err(), Some(FabricError::Stored), "octet {at}");
        }
        assert!(FabricBuf::decode(&RustCrypto, &bytes[..at]).is_err(), "{at} octets");
    }
    assert!(FabricBuf::decode(&RustCrypto, &[&bytes[..], &[0]].concat()).is_err());
}

/// Whoever writes to the store could also make the checksum fit.
#[test]
fn what_no_fabric_has_is_refused_whatever_the_checksum_says() {
    let one = [Ipk::EpochKey(Secret::new([1; 16]))];
    let bytes = encoded(fabric(false, &one).view());
    assert!(FabricBuf::decode(&RustCrypto, &resealed(bytes.clone())).is_ok());
    for (at, value) in [(0, 1), (0, 3), (1, 0), (1, 255), (2, 0), (2, 4), (4, 0xFF), (7, 1)] {
        let mut bad = bytes.clone();
        bad[at] = value;
        let read = FabricBuf::decode(&RustCrypto, &resealed(bad));
        assert_eq!(read.err(), Some(FabricError::Stored), "octet {at} is {value}");
    }
    // The root in the place of the node's certificate.
    let member = Authority::new(1, false).admit(100);
    let FabricCredentials { root, .. } = member.credentials();
    let len = (root.len() as u16).to_le_bytes();
    let head = [&[2, 3, 1][..], &len, &[0, 0], &len].concat();
    let bad = [&head[..], &[7; 24], root, root, &[0; 4]].concat();
    let error = ChainError { position: Position::Noc, fault: ChainFault::Kind };
    let read = FabricBuf::decode(&RustCrypto, &resealed(bad));
    assert_eq!(read.err(), Some(FabricError::Chain(error)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fabrics_survive_their_encoding(
        with_icac: bool,
        keys in proptest::collection::vec((any::<bool>(), any::<[u8; 16]>()), 1..=3),
    ) {
        let ipk = |(epoch, key): &(bool, [u8; 16])| {
            let key = Secret::from(key);
            if *epoch { Ipk::EpochKey(key) } else { Ipk::OperationalKey(key) }
        };
        let ipks: Vec<_> = keys.iter().map(ipk).collect();
        let fabric = fabric(with_icac, &ipks);
        let bytes = encoded(fabric.view());
        let read = FabricBuf::decode(&RustCrypto, &bytes).unwrap();
        prop_assert_eq!(&bytes, &encoded(read.view()));
        prop_assert_eq!(read.view().id(), fabric.view().id());
        prop_assert_eq!(read.view().compressed_id(), fabric.view().compressed_id());
        prop_assert_eq!(read.view().node_id(), NodeId::new(100));
        prop_assert_eq!(read.view().cats(), fabric.view().cats());
        prop_assert_eq!(read.view().root_public_key(), fabric.view().root_public_key());
        prop_assert_eq!(read.view().public_key(), fabric.view().public_key());
        prop_assert_eq!((read.view().root(), read.view().icac(), read.view().noc()),
            (fabric.view().root(), fabric.view().icac(), fabric.view().noc()));
    }

    #[test]
    fn random_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..1300)) {
        prop_assert!(FabricBuf::decode(&RustCrypto, &octets).is_err());
        if octets.len() >= 4 {
            prop_assert!(FabricBuf::decode(&RustCrypto, &resealed(octets)).is_err());
        }
    }

    /// Beyond the checksum: whatever still parses can be written and read again.
    #[test]
    fn damage_under_a_fitting_checksum_is_refused_or_another_fabric(
        with_icac: bool, at: prop::sample::Index, value: u8,
    ) {
        let mut bytes = encoded(fabric(with_icac, &[Ipk::OperationalKey(Secret::new([1; 16]))]).view());
        let at = at.index(bytes.len());
        bytes[at] = value;
        let bytes = resealed(bytes);
        if let Ok(fabric) = FabricBuf::decode(&RustCrypto, &bytes) {
            prop_assert_eq!(encoded(fabric.view()), bytes);
        }
    }
}
