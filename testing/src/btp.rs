//! A plain count of what a BTP session must do: packets in vectors, numbers that never wrap.

use matter_session::btp::BtpError;

/// One end of an open session, seen from outside: every packet that it sends and receives is told.
/// The handshake response of the server counts as packet 0 of its direction.
#[derive(Clone, Debug)]
pub struct Plain {
    window: usize,
    /// Maximum length of packets to the peer, and from it.
    longest: (usize, usize),
    /// Length of the buffer for messages that arrive.
    room: usize,
    /// How many packets this end has sent; how many of them it knows to be acknowledged.
    sent: usize,
    acknowledged: usize,
    /// How many packets it has received; how many of them it has acknowledged.
    received: usize,
    answered: usize,
    /// Messages that have begun: the length that was announced, and what there is.
    incoming: Option<(u16, Vec<u8>)>,
    outgoing: Option<(u16, Vec<u8>)>,
}

impl Plain {
    pub fn client(window: u8, longest: (u16, u16), room: usize) -> Self {
        Self { sent: 0, received: 1, ..Self::server(window, longest, room) }
    }

    pub fn server(window: u8, longest: (u16, u16), room: usize) -> Self {
        Self {
            window: window.into(),
            longest: (longest.0.into(), longest.1.into()),
            room,
            sent: 1,
            acknowledged: 0,
            received: 0,
            answered: 0,
            incoming: None,
            outgoing: None,
        }
    }

    pub fn in_flight(&self) -> usize {
        self.sent - self.acknowledged
    }

    /// How many packets this end has received and not acknowledged.
    pub fn owed(&self) -> usize {
        self.received - self.answered
    }

    /// The number of the packet that would be right to come next.
    pub fn next_from_peer(&self) -> u8 {
        (self.received % 256) as u8
    }

    /// The numbers that the peer may acknowledge.
    pub fn may_be_acknowledged(&self) -> Vec<u8> {
        (self.acknowledged..self.sent).map(|number| (number % 256) as u8).collect()
    }

    /// What the session must make of a packet.
    pub fn receive(&mut self, packet: &[u8]) -> Result<Option<Vec<u8>>, BtpError> {
        let max = self.longest.1 + 3;
        if packet.len() > max {
            return Err(BtpError::PacketTooLong { len: packet.len(), max });
        }
        let Some(parts) = parse(packet) else {
            let is_handshake = packet.first().is_some_and(|flags| flags & 0x60 != 0);
            return Err(if is_handshake { BtpError::Handshake } else { BtpError::Malformed });
        };
        if let Some(number) = parts.ack {
            let found = (self.acknowledged..self.sent).find(|n| n % 256 == usize::from(number));
            self.acknowledged = 1 + found.ok_or(BtpError::Acknowledgement { number })?;
        }
        if usize::from(parts.number) != self.received % 256 {
            let expected = self.next_from_peer();
            return Err(BtpError::Sequence { expected, received: parts.number });
        }
        if self.owed() > self.window {
            return Err(BtpError::WindowExceeded { size: self.window as u8 });
        }
        self.received += 1;
        if !parts.has_segment() {
            return Ok(None);
        }
        let room = self.room;
        add(&mut self.incoming, &parts, room)
    }

    /// Checks a packet that the session sends. Returns the message that it completes.
    pub fn send(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        assert!(packet.len() <= self.longest.0, "{} bytes", packet.len());
        let parts = parse(packet).expect("a packet of ours");
        assert_eq!(usize::from(parts.number), self.sent % 256);
        assert!(self.in_flight() < self.window, "the window of the peer is closed");
        if parts.has_segment() && self.in_flight() + 1 == self.window {
            assert!(parts.ack.is_some(), "the last place is for acknowledgements");
        }
        let newest = self.received.wrapping_sub(1) % 256;
        assert_eq!(parts.ack.map(usize::from), (self.owed() != 0).then_some(newest));
        self.sent += 1;
        self.answered = self.received;
        if !parts.has_segment() {
            assert!(parts.ack.is_some());
            return None;
        }
        add(&mut self.outgoing, &parts, usize::MAX).expect("segments of ours fit together")
    }
}

/// The fields of a packet behind the handshake.
#[derive(Debug)]
struct Parts<'a> {
    flags: u8,
    ack: Option<u8>,
    number: u8,
    len: u16,
    payload: &'a [u8],
}

impl Parts<'_> {
    fn has_segment(&self) -> bool {
        self.flags & 7 != 0
    }
}

fn parse(packet: &[u8]) -> Option<Parts<'_>> {
    let flags = *packet.first()?;
    let (has_ack, begins) = (flags & 8 != 0, flags & 1 != 0);
    if flags & 0x60 != 0 || flags & 3 == 3 {
        return None;
    }
    let at = if has_ack { 2 } else { 1 };
    let number = *packet.get(at)?;
    let header = at + if begins { 3 } else { 1 };
    let len = if begins { packet.get(at + 1..header)? } else { &[0, 0] };
    let payload = packet.get(header..)?;
    let parts = Parts {
        flags,
        ack: has_ack.then(|| packet[1]),
        number,
        len: u16::from_le_bytes([len[0], len[1]]),
        payload,
    };
    let carries = !payload.is_empty();
    let is_right = if parts.has_segment() { carries } else { has_ack && !carries };
    is_right.then_some(parts)
}

fn add(
    message: &mut Option<(u16, Vec<u8>)>,
    parts: &Parts<'_>,
    room: usize,
) -> Result<Option<Vec<u8>>, BtpError> {
    let (begins, ends) = (parts.flags & 1 != 0, parts.flags & 4 != 0);
    if begins != message.is_none() {
        return Err(BtpError::Segment);
    }
    let (len, mut bytes) = message.take().unwrap_or((parts.len, Vec::new()));
    let all = usize::from(len);
    if all > room {
        return Err(BtpError::MessageTooLarge { len, max: room });
    }
    bytes.extend(parts.payload);
    if bytes.len() > all || (ends && bytes.len() != all) {
        return Err(BtpError::Length { len });
    }
    if ends {
        return Ok(Some(bytes));
    }
    *message = Some((len, bytes));
    Ok(None)
}
