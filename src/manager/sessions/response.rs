//! The deadline of the response to a request.
//!
//! ```text
//! sent reliably on an exchange of this node ──▶ waits ──a message of the peer──▶ answered
//!    or: the application waits for a message      │ │
//!                                                 │ └──the deadline──▶ Event::NoResponse
//!                                                 └──given up────────▶ Event::Undelivered
//! ```
//! The deadline is the time of the request, of the peer's work and of the response, each as long as
//! it can take. While the request is in flight, its own retransmissions decide, and nothing is
//! computed: most often the response acknowledges the request. If it arrives later than planned,
//! the time of the peer's work begins then.

use core::num::NonZeroU32;
use core::time::Duration;

use crate::crypto::Crypto;
use crate::exchange::max_transmission_time;
use crate::manager::config::Config;
use crate::manager::delivery::Delivery;
use crate::manager::handle::{ExchangeHandle, ExchangeKey, PeerAddress};
use crate::manager::node::Node;
use crate::manager::sessions::awaited::Awaited;
use crate::manager::sessions::entry::Entry;
use crate::manager::sessions::exchanges::ExchangeEntry;
use crate::manager::sessions::tables::Sessions;
use crate::manager::storage::Storage;
use crate::time::{Instant, as_millis, from_millis};

impl<C: Crypto, T> Entry<C, T> {
    /// Returns how long a message can take on this session, in milliseconds, retransmissions
    /// included. Over UDP the recipient listens at the `first` interval when the first transmission
    /// is made, and at the `later` one after. A network that is slow for this node is slow for the
    /// peer too.
    fn transfer_time(&self, config: &Config, first: Duration, later: Duration) -> u64 {
        /// A TCP connection that delivers nothing for so long is broken.
        const TCP: u64 = 30_000;
        /// As over Bluetooth: `BTP_ACK_TIMEOUT`.
        const LINK: u64 = 15_000;
        match self.address {
            PeerAddress::Udp(_) => {
                let own = from_millis(self.boost.into());
                let boost = config.retransmission_boost.saturating_add(own);
                as_millis(max_transmission_time(first, later, boost))
            }
            PeerAddress::Tcp(_) => TCP,
            PeerAddress::Link(_) => LINK,
        }
    }
}

impl<S: Storage> ExchangeEntry<S> {
    /// Waits for a message of the peer, which has this time for its work from the moment on in
    /// which it has what was sent. [`Duration::MAX`] waits without a deadline.
    pub(super) fn await_response<C: Crypto, T>(
        &mut self,
        session: &Entry<C, T>,
        processing: Duration,
        now: Instant,
        config: &Config,
    ) {
        let millis = |time| u32::try_from(as_millis(time)).unwrap_or(u32::MAX);
        let interval = session.session.base_interval(now).min(config.longest_interval);
        let awaited = NonZeroU32::new(millis(interval)).map(|interval| Awaited {
            due: now,
            interval,
            processing: millis(processing),
        });
        self.awaited = awaited.filter(|_| processing != Duration::MAX);
        if !self.exchange.is_in_flight() {
            self.request_arrived(session, now, now, config);
        }
    }

    /// Waits for what follows a message that was sent reliably: the response on an exchange of this
    /// node, and on one of the peer what the application waits for.
    pub(super) fn await_next<C: Crypto, T>(
        &mut self,
        key: ExchangeKey,
        session: &Entry<C, T>,
        now: Instant,
        config: &Config,
    ) {
        let asked = self.awaited.map(|awaited| from_millis(awaited.processing.into()));
        let processing = if key.initiator { Some(config.processing_time) } else { asked };
        if let Some(processing) = processing {
            self.await_response(session, processing, now, config);
        }
    }

    /// Notes that the request has arrived, which was sealed then, and computes the deadline.
    #[inline(never)]
    pub(super) fn request_arrived<C: Crypto, T>(
        &mut self,
        session: &Entry<C, T>,
        sealed: Instant,
        now: Instant,
        config: &Config,
    ) {
        let Some(awaited) = &mut self.awaited else { return };
        let first = from_millis(awaited.interval.get().into());
        let later = session.session.peer_parameters().active_interval();
        let request = session.transfer_time(config, first, later.min(config.longest_interval));
        // This node is awake while it has an exchange.
        let own = config.parameters.active_interval();
        let response = session.transfer_time(config, own, own);
        let arrived = sealed.as_millis().saturating_add(request).max(now.as_millis());
        let answered = arrived.saturating_add(awaited.processing.into());
        awaited.due = Instant::from_millis(answered.saturating_add(response));
    }

    /// Returns when the response is overdue, if one is waited for and the request has arrived.
    pub(super) fn response_due(&self) -> Option<Instant> {
        self.awaited.filter(|_| !self.exchange.is_in_flight()).map(|awaited| awaited.due)
    }

    /// Puts the deadline off.
    pub(super) fn defer_response(&mut self, until: Instant) {
        if let Some(awaited) = &mut self.awaited {
            awaited.due = until;
        }
    }
}

impl<C: Crypto, S: Storage, T: Default> Sessions<C, S, T> {
    /// Waits for a message of the peer on an exchange. Returns false if the exchange is closed.
    pub(in crate::manager) fn expect_response(
        &mut self,
        exchange: ExchangeHandle,
        processing: Duration,
        now: Instant,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> bool {
        let session = self.table.by_local(exchange.key.session);
        let Some((session, entry)) = session.zip(self.exchanges.open_mut(exchange)) else {
            return false;
        };
        entry.await_response(session, processing, now, &node.config);
        self.update(exchange.key, delivery, node);
        true
    }
}
