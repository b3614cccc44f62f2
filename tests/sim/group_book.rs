//! What was sent to groups, and who has heard it.

use std::collections::BTreeSet;

use super::suite::{FABRICS, node_id};

/// The group key sets of each fabric: 1 trusts first, 2 asks.
pub const SETS: u16 = 2;
/// The key set of guests, of which the hostile node has all keys.
pub const GUESTS: u16 = 3;
/// All of them.
pub const KEY_SETS: u16 = 3;
/// The group that has now the one key set, now the other.
pub const MIXED_GROUP: u16 = 3;
/// The group of the guests.
pub const GUEST_GROUP: u16 = 4;
/// How many keys a key set has in the course of time.
pub const EPOCHS: usize = 6;
/// How many of them it has at once.
pub const AT_ONCE: usize = 3;

/// A message to a group.
#[derive(Clone, Debug)]
pub struct Told {
    pub node: usize,
    pub fabric: usize,
    pub group: u16,
    pub set: u16,
    /// Of the key that it was sealed with.
    pub epoch: usize,
    pub payload: Vec<u8>,
    /// Whether the hostile node has sent it, in the name of `node`.
    pub is_forged: bool,
}

/// A message to a group as an application got it.
#[derive(Clone, Debug)]
pub struct Heard {
    pub fabric: matter_session::ids::FabricIndex,
    pub group: u16,
    pub set: u16,
    pub source: matter_session::ids::NodeId,
    pub payload: Vec<u8>,
    /// Whether it waited for its sender's counter.
    pub waited: bool,
}

#[derive(Debug, Default)]
pub struct GroupBook {
    told: Vec<Told>,
    /// The message, who has heard it, and in which of its memberships.
    heard: BTreeSet<(usize, usize, u64)>,
    /// The oldest key that an administrator would install now.
    current: [[usize; KEY_SETS as usize]; FABRICS],
}

/// Tells a message to a group from any other.
const MARK: [u8; 8] = [0xFF; 8];

impl GroupBook {
    /// A payload with a number that no other has, of at least `len` octets.
    pub fn compose(&self, len: usize) -> Vec<u8> {
        let mut payload = MARK.to_vec();
        payload.extend((self.told.len() as u64).to_le_bytes());
        payload.resize(len.max(payload.len()), self.told.len() as u8);
        payload
    }

    /// Takes note of a message. Returns its number.
    pub fn tell(&mut self, told: Told) -> usize {
        self.told.push(told);
        self.told.len() - 1
    }

    /// Takes note of a message that a node got: it must be what its sender sent, where it was sent,
    /// and come once.
    pub fn hear(&mut self, node: usize, membership: u64, fabric: usize, heard: &Heard) -> &Told {
        let number = heard.payload.strip_prefix(&MARK).and_then(|rest| rest.first_chunk());
        let number = number.map(|number| u64::from_le_bytes(*number) as usize);
        let told = number.and_then(|number| self.told.get(number));
        let (Some(number), Some(told)) = (number, told) else {
            panic!("node {node} heard what nobody told: {heard:02x?}")
        };
        assert_eq!(told.payload, heard.payload, "group message {number} has changed");
        assert_eq!(
            (told.fabric, told.group, told.set),
            (fabric, heard.group, heard.set),
            "group message {number} went to another group",
        );
        assert_eq!(node_id(told.fabric, told.node), heard.source, "{number} has another sender");
        assert_ne!(told.node, node, "node {node} heard itself say {number}");
        let is_new = self.heard.insert((number, node, membership));
        assert!(is_new, "node {node} heard group message {number} twice");
        told
    }

    /// Whether a node has ever got a message.
    pub fn was_heard(&self, number: usize, by: usize) -> bool {
        self.heard.range((number, by, 0)..=(number, by, u64::MAX)).next().is_some()
    }

    pub fn current(&mut self, fabric: usize, set: u16) -> &mut usize {
        &mut self.current[fabric][usize::from(set) - 1]
    }
}
