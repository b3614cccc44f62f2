//! Messages from groups.

use core::fmt;

use super::sync::Control;
use super::{Candidate, Groups, Known};
use crate::context::Context;
use crate::crypto::Crypto;
use crate::group::{self, Challenge, GroupOpened, SecurityPolicy, SyncResponse};
use crate::ids::{
    ExchangeId, Group, GroupId, GroupKeySetId, GroupSessionId, MessageCounter, MessageType, NodeId,
    ProtocolId,
};
use crate::manager::event::{Dropped, Received};
use crate::manager::storage::{Map, Optional, Sender, Storage};
use crate::manager::{PeerAddress, SessionManager};
use crate::session::{DecodeError, ReplayWindow, Verdict};
use crate::wire::MessageKind;
use crate::wire::secure_channel::Opcode;

/// A message to a group: decrypted, delivered once. Whoever has the group's key can have sent it, in
/// anybody's name. It is not to be answered.
#[non_exhaustive]
pub struct GroupMessage<'b> {
    /// The group.
    pub group: Group,
    /// The key set whose key has authenticated it.
    pub key_set: GroupKeySetId,
    /// The sender.
    pub source: NodeId,
    /// The exchange id, chosen by the sender.
    pub exchange: ExchangeId,
    /// What the message is.
    pub kind: MessageType,
    /// The message counter.
    pub counter: MessageCounter,
    /// The payload.
    pub payload: &'b mut [u8],
}

impl fmt::Debug for GroupMessage<'_> {
    /// Without the payload, which was encrypted for a reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupMessage")
            .field("group", &self.group)
            .field("key_set", &self.key_set)
            .field("source", &self.source)
            .field("exchange", &self.exchange)
            .field("kind", &self.kind)
            .field("counter", &self.counter)
            .field("payload", &self.payload.len())
            .finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for GroupMessage<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "GroupMessage({}, {}, {} opcode {}, {} octets)",
            self.group,
            self.source,
            self.kind.protocol,
            self.kind.opcode,
            self.payload.len()
        );
    }
}

impl<C: Crypto, S: Storage, T: Default> SessionManager<C, S, T> {
    #[inline(never)]
    pub(in crate::manager) fn receive_group<'b>(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        session: GroupSessionId,
        datagram: &'b mut [u8],
    ) -> Result<Received<'b>, Dropped> {
        let Some(groups) = self.groups.get_mut() else { return Err(Dropped::Group) };
        if from.is_reliable() {
            return Err(Dropped::OtherTransport);
        }
        let accept = |candidate: &Candidate, kind| match (*candidate, kind) {
            (Candidate { key, own, .. }, MessageKind::GroupData { source, group, .. }) => {
                let settings = groups.groups.get(&(key.fabric, group));
                settings.is_some_and(|settings| settings.key_set == key.set)
                    && is_another(source, own)
            }
            (Candidate { own, .. }, MessageKind::GroupControl { source, node, .. }) => {
                node == own && is_another(source, own)
            }
            _ => false,
        };
        let opened = group::decode(datagram, groups.candidates(session), accept);
        let opened = opened.map_err(|error| match error {
            DecodeError::WrongSession => Dropped::Group,
            error => Dropped::Decode(error),
        })?;
        match opened.kind {
            MessageKind::GroupData { group, .. } => match groups.judge_data(&opened)? {
                Judged::New => {
                    groups.discard_copies(&opened, &mut self.octets);
                    Ok(Received::Group(deliver(group, opened)))
                }
                Judged::Unknown => self.hold(cx, from, group, &opened),
            },
            _ => self.receive_control(cx, from, opened),
        }
    }

    /// Counter synchronisation.
    fn receive_control<'b>(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        opened: GroupOpened<'b, Candidate>,
    ) -> Result<Received<'b>, Dropped> {
        let GroupOpened { key: Candidate { key, .. }, privacy, source, header, .. } = opened;
        let GroupOpened { counter, payload, .. } = opened;
        if header.protocol != ProtocolId::SECURE_CHANNEL {
            return Err(Dropped::Unsolicited);
        }
        match (Opcode(header.opcode), header.initiator) {
            (Opcode::MSG_COUNTER_SYNC_REQ, true) => {
                let challenge = Challenge::parse(payload).ok_or(Dropped::Unsolicited)?;
                let groups = self.groups.get_mut().ok_or(Dropped::Group)?;
                // Control messages are always trusted on first sight.
                groups
                    .judge(Sender { fabric: key.fabric, control: true, node: source }, counter)?;
                let asker = Control { key, privacy, to: from, node: source };
                self.answer(cx, asker, header.exchange, challenge)
            }
            // The challenge tells that it is new: no counter has to be remembered.
            (Opcode::MSG_COUNTER_SYNC_RSP, false) => {
                let response = SyncResponse::parse(payload).ok_or(Dropped::Unsolicited)?;
                self.synchronized(key, source, &response)
            }
            _ => Err(Dropped::Unsolicited),
        }
    }
}

