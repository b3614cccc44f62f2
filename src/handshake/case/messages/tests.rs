#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::bytes::Buffer;
use crate::handshake::fields::any_parameters;

fn written(write: impl FnOnce(&mut Writer<Buffer<'_>>) -> Result<(), Overflow>) -> Vec<u8> {
    let mut octets = [0; 1300];
    let mut writer = Writer::new(Buffer::new(&mut octets));
    write(&mut writer).unwrap();
    writer.into_sink().into_written().to_vec()
}

/// The same with a field of a later revision at the end.
fn later(mut message: Vec<u8>) -> Vec<u8> {
    message.truncate(message.len() - 1);
    message.extend([0x35, 0x40, 0x24, 1, 2, 0x18, 0x18]);
    message
}

fn key() -> impl Strategy<Value = PublicKey> {
    prop::collection::vec(any::<u8>(), 64)
        .prop_map(|xy| PublicKey::new(&[&[4][..], &xy].concat()).unwrap())
}

fn peer_id() -> impl Strategy<Value = PeerSessionId> {
    (1..=u16::MAX).prop_map(|id| PeerSessionId::new(id).unwrap())
}

proptest! {
    #[test]
    fn sigma1_round_trips(
        random: [u8; 32],
        initiator_session_id in peer_id(),
        destination: [u8; 32],
        initiator_public_key in key(),
        session_parameters in any_parameters(),
        resumption: Option<([u8; 16], [u8; 16])>,
    ) {
        let sigma1 = Sigma1 {
            initiator_random: &random,
            initiator_session_id,
            destination_id: &destination,
            initiator_public_key,
            session_parameters,
            resumption: resumption
                .as_ref()
                .map(|(id, mic)| ResumeRequest { id: ResumptionId::new(*id), mic }),
        };
        let octets = written(|writer| sigma1.write(writer));
        for message in [octets.clone(), later(octets.clone())] {
            let read = Sigma1::parse(&message).unwrap();
            prop_assert_eq!(written(|writer| read.write(writer)), &octets[..]);
            prop_assert_eq!(read.initiator_random, &random);
            prop_assert_eq!(read.initiator_session_id, initiator_session_id);
            prop_assert_eq!(read.destination_id, &destination);
            prop_assert_eq!(read.initiator_public_key, initiator_public_key);
            prop_assert_eq!(read.session_parameters, session_parameters);
            prop_assert_eq!(read.resumption.map(|r| (*r.id.as_bytes(), *r.mic)), resumption);
        }
        for end in 0..octets.len() {
            prop_assert!(Sigma1::parse(&octets[..end]).is_err(), "cut at {}", end);
        }
    }

    #[test]
    fn sigma2_resume_round_trips(
        id: [u8; 16],
        mic: [u8; 16],
        responder_session_id in peer_id(),
        session_parameters in any_parameters(),
    ) {
        let resumption_id = ResumptionId::new(id);
        let message =
            Sigma2Resume { resumption_id, mic: &mic, responder_session_id, session_parameters };
        let octets = written(|writer| message.write(writer));
        for message in [octets.clone(), later(octets.clone())] {
            let read = Sigma2Resume::parse(&message).unwrap();
            prop_assert_eq!(read.resumption_id, resumption_id);
            prop_assert_eq!(read.mic, &mic);
            prop_assert_eq!(read.responder_session_id, responder_session_id);
            prop_assert_eq!(read.session_parameters, session_parameters);
        }
        for end in 0..octets.len() {
            prop_assert!(Sigma2Resume::parse(&octets[..end]).is_err(), "cut at {}", end);
        }
    }

    #[test]
    fn encrypted_parts_round_trip(
        noc in prop::collection::vec(any::<u8>(), 0..=410),
        icac in prop::option::of(prop::collection::vec(any::<u8>(), 0..=410)),
        signature in prop::collection::vec(any::<u8>(), 64),
        id: [u8; 16],
    ) {
        let (signature, icac) = (signature.first_chunk().unwrap(), icac.as_deref());
        let data = |resumption_id| TbeData { noc: &noc, icac, signature, resumption_id };
        let id = ResumptionId::new(id);
        let octets = [written(|writer| data(Some(id)).write(writer)), written(|w| data(None).write(w))];
        let fits = noc.len() <= 400 && icac.is_none_or(|icac| icac.len() <= 400);
        let read = [TbeData::parse2(&octets[0]), TbeData::parse3(&octets[1])];
        for (read, resumption_id) in read.into_iter().zip([Some(id), None]) {
            prop_assert_eq!(read.is_ok(), fits);
            let Ok(read) = read else { continue };
            prop_assert_eq!((read.noc, read.signature), (&noc[..], signature));
            prop_assert_eq!(read.icac, icac.filter(|icac| !icac.is_empty()));
            prop_assert_eq!(read.resumption_id, resumption_id);
        }
        // What TBEData3 lacks is missed in TBEData2.
        prop_assert!(TbeData::parse2(&octets[1]).is_err());
    }

    #[test]
    fn the_place_of_an_encrypted_part_is_found(
        random: [u8; 32],
        responder_session_id in peer_id(),
        responder_public_key in key(),
        encrypted in prop::collection::vec(any::<u8>(), 0..1040),
        session_parameters in any_parameters(),
    ) {
        let sigma2 = written(|writer| {
            writer.start_structure(Tag::Anonymous)?;
            writer.bytes(Tag::Context(1), &random)?;
            writer.unsigned(Tag::Context(2), responder_session_id.get())?;
            writer.bytes(Tag::Context(3), responder_public_key.as_bytes())?;
            writer.bytes(Tag::Context(4), &encrypted)?;
            if let Some(parameters) = &session_parameters {
                parameters.write(Tag::Context(5), writer)?;
            }
            writer.end()
        });
        let read = Sigma2::parse(&sigma2);
        prop_assert_eq!(read.is_ok(), (17..=MAX_ENCRYPTED2_LEN).contains(&encrypted.len()));
        if let Ok(read) = read {
            prop_assert_eq!(&sigma2[read.encrypted], &encrypted[..]);
            prop_assert_eq!(read.responder_random, random);
            prop_assert_eq!(read.responder_session_id, responder_session_id);
            prop_assert_eq!(read.responder_public_key, responder_public_key);
            prop_assert_eq!(read.session_parameters, session_parameters);
        }
        let sigma3 = written(|writer| {
            writer.start_structure(Tag::Anonymous)?;
            writer.bytes(Tag::Context(1), &encrypted)?;
            writer.end()
        });
        let read = Sigma3::parse(&sigma3);
        prop_assert_eq!(read.is_ok(), (17..=MAX_ENCRYPTED3_LEN).contains(&encrypted.len()));
        if let Ok(read) = read {
            prop_assert_eq!(&sigma3[read.encrypted], &encrypted[..]);
        }
    }
}

#[test]
fn what_is_encrypted_is_read_at_the_place_where_it_was_written() {
    let encrypted = [0x5A; 40];
    let sigma2 = Sigma2 {
        responder_random: [1; 32],
        responder_session_id: PeerSessionId::new(7).unwrap(),
        responder_public_key: PublicKey::new(&[&[4][..], &[9; 64]].concat()).unwrap(),
        encrypted: &encrypted[..],
        session_parameters: Some(SessionParameters::default()),
    };
    let payload = written(|writer| sigma2.write(writer));
    let read = Sigma2::parse(&payload).unwrap();
    assert_eq!(payload[read.encrypted.clone()], encrypted);
    let again = Sigma2 {
        responder_random: read.responder_random,
        responder_session_id: read.responder_session_id,
        responder_public_key: read.responder_public_key,
        encrypted: &payload[read.encrypted],
        session_parameters: read.session_parameters,
    };
    assert_eq!(written(|writer| again.write(writer)), payload);
    let payload = written(|writer| Sigma3 { encrypted: &encrypted[..] }.write(writer));
    assert_eq!(payload[Sigma3::parse(&payload).unwrap().encrypted], encrypted);
}
