//! One call of any public method, with arguments that may be of another manager, old, or nonsense.

use matter_session::crypto::{Passcode, PbkdfParameters, Secret, Verifier};
use matter_session::fabric::{Fabric, GroupKey};
use matter_session::group::{EpochStart, GroupEpoch};
use matter_session::ids::{
    FabricIndex, Group, GroupId, LocalSessionId, MessageType, NodeId, Peer, ProtocolId,
};
use matter_session::manager::{
    BatchMessage, CommissioningWindow, Datagram, GroupSettings, PeerAddress, Received, Storage,
};
use matter_session::wire::{GeneralCode, StatusReport};
use matter_session_testing::rng::Dice;
use matter_session_testing::toy::Toy;

use super::node::{
    FABRICS, NODES, any_duration, any_parameters, any_set, coin, id, members, with_key_set,
};
use super::world::{World, address, any_node, keep, pick};

const PASSCODES: [u32; 2] = [20_202_021, 20_202_022];
/// Kinds of calls.
const KINDS: u64 = 40;

fn any_fabric(dice: &mut Dice) -> FabricIndex {
    let index = if dice.below(20) == 0 { 254 } else { 1 + dice.below(FABRICS as u64) };
    FabricIndex::new(index as u8).expect("1 to 254")
}

fn any_peer(dice: &mut Dice) -> Peer {
    Peer::new(any_fabric(dice), NodeId::new(any_node(dice)))
}

fn any_address(dice: &mut Dice) -> PeerAddress {
    address(dice.below(NODES as u64 + 1) as usize, dice.below(5))
}

fn any_passcode(dice: &mut Dice) -> Passcode {
    Passcode::new(PASSCODES[usize::from(dice.below(8) == 0)]).expect("a valid one")
}

fn any_group(dice: &mut Dice) -> Group {
    Group::new(any_fabric(dice), GroupId::new(dice.below(4) as u16))
}

fn any_kind(dice: &mut Dice) -> MessageType {
    let protocols = [ProtocolId::INTERACTION_MODEL, ProtocolId::SECURE_CHANNEL];
    MessageType::new(protocols[usize::from(dice.below(8) == 0)], dice.roll() as u8)
}

fn any_payload(dice: &mut Dice) -> Vec<u8> {
    let len = match dice.below(8) {
        0 => 0,
        1 => 1_100 + dice.below(200),
        2 => 5_000,
        _ => dice.below(100),
    };
    vec![dice.roll() as u8; len as usize]
}

fn any_window(dice: &mut Dice) -> CommissioningWindow {
    let pbkdf = PbkdfParameters::new(1000, &[7; 16]).expect("valid");
    let verifier = Verifier::generate(&Toy::<false>, &any_passcode(dice), &pbkdf).expect("one");
    let window = CommissioningWindow::new(verifier, pbkdf);
    match dice.below(3) {
        0 => window.with_duration(any_duration(dice)),
        1 => window.with_any_duration(any_duration(dice)),
        _ => window,
    }
}

impl<S: Storage> World<S> {
    pub fn call(&mut self, n: usize) {
        self.figures.calls += 1;
        let kind = self.dice.below(KINDS);
        self.tell(|| format!("node {n}: call {kind}"));
        match kind {
            0..12 => self.converse(n, kind),
            12..16 => self.connect(n, kind),
            16..20 => self.replay(n),
            20..25 => self.administer(n, kind),
            25..30 => self.groups(n, kind),
            30..33 => self.window(n, kind),
            33..36 => self.sessions(n, kind),
            36 => self.sign_anything(n),
            37 => self.connections(n),
            38 => self.check_in(n),
            _ => self.look(n),
        }
    }

