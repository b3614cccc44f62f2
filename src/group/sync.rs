//! Message counter synchronisation (MCSP): a receiver asks a sender for its group counter.
//!
//! ```text
//! receiver ── MsgCounterSyncReq: challenge (8) ─────────────────────▶ sender
//! receiver ◀── MsgCounterSyncRsp: counter (4) │ challenge (8) ─────── sender
//! ```
//! Both are control messages under the group's key, from node to node. [Core, "Message Counter
//! Synchronization Protocol (MCSP)"]

use core::time::Duration;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;

use crate::ids::MessageCounter;
use crate::session::{ReplayWindow, Verdict};
use crate::time::{self, Instant};

/// Maximum random wait before a request, since many nodes receive the message that causes one.
pub const REQUEST_SPREAD: Duration = Duration::from_millis(500);
/// Maximum wait for the answer.
pub const SYNC_TIMEOUT: Duration = Duration::from_millis(2000);

/// Eight random bytes that match an answer to its request.
#[derive(Clone, Copy, Debug)]
pub struct Challenge([u8; Self::LEN]);

impl Challenge {
    /// Its length in bytes: it is the whole payload of a request.
    pub const LEN: usize = 8;

    fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut octets = [0; Self::LEN];
        rng.fill_bytes(&mut octets);
        Self(octets)
    }

    /// Reads the payload of a request; `None` unless it has eight bytes.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        payload.try_into().ok().map(Self)
    }

    /// Returns the payload of a request.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl PartialEq for Challenge {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Challenge {}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncResponse {
    /// The counter of the last message that the sender has sent to any group; not 0.
    pub counter: MessageCounter,
    /// The challenge of the request.
    pub challenge: Challenge,
}

impl SyncResponse {
    /// Its length in bytes.
    pub const LEN: usize = 12;

    /// Reads the payload; `None` unless it has 12 bytes and the counter is not 0.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (counter, challenge) = payload.split_first_chunk()?;
        let counter = u32::from_le_bytes(*counter);
        let challenge = Challenge::parse(challenge)?;
        (counter != 0).then_some(Self { counter: MessageCounter::new(counter), challenge })
    }

    /// Returns the payload.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let [a, b, c, d] = self.counter.get().to_le_bytes();
        let [e, f, g, h, i, j, k, l] = self.challenge.0;
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }
}

/// Returns when to send a request: after a random wait, since many nodes receive the message that
/// causes one.
pub fn request_at(rng: &mut dyn CryptoRng, now: Instant) -> Instant {
    let spread = time::as_millis(REQUEST_SPREAD).saturating_add(1);
    let wait = u64::from(rng.next_u32()).saturating_mul(spread) >> 32;
    now + Duration::from_millis(wait)
}

/// The challenges of a node that asks senders for their counters.
///
/// All requests of two seconds have the same one. It proves that an answer is new, and the key that
/// seals the answer proves whose it is. So nothing needs to be kept of a sender that was asked:
/// however many do not answer, the answer of another is accepted.
#[derive(Debug, Default)]
pub struct Challenges {
    current: Option<Drawn>,
    previous: Option<Drawn>,
}

#[derive(Clone, Copy, Debug)]
struct Drawn {
    challenge: Challenge,
    at: Instant,
}

impl Challenges {
    /// Has none yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { current: None, previous: None }
    }

    /// Returns the challenge of a request that is sent now.
    pub fn ask(&mut self, rng: &mut dyn CryptoRng, now: Instant) -> Challenge {
        if let Some(current) = self.current.filter(|drawn| now < drawn.at + SYNC_TIMEOUT) {
            return current.challenge;
        }
        let challenge = Challenge::random(rng);
        self.previous = self.current.replace(Drawn { challenge, at: now });
        challenge
    }

    /// Handles an answer. Returns `None` if it does not match a request of the last
    /// [`SYNC_TIMEOUT`]; for some requests the time is up to twice as long.
    #[must_use]
    pub fn handle_response(&self, response: &SyncResponse, now: Instant) -> Option<Synchronized> {
        let drawn = [self.current, self.previous].into_iter().flatten();
        let mut recent = drawn.filter(|drawn| now <= drawn.at + SYNC_TIMEOUT + SYNC_TIMEOUT);
        let asked = recent.any(|drawn| drawn.challenge == response.challenge);
        asked.then(|| Synchronized::at(response.counter))
    }
}

/// The reception state of a sender that has answered with its counter. It checks the queued
/// messages first, and then those that arrive.
///
/// The specification lets a receiver accept larger counters only from then on, and queued messages
/// have smaller ones. So they are checked with a window of their own, which ends with the counter
/// of the answer. Each of the last 32 is new once.
#[derive(Clone, Debug)]
pub struct Synchronized {
    waited: ReplayWindow,
    window: ReplayWindow,
    counter: u32,
}

