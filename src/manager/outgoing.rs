//! Messages that are sent together.

use super::SessionManager;
use super::event::SendError;
use super::handle::{ExchangeHandle, Source};
use super::storage::{Held, Map, Octets, Owner, Storage};
use crate::crypto::Crypto;
use crate::handshake::Context;
use crate::ids::ProtocolId;
use crate::session::{TOGETHER, Unsealed, seal_together};
use crate::time::Instant;
use crate::wire::{MessageBuf, ProtocolHeader};

/// One of many messages for [`SessionManager::send_all`], and what becomes of it.
#[derive(Debug)]
pub struct Outgoing<'p> {
    exchange: ExchangeHandle,
    protocol: ProtocolId,
    opcode: u8,
    payload: &'p [u8],
    sent: Option<Result<(), SendError>>,
}

impl<'p> Outgoing<'p> {
    /// A message to be sent reliably on an exchange.
    #[must_use]
    pub const fn new(
        exchange: ExchangeHandle,
        protocol: ProtocolId,
        opcode: u8,
        payload: &'p [u8],
    ) -> Self {
        Self { exchange, protocol, opcode, payload, sent: None }
    }

    /// The exchange that it is sent on.
    #[must_use]
    pub const fn exchange(&self) -> ExchangeHandle {
        self.exchange
    }

    /// What [`send`](SessionManager::send) would have returned; `None` before it was tried.
    #[must_use]
    pub const fn result(&self) -> Option<Result<(), SendError>> {
        self.sent
    }
}

