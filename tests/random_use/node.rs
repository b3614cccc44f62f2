//! A node: a manager with any settings, what its calls need, and its credentials.

use core::time::Duration;
use std::sync::OnceLock;

use matter_session::check_in::{IcdCounter, RegisteredKey};
use matter_session::context::{Context, Services};
use matter_session::crypto::Secret;
use matter_session::fabric::GroupKey;
use matter_session::group::{EpochStart, GroupEpoch, GroupKeySet, SecurityPolicy};
use matter_session::ids::{FabricIndex, Group, GroupId, GroupKeySetId};
use matter_session::manager::{Config, GroupSettings, SessionManager, Storage};
use matter_session::session::SessionParameters;
use matter_session::time::{Instant, MatterTime, WallClock};
use matter_session_testing::rng::Dice;
use matter_session_testing::toy::{Toy, ToyAuthority, ToyMember};

use super::stores::{Forgetful, Liar, Picky};

pub type Manager<S> = SessionManager<Toy, S, Box<u64>>;

pub const NODES: usize = 3;
pub const FABRICS: usize = 3;

/// The node id of a node, on every fabric.
pub const fn id(n: usize) -> u64 {
    100 + 2 * n as u64
}

/// The credentials of every node, by fabric.
pub fn members() -> &'static [[ToyMember; NODES]; FABRICS] {
    static MEMBERS: OnceLock<[[ToyMember; NODES]; FABRICS]> = OnceLock::new();
    MEMBERS.get_or_init(|| {
        let mut rng = Dice::new(1);
        [1, 2, 3].map(|fabric| {
            let mut authority = ToyAuthority::new(fabric, fabric == 2, &mut rng);
            [0, 1, 2].map(|n| authority.admit(id(n), &mut rng))
        })
    })
}

pub struct Node<S: Storage> {
    pub manager: Manager<S>,
    /// The sizes of its tables when it was made.
    pub fresh: String,
    pub rng: Dice,
    pub liar: Option<Liar>,
    counters: Option<Forgetful>,
    is_picky: bool,
    wall: WallClock,
    /// Its clock, in ms.
    pub now: u64,
    pub icd: IcdCounter,
    pub icd_key: RegisteredKey,
}

impl<S: Storage> Node<S> {
    pub fn new(dice: &mut Dice) -> Self {
        let mut rng = Dice::new(dice.roll());
        let manager = Manager::new(any_config(dice), Toy, &mut rng);
        let mut icd = IcdCounter::random(1000, &mut rng);
        if let Some(bound) = icd.bound_to_store() {
            icd.stored(bound);
        }
        let icd_key = icd.register(Secret::new([9; 16]), []).expect("the first key");
        Self {
            fresh: tables(&manager),
            manager,
            liar: coin(dice).then(|| Liar { dice: Dice::new(dice.roll()), records: Vec::new() }),
            counters: (dice.below(4) != 0).then(|| Forgetful(Dice::new(dice.roll()))),
            is_picky: dice.below(8) == 0,
            wall: any_wall(dice),
            now: [0, 1_000_000, u64::MAX / 4][dice.below(3) as usize],
            rng,
            icd,
            icd_key,
        }
    }

