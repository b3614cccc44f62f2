//! Check-In messages.

use matter_session::check_in::{
    self, CheckInError, IcdCounter, MAX_DATAGRAM_BUFFER, MAX_PAYLOAD, MIN_PAYLOAD, RegisteredKey,
    Registration,
};
use matter_session::crypto::{Hashing, Secret};
use matter_session::fabric::CompressedFabricId;
use matter_session::ids::{ExchangeId, FabricIndex, NodeId, Peer};
use matter_session::session::hazmat;
use matter_session::wire::Packet;

use crate::Input;
use matter_session_testing::rng::Dice;
use matter_session_testing::toy::Toy;

/// Payloads against a model, a change to an honest message, or what a store has kept.
pub fn check_in(data: &[u8]) {
    let mut input = Input(data);
    match input.octet() % 3 {
        0 => payloads(input),
        1 => altered(input),
        _ => stored(input.0),
    }
}

fn registration(n: u8, start: u32) -> Registration {
    let (fabric, compressed) =
        (FabricIndex::new(1).unwrap(), CompressedFabricId::from_bytes([1; 8]));
    Registration::new(fabric, compressed, NodeId::new(5), Secret::new([n; 16]), start)
}

/// The backend takes any integrity code, so each message is the first registration's.
fn payloads(mut input: Input<'_>) {
    let crypto = Toy::<true>;
    let start = u32::from_le_bytes([input.octet(), input.octet(), input.octet(), input.octet()]);
    let mut clients = [registration(1, start), registration(2, start)];
    while !input.is_empty() {
        let (with_nonce, mut octets) = (input.octet() & 1 == 0, input.octets().to_vec());
        let counter =
            octets.get(13..17).map(|octets| u32::from_le_bytes(octets.try_into().unwrap()));
        if let (true, Some(counter)) = (with_nonce, counter) {
            let code = crypto.hmac(&[1; 16], &[&counter.to_le_bytes()]).unwrap();
            octets[..13].copy_from_slice(&code[..13]);
        }
        let (before, payload) = (clients.clone(), octets.clone());
        let offset = counter.unwrap_or(0).wrapping_sub(start);
        let expected = match octets.len() {
            0..MIN_PAYLOAD => Err(CheckInError::TooShort),
            MIN_PAYLOAD..=MAX_PAYLOAD if !with_nonce => Err(CheckInError::WrongNonce),
            MIN_PAYLOAD..=MAX_PAYLOAD if offset <= before[0].last_offset() => {
                let peer = Peer::new(before[0].fabric, before[0].peer);
                Err(CheckInError::Duplicate { peer, counter: counter.unwrap() })
            }
            MIN_PAYLOAD..=MAX_PAYLOAD => Ok((offset, offset >> 31 == 1)),
            _ => Err(CheckInError::TooLong),
        };
        let heard = check_in::open(&crypto, &mut clients, &mut octets).map(|heard| {
            assert_eq!(heard.application_data, &payload[17..payload.len() - 16]);
            assert_eq!(Some(heard.counter), counter);
            (heard.registration.last_offset(), heard.refresh_key)
        });
        assert_eq!(heard, expected);
        if heard.is_err() {
            assert_eq!((&clients, &octets), (&before, &payload), "nothing changes");
        }
    }
}

fn altered(mut input: Input<'_>) {
    let (crypto, mut rng) = (Toy::<false>, Dice::new(1));
    let mut icd = IcdCounter::restored(input.word().into(), 1);
    let key = icd.register(Secret::new([3; 16]), &[]).unwrap();
    let mut clients = [registration(2, icd.value()), registration(3, icd.value())];
    icd.stored(icd.bound_to_store().unwrap());
    let data = input.octets();
    let data = &data[..data.len().min(check_in::MAX_APPLICATION_DATA)];
    let check_in = icd.check_in(data).unwrap();
    let (mut buf, mut unsecured) = ([0; MAX_DATAGRAM_BUFFER], hazmat::unsecured_counter(1));
    let exchange = ExchangeId::new(7);
    let sent = check_in.encode(&crypto, &key, exchange, &mut unsecured, &mut rng, &mut buf);
    let honest = sent.unwrap().as_bytes().to_vec();
    let mut octets = input.altered(&honest);
    let same = octets == honest;
    let heard = Packet::parse(&mut octets).ok().and_then(check_in::payload).and_then(|payload| {
        // Headers are not authenticated, the rest is.
        let intact = *payload == honest[22..];
        let heard = check_in::open(&crypto, &mut clients, payload);
        assert_eq!(heard.is_ok(), intact);
        assert!(heard.as_ref().map_or(true, |heard| heard.application_data == data));
        heard.ok().map(|_| ())
    });
    assert!(heard.is_some() || !same);
    assert_eq!(clients[0].last_offset(), 0);
    assert_eq!(clients[1].last_offset(), u32::from(heard.is_some()));
}

/// What is read is what was written.
fn stored(octets: &[u8]) {
    if let Ok(registration) = Registration::from_bytes(octets) {
        assert_eq!(registration.to_bytes().as_bytes(), octets);
        assert!(registration.peer.is_operational());
    }
    if let Ok(key) = RegisteredKey::from_bytes(octets) {
        assert_eq!(key.to_bytes().as_bytes(), octets);
    }
}
