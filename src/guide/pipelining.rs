#![doc = include_str!("pipelining.md")]
