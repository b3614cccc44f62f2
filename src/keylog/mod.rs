//! A log of keys, so that recorded traffic can be read. **It discloses every session.**
//!
//! A holder of the log can read all messages of its sessions and groups, forge them, and act as
//! either node while a session lives. A group key is valid until it is replaced. So build with the
//! feature `keylog` to find a fault on a test network, and never ship such a build. Without the
//! feature nothing of this exists: no code, no field, no hook.
//!
//! The application implements [`KeyLog`] and names it in
//! [`Services::with_hazmat_key_log`](crate::Services::with_hazmat_key_log). The hook alone gets
//! the keys: nothing else prints or keeps them.
//!
#![cfg_attr(all(feature = "rustcrypto", feature = "keylog"), doc = "```")]
#![cfg_attr(not(all(feature = "rustcrypto", feature = "keylog")), doc = "```ignore")]
//! use std::cell::RefCell;
//!
//! use matter_session::keylog::{KeyLog, KeyLogEntry};
//!
//! /// Keeps lines in memory. A program writes them to a file that nobody else can read.
//! #[derive(Default)]
//! struct Lines(RefCell<Vec<String>>);
//!
//! impl KeyLog for Lines {
//!     fn log(&self, entry: &KeyLogEntry) {
//!         self.0.borrow_mut().push(entry.line().to_string());
//!     }
//! }
//!
//! # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
//! let lines = Lines::default();
//! let mut services = matter_session::Services::new(&mut rng).with_hazmat_key_log(&lines);
//! // Each session that is established with `services.at(now)` gives a line.
//! # let _ = services.at(matter_session::Instant::ZERO);
//! ```
//!
//! # The lines
//!
//! A label, then fields with one space between. All fields but the kind are hexadecimal digits in
//! lower case, of a fixed number. An empty line and one that begins with `#` hold no entry. Skip
//! lines with an unknown label: later versions may add some.
//!
//! ```text
//! SESSION PASE|CASE <id of the initiator: 4> <id of the responder: 4>
//!     <node id of the initiator: 16> <node id of the responder: 16>
//!     <I2R key: 32> <R2I key: 32> <attestation challenge: 32>
//! GROUP <session id: 4> <compressed fabric id: 16> <key set id: 4> <operational key: 32>
//! SIGMA2 <S2K: 32>
//! SIGMA3 <S3K: 32>
//! ```
//! (A `SESSION` is one line.) The session ids are those by which each side receives. A message is
//! encrypted with the I2R key if the initiator of the session has sent it; its nonce has the node
//! id of the sender, which is 0 on PASE sessions. The privacy key of a group is derived from its
//! operational key. `SIGMA2` and `SIGMA3` open the certificates of one handshake: try each on a
//! Sigma2 or Sigma3. They are logged as soon as they are used, so that a handshake that fails can
//! be read as well.
//!
//! [`KeyLogEntry::parse`] reads a line. The package `trace` in the repository reads captures with
//! such a log.

#[cfg(feature = "keylog")]
mod entry;
mod hook;

#[cfg(feature = "keylog")]
pub use self::entry::{GroupSecrets, KeyLogEntry, KeyLogError, Line, SessionSecrets};
pub(crate) use self::hook::KeyHook;

/// Where keys are logged. Implementing this discloses the sessions of a node: read
/// [the module's page](self) first.
#[cfg(feature = "keylog")]
pub trait KeyLog {
    /// Logs an entry, usually as its [`line`](KeyLogEntry::line).
    ///
    /// It is called within calls of the manager or of a handshake, once for each session, once for
    /// each key of a group, and once for each encrypted part of a full CASE handshake.
    fn log(&self, entry: &KeyLogEntry);
}
