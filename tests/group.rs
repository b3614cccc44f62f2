//! Group messages and keys beside recorded ones, and under hostile hands.

use std::collections::BTreeMap;

use matter_session::RustCrypto;
use matter_session::crypto::{Aead, Cipher, OpenNonce, PrivacyNonce, Secret, TxCounter};
use matter_session::fabric::{CompressedFabricId, GroupKey};
use matter_session::group::{
    self, EpochStart, Fresh, GroupEpoch, GroupKeySet, GroupSession, KeySetError, OperationalKeySet,
    SecurityPolicy,
};
use matter_session::ids::{ExchangeId, GroupId, GroupKeySetId, NodeId, ProtocolId};
use matter_session::session::{DecodeError, ReplayWindow, Verdict};
use matter_session::time::{MatterTime, WallClock};
use matter_session::wire::{MessageBuf, MessageKind, ProtocolHeader};
use matter_session_testing::{array, chip, hex, list, matterjs, number};
use proptest::prelude::*;
use serde_json::Value;

const FABRIC: CompressedFabricId = CompressedFabricId::from_bytes([1; 8]);

fn operational(key: &Value) -> GroupSession<RustCrypto> {
    let key = GroupKey::OperationalKey(Secret::new(array(key)));
    GroupSession::new(&RustCrypto, &key, FABRIC).unwrap()
}

fn epoch(seed: u8) -> GroupSession<RustCrypto> {
    GroupSession::new(&RustCrypto, &GroupKey::EpochKey(Secret::new([seed; 16])), FABRIC).unwrap()
}

fn fresh<T>(counter: u32) -> Fresh<T> {
    Fresh::dangerous(TxCounter::starting_at(counter).take().unwrap())
}

fn header(opcode: u8) -> ProtocolHeader {
    ProtocolHeader {
        exchange: ExchangeId::new(7),
        protocol: ProtocolId::INTERACTION_MODEL,
        opcode,
        initiator: true,
        needs_ack: false,
        ack: None,
    }
}

const SOURCE: NodeId = NodeId::new(0x0102_0304_0506_0708);

/// A message to group 2 in a buffer of its own.
fn message(session: &GroupSession<RustCrypto>, privacy: bool, payload: &[u8]) -> Vec<u8> {
    let mut buf = vec![0; payload.len() + 52];
    let msg = MessageBuf::with_payload(&mut buf, payload).unwrap();
    let to = GroupId::new(2);
    let sealed = session.encode(fresh(99), SOURCE, to, privacy, &header(8), msg).unwrap();
    sealed.as_bytes().to_vec()
}

fn matterjs_header(input: &Value) -> ProtocolHeader {
    ProtocolHeader {
        exchange: ExchangeId::new(number(&input["exchangeId"])),
        protocol: ProtocolId::standard(number(&input["protocolId"])),
        opcode: number(&input["opcode"]),
        initiator: input["initiator"] == true,
        needs_ack: input["requiresAck"] == true,
        ack: None,
    }
}

#[test]
fn matterjs_group_keys() {
    for v in list(&matterjs()["group"]["keys"], 2) {
        let fabric = CompressedFabricId::from_bytes(array(&v["salt_compressedFabricId"]));
        let key = GroupKey::EpochKey(Secret::new(array(&v["epochKey"])));
        let operational = key.operational(&RustCrypto, fabric).unwrap();
        assert_eq!(operational.as_bytes()[..], hex(&v["operationalKey"]));
        let session = GroupSession::new(&RustCrypto, &key, fabric).unwrap();
        assert_eq!(session.id().get(), number::<u16>(&v["groupSessionId"]));
        let kept = GroupKey::OperationalKey(operational);
        assert_eq!(GroupSession::new(&RustCrypto, &kept, fabric).unwrap().id(), session.id());
    }
}

