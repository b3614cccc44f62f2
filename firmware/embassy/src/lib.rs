//! The loop of `matter_session::guide::firmware` on embassy. The guide shows this very file, so
//! what it says compiles.
#![no_std]

#[path = "../../../src/guide/embassy.rs"]
pub mod embassy;