    pub fn call<R>(&mut self, f: impl FnOnce(&mut Manager<S>, &mut Context<'_>) -> R) -> R {
        let Self { manager, rng, liar, counters, .. } = self;
        let mut services = Services::new(rng).with_wall(self.wall);
        if let Some(liar) = liar {
            services = services.with_resumption(liar);
        }
        if let Some(counters) = counters {
            services = services.with_counters(counters);
        }
        if self.is_picky {
            services = services.with_policy(&Picky);
        }
        f(manager, &mut services.at(Instant::from_millis(self.now)))
    }

    /// Enters some groups of a fabric, as far as there is room.
    pub fn enter_groups(&mut self, fabric: FabricIndex, dice: &mut Dice) {
        for id in 1..=2 {
            let set = GroupKeySetId::new(id);
            with_key_set(dice, set, |set| {
                let _ = self.manager.groups_mut().set_key_set(fabric, set);
            });
            let group = Group::new(fabric, GroupId::new(id));
            let _ = self.manager.groups_mut().set(group, GroupSettings::new(set));
        }
    }

    pub fn instant(&self) -> Instant {
        Instant::from_millis(self.now)
    }
}

/// The sizes of all tables.
pub fn tables<S: Storage>(manager: &Manager<S>) -> String {
    let text = format!("{manager:?}");
    let (tables, _) = text.split_once("statistics").expect("statistics");
    let groups = text.split_once("groups").map_or("", |(_, groups)| groups);
    format!("{tables} {}", groups.split_once("statistics").map_or("", |(groups, _)| groups))
}

pub fn any_set(dice: &mut Dice) -> GroupKeySetId {
    GroupKeySetId::new(dice.below(3) as u16)
}

/// A key set of one to three keys, at times of none or of keys out of order. All nodes draw from
/// the same keys.
pub fn with_key_set(dice: &mut Dice, id: GroupKeySetId, then: impl FnOnce(&GroupKeySet<'_>)) {
    let policies = [SecurityPolicy::TrustFirst, SecurityPolicy::CacheAndSync];
    let policy = policies[dice.below(2) as usize];
    let is_valid = dice.below(8) != 0;
    let count = if is_valid { 1 + dice.below(3) } else { dice.below(5) };
    let epochs: Vec<_> = (1..=count)
        .map(|n| GroupEpoch {
            key: GroupKey::EpochKey(Secret::new([n as u8; 16])),
            start: EpochStart::from_micros(if is_valid { n } else { dice.below(4) }),
        })
        .collect();
    then(&GroupKeySet { id, policy, epochs: &epochs });
}

pub fn coin(dice: &mut Dice) -> bool {
    dice.below(2) == 0
}

fn any_wall(dice: &mut Dice) -> WallClock {
    let time = MatterTime::from_seconds(dice.roll() as u32);
    if coin(dice) { WallClock::Known(time) } else { WallClock::Unknown }
}

/// Nothing, little, something, everything.
pub fn any_limit(dice: &mut Dice) -> usize {
    match dice.below(8) {
        0 => 0,
        1 => 1,
        2 => usize::MAX,
        _ => dice.below(12) as usize,
    }
}

pub fn any_duration(dice: &mut Dice) -> Duration {
    match dice.below(8) {
        0 => Duration::ZERO,
        1 => Duration::MAX,
        2 => Duration::from_millis(u64::MAX),
        3 => Duration::from_nanos(1),
        _ => Duration::from_millis(dice.below(100_000)),
    }
}

pub fn any_parameters(dice: &mut Dice) -> SessionParameters {
    let parameters = SessionParameters::matter_1_6();
    match dice.below(4) {
        0 => parameters.with_intervals(0, 0, 0),
        1 => parameters.with_intervals(u32::MAX, u32::MAX, u16::MAX),
        2 => parameters.with_intervals(dice.roll() as u32, dice.roll() as u32, dice.roll() as u16),
        _ => parameters,
    }
}

/// Settings of which each may have any value. The tables of the heap grow with what is in them.
fn any_config(dice: &mut Dice) -> Config {
    let mut config = Config::default();
    config.below_specification = dice.below(8) != 0;
    let times = [(); 5].map(|()| if coin(dice) { Some(any_duration(dice)) } else { None });
    let [boost, lifetime, record, busy, processing] = times;
    config.retransmission_boost = boost.unwrap_or(config.retransmission_boost);
    config.exchange_lifetime = lifetime.unwrap_or(config.exchange_lifetime);
    config.record_lifetime = record.unwrap_or(config.record_lifetime);
    config.processing_time = processing.unwrap_or(config.processing_time);
    config.busy_wait = busy.unwrap_or(config.busy_wait);
    if coin(dice) {
        config.parameters = any_parameters(dice);
    }
    if coin(dice) {
        config.claim_wait = any_duration(dice);
    }
    config.keep_peer_certificates = coin(dice);
    // Where every limit is wild, little happens.
    if coin(dice) {
        return config;
    }
    for limit in [
        &mut config.max_sessions,
        &mut config.max_exchanges,
        &mut config.max_exchanges_per_session,
        &mut config.max_own_exchanges_per_session,
        &mut config.max_handshakes,
        &mut config.max_fabrics,
        &mut config.max_records,
        &mut config.max_group_key_sets,
        &mut config.max_groups,
        &mut config.max_group_senders,
        &mut config.max_waiting_group_messages,
        &mut config.max_events,
        &mut config.max_replies,
    ] {
        if dice.below(3) == 0 {
            *limit = any_limit(dice);
        }
    }
    if dice.below(3) == 0 {
        config.max_sessions_per_peer = any_limit(dice) as u8;
    }
    if dice.below(6) == 0 {
        config.max_message = any_limit(dice).saturating_mul(100);
    }
    if dice.below(3) == 0 {
        config.longest_interval = any_duration(dice);
    }
    config.remember_certificates = coin(dice);
    config
}
