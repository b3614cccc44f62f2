//! Whole messages of a session, from payload to datagram and back: headers, counters, AES-CCM.
//!
//! Everybody has the same keys and makes the same octets, which is checked before it is measured.

mod kit;
mod ours;
mod transport;

use std::hint::black_box;

use self::kit::Kit;
use self::ours::Ours;
use self::transport::Transport;
use crate::harness::{Contestant, Run};

/// 1,000 for those who cannot do more.
const SIZES: [usize; 4] = [64, 256, 1000, 1024];
/// So many messages are worked on between two looks at the clock, all of one session.
const MESSAGES: usize = 16;
/// Of each direction.
const KEY: [u8; 16] = [7; 16];
/// Local and peer id of the session on both sides.
const SESSION: u16 = 1;
const EXCHANGE: u16 = 1;
/// A message of the Interaction Model.
const OPCODE: u8 = 8;

#[derive(Clone, Copy)]
enum Role {
    Initiator,
    Responder,
}

/// One side of a session that PASE could have established.
trait Side {
    const NAME: &'static str;
    /// Octets of the longest payload.
    const MOST: usize = usize::MAX;

    /// The datagram.
    fn encode(&mut self, payload: &[u8]) -> impl AsRef<[u8]>;

    /// The payload, if the datagram is new and genuine.
    fn decode(&mut self, datagram: &mut [u8]) -> impl AsRef<[u8]>;
}

pub fn measure(run: &mut Run) {
    for size in SIZES {
        let payload = vec![0x5A; size];
        agree(&payload);
        let mut encoders = vec![
            encoder(Ours::new(Role::Initiator, 1), &payload),
            encoder(Kit::new(Role::Initiator, 1), &payload),
        ];
        let mut decoders = vec![
            decoder(Ours::new(Role::Responder, 1), &payload),
            decoder(Kit::new(Role::Responder, 1), &payload),
        ];
        if size <= Transport::MOST {
            encoders.push(encoder(Transport::new(Role::Initiator), &payload));
            decoders.push(decoder(Transport::new(Role::Responder), &payload));
        }
        run.compare("encode", &size.to_string(), &mut encoders);
        run.compare("decode", &size.to_string(), &mut decoders);
    }
}

/// All make the same datagram, and read it.
fn agree(payload: &[u8]) {
    let mut transport = Transport::new(Role::Initiator);
    let counter = transport.next_counter();
    let mut datagram = Ours::new(Role::Initiator, counter).encode(payload).as_ref().to_vec();
    assert_eq!(Kit::new(Role::Initiator, counter).encode(payload).as_ref(), datagram);
    if payload.len() <= Transport::MOST {
        assert_eq!(transport.encode(payload).as_ref(), datagram);
        let mut receiver = Transport::new(Role::Responder);
        assert_eq!(receiver.decode(&mut datagram.clone()).as_ref(), payload);
    }
    let mut receiver = Kit::new(Role::Responder, 1);
    assert_eq!(receiver.decode(&mut datagram.clone()).as_ref(), payload);
    assert_eq!(Ours::new(Role::Responder, 1).decode(&mut datagram).as_ref(), payload);
}

fn encoder<'a, S: Side + 'a>(side: S, payload: &'a [u8]) -> Contestant<'a> {
    let work = |side: &mut S| {
        for _ in 0..MESSAGES {
            black_box(side.encode(black_box(payload)).as_ref());
        }
    };
    Contestant::new(S::NAME, MESSAGES, |_| {}, work, side)
}

/// Every message is new to its session: we seal so many before each turn, for everybody.
fn decoder<'a, S: Side + 'a>(side: S, payload: &'a [u8]) -> Contestant<'a> {
    let mut sender = Ours::new(Role::Initiator, 1);
    let fresh = move |(_, datagrams): &mut (S, Vec<Vec<u8>>)| {
        for datagram in datagrams {
            datagram.clear();
            datagram.extend_from_slice(sender.encode(payload).as_ref());
        }
    };
    let work = |(side, datagrams): &mut (S, Vec<Vec<u8>>)| {
        for datagram in datagrams {
            black_box(side.decode(black_box(datagram)).as_ref());
        }
    };
    let datagrams = vec![Vec::new(); MESSAGES];
    Contestant::new(S::NAME, MESSAGES, fresh, work, (side, datagrams))
}
