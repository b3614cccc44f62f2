//! What a first program uses besides the manager: two nodes driven in one process, the authority of
//! a fabric, the clock and the random numbers of the operating system. The programs of README.md
//! are run as its documentation tests.

use core::error::Error;

use matter_session::cert::{CertificateRequest, IssueError, SerialNumber, Validity};
use matter_session::manager::sizes::Sessions;
use matter_session::rand_core::Rng;
use matter_session::{
    Authority, Config, Context, Event, Fixed, HeapSessionManager, Instant, MatterTime, MessageType,
    NodeId, Passcode, Peer, PeerAddress, RustCrypto, Services, SessionManager, SigningKey, Storage,
    SystemRng, WallClock, drive,
};

type Result<T = ()> = core::result::Result<T, Box<dyn Error>>;
type FixedNode = SessionManager<RustCrypto, Fixed<Sessions<4>>>;

const ADDRESS: PeerAddress = PeerAddress::Udp(core::net::SocketAddr::new(
    core::net::IpAddr::V6(core::net::Ipv6Addr::LOCALHOST),
    5540,
));
const FIRST: NodeId = NodeId::new(1);
const SECOND: NodeId = NodeId::new(2);

fn node() -> HeapSessionManager {
    HeapSessionManager::new(Config::default(), RustCrypto, &mut SystemRng)
}

fn commission<S: Storage, R: Storage>(
    cx: &mut Context<'_>,
    phone: &mut SessionManager<RustCrypto, S>,
    lamp: &mut SessionManager<RustCrypto, R>,
) -> Result {
    lamp.window().open_for(cx, &Passcode::new(20_202_021)?, None)?;
    phone.connect_pase(cx, ADDRESS, Passcode::new(20_202_021)?)?;
    let delivered = drive(cx, phone, lamp);
    assert!(delivered.iter().all(Vec::is_empty), "{delivered:?}");
    Ok(())
}

fn today() -> MatterTime {
    MatterTime::now().unwrap()
}

fn authority() -> Result<Authority> {
    Ok(Authority::new(&RustCrypto, Validity::since(today()), &mut SystemRng)?)
}

fn join(
    authority: &mut Authority,
    node: &mut HeapSessionManager,
    id: NodeId,
) -> Result<SigningKey> {
    let (key, noc) = authority.admit(&RustCrypto, id, &mut SystemRng)?;
    node.fabrics_mut().add(&authority.credentials(&noc))?;
    Ok(key)
}

#[test]
fn driven_nodes_exchange_messages_in_their_order() -> Result {
    let (mut phone, mut lamp) = (node(), node());
    let mut rng = SystemRng;
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(Instant::ZERO);
    commission(&mut cx, &mut phone, &mut lamp)?;
    let session = phone.sessions().pase().ok_or("no session")?;
    for payload in [b"one", b"two"] {
        let exchange = phone.open_exchange(&mut cx, session)?;
        phone.send(&mut cx, exchange, MessageType::READ_REQUEST, payload)?;
    }
    let [at_phone, at_lamp] = drive(&mut cx, &mut phone, &mut lamp);
    assert!(at_phone.is_empty());
    let payloads: Vec<_> = at_lamp.iter().map(|message| &message.payload[..]).collect();
    assert_eq!(payloads, [b"one", b"two"]);
    for request in &at_lamp {
        assert_eq!(request.kind, MessageType::READ_REQUEST);
        lamp.send(&mut cx, request.exchange, MessageType::REPORT_DATA, &request.payload)?;
    }
    let [at_phone, at_lamp] = drive(&mut cx, &mut phone, &mut lamp);
    assert!(at_lamp.is_empty());
    assert!(at_phone.iter().all(|message| message.session == session));
    let payloads: Vec<_> = at_phone.iter().map(|message| &message.payload[..]).collect();
    assert_eq!(payloads, [b"one", b"two"]);
    Ok(())
}

#[test]
fn driven_nodes_may_have_different_storage_and_keep_their_events() -> Result {
    let mut phone = node();
    let mut lamp = FixedNode::new(Config::default(), RustCrypto, &mut SystemRng);
    let mut rng = SystemRng;
    let mut services = Services::new(&mut rng);
    commission(&mut services.at(Instant::ZERO), &mut phone, &mut lamp)?;
    assert!(matches!(phone.poll_event(), Some(Event::Established { .. })));
    assert!(matches!(lamp.poll_event(), Some(Event::Established { .. })));
    assert!(phone.poll_event().is_none() && lamp.poll_event().is_none());
    Ok(())
}

#[test]
fn drive_returns_while_a_signature_is_awaited() -> Result {
    let mut authority = authority()?;
    let (mut first, mut second) = (node(), node());
    join(&mut authority, &mut first, FIRST)?;
    let mut key = join(&mut authority, &mut second, SECOND)?;
    let mut rng = SystemRng;
    let mut services = Services::new(&mut rng).with_wall(WallClock::system());
    let mut cx = services.at(Instant::ZERO);
    let fabric = first.fabrics().iter().next().ok_or("no fabric")?.index();
    first.connect_case(&mut cx, ADDRESS, Peer::new(fabric, SECOND))?;
    drive(&mut cx, &mut first, &mut second);
    let Some(Event::SignRequest(request)) = second.poll_event() else {
        return Err("no signature was asked for".into());
    };
    assert!(first.poll_event().is_none());
    second.complete_signature(&mut cx, request.sign_with(&mut key))?;
    drive(&mut cx, &mut first, &mut second);
    assert!(matches!(first.poll_event(), Some(Event::SignRequest(_))));
    Ok(())
}

