//! Short messages that belong to no exchange: refusals, CloseSession, acknowledgements of stray
//! messages.

use crate::manager::config::Config;
use crate::manager::handle::PeerAddress;
use crate::manager::storage::{Queue, Storage};

/// Room for one in bytes: a CloseSession with every header field takes 60.
pub(in crate::manager) const SHORT_LEN: usize = 64;

#[derive(Debug)]
pub(super) struct Short {
    pub(super) to: PeerAddress,
    bytes: [u8; SHORT_LEN],
    len: usize,
}

impl Short {
    pub(super) fn datagram(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn is_secure(&self) -> bool {
        self.bytes.get(1..3) != Some(&[0; 2])
    }
}

/// The short messages that wait to be sent. Those of secure sessions are never dropped in favour
/// of unsecured ones, which anybody can cause.
pub(super) struct Outbox<S: Storage> {
    queue: S::Outbox<Short>,
    /// How many of them are unsecured.
    unsecured: usize,
}

impl<S: Storage> Outbox<S> {
    pub(super) const EMPTY: Self = Self { queue: Queue::EMPTY, unsecured: 0 };

    pub(super) fn limit(&mut self, config: &Config) {
        self.queue.limit(config.max_replies.max(1));
    }

    /// Queues a datagram; returns how many were dropped because there was no room, this one
    /// included.
    pub(super) fn push(&mut self, to: PeerAddress, datagram: &[u8]) -> u32 {
        let mut short = Short { to, bytes: [0; SHORT_LEN], len: datagram.len() };
        let Some(bytes) = short.bytes.get_mut(..datagram.len()) else { return 1 };
        bytes.copy_from_slice(datagram);
        let full = self.queue.len() >= self.queue.capacity();
        if full && short.is_secure() {
            self.make_room();
        }
        self.put(short);
        full.into()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.len() == 0
    }

    pub(super) fn pop(&mut self) -> Option<Short> {
        let short = self.queue.pop()?;
        if !short.is_secure() {
            self.unsecured = self.unsecured.saturating_sub(1);
        }
        Some(short)
    }

    fn put(&mut self, short: Short) {
        let unsecured = !short.is_secure();
        if self.queue.push(short).is_ok() && unsecured {
            self.unsecured = self.unsecured.saturating_add(1);
        }
    }

    /// Drops the oldest unsecured datagram, or the oldest of all if there is none.
    fn make_room(&mut self) {
        let mut dropped = false;
        let rounds = if self.unsecured == 0 { 1 } else { self.queue.len() };
        for _ in 0..rounds {
            let Some(short) = self.pop() else { return };
            if dropped || (rounds > 1 && short.is_secure()) {
                self.put(short);
            } else {
                dropped = true;
            }
        }
    }
}
