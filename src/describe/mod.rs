//! Datagrams as lines of text, for people who look for a fault.
//!
//! [`Description::of`] reads any bytes: the unencrypted parts of a datagram, handshake messages
//! field by field, or the fault that makes it malformed. [`Description::with_plaintext`] adds the
//! content of a message that was decrypted. Nothing here allocates, and no input makes it panic.
//!
//! ```
//! use matter_session::describe::Description;
//!
//! // A standalone acknowledgement on an unsecured session.
//! let datagram = [
//!     0x04, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, // message header
//!     0x03, 0x10, 9, 0, 0, 0, 6, 0, 0, 0, // protocol header
//! ];
//! assert_eq!(
//!     Description::of(&datagram).to_string(),
//!     "MRP Standalone Acknowledgement
//!   message header: unsecured, from initiator 0000000000000001, counter 7
//!   protocol header: exchange 9, from its initiator
//!   acknowledges: 6
//! "
//! );
//! ```
//! A description shows what is in the message. Payloads are cut short, but a description of a
//! decrypted message shows a part of its secrets.

mod fields;
mod names;
mod sigma;

use core::fmt::{self, Write};

pub use self::names::{MessageName, StatusName};
pub use self::sigma::open_sigma;
use crate::ids::MessageType;
use crate::wire::{
    MessageHeader, MessageKind, Packet, Preamble, ProtocolHeader, TAILROOM, WireError,
};

/// A datagram, taken apart as far as it can be read.
#[derive(Clone, Copy)]
pub struct Description<'a> {
    outer: Outer,
    inner: Inner<'a>,
}

/// The readable part of the message header.
#[derive(Clone, Copy)]
enum Outer {
    Unreadable(WireError),
    /// Privacy hides all but the first four bytes.
    Hidden(Preamble),
    Clear(MessageHeader),
}

/// The readable part after the message header.
#[derive(Clone, Copy)]
enum Inner<'a> {
    Nothing,
    Sealed(usize),
    Unreadable(WireError),
    Message(ProtocolHeader, &'a [u8]),
}

/// Receives the fields of a [`Description`] one after another: a name and a value.
pub type EachField<'f> = dyn FnMut(&'static str, fmt::Arguments<'_>) -> fmt::Result + 'f;

impl<'a> Description<'a> {
    /// Describes a datagram as it was on the wire.
    #[must_use]
    pub fn of(datagram: &'a [u8]) -> Self {
        let preamble = match Packet::peek(datagram) {
            Ok(preamble) => preamble,
            Err(error) => return Self::new(Outer::Unreadable(error), Inner::Nothing),
        };
        if preamble.privacy() {
            return Self::new(Outer::Hidden(preamble), Inner::Nothing);
        }
        let (header, len) = match MessageHeader::parse(datagram) {
            Ok(read) => read,
            Err(error) => return Self::new(Outer::Unreadable(error), Inner::Nothing),
        };
        let body = datagram.get(len..).unwrap_or_default();
        let inner = match header.kind() {
            Ok(MessageKind::FromInitiator(_) | MessageKind::FromResponder(_)) => {
                match ProtocolHeader::parse(body) {
                    Ok((protocol, start)) => {
                        Inner::Message(protocol, body.get(start..).unwrap_or_default())
                    }
                    Err(error) => Inner::Unreadable(error),
                }
            }
            Ok(_) => Inner::Sealed(body.len()),
            Err(error) => Inner::Unreadable(error),
        };
        Self::new(Outer::Clear(header), inner)
    }

    const fn new(outer: Outer, inner: Inner<'a>) -> Self {
        Self { outer, inner }
    }

    /// Adds the inside of a message that was decrypted: its protocol header and payload.
    #[must_use]
    pub const fn with_plaintext(mut self, header: ProtocolHeader, payload: &'a [u8]) -> Self {
        self.inner = Inner::Message(header, payload);
        self
    }

