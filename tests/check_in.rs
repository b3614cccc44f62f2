//! Check-In messages: recorded vectors, properties, counters of both sides, and what refusals leave
//! alone.

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use matter_session::check_in::{
    self, CheckIn, CheckInError, IcdCounter, MAX_APPLICATION_DATA, MAX_DATAGRAM_BUFFER,
    MAX_PAYLOAD, MIN_PAYLOAD, RegisteredKey, Registration, RegistrationError, SealError,
};
use matter_session::crypto::{RustCrypto, Secret, StoreFirst};
use matter_session::fabric::CompressedFabricId;
use matter_session::ids::{ExchangeId, FabricIndex, NodeId, Peer};
use matter_session::session::hazmat;
use matter_session::wire::{EncodeError, MessageKind, Packet, ProtocolHeader};
#[allow(dead_code, unreachable_pub, reason = "scenarios use all of it")]
use matter_session_testing::counting::{Counting, Work};
use matter_session_testing::{array, chip, hex, list, number};
use proptest::prelude::*;
use serde_json::Value;

// ---- recorded vectors ----

#[test]
fn chip_check_in_messages() {
    let Some(chip) = chip() else { return };
    for v in list(&chip["check_in_message"]["vectors"], 5) {
        let (counter, data) = (number::<u32>(&v["counter"]), hex(&v["application_data"]));
        let parts = [hex(&v["nonce"]), hex(&v["ciphertext"]), hex(&v["mic"])].concat();
        assert_eq!(parts, hex(&v["payload"]));
        let key = IcdCounter::restored(0, 1).register(Secret::new(array(&v["key"])), &[]).unwrap();
        let payload = payload(&check_in(&mut at(counter), &data), &key);
        assert_eq!(payload, parts);

        let mut registrations = [registration(2, 0), with_key(v, 7)];
        let mut octets = payload.clone();
        let heard = check_in::open(&RustCrypto, &mut registrations, &mut octets).unwrap();
        assert_eq!(heard.application_data, data);
        assert_eq!((heard.counter, heard.registration.last_offset()), (counter, counter - 7));
        let at = payload.len() - 16 - data.len();
        assert_eq!(octets[at..][..data.len()], data, "decrypted in place");
    }
}

#[test]
fn chip_check_in_messages_with_the_nonce_of_another_counter() {
    let Some(chip) = chip() else { return };
    for v in list(&chip["check_in_message"]["invalid_nonce_vectors"], 1) {
        assert_eq!(v["aead_opens"], true);
        assert_eq!(open_one(with_key(v, 0), &hex(&v["payload"])), Err(CheckInError::WrongNonce));
    }
}

#[test]
fn chip_check_in_messages_that_are_altered() {
    let Some(chip) = chip() else { return };
    for v in list(&chip["check_in_message"]["vectors"], 5) {
        let payload = hex(&v["payload"]);
        for bit in 0..payload.len() * 8 {
            let mut altered = payload.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open_one(with_key(v, 0), &altered), Err(CheckInError::Unauthentic), "{bit}");
        }
        for len in 0..payload.len() {
            let error = if len < 33 { CheckInError::TooShort } else { CheckInError::Unauthentic };
            assert_eq!(open_one(with_key(v, 0), &payload[..len]), Err(error), "{len}");
        }
        assert_eq!(open_one(registration(9, 0), &payload), Err(CheckInError::Unauthentic));
    }
}

// ---- computed with OpenSSL ----

/// The nonce by HMAC-SHA256, the rest by AES-128-CCM: key, counter, application data, payload.
const BY_OPENSSL: [(&str, u32, &str, &str); 3] = [
    (
        "000102030405060708090a0b0c0d0e0f",
        0x0102_0304,
        "2c01",
        "db6f11878525d6f06902d84c160dfe226bc15b620f83e13824f3bc767a045c9d9a490f",
    ),
    (
        "f0e1d2c3b4a5968778695a4b3c2d1e0f",
        u32::MAX,
        "",
        "5c5530214270ddb0cf1394e3c0b6e91f05166daf44c2270152e6ae809b16da7d3a",
    ),
    (
        "f0e1d2c3b4a5968778695a4b3c2d1e0f",
        5,
        "e8030506",
        "c75aa9c3f634b04a44b188b62b172ca6336aba331e9a308a4a1a599c6035b6a091beeb0ca6",
    ),
];
/// The first of them with the nonce of the next counter.
const WRONG_NONCE: &str = "87cd66c9b9c097a341726ead2b7bf076d99316837d42a09051bba9943718cbbff4774e";

