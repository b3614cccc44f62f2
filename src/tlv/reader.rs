//! Reading TLV without copying.

use core::fmt;

use super::{Tag, TlvError, element_type};
use crate::bytes::{Hidden, debug_lengths};

/// How deep containers may nest below the one being read. Matter's own schemas need four levels.
const MAX_DEPTH: u8 = 16;

/// Which kind of container an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerKind {
    /// Named fields.
    Structure,
    /// Unnamed elements of one type.
    Array,
    /// Ordered elements, tags may repeat.
    List,
}

/// The value of an element, borrowed from the input.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Value<'a> {
    /// An unsigned integer of any encoded width.
    Unsigned(u64),
    /// A signed integer of any encoded width.
    Signed(i64),
    /// A boolean.
    Bool(bool),
    /// A floating point number; none occurs in this layer.
    Float,
    /// A UTF-8 string.
    Utf8(&'a str),
    /// An octet string.
    Bytes(&'a [u8]),
    /// Null.
    Null,
    /// A structure, array or list.
    Container(ContainerKind, Container<'a>),
}

impl fmt::Debug for Value<'_> {
    /// Prints the lengths of strings: what was decoded may have been encrypted for a reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(value) => f.debug_tuple("Unsigned").field(value).finish(),
            Self::Signed(value) => f.debug_tuple("Signed").field(value).finish(),
            Self::Bool(value) => f.debug_tuple("Bool").field(value).finish(),
            Self::Float => f.write_str("Float"),
            Self::Utf8(text) => f.debug_tuple("Utf8").field(&Hidden(text.as_bytes())).finish(),
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&Hidden(bytes)).finish(),
            Self::Null => f.write_str("Null"),
            Self::Container(kind, inner) => {
                f.debug_tuple("Container").field(kind).field(inner).finish()
            }
        }
    }
}

impl<'a> Value<'a> {
    /// # Errors
    /// [`TlvError::WrongType`].
    pub const fn u64(self) -> Result<u64, TlvError> {
        match self {
            Value::Unsigned(value) => Ok(value),
            _ => Err(TlvError::WrongType),
        }
    }

    /// # Errors
    /// [`TlvError::WrongType`], or [`TlvError::OutOfRange`] above 32 bits.
    pub fn u32(self) -> Result<u32, TlvError> {
        self.u64()?.try_into().map_err(|_| TlvError::OutOfRange)
    }

    /// # Errors
    /// [`TlvError::WrongType`], or [`TlvError::OutOfRange`] above 16 bits.
    pub fn u16(self) -> Result<u16, TlvError> {
        self.u64()?.try_into().map_err(|_| TlvError::OutOfRange)
    }

    /// # Errors
    /// [`TlvError::WrongType`], or [`TlvError::OutOfRange`] above 8 bits.
    pub fn u8(self) -> Result<u8, TlvError> {
        self.u64()?.try_into().map_err(|_| TlvError::OutOfRange)
    }

    /// # Errors
    /// [`TlvError::WrongType`].
    pub const fn bool(self) -> Result<bool, TlvError> {
        match self {
            Value::Bool(value) => Ok(value),
            _ => Err(TlvError::WrongType),
        }
    }

    /// Returns an octet string of any length.
    ///
    /// # Errors
    /// [`TlvError::WrongType`].
    pub const fn bytes(self) -> Result<&'a [u8], TlvError> {
        match self {
            Value::Bytes(value) => Ok(value),
            _ => Err(TlvError::WrongType),
        }
    }

    /// Returns an octet string of exactly `N` bytes.
    ///
    /// # Errors
    /// [`TlvError::WrongType`], or [`TlvError::OutOfRange`] for another length.
    pub fn array<const N: usize>(self) -> Result<&'a [u8; N], TlvError> {
        self.bytes()?.try_into().map_err(|_| TlvError::OutOfRange)
    }

    /// Returns a UTF-8 string.
    ///
    /// # Errors
    /// [`TlvError::WrongType`].
    pub const fn utf8(self) -> Result<&'a str, TlvError> {
        match self {
            Value::Utf8(value) => Ok(value),
            _ => Err(TlvError::WrongType),
        }
    }

    /// Returns a container of the given kind.
    ///
    /// # Errors
    /// [`TlvError::WrongType`].
    pub fn container(self, kind: ContainerKind) -> Result<Container<'a>, TlvError> {
        match self {
            Value::Container(k, container) if k == kind => Ok(container),
            _ => Err(TlvError::WrongType),
        }
    }
}

