//! Group messages beside unicast ones, through managers of which the receiver holds a hundred keys.
//!
//! Everything is measured by turns, and each turn yields a ratio; the table has the medians. Unicast
//! is what costs least: messages on one exchange that ask for no acknowledgement.

mod wire;

use core::hint::black_box;
use std::time::Instant as Clock;

use matter_session::context::Services;
use matter_session::crypto::{Passcode, RustCrypto, Secret};
use matter_session::fabric::GroupKey;
use matter_session::group::{EpochStart, GroupEpoch, GroupKeySet, SecurityPolicy};
use matter_session::ids::{
    FabricIndex, Group, GroupId, GroupKeySetId, MessageType, NodeId, ProtocolId,
};
use matter_session::manager::{
    Config, ExchangeHandle, GroupSettings, HeapSessionManager, Received,
};
use matter_session::rand_core::UnwrapErr;
use matter_session::time::Instant;
use matter_session_testing::net::{Memory, members};
use wire::{address, carry};

/// Payload lengths in octets.
const PAYLOADS: [usize; 4] = [16, 64, 256, 1024];

/// Turns, of which the first few are not counted, and messages in each.
const TURNS: usize = 305;
const WARM_UP: usize = 4;
const MESSAGES: usize = 64;

const NOW: Instant = Instant::ZERO;
const IM: ProtocolId = ProtocolId::INTERACTION_MODEL;

/// Key sets of the receiver, and which of them has the key.
const KEY_SETS: u16 = 100;
const KEY_SET: u16 = 50;

fn main() {
    // `cargo test --benches` runs it to see that it works.
    let turns = if std::env::args().any(|a| a == "--bench") { TURNS } else { WARM_UP + 1 };
    println!("{:18} {:>6} {:>8} {:>8} {:>7}", "", "octets", "ns", "unicast", "ratio");
    for len in PAYLOADS {
        let mut pair = Pair::new();
        let payload = vec![0x5A; len];
        let kinds = [Kind::Unicast, Kind::Clear, Kind::Private];
        let mut spent = [const { Vec::new() }; 3];
        for turn in 0..turns {
            for (kind, series) in kinds.iter().zip(&mut spent) {
                let times = pair.turn(*kind, &payload);
                if turn >= WARM_UP {
                    series.push(times);
                }
            }
        }
        let [unicast, clear, private] = spent;
        for (name, part) in [("send", 0), ("receive", 1)] {
            for (kind, of_group) in [("group", &clear), ("group, private", &private)] {
                report(&format!("{name} {kind}"), len, of_group, &unicast, part);
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Unicast,
    /// To a group.
    Clear,
    /// To a group, its header hidden.
    Private,
}

/// Two managers with a session and two groups between them.
struct Pair {
    a: HeapSessionManager,
    b: HeapSessionManager,
    exchange: ExchangeHandle,
    fabric: FabricIndex,
    bounds: Memory,
    datagrams: Vec<Vec<u8>>,
}

impl Pair {
    fn new() -> Self {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(NOW);
        let config = Config::default().with_groups(KEY_SETS.into(), 4);
        let mut a = HeapSessionManager::new(config.clone(), RustCrypto, cx.rng());
        let mut b = HeapSessionManager::new(config, RustCrypto, cx.rng());
        let passcode = Passcode::new(20_202_021).unwrap();
        b.window().open_for(&mut cx, &passcode, None).unwrap();
        a.connect_pase(&mut cx, address(2), passcode).unwrap();
        while carry(&mut a, &mut b, 1, &mut cx) + carry(&mut b, &mut a, 2, &mut cx) > 0 {}
        let session = a.sessions().pase().unwrap();
        let exchange = a.open_exchange(&mut cx, session).unwrap();
        let mut fabric = FabricIndex::MIN;
        let members = members([1, 2].map(NodeId::new), true);
        for (node, member) in [&mut a, &mut b].into_iter().zip(&members) {
            fabric = node.fabrics_mut().add(&member.credentials()).unwrap();
            for id in 1..=KEY_SETS {
                let key = GroupKey::EpochKey(Secret::new([id as u8; 16]));
                let epochs = [GroupEpoch { key, start: EpochStart::default() }];
                let (id, policy) = (GroupKeySetId::new(id), SecurityPolicy::TrustFirst);
                let set = GroupKeySet { id, policy, epochs: &epochs };
                node.groups_mut().set_key_set(fabric, &set).unwrap();
            }
            let settings = GroupSettings::new(GroupKeySetId::new(KEY_SET));
            node.groups_mut().set(Group::new(fabric, GroupId::new(1)), settings).unwrap();
            node.groups_mut()
                .set(Group::new(fabric, GroupId::new(2)), settings.with_privacy())
                .unwrap();
        }
        let datagrams = (0..MESSAGES).map(|_| vec![0; 1280]).collect();
        Self { a, b, exchange, fabric, bounds: Memory::default(), datagrams }
    }

    /// Sends and receives some messages; the time of each part, for one, in nanoseconds.
    fn turn(&mut self, kind: Kind, payload: &[u8]) -> [f64; 2] {
        let Self { a, b, exchange, fabric, bounds, datagrams } = self;
        let mut rng = UnwrapErr(getrandom::SysRng);
        let mut services = Services::new(&mut rng).with_counters(bounds);
        let mut cx = services.at(NOW);
        let mut places = Vec::with_capacity(MESSAGES);
        let begin = Clock::now();
        for buf in &mut *datagrams {
            let start = buf.as_ptr().addr();
            let sent = match kind {
                Kind::Unicast => a
                    .send_unreliable(&mut cx, *exchange, MessageType::new(IM, 8), payload, buf)
                    .unwrap(),
                Kind::Clear | Kind::Private => {
                    let group = if matches!(kind, Kind::Clear) { 1 } else { 2 };
                    let to = Group::new(*fabric, GroupId::new(group));
                    a.groups_mut().send(&mut cx, to, MessageType::new(IM, 8), payload, buf).unwrap()
                }
            };
            let from = sent.datagram.as_ptr().addr() - start;
            places.push(from..from + sent.datagram.len());
        }
        let sending = begin.elapsed();
        let begin = Clock::now();
        for (buf, place) in datagrams.iter_mut().zip(places) {
            match b.handle_datagram(&mut cx, address(1), &mut buf[place]) {
                Received::Message(message) => {
                    black_box(message.payload.len());
                }
                Received::Group(message) => {
                    black_box(message.payload.len());
                }
                other => unreachable!("{other:?}"),
            }
        }
        let receiving = begin.elapsed();
        [sending, receiving].map(|time| time.as_secs_f64() * 1e9 / MESSAGES as f64)
    }
}

fn report(name: &str, len: usize, of_group: &[[f64; 2]], unicast: &[[f64; 2]], part: usize) {
    let of = |series: &[[f64; 2]]| median(series.iter().map(|times| times[part]).collect());
    let ratios = of_group.iter().zip(unicast).map(|(a, b)| a[part] / b[part]);
    let ratio = median(ratios.collect());
    println!("{name:18} {len:6} {:8.0} {:8.0} {ratio:7.3}", of(of_group), of(unicast));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
