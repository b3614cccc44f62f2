//! Two nodes whose crypto backends count, without a network between them.

use std::collections::BTreeMap;

use matter_session::context::{Context, Services};
use matter_session::crypto::SigningKey;
use matter_session::handshake::SignRequest;
use matter_session::ids::{FabricIndex, NodeId, Peer};
use matter_session::manager::{
    Config, Dropped, Event, HandshakeHandle, Heap, PeerAddress, SessionManager,
};
use matter_session::time::Instant;

use crate::counting::Counting;
use crate::net::{Authority, Dice, compute, index};

pub struct Party {
    pub manager: SessionManager<Counting, Heap, u32>,
    pub crypto: Counting,
    pub address: PeerAddress,
    pub now: u64,
    pub events: Vec<Event<u32>>,
    pub signs: bool,
    pub requests: Vec<SignRequest>,
    keys: BTreeMap<FabricIndex, SigningKey>,
    rng: Dice,
}

impl Party {
    pub fn new(address: PeerAddress, config: Config, seed: u64) -> Self {
        let (crypto, mut rng) = (Counting::default(), Dice::new(seed));
        Self {
            manager: SessionManager::new(config, crypto.clone(), &mut rng),
            crypto,
            address,
            now: 1_000_000,
            events: Vec::new(),
            signs: true,
            requests: Vec::new(),
            keys: BTreeMap::new(),
            rng,
        }
    }

    pub fn join(&mut self, authority: &mut Authority, node: u64) -> FabricIndex {
        let member = authority.admit(node);
        let index = self.manager.fabrics_mut().add(&member.credentials()).unwrap();
        self.keys.insert(index, member.key);
        index
    }

    pub fn call<R>(
        &mut self,
        f: impl FnOnce(&mut SessionManager<Counting, Heap, u32>, &mut Context<'_>) -> R,
    ) -> R {
        let now = Instant::from_millis(self.now);
        let mut services = Services::new(&mut self.rng);
        let mut cx = services.at(now);
        let result = f(&mut self.manager, &mut cx);
        compute(&mut self.manager, &mut cx);
        result
    }

    pub fn dial(&mut self, to: PeerAddress, node: u64) -> HandshakeHandle {
        let dialled =
            self.call(|m, cx| m.connect_case(cx, to, Peer::new(index(1), NodeId::new(node))));
        dialled.unwrap()
    }

    pub fn hand(&mut self, from: PeerAddress, octets: &[u8]) -> Result<(), Dropped> {
        let mut octets = octets.to_vec();
        let received =
            self.call(|manager, cx| manager.handle_datagram(cx, from, &mut octets).dropped());
        received.map_or(Ok(()), Err)
    }

    /// Lets time pass; timers that are due are served.
    pub fn wait(&mut self, millis: u64) {
        self.now += millis;
        self.call(|manager, cx| manager.handle_timeout(cx));
    }

    pub fn sign(&mut self, request: SignRequest) -> bool {
        let key = self.keys.get_mut(&request.fabric()).unwrap();
        let signed = request.sign_with(key);
        self.call(|manager, cx| manager.complete_signature(cx, signed).is_ok())
    }

    /// Takes what there is to say and to send.
    pub fn take(&mut self) -> Vec<(PeerAddress, Vec<u8>)> {
        let mut sent = Vec::new();
        loop {
            while let Some(event) = self.manager.poll_event() {
                match event {
                    Event::SignRequest(request) if self.signs => _ = self.sign(request),
                    Event::SignRequest(request) => self.requests.push(request),
                    event => self.events.push(event),
                }
            }
            let now = Instant::from_millis(self.now);
            let Some(transmit) = self.manager.poll_transmit(now) else { return sent };
            sent.push((transmit.to, transmit.datagram.to_vec()));
        }
    }

    pub fn sessions(&self) -> Vec<String> {
        self.manager.sessions().iter().map(|session| format!("{session:?}")).collect()
    }

    pub fn records(&self) -> Vec<Vec<u8>> {
        self.manager
            .dangerous_records()
            .map(|record| record.to_bytes().as_bytes().to_vec())
            .collect()
    }
}

/// Carries datagrams between two parties until both are silent.
pub fn converse(a: &mut Party, b: &mut Party) {
    loop {
        let (from_a, from_b) = (a.take(), b.take());
        if from_a.is_empty() && from_b.is_empty() {
            return;
        }
        for (to, octets) in from_a {
            assert_eq!(to, b.address);
            let _ = b.hand(a.address, &octets);
        }
        for (to, octets) in from_b {
            assert_eq!(to, a.address);
            let _ = a.hand(b.address, &octets);
        }
    }
}

/// Lets time pass for two parties.
pub fn wait(a: &mut Party, b: &mut Party, millis: u64) {
    for _ in 0..millis.div_ceil(100) {
        a.wait(100);
        b.wait(100);
        converse(a, b);
    }
}

/// A controller and a device of one fabric.
pub fn members(controller: Config, device: Config, with_icac: bool) -> (Party, Party) {
    let mut a = Party::new(crate::net::udp(1), controller, 1);
    let mut b = Party::new(crate::net::udp(2), device, 2);
    let mut authority = Authority::new(1, with_icac);
    a.join(&mut authority, 100);
    b.join(&mut authority, 200);
    (a, b)
}

/// Makes a session: the controller dials the device.
pub fn case(a: &mut Party, b: &mut Party) {
    a.dial(b.address, 200);
    converse(a, b);
    wait(a, b, 300);
}
