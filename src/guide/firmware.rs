#![doc = include_str!("firmware.md")]
//!
//! # The queue of a secure element
//!
//! The firmware in the repository uses this file, `src/guide/signatures.rs`. `complete` may be
//! called at any time.
//!
//! ```ignore
//! use matter_session::crypto::{SignError, Signature};
//! use matter_session::handshake::{SignRequest, Signed};
//!
#![doc = include_str!("signatures.rs")]
//! ```
//!
//! # The loop on embassy
//!
//! The same as a task. This file is compiled in `firmware/embassy` of the repository.
//!
//! ```ignore
#![doc = include_str!("embassy.rs")]
//! ```