#[test]
fn check_in_messages_are_those_that_openssl_computes() {
    for (key, counter, data, sealed) in BY_OPENSSL {
        let (data, expected) = (octets(data), octets(sealed));
        let registered =
            IcdCounter::restored(0, 1).register(Secret::new(key_of(key)), &[]).unwrap();
        assert_eq!(payload(&check_in(&mut at(counter), &data), &registered), expected);
        let mut clients = [registration(2, 0), made(Secret::new(key_of(key)), 1, 4)];
        let mut received = expected;
        let heard = check_in::open(&RustCrypto, &mut clients, &mut received).unwrap();
        assert_eq!((heard.counter, &*heard.application_data), (counter, &data[..]));
        assert_eq!(heard.registration.last_offset(), counter - 4);
    }
}

#[test]
fn a_check_in_message_with_the_nonce_of_another_counter_is_refused() {
    let client = made(Secret::new(key_of(BY_OPENSSL[0].0)), 1, 0);
    assert_eq!(open_one(client.clone(), &octets(WRONG_NONCE)), Err(CheckInError::WrongNonce));
    assert_eq!(open_one(client, &octets(BY_OPENSSL[0].3)), Ok(()));
}

#[test]
fn a_check_in_message_that_is_altered_or_cut_changes_nothing() {
    for (key, _, _, payload) in BY_OPENSSL {
        let (client, payload) = (made(Secret::new(key_of(key)), 1, 0), octets(payload));
        for bit in 0..payload.len() * 8 {
            let mut altered = payload.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let refused = open_one(client.clone(), &altered);
            assert_eq!(refused, Err(CheckInError::Unauthentic), "{bit}");
        }
        for len in 0..payload.len() {
            let error = if len < 33 { CheckInError::TooShort } else { CheckInError::Unauthentic };
            assert_eq!(open_one(client.clone(), &payload[..len]), Err(error), "{len}");
        }
        assert_eq!(open_one(registration(9, 0), &payload), Err(CheckInError::Unauthentic));
    }
}

// ---- messages ----

proptest! {
    #[test]
    fn a_check_in_message_arrives_as_it_was_sent(
        counter in 1_u32..,
        data in prop::collection::vec(any::<u8>(), 0..=MAX_APPLICATION_DATA),
        exchange: u16,
        unsecured: u32,
    ) {
        let mut icd = IcdCounter::restored(counter.into(), 1);
        let key = icd.register(secret(1), &[]).unwrap();
        let start = icd.value();
        prop_assert_eq!(made(secret(1), 1, start).start_counter(), start);
        let check_in = check_in(&mut icd, &data);
        let (mut buf, mut rng) = ([0; MAX_DATAGRAM_BUFFER], UnwrapErr(SysRng));
        let (exchange, mut unsecured) = (ExchangeId::new(exchange), hazmat::unsecured_counter(unsecured));
        let next = unsecured.take();
        let sent = check_in.encode(&RustCrypto, &key, exchange, &mut unsecured, &mut rng, &mut buf);
        let mut octets = sent.unwrap().as_bytes().to_vec();
        prop_assert_eq!(octets.len(), 16 + 6 + 33 + data.len());

        let packet = Packet::parse(&mut octets).unwrap();
        let Ok(MessageKind::FromInitiator(node)) = packet.header().kind() else { panic!("kind") };
        prop_assert!(node.is_operational());
        prop_assert_eq!(packet.header().counter.get(), next.get().wrapping_add(1));
        let payload = check_in::payload(packet).unwrap();
        let mut registrations = [registration(2, 0), registration(1, start)];
        let heard = check_in::open(&RustCrypto, &mut registrations, payload).unwrap();
        prop_assert_eq!((heard.counter, heard.refresh_key), (counter, false));
        let threshold = data.first_chunk().map(|ms| u16::from_le_bytes(*ms));
        prop_assert_eq!(heard.active_mode_threshold_ms(), threshold);
        prop_assert_eq!(&*heard.application_data, &data[..]);
        prop_assert_eq!(registrations[1].last_offset(), 1);
        let (protocol, _) = ProtocolHeader::parse(&octets[16..]).unwrap();
        prop_assert!(check_in::is_check_in(&protocol));
        prop_assert_eq!((protocol.exchange, protocol.needs_ack, protocol.ack), (exchange, false, None));
    }

    #[test]
    fn no_octets_panic(mut octets in prop::collection::vec(any::<u8>(), 0..MAX_PAYLOAD + 9)) {
        let mut registrations = [registration(1, 0), registration(2, 5)];
        prop_assert!(check_in::open(&RustCrypto, &mut registrations, &mut octets).is_err());
        prop_assert_eq!(registrations, [registration(1, 0), registration(2, 5)]);
        if let Ok(packet) = Packet::parse(&mut octets) {
            let _ = check_in::payload(packet);
        }
        let _ = Registration::from_bytes(&octets);
        let _ = RegisteredKey::from_bytes(&octets);
    }
}

