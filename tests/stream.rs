//! Messages over TCP: any portions, hostile lengths, and messages framed and read in place.

use matter_session::bytes::Buffer;
use matter_session::ids::{ExchangeId, MessageCounter, NodeId, ProtocolId, VendorId};
use matter_session::stream::{
    FrameError, PREFIX_LEN, StreamBuffer, StreamDecoder, StreamEncoder, StreamError,
};
use matter_session::wire::{
    MAX_UDP_MESSAGE, MessageBuf, MessageHeader, Packet, ProtocolHeader, SessionRoute, StatusReport,
};
use proptest::collection::vec;
use proptest::prelude::*;

const LIMIT: usize = 100;

// ---- what comes in ----

proptest! {
    #[test]
    fn messages_come_out_whole_however_they_arrive(
        messages in vec(vec(any::<u8>(), 8..=LIMIT), 0..12),
        portions in vec(1_usize..150, 1..30),
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
        let mut slice = [0; 3 * LIMIT];
        // As small as it may be, with room for several messages, and as large as it needs to be.
        let all = [
            received(StreamDecoder::new([0; LIMIT + PREFIX_LEN]), &stream, &portions),
            received(StreamDecoder::new(&mut slice[..]), &stream, &portions),
            received(StreamDecoder::growing(100), &stream, &portions),
            copied(StreamDecoder::new([0; LIMIT + PREFIX_LEN]), &stream, &portions),
        ];
        for (heard, error) in all {
            prop_assert_eq!(error, None);
            prop_assert_eq!(&heard, &messages);
        }
    }

    #[test]
    fn any_octets_are_read_as_a_plain_loop_reads_them(
        octets in vec(prop_oneof![3 => Just(0), 2 => 7_u8..20, 1 => any::<u8>()], 0..400),
        portions in vec(1_usize..90, 1..30),
    ) {
        let (mut expected, mut failure, mut rest) = (Vec::new(), None, &octets[..]);
        while let Some((prefix, behind)) = rest.split_first_chunk() {
            let len = u32::from_le_bytes(*prefix);
            failure = match len {
                0..8 => Some(StreamError::TooShort { len }),
                8..=100 => None,
                _ => Some(StreamError::TooLarge { len, limit: 100 }),
            };
            if failure.is_some() || behind.len() < len as usize {
                break;
            }
            let (message, behind) = behind.split_at(len as usize);
            expected.push(message.to_vec());
            rest = behind;
        }
        for (heard, error) in [
            received(StreamDecoder::new([0; LIMIT + PREFIX_LEN]), &octets, &portions),
            received(StreamDecoder::new([0; 300]).with_limit(100), &octets, &portions),
            received(StreamDecoder::growing(100), &octets, &portions),
            copied(StreamDecoder::growing(100), &octets, &portions),
        ] {
            prop_assert_eq!(&heard, &expected);
            prop_assert_eq!(error, failure);
        }
    }
}

#[test]
fn a_message_of_exactly_the_limit_is_legal_and_one_octet_more_is_not() {
    for limit in [8, 9, 1280, 63_996, 64_000] {
        let mut decoder = StreamDecoder::growing(limit);
        assert_eq!(decoder.limit(), limit);
        let longest = vec![7; limit as usize];
        let mut stream = framed(&longest);
        stream.extend(framed(&[&longest[..], &[7]].concat()));
        let (heard, error) = received(&mut decoder, &stream, &[1000]);
        assert_eq!(heard, [longest]);
        assert_eq!(error, Some(StreamError::TooLarge { len: limit + 1, limit }));
    }
}

#[test]
fn lengths_that_no_message_has_end_the_stream_at_their_last_octet() {
    for len in (0..8).chain([101, 64_000, 1 << 31, u32::MAX]) {
        let mut decoder = StreamDecoder::new([0; LIMIT + PREFIX_LEN]);
        let stream = [framed(b"a message"), len.to_le_bytes().to_vec()].concat();
        let (last, before) = stream.split_last().unwrap();
        assert_eq!(decoder.handle_bytes(before), before.len());
        assert_eq!(decoder.poll_message(), Ok(Some(&mut b"a message".to_owned()[..])));
        assert_eq!(decoder.poll_message(), Ok(None));
        assert!(decoder.is_mid_message());
        assert_eq!(decoder.handle_bytes(&[*last]), 1);
        let error = decoder.poll_message().unwrap_err();
        let report = error.report().map(|report| {
            let mut octets = [0; 8];
            report.write(&mut Buffer::new(&mut octets)).unwrap();
            octets
        });
        if len < 8 {
            assert_eq!((error, report), (StreamError::TooShort { len }, None));
        } else {
            assert_eq!(error, StreamError::TooLarge { len, limit: 100 });
            assert_eq!(report, Some([17, 0, 0, 0, 0, 0, 0xFF, 0xFF]));
            assert!(!StatusReport::parse(&report.unwrap()).unwrap().general.is_success());
        }
    }
}

