//! The log of keys: who gets it, and that it opens what was recorded.

use core::cell::RefCell;

use matter_session::context::Services;
use matter_session::crypto::{RustCrypto, Secret};
use matter_session::fabric::{CompressedFabricId, GroupKey};
use matter_session::group::{self, GroupSession, SecurityPolicy};
use matter_session::ids::{GroupKeySetId, GroupSessionId, LocalSessionId, NodeId, PeerSessionId};
use matter_session::keylog::{GroupSecrets, KeyLog, KeyLogEntry, KeyLogError, SessionSecrets};
use matter_session::manager::sizes::{Exchanges, Fabrics, Handshakes, Records, Sessions};
use matter_session::manager::{Config, Fixed, Heap, Storage};
use matter_session::session::hazmat::{self, Counters};
use matter_session::session::{
    Identity, SessionKind, SessionParameters, SessionRole, SessionSetup,
};
use matter_session::time::Instant;
use matter_session::wire::Packet;
use proptest::prelude::*;

use matter_session_testing::net::{Authority, Net, PASSCODE, index, udp};

type Small = Fixed<Sessions<4>, Exchanges<4>, Handshakes<2>, Fabrics<2>, Records<2>>;

/// Keeps the lines.
#[derive(Default)]
struct Lines(RefCell<Vec<String>>);

impl Lines {
    fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    fn entries(&self) -> Vec<KeyLogEntry> {
        let parse = |line: &String| KeyLogEntry::parse(line).unwrap().unwrap();
        self.0.borrow().iter().map(parse).collect()
    }

    fn sessions(&self) -> Vec<SessionSecrets> {
        let session = |entry| match entry {
            KeyLogEntry::Session(session) => Some(session),
            _ => None,
        };
        self.entries().into_iter().filter_map(session).collect()
    }
}

impl KeyLog for Lines {
    fn log(&self, entry: &KeyLogEntry) {
        self.0.borrow_mut().push(entry.line().to_string());
    }
}