#[test]
fn matterjs_group_messages_both_ways() {
    let vectors = matterjs();
    let mut private = 0;
    let made = list(&vectors["group"]["messages"], 7).iter().filter(|v| !v["input"].is_null());
    for v in made {
        let input = &v["input"];
        let session = operational(&input["operationalKey"]);
        let source = u64::from_str_radix(input["sourceNodeId"].as_str().unwrap(), 16).unwrap();
        let source = NodeId::new(source);
        let (packet, payload) = (hex(&v["packet"]), hex(&input["payload"]));
        let header = matterjs_header(input);
        let counter = number(&input["messageCounter"]);
        let privacy = input["privacy"] == true;
        private += usize::from(privacy);

        let mut buf = vec![0; payload.len() + 52];
        let msg = MessageBuf::with_payload(&mut buf, &payload).unwrap();
        let to = GroupId::new(number(&input["destGroupId"]));
        let sealed = session.encode(fresh(counter), source, to, privacy, &header, msg);
        assert_eq!(sealed.unwrap().as_bytes(), packet, "{}", v["name"]);

        let mut datagram = packet;
        let opened = group::decode(&mut datagram, [((), &session)], |(), _| true).unwrap();
        assert_eq!((opened.header, opened.source), (header, source));
        assert_eq!((opened.counter.get(), &*opened.payload), (counter, &payload[..]));
    }
    assert_eq!(private, 2);
}

/// The recordings of control messages name a group where the specification wants a node: their
/// octets are right, and nobody takes them.
#[test]
fn matterjs_control_messages_have_the_right_octets_and_the_wrong_destination() {
    let vectors = matterjs();
    let composed = list(&vectors["group"]["messages"], 7).iter().filter(|v| v["input"].is_null());
    let mut seen = 0;
    for v in composed {
        let packet = hex(&v["packet"]);
        let session = operational(&v["key"]);
        let mut datagram = packet.clone();
        let refused = group::decode(&mut datagram, [((), &session)], |(), _| true);
        assert_eq!(refused.unwrap_err(), DecodeError::Shape);
        assert_eq!(datagram, packet);

        let mut clear = packet;
        if let Some(key) = v.get("privacyKey") {
            let mic = clear[clear.len() - 16..].try_into().unwrap();
            let nonce = PrivacyNonce::new(session.id(), &mic);
            assert_eq!(nonce.as_bytes()[..], hex(&v["privacyNonce"]));
            let key = RustCrypto.aead(&Secret::new(array(key)));
            key.apply_privacy(nonce, &mut clear[4..18]).unwrap();
        }
        let (aad, body) = clear.split_at_mut(18);
        assert_eq!(aad, hex(&v["aad"]));
        let (text, mic) = body.split_last_chunk_mut().unwrap();
        let key = RustCrypto.aead(&Secret::new(array(&v["key"])));
        let nonce = OpenNonce::dangerous_from_bytes(&array(&v["nonce"]));
        key.open(nonce, aad, text, mic).unwrap();
        assert_eq!(*text, hex(&v["plaintext"]));
        seen += 1;
    }
    assert_eq!(seen, 2);
}

#[test]
fn chip_group_messages_are_dispatched() {
    let Some(chip) = chip() else { return };
    let dispatch = &chip["message_dispatch"];
    let fabric = CompressedFabricId::from_bytes(array(&dispatch["compressed_fabric_id"]));
    let mut window = ReplayWindow::group_trust_first();
    let mut seen = 0;
    for v in list(&dispatch["vectors"], 10).iter().filter(|v| v.get("group_id").is_some()) {
        let key = GroupKey::EpochKey(Secret::new(array(&v["epoch_key"])));
        let session = GroupSession::new(&RustCrypto, &key, fabric).unwrap();
        assert_eq!(session.id().get(), number::<u16>(&v["session_id"]));
        let group = GroupId::new(number(&v["group_id"]));
        let mut datagram = hex(&v["privacy"]);
        let opened = group::decode(
            &mut datagram,
            [((), &session)],
            |(), kind| matches!(kind, MessageKind::GroupData { group: to, .. } if to == group),
        );
        let accepted = opened.is_ok_and(|opened| {
            assert_eq!(*opened.payload, hex(&v["payload"]));
            let verdict = window.check(opened.counter);
            window.commit(opened.counter);
            verdict == Verdict::New
        });
        assert_eq!(u8::from(accepted), number::<u8>(&v["accepted_messages"]), "{}", v["name"]);
        seen += 1;
    }
    assert_eq!(seen, 5);
}

