//! Two key sets and one sender: whoever has the second set (a guest) sends in the sender's name,
//! with counters of its choice, and answers when it is asked for the counter.

use core::marker::PhantomData;

use matter_session::group::{CounterStore, GroupCounter, SecurityPolicy};
use matter_session::ids::{FabricIndex, Group, GroupId, GroupKeySetId, MessageType};
use matter_session::manager::{Config, GroupSettings, Storage};

use super::lab::Lab;
use super::store::Store;
use super::{Act, World, of_lab};
use crate::net::IM;
use crate::net::groups::key_set;

/// How the receiver treats senders whose counter it does not know.
pub trait Policy {
    const POLICY: SecurityPolicy;
}

pub struct TrustFirst;
pub struct SyncFirst;

impl Policy for TrustFirst {
    const POLICY: SecurityPolicy = SecurityPolicy::TrustFirst;
}

impl Policy for SyncFirst {
    const POLICY: SecurityPolicy = SecurityPolicy::CacheAndSync;
}

/// The nodes. The guests have the sender's node id and the second key set alone.
const SENDER: usize = 0;
const RECEIVER: usize = 1;
const GUESTS: [usize; 2] = [2, 3];

/// A guest tells something in the sender's name.
const GUEST: [Act; 2] = [Act::Other(0), Act::Other(1)];
/// The sender tells the first group something.
const TELL: Act = Act::Other(2);

/// The first counter of the sender, and of each guest: half the space ahead, and a little behind,
/// which is nearly all of the space ahead.
const COUNTERS: [u64; 4] = [5_000, 0, 5_000 + 0x7FFF_FF00, 5_000 - 0x200];

/// How often the sender tells something in the story.
const MESSAGES: u8 = 2;

pub struct Groups<S: Storage, P> {
    lab: Lab<S>,
    told: u8,
    /// A message of the sender that came to the receiver in a former life, long ago.
    old: u16,
    restarts: u8,
    policy: PhantomData<P>,
}

impl<S: Storage, P: Policy> World for Groups<S, P> {
    fn begin() -> Self {
        let copies = Lab::<S>::joined();
        let mut lab = Lab::new(vec![Config::default(); 2], copies);
        for guest in GUESTS {
            let store = Store::with(copies[SENDER].clone());
            lab.add(guest, SENDER, Config::default(), store);
        }
        for (n, first) in COUNTERS.into_iter().enumerate() {
            for counter in [GroupCounter::Data, GroupCounter::Control] {
                assert!(lab.nodes[n].bounds.store(counter, first).is_ok());
            }
        }
        let mut world = Self { lab, told: 0, old: 0, restarts: 0, policy: PhantomData };
        for n in 0..4 {
            world.join(n);
        }
        if P::POLICY == SecurityPolicy::CacheAndSync {
            world.old = world.tell(SENDER, 1);
            world.lab.settle(3_000);
            assert_eq!(world.lab.deliveries(world.old), 1, "synchronised and delivered");
            for n in [SENDER, RECEIVER] {
                world.restart(n as u8);
            }
        }
        world.restarts = 0;
        world
    }

    fn next(&self) -> Option<Act> {
        match self.lab.next(3_000) {
            None if self.told < MESSAGES => Some(TELL),
            next => next,
        }
    }

    fn acts(&self) -> Vec<Act> {
        let mut acts = self.lab.acts();
        acts.extend(GUEST);
        // A receiver that trusts at first trusts after a restart, too.
        if P::POLICY == SecurityPolicy::CacheAndSync && self.restarts < 1 {
            acts.push(Act::Restart(RECEIVER as u8, 0));
        }
        acts
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Other(guest) if act != TELL => {
                self.tell(GUESTS[usize::from(guest)], 2);
            }
            TELL => {
                self.told += 1;
                self.tell(SENDER, 1);
            }
            Act::Restart(n, _) => self.restart(n),
            act => self.lab.act(act),
        }
        self.lab.drain();
        self.lab.sort();
    }

    fn end(&mut self) {
        self.lab.finish();
    }

    of_lab!();
}

impl<S: Storage, P: Policy> Groups<S, P> {
    fn join(&mut self, n: usize) {
        // The receiver has both key sets, the others one.
        let sets: &[u16] = match n {
            SENDER => &[1],
            RECEIVER => &[1, 2],
            _ => &[2],
        };
        for id in sets {
            let manager = &mut self.lab.nodes[n].manager;
            let seed = [*id as u8];
            key_set(*id, P::POLICY, &seed, |set| {
                manager.groups_mut().set_key_set(FabricIndex::MIN, set)
            })
            .unwrap();
            let settings = GroupSettings::new(GroupKeySetId::new(*id));
            let group = Group::new(FabricIndex::MIN, GroupId::new(*id));
            manager.groups_mut().set(group, settings).unwrap();
        }
    }

    /// With a counter that is a block ahead. What was told within 32 counters of a restart may
    /// come once more: only older messages are looked at over all lives.
    fn restart(&mut self, n: u8) {
        self.restarts += 1;
        self.lab.act(Act::Restart(n, 0));
        self.lab.forgive(usize::from(n), self.old);
        self.join(n.into());
    }

    fn tell(&mut self, n: usize, group: u16) -> u16 {
        let number = self.lab.announce(n);
        self.lab.note(n, ("tells", group));
        let to = Group::new(FabricIndex::MIN, GroupId::new(group));
        let mut buf = [0; 100];
        let sent = self.lab.call(n, |m, cx| {
            let kind = MessageType::new(IM, 8);
            let sent = m.groups_mut().send(cx, to, kind, &number.to_le_bytes(), &mut buf);
            sent.map(|transmit| (transmit.to, transmit.datagram.to_vec()))
        });
        let (to, bytes) = sent.expect("a counter and room");
        let datagram = self.lab.record(n, to, bytes);
        if n == SENDER {
            self.lab.wire.push(datagram);
        } else {
            // The guest sees to it that its message arrives.
            let from = self.lab.nodes[n].address;
            self.lab.hand(RECEIVER, from, &datagram.bytes);
        }
        number
    }
}
