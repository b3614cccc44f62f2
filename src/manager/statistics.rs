//! Counters of a manager.

use core::fmt;

use super::received::Dropped;
use crate::handshake::HandshakeError;
use crate::time::Instant;

/// Counters of a manager, from zero when it is made.
///
/// Every counter wraps at 2^32. For a rate, subtract two readings with `wrapping_sub`. `Display`
/// lists those that are not zero.
///
/// Each datagram that was passed in is in [`received`](Self::received), in
/// [`duplicates`](Self::duplicates) or in [`dropped`](Self::dropped).
/// [Core, "General Diagnostics Cluster"]
///
/// ```
/// use matter_session::{Crypto, SessionManager, Statistics, Storage};
///
/// /// Reports how many messages of a thousand had to be sent again since the last report.
/// fn report<C: Crypto, S: Storage>(node: &SessionManager<C, S>, last: &mut Statistics) -> u32 {
///     let now = node.statistics();
///     let sent = now.sent.wrapping_sub(last.sent);
///     let again = now.retransmissions.wrapping_sub(last.retransmissions);
///     *last = now.clone();
///     again.saturating_mul(1000) / sent.max(1)
/// }
/// ```
#[derive(Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Statistics {
    dropped: [u32; Dropped::COUNT],
    /// Messages that were received, without repetitions: of sessions, handshakes and groups, and
    /// Check-In messages.
    pub received: u32,
    /// Messages that were received again. Those of groups are dropped instead:
    /// [`Dropped::GroupReplay`].
    pub duplicates: u32,
    /// Messages that were sent, without repetitions.
    pub sent: u32,
    /// Messages that were sent again, because no acknowledgement was received.
    pub retransmissions: u32,
    /// Messages of sessions that were given up after the last retransmission.
    pub given_up: u32,
    /// Times from the encryption of a message of a session to its acknowledgement, retransmissions
    /// included.
    pub acknowledged: Histogram,
    /// Handshakes that have ended, and how long they took.
    pub handshakes: HandshakeStatistics,
    /// Entries that were removed to make room for others.
    pub evicted: Evictions,
    /// Handshakes refused as busy.
    pub busy: u32,
    /// Requests for PASE refused because the commissioning window was closed.
    pub window_closed: u32,
    /// Short replies that were dropped because the queue was full.
    pub replies_dropped: u32,
}

/// Handshakes that have ended, by outcome, and their durations. Each is one
/// [`Established`](super::Event::Established) or
/// [`HandshakeFailed`](super::Event::HandshakeFailed). Those that the application has cancelled do
/// not count.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct HandshakeStatistics {
    /// Sessions by PASE.
    pub pase: u32,
    /// Sessions by a full handshake of CASE.
    pub case: u32,
    /// Sessions by resumption.
    pub resumed: u32,
    /// The peer ended it with a report.
    pub refused: u32,
    /// The peer did not prove who it is: passcode, certificates, signature or resumption; or the
    /// application's policy rejected it.
    pub unproven: u32,
    /// The peer or a signature took too long.
    pub timed_out: u32,
    /// Another handshake got its slot.
    pub displaced: u32,
    /// It ended for another reason.
    pub failed: u32,
    /// Times from a message of this node to the peer's next one.
    pub peer: Histogram,
    /// Times for which the application worked: on a signature, or on the claim to a record.
    pub application: Histogram,
    /// Times from the beginning of a handshake to its session.
    pub total: Histogram,
}

/// Entries that were removed to make room for others, by kind.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Evictions {
    /// Sessions, because the table was full.
    pub sessions: u32,
    /// Sessions, because their peer had as many as a peer may have.
    pub sessions_of_peer: u32,
    /// Exchanges of peers, because the table was full.
    pub exchanges: u32,
    /// Resumption records, because the table was full.
    pub records: u32,
}

/// A histogram of durations, in powers of two.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Histogram([u32; Self::LEN]);

impl Histogram {
    /// Number of classes.
    pub const LEN: usize = 12;

    const EMPTY: Self = Self([0; Self::LEN]);

