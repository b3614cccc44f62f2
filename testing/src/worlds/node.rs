//! A node of a world: a manager, and the least of an application.

use core::convert::Infallible;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use matter_session::ids::{FabricIndex, NodeId, Peer};
use matter_session::manager::{
    Config, ExchangeHandle, HandshakeHandle, PeerAddress, SessionHandle, SessionManager, Storage,
};
use matter_session::rand_core::{TryCryptoRng, TryRng};

use super::seals::Backend;
use super::store::Store;
use crate::net::Memory;
use crate::rng::Dice;
use crate::toy::{ToyAuthority, ToyMember};

pub type Manager<S> = SessionManager<Backend, S>;

/// The node ids, by node.
pub const IDS: [u64; 2] = [100, 200];
/// Where the attacker is.
pub const ELSEWHERE: u16 = 666;

/// What the nodes of a fabric hold.
pub fn members() -> &'static [ToyMember; 2] {
    static MEMBERS: OnceLock<[ToyMember; 2]> = OnceLock::new();
    MEMBERS.get_or_init(|| {
        let mut rng = Dice::new(1);
        let mut authority = ToyAuthority::new(1, false, &mut rng);
        IDS.map(|id| authority.admit(id, &mut rng))
    })
}

pub fn peer(n: usize) -> Peer {
    Peer::new(FabricIndex::MIN, NodeId::new(IDS[n]))
}

pub fn udp(port: u16) -> PeerAddress {
    PeerAddress::Udp(([127, 0, 0, 1], port).into())
}

/// The first session id of a life is always the same. An attacker reaches every id by repeats; a
/// world in which it needs none is explored deeper.
pub(super) struct FirstId<'a>(&'a mut Dice, bool);

impl<'a> FirstId<'a> {
    pub(super) const fn new(dice: &'a mut Dice) -> Self {
        Self(dice, true)
    }
}

impl TryRng for FirstId<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let word = self.0.roll() as u32;
        let is_first = core::mem::replace(&mut self.1, false);
        Ok(if is_first { word & 0xFFFF_0000 | 0x0100 } else { word })
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(dst)
    }
}

impl TryCryptoRng for FirstId<'_> {}

/// A datagram that a node has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    pub from: usize,
    /// Its place among all that its sender has sent.
    pub(super) serial: u32,
    pub to: PeerAddress,
    pub bytes: Vec<u8>,
}

impl Datagram {
    /// Its opcode, if it belongs to a handshake.
    pub fn opcode(&self) -> Option<u8> {
        (self.bytes.get(1..3)? == [0, 0]).then(|| self.bytes.get(17).copied())?
    }

    pub(super) fn is_multicast(&self) -> bool {
        matches!(self.to, PeerAddress::Udp(to) if to.ip().is_multicast())
    }
}

/// A node: a manager, and the least of an application.
pub struct Node<S: Storage> {
    pub manager: Manager<S>,
    pub address: PeerAddress,
    pub(super) config: Config,
    /// Which of [`members`] it is.
    pub(super) member: usize,
    pub(super) rng: Dice,
    pub store: Store,
    pub bounds: Memory,
    /// Everything that it was ever given, in order: two nodes with one story are in one state.
    pub(super) story: u64,
    pub(super) serial: u32,
    /// The sizes of its tables when it was made.
    pub(super) fresh: String,
    /// What it says on each session that it has begun.
    pub says: usize,
    /// Answers requests; otherwise it keeps their exchanges open until it is told to close them.
    pub answers: bool,
    pub sessions: Vec<SessionHandle>,
    /// Exchanges that it has not closed, of peers and its own.
    pub open: Vec<ExchangeHandle>,
    /// The message in flight on each exchange, by its number.
    pub(super) in_flight: BTreeMap<ExchangeHandle, u16>,
    /// Handshakes that it began and of which it has not heard.
    pub waits: BTreeSet<HandshakeHandle>,
    /// How its handshakes failed.
    pub failed: usize,
    pub established: usize,
}
