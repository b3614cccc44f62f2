//! No call computes more than one operation on the curve, or 512 iterations of PBKDF2.

use matter_session::context::{Context, Services};
use matter_session::crypto::{
    OperationalKey, Passcode, PbkdfParameters, SigningKey, Verifier, VerifierDraft,
};
use matter_session::fabric::{CredentialsCheck, FabricError};
use matter_session::ids::{FabricIndex, MessageType, NodeId, Peer};
use matter_session::manager::sizes::{
    Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions,
};
use matter_session::manager::{
    CommissioningWindow, Config, Event, FabricTableError, Fixed, Heap, PeerAddress, Received,
    SessionHandle, SessionManager, Storage,
};
use matter_session::time::Instant;

use crate::counting::{Counting, Work};
use crate::net::{Authority, Dice, IM, Membership, PASSCODE, udp};

type Small =
    Fixed<Sessions<7>, Exchanges<4>, Handshakes<2>, Fabrics<2>, Records<6>, MessageBytes<4096>>;
type Manager<S> = SessionManager<Counting, S, u32>;

/// A node of which every call is looked at.
struct Node<S: Storage> {
    manager: Manager<S>,
    crypto: Counting,
    rng: Dice,
    key: Option<SigningKey>,
    now: u64,
    events: Vec<Event<u32>>,
    /// How much all calls have computed on the curve, and how many calls did so.
    total: u32,
    busy_calls: u32,
    got: usize,
}

impl<S: Storage> Node<S> {
    fn new(seed: u64, config: Config) -> Self {
        let (crypto, mut rng) = (Counting::default(), Dice::new(seed));
        Self {
            manager: SessionManager::new(config, crypto.clone(), &mut rng),
            crypto,
            rng,
            key: None,
            now: 1_000,
            events: Vec::new(),
            total: 0,
            busy_calls: 0,
            got: 0,
        }
    }

    fn call<R>(&mut self, f: impl FnOnce(&mut Manager<S>, &mut Context<'_>) -> R) -> R {
        self.crypto.take();
        let mut services = Services::new(&mut self.rng);
        let result = f(&mut self.manager, &mut services.at(Instant::from_millis(self.now)));
        let work = self.crypto.take();
        assert_short(&work);
        self.total += work.curve();
        self.busy_calls += u32::from(work.curve() + work.rounds > 0);
        result
    }

    fn is_due(&self) -> bool {
        self.manager.poll_timeout().is_some_and(|due| due.as_millis() <= self.now)
    }

    fn join(&mut self, member: Membership) -> FabricIndex {
        let credentials = member.credentials();
        let mut check = CredentialsCheck::new();
        let early = self.call(|m, _| m.fabrics_mut().add_checked(&credentials, &check));
        assert_eq!(early, Err(FabricTableError::Credentials(FabricError::NotChecked)));
        while !self.call(|m, _| m.fabrics_mut().check(&mut check, &credentials)).unwrap() {}
        let index = self.call(|m, _| m.fabrics_mut().add_checked(&credentials, &check)).unwrap();
        self.key = Some(member.key);
        index
    }

    /// Takes what it has to say, and signs what it is asked to sign.
    fn say(&mut self) {
        while let Some(event) = self.call(|m, _| m.poll_event()) {
            match event {
                Event::SignRequest(request) => {
                    let key = self.key.as_mut().unwrap();
                    let result = key.sign_digest(request.digest());
                    self.call(|m, cx| m.complete_signature(cx, request.complete(result))).unwrap();
                }
                Event::ClaimRequest(request) => {
                    let claimed = request.complete(true);
                    let _ = self.call(|m, cx| m.records_mut().complete_claim(cx, claimed));
                }
                event => self.events.push(event),
            }
        }
    }

    fn transmit(&mut self) -> Option<(PeerAddress, Vec<u8>)> {
        self.call(|m, cx| {
            let transmit = m.poll_transmit(cx.now())?;
            Some((transmit.to, transmit.datagram.to_vec()))
        })
    }

    fn receive(&mut self, from: PeerAddress, mut octets: Vec<u8>) {
        let got = self.call(|m, cx| match m.handle_datagram(cx, from, &mut octets) {
            Received::Message(message) => Some(message.exchange),
            _ => None,
        });
        if let Some(exchange) = got {
            self.got += 1;
            self.manager.close_exchange(exchange);
        }
    }

    fn established(&self) -> Option<(SessionHandle, bool)> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Established { session, resumed, .. } => Some((*session, *resumed)),
            _ => None,
        })
    }
}

