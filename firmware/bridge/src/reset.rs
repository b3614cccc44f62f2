//! A reset of the node at a moment that matters: a peer is about to resume a session that the
//! node, had it not kept the record, would know nothing of.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::Result;

/// What QEMU's monitor says when it awaits a command.
const PROMPT: &[u8] = b"(qemu) ";

pub(crate) struct Reset {
    monitor: String,
    before: u32,
    seen: u32,
}

impl Reset {
    /// Before the N-th Sigma1.
    pub(crate) fn new(monitor: String, before: u32) -> Self {
        Self { monitor, before, seen: 0 }
    }

    /// Whether the node is to be reset before it gets this datagram.
    pub(crate) fn is_due(&mut self, datagram: &[u8]) -> bool {
        self.seen += u32::from(is_sigma1(datagram));
        let due = self.seen == self.before;
        // Once is enough.
        self.before = if due { 0 } else { self.before };
        due
    }

    /// QEMU looks at the line again only when something else happens: a node that has switched its
    /// receiver on meanwhile would wait for ever. A look at the monitor is enough.
    pub(crate) fn wake_emulator(&self) -> Result<()> {
        read_prompt(&mut UnixStream::connect(&self.monitor)?)
    }

    pub(crate) fn run(&self) -> Result<()> {
        let mut monitor = UnixStream::connect(&self.monitor)?;
        read_prompt(&mut monitor)?;
        monitor.write_all(b"system_reset\n")?;
        read_prompt(&mut monitor)?;
        println!("RESET");
        Ok(())
    }
}

fn read_prompt(monitor: &mut UnixStream) -> Result<()> {
    let (mut said, mut octet) = (Vec::new(), [0]);
    while !said.ends_with(PROMPT) {
        monitor.read_exact(&mut octet)?;
        said.extend(octet);
    }
    Ok(())
}

/// An unsecured message from an initiator has a header of 16 octets with a zero session id; then
/// comes the protocol header: flags, opcode.
fn is_sigma1(datagram: &[u8]) -> bool {
    const SIGMA1: u8 = 0x30;
    datagram.get(1..3) == Some(&[0, 0]) && datagram.get(17) == Some(&SIGMA1)
}
