//! The windows of senders, and the room for them.

use super::entries::Known;
use super::tables::{Groups, count_of};
use crate::crypto::Crypto;
use crate::ids::{FabricIndex, GroupKeySetId, MessageCounter};
use crate::manager::received::Dropped;
use crate::manager::storage::{Map, Sender, Storage};
use crate::session::{ReplayWindow, Verdict};

impl<C: Crypto, S: Storage> Groups<C, S> {
    /// Judges and remembers the counter of a message under a key set. Senders that are not known
    /// are trusted.
    pub(super) fn judge(
        &mut self,
        sender: Sender,
        set: GroupKeySetId,
        counter: MessageCounter,
    ) -> Result<(), Dropped> {
        if let Some(Known { window, .. }) = self.senders.get_mut(&sender) {
            let verdict = window.check(counter);
            window.commit(counter);
            return match verdict {
                Verdict::New => Ok(()),
                Verdict::Duplicate => Err(Dropped::GroupReplay),
            };
        }
        self.check_room(sender, set)?;
        let mut window = ReplayWindow::group_trust_first();
        window.commit(counter);
        let known = Known { window, told: false };
        self.senders.insert(sender, known).map_err(|_| Dropped::GroupSender)
    }

    /// Fails if there is no room for another sender of this kind under its key set. Senders under
    /// keys that are installed are never evicted: their messages could be replayed.
    pub(super) fn check_room(&mut self, sender: Sender, set: GroupKeySetId) -> Result<(), Dropped> {
        let most = if sender.control { self.share.control } else { self.share.data };
        if self.senders_of(sender, set) < most && self.make_room(sender.fabric) {
            return Ok(());
        }
        self.full.raise(sender.fabric);
        Err(Dropped::GroupSender)
    }

    /// Returns how many senders of this kind a key set has.
    fn senders_of(&self, Sender { fabric, control, .. }: Sender, set: GroupKeySetId) -> usize {
        let Some(set) = self.key_sets.get(&(fabric, set)) else { return 0 };
        let keys = set.keys.key_ids();
        let first = Sender { control, ..Sender::first_of(fabric) };
        let is_of_kind = |of: &Sender| of.fabric == fabric && of.control == control;
        self.senders.count(first, is_of_kind, |of| keys.contains(&Some(of.key)))
    }

    /// Makes room for another sender of a fabric: if the fabric has used up its part, a sender is
    /// evicted whose key is not installed any more. False if there is none.
    ///
    /// Such senders are kept until then, since an administrator may install the key again.
    fn make_room(&mut self, fabric: FabricIndex) -> bool {
        let first = Sender::first_of(fabric);
        let is_full = self.senders.len() >= self.senders.capacity();
        if !is_full && count_of(&self.senders, first, fabric) < self.share.senders() {
            return true;
        }
        let gone = self
            .senders
            .from(first)
            .map(|(sender, _)| *sender)
            .take_while(|sender| sender.fabric == fabric)
            .find(|sender| self.find_key(fabric, sender.key).is_none());
        gone.is_some_and(|sender| self.senders.discard(&sender))
    }
}
