//! The messages of a capture, taken apart.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use matter_session::describe::Description;
use matter_session::ids::ProtocolId;
use matter_session::wire::secure_channel::Opcode;
use matter_session::wire::{MessageHeader, ProtocolHeader, StatusReport};

use crate::capture::Datagram;
use crate::keys::{Keys, Outcome};

/// The port of Matter nodes.
pub const MATTER_PORT: u16 = 5540;

/// A message of a capture.
#[derive(Clone, Debug)]
pub struct Message {
    /// When it was captured, since 1970.
    pub at: Duration,
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// The datagram.
    pub bytes: Vec<u8>,
    /// The message header, if it can be read.
    pub outer: Option<MessageHeader>,
    /// The protocol header, if the message is unsecured or was opened.
    pub inner: Option<ProtocolHeader>,
    /// The payload, if the message is unsecured or was opened.
    pub payload: Vec<u8>,
    /// The session in the key log that opened it.
    pub session: Option<usize>,
    /// There are keys with its session id, and none opens it.
    pub wrong_key: bool,
    /// The first transmission of this very datagram, if this is a later one.
    pub copy_of: Option<usize>,
    /// How many transmissions of it came before.
    pub repetition: usize,
}

/// All messages of a capture, in the order of time.
#[derive(Debug, Default)]
pub struct Trace {
    /// The messages.
    pub messages: Vec<Message>,
    /// The keys that they were opened with.
    pub keys: Keys,
    /// The later transmissions of messages, by the place of the first.
    pub copies: HashMap<usize, Vec<usize>>,
}

impl Trace {
    /// Takes the datagrams from or to one of these ports; of all ports if there are none.
    #[must_use]
    pub fn new(mut datagrams: Vec<Datagram>, ports: &[u16], keys: Keys) -> Self {
        datagrams.retain(|datagram| {
            let ends = [datagram.from.port(), datagram.to.port()];
            ports.is_empty() || ends.iter().any(|port| ports.contains(port))
        });
        datagrams.sort_by_key(|datagram| datagram.at);
        let mut seen: HashMap<(SocketAddr, Vec<u8>), (usize, usize)> = HashMap::new();
        let mut messages = Vec::with_capacity(datagrams.len());
        let mut copies: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, datagram) in datagrams.into_iter().enumerate() {
            let mut message = Message::read(datagram, &keys);
            let key = (message.to, message.bytes.clone());
            let (first, count) = seen.entry(key).or_insert((index, 0));
            if *count > 0 {
                (message.copy_of, message.repetition) = (Some(*first), *count);
                copies.entry(*first).or_default().push(index);
            }
            *count += 1;
            messages.push(message);
        }
        Self { messages, keys, copies }
    }
}

impl Message {
    fn read(datagram: Datagram, keys: &Keys) -> Self {
        let Datagram { at, from, to, bytes } = datagram;
        let description = Description::of(&bytes);
        let outer = description.message_header().copied();
        let mut inner = description.protocol_header().copied();
        let mut payload = description.payload().unwrap_or_default().to_vec();
        let (mut session, mut wrong_key) = (None, false);
        if inner.is_none() {
            match keys.open(&bytes) {
                Outcome::Opened(opened) => {
                    (inner, payload, session) =
                        (Some(opened.header), opened.payload, opened.session);
                }
                Outcome::WrongKey => wrong_key = true,
                Outcome::NoKey => {}
            }
        }
        Self {
            at,
            from,
            to,
            bytes,
            outer,
            inner,
            payload,
            session,
            wrong_key,
            copy_of: None,
            repetition: 0,
        }
    }

    /// Its description, with the inside if it was opened.
    #[must_use]
    pub fn description(&self) -> Description<'_> {
        let description = Description::of(&self.bytes);
        match self.inner {
            Some(header) => description.with_plaintext(header, &self.payload),
            None => description,
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        self.description().name().to_string()
    }

    /// The opcode of a message of the secure channel.
    #[must_use]
    pub fn opcode(&self) -> Option<Opcode> {
        let header = self.inner.as_ref()?;
        (header.protocol == ProtocolId::SECURE_CHANNEL).then_some(Opcode(header.opcode))
    }

    /// The status report that it is.
    #[must_use]
    pub fn report(&self) -> Option<StatusReport<'_>> {
        let is_report = self.opcode() == Some(Opcode::STATUS_REPORT);
        is_report.then(|| StatusReport::parse(&self.payload).ok()).flatten()
    }

    /// The session id in its header; 0 if it is unsecured.
    #[must_use]
    pub fn session_id(&self) -> u16 {
        self.outer.map_or(0, |header| header.route.session_id())
    }

    /// Its message counter.
    #[must_use]
    pub fn counter(&self) -> u32 {
        self.outer.map_or(0, |header| header.counter.get())
    }

    /// Whether it acknowledges a message with this counter.
    #[must_use]
    pub fn acknowledges(&self, counter: u32) -> bool {
        self.inner.is_some_and(|header| header.ack.is_some_and(|ack| ack.get() == counter))
    }

    /// Whether it is an acknowledgement and nothing else.
    #[must_use]
    pub fn is_bare_ack(&self) -> bool {
        self.opcode() == Some(Opcode::MRP_STANDALONE_ACK)
    }
}
