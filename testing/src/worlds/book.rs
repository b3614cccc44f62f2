//! What was said in a world, and what has become of it.

use std::collections::BTreeSet;

use matter_session::manager::Storage;

use super::lab::Lab;

/// What was said, and what has become of it.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) by: usize,
    /// The datagram that carries it.
    pub(super) datagram: Vec<u8>,
    pub(super) delivered: u32,
    /// It was given back to the receiver's application as not wanted.
    pub(super) reported: bool,
}

/// What was sent on one secure session, as its receiver got it.
#[derive(Debug, Default)]
pub(super) struct Reception {
    pub(super) largest: u32,
    pub(super) seen: BTreeSet<u32>,
    /// Messages that came for the first time when 32 newer ones had come. The protocol has them
    /// acknowledged unread.
    pub(super) late: BTreeSet<u32>,
}

impl Reception {
    pub(super) fn receive(&mut self, counter: u32) {
        if self.seen.insert(counter) && counter.saturating_add(32) < self.largest {
            self.late.insert(counter);
        }
        self.largest = self.largest.max(counter);
    }
}

impl<S: Storage> Lab<S> {
    /// Notes a message to a group that a node will say next. Returns its number.
    pub fn announce(&mut self, n: usize) -> u16 {
        self.said.push(Said { by: n, ..Said::default() });
        self.said.len() as u16 - 1
    }

    /// An application got a message.
    pub fn delivered(&mut self, n: usize, number: u16) {
        let Some(said) = self.said.get_mut(usize::from(number)) else {
            return self.fail("a message that nobody has sent");
        };
        said.delivered += 1;
        let (own, again) = (said.by == n, said.delivered > 1);
        if own {
            self.fail("a message comes back to its sender");
        }
        if again {
            self.fail("delivered twice");
        }
    }

    /// A node has restarted. What it got in former lives may come again, but for one message.
    pub fn forgive(&mut self, n: usize, but: u16) {
        for (number, said) in (0..).zip(&mut self.said) {
            if said.by != n && number != but {
                said.delivered = 0;
            }
        }
    }

    pub fn deliveries(&self, number: u16) -> u32 {
        self.said[usize::from(number)].delivered
    }

    /// A message is acknowledged that was neither delivered nor reported to its receiver.
    pub(super) fn acknowledged(&mut self, number: u16) {
        if self.traces {
            eprintln!("{:>8} message {number} is acknowledged", self.now);
        }
        let said = &self.said[usize::from(number)];
        let is_late = self.receptions.values().any(|reception| {
            let counter = said.datagram.get(4..8).and_then(|bytes| bytes.first_chunk());
            counter.is_some_and(|c| reception.late.contains(&u32::from_le_bytes(*c)))
        });
        if said.delivered == 0 && !said.reported && !is_late {
            self.fail("acknowledged and not delivered");
        }
    }
}