#[test]
fn keys_of_one_session_id_are_tried_one_by_one() {
    // Two keys whose ids are equal by chance: found by counting.
    let mut by_id = BTreeMap::new();
    let (first, second) = (0_u32..)
        .find_map(|seed| {
            let mut key = [0; 16];
            key[..4].copy_from_slice(&seed.to_le_bytes());
            let key = GroupKey::OperationalKey(Secret::new(key));
            let session = GroupSession::new(&RustCrypto, &key, FABRIC).unwrap();
            let id = session.id();
            Some((by_id.insert(id, session)?, by_id.remove(&id)?))
        })
        .unwrap();
    assert_eq!(first.id(), second.id());
    let other = epoch(1);
    for privacy in [false, true] {
        for (sender, name) in [(&first, 1), (&second, 2)] {
            let sent = message(sender, privacy, b"which one?");
            for order in [[1, 2], [2, 1]] {
                let candidates = order.map(|n| (n, if n == 1 { &first } else { &second }));
                let mut datagram = sent.clone();
                let opened = group::decode(&mut datagram, candidates, |_, _| true).unwrap();
                assert_eq!((opened.key, &*opened.payload), (name, &b"which one?"[..]));
            }
            let mut datagram = sent.clone();
            let wrong = if name == 1 { &second } else { &first };
            let refused = group::decode(&mut datagram, [(0, &other), (1, wrong)], |_, _| true);
            assert_eq!(refused.unwrap_err(), DecodeError::Unauthentic);
            assert_eq!(datagram, sent, "as it was");
            let refused = group::decode(&mut datagram, [(0, &other)], |_, _| true);
            assert_eq!(refused.unwrap_err(), DecodeError::WrongSession);
            // A header that nobody accepts is not decrypted.
            let refused = group::decode(&mut datagram, [(1, sender)], |_, _| false);
            assert_eq!(refused.unwrap_err(), DecodeError::WrongSession);
            assert_eq!(datagram, sent);
        }
    }
}

#[test]
fn a_group_message_that_asks_for_an_acknowledgement_is_refused() {
    let session = epoch(3);
    for privacy in [false, true] {
        let header = ProtocolHeader { needs_ack: true, ..header(8) };
        let mut buf = [0; 64];
        let msg = MessageBuf::with_payload(&mut buf, b"ack?").unwrap();
        let to = GroupId::new(2);
        let sealed = session.encode(fresh(1), SOURCE, to, privacy, &header, msg).unwrap();
        let mut datagram = sealed.as_bytes().to_vec();
        let refused = group::decode(&mut datagram, [((), &session)], |(), _| true);
        assert_eq!(refused.unwrap_err(), DecodeError::AckFromGroup);
    }
}

#[test]
fn control_messages_go_from_node_to_node() {
    let session = epoch(4);
    for privacy in [false, true] {
        let (mut buf, to) = ([0; 96], NodeId::new(77));
        let msg = MessageBuf::with_payload(&mut buf, &[1; 8]).unwrap();
        let sealed = session.encode(fresh(5), SOURCE, to, privacy, &header(0), msg).unwrap();
        let mut datagram = sealed.as_bytes().to_vec();
        let kind = MessageKind::GroupControl { session: session.id(), source: SOURCE, node: to };
        let opened =
            group::decode(&mut datagram, [((), &session)], |(), seen| seen == kind).unwrap();
        assert_eq!((opened.kind, opened.source), (kind, SOURCE));
        // Data and control under equal counters have different nonces: the flags are in them.
        assert_ne!(datagram[3] & 0x40, 0);
    }
}

fn key_set(starts: &[u64]) -> Result<OperationalKeySet<RustCrypto>, KeySetError> {
    let epochs: Vec<_> = (1..)
        .zip(starts)
        .map(|(seed, start)| GroupEpoch {
            key: GroupKey::EpochKey(Secret::new([seed; 16])),
            start: EpochStart::from_micros(*start),
        })
        .collect();
    let id = GroupKeySetId::new(9);
    let policy = SecurityPolicy::TrustFirst;
    OperationalKeySet::new(&RustCrypto, FABRIC, &GroupKeySet { id, policy, epochs: &epochs })
}

