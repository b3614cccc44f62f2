//! What an application does, at random.

use core::time::Duration;

use matter_session::crypto::{Passcode, SignError};
use matter_session::ids::{FabricIndex, Peer};
use matter_session::manager::{
    ConnectError, ExchangeHandle, FabricTableError, HandshakeHandle, PeerAddress, SessionHandle,
    Storage, WindowError,
};

use super::node::{Node, Scene};
use super::suite::{FABRICS, ISSUES, PASSCODE, Suite, node_id, node_of};
use super::wire;
use matter_session_testing::rng::Dice;

fn pick<T: Copy>(dice: &mut Dice, from: impl Iterator<Item = T>) -> Option<T> {
    let from: Vec<_> = from.collect();
    (!from.is_empty()).then(|| from[dice.below(from.len() as u64) as usize])
}

impl<X: Suite, S: Storage> Node<X, S> {
    /// One random thing.
    pub fn act(&mut self, scene: &mut Scene<'_>) {
        // It does not stay like that for long.
        if scene.dice.below(4) == 0 {
            self.app.lags = false;
            self.poll_events(scene);
        }
        if self.app.requests.is_empty() && self.app.claims.is_empty() && scene.dice.below(4) == 0 {
            self.app.signs_late = false;
        }
        if scene.dice.below(5) == 0 {
            return self.act_in_groups(scene);
        }
        match scene.dice.below(100) {
            0..12 => self.dial_somebody(scene),
            12..15 => self.commission_somebody(scene),
            15..18 => self.open_window(scene),
            18 => self.manager.window().close(),
            19..42 => self.begin(scene),
            42..54 => {
                if let Some(exchange) = self.some_exchange(scene) {
                    self.say(scene, exchange);
                }
            }
            54..59 => {
                if let Some(exchange) = self.some_exchange(scene) {
                    self.say_unreliably(scene, exchange);
                }
            }
            59..61 => {
                if let Some(exchange) = self.some_exchange(scene) {
                    self.expect_response(scene, exchange);
                }
            }
            61..70 => {
                if let Some(exchange) = self.some_exchange(scene) {
                    self.close_exchange(scene, exchange);
                }
            }
            70..73 => {
                if let Some(session) = self.some_session(scene) {
                    scene.tell(self.name, || format!("closes {session:?}"));
                    self.call(scene, |manager, cx| manager.close_session(cx, session));
                }
            }
            73..75 => self.cancel(scene),
            75..81 => self.sign(scene),
            81..83 => self.app.lags = true,
            83..85 => self.app.signs_late = true,
            85..87 => self.forget(scene),
            87..90 => self.change_fabrics(scene),
            90..95 => self.dial_again(scene),
            95 => self.call(scene, |manager, cx| manager.handle_timeout(cx)),
            96 => {
                let wait = (scene.dice.below(2) == 0).then_some(Duration::from_millis(700));
                self.manager.handshakes().set_busy(wait);
            }
            97 => {
                let peer = scene.addresses[self.somebody_else(scene)];
                scene.tell(self.name, || format!("gives {peer} up"));
                self.lose_connection(scene, peer);
            }
            98 if scene.dice.below(4) != 0 => self.reach(scene),
            98 => self.associate(scene),
            _ => self.close_many(scene),
        }
    }

    fn some_session(&mut self, scene: &mut Scene<'_>) -> Option<SessionHandle> {
        pick(scene.dice, self.manager.sessions().iter().map(|session| session.handle()))
    }

    /// An exchange of which the application has a handle; it may be over.
    fn some_exchange(&mut self, scene: &mut Scene<'_>) -> Option<ExchangeHandle> {
        let open = self.app.exchanges.iter().filter(|(_, talk)| !talk.is_closed);
        pick(scene.dice, open.map(|(handle, _)| *handle))
    }

    fn some_fabric(&mut self, scene: &mut Scene<'_>) -> Option<(FabricIndex, usize)> {
        pick(scene.dice, self.app.fabrics.iter().map(|(index, (fabric, _))| (*index, *fabric)))
    }

    fn somebody_else(&self, scene: &mut Scene<'_>) -> usize {
        let nodes = scene.addresses.len();
        (self.name + 1 + scene.dice.below(nodes as u64 - 1) as usize) % nodes
    }

    /// Begins a conversation.
    fn begin(&mut self, scene: &mut Scene<'_>) {
        let Some(session) = self.some_session(scene) else { return self.dial_somebody(scene) };
        if let Some(exchange) = self.open_exchange(scene, session) {
            self.say(scene, exchange);
        }
    }

