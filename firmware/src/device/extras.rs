//! What a product may have beside the device, each with a feature of its own. The host asks for it,
//! so that the compiler keeps it: `size.sh --features` measures what it takes.

#[cfg(feature = "groups")]
use matter_session::group::{CounterStore, GroupCounter, StoreError};

use super::{Board, Device};
use crate::frame;

/// What the host can ask for: the first octet of a frame.
mod what {
    #[cfg(feature = "groups")]
    pub const JOIN_GROUP: u8 = 1;
    #[cfg(feature = "check-in")]
    pub const CHECK_IN: u8 = 2;
    #[cfg(feature = "signing-key")]
    pub const HOLD_KEY: u8 = 3;
}

/// What the device keeps for it.
#[derive(Default)]
pub struct Extras {
    #[cfg(feature = "groups")]
    counters: Counters,
    #[cfg(feature = "check-in")]
    icd: Option<matter_session::check_in::IcdCounter>,
    #[cfg(feature = "signing-key")]
    key: Option<matter_session::crypto::SigningKey>,
}

impl<B: Board> Device<'_, B> {
    /// Does what the host asks for; returns whether that worked.
    #[inline(never)]
    pub fn extra(&mut self, mut body: &[u8]) -> bool {
        let Some([what]) = frame::take(&mut body) else { return false };
        let done = match what {
            #[cfg(feature = "groups")]
            what::JOIN_GROUP => self.join_group(body),
            #[cfg(feature = "check-in")]
            what::CHECK_IN => self.check_in(body),
            #[cfg(feature = "signing-key")]
            what::HOLD_KEY => self.hold_key(body),
            _ => None,
        };
        done.is_some()
    }

    /// Joins a group of the fabric joined first, and sends it a message. The body: group id (2, LE),
    /// epoch key (16).
    #[cfg(feature = "groups")]
    fn join_group(&mut self, mut body: &[u8]) -> Option<()> {
        use matter_session::crypto::Secret;
        use matter_session::fabric::{EpochStart, GroupEpoch, GroupKey};
        use matter_session::group::{GroupKeySet, SecurityPolicy};
        use matter_session::ids::ProtocolId;
        use matter_session::ids::{FabricIndex, Group, GroupId, GroupKeySetId, MessageType};
        use matter_session::manager::{GroupSettings, PeerAddress};

        let id = GroupId::new(u16::from_le_bytes(frame::take(&mut body)?));
        let group = Group::new(FabricIndex::new(1)?, id);
        let key = GroupKey::EpochKey(Secret::new(frame::take(&mut body)?));
        let epochs = [GroupEpoch { key, start: EpochStart::default() }];
        let key_set = GroupKeySetId::new(1);
        let set = GroupKeySet { id: key_set, policy: SecurityPolicy::TrustFirst, epochs: &epochs };
        self.node.groups_mut().set_key_set(group.fabric, &set).ok()?;
        self.node.groups_mut().set(group, GroupSettings::new(key_set)).ok()?;

        let mut services = super::services(&mut self.board, &mut self.rng, self.booted)
            .with_counters(&mut self.extras.counters);
        let mut cx = services.at(self.board.now());
        let kind = MessageType::new(ProtocolId::INTERACTION_MODEL, 8);
        let mut buf = [0; 128];
        let sent = self.node.groups_mut().send(&mut cx, group, kind, body, &mut buf).ok()?;
        if let PeerAddress::Udp(to) = sent.to {
            self.board.send(to, sent.datagram);
        }
        Some(())
    }

    /// Registers a client and says to it that the device is awake. The body: address (18), key
    /// (16).
    #[cfg(feature = "check-in")]
    fn check_in(&mut self, mut body: &[u8]) -> Option<()> {
        use matter_session::check_in::{IcdCounter, MAX_DATAGRAM_BUFFER};
        use matter_session::crypto::Secret;
        use matter_session::manager::PeerAddress;

        let client = frame::read_address(frame::take(&mut body)?);
        let rng = &mut self.rng;
        let icd = self.extras.icd.get_or_insert_with(|| IcdCounter::random(100, rng));
        let key = icd.register(Secret::new(frame::take(&mut body)?), &[]).ok()?;
        // A product stores the bound first.
        if let Some(bound) = icd.bound_to_store() {
            icd.stored(bound);
        }
        let check_in = icd.check_in(&[0x2C, 0x01]).ok()?;
        let mut services = super::services(&mut self.board, &mut self.rng, self.booted);
        let mut cx = services.at(self.board.now());
        let mut buf = [0; MAX_DATAGRAM_BUFFER];
        let to = PeerAddress::Udp(client);
        let sent = self.node.send_check_in(&mut cx, to, &check_in, &key, &mut buf).ok()?;
        self.board.send(client, sent.datagram);
        Some(())
    }

    /// Takes the operational key into memory. The body: the key (32).
    #[cfg(feature = "signing-key")]
    fn hold_key(&mut self, mut body: &[u8]) -> Option<()> {
        use matter_session::crypto::{Secret, SigningKey};

        let key = Secret::new(frame::take(&mut body)?);
        self.extras.key = Some(SigningKey::from_bytes(&key).ok()?);
        Some(())
    }

    /// Signs with the key in memory.
    #[cfg(feature = "signing-key")]
    pub(super) fn sign_by_key(&mut self, request: matter_session::handshake::SignRequest) {
        let Some(key) = &mut self.extras.key else { return };
        let signed = request.sign_with(key);
        let mut services = super::services(&mut self.board, &mut self.rng, self.booted);
        let mut cx = services.at(self.board.now());
        let _ = self.node.complete_signature(&mut cx, signed);
    }
}

#[cfg(feature = "signing-key")]
impl Extras {
    pub(super) const fn has_key(&self) -> bool {
        self.key.is_some()
    }
}

/// The bounds of the group counters. A product keeps them in its flash.
#[cfg(feature = "groups")]
#[derive(Default)]
struct Counters {
    data: Option<u64>,
    control: Option<u64>,
}

#[cfg(feature = "groups")]
impl Counters {
    const fn of(&mut self, counter: GroupCounter) -> &mut Option<u64> {
        match counter {
            GroupCounter::Data => &mut self.data,
            GroupCounter::Control => &mut self.control,
        }
    }
}

#[cfg(feature = "groups")]
impl CounterStore for Counters {
    fn load(&mut self, counter: GroupCounter) -> Result<Option<u64>, StoreError> {
        Ok(*self.of(counter))
    }

    fn store(&mut self, counter: GroupCounter, bound: u64) -> Result<(), StoreError> {
        *self.of(counter) = Some(bound);
        Ok(())
    }
}
