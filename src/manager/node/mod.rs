//! Who this node is: its settings, fabrics and resumption records.

mod fabrics;
pub(in crate::manager) mod records;

use core::time::Duration;

use self::fabrics::Fabrics;
use self::records::Records;
use super::config::Config;
use super::error::RestoreError;
use super::storage::Storage;
use crate::cert::{NoCache, RecentlyVerified, VerifiedCache};
use crate::context::Context;
use crate::exchange::{Jitter, backoff};
use crate::fabric::FabricTable;
use crate::handshake::CaseEnv;
use crate::handshake::case::{Places, Presented};
use crate::resumption::ResumptionRecord;
use crate::time::{Instant, WallClock};

/// The state of this node as a whole: settings, fabrics, records, remembered certificates.
pub(super) struct Node<S: Storage> {
    pub(super) config: Config,
    pub(super) fabrics: Fabrics<S>,
    pub(super) records: Records<S>,
    pub(super) verified: RecentlyVerified,
    pub(super) jitter: Jitter,
}

impl<S: Storage> Node<S> {
    pub(super) const EMPTY: Self = Self {
        fabrics: Fabrics::EMPTY,
        records: Records::EMPTY,
        verified: RecentlyVerified::EMPTY,
        jitter: Jitter::unseeded(),
        config: Config::UNSET,
    };

    /// Fails if a restored record is of no fabric of this node, or cannot be added.
    pub(super) fn check_restored(
        &self,
        record: &ResumptionRecord,
        wall: WallClock,
    ) -> Result<(), RestoreError> {
        let fabric = self.fabrics.by_index(record.fabric);
        if !fabric.is_some_and(|fabric| record.is_of(fabric)) {
            return Err(RestoreError::UnknownFabric);
        }
        let validity = self.config.certificate_profile.validity();
        if !record.is_current(wall, validity, self.config.record_lifetime) {
            return Err(RestoreError::Expired);
        }
        self.records.check_room(record)
    }

    /// Adds a record that was checked, with what is left of its lifetime.
    pub(super) fn restore(&mut self, record: &ResumptionRecord, wall: WallClock, now: Instant) {
        self.records.restore(record, record.age(wall), now, self.config.record_lifetime);
    }

    /// Returns the wait for an acknowledgement, from the peer's interval and the number of
    /// repetitions so far. Draws the jitter.
    pub(super) const fn retry_wait(&mut self) -> impl Fn(Duration, u8) -> Duration + use<S> {
        let jitter = self.jitter.next_byte();
        self.jittered_wait(jitter)
    }

    /// Returns the longest wait that [`retry_wait`](Self::retry_wait) can return, and draws
    /// nothing.
    pub(super) const fn longest_wait(&self) -> impl Fn(Duration, u8) -> Duration + use<S> {
        self.jittered_wait(u8::MAX)
    }

    const fn jittered_wait(&self, jitter: u8) -> impl Fn(Duration, u8) -> Duration + use<S> {
        let Config { retransmission_boost: boost, longest_interval: longest, .. } = self.config;
        move |interval, repetitions| {
            boosted_backoff(interval.min(longest), repetitions, jitter, boost)
        }
    }

    /// Runs a step of a CASE handshake, with this room for the certificates of the peer. `left` says
    /// then how much of it is in use, and where verified certificates stand in it.
    pub(super) fn with_env<R>(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut [u8],
        left: &mut (usize, Option<Places>),
        step: impl FnOnce(&mut CaseEnv<'_>, &mut Context<'_>) -> R,
    ) -> R {
        let mut own = self.records.at(cx.now, !self.config.claim_wait.is_zero());
        let mut others = cx.resumption.take();
        let verified: &mut dyn VerifiedCache =
            if self.config.remember_certificates { &mut self.verified } else { &mut NoCache };
        let mut env = CaseEnv {
            fabrics: &self.fabrics,
            resumption: match &mut others {
                Some(store) => *store,
                None => &mut own,
            },
            verified,
            certificates: Presented::new(room),
            profile: self.config.certificate_profile,
            record_lifetime: self.config.record_lifetime,
            parameters: &self.config.parameters,
        };
        let result = step(&mut env, cx);
        *left = env.certificates.outcome();
        cx.resumption = others;
        result
    }
}

// Not inlined: a sum of durations is long, and there are many waits.
#[inline(never)]
fn boosted_backoff(interval: Duration, repetitions: u8, jitter: u8, boost: Duration) -> Duration {
    backoff(interval, repetitions, jitter).saturating_add(boost)
}
