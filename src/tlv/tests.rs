#![allow(clippy::std_instead_of_alloc, reason = "tests have std")]

use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::bytes::{Buffer, Counter, Overflow, Sink};

fn hex(text: &str) -> Vec<u8> {
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

/// An element as a second encoder writes it: any form of tag, integers and lengths wider than
/// need be.
#[derive(Clone, Debug)]
struct Item {
    form: u8,
    tag: u8,
    wider: u8,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Signed(i64),
    Unsigned(u64),
    Bool(bool),
    Float(bool),
    Utf8(std::string::String),
    Bytes(Vec<u8>),
    Null,
    Container(u8, Vec<Item>),
}

const KINDS: [ContainerKind; 3] =
    [ContainerKind::Structure, ContainerKind::Array, ContainerKind::List];

impl Item {
    fn tag(&self) -> Tag {
        match self.form {
            0 => Tag::Anonymous,
            1 => Tag::Context(self.tag),
            _ => Tag::Profile,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let fits =
            |value: u64| [0xFF, 0xFFFF, 0xFFFF_FFFF].iter().filter(|max| value > **max).count();
        let wide = |value: u64| (fits(value) + usize::from(self.wider)).min(3);
        let mut head = |kind: usize| {
            out.push(self.form << 5 | u8::try_from(kind).unwrap());
            let tag_len = [0, 1, 2, 4, 2, 4, 6, 8][usize::from(self.form)];
            out.extend([self.tag; 8].iter().take(tag_len));
        };
        let octets = match &self.content {
            Content::Signed(value) => {
                let magnitude = if *value < 0 { !*value } else { *value };
                let width = wide(magnitude.cast_unsigned() << 1);
                head(width);
                return out.extend(&value.to_le_bytes()[..1 << width]);
            }
            Content::Unsigned(value) => {
                let width = wide(*value);
                head(0x04 + width);
                return out.extend(&value.to_le_bytes()[..1 << width]);
            }
            Content::Bool(value) => return head(0x08 + usize::from(*value)),
            Content::Float(double) => {
                head(0x0A + usize::from(*double));
                return out.extend([7; 8].iter().take(if *double { 8 } else { 4 }));
            }
            Content::Null => return head(0x14),
            Content::Container(kind, items) => {
                head(0x15 + usize::from(*kind));
                items.iter().for_each(|item| item.encode(out));
                return out.push(0x18);
            }
            Content::Utf8(text) => {
                head(0x0C + wide(text.len() as u64));
                text.as_bytes()
            }
            Content::Bytes(octets) => {
                head(0x10 + wide(octets.len() as u64));
                octets
            }
        };
        let width = 1 << wide(octets.len() as u64);
        out.extend(&(octets.len() as u64).to_le_bytes()[..width]);
        out.extend(octets);
    }

    fn write(&self, writer: &mut Writer<Buffer<'_>>) -> Result<(), Overflow> {
        let tag = self.tag();
        match &self.content {
            Content::Unsigned(value) => writer.unsigned(tag, *value),
            Content::Bool(value) => writer.bool(tag, *value),
            Content::Utf8(text) => writer.utf8(tag, text),
            Content::Bytes(octets) => writer.bytes(tag, octets),
            Content::Container(kind, items) => {
                match KINDS[usize::from(*kind)] {
                    ContainerKind::Structure => writer.start_structure(tag)?,
                    ContainerKind::Array => writer.start_array(tag)?,
                    ContainerKind::List => writer.start_list(tag)?,
                }
                items.iter().try_for_each(|item| item.write(writer))?;
                writer.end()
            }
            other => panic!("{other:?} cannot be written"),
        }
    }

    /// Something like it that can be written: in the shortest form, of the types that occur.
    fn plain(&self) -> Self {
        let content = match &self.content {
            Content::Signed(value) => Content::Unsigned(value.unsigned_abs()),
            Content::Float(value) => Content::Bool(*value),
            Content::Null => Content::Bool(true),
            Content::Container(kind, items) => {
                Content::Container(*kind, items.iter().map(Self::plain).collect())
            }
            other => other.clone(),
        };
        Self { form: self.form.min(1), tag: self.tag, wider: 0, content }
    }
}

/// Reads what was encoded and compares.
fn read_as(mut container: Container<'_>, items: &[Item]) {
    for item in items {
        let element = container.element().unwrap().unwrap();
        assert_eq!(element.tag, item.tag());
        match (&item.content, element.value) {
            (Content::Signed(a), Value::Signed(b)) => assert_eq!(*a, b),
            (Content::Unsigned(a), Value::Unsigned(b)) => assert_eq!(*a, b),
            (Content::Bool(a), Value::Bool(b)) => assert_eq!(*a, b),
            (Content::Utf8(a), Value::Utf8(b)) => assert_eq!(a, b),
            (Content::Bytes(a), Value::Bytes(b)) => assert_eq!(a, b),
            (Content::Float(_), Value::Float) | (Content::Null, Value::Null) => {}
            (Content::Container(a, items), Value::Container(b, inner)) => {
                assert_eq!(KINDS[usize::from(*a)], b);
                read_as(inner, items);
            }
            (expected, other) => panic!("{other:?} instead of {expected:?}"),
        }
    }
    container.expect_end().unwrap();
}

fn item() -> impl Strategy<Value = Item> {
    let edges = prop::sample::select(std::vec![0, 255, 256, 65_535, 65_536, 1 << 32, u64::MAX]);
    let content = prop_oneof![
        any::<i64>().prop_map(Content::Signed),
        (-130_i64..130).prop_map(Content::Signed),
        any::<u64>().prop_map(Content::Unsigned),
        edges.prop_map(Content::Unsigned),
        any::<bool>().prop_map(Content::Bool),
        any::<bool>().prop_map(Content::Float),
        "\\PC{0,8}".prop_map(Content::Utf8),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Content::Bytes),
        Just(Content::Null),
    ];
    let with_tag = |content: BoxedStrategy<Content>| {
        let form = prop_oneof![1 => Just(0), 4 => Just(1_u8), 1 => 2..8_u8];
        (form, any::<u8>(), 0..4_u8, content).prop_map(|(form, tag, wider, content)| Item {
            form,
            tag,
            wider,
            content,
        })
    };
    with_tag(content.boxed()).prop_recursive(5, 24, 5, move |inner| {
        let items = prop::collection::vec(inner, 0..5);
        with_tag((0..3_u8, items).prop_map(|(kind, items)| Content::Container(kind, items)).boxed())
    })
}

proptest! {
    #[test]
    fn whatever_a_second_encoder_writes_is_read(items in prop::collection::vec(item(), 0..6)) {
        let message = Item { form: 0, tag: 0, wider: 0, content: Content::Container(0, items) };
        let mut octets = Vec::new();
        message.encode(&mut octets);
        let Content::Container(_, items) = &message.content else { unreachable!() };
        read_as(Container::message(&octets).unwrap(), items);
        prop_assert_eq!(Container::message_len(&octets), Ok(octets.len()));
        // Nothing that is cut off is read, and what follows is not looked at.
        for end in 0..octets.len() {
            prop_assert!(Container::message(&octets[..end]).is_err());
        }
        octets.push(0x1F);
        prop_assert_eq!(Container::message_len(&octets), Ok(octets.len() - 1));
    }

    #[test]
    fn the_writer_writes_what_a_second_encoder_does(items in prop::collection::vec(item(), 0..6)) {
        let message = Item { form: 0, tag: 0, wider: 0, content: Content::Container(0, items) };
        let message = message.plain();
        let mut expected = Vec::new();
        message.encode(&mut expected);
        let mut octets = std::vec![0; expected.len()];
        let mut writer = Writer::new(Buffer::new(&mut octets));
        message.write(&mut writer).unwrap();
        prop_assert_eq!(&*writer.into_sink().into_written(), &expected[..]);
        prop_assert!(message.write(&mut Writer::new(Buffer::new(&mut octets[1..]))).is_err());
    }
}