#[test]
fn only_unsecured_check_in_messages_of_initiators_pass_for_one() {
    let mut icd = at(5);
    let key = icd.register(secret(1), &[]).unwrap();
    let (mut buf, mut unsecured) = ([0; MAX_DATAGRAM_BUFFER], hazmat::unsecured_counter(1));
    let rng = &mut UnwrapErr(SysRng);
    let check_in = check_in(&mut icd, &[]);
    let exchange = ExchangeId::new(1);
    let sent = check_in.encode(&RustCrypto, &key, exchange, &mut unsecured, rng, &mut buf).unwrap();
    let honest = sent.as_bytes().to_vec();
    let passes = |at: usize, octet: u8| {
        let mut octets = honest.clone();
        octets[at] = octet;
        Packet::parse(&mut octets).ok().and_then(check_in::payload).is_some()
    };
    assert!(passes(0, 4));
    assert!(passes(16, 5), "a request for acknowledgement means nothing");
    for (at, octet, why) in [
        (0, 1, "from a responder"),
        (0, 0, "from nobody"),
        (1, 1, "on a session"),
        (3, 1, "to a group"),
        (16, 0, "from the exchange's responder"),
        (17, 0x40, "another opcode"),
        (20, 1, "another protocol"),
    ] {
        assert!(!passes(at, octet), "{why}");
    }
    for len in 0..16 + 6 {
        let packet = &mut honest.clone()[..len];
        assert!(Packet::parse(packet).ok().and_then(check_in::payload).is_none(), "{len}");
    }
}

#[test]
fn application_data_has_a_limit_on_both_sides() {
    let (mut icd, longest) = (at(5), [0x5A; MAX_APPLICATION_DATA]);
    let key = icd.register(secret(1), &[]).unwrap();
    let too_long = check_in(&mut icd, &[0; MAX_APPLICATION_DATA + 1]).write_payload(
        &RustCrypto,
        &key,
        &mut [0; 300],
    );
    assert_eq!(too_long, Err(SealError::Encode(EncodeError::PayloadTooLong)));
    let check_in = check_in(&mut icd, &longest);
    let mut out = [0; MAX_PAYLOAD];
    let needed = MAX_PAYLOAD;
    let too_small = check_in.write_payload(&RustCrypto, &key, &mut out[1..]);
    assert_eq!(too_small, Err(EncodeError::BufferTooSmall { needed }.into()));
    assert_eq!(check_in.write_payload(&RustCrypto, &key, &mut out), Ok(MAX_PAYLOAD));
    let (rng, exchange) = (&mut UnwrapErr(SysRng), ExchangeId::new(1));
    let (mut unsecured, mut buf) = (hazmat::unsecured_counter(1), [0; MAX_DATAGRAM_BUFFER]);
    let needed = MAX_DATAGRAM_BUFFER;
    let short = &mut buf[1..];
    let too_small = check_in.encode(&RustCrypto, &key, exchange, &mut unsecured, rng, short);
    assert_eq!(too_small.unwrap_err(), EncodeError::BufferTooSmall { needed }.into());
    assert!(open_one(registration(1, 4), &out).is_ok());
    let longer = [&out[..], &[0]].concat();
    assert_eq!(open_one(registration(1, 4), &longer), Err(CheckInError::TooLong));
    assert_eq!(MIN_PAYLOAD, 33);
}