    fn dial_somebody(&mut self, scene: &mut Scene<'_>) {
        let Some((_, fabric)) = self.some_fabric(scene) else { return };
        let peer = self.somebody_else(scene);
        // Now and then it asks at the wrong door.
        let at = if scene.dice.below(20) == 0 { self.somebody_else(scene) } else { peer };
        let over_tcp = scene.dice.below(5) == 0;
        let at = scene.addresses[at];
        if scene.dice.below(4) == 0 {
            let count = 1 + scene.dice.below(3);
            let others = (0..count).map(|_| scene.addresses[self.somebody_else(scene)]);
            let mut several: Vec<_> = others.collect();
            several.insert(scene.dice.below(count) as usize, at);
            let _ = self.dial_at(scene, &several, fabric, peer);
            return;
        }
        let _ = self.dial(scene, if over_tcp { wire::over_tcp(at) } else { at }, fabric, peer);
    }

    /// Says that a peer listens, where it may be, or that its network is slow.
    fn reach(&mut self, scene: &mut Scene<'_>) {
        let Some(session) = self.some_session(scene) else { return };
        let address = scene.addresses[self.somebody_else(scene)];
        match scene.dice.below(3) {
            0 => {
                let moved = self.manager.sessions_mut().move_session(session, address);
                scene.tell(self.name, || format!("moves {session:?} to {address}: {moved:?}"));
                let was_reliable =
                    self.manager.session(session).is_some_and(|s| s.peer_address().is_reliable());
                assert_eq!(moved.is_err(), was_reliable);
            }
            1 => {
                let boost = Duration::from_millis(scene.dice.below(200));
                self.manager.sessions_mut().set_retransmission_boost(session, boost);
            }
            _ => {
                let identity = self.manager.session(session).map(|s| *s.session().identity());
                let identity = identity.expect("a session");
                let Some(fabric) = identity.fabric() else { return };
                let peer = Peer::new(fabric, identity.peer_node());
                scene.tell(self.name, || format!("learns that {peer} is awake"));
                self.call(scene, |manager, cx| manager.sessions_mut().peer_is_awake(cx, peer));
            }
        }
    }

    /// Dials somebody with whom it has a record, or else anybody.
    fn dial_again(&mut self, scene: &mut Scene<'_>) {
        let Some((index, peer)) = pick(scene.dice, self.known_peers().into_iter()) else {
            return self.dial_somebody(scene);
        };
        let (fabric, _) = self.app.fabrics[&index];
        let peer = node_of(fabric, peer).expect("a peer that nobody is");
        if peer < scene.addresses.len() {
            let _ = self.dial(scene, scene.addresses[peer], fabric, peer);
        }
    }

    pub fn dial(
        &mut self,
        scene: &mut Scene<'_>,
        to: PeerAddress,
        fabric: usize,
        peer: usize,
    ) -> Result<HandshakeHandle, ConnectError> {
        self.dial_at(scene, &[to], fabric, peer)
    }

    /// Dials a node that is at one of these addresses.
    pub fn dial_at(
        &mut self,
        scene: &mut Scene<'_>,
        to: &[PeerAddress],
        fabric: usize,
        peer: usize,
    ) -> Result<HandshakeHandle, ConnectError> {
        let index = self.index_of(fabric).expect("not a member");
        let id = node_id(fabric, peer);
        let begun =
            self.call(scene, |manager, cx| manager.connect_case(cx, to, Peer::new(index, id)));
        scene.tell(self.name, || format!("dials node {peer} on fabric {fabric}: {begun:?}"));
        self.note(begun)
    }

    fn commission_somebody(&mut self, scene: &mut Scene<'_>) {
        let to = scene.addresses[self.somebody_else(scene)];
        let wrong = scene.dice.below(4) == 0;
        let _ = self.commission(scene, to, PASSCODE + u32::from(wrong));
    }

    pub fn commission(
        &mut self,
        scene: &mut Scene<'_>,
        to: PeerAddress,
        passcode: u32,
    ) -> Result<HandshakeHandle, ConnectError> {
        let passcode = Passcode::new(passcode).unwrap();
        let begun = self.call(scene, |manager, cx| manager.connect_pase(cx, to, passcode));
        scene.tell(self.name, || format!("commissions {to}: {begun:?}"));
        self.note(begun)
    }

    fn note(
        &mut self,
        begun: Result<HandshakeHandle, ConnectError>,
    ) -> Result<HandshakeHandle, ConnectError> {
        match begun {
            Ok(handshake) => {
                let is_new = self.app.dialling.insert(handshake);
                assert!(is_new && !self.app.dialled.contains_key(&handshake));
            }
            Err(ConnectError::TooMany | ConnectError::Backlog | ConnectError::NoRoom) => {}
            Err(error) => panic!("node {} cannot begin a handshake: {error}", self.name),
        }
        begun
    }

