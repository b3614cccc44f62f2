//! What a node keeps over a restart.

use matter_session::Heap;
use matter_session::Peer;
use matter_session::cert::{NoCache, Profile};
use matter_session::context::Services;
use matter_session::crypto::{PbkdfParameters, Secret, Verifier};
use matter_session::fabric::{Fabric, FabricBuf};
use matter_session::handshake::case::Presented;
use matter_session::handshake::{
    CaseClient, CaseEnv, CaseStart, Incoming, MAX_MESSAGE_LEN, PaseServer, Step,
};
use matter_session::ids::{CaseAuthTags, FabricIndex, LocalSessionId};
use matter_session::manager::{Config, FabricTableError, RestoreError, SessionManager};
use matter_session::resumption::{NoRecords, ResumptionRecord};
use matter_session::session::SessionParameters;
use matter_session::time::Instant;
use matter_session::wire::secure_channel::Opcode;

use matter_session_testing::rng::Dice;
use matter_session_testing::toy::{Toy, ToyAuthority};

const NOW: Instant = Instant::from_millis(1);

/// A record that is read is the one that is written, and serves to offer a resumption.
pub fn resumption_record(data: &[u8]) {
    let Ok(record) = ResumptionRecord::from_bytes(data) else { return };
    let bytes = record.to_bytes();
    assert_eq!(ResumptionRecord::from_bytes(bytes.as_bytes()), Ok(record.clone()));
    // Up to the order of the tags they are the same octets.
    let tags = 66..66 + 4 * CaseAuthTags::CAPACITY;
    assert_eq!(bytes.as_bytes()[1..tags.start], data[1..tags.start]);
    // A record of version 2 ends here, and is written as one of version 3.
    if data.len() > tags.end {
        assert_eq!(bytes.as_bytes()[tags.end..], data[tags.end..]);
    }
    let sorted = |octets: &[u8]| {
        let mut tags: Vec<_> = octets.as_chunks::<4>().0.to_vec();
        tags.sort_unstable();
        tags
    };
    assert_eq!(sorted(&bytes.as_bytes()[tags.clone()]), sorted(&data[tags]));
    assert!(record.peer.is_operational() && !format!("{record:?}").contains("shared_secret: ["));

    let (mut rng, mut out) = (Dice::new(1), [0; MAX_MESSAGE_LEN]);
    let fabric = fabric(record.fabric);
    let foreign = record;
    let compressed_fabric = fabric.view().compressed_id();
    let record = ResumptionRecord { compressed_fabric, ..foreign.clone() };
    let fabrics = [fabric];
    let env = CaseEnv {
        fabrics: &&fabrics[..],
        resumption: &mut NoRecords,
        verified: &mut NoCache,
        certificates: Presented::none(),
        profile: Profile::default(),
        record_lifetime: core::time::Duration::from_secs(30 * 24 * 3600),
        parameters: &SessionParameters::default(),
    };
    let id = LocalSessionId::new(5).unwrap();
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(NOW);
    let (index, peer, crypto) = (record.fabric, record.peer, Toy::<false>);
    let start = CaseStart::new(Peer::new(index, peer), id).with_record(Some(record.clone()));
    let started = CaseClient::start(&crypto, &mut cx, &env, start, &mut out);
    let (_, message) = started.unwrap();
    assert!(message.payload(&out).windows(16).any(|octets| octets == record.id.as_bytes()));

    let mut manager = manager();
    let refused = manager.records_mut().restore(&mut cx, record.clone());
    assert_eq!(refused, Err(RestoreError::UnknownFabric));
    let octets = encoded(fabrics[0].view());
    assert_eq!(manager.fabrics_mut().restore(&octets), Ok(record.fabric));
    if foreign != record {
        assert_eq!(
            manager.records_mut().restore(&mut cx, foreign),
            Err(RestoreError::UnknownFabric)
        );
    }
    for _ in 0..2 {
        assert_eq!(manager.records_mut().restore(&mut cx, record.clone()), Ok(()));
        assert_eq!(manager.dangerous_records().collect::<Vec<_>>(), [&record]);
    }
}

/// By the length of the input: a verifier, PBKDF parameters, or a fabric behind its checksum.
pub fn fabric_and_verifier(data: &[u8]) {
    if let Ok(bytes) = data.try_into() {
        verifier(bytes);
    } else if data.len() == PbkdfParameters::ENCODED_LEN {
        if let Ok(parameters) = PbkdfParameters::from_bytes(data) {
            assert_eq!(parameters.to_bytes(), data);
            let (iterations, salt) = (parameters.iterations(), parameters.salt());
            assert_eq!(PbkdfParameters::new(iterations, salt), Ok(parameters));
        }
    } else {
        // The checksum is put right: the input shall get behind it.
        let mut octets = data.to_vec();
        octets.extend(crc32(data).to_le_bytes());
        stored_fabric(&octets);
    }
}

