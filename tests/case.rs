//! CASE: recorded handshakes, replayed by both roles, and everything a peer can do wrong.
#![cfg(feature = "rustcrypto")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::std_instead_of_alloc,
    reason = "tests have std and fail by panicking"
)]

#[path = "support/recorded/case.rs"]
mod recorded;
mod support;

use matter_session::wire::secure_channel::Opcode;

const SIGMA1: Opcode = Opcode::CASE_SIGMA1;
const SIGMA2: Opcode = Opcode::CASE_SIGMA2;
const SIGMA3: Opcode = Opcode::CASE_SIGMA3;
const SIGMA2_RESUME: Opcode = Opcode::CASE_SIGMA2_RESUME;
const REPORT: Opcode = Opcode::STATUS_REPORT;
const SUCCESS: [u8; 8] = [0; 8];
