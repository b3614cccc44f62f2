//! Messages taken apart, to be put together wrongly.

use matter_session::bytes::{Overflow, Sink};
use matter_session::tlv::{Tag, Writer};

/// A sink that grows.
#[derive(Default)]
pub struct Octets(pub Vec<u8>);

impl Sink for Octets {
    fn put(&mut self, octets: &[u8]) -> Result<(), Overflow> {
        self.0.extend(octets);
        Ok(())
    }
}

/// An anonymous structure of octet strings under context tags.
pub fn structure(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Octets::default());
    writer.start_structure(Tag::Anonymous).unwrap();
    for (tag, value) in fields {
        writer.bytes(Tag::Context(*tag), value).unwrap();
    }
    writer.end().unwrap();
    writer.into_sink().0
}

/// One field of a message: its context tag, element type and all behind the tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub tag: u8,
    pub kind: u8,
    pub body: Vec<u8>,
}

impl Field {
    pub fn unsigned(tag: u8, value: u64, width: u32) -> Self {
        let len = 1 << width;
        Self { tag, kind: 4 + width as u8, body: value.to_le_bytes()[..len].to_vec() }
    }

    pub fn bytes(tag: u8, value: &[u8]) -> Self {
        let body = [&(value.len() as u16).to_le_bytes(), value].concat();
        Self { tag, kind: 0x11, body }
    }

    /// The value of an octet string.
    pub fn value(&self) -> &[u8] {
        match self.kind {
            0x10 => &self.body[1..],
            0x11 => &self.body[2..],
            _ => panic!("not octets"),
        }
    }
}

/// Takes a message apart.
pub fn fields(message: &[u8]) -> Vec<Field> {
    assert_eq!(message[0], 0x15);
    let mut rest = &message[1..];
    let mut fields = Vec::new();
    while rest[0] != 0x18 {
        let (kind, tag) = (rest[0] & 0x1F, rest[1]);
        let len = 2 + body_len(kind, &rest[2..]);
        fields.push(Field { tag, kind, body: rest[2..len].to_vec() });
        rest = &rest[len..];
    }
    assert_eq!(rest, [0x18]);
    fields
}

/// Puts a message together.
pub fn message(fields: &[Field]) -> Vec<u8> {
    let mut message = vec![0x15];
    for field in fields {
        message.extend([0x20 | field.kind, field.tag]);
        message.extend(&field.body);
    }
    message.push(0x18);
    message
}

fn body_len(kind: u8, body: &[u8]) -> usize {
    match kind {
        0..=7 => 1 << (kind & 3),
        8 | 9 => 0,
        0x10 => 1 + usize::from(body[0]),
        0x11 => 2 + usize::from(u16::from_le_bytes([body[0], body[1]])),
        0x15 => {
            let mut len = 0;
            while body[len] != 0x18 {
                len += 2 + body_len(body[len] & 0x1F, &body[len + 2..]);
            }
            len + 1
        }
        _ => panic!("element type {kind}"),
    }
}

/// `message` with one change to one field.
pub fn with(message_: &[u8], tag: u8, change: impl FnOnce(&mut Field)) -> Vec<u8> {
    let mut all = fields(message_);
    change(all.iter_mut().find(|field| field.tag == tag).unwrap());
    message(&all)
}

/// `message` without one field.
pub fn without(message_: &[u8], tag: u8) -> Vec<u8> {
    let mut all = fields(message_);
    all.retain(|field| field.tag != tag);
    message(&all)
}

/// `message` with more fields behind its own.
pub fn and(message_: &[u8], more: &[Field]) -> Vec<u8> {
    let mut all = fields(message_);
    all.extend_from_slice(more);
    message(&all)
}

/// Every way in which one field of `message` can be wrong, each with a description. Fields named
/// in `optional` may be missing.
pub fn damaged(message_: &[u8], optional: &[u8]) -> Vec<(String, Vec<u8>)> {
    let all = fields(message_);
    let mut damaged = Vec::new();
    for (at, field) in all.iter().enumerate() {
        let tag = field.tag;
        let mut add = |what: &str, new: Option<Field>| {
            let mut fields = all.clone();
            fields.splice(at..=at, new);
            damaged.push((format!("field {tag} {what}"), message(&fields)));
        };
        if !optional.contains(&tag) {
            add("missing", None);
        }
        add("null", Some(Field { tag, kind: 0x14, body: vec![] }));
        add("an array", Some(Field { tag, kind: 0x16, body: vec![0x18] }));
        add("a signed integer", Some(Field { tag, kind: 0, body: vec![1] }));
        match field.kind {
            4..=7 => {
                add("too wide", Some(Field::unsigned(tag, 0x1_0000, 2)));
                add("octets", Some(Field::bytes(tag, &[1])));
            }
            0x10 | 0x11 => {
                let value = field.value();
                add("empty", Some(Field::bytes(tag, &[])));
                add("too short", Some(Field::bytes(tag, &value[1..])));
                add("too long", Some(Field::bytes(tag, &[value, &[0]].concat())));
                add("text", Some(Field { tag, kind: 0x0C, body: vec![1, b'a'] }));
            }
            _ => add("octets", Some(Field::bytes(tag, &[1]))),
        }
        if !optional.contains(&tag) {
            add("under another tag", Some(Field { tag: 200, ..field.clone() }));
        }
    }
    for len in 0..message_.len() {
        damaged.push((format!("cut to {len} octets"), message_[..len].to_vec()));
    }
    damaged
}
