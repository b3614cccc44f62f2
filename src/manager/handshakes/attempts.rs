//! The addresses at which a handshake is tried besides the one in its slot.

use crate::exchange::Retry;
use crate::handshake::HandshakeError;
use crate::ids::MessageCounter;
use crate::manager::handle::PeerAddress;
use crate::time::Instant;
use crate::wire::ProtocolHeader;

/// Maximum number of addresses of one handshake.
pub(in crate::manager) const MAX_ADDRESSES: usize = if cfg!(feature = "alloc") { 8 } else { 4 };

/// The attempts at several addresses.
pub(in crate::manager) struct Race {
    /// Whether no answer was accepted yet. Never set with a single address.
    pub(super) is_on: bool,
    /// The attempts besides that of the exchange.
    pub(super) parked: [Option<Attempt>; MAX_ADDRESSES - 1],
    /// Whether one of several addresses has answered: everything else comes from there too.
    pub(super) is_won: bool,
    /// The answer that is tried, while not all of it is computed. Until then no other is.
    pub(super) trial: Option<Trial>,
    /// How many answers from elsewhere were tried.
    pub(super) strays: u8,
    /// The answer refused last.
    pub(super) refusal: Option<(PeerAddress, HandshakeError)>,
}

/// An answer that is tried.
pub(super) struct Trial {
    pub(super) from: PeerAddress,
    pub(super) header: ProtocolHeader,
    pub(super) counter: MessageCounter,
}

/// The transmissions to one address.
pub(super) struct Attempt {
    pub(super) address: PeerAddress,
    pub(super) retry: Retry,
}

impl Race {
    /// One address alone.
    pub(in crate::manager) const NONE: Self = Self {
        is_on: false,
        parked: [const { None }; MAX_ADDRESSES - 1],
        is_won: false,
        trial: None,
        strays: 0,
        refusal: None,
    };

    /// Tries the addresses behind the first one too, each at a time that `start` names. An address
    /// that comes twice is tried once.
    pub(in crate::manager) fn among(
        addresses: &[PeerAddress],
        mut start: impl FnMut() -> Instant,
    ) -> Self {
        let mut race = Self::NONE;
        let mut places = race.parked.iter_mut();
        for (at, address) in addresses.iter().enumerate().skip(1) {
            let is_known = addresses.iter().take(at).any(|known| known == address);
            if is_known {
                continue;
            }
            let Some(place) = places.next() else { break };
            *place = Some(Attempt { address: *address, retry: Retry::starting_at(start()) });
            race.is_on = true;
        }
        race
    }

    /// Tries no other address from now on: the one in the slot has answered, or the handshake ends.
    pub(super) const fn end(&mut self) {
        self.is_won |= self.is_on;
        self.is_on = false;
        self.trial = None;
        self.parked = [const { None }; MAX_ADDRESSES - 1];
    }

    /// Returns the parked addresses to which the message was sent.
    pub(super) fn reached(&self) -> [Option<PeerAddress>; MAX_ADDRESSES - 1] {
        let address = |attempt: &Attempt| attempt.retry.has_begun().then_some(attempt.address);
        self.parked.each_ref().map(|place| place.as_ref().and_then(address))
    }

    /// Returns when a parked attempt is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.parked.iter().flatten().map(|attempt| attempt.retry.next()).min()
    }

    /// Returns the place of the parked attempt that is due first.
    pub(super) fn first_mut(&mut self) -> Option<&mut Option<Attempt>> {
        let next = self.next()?;
        let is_first = |place: &&mut Option<Attempt>| {
            place.as_ref().is_some_and(|attempt| attempt.retry.next() == next)
        };
        self.parked.iter_mut().find(is_first)
    }

    /// Takes the parked attempt that is due first.
    pub(super) fn take_first(&mut self) -> Option<Attempt> {
        self.first_mut()?.take()
    }
}
