//! A Check-In message, framed as over TCP, taken in at the other end of the stream.

use matter_session::check_in::{self, IcdCounter, MAX_DATAGRAM_BUFFER, Registration};
use matter_session::crypto::{RustCrypto, Secret};
use matter_session::fabric::CompressedFabricId;
use matter_session::ids::{ExchangeId, FabricIndex, NodeId};
use matter_session::session::UnsecuredCounter;
use matter_session::stream::{StreamDecoder, StreamEncoder};
use matter_session::wire::Packet;

use crate::steps::Sequence;

pub fn run() -> Option<()> {
    let mut rng = Sequence(5);
    let mut icd = IcdCounter::random(10, &mut rng);
    let key = icd.register(Secret::new([1; 16]), &[]).ok()?;
    let (fabric, peer) = (FabricIndex::new(1)?, NodeId::new(1));
    let compressed = CompressedFabricId::from_bytes([2; 8]);
    let client = Registration::new(fabric, compressed, peer, Secret::new([1; 16]), icd.value());
    let mut clients = [client];
    let bound = icd.check_in(&[]).err()?.bound;
    icd.stored(bound);

    let (mut buf, exchange) = ([0; MAX_DATAGRAM_BUFFER], ExchangeId::new(1));
    let mut unsecured = UnsecuredCounter::random(&mut rng);
    let check_in = icd.check_in(&[44, 1]).ok()?;
    let sent = check_in.encode(&RustCrypto, &key, exchange, &mut unsecured, &mut rng, &mut buf);
    let range = sent.ok()?.range();
    let frame = StreamEncoder::new(200).frame(&mut buf, range).ok()?;

    let mut decoder = StreamDecoder::new([0; 204]);
    if decoder.handle_bytes(frame) != frame.len() {
        return None;
    }
    let message = decoder.poll_message().ok()??;
    let payload = check_in::payload(Packet::parse(message).ok()?)?;
    let heard = check_in::open(&RustCrypto, &mut clients, payload).ok()?;
    (heard.active_mode_threshold_ms() == Some(300)).then_some(())
}
