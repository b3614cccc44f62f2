//! A manager behind a UDP socket, for the loops of controllers and devices.

use core::net::{Ipv4Addr, SocketAddr};

use matter_session::context::{Context, Services};
use matter_session::crypto::SigningKey;
use matter_session::manager::{Event, HeapSessionManager, PeerAddress};
use mio::net::UdpSocket;

use crate::{Outcome, Uptime, system_rng, wall};

/// The largest datagram of Matter.
pub const MAX_DATAGRAM: usize = 1280;

/// A node.
pub struct Node {
    /// Its manager.
    pub manager: HeapSessionManager,
    /// Its socket, which does not block.
    pub socket: UdpSocket,
    key: SigningKey,
    uptime: Uptime,
}

impl Node {
    /// Puts a manager and its operational key behind a free port of the loopback.
    ///
    /// # Errors
    /// There is no socket left: see `ulimit -n`.
    pub fn new(manager: HeapSessionManager, key: SigningKey, uptime: Uptime) -> Outcome<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self { manager, socket, key, uptime })
    }

    /// Calls the manager with randomness, the calendar time and the time of the process.
    pub fn with<R>(
        &mut self,
        act: impl FnOnce(&mut HeapSessionManager, &mut Context<'_>) -> R,
    ) -> R {
        let mut rng = system_rng();
        let mut services = Services::new(&mut rng).with_wall(wall());
        act(&mut self.manager, &mut services.at(self.uptime.now()))
    }

    /// Returns the next datagram, if there is one.
    pub fn read<'b>(
        &self,
        buffer: &'b mut [u8; MAX_DATAGRAM],
    ) -> Option<(&'b mut [u8], SocketAddr)> {
        loop {
            match self.socket.recv_from(buffer) {
                Ok((len, from)) => return Some((buffer.get_mut(..len)?, from)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
                // Some systems report here that a datagram did not reach a peer that was killed. A
                // product returns errors that stay: this loop would not end.
                Err(_) => {}
            }
        }
    }

    /// Handles timeouts once, and signatures. Returns the other events. A handshake computes one
    /// part in each call, so the caller can handle datagrams in between.
    pub fn advance(&mut self) -> Vec<Event<()>> {
        self.with(|manager, cx| manager.handle_timeout(cx));
        let mut events = Vec::new();
        while let Some(event) = self.manager.poll_event() {
            match event {
                Event::SignRequest(request) => {
                    let signed = request.sign_with(&mut self.key);
                    // A handshake that has ended needs none.
                    let _ = self.with(|manager, cx| manager.complete_signature(cx, signed));
                }
                event => events.push(event),
            }
        }
        events
    }

    /// Sends all datagrams that the manager has queued.
    pub fn transmit(&mut self) {
        let now = self.uptime.now();
        while let Some(transmit) = self.manager.poll_transmit(now) {
            if let PeerAddress::Udp(to) = transmit.to {
                // A datagram that the socket refuses counts as lost: it is retransmitted.
                let _ = self.socket.send_to(transmit.datagram, to);
            }
        }
    }
}