// ---- the ICD ----

#[test]
fn a_check_in_is_the_same_text_however_often_it_is_sealed() {
    let mut icd = at(5);
    let [a, b] = [1, 2].map(|n| icd.register(secret(n), &[]).unwrap());
    let check_in = check_in(&mut icd, b"data");
    assert_eq!(payload(&check_in, &a), payload(&check_in, &a));
    assert_ne!(payload(&check_in, &a)[..13], payload(&check_in, &b)[..13]);
}

#[test]
fn a_check_in_waits_for_the_bound_and_counts_on() {
    let mut icd = IcdCounter::restored(9, 2);
    assert_eq!(icd.check_in(&[]).unwrap_err(), StoreFirst { bound: 11 });
    assert_eq!((icd.value(), icd.bound_to_store()), (8, Some(11)));
    icd.stored(11);
    for counter in [9, 10] {
        assert_eq!(icd.check_in(&[]).unwrap().counter(), counter);
        assert_eq!(icd.value(), counter);
    }
    assert_eq!(icd.check_in(&[]).unwrap_err(), StoreFirst { bound: 13 });
}

#[test]
fn no_key_meets_a_counter_twice_however_many_are_passed_over() {
    let seal = |icd: &mut IcdCounter, key: &RegisteredKey| {
        check_in(icd, &[]).write_payload(&RustCrypto, key, &mut [0; 33])
    };
    let used_up = Err(SealError::KeyUsedUp);
    let mut icd = at(5);
    let key = icd.register(secret(1), &[]).unwrap();
    icd.invalidate_all();
    assert_eq!(seal(&mut icd, &key), Ok(33), "the last of its 2^32 values");
    assert_eq!(seal(&mut icd, &key), used_up);

    let mut icd = at(5);
    let key = icd.register(secret(1), &[]).unwrap();
    assert_eq!(seal(&mut icd, &key), Ok(33));
    icd.invalidate_all();
    assert_eq!(icd.value(), 4, "the value moves by 2^32 - 1");
    assert_eq!(seal(&mut icd, &key), used_up, "counter 5 was used");
    let stored = RegisteredKey::from_bytes(key.to_bytes().as_bytes()).unwrap();
    assert_eq!(seal(&mut icd, &stored), used_up, "also after a restart");
    let fresh = icd.register(secret(2), &[]).unwrap();
    assert_eq!(seal(&mut icd, &fresh), Ok(33));

    let mut icd = at(5);
    let key = icd.register(secret(1), &[]).unwrap();
    for _ in 0..2 {
        assert_eq!(seal(&mut icd, &key), Ok(33));
        icd.invalidate_half();
    }
    assert_eq!(icd.value(), 4);
    assert_eq!(seal(&mut icd, &key), used_up);
    let late = check_in(&mut icd, &[]);
    let key = icd.register(secret(3), &[]).unwrap();
    let result = late.write_payload(&RustCrypto, &key, &mut [0; 33]);
    assert_eq!(result, used_up, "registered after the counter was taken");
}

// ---- the client ----

#[test]
fn messages_that_are_not_new_are_dropped() {
    // Across the wrap: the start counter, steps forward, back, and the same again.
    let start = u32::MAX - 2;
    let mut client = registration(1, start);
    for (offset, last) in
        [(0, 0), (2, 2), (1, 2), (2, 2), (3, 3), (5, 5), (4, 5), (0, 5), (u32::MAX, u32::MAX)]
    {
        let is_new = offset > client.last_offset();
        let mut octets = message(1, start.wrapping_add(offset));
        match check_in::open(&RustCrypto, [&mut client], &mut octets) {
            Ok(heard) => assert!(is_new && heard.registration.last_offset() == offset),
            Err(error) => {
                let repeated = matches!(error, CheckInError::Duplicate { .. });
                assert!(!is_new && repeated, "{offset}: {error}");
            }
        }
        assert_eq!(client.last_offset(), last);
    }
}

