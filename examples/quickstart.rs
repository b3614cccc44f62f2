//! A phone commissions a lamp by passcode, asks it a question, and gets the answer.
//!
//! ```text
//! cargo run --example quickstart
//! ```

use matter_session::{
    Config, HeapSessionManager, Instant, MessageType, Passcode, PeerAddress, RustCrypto, Services,
    SystemRng, drive,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = SystemRng;
    let mut phone = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
    let mut lamp = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(Instant::ZERO);

    // The passcode is on the lamp's label. The user types it into the phone.
    lamp.window().open_for(&mut cx, &Passcode::new(20202021)?, None)?;
    let address = PeerAddress::Udp(([127, 0, 0, 1], 5540).into());
    phone.connect_pase(&mut cx, address, Passcode::new(20202021)?)?;
    drive(&mut cx, &mut phone, &mut lamp);
    let session = phone.sessions().pase().ok_or("no session")?;

    // The phone asks. The lamp answers on the same exchange.
    let exchange = phone.open_exchange(&mut cx, session)?;
    phone.send(&mut cx, exchange, MessageType::READ_REQUEST, b"on or off?")?;
    let [_, at_lamp] = drive(&mut cx, &mut phone, &mut lamp);
    lamp.send(&mut cx, at_lamp[0].exchange, MessageType::REPORT_DATA, b"on")?;
    let [at_phone, _] = drive(&mut cx, &mut phone, &mut lamp);

    let [request, response] = [&at_lamp[0], &at_phone[0]].map(|m| m.payload.escape_ascii());
    println!("the phone asked \"{request}\", and the lamp answered \"{response}\"");
    Ok(())
}