/// One element: tag and value.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// The tag.
    pub tag: Tag,
    /// The value.
    pub value: Value<'a>,
}

/// The elements of a container that have not been read yet.
///
/// Fields are read in ascending order, as every Matter sender writes them: [`field`](Self::field)
/// wants the very next element, [`optional`](Self::optional) takes it if the tag fits, and
/// [`finish`](Self::finish) skips fields of later revisions.
#[derive(Clone, Copy)]
pub struct Container<'a> {
    rest: &'a [u8],
}

debug_lengths!(Container[]['_]: ; rest);

impl<'a> Container<'a> {
    /// Opens the anonymous structure that every message and certificate is.
    ///
    /// Bytes behind its end are not looked at; [`message_len`](Self::message_len) tells where
    /// it ends.
    ///
    /// # Errors
    /// [`TlvError::WrongType`] or [`TlvError::UnexpectedTag`] if `message` is something else;
    /// [`TlvError::Truncated`] if the structure does not end; errors of the elements inside.
    pub fn message(message: &'a [u8]) -> Result<Self, TlvError> {
        let mut outer = Self { rest: message };
        let element = outer.element()?.ok_or(TlvError::Truncated)?;
        if element.tag != Tag::Anonymous {
            return Err(TlvError::UnexpectedTag);
        }
        element.value.container(ContainerKind::Structure)
    }

    /// Returns the length in bytes of the first element of `message`.
    ///
    /// # Errors
    /// Those of [`message`](Self::message).
    pub fn message_len(message: &'a [u8]) -> Result<usize, TlvError> {
        let mut outer = Self { rest: message };
        outer.element()?.ok_or(TlvError::Truncated)?;
        Ok(message.len().saturating_sub(outer.rest.len()))
    }

    /// Reads the next element, whatever it is; `None` at the end of the container.
    ///
    /// # Errors
    /// [`TlvError::Truncated`], [`TlvError::Malformed`], [`TlvError::TooDeep`].
    pub fn element(&mut self) -> Result<Option<Element<'a>>, TlvError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut octets = Octets(self.rest);
        let (tag, kind) = octets.control()?;
        let value = octets.value(kind)?;
        self.rest = octets.0;
        Ok(Some(Element { tag, value }))
    }

    /// Reads the field `tag`, which must come next.
    ///
    /// # Errors
    /// [`TlvError::UnexpectedTag`] if another field or none comes next; errors of the element.
    pub fn field(&mut self, tag: u8) -> Result<Value<'a>, TlvError> {
        self.optional(tag)?.ok_or(TlvError::UnexpectedTag)
    }

    /// Reads the field `tag` if it comes next.
    ///
    /// # Errors
    /// Errors of the element.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Value<'a>>, TlvError> {
        let mut ahead = *self;
        match ahead.element()? {
            Some(element) if element.tag == Tag::Context(tag) => {
                *self = ahead;
                Ok(Some(element.value))
            }
            _ => Ok(None),
        }
    }

    /// Ends reading: fields that a later revision added are skipped.
    ///
    /// # Errors
    /// Errors of the skipped elements.
    pub fn finish(mut self) -> Result<(), TlvError> {
        while self.element()?.is_some() {}
        Ok(())
    }

    /// Ends reading where nothing may follow.
    ///
    /// # Errors
    /// [`TlvError::UnexpectedTag`] if elements are left.
    pub const fn expect_end(self) -> Result<(), TlvError> {
        if self.rest.is_empty() { Ok(()) } else { Err(TlvError::UnexpectedTag) }
    }
}

