//! A node for small microcontrollers: what its images, and the host at the other end of its
//! serial line, have in common.
#![no_std]

#[cfg(feature = "persistent")]
pub mod commissioning;
pub mod device;
pub mod element;
pub mod frame;
pub mod rng;
pub mod tables;
#[cfg(all(target_arch = "arm", target_os = "none"))]
mod vectors;
