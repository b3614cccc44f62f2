//! No secret of the library is left in memory: not in a block that was freed, and not in a place
//! that is still held but no longer in use.
//!
//! An allocator looks at every block when it is freed, and knows the secrets from the crypto backend
//! through which they pass. A place that was forgotten is in a block that is freed with its manager.
//! A test target of its own, as it replaces the allocator of the whole program.

use core::time::Duration;

use matter_session::check_in::{IcdCounter, RegisteredKey, Registration};
use matter_session::crypto::{
    CompactRustCrypto, Crypto, Passcode, PbkdfParameters, RustCrypto, Secret, Verifier,
};
use matter_session::fabric::{CompressedFabricId, FabricCredentials, GroupKey};
use matter_session::group::{EpochStart, GroupEpoch, GroupKeySet, SecurityPolicy};
use matter_session::ids::{
    CaseAuthTags, FabricIndex, Group, GroupId, GroupKeySetId, MessageType, NodeId, Peer,
};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Groups, Handshakes, KeySets, MessageBytes, Records, Senders, Sessions,
};
use matter_session::manager::{
    CommissioningWindow, Config, Fixed, GroupSettings, Heap, Storage, WithGroups,
};
use matter_session::rand_core::Rng;
use matter_session::resumption::ResumptionRecord;
use matter_session::session::{ResumptionId, SessionParameters};
use matter_session_testing::net::{Authority, Dice, IM, Network, PASSCODE, index, udp};
use matter_session_testing::watch::{Found, Kind, Noting, Watch, Watching, note, note_passcode};

#[global_allocator]
static ALLOCATOR: Watch = Watch;

/// Arrays for two of everything, and more sessions and records.
type Small = WithGroups<
    Fixed<Sessions<8>, Exchanges<4>, Handshakes<3>, Fabrics<5>, Records<12>, MessageBytes<5120>>,
    KeySets<15>,
    Groups<15>,
    Senders<180>,
>;

type Net<S, C = RustCrypto> = Network<S, Noting<C>>;

const FABRIC: FabricIndex = FabricIndex::MIN;

/// Runs a life on both kinds of storage, drops it, and returns what it has left.
#[track_caller]
fn leaves_nothing<C>(heap: impl FnOnce() -> Net<Heap, C>, fixed: impl FnOnce() -> Net<Small, C>)
where
    Noting<C>: Crypto,
{
    let watching = Watching::begin();
    end(heap());
    assert!(watching.noted() > 0, "no secret was looked for");
    assert_eq!(watching.found(), Found(Vec::new()), "on the heap");
    drop(watching);
    let watching = Watching::begin();
    end(fixed());
    assert!(watching.noted() > 0, "no secret was looked for");
    assert_eq!(watching.found(), Found(Vec::new()), "in arrays");
}

/// Drops all nodes. The events that the application has kept are not looked at: they are values that
/// came over its own stack, into memory of its own.
fn end<S: Storage, C>(mut net: Net<S, C>)
where
    Noting<C>: Crypto,
{
    for node in &mut net.nodes {
        core::mem::forget(core::mem::take(&mut node.events));
    }
}

/// The same life on both.
macro_rules! leaves_nothing {
    ($life:ident) => {
        leaves_nothing($life::<Heap, RustCrypto>, $life::<Small, RustCrypto>)
    };
    ($life:ident with $backend:ty) => {
        leaves_nothing($life::<Heap, $backend>, $life::<Small, $backend>)
    };
}

fn nodes<S: Storage, C>(count: u16) -> Net<S, C>
where
    Noting<C>: Crypto + Default,
{
    let config =
        || Config::default().with_records(12, Duration::from_secs(3600)).with_sessions_per_peer(3);
    let mut net = Net::stored((1..=count).map(|port| (udp(port), config())).collect());
    for node in &mut net.nodes {
        node.events.reserve(10_000);
    }
    net
}

