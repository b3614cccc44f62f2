//! A phone behind a UDP socket. It connects to the lamp by passcode, asks, and prints the answer.
//!
//! ```text
//! cargo run --example udp_controller [ADDRESS:PORT]
//! ```
//! `cargo run --example udp_device` is the lamp, on `127.0.0.1:5540`.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use matter_session::{
    Config, Event, HeapSessionManager, Instant, MessageType, Passcode, PeerAddress, Received,
    RustCrypto, Services, SystemRng, WallClock,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lamp = std::env::args().nth(1).unwrap_or("127.0.0.1:5540".into());
    let lamp: SocketAddr = lamp.parse()?;
    let socket = UdpSocket::bind(if lamp.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    let clock = std::time::Instant::now();
    let now = || Instant::ZERO + clock.elapsed();
    let mut rng = SystemRng;
    let mut phone = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
    let mut services = Services::new(&mut rng).with_wall(WallClock::system());
    let passcode = Passcode::new(20202021)?;
    phone.connect_pase(&mut services.at(now()), PeerAddress::Udp(lamp), passcode)?;

    let mut datagram = [0; 1280];
    let mut answered = false;
    loop {
        // Let time pass, and handle what happened.
        let mut cx = services.at(now());
        phone.handle_timeout(&mut cx);
        while let Some(event) = phone.poll_event() {
            match event {
                Event::Established { session, .. } => {
                    let exchange = phone.open_exchange(&mut cx, session)?;
                    phone.send(&mut cx, exchange, MessageType::READ_REQUEST, b"on or off?")?;
                }
                Event::HandshakeFailed { error, .. } => return Err(error.into()),
                Event::Undelivered { .. } => return Err("the lamp does not acknowledge".into()),
                Event::NoResponse { .. } => return Err("the lamp does not answer".into()),
                Event::Closed { reason, .. } if !answered => {
                    return Err(format!("closed: {reason:?}").into());
                }
                _ => {}
            }
        }
        // A datagram that the socket refuses counts as lost: it is retransmitted.
        while let Some(sent) = phone.poll_transmit(cx.now()) {
            if let PeerAddress::Udp(to) = sent.to {
                let _ = socket.send_to(sent.datagram, to);
            }
        }
        if answered && phone.is_settled() {
            return Ok(());
        }
        // Wait for a datagram or the next deadline. A timeout of zero would wait for ever.
        let wait = phone.poll_timeout().map(|due| due.saturating_since(now()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        let Ok((len, from)) = socket.recv_from(&mut datagram) else { continue };
        let mut cx = services.at(now());
        if let Received::Message(message) =
            phone.handle_datagram(&mut cx, from.into(), &mut datagram[..len])
        {
            println!("the lamp is {}", message.payload.escape_ascii());
            answered = true;
            // The lamp learns that the session has ended: it can serve the next phone.
            phone.close_session(&mut cx, message.session);
        }
    }
}
