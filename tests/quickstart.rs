//! What a user of the library has to write, counted: lines as formatted, imports aside. The
//! checks of these tests, which begin with `assert`, are not counted.
//!
//! | task | lines |
//! |---|---|
//! | PASE between two managers in one process | 11 |
//! | one encrypted message sent and received | 3 |
//! | CASE and CASE resumed, certificates included | 30 |

use core::error::Error;
use core::mem::swap;
use core::slice::from_ref;

use getrandom::SysRng;
use matter_session::cert::{CertificateRequest, Issuer, SerialNumber, Validity};
use matter_session::context::Services;
use matter_session::crypto::{Passcode, RustCrypto, Secret, SigningKey};
use matter_session::fabric::{FabricCredentials, Ipk};
use matter_session::ids::{FabricId, FabricIndex, MessageType, NodeId, Peer, ProtocolId};
use matter_session::manager::{Config, Event, HeapSessionManager, PeerAddress, Received};
use matter_session::rand_core::UnwrapErr;
use matter_session::time::{Instant, MatterTime};

/// Each node has one peer, so each can know it by this address.
const PEER: PeerAddress = PeerAddress::Udp(core::net::SocketAddr::new(
    core::net::IpAddr::V6(core::net::Ipv6Addr::LOCALHOST),
    5540,
));
const IM: ProtocolId = ProtocolId::INTERACTION_MODEL;

#[test]
fn pase_and_a_message() -> Result<(), Box<dyn Error>> {
    // PASE: 11 lines.
    let mut rng = UnwrapErr(SysRng);
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(Instant::ZERO);
    let mut phone = HeapSessionManager::<()>::new(Config::default(), RustCrypto, cx.rng());
    let mut lamp = HeapSessionManager::<()>::new(Config::default(), RustCrypto, cx.rng());
    lamp.window().open_for(&mut cx, &Passcode::new(20_202_021)?, None)?;
    phone.connect_pase(&mut cx, PEER, Passcode::new(20_202_021)?)?;
    let (mut from, mut to) = (&mut phone, &mut lamp);
    while let Some(transmit) = from.poll_transmit(cx.now()) {
        let mut datagram = transmit.datagram.to_vec();
        assert_eq!(to.handle_datagram(&mut cx, PEER, &mut datagram).dropped(), None);
        while to.handshakes().is_computing() {
            to.handle_timeout(&mut cx);
        }
        swap(&mut from, &mut to);
    }

    let session = phone.sessions().pase().ok_or("no session")?;
    assert_eq!(lamp.sessions().len(), 1);

    // A message: two lines to send it, one to receive it ...
    let exchange = phone.open_exchange(&mut cx, session)?;
    phone.send(&mut cx, exchange, MessageType::new(IM, 8), b"toggle")?;
    // ... with whatever carries datagrams in between, which is written already.
    let transmit = phone.poll_transmit(cx.now()).ok_or("nothing was sent")?;
    let mut datagram = transmit.datagram.to_vec();
    let received = lamp.handle_datagram(&mut cx, PEER, &mut datagram);

    assert!(
        matches!(received, Received::Message(m) if m.kind.opcode == 8 && m.payload == b"toggle")
    );
    Ok(())
}

#[test]
fn case_and_case_resumed() -> Result<(), Box<dyn Error>> {
    // 30 lines.
    let mut rng = UnwrapErr(SysRng);
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(Instant::ZERO);
    let validity = Validity::new(MatterTime::from_seconds(1), None).ok_or("empty")?;
    let (fabric, ipk) = (FabricId::new(1).ok_or("zero")?, Ipk::EpochKey(Secret::new([7; 16])));
    let (mut root_key, serial) = (SigningKey::generate(cx.rng())?, SerialNumber::random(cx.rng()));
    let root = CertificateRequest::rcac(1, root_key.public_key(), serial, validity)
        .self_sign(&RustCrypto, &mut root_key)?;
    let mut join = |id| -> Result<_, Box<dyn Error>> {
        let (key, serial) = (SigningKey::generate(cx.rng())?, SerialNumber::random(cx.rng()));
        let noc = CertificateRequest::noc(id, fabric, key.public_key(), serial, validity)
            .sign(&RustCrypto, &mut Issuer::new(&root.certificate()?, &mut root_key)?)?;
        let mut node = HeapSessionManager::<()>::new(Config::default(), RustCrypto, cx.rng());
        let (root, noc, ipks) = (root.as_slice(), noc.as_slice(), from_ref(&ipk));
        node.fabrics_mut().add(&FabricCredentials { root, icac: None, noc, ipks })?;
        Ok((node, key))
    };
    let (mut phone, mut lamp) = (join(NodeId::new(1))?, join(NodeId::new(2))?);
    for expect_resumed in [false, true] {
        phone.0.connect_case(&mut cx, PEER, Peer::new(FabricIndex::MIN, NodeId::new(2)))?;
        let (mut from, mut to) = (&mut phone, &mut lamp);
        while let Some(transmit) = from.0.poll_transmit(cx.now()) {
            let mut datagram = transmit.datagram.to_vec();
            assert_eq!(to.0.handle_datagram(&mut cx, PEER, &mut datagram).dropped(), None);
            while to.0.handshakes().is_computing() {
                to.0.handle_timeout(&mut cx);
            }
            while let Some(event) = to.0.poll_event() {
                assert_resumed(&event, expect_resumed);
                if let Event::SignRequest(request) = event {
                    let _ = to.0.complete_signature(&mut cx, request.sign_with(&mut to.1));
                }
            }
            swap(&mut from, &mut to);
        }
    }

    assert_eq!((phone.0.sessions().len(), lamp.0.sessions().len()), (2, 2));
    Ok(())
}

fn assert_resumed(event: &Event<()>, expected: bool) {
    assert!(!matches!(event, Event::HandshakeFailed { .. }), "{event:?}");
    assert!(!matches!(event, Event::Established { resumed, .. } if *resumed != expected));
}
