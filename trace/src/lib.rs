//! Reads captures of Matter traffic, opens what a key log has the keys of, draws who sent what to
//! whom, and says what went wrong.
//!
//! ```text
//! bytes of a file ──capture──▶ Datagram ──trace, with Keys──▶ Message ──verdict──▶ sentences
//!                                                                │──────ladder───▶ lines
//!                                                                └──────export───▶ pcapng
//! ```

pub mod capture;
pub mod export;
pub mod keys;
pub mod ladder;
pub mod talk;
pub mod trace;
pub mod verdict;

pub use capture::{CaptureError, Datagram};
pub use keys::Keys;
pub use trace::{Message, Trace};
pub use verdict::{Finding, findings};
