//! Messages to groups.

use std::collections::HashMap;
use std::sync::OnceLock;

use matter_session::crypto::{Crypto, Secret, TxCounter};
use matter_session::fabric::{CompressedFabricId, GroupKey};
use matter_session::group::{self, Fresh, GroupSession};
use matter_session::ids::{GroupId, NodeId};
use matter_session::session::DecodeError;
use matter_session::wire::{MessageBuf, MessageKind};

use crate::Input;
use matter_session_testing::toy::Toy;

/// Any datagrams, or a change to an honest one.
pub fn group(data: &[u8]) {
    let mut input = Input(data);
    if input.octet() & 1 == 1 { altered(input) } else { any(input) }
}

fn session<C: Crypto>(crypto: &C, key: [u8; 16]) -> GroupSession<C> {
    let key = GroupKey::OperationalKey(Secret::new(key));
    GroupSession::new(crypto, &key, CompressedFabricId::from_bytes([1; 8])).unwrap()
}

/// Three keys, of which the first two have one session id. Honest messages have others than those
/// that nobody sends with: the fuzzer sees what is compared, and learns honest ones.
fn keys(honest: bool) -> &'static [[u8; 16]; 3] {
    static KEYS: [OnceLock<[[u8; 16]; 3]>; 2] = [const { OnceLock::new() }; 2];
    KEYS[usize::from(honest)].get_or_init(|| {
        let (mut seen, first) = (HashMap::new(), u128::from(honest) << 64);
        let pair = (first..).find_map(|n| {
            let key = n.to_le_bytes();
            seen.insert(session(&Toy::<false>, key).id(), key).map(|old| [old, key])
        });
        let [a, b] = pair.unwrap();
        [a, b, [0xFE | u8::from(honest); 16]]
    })
}

/// One backend takes any integrity code and shows any header, the other none of what comes.
fn any(mut input: Input<'_>) {
    let lax = keys(false).map(|key| session(&Toy::<true>, key));
    let strict = keys(false).map(|key| session(&Toy::<false>, key));
    assert_eq!(lax[0].id(), strict[1].id());
    while !input.is_empty() {
        let flags = input.octet();
        let mut datagram = input.octets().to_vec();
        if let (true, Some(id)) = (flags & 1 == 0, datagram.get_mut(1..3)) {
            let session = &lax[usize::from(flags >> 1) % 3];
            id.copy_from_slice(&session.id().get().to_le_bytes());
        }
        let mut octets = datagram.clone();
        let opened = group::decode(&mut octets, strict.iter().enumerate(), |_, _| true);
        assert!(opened.is_err(), "authentic, and nobody has sent it");
        assert_eq!(octets, datagram, "as it was");

        let accepted = flags >> 4 & 3;
        let accept = |key: &usize, _| *key == usize::from(accepted);
        match group::decode(&mut octets, lax.iter().enumerate(), accept) {
            Ok(opened) => {
                assert!(accept(&opened.key, opened.kind));
                assert_eq!(opened.counter.get().to_le_bytes(), datagram[4..8]);
                assert_eq!(opened.source.get().to_le_bytes(), datagram[8..16]);
                assert_eq!(opened.privacy, datagram[3] & 0x80 != 0);
                assert!(!opened.header.needs_ack);
                assert!(datagram[..datagram.len() - 16].ends_with(opened.payload));
                let is_control = matches!(opened.kind, MessageKind::GroupControl { .. });
                assert_eq!(is_control, datagram[3] & 0x40 != 0);
            }
            // Authentic, but not well-formed.
            Err(DecodeError::ProtocolHeader | DecodeError::AckFromGroup) => {}
            Err(_) => assert_eq!(octets, datagram, "as it was"),
        }
    }
}

fn altered(mut input: Input<'_>) {
    let sessions = keys(true).map(|key| session(&Toy::<false>, key));
    let (which, flags) = (usize::from(input.octet() % 3), input.octet());
    let header = input.protocol_header(flags);
    let privacy = flags & 8 != 0;
    let source = NodeId::new(u64::from(input.word()) + 1);
    let to = input.word();
    let counter = TxCounter::starting_at(u32::from(input.word()) + 1).take().unwrap();
    let value = counter.value();
    let payload = input.octets();
    let mut buf = vec![0; payload.len() + 70];
    let msg = MessageBuf::with_payload(&mut buf, payload).unwrap();
    let session = &sessions[which];
    let sealed = if flags & 16 == 0 {
        let group = GroupId::new(to.max(1));
        session.encode(Fresh::dangerous(counter), source, group, privacy, &header, msg)
    } else {
        let node = NodeId::new(u64::from(to) + 1);
        session.encode(Fresh::dangerous(counter), source, node, privacy, &header, msg)
    };
    let honest = sealed.unwrap().as_bytes().to_vec();
    let mut octets = input.altered(&honest);
    let (same, before) = (octets == honest, octets.clone());
    match group::decode(&mut octets, sessions.iter().enumerate(), |_, _| true) {
        Ok(opened) => {
            assert!(same && !header.needs_ack, "altered, or wants an answer");
            assert_eq!((opened.key, opened.privacy, opened.source), (which, privacy, source));
            assert_eq!((opened.header, &*opened.payload), (header, payload));
            assert_eq!(opened.counter, value);
        }
        Err(DecodeError::AckFromGroup) => assert!(same && header.needs_ack),
        Err(error) => {
            // Longer ones cannot be opened in a copy.
            assert!(!same || matches!(error, DecodeError::Crypto), "{error:?}");
            assert_eq!(octets, before, "as it was");
        }
    }
}
