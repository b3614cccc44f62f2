//! Handshakes in progress, and the commissioning window, which serves PASE.
//!
//! Each handshake has a [`Slot`]: its state machine, its unsecured session and its exchange.
//! A part of the manager: its methods return what concerns another part as a value, [`Arrival`]
//! or [`Progress`].

mod admit;
mod arrival;
#[cfg(feature = "initiator")]
mod attempts;
mod certificates;
mod commissioning;
#[cfg(feature = "initiator")]
mod connect;
mod contention;
#[cfg(feature = "initiator")]
mod destination;
mod ending;
mod lending;
mod machine;
mod message;
mod output;
mod progress;
#[cfg(feature = "initiator")]
mod race;
mod receive;
mod reply;
mod slot;
mod slots;
mod step;
mod window;

use core::time::Duration;

use self::slot::Slot;
use self::window::OpenWindow;
use crate::crypto::Crypto;
use crate::manager::handle::HandshakeId;
use crate::manager::storage::{Map, Place, SecretPlace, Storage};

#[cfg(feature = "initiator")]
pub(super) use self::arrival::Answer;
pub(super) use self::arrival::{Arrival, First};
#[cfg(feature = "initiator")]
pub(super) use self::attempts::MAX_ADDRESSES;
#[cfg(feature = "initiator")]
pub(super) use self::destination::Destination;
pub(super) use self::machine::Input;
pub(super) use self::progress::{NewlyEstablished, Progress, Stepped};
pub use self::window::CommissioningWindow;

/// The handshakes in progress, and the commissioning window.
pub(super) struct Handshakes<C: Crypto, S: Storage> {
    slots: S::Handshakes<Slot<C, S>>,
    window: SecretPlace<OpenWindow>,
    /// The handshake whose certificates the event polled last lends.
    lending: Option<HandshakeId>,
    /// The handshake that computed last.
    worked: HandshakeId,
    /// The last one that has its turn to compute in this round.
    round_end: HandshakeId,
    /// Set while every new handshake is refused as busy: the wait that the report announces.
    turning_away: Place<Duration>,
}

impl<C: Crypto, S: Storage> Handshakes<C, S> {
    pub(super) const EMPTY: Self = Self {
        slots: Map::EMPTY,
        window: SecretPlace::VACANT,
        lending: None,
        worked: 0,
        round_end: 0,
        turning_away: Place::VACANT,
    };

    /// Sets the maximum number of handshakes.
    pub(super) fn limit(&mut self, limit: usize) {
        self.slots.limit(limit);
    }

    /// Refuses every new handshake as busy with this wait, or ends that.
    pub(super) const fn set_busy(&mut self, wait: Option<Duration>) {
        self.turning_away = match wait {
            Some(wait) => Place::Taken(wait),
            None => Place::VACANT,
        };
    }
}
