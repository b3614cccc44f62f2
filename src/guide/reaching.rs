#![doc = include_str!("reaching.md")]
