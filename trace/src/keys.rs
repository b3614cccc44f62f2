//! A key log, and what it opens.

use matter_session::crypto::{RustCrypto, Secret};
use matter_session::describe::open_sigma;
use matter_session::fabric::GroupKey;
use matter_session::group::{self, GroupSession};
use matter_session::ids::{CaseAuthTags, FabricIndex, LocalSessionId, PeerSessionId};
use matter_session::keylog::{KeyLogEntry, KeyLogError, SessionSecrets};
use matter_session::session::hazmat::{self, Counters};
use matter_session::session::{
    Identity, SessionKind, SessionParameters, SessionRole, SessionSetup,
};
use matter_session::time::Instant;
use matter_session::wire::secure_channel::Opcode;
use matter_session::wire::{Packet, ProtocolHeader, SessionRoute};
use thiserror::Error;

/// The keys of a log, or of several.
#[derive(Debug, Default)]
pub struct Keys {
    sessions: Vec<SessionSecrets>,
    groups: Vec<GroupSession<RustCrypto>>,
    sigma2: Vec<Secret<16>>,
    sigma3: Vec<Secret<16>>,
}

/// A line of a key log cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {error}")]
pub struct KeysError {
    /// The number of the line, from 1 on.
    pub line: usize,
    /// What is wrong.
    pub error: KeyLogError,
}

/// The inside of a message, in clear.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The protocol header.
    pub header: ProtocolHeader,
    /// The payload.
    pub payload: Vec<u8>,
    /// The number of the session in the key log; `None` for a message to a group.
    pub session: Option<usize>,
}

/// What became of opening a message.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// There is no key with its session id.
    NoKey,
    /// Keys with its session id are known, and none opens it.
    WrongKey,
    /// It is open.
    Opened(Opened),
}

/// The certificates of one side of a full handshake.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The operational certificate.
    pub noc: Vec<u8>,
    /// The intermediate one.
    pub icac: Option<Vec<u8>>,
}

impl Keys {
    /// Adds the entries of a key log. Both ends of a session may have logged it.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn add(&mut self, log: &str) -> Result<(), KeysError> {
        for (index, text) in log.lines().enumerate() {
            let line = index + 1;
            match KeyLogEntry::parse(text).map_err(|error| KeysError { line, error })? {
                Some(KeyLogEntry::Session(session)) if !self.sessions.contains(&session) => {
                    self.sessions.push(session);
                }
                Some(KeyLogEntry::Group(group)) => {
                    let key = GroupKey::OperationalKey(group.key);
                    // The backend does not fail.
                    self.groups.extend(GroupSession::new(&RustCrypto, &key, group.fabric));
                }
                Some(KeyLogEntry::Sigma2(key)) => self.sigma2.push(key),
                Some(KeyLogEntry::Sigma3(key)) => self.sigma3.push(key),
                _ => {}
            }
        }
        Ok(())
    }

    /// Opens an encrypted message.
    #[must_use]
    pub fn open(&self, datagram: &[u8]) -> Outcome {
        match Packet::peek(datagram).map(|preamble| preamble.route()) {
            Ok(SessionRoute::Unicast(id)) => self.open_unicast(id, datagram),
            Ok(SessionRoute::Group(id)) => {
                let candidates = self.groups.iter().filter(|group| group.id() == id);
                if candidates.clone().next().is_none() {
                    return Outcome::NoKey;
                }
                let mut copy = datagram.to_vec();
                let candidates = candidates.map(|group| ((), group));
                match group::decode(&mut copy, candidates, |(), _| true) {
                    Ok(opened) => Outcome::Opened(Opened {
                        header: opened.header,
                        payload: opened.payload.to_vec(),
                        session: None,
                    }),
                    Err(_) => Outcome::WrongKey,
                }
            }
            _ => Outcome::NoKey,
        }
    }

    fn open_unicast(&self, id: LocalSessionId, datagram: &[u8]) -> Outcome {
        let mut verdict = Outcome::NoKey;
        for (session, keys) in self.sessions.iter().enumerate() {
            let receivers = [
                (SessionRole::Responder, keys.responder_session_id),
                (SessionRole::Initiator, keys.initiator_session_id),
            ];
            for (receiver, _) in receivers.into_iter().filter(|(_, own)| *own == id.get()) {
                verdict = Outcome::WrongKey;
                if let Some((header, payload)) = open(keys, receiver, datagram) {
                    return Outcome::Opened(Opened { header, payload, session: Some(session) });
                }
            }
        }
        verdict
    }

    /// Opens the certificates in the payload of a Sigma2 or Sigma3.
    #[must_use]
    pub fn certificates(&self, opcode: Opcode, payload: &[u8]) -> Option<Certificates> {
        let keys = if opcode == Opcode::CASE_SIGMA2 { &self.sigma2 } else { &self.sigma3 };
        keys.iter().find_map(|key| {
            let mut copy = payload.to_vec();
            let opened = open_sigma(&RustCrypto, opcode, key, &mut copy)?;
            let icac = opened.icac.map(<[u8]>::to_vec);
            Some(Certificates { noc: opened.noc.to_vec(), icac })
        })
    }
}

/// Opens a message as its receiver does. The session is a new one for each message, so that nothing
/// is a duplicate, and it never sends.
fn open(
    keys: &SessionSecrets,
    receiver: SessionRole,
    datagram: &[u8],
) -> Option<(ProtocolHeader, Vec<u8>)> {
    let initiator = (keys.initiator_session_id, keys.initiator);
    let responder = (keys.responder_session_id, keys.responder);
    let (own, peer) = match receiver {
        SessionRole::Initiator => (initiator, responder),
        SessionRole::Responder => (responder, initiator),
    };
    let setup = SessionSetup {
        role: receiver,
        local_session_id: LocalSessionId::new(own.0)?,
        peer_session_id: PeerSessionId::new(peer.0)?,
        identity: match keys.kind {
            SessionKind::Pase => Identity::pase(),
            _ => Identity::case(FabricIndex::MIN, own.1, peer.1, CaseAuthTags::NONE),
        },
        peer_parameters: SessionParameters::default(),
        resumption_id: None,
    };
    let mut block = Secret::<48>::zero();
    let parts = [&keys.i2r, &keys.r2i, &keys.attestation_challenge];
    for (to, part) in block.as_mut_bytes().chunks_mut(16).zip(parts) {
        to.copy_from_slice(part.as_bytes());
    }
    let keys = hazmat::session_keys(block.as_bytes());
    let counters = Counters::starting_at(0);
    let mut session = hazmat::secure_session(&RustCrypto, &keys, setup, counters, Instant::ZERO);
    let mut copy = datagram.to_vec();
    let opened = session.decode(Packet::parse(&mut copy).ok()?, Instant::ZERO).ok()?;
    Some((opened.header, opened.payload.to_vec()))
}
