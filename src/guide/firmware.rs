#![doc = include_str!("firmware.md")]
//!
//! # The loop on embassy
//!
//! The same as a task. This file is compiled in `firmware/embassy` of the repository.
//!
//! ```ignore
#![doc = include_str!("embassy.rs")]
//! ```
