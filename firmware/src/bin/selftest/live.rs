//! The device and a controller, who speak to each other within the image.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use firmware::device::Device;
use firmware::frame::{Fabric, Setup};
use firmware::rng::Trng;
use firmware::tables::{Idle, Node, config};
use matter_session::context::Services;
use matter_session::crypto::{OperationalKey, Passcode, Secret, SigningKey};
use matter_session::fabric::{CredentialsCheck, FabricCredentials, Ipk};
use matter_session::ids::{FabricIndex, MessageType, NodeId, Peer, ProtocolId, VendorId};
use matter_session::manager::{Event, PeerAddress, Received, SessionHandle};
use matter_session::time::{Instant, MatterTime, WallClock};

use crate::meter::Meter;
use crate::ram::{Post, Ram};
use crate::vectors as v;

const ECHO: ProtocolId = ProtocolId::vendor(VendorId::new(0xFFF1), 1);
const AT_CONTROLLER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));
const AT_DEVICE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 2));
/// Within the validity of the recorded certificates, which lasts from 2022 to 2034.
const TODAY: u32 = 800_000_000;
/// More turns than any step takes.
const PATIENCE: usize = 1000;

/// What the two parties took.
#[derive(Default)]
pub struct Meters {
    pub device: Meter,
    pub controller: Meter,
}

/// The statics that the nodes live in.
pub struct Places {
    pub device: &'static mut Idle,
    pub controller: &'static mut Idle,
    pub to_device: &'static mut Post,
    pub to_controller: &'static mut Post,
}

pub struct Live {
    device: Device<'static, Ram>,
    controller: &'static mut Node,
    rng: Trng,
    key: SigningKey,
    /// The device's secure element.
    element: SigningKey,
    fabric: Option<FabricIndex>,
    to_device: &'static mut Post,
    now: Instant,
    session: Option<SessionHandle>,
    resumed: bool,
    answers: u32,
    right: u32,
    acknowledged: u32,
}

impl Live {
    pub fn new(places: Places) -> Option<Self> {
        let now = Instant::from_millis(1);
        let setup = Setup {
            seed: [1; 32],
            time: TODAY,
            iterations: 1000,
            salt: v::PASE_SALT,
            verifier: v::PASE_VERIFIER,
            busy: 0,
            forget: false,
        };
        let (mut at_device, mut rng) = (Trng::new(setup.seed), Trng::new([2; 32]));
        let out = places.to_controller;
        let board = Ram { now, out, established: None, to_sign: None, failures: 0, records: 0 };
        let node = places.device.start(config(), &mut at_device);
        Some(Self {
            device: Device::new(board, node, at_device, &setup)?,
            controller: places.controller.start(config(), &mut rng),
            rng,
            key: SigningKey::from_bytes(&Secret::new(v::CASE_INITIATOR_KEY)).ok()?,
            element: SigningKey::from_bytes(&Secret::new(v::CASE_RESPONDER_KEY)).ok()?,
            fabric: None,
            to_device: places.to_device,
            now,
            session: None,
            resumed: false,
            answers: 0,
            right: 0,
            acknowledged: 0,
        })
    }

    pub fn pase(&mut self, meters: &mut Meters) -> Option<()> {
        let passcode = Passcode::new(20_202_021).ok()?;
        let mut services = services(&mut self.rng);
        let mut cx = services.at(self.now);
        self.controller.connect_pase(&mut cx, PeerAddress::Udp(AT_DEVICE), passcode).ok()?;
        self.establish(meters, false)
    }

    /// Both become members of the recorded fabric.
    pub fn join(&mut self, meters: &mut Meters) -> Option<()> {
        let (root, icac) = (&v::CASE_ROOT[..], Some(&v::CASE_RESPONDER_ICAC[..]));
        let fabric = Fabric { ipk: v::CASE_IPK, root, icac, noc: &v::CASE_RESPONDER_NOC };
        let mut check = CredentialsCheck::new();
        while !meters.device.run(|| self.device.check(&fabric, &mut check))? {}
        let joined = meters.device.run(|| self.device.join(&fabric, &check));

        let ipks = [Ipk::EpochKey(Secret::new(v::CASE_IPK))];
        let (icac, noc) = (Some(&v::CASE_INITIATOR_ICAC[..]), &v::CASE_INITIATOR_NOC[..]);
        let credentials = FabricCredentials { root, icac, noc, ipks: &ipks };
        self.fabric = self.controller.fabrics_mut().add(&credentials).ok();
        (joined && self.fabric.is_some()).then_some(())
    }

    pub fn case(&mut self, meters: &mut Meters) -> Option<()> {
        self.connect_case(meters, false)?;
        (self.device.board.records == 1).then_some(())
    }

    pub fn resumption(&mut self, meters: &mut Meters) -> Option<()> {
        self.connect_case(meters, true)?;
        (self.device.board.records == 2).then_some(())
    }

    /// The other way round: the device dials, and resumes what the controller began.
    pub fn dialled(&mut self, meters: &mut Meters) -> Option<()> {
        let peer = NodeId::new(v::CASE_INITIATOR_NODE);
        let dialled = meters.device.run(|| self.device.dial_case(AT_CONTROLLER, peer));
        if !dialled {
            return None;
        }
        self.establish(meters, true)
    }

