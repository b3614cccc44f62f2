#![doc = include_str!("sleepy.md")]
