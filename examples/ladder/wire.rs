//! A network that loses what it is told to, and draws what is sent.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time;

use matter_session::describe::Description;
use matter_session::time::Instant;

use super::{Direction, draw_line};

/// The network. Nodes on several threads share it.
pub(crate) struct Wire {
    epoch: time::Instant,
    state: Mutex<State>,
}

struct State {
    to_lose: Vec<(Direction, &'static str)>,
    seen: HashSet<Vec<u8>>,
    repeated: usize,
}

impl Wire {
    /// A network that loses the first transmission of each message named.
    pub(crate) fn losing(to_lose: &[(Direction, &'static str)]) -> Self {
        let state = State { to_lose: to_lose.to_vec(), seen: HashSet::new(), repeated: 0 };
        Self { epoch: time::Instant::now(), state: Mutex::new(state) }
    }

    /// The time on the clock that all nodes of this process go by.
    pub(crate) fn now(&self) -> Instant {
        Instant::ZERO + self.epoch.elapsed()
    }

    /// Draws a message that is sent. False if it gets lost.
    pub(crate) fn carry(&self, direction: Direction, datagram: &[u8]) -> bool {
        let mut state = self.state();
        let name = Description::of(datagram).name().to_string();
        // A retransmission repeats the very bytes.
        let again = !state.seen.insert(datagram.to_vec());
        state.repeated += usize::from(again);
        let loss = state.to_lose.iter().position(|loss| *loss == (direction, name.as_str()));
        if let Some(loss) = loss {
            state.to_lose.remove(loss);
        }
        let label = if again { format!("{name}, again") } else { name };
        draw_line(self.now(), direction, &label, datagram.len(), loss.is_some());
        loss.is_none()
    }

    /// How many datagrams were sent again since this was asked last.
    pub(crate) fn take_repeated(&self) -> usize {
        core::mem::take(&mut self.state().repeated)
    }

    /// Whether everything that was to get lost has been sent.
    pub(crate) fn has_lost_all(&self) -> bool {
        self.state().to_lose.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