fn members<S: Storage, C>(count: u16) -> Net<S, C>
where
    Noting<C>: Crypto + Default,
{
    let mut net = nodes(count);
    let mut authority = Authority::new(1, true);
    for n in 0..usize::from(count) {
        authority.join(&mut net, n, 100 * (n as u64 + 1));
    }
    net
}

fn drawn<const N: usize>(dice: &mut Dice) -> Secret<N> {
    let mut secret = Secret::zero();
    dice.fill_bytes(secret.as_mut_bytes());
    note(secret.as_bytes(), Kind::Named);
    secret
}

/// Records come in random order, are replaced, evicted and forgotten, and expire.
fn records<S: Storage, C>() -> Net<S, C>
where
    Noting<C>: Crypto + Default,
{
    let mut net = members(1);
    let compressed_fabric =
        net.nodes[0].manager.fabrics().get(FABRIC).map(|fabric| fabric.compressed_id()).unwrap();
    let mut dice = Dice::new(6);
    for turn in 0..300 {
        let peer = NodeId::new(1000 + dice.below(40));
        if dice.below(3) == 0 {
            net.call(0, |m, cx| m.records_mut().forget(cx, Peer::new(FABRIC, peer)));
        } else {
            let mut id = [0; 16];
            dice.fill_bytes(&mut id);
            let record = ResumptionRecord {
                id: ResumptionId::new(id),
                fabric: FABRIC,
                compressed_fabric,
                peer,
                cats: CaseAuthTags::NONE,
                shared_secret: drawn(&mut dice),
                valid_until: None,
                authenticated: None,
                age_seconds: 0,
                parameters: SessionParameters::default(),
            };
            let _ = net.call(0, |m, cx| m.records_mut().restore(cx, record));
        }
        if turn % 100 == 99 {
            net.run(3_700_000);
        }
    }
    net
}

#[test]
fn records_leave_no_resumption_secret() {
    leaves_nothing!(records);
}

/// Fabrics come and go in random order, and get new credentials.
fn fabrics<S: Storage, C>() -> Net<S, C>
where
    Noting<C>: Crypto + Default,
{
    let mut net = nodes(1);
    let mut dice = Dice::new(7);
    let mut authorities: Vec<_> = (1..=8).map(|n| Authority::new(n, false)).collect();
    let mut stored = vec![0; matter_session::fabric::Fabric::ENCODED_MAX_LEN];
    for _ in 0..60 {
        let authority = dice.below(8) as usize;
        let member = authorities[authority].admit(100);
        let fabric = index(1 + dice.below(5) as u8);
        let manager = &mut net.nodes[0].manager;
        let FabricCredentials { root, icac, noc, .. } = member.credentials();
        let ipks = [0; 3].map(|_| GroupKey::EpochKey(drawn(&mut dice)));
        let credentials = FabricCredentials { root, icac, noc, ipks: &ipks };
        match dice.below(4) {
            0 | 1 => drop(manager.fabrics_mut().add(&credentials)),
            2 => drop(net.call(0, |m, cx| m.fabrics_mut().update(cx, fabric, &credentials))),
            _ => {
                let len = manager.fabrics().get(fabric).map(|f| f.encode(&mut stored).unwrap());
                net.call(0, |m, cx| m.fabrics_mut().remove(cx, fabric));
                if let Some(len) = len.filter(|_| dice.below(2) == 0) {
                    net.nodes[0].manager.fabrics_mut().restore(&stored[..len]).unwrap();
                }
                stored.fill(0);
            }
        }
    }
    net
}

#[test]
fn fabrics_leave_no_identity_protection_key() {
    leaves_nothing!(fabrics);
}

