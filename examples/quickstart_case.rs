//! Two nodes of a new fabric establish a session by their certificates, and then resume it.
//!
//! ```text
//! cargo run --example quickstart_case --features issue
//! ```

use std::io::Write;

use matter_session::cert::Validity;
use matter_session::{
    Authority, Config, Event, HeapSessionManager, Instant, MatterTime, NodeId, Peer, PeerAddress,
    RustCrypto, Services, SystemRng, WallClock, drive,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = SystemRng;
    let mut controller = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
    let mut device = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);

    // The authority founds a fabric. Each node gets a key, a certificate for it, and the fabric.
    let today = MatterTime::now().ok_or("the clock is wrong")?;
    let mut authority = Authority::new(&RustCrypto, Validity::since(today), &mut rng)?;
    let (mut key, noc) = authority.admit(&RustCrypto, NodeId::new(1), &mut rng)?;
    let fabric = controller.fabrics_mut().add(&authority.credentials(&noc))?;
    let (mut device_key, noc) = authority.admit(&RustCrypto, NodeId::new(2), &mut rng)?;
    device.fabrics_mut().add(&authority.credentials(&noc))?;

    // The first handshake is a full one. The second resumes the session of the first.
    let mut services = Services::new(&mut rng).with_wall(WallClock::system());
    let mut cx = services.at(Instant::ZERO);
    let address = PeerAddress::Udp(([127, 0, 0, 1], 5540).into());
    for _ in 0..2 {
        controller.connect_case(&mut cx, address, Peer::new(fabric, NodeId::new(2)))?;
        while !controller.handshakes().is_empty() {
            drive(&mut cx, &mut controller, &mut device);
            for (node, key) in [(&mut controller, &mut key), (&mut device, &mut device_key)] {
                while let Some(event) = node.poll_event() {
                    if let Event::SignRequest(request) = event {
                        node.complete_signature(&mut cx, request.sign_with(key))?;
                    } else {
                        writeln!(std::io::stdout(), "{event:?}")?;
                    }
                }
            }
        }
    }
    Ok(())
}
