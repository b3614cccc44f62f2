//! The toy backend of simulations and fuzzing, shown to be a backend: both handshakes and a
//! resumption between managers, and refusals where P-256 refuses.

use matter_session::crypto::{
    Aead, Cipher, CryptoError, Curve, Hashing, KeyPair, OpenNonce, OperationalKey, PublicKey,
    SealNonce, Secret, Signature, SignedBytes, Spake2p,
};
use matter_session::manager::{Config, Event, PeerAddress, Received, SessionManager};
use matter_session::{
    Context, FabricIndex, Heap, Instant, MessageType, NodeId, Passcode, Peer, Services,
};

use matter_session_testing::net::compute;
use matter_session_testing::rng::Dice;
use matter_session_testing::toy::{Toy, ToyAuthority, ToyKey};

type Manager = SessionManager<Toy, Heap>;

struct Pair {
    nodes: Vec<(Manager, Option<ToyKey>)>,
    rng: Dice,
    /// What was established: by which node, and whether by resumption.
    established: Vec<(usize, bool)>,
    failed: usize,
    got: Vec<Vec<u8>>,
}

fn address(n: usize) -> PeerAddress {
    PeerAddress::Udp(([127, 0, 0, 1], n as u16).into())
}

impl Pair {
    fn new() -> Self {
        let mut rng = Dice::new(1);
        let mut node = || (Manager::new(Config::default(), Toy, &mut rng), None);
        let nodes = vec![node(), node()];
        Self { nodes, rng, established: Vec::new(), failed: 0, got: Vec::new() }
    }