    /// Exchanges and messages.
    fn converse(&mut self, n: usize, kind: u64) {
        let Self { dice, pool, nodes, .. } = self;
        // Mostly the manager whose exchange it is.
        let picked = pick(&pool.exchanges, dice).copied();
        let n = picked.map_or(n, |(owner, _)| if dice.below(4) == 0 { n } else { owner });
        let picked = picked.map(|(_, exchange)| exchange);
        let node = &mut nodes[n];
        match kind {
            0..4 => {
                let count = node.manager.sessions().len() as u64;
                let own = (count > 0).then(|| dice.below(count) as usize);
                let own = own.and_then(|at| node.manager.sessions().iter().nth(at));
                let own = own.map(|session| session.handle()).filter(|_| dice.below(4) != 0);
                let Some(session) = own.or_else(|| pick(&pool.sessions, dice).copied()) else {
                    return;
                };
                let Ok(exchange) = node.call(|m, cx| m.open_exchange(cx, session)) else { return };
                keep(&mut pool.exchanges, (n, exchange));
                let (kind, payload) = (any_kind(dice), any_payload(dice));
                let _ = node.call(|m, cx| m.send(cx, exchange, kind, &payload));
            }
            4..8 => {
                let Some(exchange) = picked else { return };
                let (kind, payload) = (any_kind(dice), any_payload(dice));
                let _ = node.call(|m, cx| m.send(cx, exchange, kind, &payload));
            }
            8 => {
                let Some(exchange) = picked else { return };
                node.manager.close_exchange(exchange);
            }
            9 => {
                let payload = any_payload(dice);
                let mut messages: Vec<_> = (0..dice.below(5))
                    .filter_map(|_| {
                        let (_, exchange) = *pick(&pool.exchanges, dice)?;
                        Some(BatchMessage::new(exchange, any_kind(dice), &payload))
                    })
                    .collect();
                node.call(|m, cx| m.send_all(cx, &mut messages));
                assert!(messages.iter().all(|message| message.result().is_some()));
            }
            10 => {
                let Some(exchange) = picked else { return };
                let (kind, payload) = (any_kind(dice), any_payload(dice));
                let mut buf = vec![0; dice.below(1_400) as usize];
                let sent = node.call(|m, cx| {
                    let sent = m.send_unreliable(cx, exchange, kind, &payload, &mut buf);
                    sent.ok().map(|transmit| (transmit.to, transmit.datagram.to_vec()))
                });
                if let Some((to, bytes)) = sent {
                    self.send(n, to, bytes);
                }
            }
            _ if coin(dice) => {
                let Some(exchange) = picked else { return };
                let processing = any_duration(dice);
                node.call(|m, cx| m.sessions_mut().expect_response(cx, exchange, processing));
            }
            _ => {
                let Some(exchange) = picked else { return };
                let _ = node.manager.sessions().max_payload(exchange, any_kind(dice).protocol);
            }
        }
    }

    /// Handshakes.
    fn connect(&mut self, n: usize, kind: u64) {
        let Self { dice, pool, nodes, .. } = self;
        let node = &mut nodes[n];
        // Mostly to where the peer is.
        let other = (n + 1 + dice.below(NODES as u64 - 1) as usize) % NODES;
        let (mut to, mut peer) = (address(other, dice.below(5)), any_peer(dice));
        peer.node = NodeId::new(id(other));
        if dice.below(8) == 0 {
            (to, peer) = (any_address(dice), any_peer(dice));
        }
        // Seldom more than are tried.
        let others = if dice.below(16) == 0 { dice.below(12) } else { dice.below(2) };
        let several: Vec<_> = (0..others).map(|_| any_address(dice)).chain([to]).collect();
        let begun = match kind {
            12 if coin(dice) => {
                let passcode = any_passcode(dice);
                node.call(|m, cx| m.connect_pase(cx, &several, passcode))
            }
            13 if coin(dice) => node.call(|m, cx| m.connect_case(cx, &several, peer)),
            12 => {
                let passcode = any_passcode(dice);
                node.call(|m, cx| m.connect_pase(cx, to, passcode))
            }
            13 | 14 => node.call(|m, cx| m.connect_case(cx, to, peer)),
            _ => {
                let Some(handshake) = pick(&pool.handshakes, dice).copied() else { return };
                if coin(dice) {
                    node.manager.handshakes().cancel(handshake);
                } else {
                    let parameters = any_parameters(dice);
                    let _ =
                        node.call(|m, cx| m.handshakes().expect_timing(cx, handshake, parameters));
                }
                return;
            }
        };
        if let Ok(handshake) = begun {
            keep(&mut pool.handshakes, handshake);
        }
    }