/// Key sets come and go in random order, and get new keys; messages are sent and received.
fn groups<S: Storage, C>() -> Net<S, C>
where
    Noting<C>: Crypto + Default,
{
    let mut net: Net<S, C> = members(2);
    let mut dice = Dice::new(8);
    for turn in 0..60 {
        let set = GroupKeySetId::new(1 + dice.below(6) as u16);
        if dice.below(4) == 0 {
            net.nodes[0].manager.groups_mut().remove_key_set(FABRIC, set);
            continue;
        }
        let epochs: Vec<_> = (1..=1 + dice.below(3))
            .map(|start| GroupEpoch {
                key: GroupKey::EpochKey(drawn(&mut dice)),
                start: EpochStart::from_micros(start),
            })
            .collect();
        let policy = if dice.below(2) == 0 {
            SecurityPolicy::TrustFirst
        } else {
            SecurityPolicy::CacheAndSync
        };
        let keys = GroupKeySet { id: set, policy, epochs: &epochs };
        for n in 0..2 {
            let _ = net.nodes[n].manager.groups_mut().set_key_set(FABRIC, &keys);
            let group = Group::new(FABRIC, GroupId::new(1));
            let _ = net.nodes[n].manager.groups_mut().set(group, GroupSettings::new(set));
        }
        if net.nodes[0].manager.groups().has_key_set(FABRIC, set) {
            net.multicast(0, FABRIC, 1, b"a message");
        }
        if turn == 30 {
            net.call(0, |m, cx| m.fabrics_mut().remove(cx, FABRIC));
            Authority::new(1, true).join(&mut net, 0, 100);
        }
        net.run(100);
    }
    net
}

#[test]
fn groups_leave_no_key() {
    leaves_nothing!(groups);
}

/// Sessions of every kind, and handshakes that end in every way, at random.
fn sessions<S: Storage, C>() -> Net<S, C>
where
    Noting<C>: Crypto + Default,
{
    let mut net: Net<S, C> = members(4);
    let mut dice = Dice::new(9);
    for turn in 0..90 {
        let [from, to] = [(0, 1), (1, 0), (0, 2), (2, 3), (3, 1)][dice.below(5) as usize].into();
        let node = 100 * (to as u64 + 1);
        match dice.below(8) {
            // Full or resumed; some are cut off on the way.
            0..5 => {
                if dice.below(3) == 0 {
                    net.lose(&[dice.below(5) as usize]);
                }
                net.dial_case(from, to, 1, node);
                net.run(dice.below(3) * 200 + 5);
            }
            5 => {
                let manager = &mut net.nodes[to].manager;
                let _ = manager.sessions().iter().next().map(|s| s.session().peer_parameters());
                net.open_window(to);
                let passcode = PASSCODE + u32::from(dice.below(3) == 0);
                net.dial_pase(from, to, passcode);
                net.run(dice.below(2) * 400);
                net.nodes[to].manager.window().close();
            }
            6 => {
                let first = net.nodes[from].manager.sessions().iter().map(|s| s.handle()).next();
                if let Some(session) = first {
                    let exchange = net.say(from, session, 2);
                    net.run(300);
                    net.close_exchange(from, exchange);
                    net.call(from, |m, cx| m.close_session(cx, session));
                }
            }
            _ => net.call(from, |m, cx| {
                m.records_mut().forget(cx, Peer::new(FABRIC, NodeId::new(node)));
            }),
        }
        net.on_send(|_| matter_session_testing::net::Fate::Arrives);
        if turn % 30 == 29 {
            net.run(70_000);
        }
        for node in &mut net.nodes {
            node.events.clear();
        }
    }
    net.run(70_000);
    for _ in 0..2 {
        net.dial_case(0, 1, 1, 200);
        net.dial_case(2, 3, 1, 400);
        net.run(100);
    }
    net.call(2, |m, cx| m.fabrics_mut().remove(cx, FABRIC));
    net.pump();
    net
}

#[test]
fn sessions_and_handshakes_leave_no_key() {
    leaves_nothing!(sessions);
}

#[test]
fn sessions_and_handshakes_leave_no_key_with_the_compact_backend() {
    leaves_nothing!(sessions with CompactRustCrypto);
}