#[test]
fn nothing_comes_after_an_error() {
    let mut decoder = StreamDecoder::new([0; 300]);
    decoder.handle_bytes(&[&[3, 0, 0, 0][..], &framed(b"a message")].concat());
    for _ in 0..3 {
        assert_eq!(decoder.poll_message(), Err(StreamError::TooShort { len: 3 }));
        assert!(decoder.space().is_empty());
        assert_eq!(decoder.handle_bytes(&framed(b"a message")), 0);
        decoder.advance(50);
    }
}

#[test]
fn a_full_buffer_takes_nothing_until_its_messages_are_polled() {
    let mut decoder = StreamDecoder::new([0; 3 * 13]);
    let stream = framed(b"a message").repeat(4);
    assert_eq!(decoder.handle_bytes(&stream), 3 * 13);
    assert!(decoder.space().is_empty());
    assert_eq!(decoder.poll_message(), Ok(Some(&mut b"a message".to_owned()[..])));
    assert_eq!(decoder.handle_bytes(&stream[3 * 13..]), 13);
    for _ in 0..3 {
        assert_eq!(decoder.poll_message(), Ok(Some(&mut b"a message".to_owned()[..])));
    }
    assert_eq!(decoder.poll_message(), Ok(None));
    assert!(!decoder.is_mid_message());
}

#[test]
fn a_caller_that_reads_more_than_there_is_room_for_reads_what_there_is() {
    let mut decoder = StreamDecoder::new([1; 20]);
    decoder.advance(usize::MAX);
    assert!(decoder.space().is_empty());
    assert_eq!(decoder.poll_message(), Err(StreamError::TooLarge { len: 0x0101_0101, limit: 16 }));
    let mut none = StreamDecoder::new([0; 0]);
    none.advance(4);
    assert_eq!((none.limit(), none.poll_message()), (0, Ok(None)));
}

#[test]
fn memory_follows_what_has_arrived_and_goes_back() {
    let mut decoder = StreamDecoder::growing(64_000);
    decoder.handle_bytes(&64_000_u32.to_le_bytes());
    assert_eq!(decoder.poll_message(), Ok(None));
    assert!(decoder.space().len() <= 2048, "for a claim alone");
    let mut arrived = 4;
    while let Ok(None) = decoder.poll_message() {
        let space = decoder.space().len();
        assert!(space <= arrived.max(2048), "{space} octets for {arrived}");
        decoder.advance(space.min(1000));
        arrived += space.min(1000);
    }
    assert!(!decoder.is_mid_message());
    assert_eq!(decoder.space().len(), 2048);
}

// ---- what goes out ----

#[test]
fn a_message_is_framed_and_opened_where_it_stands() {
    // The longest headers that an unsecured message has.
    let mut header = MessageHeader::new(SessionRoute::Unsecured, MessageCounter::new(7));
    header.source = Some(NodeId::new(5));
    let protocol = ProtocolHeader {
        exchange: ExchangeId::new(9),
        protocol: ProtocolId::vendor(VendorId::new(0xFFF1), 3),
        opcode: 4,
        initiator: true,
        needs_ack: false,
        ack: Some(MessageCounter::new(1)),
    };
    let payload = vec![0x5A; 3000];
    let mut buf = vec![0; 4000];
    let msg = MessageBuf::with_payload(&mut buf, &payload).unwrap();
    let encoded = msg.into_plain(&header, &protocol).unwrap();
    let (message, range) = (encoded.as_bytes().to_vec(), encoded.range());
    assert!(message.len() > MAX_UDP_MESSAGE);
    let place = encoded.as_bytes().as_ptr();
    let encoder = StreamEncoder::new(64_000);
    let frame = encoder.frame(&mut buf, range).unwrap();
    assert_eq!(frame, framed(&message));
    assert_eq!(frame[PREFIX_LEN..].as_ptr(), place, "not copied");
    assert_eq!(encoder.prefix(&message).unwrap(), frame[..PREFIX_LEN]);

    let mut decoder = StreamDecoder::growing(64_000);
    decoder.handle_bytes(frame);
    decoder.handle_bytes(&framed(b"another one"));
    let octets = decoder.poll_message().unwrap().unwrap();
    let (read, _, _) = Packet::parse(octets).unwrap().into_parts();
    assert_eq!(read, header);
    octets.fill(0xFF);
    assert_eq!(decoder.poll_message(), Ok(Some(&mut b"another one".to_owned()[..])));
}