    /// Recorded datagrams, altered and invented ones, alone and in batches.
    fn replay(&mut self, n: usize) {
        let mut batch: Vec<_> = (0..self.dice.below(4))
            .map(|_| {
                let dice = &mut self.dice;
                let mut bytes = match pick(&self.pool.datagrams, dice) {
                    Some(datagram) if dice.below(8) != 0 => datagram.bytes.clone(),
                    _ => (0..dice.below(80)).map(|_| dice.roll() as u8).collect(),
                };
                if coin(dice) && !bytes.is_empty() {
                    let at = dice.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << dice.below(8);
                }
                (any_address(dice), bytes)
            })
            .collect();
        if coin(&mut self.dice) {
            for (from, bytes) in &mut batch {
                self.hand(n, *from, bytes);
            }
            return;
        }
        let mut datagrams: Vec<_> =
            batch.iter_mut().map(|(from, bytes)| Datagram::new(*from, bytes)).collect();
        self.nodes[n].call(|m, cx| m.handle_datagrams(cx, &mut datagrams));
        for datagram in &mut datagrams {
            if let Some(Received::Message(message)) = datagram.take() {
                keep(&mut self.pool.exchanges, (n, message.exchange));
            }
        }
    }

    /// Fabrics and records.
    fn administer(&mut self, n: usize, kind: u64) {
        let Self { dice, pool, nodes, .. } = self;
        let node = &mut nodes[n];
        // At times it is given the credentials of another node.
        let member = if dice.below(8) == 0 { dice.below(NODES as u64) as usize } else { n };
        let credentials = members()[dice.below(FABRICS as u64) as usize][member].credentials();
        let index = any_fabric(dice);
        match kind {
            20 => drop(node.manager.fabrics_mut().add(&credentials)),
            21 if coin(dice) => {
                let session = pick(&pool.sessions, dice).copied().filter(|_| coin(dice));
                let _ = node.call(|m, cx| match session {
                    Some(session) => {
                        m.fabrics_mut().sparing(session).update(cx, index, &credentials)
                    }
                    None => m.fabrics_mut().update(cx, index, &credentials),
                });
            }
            21 => {
                let bytes = match pick(&pool.fabrics, dice) {
                    Some(bytes) => bytes.clone(),
                    None => vec![dice.roll() as u8; 200],
                };
                let _ = node.manager.fabrics_mut().restore(&bytes);
                let mut bytes = vec![0; Fabric::ENCODED_MAX_LEN];
                let fabrics = node.manager.fabrics();
                if let Some(Ok(len)) = fabrics.get(index).map(|fabric| fabric.encode(&mut bytes)) {
                    bytes.truncate(len);
                    keep(&mut pool.fabrics, bytes);
                }
            }
            22 if dice.below(4) == 0 => {
                let session = pick(&pool.sessions, dice).copied().filter(|_| coin(dice));
                node.call(|m, cx| match session {
                    Some(session) => m.fabrics_mut().sparing(session).remove(cx, index),
                    None => m.fabrics_mut().remove(cx, index),
                });
            }
            22 => {
                let epochs: Vec<_> = (0..dice.below(5))
                    .map(|_| GroupEpoch {
                        key: GroupKey::EpochKey(Secret::new([dice.below(4) as u8; 16])),
                        start: EpochStart::from_micros(dice.below(4)),
                    })
                    .collect();
                let _ = node.manager.fabrics_mut().set_ipks(index, &epochs);
            }
            23 => {
                let Some(record) = pick(&pool.records, dice).cloned() else { return };
                let _ = node.call(|m, cx| m.records_mut().restore(cx, record));
            }
            24 if dice.below(4) == 0 => node.call(|m, cx| m.records_mut().forget_all(cx)),
            _ => {
                let peer = any_peer(dice);
                node.call(|m, cx| m.records_mut().forget(cx, peer));
            }
        }
    }