/// After a jump to the end of the range nothing is new any more: the client has to register again,
/// and must know with whom.
#[test]
fn a_message_that_is_not_new_names_the_registration_that_it_belongs_to() {
    let mut clients = [registration(1, 1000), registration(2, 2000)];
    let peer = Peer::new(clients[1].fabric, clients[1].peer);
    check_in::open(&RustCrypto, &mut clients, &mut message(2, 1999)).unwrap();
    for counter in [2000, 2001, 3000, 1999] {
        let mut octets = message(2, counter);
        let refused = check_in::open(&RustCrypto, &mut clients, &mut octets);
        assert_eq!(refused.unwrap_err(), CheckInError::Duplicate { peer, counter });
    }
}

#[test]
fn a_key_is_to_be_refreshed_from_half_of_the_counters_on() {
    for start in [0_u32, 77, u32::MAX] {
        for (offset, refresh) in
            [(1, false), ((1 << 31) - 1, false), (1 << 31, true), (u32::MAX, true)]
        {
            let mut client = [registration(1, start)];
            let mut octets = message(1, start.wrapping_add(offset));
            let heard = check_in::open(&RustCrypto, &mut client, &mut octets).unwrap();
            assert_eq!(heard.refresh_key, refresh, "{offset}");
        }
    }
}

#[test]
fn invalidating_half_of_the_counters_makes_clients_refresh() {
    let mut icd = at(1000);
    let key = icd.register(secret(1), &[]).unwrap();
    let mut client = [registration(1, icd.value())];
    for (invalidate, refresh) in [(false, false), (true, true)] {
        if invalidate {
            icd.invalidate_half();
        }
        let mut octets = payload(&check_in(&mut icd, &[]), &key);
        let heard = check_in::open(&RustCrypto, &mut client, &mut octets).unwrap();
        assert_eq!(heard.refresh_key, refresh);
    }
}

#[test]
fn a_message_costs_one_key_for_each_registration_up_to_its_own() {
    let crypto = Counting::default();
    let mut clients: Vec<_> = (0..100).map(|n| registration(n, 0)).collect();
    for (n, keys) in [(0, 1), (7, 8), (99, 100)] {
        let heard = check_in::open(&crypto, &mut clients, &mut message(n, 3)).map(|_| ());
        assert_eq!(heard, Ok(()));
        assert_eq!(crypto.take(), Work { aead: keys, hmac: 1, ..Work::NONE });
        assert_eq!(clients[usize::from(n)].last_offset(), 3);
    }
    let before = clients.clone();
    let strangers = message(100, 3);
    let mut octets = strangers.clone();
    let heard = check_in::open(&crypto, &mut clients, &mut octets).map(|_| ());
    assert_eq!(heard, Err(CheckInError::Unauthentic));
    assert_eq!(crypto.take(), Work { aead: 100, ..Work::NONE });
    assert_eq!((clients, octets), (before, strangers), "nothing changes");
    // What cannot be a Check-In message costs nothing.
    for len in [0, 32, MAX_PAYLOAD + 1] {
        let heard = check_in::open(&crypto, [registration(1, 0)], &mut vec![0; len]).map(|_| ());
        assert!(heard.is_err());
        assert_eq!(crypto.take(), Work::NONE);
    }
}

#[test]
fn registrations_may_be_read_from_a_store_one_by_one() {
    let stored: Vec<_> = (0..5).map(|n| registration(n, 0).to_bytes()).collect();
    let read = stored.iter().filter_map(|bytes| Registration::from_bytes(bytes.as_bytes()).ok());
    let mut octets = message(3, 9);
    let heard = check_in::open(&RustCrypto, read, &mut octets).unwrap();
    assert_eq!((heard.registration.peer, heard.registration.last_offset()), (NodeId::new(0xD3), 9));
}

// ---- what is stored ----

#[test]
fn registrations_survive_their_encoding() {
    let mut client = registration(1, 0xFFFF_FFF0);
    let bytes = *client.to_bytes().as_bytes();
    assert_eq!(Registration::from_bytes(&bytes), Ok(client.clone()));
    check_in::open(&RustCrypto, [&mut client], &mut message(1, 5)).unwrap();
    let heard = Registration::from_bytes(client.to_bytes().as_bytes()).unwrap();
    assert_eq!((heard.last_offset(), &heard), (0x15, &client));

    let key = at(0x0102_0304).register(secret(7), &[]).unwrap();
    let bytes = *key.to_bytes().as_bytes();
    assert_eq!(RegisteredKey::from_bytes(&bytes), Ok(key.clone()));
    assert_eq!(bytes[17..], [4, 3, 2, 1, 0, 0, 0, 0]);
    assert!(key.is(&secret(7)) && !key.is(&secret(8)));
}