/// Windows are opened and closed, expire, and close after twenty failures; one has a verifier with
/// what was computed ahead.
fn windows<S: Storage, C>() -> Net<S, C>
where
    Noting<C>: Crypto + Default,
{
    note_passcode(PASSCODE);
    let mut net: Net<S, C> = members(2);
    let crypto = Noting::<C>::default();
    let pbkdf = PbkdfParameters::new(1000, &[7; 16]).unwrap();
    let verifier =
        || Verifier::generate(&crypto, &Passcode::new(PASSCODE).unwrap(), &pbkdf).unwrap();
    for prepared in [false, true] {
        let verifier = || if prepared { verifier().prepared(&crypto).unwrap() } else { verifier() };
        let window = CommissioningWindow::new(verifier(), pbkdf);
        net.call(1, |m, cx| m.window().open(cx, window)).unwrap();
        net.dial_pase(0, 1, PASSCODE);
        net.run(1000);
        // While its session lives, no other handshake is served.
        let session = net.nodes[1].established();
        net.call(1, |m, cx| m.close_session(cx, session));
        net.nodes[1].manager.window().close();
        let window =
            CommissioningWindow::new(verifier(), pbkdf).with_duration(Duration::from_secs(180));
        net.call(1, |m, cx| m.window().open(cx, window)).unwrap();
        net.run(200_000);
        assert!(!net.nodes[1].manager.window().is_open());
        let window = CommissioningWindow::new(verifier(), pbkdf);
        net.call(1, |m, cx| m.window().open(cx, window)).unwrap();
        for _ in 0..20 {
            net.dial_pase(0, 1, PASSCODE + 1);
            net.run(5000);
        }
        assert!(!net.nodes[1].manager.window().is_open());
        let stored = Box::new(verifier().to_bytes());
        let window =
            CommissioningWindow::new(Verifier::from_bytes(stored.as_bytes()).unwrap(), pbkdf);
        net.call(1, |m, cx| m.window().open(cx, window)).unwrap();
        // An initiator that hears nothing still has the passcode.
        net.cut();
        net.dial_pase(0, 1, PASSCODE);
        net.run(if prepared { 100 } else { 70_000 });
        net.on_send(|_| matter_session_testing::net::Fate::Arrives);
        if !prepared {
            net.nodes[1].manager.window().close();
        }
    }
    net
}

#[test]
fn windows_leave_no_passcode_and_no_verifier() {
    leaves_nothing!(windows);
}

/// A text that is looked for, at the caller's.
fn noted_text(dice: &mut Dice, text: &mut [u8; 200]) {
    dice.fill_bytes(text);
    note(text, Kind::Named);
}

/// Messages wait to be sealed, and end in every way: with their exchange, with their session, with
/// their fabric, with their manager; or they are sealed after all.
fn messages<S: Storage, C>() -> Net<S, C>
where
    Noting<C>: Crypto + Default,
{
    let mut net: Net<S, C> = members(2);
    let mut dice = Dice::new(12);
    let mut text = [0; 200];
    let kind = MessageType::new(IM, 2);
    for turn in 0..12 {
        net.on_send(|_| matter_session_testing::net::Fate::Arrives);
        net.call(0, |m, cx| m.records_mut().forget_all(cx));
        let (session, _) = net.case(200);
        net.cut();
        // So many messages follow one that is lost that no more are sealed before it is given up.
        let first = net.say(0, session, 2);
        for _ in 0..40 {
            net.call(0, |m, cx| {
                m.send_unreliable(cx, first, kind, &[7; 20], &mut [0; 100]).unwrap();
            });
        }
        let mut exchanges = vec![first];
        net.pump();
        let since = net.sent.len();
        for _ in 0..2 {
            noted_text(&mut dice, &mut text);
            net.call(0, |m, cx| {
                let exchange = m.open_exchange(cx, session).unwrap();
                m.send(cx, exchange, kind, &text).unwrap();
                exchanges.push(exchange);
            });
        }
        net.pump();
        assert_eq!(net.sent.len(), since, "they wait");
        match turn % 4 {
            0 => net.call(0, |m, cx| m.close_session(cx, session)),
            1 => net.run(300_000),
            2 => {
                net.call(0, |m, cx| m.fabrics_mut().remove(cx, FABRIC));
                net.pump();
                return_to(&mut net);
            }
            _ => {
                for exchange in exchanges {
                    net.close_exchange(0, exchange);
                }
                net.run(60_000);
            }
        }
        net.call(0, |m, cx| m.close_session(cx, session));
        net.pump();
        for node in &mut net.nodes {
            node.events.clear();
        }
    }
    net
}

