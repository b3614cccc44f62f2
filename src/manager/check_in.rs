//! Check-In messages of this node.

use super::SessionManager;
use super::event::Transmit;
use super::handle::PeerAddress;
use super::storage::Storage;
use crate::check_in::{CheckIn, RegisteredKey, SealError};
use crate::context::Context;
use crate::crypto::Crypto;

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    /// Tells a client that this node is awake: seals a Check-In message under the key that the
    /// client has registered, straight into `buf`, which must hold
    /// [`payload_len`](CheckIn::payload_len), [`HEADROOM`](crate::wire::HEADROOM) and
    /// [`TAILROOM`](crate::wire::TAILROOM) octets. It goes once, over UDP, and nobody answers: send
    /// what is returned.
    ///
    /// # Errors
    /// [`SealError`]; nothing is to be sent then.
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
        Ok(Transmit { to: client, datagram: sealed.as_bytes() })
    }
}
