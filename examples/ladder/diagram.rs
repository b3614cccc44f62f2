//! The drawing itself.

use core::fmt::Write;

use matter_session::crypto::Crypto;
use matter_session::describe::Description;
use matter_session::session::{SecureSession, SessionKind};
use matter_session::time::Instant;

/// Columns between the two rails.
const WIDTH: usize = 86;

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToDevice,
    ToController,
}

/// Begins a ladder.
pub(crate) fn draw_heading(title: &str) {
    say!("\n{title}\n{}\n", "=".repeat(title.chars().count()));
    say!("controller{:>width$}", "device", width = WIDTH + 3);
    rung("");
}

/// A line between the rails.
pub(crate) fn draw_note(text: &str) {
    rung(&format!("{text:^WIDTH$}"));
}

/// An arrow with the message's name and length in bytes above it, and its fields below.
pub(crate) fn draw_datagram(now: Instant, direction: Direction, datagram: &[u8]) {
    let description = Description::of(datagram);
    let label = format!(" {}, {} bytes", description.name(), datagram.len());
    let time = format!("{now} ");
    rung(&format!("{label}{time:>rest$}", rest = WIDTH - label.chars().count()));
    let shaft = "─".repeat(WIDTH - 1);
    match direction {
        Direction::ToDevice => rung(&format!("{shaft}▶")),
        Direction::ToController => rung(&format!("◀{shaft}")),
    }
    // Drawing does not fail.
    let _ = description.for_each_field(&mut |name, value| {
        draw_field(name, &value.to_string());
        Ok(())
    });
}

/// A datagram in one line; `lost` if it does not arrive.
pub(crate) fn draw_line(now: Instant, direction: Direction, name: &str, len: usize, lost: bool) {
    const WIDTH: usize = 60;
    let label = format!(" {name}, {len} bytes ");
    let shaft = |reach: usize| format!("{label:─^reach$}");
    let (arrow, note) = match (direction, lost) {
        (Direction::ToDevice, false) => (format!("{}▶", shaft(WIDTH - 1)), ""),
        (Direction::ToController, false) => (format!("◀{}", shaft(WIDTH - 1)), ""),
        (Direction::ToDevice, true) => (format!("{}✗", shaft(WIDTH - 9)), "  lost"),
        (Direction::ToController, true) => {
            (format!("{:>WIDTH$}", format!("✗{}", shaft(WIDTH - 9))), "  lost")
        }
    };
    say!("{:>6} ms │{arrow:<WIDTH$}│{note}", now.as_millis());
}

/// A field of the datagram drawn last.
pub(crate) fn draw_field(name: &str, value: &str) {
    rung(&format!("   {name:<20} {value}"));
}

/// Room between two datagrams.
pub(crate) fn draw_gap() {
    rung("");
}

/// The facts of an established session.
pub(crate) fn draw_session<C: Crypto>(whose: &str, session: &SecureSession<C>) {
    let identity = session.identity();
    let parameters = session.peer_parameters();
    say!("{whose}: {session}");
    say!(
        "   {:?}; receives on session id {}, sends on {}",
        session.role(),
        session.local_session_id(),
        session.peer_session_id()
    );
    if identity.kind() == SessionKind::Case {
        let tags: Vec<_> = identity.tags().iter().map(|tag| format!("{tag:?}")).collect();
        say!("   own node id {}, peer's tags [{}]", identity.local_node(), tags.join(", "));
    }
    if let Some(id) = session.resumption_id() {
        say!("   can be resumed as {}", hex(id.as_bytes()));
    }
    say!("   attestation challenge {}", hex(session.attestation_challenge()));
    say!(
        "   the peer listens every {} ms when active, every {} ms when idle",
        parameters.active_interval_ms,
        parameters.idle_interval_ms
    );
}

/// Bytes in hexadecimal, cut short.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const MOST: usize = 16;
    let mut text = String::new();
    for byte in bytes.iter().take(MOST) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    if bytes.len() > MOST {
        text.push_str("..");
    }
    text
}

fn rung(text: &str) {
    say!("     │{text:<WIDTH$}│");
}
