#![doc = include_str!("thread.md")]
