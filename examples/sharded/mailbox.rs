//! How the thread that reads hands datagrams to the thread of a shard.

use core::mem;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::{Condvar, Mutex, PoisonError};

/// The mailbox accepts batches while fewer bytes than this wait for the shard. Further datagrams
/// are dropped, as when the buffer of a socket is full: other shards do not wait for this one.
const MOST_BYTES: usize = 1 << 20;

/// Datagrams one behind the other in one buffer, which is reused.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    datagrams: Vec<(SocketAddr, usize)>,
}

impl Batch {
    pub(crate) fn push(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.bytes.extend_from_slice(datagram);
        self.datagrams.push((from, datagram.len()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    pub(crate) fn datagrams(&mut self) -> impl Iterator<Item = (SocketAddr, &mut [u8])> {
        let mut rest = self.bytes.as_mut_slice();
        self.datagrams.iter().map_while(move |(from, len)| {
            let (datagram, behind) = mem::take(&mut rest).split_at_mut_checked(*len)?;
            rest = behind;
            Some((*from, datagram))
        })
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.datagrams.clear();
    }
}

/// The datagrams that wait for a shard.
#[derive(Default)]
pub(crate) struct Mailbox {
    waiting: Mutex<Batch>,
    arrived: Condvar,
}

impl Mailbox {
    /// Passes datagrams to the shard, and empties the batch.
    pub(crate) fn put(&self, batch: &mut Batch) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() {
            mem::swap(&mut *waiting, batch);
            self.arrived.notify_one();
        } else if waiting.bytes.len() < MOST_BYTES {
            // The shard was notified and has not taken the others yet.
            waiting.bytes.append(&mut batch.bytes);
            waiting.datagrams.append(&mut batch.datagrams);
        }
        batch.clear();
    }

    /// Waits for datagrams at most so long, and exchanges them for the batch that was handled.
    pub(crate) fn take(&self, handled: &mut Batch, at_most: Duration) {
        handled.clear();
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.arrived.wait_timeout_while(waiting, at_most, |batch| batch.is_empty());
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        mem::swap(&mut *waiting, handled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_taken_out_once_and_in_order() {
        let (mailbox, mut put, mut taken) =
            (Mailbox::default(), Batch::default(), Batch::default());
        let from = SocketAddr::from(([127, 0, 0, 1], 5540));
        for round in 0..3 {
            for batch in [&[&b"one"[..], b"two"][..], &[b"", b"three"]] {
                batch.iter().for_each(|datagram| put.push(from, datagram));
                mailbox.put(&mut put);
                assert!(put.is_empty(), "round {round}");
            }
            mailbox.take(&mut taken, Duration::ZERO);
            let datagrams: Vec<_> = taken.datagrams().collect();
            let expected = [&b"one"[..], b"two", b"", b"three"];
            assert!(datagrams.iter().map(|(_, bytes)| &bytes[..]).eq(expected), "round {round}");
            mailbox.take(&mut taken, Duration::ZERO);
            assert!(taken.is_empty(), "round {round}");
        }
    }

    #[test]
    fn a_shard_that_is_behind_is_left_with_a_limit() {
        let (mailbox, mut put, mut taken) =
            (Mailbox::default(), Batch::default(), Batch::default());
        for _ in 0..3000 {
            put.push(([127, 0, 0, 1], 5540).into(), &[7; 1280]);
            mailbox.put(&mut put);
        }
        mailbox.take(&mut taken, Duration::ZERO);
        let bytes: usize = taken.datagrams().map(|(_, datagram)| datagram.len()).sum();
        assert!((MOST_BYTES..MOST_BYTES + 1280).contains(&bytes), "{bytes}");
    }
}