#[test]
fn drive_returns_if_nobody_polls_events() -> Result {
    let (mut phone, mut lamp) = (node(), node());
    let mut rng = SystemRng;
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(Instant::ZERO);
    commission(&mut cx, &mut phone, &mut lamp)?;
    let session = phone.sessions().pase().ok_or("no session")?;
    let mut delivered = 0;
    for _ in 0..2000 {
        let Ok(exchange) = phone.open_exchange(&mut cx, session) else { break };
        if phone.send(&mut cx, exchange, MessageType::READ_REQUEST, b"on?").is_err() {
            break;
        }
        let [_, at_lamp] = drive(&mut cx, &mut phone, &mut lamp);
        delivered += at_lamp.len();
        at_lamp.iter().for_each(|request| lamp.close_exchange(request.exchange));
        phone.close_exchange(exchange);
    }
    assert!(delivered > 0);
    // The backlog of events stops what a handshake computes, and drive returns all the same.
    let _ = phone.connect_pase(&mut cx, ADDRESS, Passcode::new(20_202_021)?);
    let delivered = drive(&mut cx, &mut phone, &mut lamp);
    assert!(delivered.iter().all(Vec::is_empty), "{delivered:?}");
    Ok(())
}

#[test]
fn a_restored_authority_admits_nodes_to_the_same_fabric() -> Result {
    let mut before = authority()?;
    let (mut first, mut second) = (node(), node());
    join(&mut before, &mut first, FIRST)?;

    let key = SigningKey::generate(&mut SystemRng)?;
    let noc = before.issue(&RustCrypto, FIRST, key.public_key(), &mut SystemRng)?;
    let stored = before.credentials(&noc);
    let (root, ipk) = (stored.root.to_vec(), stored.ipks[0].clone());
    let key = SigningKey::from_bytes(&before.key().to_bytes())?;
    let mut after = Authority::restore(&root, key, ipk)?;
    join(&mut after, &mut second, SECOND)?;

    let ids = |node: &HeapSessionManager| {
        node.fabrics().iter().map(|fabric| (fabric.id(), fabric.compressed_id())).next()
    };
    assert!(ids(&first).is_some());
    assert_eq!(ids(&first), ids(&second));
    Ok(())
}

#[test]
fn an_authority_is_not_restored_with_the_key_or_certificate_of_another() -> Result {
    let mut own = authority()?;
    let other = authority()?;
    let noc = own.issue(&RustCrypto, FIRST, other.key().public_key(), &mut SystemRng)?;
    let stored = own.credentials(&noc);
    let key = || SigningKey::from_bytes(&own.key().to_bytes());
    let another = SigningKey::from_bytes(&other.key().to_bytes())?;
    let restored = Authority::restore(stored.root, another, stored.ipks[0].clone());
    assert_eq!(restored.err(), Some(IssueError::Issuer));
    // A NOC names the fabric as well, and is no authority.
    let another = SigningKey::from_bytes(&other.key().to_bytes())?;
    let restored = Authority::restore(stored.noc, another, stored.ipks[0].clone());
    assert_eq!(restored.err(), Some(IssueError::Issuer));
    // A root that is not of one fabric.
    let validity = Validity::since(today());
    let serial = SerialNumber::random(&mut SystemRng);
    let root = CertificateRequest::rcac(1, own.key().public_key(), serial, validity)
        .self_sign(&RustCrypto, &mut key()?)?;
    let restored = Authority::restore(root.as_slice(), key()?, stored.ipks[0].clone());
    assert_eq!(restored.err(), Some(IssueError::Issuer));
    assert!(matches!(
        Authority::restore(b"nothing", key()?, stored.ipks[0].clone()),
        Err(IssueError::Certificate(_))
    ));
    Ok(())
}

#[test]
fn certificates_of_an_authority_end_with_its_own() -> Result {
    let end = MatterTime::from_seconds(today().as_seconds() + 3600);
    let validity = Validity::new(today(), Some(end)).ok_or("empty")?;
    let mut authority = Authority::new(&RustCrypto, validity, &mut SystemRng)?;
    let key = SigningKey::generate(&mut SystemRng)?;
    let noc = authority.issue(&RustCrypto, FIRST, key.public_key(), &mut SystemRng)?;
    assert_eq!(noc.certificate()?.not_after(), Some(end));
    Ok(())
}

#[test]
fn each_authority_founds_a_fabric_of_its_own() -> Result {
    let (mut one, mut other) = (authority()?, authority()?);
    let (_, noc) = one.admit(&RustCrypto, FIRST, &mut SystemRng)?;
    let (_, other_noc) = other.admit(&RustCrypto, FIRST, &mut SystemRng)?;
    assert_ne!(noc.certificate()?.fabric_id(), other_noc.certificate()?.fabric_id());
    // The certificate of one is no certificate of the other.
    assert!(node().fabrics_mut().add(&other.credentials(&noc)).is_err());
    assert!(node().fabrics_mut().add(&one.credentials(&noc)).is_ok());
    Ok(())
}

#[test]
fn validity_since_the_epoch_begins_with_its_second_second() -> Result {
    let validity = Validity::since(MatterTime::from_seconds(0));
    assert_eq!(Validity::new(MatterTime::from_seconds(1), None), Some(validity));
    let mut authority = Authority::new(&RustCrypto, validity, &mut SystemRng)?;
    let (_, noc) = authority.admit(&RustCrypto, FIRST, &mut SystemRng)?;
    assert!(node().fabrics_mut().add(&authority.credentials(&noc)).is_ok());
    Ok(())
}

#[test]
fn random_numbers_of_the_system_differ() {
    let draw = || SystemRng.next_u64();
    assert!(draw() != draw() || draw() != draw());
}

#[test]
fn the_clock_of_the_system_is_known_to_certificates() {
    let WallClock::Known(now) = WallClock::system() else { panic!("no clock") };
    assert!(now >= MatterTime::from_seconds(800_000_000));
}
