//! How the nodes of a world differ.

use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;

use matter_session::manager::sizes::{
    Exchanges, Fabrics, Groups, Handshakes, KeySets, MessageBytes, Records, Senders, Sessions,
};
use matter_session::manager::{Config, Fixed, Heap, WithGroups};
use matter_session::session::SessionParameters;

use super::ledger::Ledger;
use super::node::{Limits, Luck, Node};
use super::suite::Suite;
use matter_session_testing::rng::Dice;

/// Tables of a device that has room for what it is asked to do.
pub type Arrays = WithGroups<
    Fixed<
        Sessions<5>,
        Exchanges<8>,
        Handshakes<3>,
        Fabrics<2>,
        Records<2>,
        MessageBytes<{ 14 * 1280 }>,
    >,
    KeySets<3>,
    Groups<4>,
    Senders<6>,
>;
/// Less of everything.
pub type Small = WithGroups<
    Fixed<Sessions<3>, Exchanges<3>, Handshakes<2>, Fabrics<2>, Records<1>, MessageBytes<2600>>,
    KeySets<1>,
    Groups<2>,
    Senders<3>,
>;

/// A node with whatever storage.
pub enum AnyNode<X: Suite> {
    Heap(Box<Node<X, Heap>>),
    Arrays(Box<Node<X, Arrays>>),
    Small(Box<Node<X, Small>>),
}

fn one_of<T: Copy>(dice: &mut Dice, of: &[T]) -> T {
    of[dice.below(of.len() as u64) as usize]
}

fn config(dice: &mut Dice) -> Config {
    let millis = |millis| Duration::from_millis(millis);
    let (idle, active) = one_of(dice, &[(500, 300), (500, 300), (2000, 300), (5000, 500)]);
    let parameters = SessionParameters::matter_1_6().with_intervals(idle, active, 4000);
    let lifetime = one_of(dice, &[20, 300, 24 * 3600]);
    let per_peer = Config::default().max_sessions_per_peer;
    let config = Config::default()
        .with_parameters(parameters)
        .with_sessions(one_of(dice, &[1, 2, 4, 8]))
        .with_sessions_per_peer(one_of(dice, &[1, 2, 3, 4, per_peer, per_peer]))
        .with_exchanges(one_of(dice, &[1, 3, 5, 10]))
        .with_exchanges_per_session(one_of(dice, &[1, 2, 4]))
        .with_own_exchanges_per_session(one_of(dice, &[1, 5, 10]))
        .with_events(one_of(dice, &[1, 4, 50]))
        .with_replies(one_of(dice, &[1, 4, 50]))
        .with_fabrics(one_of(dice, &[2, 3, 5]))
        .with_records(one_of(dice, &[0, 1, 2, 10]), Duration::from_secs(lifetime))
        .with_handshakes(one_of(dice, &[1, 2, 4, 8]), millis(100))
        .with_exchange_lifetime(millis(one_of(dice, &[1_000, 10_000, 60_000])))
        .with_processing_time(one_of(
            dice,
            &[millis(0), millis(2_000), millis(20_000), Duration::MAX],
        ))
        .with_groups(one_of(dice, &[1, 2, 4]), one_of(dice, &[1, 2, 3]))
        .with_group_senders(one_of(dice, &[1, 2, 8]), one_of(dice, &[1, 2, 8]))
        .with_retransmission_boost(millis(one_of(dice, &[0, 0, 200])));
    let config = config.with_less_than_specified();
    let config = config.with_claim_wait(millis(one_of(dice, &[0, 500, 5_000])));
    let longest = one_of(dice, &[3_600, 3_600, 60]);
    let config = config.with_longest_interval(Duration::from_secs(longest));
    if dice.below(2) == 0 { config.with_remembered_certificates() } else { config }
}

/// A node with storage of the kind that a number says.
pub fn node<X: Suite>(
    name: usize,
    kind: u64,
    luck: Luck,
    dice: &mut Dice,
    ledger: &Rc<RefCell<Ledger>>,
) -> AnyNode<X> {
    let config = config(dice);
    let most = usize::MAX;
    // As the parameters of the storage say.
    let (sessions, exchanges, handshakes, fabrics, records, events) = match kind {
        0 => (most, most, most, most, most, most),
        1 => (5, 8, 3, 2, 2, 4),
        _ => (3, 3, 2, 2, 1, 4),
    };
    let (key_sets, groups, senders, waiting) = match kind {
        0 => (most, most, most, most),
        1 => (3, 4, 6, 4),
        _ => (1, 2, 3, 4),
    };
    let of_all = |per_fabric: usize| per_fabric * config.max_fabrics;
    // Control messages have counters of their own.
    let most_senders = config.max_group_senders + config.max_group_senders.min(8);
    let limits = Limits {
        sessions: sessions.min(config.max_sessions + 1),
        exchanges: exchanges.min(config.max_exchanges),
        handshakes: handshakes.min(config.max_handshakes),
        fabrics: fabrics.min(config.max_fabrics),
        records: records.min(config.max_records),
        events: events.min(config.max_events),
        key_sets: key_sets.min(of_all(config.max_group_key_sets)),
        groups: groups.min(of_all(config.max_groups)),
        senders: senders.min(of_all(most_senders * config.max_group_key_sets)),
        waiting: waiting.min(config.max_waiting_group_messages),
    };
    let ledger = Rc::clone(ledger);
    match kind {
        0 => AnyNode::Heap(Node::new(name, config, limits, luck, ledger).into()),
        1 => AnyNode::Arrays(Node::new(name, config, limits, luck, ledger).into()),
        _ => AnyNode::Small(Node::new(name, config, limits, luck, ledger).into()),
    }
}