fn log<S: Storage>(net: &mut Net<S>, n: usize) -> &'static Lines {
    let lines = Lines::new();
    net.node(n).equip =
        Some(Box::new(|services: Services<'_>| services.with_hazmat_key_log(lines)));
    lines
}

fn members<S: Storage>() -> Net<S> {
    let config = Config::default().with_less_than_specified();
    let mut net = Net::stored([1, 2].map(|port| (udp(port), config.clone())).into());
    let mut authority = Authority::new(1, true);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    net
}

/// Opens a recorded message with the keys of a session, as its receiver would.
fn open(keys: &SessionSecrets, receiver: SessionRole, datagram: &[u8]) -> Option<Vec<u8>> {
    let parts = [&keys.i2r, &keys.r2i, &keys.attestation_challenge].map(Secret::as_bytes);
    let block: [u8; 48] = parts.map(|part| &part[..]).concat().try_into().unwrap();
    let ends =
        [(keys.initiator_session_id, keys.initiator), (keys.responder_session_id, keys.responder)];
    let [own, peer] = match receiver {
        SessionRole::Initiator => ends,
        SessionRole::Responder => [ends[1], ends[0]],
    };
    let setup = SessionSetup {
        role: receiver,
        local_session_id: LocalSessionId::new(own.0).unwrap(),
        peer_session_id: PeerSessionId::new(peer.0).unwrap(),
        identity: match keys.kind {
            SessionKind::Pase => Identity::pase(),
            _ => Identity::case(index(1), own.1, peer.1, Default::default()),
        },
        peer_parameters: SessionParameters::default(),
        resumption_id: None,
    };
    let keys = hazmat::session_keys(&block);
    let counters = Counters::starting_at(0);
    let mut session = hazmat::secure_session(&RustCrypto, &keys, setup, counters, Instant::ZERO);
    let mut datagram = datagram.to_vec();
    let opened = session.decode(Packet::parse(&mut datagram).ok()?, Instant::ZERO).ok()?;
    Some(opened.payload.to_vec())
}

/// Both ends of PASE, CASE and a resumption log the same lines, which open what was sent.
fn both_ends_log_what_opens_their_messages<S: Storage>() {
    let mut net = members::<S>();
    let logs = [log(&mut net, 0), log(&mut net, 1)];
    net.open_window(1);
    net.dial_pase(0, 1, PASSCODE);
    net.run(1000);
    let pase = net.node(0).established();
    let (full, _) = net.case(200);
    let (resumed, _) = net.case(200);
    let [here, there] = logs.map(Lines::sessions);
    assert_eq!(here, there);
    assert_eq!(here.iter().map(|s| s.kind).collect::<Vec<_>>(), {
        [SessionKind::Pase, SessionKind::Case, SessionKind::Case]
    });
    assert_eq!((here[0].initiator, here[0].responder), (NodeId::new(0), NodeId::new(0)));
    assert_eq!((here[1].initiator, here[1].responder), (NodeId::new(100), NodeId::new(200)));
    for (session, keys) in [pase, full, resumed].into_iter().zip(&here) {
        let facts = net.node(0).manager.session(session);
        if let Some(facts) = facts {
            let challenge = facts.session().attestation_challenge();
            assert_eq!(challenge, keys.attestation_challenge.as_bytes());
        }
        let before = net.sent.len();
        net.node(1).answers = true;
        let exchange = net.say(0, session, 8);
        net.run(1000);
        net.close_exchange(0, exchange);
        net.run(1000);
        let asked = &net.sent[before].octets;
        assert_eq!(open(keys, SessionRole::Responder, asked).unwrap(), [8; 20]);
        assert_eq!(open(keys, SessionRole::Initiator, asked), None);
        let answer = &net.sent_by(1, before)[0].octets;
        assert_eq!(open(keys, SessionRole::Initiator, answer).unwrap(), [8; 20]);
    }
    // The certificates of the full handshake: each side has used both keys.
    let sigmas = |lines: &Lines| {
        let entries = lines.entries();
        let sigma2 = |e: &KeyLogEntry| matches!(e, KeyLogEntry::Sigma2(_));
        let sigma3 = |e: &KeyLogEntry| matches!(e, KeyLogEntry::Sigma3(_));
        assert_eq!(entries.iter().filter(|e| sigma2(e)).count(), 1);
        assert_eq!(entries.iter().filter(|e| sigma3(e)).count(), 1);
        entries.into_iter().filter(|e| sigma2(e) || sigma3(e)).collect::<Vec<_>>()
    };
    assert_eq!(sigmas(logs[0]), sigmas(logs[1]));
}

#[test]
fn both_ends_log_what_opens_their_messages_on_the_heap() {
    both_ends_log_what_opens_their_messages::<Heap>();
}

#[test]
fn both_ends_log_what_opens_their_messages_in_arrays() {
    both_ends_log_what_opens_their_messages::<Small>();
}

#[test]
fn each_key_of_a_group_is_logged_once_and_opens_its_messages() {
    let mut net = members::<Heap>();
    net.join_group(0, index(1), 5, SecurityPolicy::TrustFirst, &[1, 2]);
    let lines = log(&mut net, 0);
    net.call(0, |manager, cx| manager.handle_timeout(cx));
    net.call(0, |manager, cx| manager.handle_timeout(cx));
    net.join_group(0, index(1), 6, SecurityPolicy::TrustFirst, &[3]);
    net.call(0, |manager, cx| manager.handle_timeout(cx));
    let group = |entry| match entry {
        KeyLogEntry::Group(group) => group,
        other => panic!("{other:?}"),
    };
    let groups: Vec<_> = lines.entries().into_iter().map(group).collect();
    let sets: Vec<_> = groups.iter().map(|group| group.key_set.get()).collect();
    assert_eq!(sets, [5, 5, 6]);
    let mut datagram = net.group_datagram(0, index(1), 5, b"lights on");
    let key = |group: &GroupSecrets| {
        let key = GroupKey::OperationalKey(group.key.clone());
        GroupSession::new(&RustCrypto, &key, group.fabric).unwrap()
    };
    let sessions: Vec<_> = groups.iter().map(key).collect();
    for (session, group) in sessions.iter().zip(&groups) {
        assert_eq!(session.id(), group.session);
    }
    let candidates = sessions.iter().enumerate();
    let opened = group::decode(&mut datagram, candidates, |_, _| true).unwrap();
    assert_eq!(&*opened.payload, b"lights on");
}

#[test]
fn without_a_hook_nothing_is_logged() {
    let mut net = members::<Heap>();
    let lines = log(&mut net, 1);
    net.node(1).equip = None;
    net.case(200);
    assert!(lines.0.borrow().is_empty());
}

#[test]
fn debug_of_an_entry_hides_the_keys() {
    let lines = Lines::new();
    let mut net = members::<Heap>();
    net.node(0).equip =
        Some(Box::new(|services: Services<'_>| services.with_hazmat_key_log(lines)));
    net.case(200);
    for entry in lines.entries() {
        let line = entry.line().to_string();
        let key = line.rsplit(' ').next().unwrap();
        let debug = format!("{entry:?}");
        assert!(debug.contains("Secret(..)") && !debug.contains(key), "{debug}");
    }
}

#[test]
fn lines_of_another_form_are_errors_and_unknown_labels_are_skipped() {
    let key = "00112233445566778899aabbccddeeff";
    for skipped in ["", "  ", "# a comment", "LATER 1 2 3"] {
        assert_eq!(KeyLogEntry::parse(skipped), Ok(None));
    }
    assert_eq!(
        KeyLogEntry::parse(&format!("SIGMA2 {key}")),
        Ok(Some(KeyLogEntry::Sigma2(Secret::new(
            0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF_u128.to_be_bytes()
        ))))
    );
    assert_eq!(KeyLogEntry::parse(&format!("SIGMA3 {key} {key}")), Err(KeyLogError::TooLong));
    for bad in
        ["SIGMA3", "SIGMA3 00", "SIGMA3 zz112233445566778899aabbccddeeff", "SESSION", "SESSION X"]
    {
        assert_eq!(KeyLogEntry::parse(bad), Err(KeyLogError::Field), "{bad}");
    }
}

fn secret() -> impl Strategy<Value = Secret<16>> {
    any::<[u8; 16]>().prop_map(Secret::new)
}

proptest! {
    #[test]
    fn every_entry_is_read_as_it_was_written(
        ids in any::<(bool, u16, u16, u64, u64)>(),
        keys in (secret(), secret(), secret()),
        fabric in any::<[u8; 8]>(),
    ) {
        let session = SessionSecrets {
            kind: if ids.0 { SessionKind::Pase } else { SessionKind::Case },
            initiator_session_id: ids.1,
            responder_session_id: ids.2,
            initiator: NodeId::new(ids.3),
            responder: NodeId::new(ids.4),
            i2r: keys.0.clone(),
            r2i: keys.1.clone(),
            attestation_challenge: keys.2.clone(),
        };
        let group = GroupSecrets {
            session: GroupSessionId::new(ids.1),
            fabric: CompressedFabricId::from_bytes(fabric),
            key_set: GroupKeySetId::new(ids.2),
            key: keys.0.clone(),
        };
        let entries = [
            KeyLogEntry::Session(session),
            KeyLogEntry::Group(group),
            KeyLogEntry::Sigma2(keys.1),
            KeyLogEntry::Sigma3(keys.2),
        ];
        for entry in entries {
            let line = entry.line().to_string();
            prop_assert_eq!(KeyLogEntry::parse(&line), Ok(Some(entry)));
        }
    }

    #[test]
    fn no_line_makes_the_parser_panic(line in "(SESSION|GROUP|SIGMA2|)[ 0-9a-fA-Zé]{0,200}") {
        let _ = KeyLogEntry::parse(&line);
    }
}