fn assert_short(work: &Work) {
    assert!(work.curve() <= 1, "several operations in one call: {work:?}");
    assert!(work.rounds <= 512 && (work.rounds == 0 || work.curve() == 0), "{work:?}");
}

/// Carries datagrams until both are silent and nothing is due. Node `n` has the address `udp(n + 1)`.
fn run<S: Storage>(nodes: &mut [Node<S>; 2]) {
    for _ in 0..10_000 {
        let mut quiet = true;
        for n in [0, 1] {
            nodes[n].say();
            while let Some((to, octets)) = nodes[n].transmit() {
                quiet = false;
                if to == udp(2 - n as u16) {
                    nodes[1 - n].receive(udp(n as u16 + 1), octets);
                }
            }
            if nodes[n].is_due() {
                quiet = false;
                nodes[n].call(|m, cx| m.handle_timeout(cx));
            }
        }
        if quiet {
            return;
        }
    }
    panic!("no rest");
}

fn members<S: Storage>(with_icac: bool) -> [Node<S>; 2] {
    let config = Config::default()
        .with_less_than_specified()
        .with_claim_wait(core::time::Duration::from_secs(3));
    let mut authority = Authority::new(1, with_icac);
    [(1, 100), (2, 200)].map(|(seed, id)| {
        let mut node = Node::new(seed, config.clone());
        node.join(authority.admit(id));
        node
    })
}

fn peer() -> Peer {
    Peer::new(FabricIndex::MIN, NodeId::new(200))
}

fn passcode() -> Passcode {
    Passcode::new(PASSCODE).unwrap()
}

fn pase<S: Storage>(prepared: bool) {
    let config = Config::default().with_less_than_specified();
    let mut nodes = [1, 2].map(|seed| Node::<S>::new(seed, config.clone()));
    let pbkdf = PbkdfParameters::new(1300, &[7; 16]).unwrap();
    let mut draft = VerifierDraft::new(passcode(), pbkdf);
    let verifier = loop {
        let device = &mut nodes[1];
        device.crypto.take();
        let step = draft.step(&device.crypto).unwrap();
        assert_short(&device.crypto.take());
        if let Some(verifier) = step {
            break verifier;
        }
    };
    assert_eq!(verifier, Verifier::generate(&Counting::default(), &passcode(), &pbkdf).unwrap());
    let verifier =
        if prepared { verifier.prepared(&Counting::default()).unwrap() } else { verifier };
    nodes[1].call(|m, cx| m.window().open(cx, CommissioningWindow::new(verifier, pbkdf))).unwrap();
    nodes[0].call(|m, cx| m.connect_pase(cx, udp(2), passcode())).unwrap();
    run(&mut nodes);
    assert!(nodes.iter().all(|node| node.established().is_some()));
    // x*G, + w0*M, Y - w0*N, and the two secrets; the same on the other side.
    assert_eq!((nodes[0].total, nodes[1].total), (5, 5));
    // Three blocks of PBKDF2 with three slices each.
    assert_eq!((nodes[0].busy_calls, nodes[1].busy_calls), (5 + 9, 5));
}

fn case<S: Storage>(with_icac: bool) {
    let mut nodes = members::<S>(with_icac);
    for node in &mut nodes {
        // The root, the intermediate, the operational certificate, and its key.
        assert_eq!(node.total, if with_icac { 4 } else { 3 });
        (node.total, node.busy_calls) = (0, 0);
    }
    nodes[0].call(|m, cx| m.connect_case(cx, udp(2), peer())).unwrap();
    run(&mut nodes);
    assert!(nodes.iter().all(|n| n.established().is_some_and(|(_, resumed)| !resumed)));
    // A key pair, the agreement, and the signatures that the other has presented.
    let operations = if with_icac { 5 } else { 4 };
    assert_eq!((nodes[0].total, nodes[1].total), (operations, operations));
    assert_eq!((nodes[0].busy_calls, nodes[1].busy_calls), (operations, operations));

    for node in &mut nodes {
        node.events.clear();
        node.total = 0;
    }
    nodes[0].call(|m, cx| m.connect_case(cx, udp(2), peer())).unwrap();
    run(&mut nodes);
    assert!(nodes.iter().all(|n| n.established().is_some_and(|(_, resumed)| resumed)));
    assert_eq!((nodes[0].total, nodes[1].total), (1, 0));
}

#[test]
fn no_call_of_pase_computes_more_than_one_operation() {
    pase::<Heap>(false);
    pase::<Small>(false);
}

