//! Short messages that belong to no exchange: refusals, goodbyes, acknowledgements to strangers.

use super::Config;
use super::handle::PeerAddress;
use super::storage::{Queue, Storage};

/// Room for one: a CloseSession with every header field takes 60 octets.
pub(super) const SHORT_LEN: usize = 64;

#[derive(Debug)]
pub(super) struct Short {
    pub(super) to: PeerAddress,
    octets: [u8; SHORT_LEN],
    len: usize,
}

impl Short {
    pub(super) fn datagram(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

pub(super) struct Outbox<S: Storage>(S::Outbox<Short>);

impl<S: Storage> Outbox<S> {
    pub(super) const EMPTY: Self = Self(Queue::EMPTY);

    pub(super) fn limit(&mut self, config: &Config) {
        self.0.limit(config.max_replies.max(1));
    }

    /// Queues a datagram; returns how many older ones were dropped for it.
    pub(super) fn push(&mut self, to: PeerAddress, datagram: &[u8]) -> u32 {
        let mut short = Short { to, octets: [0; SHORT_LEN], len: datagram.len() };
        let Some(octets) = short.octets.get_mut(..datagram.len()) else { return 1 };
        octets.copy_from_slice(datagram);
        let mut dropped = 0;
        if self.0.len() >= self.0.capacity() {
            self.0.pop();
            dropped = 1;
        }
        match self.0.push(short) {
            Ok(()) => dropped,
            Err(_) => dropped.saturating_add(1),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(super) fn pop(&mut self) -> Option<Short> {
        self.0.pop()
    }
}