    fn call<R>(&mut self, n: usize, f: impl FnOnce(&mut Manager, &mut Context<'_>) -> R) -> R {
        f(&mut self.nodes[n].0, &mut Services::new(&mut self.rng).at(Instant::ZERO))
    }

    /// Carries datagrams until nobody has any.
    fn run(&mut self) {
        loop {
            let mut quiet = true;
            for n in [0, 1] {
                let (from, to) = if n == 0 { (0, 1) } else { (1, 0) };
                self.events(n);
                while let Some(sent) = self.nodes[from].0.poll_transmit(Instant::ZERO) {
                    let mut datagram = sent.datagram.to_vec();
                    quiet = false;
                    let mut services = Services::new(&mut self.rng);
                    let mut cx = services.at(Instant::ZERO);
                    let peer = &mut self.nodes[to].0;
                    let received = peer.handle_datagram(&mut cx, address(from), &mut datagram);
                    compute(peer, &mut cx);
                    if let Received::Message(message) = received {
                        self.got.push(message.payload.to_vec());
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn events(&mut self, n: usize) {
        let (manager, key) = &mut self.nodes[n];
        let mut services = Services::new(&mut self.rng);
        let mut cx = services.at(Instant::ZERO);
        while let Some(event) = manager.poll_event() {
            match event {
                Event::SignRequest(request) => {
                    let signed = request.sign_with(key.as_mut().unwrap());
                    assert!(manager.complete_signature(&mut cx, signed).is_ok());
                }
                Event::Established { resumed, .. } => self.established.push((n, resumed)),
                Event::HandshakeFailed { .. } => self.failed += 1,
                _ => {}
            }
        }
    }

    fn pase(&mut self, passcode: u32) {
        let right = Passcode::new(20_202_021).unwrap();
        self.call(1, |manager, cx| manager.window().open_for(cx, &right, None)).unwrap();
        let passcode = Passcode::new(passcode).unwrap();
        self.call(0, |manager, cx| manager.connect_pase(cx, address(1), passcode)).unwrap();
        self.run();
    }

    fn case(&mut self) {
        let fabric = FabricIndex::new(1).unwrap();
        self.call(0, |manager, cx| {
            manager.connect_case(cx, address(1), Peer::new(fabric, NodeId::new(101)))
        })
        .unwrap();
        self.run();
    }
}

#[test]
fn pase_succeeds_with_the_passcode_and_fails_with_another() {
    let mut pair = Pair::new();
    pair.pase(20_202_021);
    assert_eq!((&pair.established[..], pair.failed), (&[(1, false), (0, false)][..], 0));

    let mut pair = Pair::new();
    pair.pase(20_202_022);
    assert!(pair.established.is_empty());
    assert_eq!(pair.failed, 2);
}

#[test]
fn case_and_its_resumption_carry_messages() {
    for with_icac in [false, true] {
        let mut pair = Pair::new();
        let mut authority = ToyAuthority::new(1, with_icac, &mut pair.rng);
        for n in [0, 1] {
            let member = authority.admit(100 + n as u64, &mut pair.rng);
            pair.nodes[n].0.fabrics_mut().add(&member.credentials()).unwrap();
            pair.nodes[n].1 = Some(member.key);
        }
        pair.case();
        pair.case();
        pair.established.sort_unstable();
        assert_eq!(pair.established, [(0, false), (0, true), (1, false), (1, true)]);

        let session = pair.nodes[0].0.sessions().iter().next().unwrap().handle();
        pair.call(0, |manager, cx| {
            let exchange = manager.open_exchange(cx, session).unwrap();
            manager.send(cx, exchange, MessageType::READ_REQUEST, b"hello").unwrap();
        });
        pair.run();
        assert_eq!(pair.got, [b"hello"]);
    }
}

#[test]
fn a_member_of_another_authority_gets_no_session() {
    let mut pair = Pair::new();
    for n in [0, 1] {
        // The same fabric id under two roots.
        let mut authority = ToyAuthority::new(1, false, &mut pair.rng);
        let member = authority.admit(100 + n as u64, &mut pair.rng);
        pair.nodes[n].0.fabrics_mut().add(&member.credentials()).unwrap();
        pair.nodes[n].1 = Some(member.key);
    }
    pair.case();
    assert!(pair.established.is_empty());
    assert_eq!(pair.failed, 2, "one at each end");
}

#[test]
fn what_is_no_element_is_refused() {
    let mut rng = Dice::new(2);
    let good = *ToyKey::generate(&mut rng).public_key().as_bytes();
    let agree = |octets: &[u8; 65], rng: &mut Dice| {
        let own = Toy::<false>.ephemeral(rng).unwrap();
        own.agree(&PublicKey::new(octets).unwrap()).map(|_| ())
    };
    assert_eq!(agree(&good, &mut rng), Ok(()));
    let with = |element: u64| {
        let mut octets = [0; 65];
        octets[0] = 4;
        octets[25..33].copy_from_slice(&element.to_be_bytes());
        octets
    };
    let order = 0x1fff_ffff_ffff_eb5d;
    assert_eq!(agree(&with(order), &mut rng), Ok(()));
    for element in [0, 1, order + 1, u64::MAX] {
        assert_eq!(agree(&with(element), &mut rng), Err(CryptoError::InvalidPoint), "{element}");
    }
    for octet in (1..25).chain(33..65) {
        let mut bad = good;
        bad[octet] ^= 1;
        assert_eq!(agree(&bad, &mut rng), Err(CryptoError::InvalidPoint), "octet {octet}");
    }
}

#[test]
fn two_agree_on_a_secret_and_scalars_have_a_range() {
    let mut rng = Dice::new(3);
    for _ in 0..100 {
        let [a, b] = [(); 2].map(|()| Toy::<false>.ephemeral(&mut rng).unwrap());
        let [pa, pb] = [&a, &b].map(|key| key.public());
        let (at_a, at_b) = (a.agree(&pb), b.agree(&pa));
        assert_eq!(at_a.unwrap(), at_b.unwrap());
    }
    for bad in [[0; 32], [0xff; 32]] {
        let refused = Toy::<false>.spake_l(&Secret::new(bad));
        assert_eq!(refused.unwrap_err(), CryptoError::InvalidScalar);
    }
    assert_eq!(Toy::<false>.spake_reduce(&[0; 40]).unwrap_err(), CryptoError::InvalidScalar);
}

#[test]
fn the_lax_form_takes_any_code_and_signature_and_the_other_does_not() {
    let mut rng = Dice::new(4);
    let nonce = [7; 13];
    let mut sealed = *b"content";
    let key = Toy::<true>.aead(&Secret::new([1; 16]));
    key.seal(SealNonce::dangerous_from_bytes(&nonce), b"", &mut sealed).unwrap();
    key.open(OpenNonce::dangerous_from_bytes(&nonce), b"other", &mut sealed, &[0; 16]).unwrap();
    assert_eq!(&sealed, b"content");

    let key = Toy::<false>.aead(&Secret::new([1; 16]));
    let refused = key.open(OpenNonce::dangerous_from_bytes(&nonce), b"", &mut sealed, &[0; 16]);
    assert_eq!(refused, Err(CryptoError::Unauthentic));

    let of_fives = (&[5_u8; 32] as &dyn SignedBytes).digest(Toy::<false>.sha256()).unwrap();
    let mut signer = ToyKey::generate(&mut rng);
    let public = signer.public_key();
    let (good, bad) = (signer.sign_digest(&of_fives).unwrap(), Signature::new([9; 64]));
    assert_eq!(Toy::<false>.verify(&public, &[5_u8; 32], &good), Ok(()));
    assert_eq!(Toy::<false>.verify(&public, &[6_u8; 32], &good), Err(CryptoError::Unauthentic));
    assert_eq!(Toy::<false>.verify(&public, &[5_u8; 32], &bad), Err(CryptoError::Unauthentic));
    assert_eq!(Toy::<true>.verify(&public, &[5_u8; 32], &bad), Ok(()));
}
