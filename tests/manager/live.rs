//! What live peers and slow clocks taught about the manager.

use matter_session::context::{Context, Services};
use matter_session::crypto::{Passcode, PbkdfParameters, RustCrypto, Verifier};
use matter_session::handshake::HandshakeError;
use matter_session::ids::MessageType;
use matter_session::manager::*;
use matter_session::session::SessionParameters;
use matter_session::time::Instant;
use matter_session_testing::net::compute;

const RIGHT: u32 = 20_202_021;
const WRONG: u32 = 20_202_022;

struct Pair {
    controller: HeapSessionManager,
    device: HeapSessionManager,
    now: Instant,
}

#[derive(Clone, Copy, PartialEq)]
enum To {
    Controller,
    Device,
}

impl Pair {
    /// A controller that has just dialled a device of these parameters.
    fn dialling(passcode: u32, device: SessionParameters) -> Self {
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let mut new = |config| HeapSessionManager::new(config, RustCrypto, &mut rng);
        let controller = new(Config::default());
        let device = new(Config::default().with_parameters(device));
        let mut pair = Self { controller, device, now: Instant::ZERO };
        let pbkdf = PbkdfParameters::random(1000, &mut rng).unwrap();
        let passcode_of_device = Passcode::new(RIGHT).unwrap();
        let verifier = Verifier::generate(&RustCrypto, &passcode_of_device, &pbkdf).unwrap();
        let window = CommissioningWindow::new(verifier, pbkdf);
        pair.with(To::Device, |device, cx| device.window().open(cx, window).unwrap());
        let passcode = Passcode::new(passcode).unwrap();
        pair.with(To::Controller, |controller, cx| {
            controller.connect_pase(cx, address(2), passcode).unwrap();
        });
        pair
    }

    fn with<R>(
        &mut self,
        who: To,
        call: impl FnOnce(&mut HeapSessionManager, &mut Context<'_>) -> R,
    ) -> R {
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let manager = if who == To::Device { &mut self.device } else { &mut self.controller };
        let mut services = Services::new(&mut rng);
        let mut cx = services.at(self.now);
        let result = call(manager, &mut cx);
        compute(manager, &mut cx);
        result
    }

    /// Takes what is ready for `to` out of the other side.
    fn take(&mut self, to: To) -> Vec<Vec<u8>> {
        let from = if to == To::Device { &mut self.controller } else { &mut self.device };
        let mut taken = Vec::new();
        while let Some(transmit) = from.poll_transmit(self.now) {
            taken.push(transmit.datagram.to_vec());
        }
        taken
    }

    /// Carries what is ready for `to`; returns the exchanges of the messages it was handed.
    fn carry(&mut self, to: To) -> Vec<ExchangeHandle> {
        let datagrams = self.take(to);
        self.hand(to, datagrams)
    }

    fn hand(&mut self, to: To, datagrams: Vec<Vec<u8>>) -> Vec<ExchangeHandle> {
        let mut exchanges = Vec::new();
        for mut datagram in datagrams {
            let from = address(if to == To::Device { 1 } else { 2 });
            let received = self.with(to, |manager, cx| {
                match manager.handle_datagram(cx, from, &mut datagram) {
                    Received::Message(message) => Some(message.exchange),
                    _ => None,
                }
            });
            exchanges.extend(received);
        }
        exchanges
    }

    fn carry_all(&mut self) {
        for _ in 0..8 {
            self.carry(To::Device);
            self.carry(To::Controller);
        }
    }

    fn session(&mut self) -> SessionHandle {
        let Some(Event::Established { session, .. }) = self.controller.poll_event() else {
            panic!("no session");
        };
        session
    }
}

fn address(port: u16) -> PeerAddress {
    PeerAddress::Udp(([127, 0, 0, 1], port).into())
}

fn millis(manager: &HeapSessionManager) -> u64 {
    manager.poll_timeout().expect("something is due").as_millis()
}

#[test]
fn a_handshake_grants_the_peer_the_time_that_it_declares() {
    let slow = SessionParameters::matter_1_6().with_intervals(9000, 3000, 4000);
    let mut pair = Pair::dialling(RIGHT, slow);
    let request = pair.take(To::Device);
    assert!((330..420).contains(&millis(&pair.controller)), "nothing is known of the device yet");
    pair.hand(To::Device, request);
    let response = pair.take(To::Controller);
    assert!((330..420).contains(&millis(&pair.device)), "the controller is fast");
    pair.hand(To::Controller, response);
    assert_eq!(pair.take(To::Device).len(), 1, "Pake1");
    let wait = millis(&pair.controller);
    assert!((3300..4200).contains(&wait), "{wait} ms is not the device's active interval");
}

#[test]
fn a_node_is_settled_once_its_report_is_acknowledged() {
    let mut pair = Pair::dialling(WRONG, SessionParameters::matter_1_6());
    assert!(!pair.controller.is_settled());
    for _ in 0..2 {
        pair.carry(To::Device);
        pair.carry(To::Controller);
    }
    assert!(matches!(
        pair.controller.poll_event(),
        Some(Event::HandshakeFailed { error: HandshakeError::WrongPasscode, .. })
    ));
    let lost = pair.take(To::Device);
    assert!(!pair.controller.is_settled(), "the report was sent, but nobody has it");
    pair.now = pair.controller.poll_timeout().unwrap();
    pair.with(To::Controller, HeapSessionManager::handle_timeout);
    let again = pair.take(To::Device);
    assert_eq!(lost, again, "the same octets");
    let mut report = again.into_iter().next().unwrap();
    pair.with(To::Device, |device, cx| {
        assert_eq!(device.handle_datagram(cx, address(1), &mut report).dropped(), None);
    });
    assert!(!pair.device.is_settled(), "the acknowledgement must leave");
    pair.carry(To::Controller);
    assert!(pair.device.is_settled());
    assert!(pair.controller.is_settled());
}

#[test]
fn a_clock_that_leaps_past_everything_stops_nothing() {
    let mut pair = Pair::dialling(RIGHT, SessionParameters::matter_1_6());
    pair.carry_all();
    let session = pair.session();
    let exchange =
        pair.with(To::Controller, |controller, cx| controller.open_exchange(cx, session).unwrap());
    pair.with(To::Controller, |controller, cx| {
        controller.send(cx, exchange, MessageType::READ_REQUEST, b"request").unwrap();
    });
    assert_eq!(pair.carry(To::Device).len(), 1);
    pair.with(To::Device, |device, cx| device.window().arm_fail_safe(cx, None).unwrap());
    // The device sleeps while it owes the acknowledgement: the exchange ends with it.
    pair.now = Instant::from_millis(3_600_000);
    pair.with(To::Device, HeapSessionManager::handle_timeout);
    assert_eq!(pair.take(To::Controller).len(), 1, "the acknowledgement");
    assert_eq!(pair.device.sessions().exchange_count(), 0);
    assert!(pair.device.is_settled());
}