/// Whether a message can be of this source: a node, and not this one, whose own messages come back
/// where multicast loops.
fn is_another(source: NodeId, own: NodeId) -> bool {
    source.is_operational() && source != own
}

fn deliver(group: GroupId, opened: GroupOpened<'_, Candidate>) -> GroupMessage<'_> {
    let GroupOpened { key: Candidate { key, .. }, source, header, counter, payload, .. } = opened;
    GroupMessage {
        group: Group::new(key.fabric, group),
        key_set: key.set,
        source,
        exchange: header.exchange,
        kind: MessageType::new(header.protocol, header.opcode),
        counter,
        payload,
    }
}

enum Judged {
    /// To be delivered.
    New,
    /// Of a sender whose counter is to be asked for.
    Unknown,
}

impl<C: Crypto, S: Storage> Groups<C, S> {
    fn judge_data(&mut self, opened: &GroupOpened<'_, Candidate>) -> Result<Judged, Dropped> {
        let GroupOpened { key: Candidate { key, policy, .. }, source, header, counter, .. } =
            opened;
        // Nothing of the secure channel protocol is sent to groups.
        if !header.initiator || header.protocol == ProtocolId::SECURE_CHANNEL {
            return Err(Dropped::Unsolicited);
        }
        let sender = Sender { fabric: key.fabric, control: false, node: *source };
        if *policy == SecurityPolicy::TrustFirst {
            self.judge(sender, *counter)?;
            return Ok(Judged::New);
        }
        match self.senders.get(&sender) {
            Some(Known { told: true, .. }) => {
                self.judge(sender, *counter)?;
                Ok(Judged::New)
            }
            // That a message under another policy was trusted proves nothing here.
            Some(Known { window, .. }) => match window.check(*counter) {
                Verdict::New => Ok(Judged::Unknown),
                Verdict::Duplicate => Err(Dropped::GroupReplay),
            },
            None => {
                self.check_room(sender)?;
                Ok(Judged::Unknown)
            }
        }
    }

    /// A message is delivered: its copies, which came before its sender was known, do not wait for
    /// that any more.
    fn discard_copies(&mut self, opened: &GroupOpened<'_, Candidate>, octets: &mut S::Octets) {
        let from = (opened.key.key.fabric, opened.source);
        let of = |sender: Sender| (sender.fabric, sender.node) == from;
        while let Some(serial) =
            self.first_waiting(|message| of(message.sender) && message.counter == opened.counter)
        {
            self.discard_waiting(serial, octets);
        }
    }

    /// Judges and remembers a counter.
    fn judge(&mut self, sender: Sender, counter: MessageCounter) -> Result<(), Dropped> {
        if let Some(Known { window, .. }) = self.senders.get_mut(&sender) {
            let verdict = window.check(counter);
            window.commit(counter);
            return match verdict {
                Verdict::New => Ok(()),
                Verdict::Duplicate => Err(Dropped::GroupReplay),
            };
        }
        self.check_room(sender)?;
        let mut window = ReplayWindow::group_trust_first();
        window.commit(counter);
        let known = Known { window, told: false };
        self.senders.insert(sender, known).map_err(|_| Dropped::GroupSender)
    }

    /// Whether another sender of this kind can be remembered. None is ever forgotten for another:
    /// its messages could be replayed then.
    fn check_room(&mut self, sender: Sender) -> Result<(), Dropped> {
        let full = self.senders.len() >= self.senders.capacity();
        let most = if sender.control { self.share.control } else { self.share.data };
        if full || self.senders_of(sender) >= most {
            self.full.raise(sender.fabric);
            return Err(Dropped::GroupSender);
        }
        Ok(())
    }
}
