#![doc = include_str!("production.md")]