#[test]
fn no_call_of_case_computes_more_than_one_operation() {
    for with_icac in [false, true] {
        case::<Heap>(with_icac);
        case::<Small>(with_icac);
    }
}

/// A record that is claimed in vain makes the handshake a full one: that computes nothing at once.
#[test]
fn no_refused_claim_computes_more_than_one_operation() {
    let mut nodes = members::<Heap>(true);
    nodes[0].call(|m, cx| m.connect_case(cx, udp(2), peer())).unwrap();
    run(&mut nodes);
    let record =
        nodes[1].manager.records_mut().export(Peer::new(FabricIndex::MIN, NodeId::new(100)));
    assert!(record.is_some(), "it may be stored now");
    for node in &mut nodes {
        node.events.clear();
    }
    nodes[0].call(|m, cx| m.connect_case(cx, udp(2), peer())).unwrap();
    let (_, sigma1) = nodes[0].transmit().unwrap();
    nodes[1].receive(udp(1), sigma1);
    let Some(Event::ClaimRequest(request)) = nodes[1].call(|m, _| m.poll_event()) else {
        panic!("no claim")
    };
    let claimed = request.complete(false);
    nodes[1].call(|m, cx| m.records_mut().complete_claim(cx, claimed)).unwrap();
    run(&mut nodes);
    assert!(nodes.iter().all(|n| n.established().is_some_and(|(_, resumed)| !resumed)));
}

/// Sigma1 goes to three addresses; the peer is at the last.
#[test]
fn no_answer_from_one_of_several_addresses_computes_more_than_one_operation() {
    let mut nodes = members::<Heap>(true);
    nodes[0].total = 0;
    let addresses = [udp(50), udp(51), udp(2)];
    nodes[0].call(|m, cx| m.connect_case(cx, addresses, peer())).unwrap();
    for _ in 0..100 {
        run(&mut nodes);
        nodes.iter_mut().for_each(|node| node.now += 20);
    }
    assert!(nodes.iter().all(|node| node.established().is_some()));
    assert_eq!(nodes[0].total, 5);
}

/// Three initiators at once: the responder computes for each in turn, one part in a call.
#[test]
fn handshakes_that_compute_take_turns() {
    let mut authority = Authority::new(1, false);
    let mut device = Node::<Heap>::new(9, Config::default());
    device.join(authority.admit(200));
    let mut initiators: Vec<_> = (1..=3)
        .map(|n| {
            let mut node = Node::<Heap>::new(n, Config::default());
            node.join(authority.admit(100 + n));
            node.call(|m, cx| m.connect_case(cx, udp(200), peer())).unwrap();
            node
        })
        .collect();
    device.total = 0;
    for (node, port) in initiators.iter_mut().zip(1..) {
        let (_, sigma1) = node.transmit().unwrap();
        device.receive(udp(port), sigma1.clone());
        // What is sent again is not begun again.
        device.receive(udp(port), sigma1);
    }
    assert_eq!(device.total, 0, "what is received is not computed at once");
    // Nobody asks for a signature before everybody has a key pair.
    for _ in 0..3 {
        assert!(device.is_due() && device.call(|m, _| m.poll_event()).is_none());
        device.call(|m, cx| m.handle_timeout(cx));
    }
    for n in 1..=3 {
        assert!(device.is_due());
        device.call(|m, cx| m.handle_timeout(cx));
        device.say();
        assert_eq!(device.total, 3 + n);
    }
    assert!(!device.is_due(), "all is computed");
    let mut answered = Vec::new();
    while let Some((to, _)) = device.transmit() {
        answered.push(to);
    }
    assert_eq!(answered, [udp(1), udp(2), udp(3)]);
}

/// Between two parts messages of sessions are handled and the peer gets its acknowledgement.
#[test]
fn messages_and_acknowledgements_go_between_two_parts() {
    let mut nodes = members::<Heap>(false);
    nodes[0].call(|m, cx| m.connect_case(cx, udp(2), peer())).unwrap();
    run(&mut nodes);
    let (session, _) = nodes[0].established().unwrap();
    let mut third = Node::<Heap>::new(3, Config::default());
    third.join(Authority::new(1, false).admit(300));
    third.call(|m, cx| m.connect_case(cx, udp(2), peer())).unwrap();
    let (_, sigma1) = third.transmit().unwrap();
    nodes[1].receive(udp(3), sigma1);
    nodes[1].call(|m, cx| m.handle_timeout(cx));
    assert!(nodes[1].manager.handshakes().is_computing());

    nodes[0].call(|m, cx| {
        let exchange = m.open_exchange(cx, session).unwrap();
        m.send(cx, exchange, MessageType::new(IM, 8), b"between").unwrap();
    });
    let (_, message) = nodes[0].transmit().unwrap();
    nodes[1].receive(udp(1), message);
    assert_eq!(nodes[1].got, 1);

    // The device is slow: 200 ms after Sigma1 came, its peer is told that it has arrived.
    nodes[1].now += 250;
    nodes[1].call(|m, cx| m.handle_timeout(cx));
    let mut to_third = 0;
    while let Some((to, _)) = nodes[1].transmit() {
        to_third += usize::from(to == udp(3));
    }
    assert_eq!(to_third, 1, "an acknowledgement");
}