    fn open_window(&mut self, scene: &mut Scene<'_>) {
        let duration = (scene.dice.below(2) == 0).then_some(Duration::from_secs(20));
        let window = X::pool().window(duration);
        let (manager, mut services) = self.with_services();
        let opened = manager.window().open(&mut services.at(scene.now), window);
        scene.tell(self.name, || format!("opens its window: {opened:?}"));
        assert!(matches!(opened, Ok(()) | Err(WindowError::Open | WindowError::Backlog)));
    }

    fn cancel(&mut self, scene: &mut Scene<'_>) {
        let Some(handshake) = pick(scene.dice, self.app.dialling.iter().copied()) else { return };
        if self.manager.handshakes().cancel(handshake) {
            scene.tell(self.name, || format!("cancels {handshake:?}"));
            self.app.dialling.remove(&handshake);
        }
    }

    /// Signs or deletes something that was asked for long ago, or fails to.
    fn sign(&mut self, scene: &mut Scene<'_>) {
        if let Some(request) = self.app.claims.pop() {
            let works = scene.dice.below(4) != 0;
            return self.complete_claim(scene, request, works);
        }
        if self.app.requests.is_empty() {
            return;
        }
        let n = scene.dice.below(self.app.requests.len() as u64) as usize;
        let request = self.app.requests.swap_remove(n);
        let membership = self.app.fabrics.get(&request.fabric()).copied();
        let signed = match membership {
            Some((fabric, issue)) if scene.dice.below(8) != 0 => {
                X::pool().member(fabric, self.name, issue).sign(request)
            }
            _ => request.complete(Err(SignError)),
        };
        let waited = self.call(scene, |manager, cx| manager.complete_signature(cx, signed).is_ok());
        scene.tell(self.name, || format!("signs late: {waited}"));
    }

    fn forget(&mut self, scene: &mut Scene<'_>) {
        if scene.dice.below(4) == 0 {
            scene.tell(self.name, || "forgets all records".into());
            return self.call(scene, |manager, cx| manager.records_mut().forget_all(cx));
        }
        if let Some((fabric, peer)) = pick(scene.dice, self.known_peers().into_iter()) {
            scene.tell(self.name, || format!("forgets the record of {peer} on {fabric}"));
            self.call(scene, |manager, cx| {
                manager.records_mut().forget(cx, Peer::new(fabric, peer))
            });
        }
    }

    fn change_fabrics(&mut self, scene: &mut Scene<'_>) {
        let roll = scene.dice.below(4);
        if roll < 2 {
            let (fabric, issue) =
                (scene.dice.below(FABRICS as u64), scene.dice.below(ISSUES as u64));
            if self.index_of(fabric as usize).is_none() {
                let joined = self.join(fabric as usize, issue as usize);
                scene.tell(self.name, || format!("joins fabric {fabric} as {issue}: {joined:?}"));
            }
            return;
        }
        let Some((index, fabric)) = self.some_fabric(scene) else { return };
        if roll == 2 {
            let issue = (self.app.fabrics[&index].1 + 1) % ISSUES;
            let credentials = X::pool().member(fabric, self.name, issue).credentials();
            // What it calls sees the former certificates, and the sessions that come of it none.
            let mut updated = Err(FabricTableError::Unknown);
            self.call(scene, |m, cx| updated = m.fabrics_mut().update(cx, index, &credentials));
            scene.tell(self.name, || format!("updates fabric {fabric}: {updated:?}"));
            if updated.is_ok() {
                self.app.fabrics.insert(index, (fabric, issue));
                self.store_fabric(index);
            }
        } else {
            scene.tell(self.name, || format!("leaves fabric {fabric}"));
            let removed = self.call(scene, |manager, cx| manager.fabrics_mut().remove(cx, index));
            assert!(removed, "a fabric was gone");
            self.app.fabrics.remove(&index);
            self.app.stored_fabrics.remove(&index);
            self.forget_groups_of(index);
            self.keep_copy();
        }
    }

    /// Ties the PASE session to a fabric, as commissioning does.
    fn associate(&mut self, scene: &mut Scene<'_>) {
        let fabric = self.some_fabric(scene);
        if let (Some(session), Some((index, _))) = (self.manager.sessions().pase(), fabric) {
            assert!(self.manager.sessions_mut().associate_fabric(session, index).is_ok());
        }
    }

    fn close_many(&mut self, scene: &mut Scene<'_>) {
        let fabric = self.some_fabric(scene);
        match (scene.dice.below(3), fabric) {
            (0, _) => self.call(scene, |manager, cx| manager.sessions_mut().close_all(cx)),
            (_, Some((index, fabric))) => {
                let peer = node_id(fabric, self.somebody_else(scene));
                self.call(scene, |manager, cx| {
                    manager.sessions_mut().close_with_peer(cx, Peer::new(index, peer))
                });
            }
            _ => {}
        }
    }
}
