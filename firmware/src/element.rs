//! What waits for the secure element that holds the operational keys. The guide of the library
//! shows this code.

use matter_session::crypto::{SignError, Signature};
use matter_session::handshake::{SignRequest, Signed};

use crate::tables::HANDSHAKES;

include!("../../src/guide/signatures.rs");

/// The requests of this device.
pub type Waiting = Signatures<HANDSHAKES>;
