//! Check-In messages of this node.

use crate::check_in::{CheckIn, RegisteredKey, SealError, protocol_header};
use crate::context::Context;
use crate::crypto::Crypto;
use crate::manager::SessionManager;
use crate::manager::handle::PeerAddress;
use crate::manager::received::Transmit;
use crate::manager::storage::Storage;
use crate::manager::trace::{self, Way};

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Seals a Check-In message, which says to a client that this node is awake. The client has
    /// registered `key` for that. The message is sealed straight into `buf`, which must hold
    /// [`payload_len`](CheckIn::payload_len), [`HEADROOM`](crate::wire::HEADROOM) and
    /// [`TAILROOM`](crate::wire::TAILROOM) bytes. Send the datagram once, over UDP. The client does
    /// not answer it.
    ///
    /// # Errors
    /// [`SealError`]. There is nothing to send then.
    pub fn send_check_in<'b>(
        &mut self,
        cx: &mut Context<'_>,
        client: PeerAddress,
        check_in: &CheckIn<'_>,
        key: &RegisteredKey,
        buf: &'b mut [u8],
    ) -> Result<Transmit<'b>, SealError> {
        let (exchange, counter) =
            (self.delivery.exchange_id(), &mut self.delivery.unsecured_counter);
        let sealed = check_in.encode(&self.crypto, key, exchange, counter, cx.rng, buf)?;
        trace::message(Way::Out, 0, &protocol_header(exchange), sealed.counter());
        Ok(Transmit { to: client, datagram: sealed.as_bytes() })
    }
}
