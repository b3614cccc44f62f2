//! Datagrams as text, and lines of a key log.

use matter_session::crypto::{RustCrypto, Secret};
use matter_session::describe::{Description, open_sigma};
use matter_session::keylog::KeyLogEntry;
use matter_session::wire::{Packet, ProtocolHeader};

/// Any datagram has a description, of which the parts say the same; its bytes as the inside of an
/// opened message have one, too. A line that is read as a key log is written as it was read.
pub fn describe(data: &[u8]) {
    let description = Description::of(data);
    let text = description.to_string();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(description.name().to_string().as_str()));
    let mut fields = 0;
    let all = description.for_each_field(&mut |name, value| {
        fields += 1;
        assert!(text.contains(&format!("  {name}: {value}\n")));
        Ok(())
    });
    assert!(all.is_ok() && fields == lines.count() && fields > 0);
    assert_eq!(description.payload().is_some(), description.protocol_header().is_some());
    if let Some(header) = description.message_header() {
        let mut copy = data.to_vec();
        assert_eq!(Packet::parse_clear(&mut copy).unwrap().header(), header);
    }

    if let Ok((header, start)) = ProtocolHeader::parse(data) {
        let inside = Description::of(&[]).with_plaintext(header, &data[start..]);
        assert!(!inside.to_string().is_empty());
        let opcode = matter_session::wire::secure_channel::Opcode(header.opcode);
        let mut payload = data[start..].to_vec();
        assert!(open_sigma(&RustCrypto, opcode, &Secret::zero(), &mut payload).is_none());
    }

    if let Ok(line) = core::str::from_utf8(data)
        && let Ok(Some(entry)) = KeyLogEntry::parse(line)
    {
        let written = entry.line().to_string();
        assert_eq!(KeyLogEntry::parse(&written), Ok(Some(entry)));
    }
}
