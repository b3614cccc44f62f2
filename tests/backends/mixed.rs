//! Nodes of one backend and of the other dial each other.

use core::mem::swap;

use matter_session::cert::{CertificateRequest, Issuer, SerialNumber, Validity};
use matter_session::context::{Context, Services};
use matter_session::crypto::{Crypto, Secret, SigningKey};
use matter_session::fabric::{FabricCredentials, Ipk};
use matter_session::ids::{FabricId, FabricIndex, MessageType, NodeId, Peer, ProtocolId};
use matter_session::manager::{Config, Event, Heap, PeerAddress, Received, SessionManager};
use matter_session::time::{Instant, MatterTime};
use matter_session::{CompactRustCrypto, Passcode, RustCrypto};

use matter_session_testing::net::{Dice, compute};

const PEER: PeerAddress = PeerAddress::Udp(core::net::SocketAddr::new(
    core::net::IpAddr::V6(core::net::Ipv6Addr::LOCALHOST),
    5540,
));
const IM: ProtocolId = ProtocolId::INTERACTION_MODEL;
const RESPONDER: NodeId = NodeId::new(2);

/// A node of any backend.
trait Node {
    fn dial(&mut self, cx: &mut Context<'_>, passcode: Option<Passcode>);
    fn open_window(&mut self, cx: &mut Context<'_>, passcode: &Passcode);
    fn transmit(&mut self, cx: &Context<'_>) -> Option<Vec<u8>>;
    /// Takes a datagram in; returns the payload if it has one.
    fn handle(&mut self, cx: &mut Context<'_>, datagram: Vec<u8>) -> Option<Vec<u8>>;
    /// Sends on its newest session.
    fn send(&mut self, cx: &mut Context<'_>, payload: &[u8]);
    /// Of each session, whether it was resumed.
    fn sessions(&self) -> &[bool];
}

struct Member<C: Crypto> {
    manager: SessionManager<C, Heap>,
    key: SigningKey,
    sessions: Vec<bool>,
    newest: Option<matter_session::SessionHandle>,
}

impl<C: Crypto> Node for Member<C> {
    fn dial(&mut self, cx: &mut Context<'_>, passcode: Option<Passcode>) {
        match passcode {
            Some(passcode) => self.manager.connect_pase(cx, PEER, passcode).unwrap(),
            None => {
                self.manager.connect_case(cx, PEER, Peer::new(FabricIndex::MIN, RESPONDER)).unwrap()
            }
        };
    }

    fn open_window(&mut self, cx: &mut Context<'_>, passcode: &Passcode) {
        self.manager.window().open_for(cx, passcode, None).unwrap();
    }

    fn transmit(&mut self, cx: &Context<'_>) -> Option<Vec<u8>> {
        Some(self.manager.poll_transmit(cx.now())?.datagram.to_vec())
    }

    fn handle(&mut self, cx: &mut Context<'_>, mut datagram: Vec<u8>) -> Option<Vec<u8>> {
        let payload = match self.manager.handle_datagram(cx, PEER, &mut datagram) {
            Received::Message(message) => Some(message.payload.to_vec()),
            _ => None,
        };
        compute(&mut self.manager, cx);
        while let Some(event) = self.manager.poll_event() {
            match event {
                Event::SignRequest(request) => {
                    let _ = self.manager.complete_signature(cx, request.sign_with(&mut self.key));
                }
                Event::Established { session, resumed, .. } => {
                    self.sessions.push(resumed);
                    self.newest = Some(session);
                }
                Event::HandshakeFailed { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
        payload
    }

    fn send(&mut self, cx: &mut Context<'_>, payload: &[u8]) {
        let exchange = self.manager.open_exchange(cx, self.newest.unwrap()).unwrap();
        self.manager.send(cx, exchange, MessageType::new(IM, 8), payload).unwrap();
    }

    fn sessions(&self) -> &[bool] {
        &self.sessions
    }
}

/// Carries datagrams until there is none; returns the payloads.
fn carry<'a>(
    mut from: &'a mut dyn Node,
    mut to: &'a mut dyn Node,
    cx: &mut Context<'_>,
) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    while let Some(datagram) = from.transmit(cx) {
        payloads.extend(to.handle(cx, datagram));
        swap(&mut from, &mut to);
    }
    payloads
}

/// Two members of a fabric.
fn members(cx: &mut Context<'_>, backends: [&dyn Backend; 2]) -> [Box<dyn Node>; 2] {
    let validity = Validity::new(MatterTime::from_seconds(1), None).unwrap();
    let (fabric, ipks) = (FabricId::new(1).unwrap(), [Ipk::EpochKey(Secret::new([7; 16]))]);
    let mut root_key = SigningKey::generate(cx.rng()).unwrap();
    let mut icac_key = SigningKey::generate(cx.rng()).unwrap();
    let mut serial = || SerialNumber::random(cx.rng());
    let rcac = CertificateRequest::rcac(1, root_key.public_key(), serial(), validity)
        .self_sign(&RustCrypto, &mut root_key)
        .unwrap();
    let root = rcac.certificate().unwrap();
    let icac = CertificateRequest::icac(2, icac_key.public_key(), serial(), validity)
        .sign(&CompactRustCrypto, &mut Issuer::new(&root, &mut root_key).unwrap())
        .unwrap();
    let intermediate = icac.certificate().unwrap();
    let mut issuer = Issuer::new(&intermediate, &mut icac_key).unwrap();
    let mut id = 0;
    backends.map(|backend| {
        id += 1;
        let key = SigningKey::generate(cx.rng()).unwrap();
        let serial = SerialNumber::random(cx.rng());
        let noc =
            CertificateRequest::noc(NodeId::new(id), fabric, key.public_key(), serial, validity)
                .sign(&RustCrypto, &mut issuer)
                .unwrap();
        let (icac, noc) = (Some(icac.as_slice()), noc.as_slice());
        let credentials = FabricCredentials { root: rcac.as_slice(), icac, noc, ipks: &ipks };
        backend.member(cx, &credentials, &key)
    })
}

/// What makes a member of its kind.
trait Backend {
    fn member(
        &self,
        cx: &mut Context<'_>,
        credentials: &FabricCredentials<'_>,
        key: &SigningKey,
    ) -> Box<dyn Node>;
}

impl<C: Crypto + Copy + 'static> Backend for C {
    fn member(
        &self,
        cx: &mut Context<'_>,
        credentials: &FabricCredentials<'_>,
        key: &SigningKey,
    ) -> Box<dyn Node> {
        let mut manager = SessionManager::new(Config::default(), *self, cx.rng());
        manager.fabrics_mut().add(credentials).unwrap();
        let key = SigningKey::from_bytes(&key.to_bytes()).unwrap();
        Box::new(Member { manager, key, sessions: Vec::new(), newest: None })
    }
}

#[test]
fn managers_of_both_backends_establish_sessions_with_each_other() {
    let backends: [&dyn Backend; 2] = [&RustCrypto, &CompactRustCrypto];
    for initiator in backends {
        for responder in backends {
            let mut rng = Dice::new(5);
            let mut services = Services::new(&mut rng);
            let mut cx = services.at(Instant::ZERO);
            let [mut a, mut b] = members(&mut cx, [initiator, responder]);
            let passcode = || Passcode::new(20_202_021).unwrap();
            b.open_window(&mut cx, &passcode());
            // By passcode, by certificates, and resumed.
            for (round, passcode) in [Some(passcode()), None, None].into_iter().enumerate() {
                a.dial(&mut cx, passcode);
                carry(&mut *a, &mut *b, &mut cx);
                let resumed = [false, false, true];
                assert_eq!([a.sessions(), b.sessions()], [&resumed[..=round]; 2]);
                a.send(&mut cx, b"question");
                assert_eq!(carry(&mut *a, &mut *b, &mut cx), [b"question"]);
            }
        }
    }
}