/// Node 0 is a member again.
fn return_to<S: Storage, C>(net: &mut Net<S, C>)
where
    Noting<C>: Crypto + Default,
{
    Authority::new(1, true).join(net, 0, 100);
}

#[test]
fn messages_that_wait_to_be_sealed_are_wiped_when_they_are_given_up() {
    leaves_nothing!(messages);
}

/// Group messages wait for the counter of their sender, which does not answer. Buffers of callers
/// are on the stack, which is not looked at.
fn group_messages<S: Storage, C>() -> Net<S, C>
where
    Noting<C>: Crypto + Default,
{
    let mut net: Net<S, C> = members(2);
    let mut dice = Dice::new(13);
    let mut text = [0; 200];
    for n in 0..2 {
        net.join_group(n, FABRIC, 1, SecurityPolicy::CacheAndSync, &[7]);
    }
    net.cut();
    for turn in 0..30 {
        noted_text(&mut dice, &mut text);
        let mut buf = [0; 300];
        let (mut datagram, mut len) = ([0; 300], 0);
        net.call(0, |m, cx| {
            let (to, kind) = (Group::new(FABRIC, GroupId::new(1)), MessageType::new(IM, 8));
            let sent = m.groups_mut().send(cx, to, kind, &text, &mut buf).unwrap();
            len = sent.datagram.len();
            datagram[..len].copy_from_slice(sent.datagram);
        });
        // Decrypted in the caller's buffer.
        let dropped =
            net.call(1, |m, cx| m.handle_datagram(cx, udp(1), &mut datagram[..len]).dropped());
        assert_eq!(dropped, None, "it waits");
        if turn % 10 == 9 {
            net.run(5000);
        }
    }
    net
}

#[test]
fn group_messages_that_wait_for_a_counter_are_wiped_when_they_are_given_up() {
    leaves_nothing!(group_messages);
}

#[test]
fn check_in_keys_are_wiped_where_they_were_kept() {
    let watching = Watching::begin();
    let mut dice = Dice::new(10);
    let counter = IcdCounter::random(10, &mut dice);
    let compressed = CompressedFabricId::from_bytes([7; 8]);
    for _ in 0..20 {
        let key: Secret<16> = drawn(&mut dice);
        let registered = Box::new(counter.register(key.clone(), &[]).unwrap());
        let stored = Box::new(registered.to_bytes());
        drop(Box::new(RegisteredKey::from_bytes(stored.as_bytes()).unwrap()));
        let peer = NodeId::new(7);
        let registration =
            Box::new(Registration::new(FABRIC, compressed, peer, key, counter.value()));
        let stored = Box::new(registration.to_bytes());
        drop(Box::new(Registration::from_bytes(stored.as_bytes()).unwrap()));
    }
    assert!(watching.noted() > 0, "no secret was looked for");
    assert_eq!(watching.found(), Found(Vec::new()));
}

#[test]
fn the_allocator_finds_what_is_left_behind() {
    let watching = Watching::begin();
    let mut dice = Dice::new(11);
    let secrets: Vec<Secret<32>> = (0..4).map(|_| drawn(&mut dice)).collect();
    // A row that grows copies its entries.
    let mut row = Vec::with_capacity(1);
    for secret in secrets {
        row.push(secret);
        row.shrink_to_fit();
    }
    drop(row);
    assert!(watching.found() != Found(Vec::new()));
}