#[test]
fn damaged_registrations_are_refused() {
    let bytes = *registration(1, 5).to_bytes().as_bytes();
    for len in 0..bytes.len() {
        assert_eq!(Registration::from_bytes(&bytes[..len]), Err(RegistrationError));
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(Registration::from_bytes(&longer), Err(RegistrationError));
    for (range, octet) in [(0..1, 2), (1..2, 0), (1..2, 255), (10..18, 0), (10..18, 255)] {
        let mut bad = bytes;
        bad[range].fill(octet);
        assert_eq!(Registration::from_bytes(&bad), Err(RegistrationError));
    }
    let bytes = *at(5).register(secret(1), &[]).unwrap().to_bytes().as_bytes();
    for len in 0..bytes.len() {
        assert_eq!(RegisteredKey::from_bytes(&bytes[..len]), Err(RegistrationError));
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(RegisteredKey::from_bytes(&longer), Err(RegistrationError));
    let mut bad = bytes;
    bad[0] = 0;
    assert_eq!(RegisteredKey::from_bytes(&bad), Err(RegistrationError));
}

#[test]
fn keys_are_not_printed() {
    let text =
        format!("{:?} {:?}", registration(0xA5, 1), at(1).register(secret(0xA5), &[]).unwrap());
    assert_eq!(text.matches("Secret(..)").count(), 2);
    assert!(!text.contains("165") && !text.to_lowercase().contains("a5a5"), "{text}");
}

// ---- helpers ----

fn secret(n: u8) -> Secret<16> {
    Secret::new([n; 16])
}

fn registration(n: u8, start: u32) -> Registration {
    made(secret(n), n, start)
}

/// The registration with the key of a vector.
fn with_key(vector: &Value, start: u32) -> Registration {
    made(Secret::new(array(&vector["key"])), 1, start)
}

fn octets(digits: &str) -> Vec<u8> {
    hex(&Value::from(digits))
}

fn key_of(digits: &str) -> [u8; 16] {
    array(&Value::from(digits))
}

fn made(key: Secret<16>, n: u8, start: u32) -> Registration {
    let (fabric, peer) = (FabricIndex::new(1).unwrap(), NodeId::new(0xD0 + u64::from(n)));
    Registration::new(fabric, CompressedFabricId::from_bytes([3; 8]), peer, key, start)
}

/// An ICD whose next counter this is.
fn at(counter: u32) -> IcdCounter {
    IcdCounter::restored(counter.into(), 1)
}

fn check_in<'a>(icd: &mut IcdCounter, data: &'a [u8]) -> CheckIn<'a> {
    if let Some(bound) = icd.bound_to_store() {
        icd.stored(bound);
    }
    icd.check_in(data).unwrap()
}

fn payload(check_in: &CheckIn<'_>, key: &RegisteredKey) -> Vec<u8> {
    let mut out = [0; MAX_PAYLOAD];
    let len = check_in.write_payload(&RustCrypto, key, &mut out).unwrap();
    assert_eq!(len, check_in.payload_len());
    out[..len].to_vec()
}

/// A message under key `n` with this counter.
fn message(n: u8, counter: u32) -> Vec<u8> {
    let key = IcdCounter::restored(counter.into(), 1).register(secret(n), &[]).unwrap();
    payload(&check_in(&mut at(counter), &[]), &key)
}

/// Opens with one registration. Refused, neither it nor the payload has changed.
fn open_one(mut client: Registration, payload: &[u8]) -> Result<(), CheckInError> {
    let (before, mut octets) = (client.clone(), payload.to_vec());
    let result = check_in::open(&RustCrypto, [&mut client], &mut octets).map(|_| ());
    if result.is_err() {
        assert_eq!((client, &octets[..]), (before, payload));
    }
    result
}
