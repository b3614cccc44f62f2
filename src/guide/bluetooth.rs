#![doc = include_str!("bluetooth.md")]