/// What ends a handshake ends what it has to compute.
#[test]
fn a_handshake_that_ends_computes_nothing_more() {
    // Cancelled.
    let mut nodes = members::<Heap>(false);
    let handshake = nodes[0].call(|m, cx| m.connect_case(cx, udp(2), peer())).unwrap();
    let (_, sigma1) = nodes[0].transmit().unwrap();
    nodes[1].receive(udp(1), sigma1);
    while nodes[1].is_due() {
        nodes[1].call(|m, cx| m.handle_timeout(cx));
    }
    nodes[1].say();
    let (_, sigma2) = nodes[1].transmit().unwrap();
    nodes[0].receive(udp(2), sigma2);
    nodes[0].call(|m, cx| m.handle_timeout(cx));
    assert!(nodes[0].manager.handshakes().is_computing());
    assert!(nodes[0].manager.handshakes().cancel(handshake));
    assert!(!nodes[0].manager.handshakes().is_computing());
    assert!(format!("{:?}", nodes[0].manager).contains("handshakes: 0"));

    // Its time is over.
    let mut nodes = members::<Heap>(false);
    nodes[0].call(|m, cx| m.connect_case(cx, udp(2), peer())).unwrap();
    let (_, sigma1) = nodes[0].transmit().unwrap();
    nodes[1].receive(udp(1), sigma1);
    assert!(nodes[1].manager.handshakes().is_computing());
    nodes[1].now += 60_001;
    nodes[1].total = 0;
    nodes[1].call(|m, cx| m.handle_timeout(cx));
    assert!(!nodes[1].manager.handshakes().is_computing());
    assert_eq!(nodes[1].total, 0);

    // The fabric is removed.
    let mut nodes = members::<Heap>(false);
    nodes[0].call(|m, cx| m.connect_case(cx, udp(2), peer())).unwrap();
    let (_, sigma1) = nodes[0].transmit().unwrap();
    nodes[1].receive(udp(1), sigma1);
    nodes[1].call(|m, cx| m.fabrics_mut().remove(cx, FabricIndex::MIN));
    assert!(!nodes[1].manager.handshakes().is_computing());
}

/// A check of other credentials adds no fabric.
#[test]
fn credentials_that_were_not_checked_are_refused() {
    let [first, second] = [1, 2].map(|fabric| Authority::new(fabric, true).admit(100));
    let mut node = Node::<Heap>::new(1, Config::default());
    let mut check = CredentialsCheck::new();
    while !node.call(|m, _| m.fabrics_mut().check(&mut check, &first.credentials())).unwrap() {}
    let refused = Err(FabricTableError::Credentials(FabricError::NotChecked));
    let added = node.call(|m, _| m.fabrics_mut().add_checked(&second.credentials(), &check));
    assert_eq!(added, refused);
    // Nor do credentials that change while they are checked.
    let mut check = CredentialsCheck::new();
    let done = node.call(|m, _| m.fabrics_mut().check(&mut check, &first.credentials()));
    assert_eq!(done, Ok(false));
    let done = node.call(|m, _| m.fabrics_mut().check(&mut check, &second.credentials()));
    assert_eq!(done.map(|_| FabricIndex::MIN), refused);
    // A certificate that does not verify is found.
    let credentials = first.credentials();
    let mut noc = credentials.noc.to_vec();
    let at = noc.len() - 10;
    noc[at] ^= 1;
    let forged = matter_session::FabricCredentials { noc: &noc, ..credentials };
    let mut check = CredentialsCheck::new();
    let outcome = loop {
        match node.call(|m, _| m.fabrics_mut().check(&mut check, &forged)) {
            Ok(false) => {}
            other => break other,
        }
    };
    assert!(matches!(outcome, Err(FabricTableError::Credentials(FabricError::Chain(_)))));
}
