//! Writing TLV into anything that takes bytes.

use super::{Tag, element_type};
use crate::bytes::{Overflow, Sink};

/// Appends TLV elements in the minimal encoding that every Matter sender uses.
///
/// Containers are opened and closed by the caller, as the schema reads.
#[derive(Debug)]
pub struct Writer<S> {
    sink: S,
}

impl<S: Sink> Writer<S> {
    /// Writes to `sink`.
    pub const fn new(sink: S) -> Self {
        Self { sink }
    }

    /// Returns the sink.
    pub fn into_sink(self) -> S {
        self.sink
    }

    /// Returns the sink, to append bytes that are encoded already.
    pub const fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    fn control(&mut self, tag: Tag, kind: u8) -> Result<(), Overflow> {
        match tag {
            Tag::Context(tag) => self.sink.put(&[0x20 | kind, tag]),
            // Profile tags are read over, never written.
            Tag::Anonymous | Tag::Profile => self.sink.put(&[kind]),
        }
    }

    /// A control byte whose low bits tell how wide `value` is, then `value`.
    fn sized(&mut self, tag: Tag, kind: u8, value: u64) -> Result<(), Overflow> {
        let (log2, width) = match value {
            0..=0xFF => (0, 1),
            0x100..=0xFFFF => (1, 2),
            0x1_0000..=0xFFFF_FFFF => (2, 4),
            _ => (3, 8),
        };
        self.control(tag, kind | log2)?;
        self.sink.put(value.to_le_bytes().get(..width).unwrap_or_default())
    }

    /// # Errors
    /// [`Overflow`].
    pub fn unsigned(&mut self, tag: Tag, value: impl Into<u64>) -> Result<(), Overflow> {
        self.sized(tag, element_type::UNSIGNED, value.into())
    }

    /// # Errors
    /// [`Overflow`].
    pub fn bool(&mut self, tag: Tag, value: bool) -> Result<(), Overflow> {
        self.control(tag, if value { element_type::TRUE } else { element_type::FALSE })
    }

    /// # Errors
    /// [`Overflow`].
    pub fn bytes(&mut self, tag: Tag, value: &[u8]) -> Result<(), Overflow> {
        self.bytes_header(tag, value.len())?;
        self.sink.put(value)
    }

    /// Writes the head of an octet string. The caller puts its `len` bytes into the sink next.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn bytes_header(&mut self, tag: Tag, len: usize) -> Result<(), Overflow> {
        self.sized(tag, element_type::BYTES, len as u64)
    }

    /// # Errors
    /// [`Overflow`].
    pub fn utf8(&mut self, tag: Tag, value: &str) -> Result<(), Overflow> {
        self.sized(tag, element_type::UTF8, value.len() as u64)?;
        self.sink.put(value.as_bytes())
    }

    /// # Errors
    /// [`Overflow`].
    pub fn start_structure(&mut self, tag: Tag) -> Result<(), Overflow> {
        self.control(tag, element_type::STRUCTURE)
    }

    /// # Errors
    /// [`Overflow`].
    pub fn start_array(&mut self, tag: Tag) -> Result<(), Overflow> {
        self.control(tag, element_type::ARRAY)
    }

    /// # Errors
    /// [`Overflow`].
    pub fn start_list(&mut self, tag: Tag) -> Result<(), Overflow> {
        self.control(tag, element_type::LIST)
    }

    /// Closes the innermost open container.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn end(&mut self) -> Result<(), Overflow> {
        self.sink.put(&[element_type::END])
    }
}