    /// Returns each class, the shortest first: its upper limit in ms, which it does not include,
    /// and the number of durations in it. The limits are 8 ms, 16 ms and so on to 8,192 ms; the
    /// last class, of longer durations, has none.
    pub fn iter(&self) -> impl Iterator<Item = (Option<u32>, u32)> {
        let limits = (0..).map(|class| 8_u32.checked_shl(class));
        let all_but_last = limits.take(Self::LEN.saturating_sub(1)).chain([None]);
        all_but_last.zip(self.0)
    }

    /// Returns the number of durations.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.iter().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    /// Counts the time from `since` to `now`.
    #[inline(never)]
    pub(super) fn note(&mut self, since: Instant, now: Instant) {
        let millis = now.as_millis().saturating_sub(since.as_millis());
        let eights = u32::try_from(millis >> 3).unwrap_or(u32::MAX);
        let class = u32::BITS.saturating_sub(eights.leading_zeros()) as usize;
        if let Some(count) = self.0.get_mut(class.min(Self::LEN.saturating_sub(1))) {
            increment(count);
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Lists the classes that are not empty, as in `<16ms: 3`.
impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (limit, count) in self.iter().filter(|(_, count)| *count > 0) {
            match limit {
                Some(limit) => write!(f, "{separator}<{limit}ms: {count}")?,
                None => write!(f, "{separator}longer: {count}")?,
            }
            separator = ", ";
        }
        Ok(())
    }
}

/// Counts one more.
#[inline]
pub(super) const fn increment(count: &mut u32) {
    *count = count.wrapping_add(1);
}

impl HandshakeStatistics {
    const EMPTY: Self = Self {
        pase: 0,
        case: 0,
        resumed: 0,
        refused: 0,
        unproven: 0,
        timed_out: 0,
        displaced: 0,
        failed: 0,
        peer: Histogram::EMPTY,
        application: Histogram::EMPTY,
        total: Histogram::EMPTY,
    };

    /// Returns the numbers by the names of their fields.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u32)> {
        [
            ("pase", self.pase),
            ("case", self.case),
            ("resumed", self.resumed),
            ("refused", self.refused),
            ("unproven", self.unproven),
            ("timed_out", self.timed_out),
            ("displaced", self.displaced),
            ("failed", self.failed),
        ]
        .into_iter()
    }

    /// Counts a handshake that has made a session.
    pub(super) const fn count_established(&mut self, is_case: bool, resumed: bool) {
        increment(match (is_case, resumed) {
            (false, _) => &mut self.pase,
            (true, false) => &mut self.case,
            (true, true) => &mut self.resumed,
        });
    }

    /// Counts a handshake that has failed.
    pub(super) const fn count_failed(&mut self, error: &HandshakeError) {
        use HandshakeError as E;
        increment(match error {
            E::Refused(_) => &mut self.refused,
            E::WrongPasscode
            | E::Undecryptable
            | E::Certificate(..)
            | E::Chain(_)
            | E::WrongFabric
            | E::WrongNode
            | E::WrongSignature
            | E::WrongResumption
            | E::Rejected => &mut self.unproven,
            E::TimedOut | E::SignatureOverdue => &mut self.timed_out,
            E::Displaced => &mut self.displaced,
            _ => &mut self.failed,
        });
    }
}

impl Evictions {
    const EMPTY: Self = Self { sessions: 0, sessions_of_peer: 0, exchanges: 0, records: 0 };

    /// Returns the numbers by the names of their fields.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u32)> {
        [
            ("sessions", self.sessions),
            ("sessions_of_peer", self.sessions_of_peer),
            ("exchanges", self.exchanges),
            ("records", self.records),
        ]
        .into_iter()
    }
}

impl Statistics {
    pub(super) const fn new() -> Self {
        Self {
            dropped: [0; Dropped::COUNT],
            received: 0,
            duplicates: 0,
            sent: 0,
            retransmissions: 0,
            given_up: 0,
            acknowledged: Histogram::EMPTY,
            handshakes: HandshakeStatistics::EMPTY,
            evicted: Evictions::EMPTY,
            busy: 0,
            window_closed: 0,
            replies_dropped: 0,
        }
    }

    /// Returns the number of datagrams dropped for this reason. An id in it does not matter.
    #[must_use]
    pub fn dropped(&self, reason: Dropped) -> u32 {
        self.dropped.get(reason.index()).copied().unwrap_or(0)
    }