impl Synchronized {
    const fn at(counter: MessageCounter) -> Self {
        let counter = counter.get();
        Self {
            waited: ReplayWindow::group_before(MessageCounter::new(counter.wrapping_add(1))),
            window: ReplayWindow::group_at(MessageCounter::new(counter)),
            counter,
        }
    }

    /// Continues for a sender that was trusted meanwhile: counters seen since stay seen.
    pub(crate) const fn join(&mut self, mut window: ReplayWindow) {
        window.settle(MessageCounter::new(self.counter));
        self.window = window;
    }

    /// Checks and remembers the counter of a queued message.
    #[must_use = "a duplicate is not to be delivered"]
    pub const fn admit(&mut self, counter: MessageCounter) -> Verdict {
        // What was sent after the answer is no matter of the past.
        let is_later = counter.get().wrapping_sub(self.counter).wrapping_sub(1) < 1 << 31;
        let window = if is_later { &mut self.window } else { &mut self.waited };
        let verdict = window.check(counter);
        window.commit(counter);
        verdict
    }

    /// Returns the window for messages that arrive from now on.
    #[must_use]
    pub const fn into_window(self) -> ReplayWindow {
        self.window
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::std_instead_of_alloc, reason = "tests have std and panic")]
mod tests {
    use std::vec::Vec;

    use super::*;

    struct Octets(u8);

    impl rand_core::TryRng for Octets {
        type Error = core::convert::Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(u32::from_ne_bytes([self.0; 4]))
        }

        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(u64::from_ne_bytes([self.0; 8]))
        }

        fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Self::Error> {
            octets.fill(self.0);
            Ok(())
        }
    }

    impl rand_core::TryCryptoRng for Octets {}

    fn counter(value: u32) -> MessageCounter {
        MessageCounter::new(value)
    }

    #[test]
    fn messages_have_exact_lengths_and_no_counter_of_zero() {
        let response = SyncResponse { counter: counter(0x0403_0201), challenge: Challenge([9; 8]) };
        let bytes = response.to_bytes();
        assert_eq!(bytes, [1, 2, 3, 4, 9, 9, 9, 9, 9, 9, 9, 9]);
        assert_eq!(SyncResponse::parse(&bytes), Some(response));
        assert_eq!(SyncResponse::parse(&bytes[..11]), None);
        assert_eq!(SyncResponse::parse(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(SyncResponse::parse(&[&[0; 4], &bytes[4..]].concat()), None);
        assert_eq!(Challenge::parse(&[9; 8]), Some(response.challenge));
        assert!([0, 7, 9].iter().all(|len| Challenge::parse(&[9; 9][..*len]).is_none()));
    }

    #[test]
    fn a_request_waits_at_most_half_a_second() {
        for (octet, wait) in [(0, 0), (0x80, 251), (0xFF, 500)] {
            let begun = Instant::from_millis(1000);
            let due = request_at(&mut Octets(octet), begun);
            assert_eq!(due, begun + Duration::from_millis(wait));
        }
    }

    #[test]
    fn an_answer_is_accepted_for_two_seconds_at_least_and_four_at_most() {
        for later in [0, 1999, 2000, 4000] {
            let mut challenges = Challenges::new();
            let at = Instant::from_millis;
            let answer = |challenge| SyncResponse { counter: counter(5), challenge };
            let is_taken = |challenges: &Challenges, challenge, millis| {
                challenges.handle_response(&answer(challenge), at(millis)).is_some()
            };
            assert!(!is_taken(&challenges, Challenge([1; 8]), 9000), "nothing was asked yet");
            let first = challenges.ask(&mut Octets(1), at(10_000));
            let second = challenges.ask(&mut Octets(2), at(10_000 + later));
            assert_eq!(first == second, later < 2000);
            for millis in [0, 2000, 4000] {
                let in_time = 10_000 + millis;
                assert_eq!(is_taken(&challenges, first, in_time), millis <= 4000);
                assert!(!is_taken(&challenges, Challenge([3; 8]), in_time));
            }
            assert!(is_taken(&challenges, second, 10_000 + later + 2000));
            assert!(!is_taken(&challenges, first, 14_001));
            assert!(!is_taken(&challenges, second, 10_000 + later + 4001));
        }
    }

    #[test]
    fn what_waited_is_new_once_within_32_counters_of_the_answer() {
        for base in [100, 5, u32::MAX - 3] {
            let near = |offset: i32| counter(base.wrapping_add_signed(offset));
            let mut state = Synchronized::at(counter(base));
            let offsets = [0, -1, -31, -32, -33, 1, 2, 0, -1, -31, 1];
            let verdicts: Vec<_> =
                offsets.iter().map(|offset| state.admit(near(*offset)) == Verdict::New).collect();
            let expected = [true, true, true, false, false, true, true, false, false, false, false];
            assert_eq!(verdicts, expected, "around {base}");
            let window = state.into_window();
            assert!((-40..=2).all(|n| window.check(near(n)) == Verdict::Duplicate));
            assert_eq!(window.check(near(3)), Verdict::New);
        }
    }
}
