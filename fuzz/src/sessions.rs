//! Secure sessions.

use std::collections::BTreeSet;

use matter_session::ids::{LocalSessionId, MessageCounter};
use matter_session::session::hazmat::{self, Counters};
use matter_session::session::{
    Identity, SecureSession, SessionParameters, SessionRole, SessionSetup,
};
use matter_session::time::Instant;
use matter_session::wire::{MessageBuf, Packet};

use crate::Input;
use matter_session_testing::toy::Toy;

const NOW: Instant = Instant::from_millis(5);

/// How many counters behind the largest a session remembers, with an allocator.
const REMEMBERED: u64 = 256;

fn session<const LAX: bool>(role: SessionRole) -> SecureSession<Toy<LAX>> {
    let id = LocalSessionId::new(0x0101).unwrap();
    let setup = SessionSetup {
        role,
        local_session_id: id,
        peer_session_id: id.as_seen_by_peer(),
        identity: Identity::pase(),
        peer_parameters: SessionParameters::default(),
        resumption_id: None,
    };
    let (keys, counter) = (hazmat::session_keys(&[7; 48]), Counters::starting_at(9));
    hazmat::secure_session(&Toy, &keys, setup, counter, NOW)
}

/// Datagrams one after another, against a set of counters; or a change to an honest one.
pub fn secure_session(data: &[u8]) {
    let mut input = Input(data);
    if input.octet() & 1 == 1 { altered(input) } else { any(input) }
}

fn any(mut input: Input<'_>) {
    let mut session = session::<true>(SessionRole::Responder);
    let (mut seen, mut largest) = (BTreeSet::new(), 0);
    while !input.is_empty() {
        let accepts = input.octet() & 1 == 0;
        let datagram = input.octets();
        let before = format!("{session:?}");
        let mut octets = datagram.to_vec();
        let Ok(packet) = Packet::parse(&mut octets) else { continue };
        let counter = packet.header().counter.get();
        let opened = match session.decode_if(packet, NOW, |_| accepts) {
            Ok(opened) => opened,
            Err(_) => {
                assert_eq!(before, format!("{session:?}"), "nothing changes");
                continue;
            }
        };
        assert_eq!(opened.counter, MessageCounter::new(counter));
        let end = opened.payload_offset + opened.payload.len() + 16;
        assert_eq!(end, datagram.len());
        let duplicate = opened.duplicate;
        let old = u64::from(counter) + REMEMBERED < u64::from(largest) || counter == 0;
        assert_eq!(duplicate, old || seen.contains(&counter), "{counter} of {seen:?}");
        if duplicate || !accepts {
            assert_eq!(before, format!("{session:?}"), "nothing changes");
        } else {
            seen.insert(counter);
            largest = largest.max(counter);
        }
    }
}

fn altered(mut input: Input<'_>) {
    let (mut sender, mut receiver) =
        (session::<false>(SessionRole::Initiator), session::<false>(SessionRole::Responder));
    let flags = input.octet();
    let header = input.protocol_header(flags);
    let payload = input.octets();
    let mut buf = vec![0; payload.len() + 60];
    let msg = MessageBuf::with_payload(&mut buf, payload).unwrap();
    let honest = sender.encode(&header, msg, NOW).unwrap().as_bytes().to_vec();
    let mut octets = input.altered(&honest);
    let same = octets == honest;
    let opened = Packet::parse(&mut octets).ok().and_then(|packet| {
        let opened = receiver.decode(packet, NOW).ok()?;
        assert_eq!((opened.header, &*opened.payload), (header, payload));
        Some(())
    });
    assert_eq!(opened.is_some(), same, "altered");
}
