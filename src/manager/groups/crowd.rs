//! Who uses how much of a table.

use crate::manager::storage::Sender;

/// How many entries of a table are of a sender's fabric, of its key, and its own. The order is that
/// in which they make room: the fabric with the most, then its key with the most, then the sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Crowd {
    pub(super) fabric: usize,
    pub(super) key: usize,
    pub(super) sender: usize,
}

impl Crowd {
    pub(super) fn of(sender: Sender, all: impl Iterator<Item = Sender>) -> Self {
        let of_fabric = all.filter(|other| other.fabric == sender.fabric);
        of_fabric.fold(Self::default(), |crowd, other| {
            let key = usize::from(other.key == sender.key);
            Self {
                fabric: crowd.fabric.saturating_add(1),
                key: crowd.key.saturating_add(key),
                sender: crowd.sender.saturating_add(usize::from(other == sender)),
            }
        })
    }
}
