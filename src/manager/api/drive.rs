//! The loop: datagrams in, datagrams out, time, events.

use crate::context::Context;
use crate::crypto::Crypto;
use crate::manager::SessionManager;
use crate::manager::event::Event;
use crate::manager::handle::PeerAddress;
use crate::manager::received::{Received, Transmit};
use crate::manager::sessions::Datagram;
use crate::manager::storage::Storage;
use crate::time::Instant;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Handles a datagram, or a message of a reliable transport. It is decrypted in place. The
    /// result borrows the datagram alone, so an answer can be sent while it is read.
    ///
    /// A datagram that is not accepted is [`Received::Dropped`], which is no fault of the caller:
    /// every unauthenticated sender can cause it. The [`statistics`](Self::statistics) count it.
    pub fn handle_datagram<'b>(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        datagram: &'b mut [u8],
    ) -> Received<'b> {
        self.receive(cx, from, datagram)
    }

    /// Handles many datagrams in their order. The results, the events and the datagrams to send are
    /// the same as if [`handle_datagram`](Self::handle_datagram) had handled one after the other.
    /// But messages of secure sessions with 256 bytes of payload or more are decrypted together
    /// ([`Cipher::open_batch`](crate::crypto::Cipher::open_batch)), which takes less time.
    ///
    /// For callers that read many datagrams at once, with `recvmmsg` or from a ring:
    ///
    #[cfg_attr(all(feature = "alloc", feature = "rustcrypto"), doc = "```")]
    #[cfg_attr(not(all(feature = "alloc", feature = "rustcrypto")), doc = "```ignore")]
    /// use core::net::SocketAddr;
    ///
    /// use matter_session::manager::Datagram;
    /// use matter_session::{Context, HeapSessionManager, Received, Services};
    ///
    /// /// What one system call has read: buffers, and the length and sender of each datagram.
    /// struct Ring {
    ///     buffers: [[u8; 1280]; 32],
    ///     read: Vec<(usize, SocketAddr)>,
    /// }
    ///
    /// fn handle_all(node: &mut HeapSessionManager, cx: &mut Context<'_>, ring: &mut Ring) {
    ///     let read = ring.buffers.iter_mut().zip(&ring.read);
    ///     let mut batch: Vec<_> = read
    ///         .map(|(buffer, (len, from))| Datagram::new((*from).into(), &mut buffer[..*len]))
    ///         .collect();
    ///     node.handle_datagrams(cx, &mut batch);
    ///     for datagram in &mut batch {
    ///         if let Some(Received::Message(message)) = datagram.take() {
    ///             println!("{} bytes from {}", message.payload.len(), datagram.from());
    ///             node.close_exchange(message.exchange);
    ///         }
    ///     }
    /// }
    /// # let mut rng = matter_session::rand_core::UnwrapErr(getrandom::SysRng);
    /// # let (config, crypto) = (matter_session::Config::default(), matter_session::RustCrypto);
    /// # let mut node = HeapSessionManager::new(config, crypto, &mut rng);
    /// # let mut services = Services::new(&mut rng);
    /// # let mut cx = services.at(matter_session::Instant::ZERO);
    /// # let mut ring = Ring { buffers: [[0; 1280]; 32], read: vec![(9, ([0; 4], 1).into())] };
    /// # handle_all(&mut node, &mut cx, &mut ring);
    /// # assert_eq!(node.statistics().dropped_in_all(), 1);
    /// ```
    pub fn handle_datagrams(&mut self, cx: &mut Context<'_>, batch: &mut [Datagram<'_>]) {
        self.receive_all(cx, batch);
    }

    /// Handles every deadline that has come: acknowledgements and retransmissions become due;
    /// handshakes, the commissioning window and resumption records expire; senders to groups are
    /// asked for their counters. Early and late calls do no harm.
    ///
    /// Then one of the handshakes that have something to compute does the next part of it: one
    /// operation on the curve, or 512 iterations of PBKDF2. They take turns. This is the only call
    /// that computes for them what takes long, except for the key pair of
    /// [`connect_case`](Self::connect_case).
    ///
    /// Handle all datagrams that have arrived between two of these calls, and do not repeat the call
    /// until nothing is left to compute: then a message waits for one part at most, and not for all
    /// parts of all handshakes.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        self.handle_deadlines(cx);
    }

    /// Returns the next datagram to send; `None` when there is nothing more.
    #[must_use = "what is polled counts as sent"]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        self.transmit(now)
    }

    /// Returns the next event, oldest first.
    #[must_use = "an event is returned once"]
    pub fn poll_event(&mut self) -> Option<Event<T>> {
        self.next_event()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due; `None` when nothing will
    /// happen without a datagram or a call. While a handshake has something to compute, this is a time
    /// that has come.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_deadline()
    }

    /// Returns true if nothing is left to send or to be acknowledged, and no handshake is running:
    /// a program may end now without leaving a peer in doubt.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.has_settled()
    }
}
