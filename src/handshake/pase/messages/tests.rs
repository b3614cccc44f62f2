#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::bytes::Buffer;
use crate::handshake::fields::any_parameters;

fn written(write: impl FnOnce(&mut Writer<Buffer<'_>>) -> Result<(), Overflow>) -> Vec<u8> {
    let mut octets = [0; 400];
    let mut writer = Writer::new(Buffer::new(&mut octets));
    write(&mut writer).unwrap();
    writer.into_sink().into_written().to_vec()
}

fn peer_id() -> impl Strategy<Value = PeerSessionId> {
    (1..=u16::MAX).prop_map(|id| PeerSessionId::new(id).unwrap())
}

proptest! {
    #[test]
    fn requests_round_trip(
        random: [u8; 32],
        initiator_session_id in peer_id(),
        passcode_id: u16,
        has_pbkdf_parameters: bool,
        session_parameters in any_parameters(),
    ) {
        let request = PbkdfParamRequest {
            initiator_random: &random,
            initiator_session_id,
            passcode_id,
            has_pbkdf_parameters,
            session_parameters,
        };
        let octets = written(|writer| request.write(writer));
        let read = PbkdfParamRequest::parse(&octets).unwrap();
        prop_assert_eq!(read.initiator_random, &random);
        prop_assert_eq!(read.initiator_session_id, initiator_session_id);
        prop_assert_eq!(read.passcode_id, passcode_id);
        prop_assert_eq!(read.has_pbkdf_parameters, has_pbkdf_parameters);
        prop_assert_eq!(read.session_parameters, session_parameters);
        for end in 0..octets.len() {
            prop_assert!(PbkdfParamRequest::parse(&octets[..end]).is_err(), "cut at {}", end);
        }
    }

    #[test]
    fn responses_round_trip(
        randoms: ([u8; 32], [u8; 32]),
        responder_session_id in peer_id(),
        pbkdf in prop::option::of((1000..=100_000_u32, prop::collection::vec(any::<u8>(), 16..=32))),
        session_parameters in any_parameters(),
    ) {
        let pbkdf = pbkdf.map(|(iterations, salt)| PbkdfParameters::new(iterations, &salt).unwrap());
        let response = PbkdfParamResponse {
            initiator_random: &randoms.0,
            responder_random: &randoms.1,
            responder_session_id,
            pbkdf,
            session_parameters,
        };
        let octets = written(|writer| response.write(writer));
        for known in [false, true] {
            let read = PbkdfParamResponse::parse(&octets, known);
            // Who does not know them needs them; who does, does not look.
            prop_assert_eq!(read.is_ok(), known || pbkdf.is_some());
            let Ok(read) = read else { continue };
            prop_assert_eq!((read.initiator_random, read.responder_random), (&randoms.0, &randoms.1));
            prop_assert_eq!(read.responder_session_id, responder_session_id);
            prop_assert_eq!(read.pbkdf, pbkdf.filter(|_| !known));
            prop_assert_eq!(read.session_parameters, session_parameters);
        }
    }

    #[test]
    fn shares_and_confirmations_round_trip(
        share in prop::collection::vec(any::<u8>(), 64),
        confirmation: [u8; 32],
    ) {
        let share = PublicKey::new(&[&[4][..], &share].concat()).unwrap();
        let octets = written(|writer| Pake1 { pa: share }.write(writer));
        prop_assert_eq!(Pake1::parse(&octets).unwrap().pa, share);
        let octets = written(|writer| Pake2 { pb: share, cb: &confirmation }.write(writer));
        let read = Pake2::parse(&octets).unwrap();
        prop_assert_eq!((read.pb, read.cb), (share, &confirmation));
        let octets = written(|writer| Pake3 { ca: &confirmation }.write(writer));
        prop_assert_eq!(Pake3::parse(&octets).unwrap().ca, &confirmation);
        for end in 0..octets.len() {
            prop_assert!(Pake3::parse(&octets[..end]).is_err(), "cut at {}", end);
        }
    }
}

/// An initiator that knows the parameters ignores them, but refuses another element in their
/// place.
#[test]
fn in_the_place_of_the_parameters_is_a_structure_or_nothing() {
    let response = |parameters: &[u8]| {
        let head = written(|writer| {
            writer.start_structure(Tag::Anonymous)?;
            writer.bytes(Tag::Context(1), &[1; 32])?;
            writer.bytes(Tag::Context(2), &[2; 32])?;
            writer.unsigned(Tag::Context(3), 3_u16)
        });
        [&head, parameters, &[0x18]].concat()
    };
    for (parameters, is_taken) in [
        (&[][..], true),
        (&[0x35, 4, 0x18], true),
        (&[0x24, 4, 1], false),
        (&[0x36, 4, 0x18], false),
    ] {
        let response = response(parameters);
        assert_eq!(PbkdfParamResponse::parse(&response, true).is_ok(), is_taken);
        assert!(PbkdfParamResponse::parse(&response, false).is_err());
    }
}
