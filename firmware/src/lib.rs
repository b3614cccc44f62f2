//! A node for small microcontrollers: what the images have in common.
#![no_std]

pub mod rng;
