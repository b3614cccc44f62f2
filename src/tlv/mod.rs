//! Matter TLV: the part that handshakes and certificates need, without allocation.
//!
//! ```text
//! control byte = tag form (bits 7..5) | element type (bits 4..0)
//! element       = control | tag (0, 1, 2, 4, 6 or 8 bytes) | [length] | value
//! container     = control | tag | elements ... | 0x18
//! ```
//! [`Container`] reads elements one after another out of a byte slice and lends their contents;
//! [`Writer`] appends elements to a [`Sink`](crate::bytes::Sink): a buffer, a hash or a byte count.
//! [Core, "Tag-length-value (TLV) Encoding Format"]

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod reader;
mod writer;

use thiserror::Error;

pub use self::reader::{Container, ContainerKind, Element, Value};
pub use self::writer::Writer;

/// The tag of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tag {
    /// No tag: the outermost element, and the elements of an array.
    Anonymous,
    /// A context-specific tag: what handshakes and certificates use.
    Context(u8),
    /// Any profile tag. None occurs in this layer; such elements are skipped or refused.
    Profile,
}

/// A byte sequence is not the TLV that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TlvError {
    /// The input ends inside an element, or an end-of-container is missing.
    #[error("TLV ends too early")]
    Truncated,
    /// An element type that does not exist, a string that is not UTF-8, a stray end-of-container,
    /// or bytes behind the structure that must be the last.
    #[error("malformed TLV element")]
    Malformed,
    /// Containers are nested deeper than any Matter message nests them.
    #[error("TLV nested too deeply")]
    TooDeep,
    /// The next element does not have the tag that must stand here.
    #[error("TLV element missing or out of order")]
    UnexpectedTag,
    /// The element has another type.
    #[error("wrong TLV element type")]
    WrongType,
    /// The value does not fit the field: an integer too large, a string too long or too short.
    #[error("TLV value out of range")]
    OutOfRange,
}

/// Element type numbers of the control byte's low five bits.
mod element_type {
    pub(super) const UNSIGNED: u8 = 0x04;
    pub(super) const FALSE: u8 = 0x08;
    pub(super) const TRUE: u8 = 0x09;
    pub(super) const UTF8: u8 = 0x0C;
    pub(super) const BYTES: u8 = 0x10;
    pub(super) const NULL: u8 = 0x14;
    pub(super) const STRUCTURE: u8 = 0x15;
    pub(super) const ARRAY: u8 = 0x16;
    pub(super) const LIST: u8 = 0x17;
    pub(super) const END: u8 = 0x18;
}

#[cfg(test)]
mod tests;
