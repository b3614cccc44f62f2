#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

use super::*;

fn hex(text: &str) -> std::vec::Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn wider_integers_are_taken_and_too_large_ones_refused() {
    let octets = hex("15260105000000270205000000000000002503ffff18");
    let mut message = Container::message(&octets).unwrap();
    assert_eq!(message.field(1).unwrap().u8(), Ok(5));
    assert_eq!(message.field(2).unwrap().u16(), Ok(5));
    assert_eq!(message.field(3).unwrap().u8(), Err(TlvError::OutOfRange));
    message.expect_end().unwrap();
}

#[test]
fn unknown_trailing_fields_are_skipped_and_missing_ends_refused() {
    let octets = hex("15240105366324000118350618180000");
    assert_eq!(Container::message_len(&octets), Ok(14));
    let mut message = Container::message(&octets).unwrap();
    assert_eq!(message.field(1).unwrap().u64(), Ok(5));
    message.finish().unwrap();
    for end in 0..14 {
        assert!(Container::message(&octets[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn fields_come_in_order_or_not_at_all() {
    let octets = hex("152402012401021 8".replace(' ', "").as_str());
    let mut message = Container::message(&octets).unwrap();
    assert_eq!(message.field(1).unwrap_err(), TlvError::UnexpectedTag);
    assert!(message.optional(1).unwrap().is_none());
    assert_eq!(message.field(2).unwrap().u8(), Ok(1));
}

#[test]
fn signed_integers_extend_their_sign() {
    let octets = hex("152001ff2102feff23030000000000000080 18".replace(' ', "").as_str());
    let mut message = Container::message(&octets).unwrap();
    let mut next = || match message.element().unwrap().unwrap().value {
        Value::Signed(value) => value,
        other => panic!("{other:?}"),
    };
    assert_eq!((next(), next(), next()), (-1, -2, i64::MIN));
}

#[test]
fn deep_nesting_is_refused_without_recursion() {
    let mut octets = std::vec![0x15; 10_000];
    octets.resize(20_000, 0x18);
    assert_eq!(Container::message(&octets).unwrap_err(), TlvError::TooDeep);
}

#[test]
fn the_writer_is_minimal_and_the_sinks_agree() {
    fn write<S: Sink>(sink: S) -> Result<S, Overflow> {
        let mut writer = Writer::new(sink);
        writer.start_structure(Tag::Anonymous)?;
        writer.unsigned(Tag::Context(1), 255_u8)?;
        writer.unsigned(Tag::Context(2), 256_u16)?;
        writer.unsigned(Tag::Context(3), u64::MAX)?;
        writer.bytes(Tag::Context(4), &[7; 256])?;
        writer.utf8(Tag::Context(5), "x")?;
        writer.bool(Tag::Context(6), true)?;
        writer.start_list(Tag::Context(7))?;
        writer.end()?;
        writer.end()?;
        Ok(writer.into_sink())
    }
    let mut buffer = [0; 400];
    let written = write(Buffer::new(&mut buffer)).unwrap().into_written();
    assert_eq!(written[..4], hex("152401ff")[..]);
    assert_eq!(write(Counter::default()).unwrap().len(), written.len());
    let mut message = Container::message(written).unwrap();
    assert_eq!(message.field(1).unwrap().u8(), Ok(255));
    assert_eq!(message.field(2).unwrap().u32(), Ok(256));
    assert_eq!(message.field(3).unwrap().u64(), Ok(u64::MAX));
    assert_eq!(message.field(4).unwrap().array::<256>(), Ok(&[7; 256]));
    assert_eq!(message.field(5).unwrap().utf8(), Ok("x"));
    assert_eq!(message.field(6).unwrap().bool(), Ok(true));
    let list = message.field(7).unwrap().container(ContainerKind::List).unwrap();
    list.expect_end().unwrap();
    for len in 0..written.len() {
        assert_eq!(write(Buffer::new(&mut [0; 400][..len])).map(|_| ()), Err(Overflow));
    }
}
