//! The records that all processes of the node share, in Redis.
//!
//! A thread talks to Redis. The manager's thread leaves orders and takes answers, and never waits.
//! Every order that expects an answer gets one, also if Redis is gone, hangs or sends garbage: no
//! record, or no claim. That costs a full handshake, as do orders that find the queue full. But an
//! answer can be late, as a timeout counts from the last byte: those who wait need a deadline.

mod database;
mod scripts;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;

use matter_session::crypto::Secret;
use matter_session::handshake::{ClaimRequest, Claimed};
use matter_session::ids::Peer;
use matter_session::resumption::ResumptionRecord;
use matter_session::session::ResumptionId;

use self::database::Database;
use crate::RowKey;

/// How many orders wait at most.
const QUEUE: usize = 8192;
/// How many orders go to Redis in one round trip.
const BATCH: usize = 128;

/// What a process needs to use the store.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where Redis listens: one primary, not a replica.
    pub address: SocketAddr,
    /// How long it may take to connect, and to send or receive something.
    pub timeout: Duration,
    /// How long a process counts as alive after it was last there.
    pub lease: Duration,
    /// The number of this process.
    pub process: u8,
    /// The key of the rows.
    pub key: RowKey,
}

/// What is to be done.
#[derive(Debug)]
pub enum Order {
    /// Fetches the record of a peer.
    Load(Peer),
    /// Fetches the record with an id, for a peer that wants to resume it.
    Find(ResumptionId),
    /// Saves the record of a peer in place of its former one. Order this once for each record.
    Save {
        /// The peer.
        peer: Peer,
        /// The id of the record.
        id: ResumptionId,
        /// The record.
        record: Secret<{ ResumptionRecord::ENCODED_LEN }>,
        /// How much of its lifetime is left.
        expires_in: Duration,
    },
    /// Removes the record of a peer.
    Remove(Peer),
    /// Claims a record: only one process is ever granted it.
    Claim(ClaimRequest),
    /// Renews the lease of this process, and asks which processes live.
    Beat,
}

/// The answer to an order.
#[derive(Debug)]
pub enum Answer {
    /// The record of a peer, if there is one.
    Loaded(Peer, Option<Box<ResumptionRecord>>),
    /// The record with an id, if there is one.
    Found(ResumptionId, Option<Box<ResumptionRecord>>),
    /// The claim, granted or refused: for
    /// [`Records::complete_claim`](matter_session::manager::Records::complete_claim).
    Claimed(Claimed),
    /// The processes that live; `None` if the store has not answered.
    Live(Option<Vec<u8>>),
}

impl Order {
    /// The answer if nothing can be done.
    fn failed(self) -> Option<Answer> {
        match self {
            Self::Load(peer) => Some(Answer::Loaded(peer, None)),
            Self::Find(id) => Some(Answer::Found(id, None)),
            Self::Save { .. } | Self::Remove(_) => None,
            Self::Claim(request) => Some(Answer::Claimed(request.complete(false))),
            Self::Beat => Some(Answer::Live(None)),
        }
    }
}

/// The manager's side of the store. Its thread ends when this is dropped.
#[derive(Debug)]
pub struct Store {
    orders: SyncSender<Order>,
    answers: Receiver<Answer>,
    failed: VecDeque<Answer>,
}

impl Store {
    /// Starts the thread. `wake` is called there whenever answers are ready.
    #[must_use]
    pub fn start(settings: Settings, wake: impl Fn() + Send + 'static) -> Self {
        let (orders, ordered) = mpsc::sync_channel(QUEUE);
        let (answer, answers) = mpsc::channel();
        thread::spawn(move || {
            let mut database = Database::new(settings);
            // Ends with the other side, as do the answers.
            while let Ok(first) = ordered.recv() {
                let more = ordered.try_iter().take(BATCH - 1);
                let batch = core::iter::once(first).chain(more).collect();
                for done in database.execute(batch) {
                    if answer.send(done).is_err() {
                        return;
                    }
                }
                wake();
            }
        });
        Self { orders, answers, failed: VecDeque::new() }
    }

    /// A store without a thread, and the orders that are left.
    #[cfg(test)]
    pub(crate) fn unattended() -> (Self, Receiver<Order>) {
        let (orders, ordered) = mpsc::sync_channel(QUEUE);
        let (_, answers) = mpsc::channel();
        (Self { orders, answers, failed: VecDeque::new() }, ordered)
    }

    /// Leaves an order; it is executed after those that were left before.
    pub fn order(&mut self, order: Order) {
        if let Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) =
            self.orders.try_send(order)
        {
            self.failed.extend(order.failed());
        }
    }

    /// Returns the next answer, if one is ready.
    pub fn poll_answer(&mut self) -> Option<Answer> {
        self.failed.pop_front().or_else(|| self.answers.try_recv().ok())
    }
}
