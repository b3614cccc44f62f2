//! Group messages of an attacker who has some keys: any sender, any counter.

use matter_session::crypto::{Crypto, Secret};
use matter_session::fabric::GroupKey;
use matter_session::group::{
    self, Challenge, CounterStore, Fresh, GroupCounter, GroupCounters, GroupSession, StoreError,
    SyncResponse,
};
use matter_session::ids::{
    ExchangeId, GroupId, GroupSessionId, MessageCounter, NodeId, ProtocolId,
};
use matter_session::manager::Storage;
use matter_session::wire::{Destination, MessageBuf, ProtocolHeader};

use crate::net::{Dice, Net, index};
use crate::{BACKEND, Backend};

/// One epoch key of a fabric, and whoever has it.
pub struct Holder<C: Crypto = Backend> {
    session: GroupSession<C>,
}

/// Returns the counter that it is asked for, and stores nothing.
struct At(u32);

impl CounterStore for At {
    fn load(&mut self, _counter: GroupCounter) -> Result<Option<u64>, StoreError> {
        Ok(Some(self.0.into()))
    }

    fn store(&mut self, _counter: GroupCounter, _bound: u64) -> Result<(), StoreError> {
        Ok(())
    }
}

const fn header(protocol: ProtocolId, opcode: u8, initiator: bool) -> ProtocolHeader {
    let exchange = ExchangeId::new(7);
    ProtocolHeader { exchange, protocol, opcode, initiator, needs_ack: false, ack: None }
}

impl Holder {
    /// Has the epoch key of this seed, on a fabric of node 1.
    pub fn of<S: Storage>(net: &mut Net<S>, fabric: u8, seed: u8) -> Self {
        Self::with_key(net, fabric, [seed; 16])
    }

    pub fn with_key<S: Storage>(net: &mut Net<S>, fabric: u8, key: [u8; 16]) -> Self {
        let fabric =
            net.call(1, |manager, _| manager.fabrics().get(index(fabric)).unwrap().compressed_id());
        let key = GroupKey::EpochKey(Secret::new(key));
        Self::with_session(GroupSession::new(&BACKEND, &key, fabric).unwrap())
    }
}

impl<C: Crypto> Holder<C> {
    pub const fn with_session(session: GroupSession<C>) -> Self {
        Self { session }
    }

    fn seal<T: Into<Destination> + Copy>(
        &self,
        counter: Fresh<T>,
        source: u64,
        to: T,
        header: &ProtocolHeader,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut buf = vec![0; payload.len() + 60];
        let message = MessageBuf::with_payload(&mut buf, payload).unwrap();
        let source = NodeId::new(source);
        self.session
            .encode(counter, source, to, false, header, message)
            .unwrap()
            .as_bytes()
            .to_vec()
    }

    /// A message to a group, from whomever, with whatever counter.
    pub fn tell(&self, source: u64, counter: u32, group: u16, payload: &[u8]) -> Vec<u8> {
        let fresh = GroupCounters::new().take_data(&mut At(counter), &mut Dice::new(1)).unwrap();
        let header = header(ProtocolId::INTERACTION_MODEL, 8, true);
        self.seal(fresh, source, GroupId::new(group), &header, payload)
    }

    fn control(
        &self,
        source: u64,
        counter: u32,
        to: u64,
        header: &ProtocolHeader,
        payload: &[u8],
    ) -> Vec<u8> {
        let fresh = GroupCounters::new().take_control(&mut At(counter), &mut Dice::new(1)).unwrap();
        self.seal(fresh, source, NodeId::new(to), header, payload)
    }

    /// Asks a node for its counter, in whoever's name.
    pub fn ask(&self, source: u64, counter: u32, to: u64) -> Vec<u8> {
        let header = header(ProtocolId::SECURE_CHANNEL, 0, true);
        self.control(source, counter, to, &header, &[9; 8])
    }

    /// Answers a request with whatever counter; `None` if it was sealed with another key.
    pub fn answer(&self, request: &[u8], source: u64, to: u64, told: u32) -> Option<Vec<u8>> {
        let mut request = request.to_vec();
        let opened = group::decode(&mut request, [((), &self.session)], |(), _| true).ok()?;
        let challenge = Challenge::parse(opened.payload)?;
        let counter = MessageCounter::new(told);
        let response = SyncResponse { counter, challenge }.to_bytes();
        let header = header(ProtocolId::SECURE_CHANNEL, 1, false);
        Some(self.control(source, 77, to, &header, &response))
    }

    pub const fn session(&self) -> GroupSessionId {
        self.session.id()
    }

    /// The counter of a message that this key has sealed.
    pub fn counter(&self, datagram: &[u8]) -> u32 {
        let mut datagram = datagram.to_vec();
        let opened = group::decode(&mut datagram, [((), &self.session)], |(), _| true);
        opened.unwrap().counter.get()
    }

    /// Returns true if this key has sealed a message.
    pub fn has_sealed(&self, datagram: &[u8]) -> bool {
        let mut datagram = datagram.to_vec();
        group::decode(&mut datagram, [((), &self.session)], |(), _| true).is_ok()
    }
}

/// The counter of a group message with a header in clear.
pub fn counter_of(datagram: &[u8]) -> u32 {
    u32::from_le_bytes(datagram[4..8].try_into().unwrap())
}
