//! The part that all four handshakes share: the deadline and the end.

use core::fmt;
use core::time::Duration;

use super::error::HandshakeError;
use super::failure::Failure;
use super::step::Step;
use crate::session::SessionParameters;
use crate::time::Instant;

/// The time limit of PASE in total, and of CASE for each message: 60 s.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);

/// A handshake: one of the four state machines, its deadline and its end.
///
/// Use it as [`PaseClient`](super::PaseClient), [`PaseServer`](super::PaseServer),
/// [`CaseClient`](super::CaseClient) or [`CaseServer`](super::CaseServer). After an error, and once
/// the session is established, the handshake has ended: its secrets are wiped, and every further
/// message fails with [`HandshakeError::Ended`].
pub struct Handshake<M> {
    pub(super) machine: M,
    deadline: Instant,
}

/// The states of one handshake. Sealed: only the four machines of this crate implement it.
pub trait Machine {
    /// The public name of the handshake.
    const NAME: &'static str;

    /// The name of the present state; `None` once the handshake has ended.
    fn state(&self) -> Option<&'static str>;

    /// Returns true if the handshake waits for a signature of the application.
    fn awaits_signature(&self) -> bool {
        false
    }

    /// Returns true if the handshake waits for nothing but [`proceed`](Step::More).
    fn has_more(&self) -> bool;

    /// Wipes the state: the handshake has ended.
    fn end(&mut self);

    /// The session parameters that the peer declared, while the handshake runs.
    fn peer_parameters(&self) -> Option<&SessionParameters>;
}

impl<M: Machine> Handshake<M> {
    pub(super) fn begin(machine: M, now: Instant) -> Self {
        Self { machine, deadline: now + HANDSHAKE_TIMEOUT }
    }

    /// Starts the timeout anew: CASE limits the wait for each message.
    pub(super) fn restart_timeout(&mut self, now: Instant) {
        self.deadline = now + HANDSHAKE_TIMEOUT;
    }

    /// Makes the deadline an earlier one, until the timeout starts anew.
    pub(crate) fn limit_wait(&mut self, until: Instant) {
        self.deadline = self.deadline.min(until);
    }

    /// Ends the handshake if the step failed or was the last one. A failure gets the report for the
    /// peer, written to `out`.
    pub(super) fn settle(
        &mut self,
        outcome: Result<Step, HandshakeError>,
        out: &mut [u8],
    ) -> Result<Step, Failure> {
        if !matches!(outcome, Ok(Step::Send(_) | Step::Sign(_) | Step::Claim(_) | Step::More)) {
            self.machine.end();
        }
        outcome.map_err(|error| Failure::new(error, out))
    }

    /// Fails unless more is to be computed, or if the deadline has passed.
    pub(super) fn check_more(&mut self, now: Instant, out: &mut [u8]) -> Result<(), Failure> {
        if !self.has_more() {
            return Err(Failure::silent(HandshakeError::NothingLeft));
        }
        self.handle_timeout(now, out)
    }

    /// Ends the handshake if a step that was accepted was the last one.
    #[cfg(feature = "initiator")]
    pub(super) fn accept(&mut self, step: Step) -> Result<Step, HandshakeError> {
        if matches!(step, Step::Established { .. }) {
            self.machine.end();
        }
        Ok(step)
    }

    /// Returns true if more is to be computed: the last step was [`Step::More`].
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.machine.has_more()
    }

    /// Ends the handshake and wipes its secrets. The peer is not informed.
    pub fn end(&mut self) {
        self.machine.end();
    }

    /// Returns the session parameters that the peer declared: after its first message, and until
    /// the handshake ends.
    #[must_use]
    pub fn peer_parameters(&self) -> Option<&SessionParameters> {
        self.machine.peer_parameters()
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due; `None` once the handshake has
    /// ended.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.machine.state().map(|_| self.deadline)
    }

    /// Ends the handshake if its deadline has passed. An early call does nothing. A message or
    /// signature that comes after the deadline has the same effect.
    ///
    /// # Errors
    /// [`Failure`] with [`HandshakeError::TimedOut`], or with [`HandshakeError::SignatureOverdue`] if
    /// the handshake waited for a signature.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut [u8]) -> Result<(), Failure> {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        let error = self.overdue();
        self.machine.end();
        Err(Failure::new(error, out))
    }

    /// Returns why the handshake ends if its deadline passes now.
    pub(crate) fn overdue(&self) -> HandshakeError {
        if self.machine.awaits_signature() {
            HandshakeError::SignatureOverdue
        } else {
            HandshakeError::TimedOut
        }
    }
}

impl<M: Machine> fmt::Debug for Handshake<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(M::NAME)
            .field("state", &self.machine.state().unwrap_or("Ended"))
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