#[test]
fn what_the_peer_does_not_take_is_not_framed() {
    let encoder = StreamEncoder::new(20);
    let mut buf = [7; 60];
    assert_eq!(encoder.frame(&mut buf, 10..31), Err(FrameError::TooLarge { len: 21, limit: 20 }));
    assert_eq!(encoder.frame(&mut buf, 10..17), Err(FrameError::TooShort));
    assert_eq!(encoder.frame(&mut buf, 3..13), Err(FrameError::NoHeadroom));
    assert_eq!(encoder.frame(&mut buf, 50..61), Err(FrameError::NoHeadroom));
    #[expect(clippy::reversed_empty_ranges, reason = "it is what is refused")]
    let backwards = encoder.frame(&mut buf, 30..20);
    assert_eq!(backwards, Err(FrameError::TooShort));
    assert_eq!(encoder.frame(&mut buf, usize::MAX - 9..usize::MAX), Err(FrameError::NoHeadroom));
    assert_eq!(encoder.prefix(&[0; 21]), Err(FrameError::TooLarge { len: 21, limit: 20 }));
    assert_eq!(encoder.prefix(&[0; 7]), Err(FrameError::TooShort));
    assert_eq!(buf, [7; 60], "as it was");
    assert_eq!(encoder.prefix(&[0; 20]), Ok([20, 0, 0, 0]));
    assert_eq!(encoder.frame(&mut buf, 4..24).unwrap()[..5], [20, 0, 0, 0, 7]);
}

// ---- helpers ----

fn framed(message: &[u8]) -> Vec<u8> {
    let len = u32::try_from(message.len()).unwrap();
    [&len.to_le_bytes()[..], message].concat()
}

type Heard = (Vec<Vec<u8>>, Option<StreamError>);

/// Reads the stream into the decoder's own space, in portions of these lengths by turns.
fn received<B: StreamBuffer>(
    mut decoder: impl core::borrow::BorrowMut<StreamDecoder<B>>,
    mut stream: &[u8],
    portions: &[usize],
) -> Heard {
    let decoder = decoder.borrow_mut();
    let mut heard = (Vec::new(), None);
    for portion in portions.iter().cycle() {
        let space = decoder.space();
        assert!(!space.is_empty(), "a connection would seem to have ended");
        let len = space.len().min(*portion).min(stream.len());
        space[..len].copy_from_slice(&stream[..len]);
        stream = &stream[len..];
        decoder.advance(len);
        if drain(decoder, &mut heard) || stream.is_empty() {
            return heard;
        }
    }
    unreachable!("portions repeat")
}

/// The same, with octets that were read elsewhere.
fn copied<B: StreamBuffer>(
    mut decoder: StreamDecoder<B>,
    stream: &[u8],
    portions: &[usize],
) -> Heard {
    let (mut heard, mut rest) = ((Vec::new(), None), stream);
    for portion in portions.iter().cycle() {
        let (mut now, later) = rest.split_at(rest.len().min(*portion));
        while !now.is_empty() {
            now = &now[decoder.handle_bytes(now)..];
            if drain(&mut decoder, &mut heard) {
                return heard;
            }
        }
        rest = later;
        if rest.is_empty() {
            return heard;
        }
    }
    unreachable!("portions repeat")
}

/// Polls until there is nothing more; true after an error.
fn drain<B: StreamBuffer>(decoder: &mut StreamDecoder<B>, heard: &mut Heard) -> bool {
    loop {
        match decoder.poll_message() {
            Ok(Some(message)) => {
                heard.0.push(message.to_vec());
                message.fill(0xEE);
            }
            Ok(None) => return false,
            Err(error) => {
                heard.1 = Some(error);
                return true;
            }
        }
    }
}