#[test]
fn the_sending_key_follows_the_clock_or_is_the_second_newest() {
    const NEVER: u64 = u64::MAX;
    let known = |seconds| WallClock::Known(MatterTime::from_seconds(seconds));
    let stale = WallClock::LastKnownGood(MatterTime::from_seconds(50));
    // Starts in microseconds, the clock, which key is for sending.
    let cases: [(&[u64], WallClock, Option<u8>); 13] = [
        (&[1], WallClock::Unknown, Some(1)),
        (&[1, 2], WallClock::Unknown, Some(1)),
        (&[1, 2, 3], WallClock::Unknown, Some(2)),
        (&[1, 2, 3], stale, Some(2)),
        (&[1, 2, NEVER], WallClock::Unknown, Some(1)),
        (&[1, 2, NEVER], known(100), Some(2)),
        (&[10_000_000, 20_000_000, 30_000_000], known(9), Some(1)),
        (&[10_000_000, 20_000_000, 30_000_000], known(10), Some(1)),
        (&[10_000_000, 20_000_000, 30_000_000], known(20), Some(2)),
        (&[10_000_000, 20_000_001, 30_000_000], known(29), Some(2)),
        (&[10_000_000, 20_000_000, 30_000_000], known(31), Some(3)),
        (&[NEVER], known(31), None),
        (&[NEVER], WallClock::Unknown, None),
    ];
    for (starts, wall, expected) in cases {
        let set = key_set(starts).unwrap();
        let sending = set.sending(wall).map(GroupSession::id);
        assert_eq!(sending, expected.map(|seed| epoch(seed).id()), "{starts:?} at {wall:?}");
        let enabled = starts.iter().filter(|start| **start != NEVER).count();
        assert_eq!(set.sessions().count(), enabled);
    }
}

#[test]
fn key_sets_that_are_not_well_formed_are_refused() {
    for starts in [&[][..], &[1, 2, 3, 4], &[2, 1], &[1, 1]] {
        assert_eq!(key_set(starts).map(|_| ()), Err(KeySetError::Epochs), "{starts:?}");
    }
    let epochs = [GroupEpoch {
        key: GroupKey::EpochKey(Secret::new([1; 16])),
        start: EpochStart::default(),
    }];
    let set = GroupKeySet {
        id: GroupKeySetId::IPK,
        policy: SecurityPolicy::CacheAndSync,
        epochs: &epochs,
    };
    let refused = OperationalKeySet::new(&RustCrypto, FABRIC, &set);
    assert_eq!(refused.map(|_| ()), Err(KeySetError::Reserved));
    let shown = format!("{:?} {:?}", key_set(&[1, 2]).unwrap(), epochs[0]);
    assert!(!shown.contains("010101") && !shown.contains("1, 1, 1"), "{shown}");
}

proptest! {
    #[test]
    fn what_is_sent_is_received_and_every_altered_bit_is_noticed(
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        privacy in any::<bool>(),
        place in any::<proptest::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let session = epoch(6);
        let sent = message(&session, privacy, &payload);
        let mut datagram = sent.clone();
        let opened = group::decode(&mut datagram, [((), &session)], |(), _| true).unwrap();
        prop_assert_eq!(&*opened.payload, &payload[..]);
        prop_assert_eq!((opened.source, opened.counter.get()), (SOURCE, 99));

        let mut altered = sent;
        *place.get_mut(&mut altered) ^= 1_u8 << bit;
        let mut datagram = altered.clone();
        let refused = group::decode(&mut datagram, [((), &session)], |(), _| true);
        prop_assert!(refused.is_err());
        prop_assert_eq!(datagram, altered, "as it was");
    }

    #[test]
    fn no_octets_panic(
        mut octets in proptest::collection::vec(any::<u8>(), 0..80),
        of_session in any::<bool>(),
    ) {
        let session = epoch(6);
        let id = session.id().get().to_le_bytes();
        if let (true, Some([flags, s0, s1, security, ..])) = (of_session, octets.first_chunk_mut::<4>()) {
            *flags &= 0x07;
            [*s0, *s1] = id;
            *security = *security & 0xE0 | 1;
        }
        let before = octets.clone();
        let refused = group::decode(&mut octets, [((), &session)], |(), _| true);
        prop_assert!(refused.is_err());
        prop_assert_eq!(octets, before);
    }
}