    /// Returns the number of datagrams dropped in all.
    #[must_use]
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.iter().copied().map(u64::from).sum()
    }

    /// Returns the [name](Dropped::name) of each reason, with the number of datagrams dropped for
    /// it.
    pub fn drops(&self) -> impl Iterator<Item = (&'static str, u32)> {
        Dropped::NAMES.into_iter().zip(self.dropped)
    }

    /// Returns the numbers that stand alone, by the names of their fields.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u32)> {
        [
            ("received", self.received),
            ("duplicates", self.duplicates),
            ("sent", self.sent),
            ("retransmissions", self.retransmissions),
            ("given_up", self.given_up),
            ("busy", self.busy),
            ("window_closed", self.window_closed),
            ("replies_dropped", self.replies_dropped),
        ]
        .into_iter()
    }

    pub(super) fn count_dropped(&mut self, reason: Dropped) {
        if let Some(count) = self.dropped.get_mut(reason.index()) {
            increment(count);
        }
    }

    /// Counts a message that was received again. It is not one that was received.
    pub(super) const fn count_duplicate(&mut self) {
        increment(&mut self.duplicates);
        // The datagram that holds it will count.
        self.received = self.received.wrapping_sub(1);
    }

    /// Counts a message that was sent, or sent again.
    #[inline]
    pub(super) const fn count_sent(&mut self, repeated: bool) {
        increment(if repeated { &mut self.retransmissions } else { &mut self.sent });
    }
}

/// Prints the reasons for which datagrams were dropped by their names, without those that did not
/// occur.
impl fmt::Debug for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Drops<'a>(&'a Statistics);
        impl fmt::Debug for Drops<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_map().entries(self.0.drops().filter(|(_, count)| *count > 0)).finish()
            }
        }
        let mut debug = f.debug_struct("Statistics");
        for (name, count) in self.iter() {
            debug.field(name, &count);
        }
        debug.field("dropped", &Drops(self));
        debug.field("acknowledged", &self.acknowledged);
        debug.field("handshakes", &self.handshakes);
        debug.field("evicted", &self.evicted).finish()
    }
}

/// Lists what is not zero, a line each.
impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = |of: &str, name: &str, count: u32| match count {
            0 => Ok(()),
            _ => writeln!(f, "{of}{name}: {count}"),
        };
        self.iter().try_for_each(|(name, count)| list("", name, count))?;
        self.drops().try_for_each(|(name, count)| list("dropped, ", name, count))?;
        self.handshakes.iter().try_for_each(|(name, count)| list("handshakes, ", name, count))?;
        self.evicted.iter().try_for_each(|(name, count)| list("evicted, ", name, count))?;
        let HandshakeStatistics { peer, application, total, .. } = &self.handshakes;
        for (name, histogram) in [
            ("acknowledged", &self.acknowledged),
            ("handshakes waited for the peer", peer),
            ("handshakes waited for the application", application),
            ("handshakes, in all", total),
        ] {
            if histogram.count() > 0 {
                writeln!(f, "{name}: {histogram}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_the_class_that_its_limits_say() {
        for millis in (0..20_000).chain([u64::MAX, u64::from(u32::MAX) * 8, 1 << 40]) {
            let mut histogram = Histogram::EMPTY;
            histogram.note(Instant::from_millis(0), Instant::from_millis(millis));
            let is_below = |limit: Option<u32>| limit.is_none_or(|limit| millis < limit.into());
            let mut found = false;
            for (limit, count) in histogram.iter() {
                let here = is_below(limit) && !found;
                assert_eq!(count, u32::from(here), "{millis} ms, {limit:?}");
                found |= here;
            }
            assert_eq!(histogram.count(), 1);
        }
        assert_eq!(Histogram::EMPTY.iter().last(), Some((None, 0)));
        assert_eq!(Histogram::EMPTY.iter().nth(10), Some((Some(8192), 0)));
    }

    #[test]
    fn counters_wrap() {
        let mut statistics = Statistics::new();
        statistics.sent = u32::MAX;
        statistics.count_sent(false);
        assert_eq!(statistics.sent, 0);
        statistics.count_duplicate();
        assert_eq!((statistics.duplicates, statistics.received), (1, u32::MAX));
    }
}
