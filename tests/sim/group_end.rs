//! That groups work in the end.

use matter_session::ids::{FabricIndex, GroupKeySetId};
use matter_session::manager::GroupSettings;

use super::group_book::{EPOCHS, SETS};
use super::node::Scene;
use super::suite::{FABRICS, Suite};
use super::world::{AnyNode, World, at, each};
use matter_session::time::Instant;

impl<X: Suite> World<X> {
    /// Who sends to a group is heard by all that are in it and have room for its counter.
    pub fn prove_groups(&mut self) {
        for fabric in 0..FABRICS {
            let members = self.members(fabric);
            if members.len() < 2 {
                continue;
            }
            let sender = members[self.dice.below(members.len() as u64) as usize];
            for set in 1..=SETS {
                let number = self.tell_members(fabric, set, sender, &members);
                // Room that is made for one changes what the others are excused by.
                let full: Vec<_> =
                    members.iter().copied().filter(|n| self.is_full(*n, fabric)).collect();
                for hearer in members.iter().copied().filter(|n| *n != sender) {
                    if self.book.groups.was_heard(number, hearer) {
                        continue;
                    }
                    // Who is asked needs room for who asks.
                    let is_excused = full.contains(&hearer) || (set != 1 && full.contains(&sender));
                    assert!(is_excused, "node {hearer} did not hear {number} of {sender}");
                    self.book.figures.full += 1;
                    for n in [sender, hearer] {
                        each!(&mut self.nodes[n], node => node.forget_senders());
                    }
                    let number = self.tell_members(fabric, set, sender, &[sender, hearer]);
                    let heard = self.book.groups.was_heard(number, hearer);
                    assert!(heard, "node {hearer} has room and did not hear {number} of {sender}");
                }
            }
        }
    }

    /// A message to a group of which these are the only members.
    fn tell_members(&mut self, fabric: usize, set: u16, sender: usize, members: &[usize]) -> usize {
        for node in &mut self.nodes {
            each!(node, node => node.leave_groups());
        }
        let privacy = self.dice.below(2) == 0;
        let settings = GroupSettings::new(GroupKeySetId::new(set));
        let settings = if privacy { settings.with_privacy() } else { settings };
        let index = |world: &Self, n: usize| -> FabricIndex {
            each!(&world.nodes[n], node => node.index_of(fabric)).expect("a member")
        };
        for n in members {
            let index = index(self, *n);
            each!(&mut self.nodes[*n], node => {
                assert_eq!(node.install(index, set, EPOCHS - 2..EPOCHS), Ok(()));
                assert_eq!(node.enter(index, set, settings), Ok(()));
            });
        }
        let to = (index(self, sender), set);
        let number = at!(self, sender, node, scene => node.tell_group(scene, to));
        self.run(10_000);
        number.expect("a quiet node sends to its group")
    }

    fn is_full(&self, n: usize, fabric: usize) -> bool {
        each!(&self.nodes[n], node => {
            node.index_of(fabric).is_some_and(|index| node.app.crowded.contains(&index))
        })
    }
}