    fn groups(&mut self, n: usize, kind: u64) {
        let Self { dice, nodes, .. } = self;
        let node = &mut nodes[n];
        let (group, set) = (any_group(dice), any_set(dice));
        match kind {
            25 => {
                with_key_set(dice, set, |set| {
                    let _ = node.manager.groups_mut().set_key_set(group.fabric, set);
                });
            }
            26 => {
                let settings = GroupSettings::new(set);
                let settings = if coin(dice) { settings.with_privacy() } else { settings };
                let _ = node.manager.groups_mut().set(group, settings);
            }
            27 => match dice.below(6) {
                0 => drop(node.manager.groups_mut().remove(group)),
                1 => drop(node.manager.groups_mut().remove_key_set(group.fabric, set)),
                2 => {
                    let sender = NodeId::new(any_node(dice));
                    node.manager.groups_mut().forget_sender(group.fabric, sender);
                }
                _ => drop(node.manager.groups_mut().poll_message()),
            },
            _ => {
                let (kind, payload) = (any_kind(dice), any_payload(dice));
                let mut buf = vec![0; dice.below(1_400) as usize];
                let sent = node.call(|m, cx| {
                    let sent = m.groups_mut().send(cx, group, kind, &payload, &mut buf);
                    sent.ok().map(|transmit| (transmit.to, transmit.datagram.to_vec()))
                });
                if let Some((to, bytes)) = sent {
                    self.send(n, to, bytes);
                }
            }
        }
    }

    fn window(&mut self, n: usize, kind: u64) {
        let Self { dice, nodes, .. } = self;
        let node = &mut nodes[n];
        match kind {
            30 => {
                let window = any_window(dice);
                let _ = node.call(|m, cx| m.window().open(cx, window));
            }
            31 => {
                let passcode = any_passcode(dice);
                let duration = coin(dice).then(|| any_duration(dice));
                let _ = node.call(|m, cx| m.window().open_for(cx, &passcode, duration));
            }
            _ if coin(dice) => {
                let duration = coin(dice).then(|| any_duration(dice));
                let _ = node.call(|m, cx| m.window().arm_fail_safe(cx, duration));
            }
            _ => {
                if dice.below(3) == 0 {
                    node.manager.window().close();
                }
                let busy = (dice.below(8) == 0).then(|| any_duration(dice));
                node.manager.handshakes().set_busy(busy);
            }
        }
    }

    fn sessions(&mut self, n: usize, kind: u64) {
        let Self { dice, pool, nodes, .. } = self;
        let node = &mut nodes[n];
        let Some(session) = pick(&pool.sessions, dice).copied() else { return };
        match kind {
            33 => match dice.below(8) {
                0 => node.call(|m, cx| m.sessions_mut().close_all(cx)),
                1 => {
                    let peer = any_peer(dice);
                    node.call(|m, cx| m.sessions_mut().close_with_peer(cx, peer));
                }
                _ => node.call(|m, cx| m.close_session(cx, session)),
            },
            34 if coin(dice) => node.manager.sessions_mut().close_when_settled(session),
            34 if coin(dice) => match dice.below(3) {
                0 => {
                    let peer = any_peer(dice);
                    node.call(|m, cx| m.sessions_mut().peer_is_awake(cx, peer));
                }
                1 => {
                    let boost = any_duration(dice);
                    node.manager.sessions_mut().set_retransmission_boost(session, boost);
                }
                _ => drop(node.manager.sessions_mut().move_session(session, any_address(dice))),
            },
            34 => drop(node.manager.sessions_mut().associate_fabric(session, any_fabric(dice))),
            _ => {
                if let Some(data) = node.manager.data_mut(session) {
                    **data += 1;
                }
            }
        }
    }

    /// Signatures and claims that are answered late, by another node, or that failed.
    fn sign_anything(&mut self, n: usize) {
        if let Some(request) = self.pool.requests.pop_back() {
            let by = self.dice.below(NODES as u64) as usize;
            let signed = self.sign(by, request);
            keep(&mut self.pool.signed, signed);
        }
        if let Some(signed) = self.pool.signed.pop_front() {
            let _ = self.nodes[n].call(|m, cx| m.complete_signature(cx, signed));
        }
        if let Some(claimed) = self.pool.claimed.pop_front() {
            let _ = self.nodes[n].call(|m, cx| m.records_mut().complete_claim(cx, claimed));
        }
    }