    fn connect_case(&mut self, meters: &mut Meters, resumed: bool) -> Option<()> {
        let peer = NodeId::new(v::CASE_RESPONDER_NODE);
        let mut services = services(&mut self.rng);
        let mut cx = services.at(self.now);
        self.controller
            .connect_case(&mut cx, PeerAddress::Udp(AT_DEVICE), Peer::new(self.fabric?, peer))
            .ok()?;
        self.establish(meters, resumed)
    }

    /// Lets a handshake run to its end, and compares what both derived.
    fn establish(&mut self, meters: &mut Meters, resumed: bool) -> Option<()> {
        (self.session, self.device.board.established) = (None, None);
        self.run(meters, |live| live.session.is_some() && live.device.board.established.is_some())?;
        // Until nothing is owed any more.
        self.run(meters, |live| live.controller.is_settled() && live.device.is_settled())?;
        let session = self.controller.session(self.session?)?;
        let ours = (*session.session().attestation_challenge(), self.resumed);
        (self.device.board.established == Some(ours) && self.resumed == resumed).then_some(())
    }

    /// A hundred requests, each answered; every message is acknowledged.
    pub fn messages(&mut self, meters: &mut Meters) -> Option<()> {
        const COUNT: u32 = 100;
        (self.answers, self.right, self.acknowledged) = (0, 0, 0);
        for number in 1..=COUNT {
            let payload = payload(number);
            let mut services = services(&mut self.rng);
            let mut cx = services.at(self.now);
            let exchange = self.controller.open_exchange(&mut cx, self.session?).ok()?;
            let controller = &mut *self.controller;
            let sent = meters
                .controller
                .run(|| controller.send(&mut cx, exchange, MessageType::new(ECHO, 1), &payload));
            sent.ok()?;
            self.run(meters, |live| live.answers == number)?;
            self.controller.close_exchange(exchange);
            self.run(meters, |live| live.controller.is_settled())?;
        }
        let all = self.right == COUNT && self.acknowledged == COUNT;
        (all && self.device.board.failures == 0).then_some(())
    }

    /// Lets both work, and time pass when neither has anything to do.
    fn run(&mut self, meters: &mut Meters, done: impl Fn(&Self) -> bool) -> Option<()> {
        for _ in 0..PATIENCE {
            let moved = self.controller_turn(meters);
            let due = self.device_turn(meters);
            let arrived = self.deliver(meters);
            if done(self) {
                return Some(());
            }
            if !(moved || arrived) {
                let due = [due, self.controller.poll_timeout()].into_iter().flatten().min()?;
                self.now = self.now.max(due);
                self.device.board.now = self.now;
            }
        }
        None
    }

    fn device_turn(&mut self, meters: &mut Meters) -> Option<Instant> {
        let Self { device, to_device, element, .. } = self;
        to_device.deliver(|datagram| {
            meters.device.run(|| device.receive(AT_CONTROLLER, datagram));
        });
        let ready = device.board.to_sign.take_if(|(_, _, ready)| *ready <= device.board.now);
        if let Some((number, digest, _)) = ready {
            // Counted with the device, as if it held the key itself.
            let signature = meters.device.run(|| element.sign_digest(&digest)).ok();
            meters.device.run(|| device.signed(number, signature));
        }
        let due = meters.device.run(|| device.turn());
        let signing = device.board.to_sign.map(|(_, _, ready)| ready);
        [due, signing].into_iter().flatten().min()
    }

    /// Returns whether something left.
    fn controller_turn(&mut self, meters: &mut Meters) -> bool {
        let mut services = services(&mut self.rng);
        let mut cx = services.at(self.now);
        let node = &mut *self.controller;
        meters.controller.run(|| node.handle_timeout(&mut cx));
        while let Some(event) = node.poll_event() {
            match event {
                Event::SignRequest(request) => {
                    let signed = request.sign_with(&mut self.key);
                    meters.controller.run(|| node.complete_signature(&mut cx, signed).is_ok());
                }
                Event::Established { session, resumed, .. } => {
                    (self.session, self.resumed) = (Some(session), resumed);
                }
                Event::Acknowledged { .. } => self.acknowledged += 1,
                _ => {}
            }
        }
        let mut left = false;
        while let Some(transmit) = node.poll_transmit(self.now) {
            if transmit.to == PeerAddress::Udp(AT_DEVICE) {
                self.to_device.put(transmit.datagram);
                left = true;
            }
        }
        left
    }

    /// What the device has sent arrives. Returns whether there was anything.
    fn deliver(&mut self, meters: &mut Meters) -> bool {
        let Self { device, controller, rng, now, answers, right, .. } = self;
        device.board.out.deliver(|datagram| {
            let mut services = services(rng);
            let mut cx = services.at(*now);
            let received = meters
                .controller
                .run(|| controller.handle_datagram(&mut cx, AT_DEVICE.into(), datagram));
            if let Received::Message(message) = received {
                *answers += 1;
                let expected = message.kind == MessageType::new(ECHO, 2)
                    && *message.payload == payload(*answers);
                *right += u32::from(expected);
            }
        })
    }
}

/// What tells the requests apart.
fn payload(number: u32) -> [u8; 64] {
    let mut octets = [0x5A; 64];
    for (to, from) in octets.iter_mut().zip(number.to_le_bytes()) {
        *to = from;
    }
    octets
}

fn services(rng: &mut Trng) -> Services<'_> {
    let today = MatterTime::from_seconds(TODAY);
    Services::new(rng).with_wall(WallClock::Known(today))
}