/// A cursor over raw bytes.
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], TlvError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(TlvError::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    fn octet(&mut self) -> Result<u8, TlvError> {
        let (head, tail) = self.0.split_first().ok_or(TlvError::Truncated)?;
        self.0 = tail;
        Ok(*head)
    }

    /// A little-endian integer of 1, 2, 4 or 8 bytes.
    fn unsigned(&mut self, width: usize) -> Result<u64, TlvError> {
        let octets = self.take(width)?;
        Ok(octets.iter().rev().fold(0, |value, &octet| value << 8 | u64::from(octet)))
    }

    fn signed(&mut self, width: usize) -> Result<i64, TlvError> {
        let value = self.unsigned(width)?;
        let unused_bits = match width {
            1 => 56,
            2 => 48,
            4 => 32,
            _ => 0,
        };
        Ok((value << unused_bits).cast_signed() >> unused_bits)
    }

    /// A control byte and the tag behind it: tag and element type.
    fn control(&mut self) -> Result<(Tag, u8), TlvError> {
        let control = self.octet()?;
        let tag = match control >> 5 {
            0 => Tag::Anonymous,
            1 => Tag::Context(self.octet()?),
            2 | 4 => self.take(2).map(|_| Tag::Profile)?,
            3 | 5 => self.take(4).map(|_| Tag::Profile)?,
            6 => self.take(6).map(|_| Tag::Profile)?,
            _ => self.take(8).map(|_| Tag::Profile)?,
        };
        Ok((tag, control & 0x1F))
    }

    fn string(&mut self, kind: u8) -> Result<&'a [u8], TlvError> {
        let len = self.unsigned(width(kind))?;
        self.take(usize::try_from(len).map_err(|_| TlvError::Truncated)?)
    }

    /// The value of an element of this type; containers are checked through to their end.
    fn value(&mut self, kind: u8) -> Result<Value<'a>, TlvError> {
        Ok(match kind {
            0x00..=0x03 => Value::Signed(self.signed(width(kind))?),
            0x04..=0x07 => Value::Unsigned(self.unsigned(width(kind))?),
            element_type::FALSE => Value::Bool(false),
            element_type::TRUE => Value::Bool(true),
            0x0A => self.take(4).map(|_| Value::Float)?,
            0x0B => self.take(8).map(|_| Value::Float)?,
            0x0C..=0x0F => {
                let octets = self.string(kind)?;
                Value::Utf8(core::str::from_utf8(octets).map_err(|_| TlvError::Malformed)?)
            }
            0x10..=0x13 => Value::Bytes(self.string(kind)?),
            element_type::NULL => Value::Null,
            element_type::STRUCTURE => Value::Container(ContainerKind::Structure, self.contents()?),
            element_type::ARRAY => Value::Container(ContainerKind::Array, self.contents()?),
            element_type::LIST => Value::Container(ContainerKind::List, self.contents()?),
            _ => return Err(TlvError::Malformed),
        })
    }

    /// The elements of a container whose control byte has been read, without its end mark.
    ///
    /// Walks over nested containers with a counter instead of recursion, so that hostile nesting
    /// costs no stack.
    fn contents(&mut self) -> Result<Container<'a>, TlvError> {
        let start = self.0;
        let mut depth = 0_u8;
        loop {
            let before = self.0.len();
            let (tag, kind) = self.control()?;
            match kind {
                element_type::END if tag != Tag::Anonymous => return Err(TlvError::Malformed),
                element_type::END if depth == 0 => {
                    let len = start.len().saturating_sub(before);
                    return Ok(Container { rest: start.get(..len).unwrap_or_default() });
                }
                element_type::END => depth = depth.saturating_sub(1),
                element_type::STRUCTURE | element_type::ARRAY | element_type::LIST => {
                    if depth == MAX_DEPTH {
                        return Err(TlvError::TooDeep);
                    }
                    depth = depth.saturating_add(1);
                }
                _ => {
                    self.value(kind)?;
                }
            }
        }
    }
}

/// The bytes of an integer or length, from the low two bits of the element type.
const fn width(kind: u8) -> usize {
    1 << (kind & 0x03)
}