    fn connections(&mut self, n: usize) {
        let Self { dice, nodes, .. } = self;
        let (node, connection) = (&mut nodes[n], any_address(dice));
        match dice.below(3) {
            0 => drop(node.manager.connections().is_in_use(connection)),
            1 => node.call(|m, cx| m.connections().handle_disconnect(cx, connection)),
            _ => {
                let general = GeneralCode(dice.roll() as u16);
                let code = dice.roll() as u16;
                let report = StatusReport::new(general, ProtocolId::SECURE_CHANNEL, code, &[]);
                let _ =
                    node.call(|m, cx| m.connections().send_status_report(cx, connection, &report));
            }
        }
    }

    fn check_in(&mut self, n: usize) {
        let client = any_address(&mut self.dice);
        let mut buf = vec![0; self.dice.below(300) as usize];
        let (data, node) = (any_payload(&mut self.dice), &mut self.nodes[n]);
        match self.dice.below(4) {
            0 => node.icd.invalidate_half(),
            1 => node.icd.invalidate_all(),
            _ => {}
        }
        if let Some(bound) = node.icd.bound_to_store() {
            node.icd.stored(bound);
        }
        let key = self.dice.below(4) as u8;
        if let Ok(key) = node.icd.register(Secret::new([key; 16]), [&node.icd_key]) {
            node.icd_key = key;
        }
        let key = node.icd_key.clone();
        let Ok(check_in) = node.icd.check_in(&data) else { return };
        // The counter is borrowed with the message.
        let mut rng = node.rng.clone();
        let mut services = matter_session::context::Services::new(&mut rng);
        let mut cx = services.at(matter_session::Instant::from_millis(node.now));
        let sent = node.manager.send_check_in(&mut cx, client, &check_in, &key, &mut buf);
        let sent = sent.ok().map(|transmit| (transmit.to, transmit.datagram.to_vec()));
        if let Some((to, bytes)) = sent {
            self.send(n, to, bytes);
        }
    }

    /// Everything that only looks.
    fn look(&mut self, n: usize) {
        let Self { dice, pool, nodes, .. } = self;
        let m = &mut nodes[n].manager;
        let (peer, group) = (any_peer(dice), any_group(dice));
        let _ = (m.config(), m.statistics(), m.poll_timeout());
        let _ = (m.is_settled(), m.session_with(peer), format!("{m:?}"));
        let handshakes = m.handshakes();
        let count = handshakes.len();
        assert_eq!(handshakes.is_empty(), count == 0);
        let _ = handshakes.with_peer(peer);
        let _ = handshakes.peer_certificates();
        let id = LocalSessionId::new(1 + dice.below(0xFFFF) as u16).expect("not zero");
        let sessions = m.sessions();
        let handles: Vec<_> = sessions.iter().map(|session| session.handle()).collect();
        assert_eq!(handles.len(), sessions.len());
        assert_eq!(handles.is_empty(), sessions.is_empty());
        let _ = (sessions.by_id(id), sessions.with_peer(peer).count(), sessions.pase());
        let _ = sessions.exchange_count();
        let (protocol, len) = (any_kind(dice).protocol, dice.below(20_000) as usize);
        let chosen = sessions.for_payload(peer, protocol, len);
        assert!(chosen.is_none() || sessions.for_payload(peer, protocol, 0).is_some());
        for handle in handles {
            let session = m.session(handle).expect("it was listed");
            assert_eq!(session.peer().is_some(), session.verification().is_some());
            let own = (session.fabric().is_some(), session.resumed_at(), session.max_payload());
            let _ = (own, session.ticket(), session.peer_certificates().is_some());
            keep(&mut pool.sessions, handle);
        }
        let records = m.records();
        let count = records.iter().count();
        assert_eq!((records.len(), records.is_empty()), (count, count == 0));
        let _ = records.get(peer);
        let fabrics = m.fabrics();
        let count = fabrics.iter().count();
        assert_eq!((fabrics.len(), fabrics.is_empty()), (count, count == 0));
        let groups = m.groups();
        let _ = (groups.has_key_set(group.fabric, any_set(dice)), groups.get(group));
        let _ = (groups.iter(group.fabric).count(), groups.address(group), groups.max_payload());
        let _ = groups.senders(group.fabric).count();
        let _ = m.window().is_open();
    }
}
