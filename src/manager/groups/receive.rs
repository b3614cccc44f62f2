//! Messages from groups.

use super::control::Control;
use super::entries::{Candidate, Known};
use super::tables::Groups;
use crate::context::Context;
use crate::crypto::Crypto;
use crate::group::{self, Challenge, GroupOpened, SecurityPolicy, SyncResponse};
use crate::ids::{Group, GroupId, GroupSessionId, MessageType, NodeId, ProtocolId};
use crate::manager::config::Config;
use crate::manager::delivery::Delivery;
use crate::manager::handle::PeerAddress;
use crate::manager::node::Node;
use crate::manager::received::{Dropped, GroupMessage, Received};
use crate::manager::storage::{Map, Storage};
use crate::manager::trace::{self, Way};
use crate::session::{DecodeError, Verdict};
use crate::wire::MessageKind;
use crate::wire::secure_channel::Opcode;

impl<C: Crypto, S: Storage> Groups<C, S> {
    /// Handles a datagram of a group session.
    #[inline(never)]
    pub(in crate::manager) fn receive<'b, T>(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        session: GroupSessionId,
        datagram: &'b mut [u8],
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<Received<'b>, Dropped> {
        if from.is_reliable() {
            return Err(Dropped::OtherTransport);
        }
        let accept = |candidate: &Candidate, kind| match (*candidate, kind) {
            (Candidate { key, own, .. }, MessageKind::GroupData { source, group, .. }) => {
                let settings = self.groups.get(&(key.fabric, group));
                settings.is_some_and(|settings| settings.key_set == key.set)
                    && is_another(source, own)
            }
            (Candidate { own, .. }, MessageKind::GroupControl { source, node, .. }) => {
                node == own && is_another(source, own)
            }
            _ => false,
        };
        let mut has_key = false;
        let candidates = self.candidates(session).inspect(|_| has_key = true);
        let opened = group::decode(datagram, candidates, accept);
        let opened = opened.map_err(|error| match error {
            DecodeError::WrongSession if has_key => Dropped::Group,
            DecodeError::WrongSession => Dropped::GroupKey,
            error => Dropped::Decode(error),
        })?;
        trace::message(Way::In, session.get(), &opened.header, opened.counter);
        match opened.kind {
            MessageKind::GroupData { group, .. } => match self.judge_data(&opened, &node.config)? {
                Judged::New => {
                    self.discard_copies(&opened, &mut delivery.bytes);
                    Ok(Received::Group(deliver(group, opened)))
                }
                Judged::Unknown => {
                    self.hold(cx, from, group, &opened, delivery)?;
                    Ok(Received::Handled)
                }
            },
            _ => {
                self.receive_control(cx, from, opened, delivery, node)?;
                Ok(Received::Handled)
            }
        }
    }

    /// Handles a message of counter synchronisation.
    fn receive_control<T>(
        &mut self,
        cx: &mut Context<'_>,
        from: PeerAddress,
        opened: GroupOpened<'_, Candidate>,
        delivery: &mut Delivery<S, T>,
        node: &Node<S>,
    ) -> Result<(), Dropped> {
        let GroupOpened { key, privacy, source, header, counter, payload, .. } = opened;
        if header.protocol != ProtocolId::SECURE_CHANNEL {
            return Err(Dropped::Unsolicited);
        }
        match (Opcode(header.opcode), header.initiator) {
            (Opcode::MSG_COUNTER_SYNC_REQ, true) => {
                let challenge = Challenge::parse(payload).ok_or(Dropped::Unsolicited)?;
                // Control messages are always trusted on first sight.
                self.judge(key.sender(true, source), key.key.set, counter)?;
                let asker = Control { key: key.key, privacy, to: from, node: source };
                self.answer(cx, asker, header.exchange, challenge, delivery, node)
            }
            // The challenge proves that the response is new, so its counter is not remembered.
            (Opcode::MSG_COUNTER_SYNC_RSP, false) => {
                let response = SyncResponse::parse(payload).ok_or(Dropped::Unsolicited)?;
                self.synchronized(cx, key, source, &response, delivery)
            }
            _ => Err(Dropped::Unsolicited),
        }
    }

    fn judge_data(
        &mut self,
        opened: &GroupOpened<'_, Candidate>,
        config: &Config,
    ) -> Result<Judged, Dropped> {
        let GroupOpened { key, source, header, counter, .. } = opened;
        if !header.initiator || !config.serves(header.protocol) {
            return Err(Dropped::Unsolicited);
        }
        let (sender, set) = (key.sender(false, *source), key.key.set);
        if key.policy == SecurityPolicy::TrustFirst {
            self.judge(sender, set, *counter)?;
            return Ok(Judged::New);
        }
        match self.senders.get(&sender) {
            Some(Known { told: true, .. }) => {
                self.judge(sender, set, *counter)?;
                Ok(Judged::New)
            }
            // That a message under another policy was trusted proves nothing here.
            Some(Known { window, .. }) => match window.check(*counter) {
                Verdict::New => Ok(Judged::Unknown),
                Verdict::Duplicate => Err(Dropped::GroupReplay),
            },
            None => {
                self.check_room(sender, set)?;
                Ok(Judged::Unknown)
            }
        }
    }
}

/// Returns true if `source` is the id of a node other than this one. Networks that loop multicast
/// return a node's own messages.
fn is_another(source: NodeId, own: NodeId) -> bool {
    source.is_operational() && source != own
}

fn deliver(group: GroupId, opened: GroupOpened<'_, Candidate>) -> GroupMessage<'_> {
    let GroupOpened { key: Candidate { key, .. }, source, header, counter, payload, .. } = opened;
    GroupMessage {
        group: Group::new(key.fabric, group),
        key_set: key.set,
        epoch: key.place,
        source,
        exchange: header.exchange,
        kind: MessageType::new(header.protocol, header.opcode),
        counter,
        payload,
    }
}

enum Judged {
    /// It can be delivered.
    New,
    /// The counter of its sender is unknown and must be asked for.
    Unknown,
}