/// A message that is laid out in its octets, and not sealed yet.
struct LaidOut<S: Storage> {
    exchange: ExchangeHandle,
    header: ProtocolHeader,
    held: Held<S>,
    message: Unsealed,
}

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Sends many messages reliably, as [`send`](Self::send) one after the other would: the result
    /// of each is in [`Outgoing::result`]. But they are encrypted together
    /// ([`Crypto::seal_batch`]), which takes less time where they have several hundred octets each;
    /// shorter ones are better sent singly. What was sent before is not sent again.
    ///
    #[cfg_attr(all(feature = "alloc", feature = "rustcrypto"), doc = "```")]
    #[cfg_attr(not(all(feature = "alloc", feature = "rustcrypto")), doc = "```ignore")]
    /// use matter_session::manager::{Outgoing, SendError};
    /// use matter_session::{Context, ExchangeHandle, HeapSessionManager, ProtocolId};
    ///
    /// /// Tells all subscribers what has changed; returns those that have to wait.
    /// fn report(
    ///     node: &mut HeapSessionManager,
    ///     cx: &mut Context<'_>,
    ///     subscriptions: &[(ExchangeHandle, Vec<u8>)],
    /// ) -> Vec<ExchangeHandle> {
    ///     const REPORT_DATA: u8 = 0x05;
    ///     let reports = subscriptions.iter().map(|(exchange, report)| {
    ///         Outgoing::new(*exchange, ProtocolId::INTERACTION_MODEL, REPORT_DATA, report)
    ///     });
    ///     let mut reports: Vec<_> = reports.collect();
    ///     node.send_all(cx, &mut reports);
    ///     let waits = |report: &&Outgoing<'_>| report.result() == Some(Err(SendError::InFlight));
    ///     reports.iter().filter(waits).map(Outgoing::exchange).collect()
    /// }
    /// # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
    /// # let (config, crypto) = (matter_session::Config::default(), matter_session::RustCrypto);
    /// # let mut node = HeapSessionManager::new(config, crypto, &mut rng);
    /// # let mut cx = Context::new(matter_session::Instant::ZERO, &mut rng);
    /// # assert!(report(&mut node, &mut cx, &[]).is_empty());
    /// ```
    pub fn send_all(&mut self, cx: &mut Context<'_>, messages: &mut [Outgoing<'_>]) {
        let mut later = messages;
        while !later.is_empty() {
            let len = self.send_together(later, cx.now);
            let Some(rest) = later.get_mut(len..) else { return };
            later = rest;
        }
    }

    /// Sends the first few messages; how many they are.
    #[inline(never)]
    fn send_together(&mut self, messages: &mut [Outgoing<'_>], now: Instant) -> usize {
        let mut laid_out: [Option<LaidOut<S>>; TOGETHER] = [const { None }; TOGETHER];
        let mut len: usize = 0;
        for (n, message) in messages.iter_mut().enumerate().take(TOGETHER) {
            if message.sent.is_none() {
                let before = laid_out.get_mut(..n).unwrap_or_default();
                let is_first = before.iter().all(Option::is_none);
                let mut others = before.iter().flatten();
                if others.any(|other| other.exchange == message.exchange) {
                    // Whether it may be sent depends on what comes of the other.
                    break;
                }
                match self.lay_out(message) {
                    Ok(message) => {
                        self.watch_counter(message.exchange.key.session);
                        if let Some(place) = laid_out.get_mut(n) {
                            *place = Some(message);
                        }
                    }
                    // One of the others may yet give its octets back.
                    Err(SendError::NoRoom) if !is_first => break,
                    Err(error) => {
                        // Of these nothing was allocated.
                        let early = [SendError::Closed, SendError::InFlight, SendError::Backlog];
                        if !early.contains(&error) {
                            self.finish_send(message.exchange.key);
                        }
                        message.sent = Some(Err(error));
                    }
                }
            }
            len = n.saturating_add(1);
        }
        self.seal(&mut laid_out);
        for (message, laid_out) in messages.iter_mut().zip(laid_out) {
            if let Some(laid_out) = laid_out {
                message.sent = Some(self.launch_sealed(laid_out, now));
            }
        }
        len
    }

    /// Puts headers and payload of a message into octets of its own, if it may be sent.
    #[inline]
    fn lay_out(&mut self, message: &Outgoing<'_>) -> Result<LaidOut<S>, SendError> {
        let Outgoing { exchange, protocol, opcode, payload, .. } = *message;
        let backlogged = self.is_backlogged();
        let entry = self.exchanges.get_mut(&exchange.key).ok_or(SendError::Closed)?;
        entry.may_send(exchange, backlogged)?;
        let (message, octets) = ((protocol, opcode, payload), &mut self.octets);
        let reserved = entry.reserve(exchange.key, message, &self.sessions, octets, &self.node);
        let (header, mut held) = reserved?;
        let session = self.sessions.in_use(exchange.key.session).ok_or(SendError::Closed)?;
        let octets = self.octets.get_mut(owner_of(exchange), &mut held);
        let buf = MessageBuf::with_payload(octets, payload)?;
        let message = session.session.lay_out(&header, buf)?;
        Ok(LaidOut { exchange, header, held, message })
    }

    /// Seals messages where they stand.
    fn seal(&mut self, laid_out: &mut [Option<LaidOut<S>>; TOGETHER]) {
        let mut messages = [const { None }; TOGETHER];
        let mut places = messages.iter_mut();
        let owners = laid_out.each_mut().map(|laid_out| {
            let place = places.next()?;
            let LaidOut { exchange, held, message, .. } = laid_out.as_mut()?;
            *place = Some((exchange.key.session, message));
            Some((owner_of(*exchange), held))
        });
        let octets = self.octets.get_many_mut(owners);
        let messages = messages.into_iter().zip(octets).filter_map(|(message, octets)| {
            let (local, message) = message?;
            Some((&self.sessions.by_local(local)?.session, message, octets))
        });
        seal_together(&self.crypto, messages);
    }

    /// Puts a message in flight that was sealed.
    fn launch_sealed(&mut self, laid_out: LaidOut<S>, now: Instant) -> Result<(), SendError> {
        let LaidOut { exchange: ExchangeHandle { key, .. }, header, held, message } = laid_out;
        let sent = message.finish().map_err(SendError::from).and_then(|(datagram, counter)| {
            let session = self.sessions.by_local_mut(key.session).ok_or(SendError::Closed)?;
            let entry = self.exchanges.get_mut(&key).ok_or(SendError::Closed)?;
            session.session.notify_activity(now);
            entry.launch(&header, held, datagram, counter, now);
            entry.file(&mut self.schedule, key, self.node.config.exchange_lifetime);
            Ok(())
        });
        if sent.is_err() {
            // What was allocated for the message is given back.
            self.update(Source::Exchange(key));
        }
        sent
    }
}

const fn owner_of(exchange: ExchangeHandle) -> Owner {
    Owner::Message(Source::Exchange(exchange.key))
}