    /// Returns the message header; `None` if it is malformed or hidden by privacy.
    #[must_use]
    pub const fn message_header(&self) -> Option<&MessageHeader> {
        match &self.outer {
            Outer::Clear(header) => Some(header),
            Outer::Hidden(_) | Outer::Unreadable(_) => None,
        }
    }

    /// Returns the protocol header, if it is clear.
    #[must_use]
    pub const fn protocol_header(&self) -> Option<&ProtocolHeader> {
        match &self.inner {
            Inner::Message(header, _) => Some(header),
            _ => None,
        }
    }

    /// Returns the payload, if it is clear.
    #[must_use]
    pub const fn payload(&self) -> Option<&'a [u8]> {
        match self.inner {
            Inner::Message(_, payload) => Some(payload),
            _ => None,
        }
    }

    /// Returns the name of the datagram.
    #[must_use]
    pub const fn name(&self) -> Name {
        Name(match (&self.outer, &self.inner) {
            (_, Inner::Message(header, _)) => {
                NameOf::Message(MessageType::new(header.protocol, header.opcode))
            }
            (Outer::Unreadable(_), _) | (_, Inner::Unreadable(_)) => NameOf::Unreadable,
            _ => NameOf::Encrypted,
        })
    }

    /// Calls `each` with the name and the value of each field, in their order.
    ///
    /// # Errors
    /// The error of `each`, which ends the listing.
    pub fn for_each_field(&self, each: &mut EachField<'_>) -> fmt::Result {
        match &self.outer {
            Outer::Unreadable(error) => each("unreadable", format_args!("{error}"))?,
            Outer::Hidden(preamble) => each(
                "message header",
                format_args!("session {}, rest hidden by privacy", preamble.route().session_id()),
            )?,
            Outer::Clear(header) => fields::message_header(header, each)?,
        }
        match self.inner {
            Inner::Nothing => Ok(()),
            Inner::Unreadable(error) => each("unreadable", format_args!("{error}")),
            Inner::Sealed(len) => {
                each("ciphertext", format_args!("{} bytes", len.saturating_sub(TAILROOM)))?;
                each("integrity code", format_args!("{} bytes", len.min(TAILROOM)))
            }
            Inner::Message(header, payload) => {
                fields::protocol_header(&header, each)?;
                fields::payload(&header, payload, each)
            }
        }
    }
}

impl fmt::Display for Description<'_> {
    /// Prints the name on a line, and each field on another one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name())?;
        self.for_each_field(&mut |name, value| writeln!(f, "  {name}: {value}"))
    }
}

impl fmt::Debug for Description<'_> {
    /// Prints the name alone: the fields of an opened message are for [`Display`](fmt::Display).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Description({})", self.name())
    }
}

/// The name of a datagram: that of the message, or that it is encrypted or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name(NameOf);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameOf {
    Message(MessageType),
    Encrypted,
    Unreadable,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            NameOf::Message(kind) => MessageName(kind).fmt(f),
            NameOf::Encrypted => f.pad("encrypted message"),
            NameOf::Unreadable => f.pad("unreadable datagram"),
        }
    }
}

/// Bytes in hexadecimal, cut short after 16.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 16;
        self.0.iter().take(MOST).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        if self.0.len() > MOST { f.write_str("..") } else { Ok(()) }
    }
}

/// Writes a value to a formatter that pads it.
fn padded(f: &mut fmt::Formatter<'_>, value: fmt::Arguments<'_>) -> fmt::Result {
    // The longest is far shorter: an unknown opcode of an unknown protocol.
    let mut text = Text::<48>::new();
    if text.write_fmt(value).is_ok() { f.pad(text.as_str()) } else { f.write_fmt(value) }
}

/// Text in an array.
struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    fn as_str(&self) -> &str {
        let written = self.bytes.get(..self.len).unwrap_or_default();
        core::str::from_utf8(written).unwrap_or_default()
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len.checked_add(text.len()).ok_or(fmt::Error)?;
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
