//! Handshakes: PASE and CASE, both roles, as state machines that take and return bytes.
//!
//! ```text
//!              ┌───────────┐ Step::Send(message)          ─▶ to the peer
//!  Incoming ──▶│ handshake │ Step::Sign(request)          ─▶ to the operational key, then resume()
//!                            Step::Claim(request)         ─▶ to the store, then complete_claim()
//!                            Step::More                   ─▶ proceed(), at once or later
//!              └───────────┘ Step::Established{..}        ─▶ a SecureSession
//!                            Failure{error, reply}        ─▶ a StatusReport to the peer
//! ```
//! A handshake knows no sockets and does not retransmit: the exchange below it does. Each holds its
//! state by value, changes it in place, and writes its messages into the caller's buffer.
//!
//! `envelope.rs` has what all four have in common: the deadline and the end. The files of the four
//! machines are their steps.
//!
//! Verifying a signature takes most of a small stack. So the functions that run before or after it
//! are not inlined: their temporaries would be below it otherwise. The public steps are not inlined
//! either, so that the frame of a caller that drives several machines holds none of theirs.

pub mod case;
mod claim;
mod envelope;
mod error;
mod failure;
mod fields;
mod message;
pub mod pase;
mod sign;
mod step;

pub use self::case::{CaseClient, CaseEnv, CaseServer, CaseStart};
pub use self::claim::{ClaimRequest, Claimed};
pub use self::envelope::{HANDSHAKE_TIMEOUT, Handshake};
pub use self::error::{HandshakeError, Refusal};
pub use self::failure::Failure;
pub use self::message::{Incoming, Outgoing};
pub use self::pase::{PaseClient, PaseServer, PaseStart};
pub use self::sign::{SignRequest, Signed};
pub use self::step::{Established, NewSession, Step};

/// The smallest output buffer that holds every handshake message, in bytes.
pub const MAX_MESSAGE_LEN: usize = crate::wire::MAX_UDP_PAYLOAD;

/// HKDF info of the session keys, of PASE and of CASE: `SEKeys_Info`.
#[doc(alias = "SESSION_KEYS_INFO")]
pub const SEKEYS_INFO: &[u8] = b"SessionKeys";
