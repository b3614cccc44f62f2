//! Messages that are sent together.

use super::event::SendError;
use super::exchanges::ExchangeEntry;
use super::handle::{ExchangeHandle, Source};
use super::session_table::SessionTable;
use super::storage::{Held, Map, Octets, Owner, Storage};
use super::{Node, SessionManager};
use crate::context::Context;
use crate::crypto::Crypto;
use crate::ids::{MessageType, ProtocolId};
use crate::session::{SHORTEST_TOGETHER, TOGETHER, Unsealed, seal_together};
use crate::time::Instant;
use crate::wire::{MessageBuf, ProtocolHeader};

/// One of many messages for [`SessionManager::send_all`], and what becomes of it.
#[derive(Debug)]
pub struct BatchMessage<'p> {
    exchange: ExchangeHandle,
    kind: MessageType,
    payload: &'p [u8],
    sent: Option<Result<(), SendError>>,
}

impl<'p> BatchMessage<'p> {
    /// A message to be sent reliably on an exchange.
    #[must_use]
    pub const fn new(exchange: ExchangeHandle, kind: MessageType, payload: &'p [u8]) -> Self {
        Self { exchange, kind, payload, sent: None }
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

    /// Whether it gains by being sealed along with others.
    const fn is_long(&self) -> bool {
        self.sent.is_none() && self.payload.len() >= SHORTEST_TOGETHER
    }
}

/// A message that is laid out in its octets, and not sealed yet.
struct LaidOut<S: Storage> {
    /// Which of those that are sent.
    number: usize,
    exchange: ExchangeHandle,
    header: ProtocolHeader,
    held: Held<S>,
    message: Unsealed,
}

impl<S: Storage> ExchangeEntry<S> {
    fn lay_out<C: Crypto, T>(
        &self,
        number: usize,
        exchange: ExchangeHandle,
        message: (ProtocolId, u8, &[u8]),
        sessions: &mut SessionTable<C, S, T>,
        octets: &mut S::Octets,
        node: &Node<S>,
    ) -> Result<LaidOut<S>, SendError> {
        let (.., payload) = message;
        let (header, mut held) = self.reserve(exchange.key, message, sessions, octets, node)?;
        let session = sessions.in_use(exchange.key.session).ok_or(SendError::Closed)?;
        let buf = MessageBuf::with_payload(octets.get_mut(owner_of(exchange), &mut held), payload)?;
        let message = session.session.lay_out(&header, buf)?;
        Ok(LaidOut { number, exchange, header, held, message })
    }
}

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Sends many messages reliably, as [`send`](Self::send) one after the other would: the result
    /// of each is in [`BatchMessage::result`]. But those of 256 bytes or more are encrypted together
    /// ([`Crypto::seal_batch`]), which takes less time. What was sent before is not sent again.
    ///
    #[cfg_attr(all(feature = "alloc", feature = "rustcrypto"), doc = "```")]
    #[cfg_attr(not(all(feature = "alloc", feature = "rustcrypto")), doc = "```ignore")]
    /// use matter_session::manager::{BatchMessage, SendError};
    /// use matter_session::{Context, ExchangeHandle, HeapSessionManager, MessageType};
    ///
    /// /// Tells all subscribers what has changed; returns those that have to wait.
    /// fn report(
    ///     node: &mut HeapSessionManager,
    ///     cx: &mut Context<'_>,
    ///     subscriptions: &[(ExchangeHandle, Vec<u8>)],
    /// ) -> Vec<ExchangeHandle> {
    ///     let reports = subscriptions.iter().map(|(exchange, report)| {
    ///         BatchMessage::new(*exchange, MessageType::REPORT_DATA, report)
    ///     });
    ///     let mut reports: Vec<_> = reports.collect();
    ///     node.send_all(cx, &mut reports);
    ///     let waits =
    ///         |report: &&BatchMessage<'_>| report.result() == Some(Err(SendError::InFlight));
    ///     reports.iter().filter(waits).map(BatchMessage::exchange).collect()
    /// }
    /// # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
    /// # let (config, crypto) = (matter_session::Config::default(), matter_session::RustCrypto);
    /// # let mut node = HeapSessionManager::new(config, crypto, &mut rng);
    /// # let mut services = matter_session::Services::new(&mut rng);
    /// # let mut cx = services.at(matter_session::Instant::ZERO);
    /// # assert!(report(&mut node, &mut cx, &[]).is_empty());
    /// ```
    pub fn send_all(&mut self, cx: &mut Context<'_>, messages: &mut [BatchMessage<'_>]) {
        let mut later = messages;
        while !later.is_empty() {
            let len = self.send_together(cx, later);
            let Some(rest) = later.get_mut(len..) else { return };
            later = rest;
        }
    }

    /// Sends the first few messages; how many they are.
    #[inline(never)]
    fn send_together(&mut self, cx: &mut Context<'_>, messages: &mut [BatchMessage<'_>]) -> usize {
        let long = messages.iter().take(TOGETHER).filter(|message| message.is_long());
        let together = long.count() > 1;
        let mut laid_out: [Option<LaidOut<S>>; TOGETHER] = [const { None }; TOGETHER];
        let (mut len, mut count) = (0_usize, 0_usize);
        for (n, message) in messages.iter_mut().enumerate().take(TOGETHER) {
            if message.sent.is_none() {
                let mut before = laid_out.iter().map_while(Option::as_ref);
                if before.any(|other| other.exchange == message.exchange) {
                    // Whether it may be sent depends on what comes of the other.
                    break;
                }
                let tried = if together && message.is_long() {
                    self.lay_out(n, message).map(Some)
                } else {
                    let BatchMessage { exchange, kind, payload, .. } = *message;
                    self.send(cx, exchange, kind, payload).map(|()| None)
                };
                match tried {
                    Ok(None) => message.sent = Some(Ok(())),
                    // One of the others may yet give its octets back.
                    Err(SendError::NoRoom) if count > 0 => break,
                    Err(error) => message.sent = Some(Err(error)),
                    Ok(message) => {
                        if let Some(place) = laid_out.get_mut(count) {
                            *place = message;
                            count = count.saturating_add(1);
                        }
                    }
                }
            }
            len = n.saturating_add(1);
        }
        if together {
            self.seal(&mut laid_out);
            for laid_out in laid_out.into_iter().map_while(|laid_out| laid_out) {
                let n = laid_out.number;
                let sent = self.launch_sealed(laid_out, cx.now);
                if let Some(message) = messages.get_mut(n) {
                    message.sent = Some(sent);
                }
            }
        }
        len
    }

    /// Puts headers and payload of a message into octets of its own, if it may be sent.
    #[inline]
    fn lay_out(
        &mut self,
        number: usize,
        message: &BatchMessage<'_>,
    ) -> Result<LaidOut<S>, SendError> {
        let BatchMessage { exchange, kind, payload, .. } = *message;
        let backlogged = self.is_backlogged();
        let entry = self.exchanges.get_mut(&exchange.key).ok_or(SendError::Closed)?;
        entry.may_send(exchange, backlogged)?;
        let (message, octets) = ((kind.protocol, kind.opcode, payload), &mut self.octets);
        let (sessions, node) = (&mut self.sessions, &self.node);
        let laid_out = entry.lay_out(number, exchange, message, sessions, octets, node);
        if laid_out.is_err() {
            // What was allocated for the message is given back.
            self.update(Source::Exchange(exchange.key));
        }
        self.watch_counter(exchange.key.session);
        laid_out
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
        let LaidOut { exchange: ExchangeHandle { key, .. }, header, held, message, .. } = laid_out;
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
