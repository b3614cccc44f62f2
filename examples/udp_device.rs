//! A lamp behind a UDP socket. It can be commissioned by passcode, and answers what it is asked.
//!
//! ```text
//! cargo run --example udp_device
//! ```
//! In another terminal, `cargo run --example udp_controller` asks it.

use std::io::Write;
use std::net::UdpSocket;
use std::time::Duration;

use matter_session::{
    Config, Event, HeapSessionManager, Instant, MessageType, Passcode, PeerAddress, Received,
    RustCrypto, Services, SystemRng, WallClock,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let socket = UdpSocket::bind("127.0.0.1:5540")?;
    let clock = std::time::Instant::now();
    let now = || Instant::ZERO + clock.elapsed();
    let mut rng = SystemRng;
    let mut lamp = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
    let mut services = Services::new(&mut rng).with_wall(WallClock::system());
    lamp.window().open_for(&mut services.at(now()), &Passcode::new(20202021)?, None)?;

    let mut out = std::io::stdout();
    let mut datagram = [0; 1280];
    loop {
        // Let time pass, and handle what happened.
        let mut cx = services.at(now());
        lamp.handle_timeout(&mut cx);
        while let Some(event) = lamp.poll_event() {
            match event {
                Event::Established { session, .. } => writeln!(out, "established: {session:?}")?,
                Event::HandshakeFailed { error, .. } => writeln!(out, "handshake failed: {error}")?,
                _ => {}
            }
        }
        // A datagram that the socket refuses counts as lost: it is retransmitted.
        while let Some(sent) = lamp.poll_transmit(cx.now()) {
            if let PeerAddress::Udp(to) = sent.to {
                let _ = socket.send_to(sent.datagram, to);
            }
        }
        // Wait for a datagram or the next deadline. A timeout of zero would wait for ever.
        let wait = lamp.poll_timeout().map(|due| due.saturating_since(now()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        let Ok((len, from)) = socket.recv_from(&mut datagram) else { continue };
        let mut cx = services.at(now());
        match lamp.handle_datagram(&mut cx, from.into(), &mut datagram[..len]) {
            Received::Message(message) => {
                writeln!(out, "received: {}", message.payload.escape_ascii())?;
                // The session may have ended, or the peer may close the exchange.
                let _ = lamp.send(&mut cx, message.exchange, MessageType::REPORT_DATA, b"on");
                lamp.close_exchange(message.exchange);
            }
            // Everybody can cause this: never end the loop because of it.
            Received::Dropped(reason) => writeln!(out, "dropped: {reason}")?,
            _ => {}
        }
    }
}