fn verifier(bytes: &[u8; Verifier::LEN]) {
    let Ok(verifier) = Verifier::from_bytes(bytes) else { return assert_ne!(bytes[32], 4) };
    assert_eq!(verifier.to_bytes().as_bytes(), bytes);
    // Whatever it holds, a device serves with it, or says why not.
    let (mut rng, mut out) = (Dice::new(1), [0; MAX_MESSAGE_LEN]);
    let pbkdf = PbkdfParameters::new(1000, &[9; 16]).unwrap();
    let (id, parameters) = (LocalSessionId::new(5).unwrap(), SessionParameters::default());
    let mut server = PaseServer::<Toy>::new(verifier, pbkdf, id, &parameters, NOW);
    let mut request = [&[0x15, 0x30, 1, 32][..], &[7; 32]].concat();
    request.extend([0x25, 2, 9, 0, 0x24, 3, 0, 0x28, 4, 0x18]);
    let mut share = vec![0x15, 0x30, 1, 65, 4];
    share.extend([0; 24]);
    share.extend([0, 0, 0, 0, 0, 0, 0x30, 0x39]);
    share.extend([0; 32]);
    share.push(0x18);
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(NOW);
    let message = Incoming::new(Opcode::PBKDF_PARAM_REQUEST, &mut request);
    assert!(matches!(server.handle(&Toy, &mut cx, message, &mut out), Ok(Step::Send(_))));
    let message = Incoming::new(Opcode::PASE_PAKE1, &mut share);
    let accepted = server.handle(&Toy, &mut cx, message, &mut out).is_ok();
    assert!(server.attempted(), "an attempt counts once Pake1 was read");
    assert_eq!(accepted, server.poll_timeout().is_some());
}

fn stored_fabric(octets: &[u8]) {
    let mut manager = manager();
    let restored = manager.fabrics_mut().restore(octets);
    let fabric = match FabricBuf::decode(&Toy::<false>, octets) {
        Ok(fabric) => fabric,
        Err(error) => {
            assert_eq!(restored, Err(FabricTableError::Credentials(error)));
            assert_eq!(manager.fabrics().len(), 0);
            return;
        }
    };
    let view = fabric.view();
    assert_eq!(restored, Ok(view.index()));
    assert_eq!(encoded(view), octets, "as it was, to the octet");
    assert_eq!(encoded(manager.fabrics().get(view.index()).unwrap()), octets);
    assert_eq!(manager.fabrics_mut().restore(octets), Err(FabricTableError::Exists));
    assert!(view.node_id().is_operational());
    let short = view.encode(&mut vec![0; octets.len() - 1]);
    assert!(short.is_err());
}

fn manager() -> SessionManager<Toy, Heap> {
    SessionManager::new(Config::default(), Toy, &mut Dice::new(2))
}

fn fabric(index: FabricIndex) -> FabricBuf {
    let mut rng = Dice::new(1);
    let member = ToyAuthority::new(1, true, &mut rng).admit(100, &mut rng);
    FabricBuf::new(&Toy::<false>, index, &member.credentials()).unwrap()
}

fn encoded(fabric: Fabric<'_>) -> Vec<u8> {
    let mut octets = Secret::<{ Fabric::ENCODED_MAX_LEN }>::zero();
    let len = fabric.encode(octets.as_mut_bytes()).unwrap();
    octets.as_bytes()[..len].to_vec()
}

/// A chain as [`certificate`](crate::certificate) takes it, for the seeds.
pub fn chain_octets() -> Vec<u8> {
    let fabric = fabric(FabricIndex::MIN);
    let view = fabric.view();
    let mut octets = vec![0];
    for part in [view.noc(), view.icac().unwrap(), view.root()] {
        octets.extend((part.len() as u16).to_le_bytes());
        octets.extend(part);
    }
    octets
}

/// A fabric without its checksum, for the seeds.
pub fn fabric_octets() -> Vec<u8> {
    let mut octets = encoded(fabric(FabricIndex::MIN).view());
    octets.truncate(octets.len() - 4);
    octets
}

fn crc32(octets: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xEDB8_8320 };
    !octets
        .iter()
        .fold(u32::MAX, |crc, octet| (0..8).fold(crc ^ u32::from(*octet), |crc, _| step(crc)))
}
