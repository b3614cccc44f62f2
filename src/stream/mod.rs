//! Messages over TCP: each behind its length. [Core, "TCP Considerations"]
//!
//! ```text
//! length of the message (4, little-endian, not counting itself) | message | length | message ...
//! ```
//! [`StreamDecoder`] takes bytes as they arrive, in any portions, and lends the messages in its
//! buffer, to be decrypted in place. [`StreamEncoder`] puts the length in front of an encoded
//! message. Neither does I/O: the caller owns the connections.
//!
#![cfg_attr(feature = "std", doc = "```")]
#![cfg_attr(not(feature = "std"), doc = "```ignore")]
//! use matter_session::stream::{StreamDecoder, StreamEncoder};
//!
//! # use std::io::{Read, Write};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut wire = Vec::new();
//! // The sender knows from the session parameters how much its peer takes.
//! let encoder = StreamEncoder::new(63_996);
//! for message in [&b"a message"[..], b"and another"] {
//!     wire.write_all(&encoder.prefix(message)?)?;
//!     wire.write_all(message)?;
//! }
//!
//! # let mut connection = &wire[..];
//! # let mut received = Vec::new();
//! let mut decoder = StreamDecoder::new([0; 1284]);
//! loop {
//!     match connection.read(decoder.space())? {
//!         0 => break,
//!         len => decoder.advance(len),
//!     }
//!     // On an error: send its `report`, if there is one, and close the connection.
//!     while let Some(message) = decoder.poll_message()? {
//!         received.push(message.to_vec()); // handle_datagram(&mut cx, peer, message)
//!     }
//! }
//! assert_eq!(received, [&b"a message"[..], b"and another"]);
//! # Ok(())
//! # }
//! ```

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod buffer;
mod decoder;
mod encoder;

#[cfg(feature = "alloc")]
pub use self::buffer::GrowingBuffer;
pub use self::buffer::StreamBuffer;
pub use self::decoder::{StreamDecoder, StreamError};
pub use self::encoder::{FrameError, StreamEncoder};

/// Length in bytes of the length prefix.
pub const PREFIX_LEN: usize = 4;
