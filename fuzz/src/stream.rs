//! Messages over TCP.

use matter_session::stream::{StreamBuffer, StreamDecoder, StreamEncoder, StreamError};

use crate::Input;

/// Octets in portions, against a plain loop over all of them. Half of the time they are messages
/// that were framed here, and one hostile length at the most.
pub fn stream_decoder(data: &[u8]) {
    let mut input = Input(data);
    let (flags, limit) = (input.octet(), 8 + usize::from(input.octet()));
    let mut portions = vec![1 + usize::from(input.octet())];
    portions.extend((0..flags >> 5).map(|_| 1 + usize::from(input.octet())));
    let mut stream = Vec::new();
    if flags & 1 == 1 {
        let encoder = StreamEncoder::new(limit as u32);
        while !input.is_empty() {
            let message = input.octets();
            match encoder.prefix(message) {
                Ok(prefix) => stream.extend([&prefix, message].concat()),
                Err(_) => stream.extend((message.len() as u32).to_le_bytes()),
            }
        }
    } else {
        stream.extend(input.0);
    }

    let expected = plain(&stream, limit);
    let array = StreamDecoder::new([0; 4 + 8 + 255]).with_limit(limit as u32);
    let heard = match flags >> 1 & 3 {
        0 => read(array, &stream, &portions),
        1 => read(StreamDecoder::growing(limit as u32), &stream, &portions),
        2 => read(StreamDecoder::new(&mut vec![0; 4 + limit][..]), &stream, &portions),
        _ => copied(array, &stream, &portions),
    };
    assert_eq!(heard, expected);
}

type Heard = (Vec<Vec<u8>>, Option<StreamError>);

fn plain(mut stream: &[u8], limit: usize) -> Heard {
    let mut messages = Vec::new();
    while let Some((prefix, rest)) = stream.split_first_chunk() {
        let (len, limit) = (u32::from_le_bytes(*prefix), limit as u32);
        if len < 8 {
            return (messages, Some(StreamError::TooShort { len }));
        }
        if len > limit {
            return (messages, Some(StreamError::TooLarge { len, limit }));
        }
        let Some((message, rest)) = rest.split_at_checked(len as usize) else { break };
        messages.push(message.to_vec());
        stream = rest;
    }
    (messages, None)
}

fn read<B: StreamBuffer>(
    mut decoder: StreamDecoder<B>,
    mut stream: &[u8],
    portions: &[usize],
) -> Heard {
    let mut heard = (Vec::new(), None);
    for portion in portions.iter().cycle() {
        let space = decoder.space();
        assert!(!space.is_empty());
        let (now, later) = stream.split_at(stream.len().min(*portion).min(space.len()));
        space[..now.len()].copy_from_slice(now);
        stream = later;
        decoder.advance(now.len());
        if drain(&mut decoder, &mut heard) || stream.is_empty() {
            break;
        }
    }
    heard
}

fn copied<B: StreamBuffer>(
    mut decoder: StreamDecoder<B>,
    mut stream: &[u8],
    portions: &[usize],
) -> Heard {
    let mut heard = (Vec::new(), None);
    for portion in portions.iter().cycle() {
        let now = &stream[..stream.len().min(*portion)];
        let taken = decoder.handle_bytes(now);
        assert!(taken != 0 || now.is_empty());
        stream = &stream[taken..];
        if drain(&mut decoder, &mut heard) || stream.is_empty() {
            break;
        }
    }
    heard
}

/// Takes all messages, and writes over them where they lay; true after an error.
fn drain<B: StreamBuffer>(decoder: &mut StreamDecoder<B>, heard: &mut Heard) -> bool {
    loop {
        match decoder.poll_message() {
            Ok(Some(message)) => {
                heard.0.push(message.to_vec());
                message.fill(0xFF);
            }
            Ok(None) => return false,
            Err(error) => {
                assert_eq!(decoder.poll_message(), Err(error), "for good");
                assert!(decoder.space().is_empty() && decoder.handle_bytes(&[0; 9]) == 0);
                heard.1 = Some(error);
                return true;
            }
        }
    }
}
