//! Exchanges, and messages on them.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::ids::MessageType;
use crate::manager::SessionManager;
use crate::manager::error::{OpenError, SendError};
use crate::manager::handle::{ExchangeHandle, SessionHandle};
use crate::manager::received::Transmit;
use crate::manager::sessions::{BatchMessage, Content};
use crate::manager::storage::Storage;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Opens an exchange on a session. Close it when the conversation is over. A node has at most
    /// five at a time on one session
    /// ([`Config::max_own_exchanges_per_session`](crate::Config::max_own_exchanges_per_session)),
    /// as its peer may have no room for more. It is never displaced, and peers leave room for it:
    /// [`Config::max_exchanges`](crate::Config::max_exchanges). [`guide::pipelining`] shows how to
    /// make many requests.
    ///
    /// # Errors
    /// [`OpenError`]. After `SessionFull` and `TooMany`,
    /// [`Event::ExchangeAvailable`](crate::Event::ExchangeAvailable) says when to try again.
    ///
    /// [`guide::pipelining`]: crate::guide::pipelining
    pub fn open_exchange(
        &mut self,
        cx: &mut Context<'_>,
        session: SessionHandle,
    ) -> Result<ExchangeHandle, OpenError> {
        self.sessions.open_exchange(cx.now, session, &mut self.delivery, &self.node)
    }

    /// Closes an exchange: the conversation is over. Nothing more can be sent on it, and what the
    /// peer sends is acknowledged and not received. An acknowledgement that is owed leaves at once.
    ///
    /// The exchange ends when it is settled, as a session does after
    /// [`close_when_settled`](super::Sessions::close_when_settled): a message in flight is still
    /// retransmitted, and [`Event::Acknowledged`](crate::Event::Acknowledged) or
    /// [`Event::Undelivered`](crate::Event::Undelivered) is still reported. No response is waited
    /// for.
    pub fn close_exchange(&mut self, exchange: ExchangeHandle) {
        self.sessions.close_exchange(exchange, &mut self.delivery, &self.node);
    }

    /// Sends a message reliably. It is encrypted once, and retransmitted until the peer
    /// acknowledges it ([`Event::Acknowledged`](crate::Event::Acknowledged)) or five transmissions
    /// were in vain ([`Event::Undelivered`](crate::Event::Undelivered)). Over a reliable transport
    /// it is sent once, and neither event follows, unless its exchange ends before it was sent.
    ///
    /// On an exchange that this node began, the message is a request: if it arrives and no message
    /// of the peer follows in time, [`Event::NoResponse`](crate::Event::NoResponse) is reported.
    /// After the last message of a conversation, close the exchange.
    ///
    /// While an older message of the session is in flight, and others could take it out of the
    /// replay window of the peer, the message waits in its exchange. It is encrypted and sent when
    /// the older one is acknowledged or given up, without another call.
    ///
    /// # Errors
    /// [`SendError`]; nothing is sent then.
    pub fn send(
        &mut self,
        cx: &mut Context<'_>,
        exchange: ExchangeHandle,
        kind: MessageType,
        payload: &[u8],
    ) -> Result<(), SendError> {
        let content = Content { kind, payload };
        self.sessions.send(cx.now, exchange, content, &mut self.delivery, &self.node)
    }

    /// Sends many messages reliably, as [`send`](Self::send) one after the other would. The result
    /// of each is in [`BatchMessage::result`]. Messages are encrypted together
    /// ([`Cipher::seal_batch`](crate::crypto::Cipher::seal_batch)). With payloads of some hundred
    /// bytes or more this takes less time than single calls, with short ones it takes more. A message
    /// that was sent before is not sent again.
    ///
    #[cfg_attr(all(feature = "alloc", feature = "rustcrypto"), doc = "```")]
    #[cfg_attr(not(all(feature = "alloc", feature = "rustcrypto")), doc = "```ignore")]
    /// use matter_session::manager::{BatchMessage, SendError};
    /// use matter_session::{Context, ExchangeHandle, HeapSessionManager, MessageType, Services};
    ///
    /// /// Reports to all subscribers what has changed; returns those that have to wait.
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
    ///     let waits = |report: &&BatchMessage<'_>| {
    ///         report.result() == Some(Err(SendError::InFlight))
    ///     };
    ///     reports.iter().filter(waits).map(BatchMessage::exchange).collect()
    /// }
    /// # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
    /// # let (config, crypto) = (matter_session::Config::default(), matter_session::RustCrypto);
    /// # let mut node = HeapSessionManager::new(config, crypto, &mut rng);
    /// # let mut services = Services::new(&mut rng);
    /// # let mut cx = services.at(matter_session::Instant::ZERO);
    /// # assert!(report(&mut node, &mut cx, &[]).is_empty());
    /// ```
    pub fn send_all(&mut self, cx: &mut Context<'_>, messages: &mut [BatchMessage<'_>]) {
        let Self { crypto, sessions, delivery, node, .. } = self;
        sessions.send_all(crypto, cx.now, messages, delivery, node);
    }

    /// Sends a message once, sealed straight into `buf`, which must hold the payload and
    /// [`HEADROOM`](crate::wire::HEADROOM) + [`TAILROOM`](crate::wire::TAILROOM) bytes (52) more.
    /// Send what is returned.
    ///
    /// # Errors
    /// [`SendError`]; nothing is to be sent then.
    pub fn send_unreliable<'b>(
        &mut self,
        cx: &mut Context<'_>,
        exchange: ExchangeHandle,
        kind: MessageType,
        payload: &[u8],
        buf: &'b mut [u8],
    ) -> Result<Transmit<'b>, SendError> {
        let content = Content { kind, payload };
        let Self { sessions, delivery, node, .. } = self;
        sessions.send_unreliable(cx.now, exchange, content, buf, delivery, node)
    }
}
