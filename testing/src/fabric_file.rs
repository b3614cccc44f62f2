//! A fabric of two nodes in a JSON file, as `interop/matterjs/make-fabric.mjs` writes it.
//!
//! Values are hexadecimal; private keys are 32-octet scalars. What the other node and the
//! certificate authority alone should know may be null. `groups` are those that this node is in:
//! numbers, keys, and for each key the time from which it is sent with, in microseconds since 2000.
//! For tests only: real keys do not lie around in files.

use std::fs;

use matter_session::crypto::{Secret, SigningKey};
use matter_session::fabric::{FabricCredentials, GroupKey, Ipk};
use matter_session::group::{EpochStart, GroupEpoch, SecurityPolicy};
use matter_session::ids::{GroupId, GroupKeySetId, NodeId};
use serde::Deserialize;

use super::Result;

/// One node's membership in a fabric.
pub(crate) struct FabricFile {
    pub(crate) key: SigningKey,
    /// The node at the other end.
    pub(crate) peer: NodeId,
    pub(crate) groups: Vec<Membership>,
    root: Vec<u8>,
    icac: Option<Vec<u8>>,
    noc: Vec<u8>,
    ipks: [Ipk; 1],
}

/// A group that a node is in, with its key set. Groups may have one key set in common.
pub(crate) struct Membership {
    pub(crate) id: GroupId,
    pub(crate) key_set: GroupKeySetId,
    pub(crate) policy: SecurityPolicy,
    pub(crate) epochs: Vec<GroupEpoch>,
}

/// Which of the two nodes this is.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Initiator,
    Responder,
}

impl FabricFile {
    pub(crate) fn read(path: &str, role: Role) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        let File { root_cert_tlv, icac_tlv, ipk_epoch_key, nodes, groups } =
            serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
        let (own, peer) = match role {
            Role::Initiator => (nodes.initiator, nodes.responder),
            Role::Responder => (nodes.responder, nodes.initiator),
        };
        let key = own.op_private_key.ok_or("the file has no key of this node")?;
        let noc = own.noc_tlv.ok_or("the file has no certificate of this node")?;
        Ok(Self {
            key: SigningKey::from_bytes(&Secret::new(key.array()?))?,
            peer: NodeId::new(u64::from_be_bytes(peer.node_id.array()?)),
            groups: groups.into_iter().map(FileGroup::membership).collect::<Result<_>>()?,
            root: root_cert_tlv.0,
            icac: icac_tlv.map(|icac| icac.0),
            noc: noc.0,
            ipks: [Ipk::EpochKey(Secret::new(ipk_epoch_key.array()?))],
        })
    }

    pub(crate) fn credentials(&self) -> FabricCredentials<'_> {
        FabricCredentials {
            root: &self.root,
            icac: self.icac.as_deref(),
            noc: &self.noc,
            ipks: &self.ipks,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    root_cert_tlv: Hex,
    icac_tlv: Option<Hex>,
    ipk_epoch_key: Hex,
    nodes: Nodes,
    #[serde(default)]
    groups: Vec<FileGroup>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileGroup {
    group_id: u16,
    key_set_id: u16,
    policy: u8,
    epoch_keys: Vec<Hex>,
    start_times: Vec<u64>,
}

impl FileGroup {
    fn membership(self) -> Result<Membership> {
        let Self { group_id, key_set_id, policy, epoch_keys, start_times } = self;
        if epoch_keys.len() != start_times.len() {
            return Err(format!("group {group_id}: a key without a start, or the reverse").into());
        }
        let epochs = epoch_keys.into_iter().zip(start_times).map(|(key, start)| {
            let key = GroupKey::EpochKey(Secret::new(key.array()?));
            Ok(GroupEpoch { key, start: EpochStart::from_micros(start) })
        });
        Ok(Membership {
            id: GroupId::new(group_id),
            key_set: GroupKeySetId::new(key_set_id),
            policy: match policy {
                0 => SecurityPolicy::TrustFirst,
                1 => SecurityPolicy::CacheAndSync,
                _ => return Err(format!("group {group_id}: no policy {policy}").into()),
            },
            epochs: epochs.collect::<Result<_>>()?,
        })
    }
}

#[derive(Deserialize)]
struct Nodes {
    initiator: FileNode,
    responder: FileNode,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileNode {
    node_id: Hex,
    op_private_key: Option<Hex>,
    noc_tlv: Option<Hex>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Hex(Vec<u8>);

impl Hex {
    fn array<const N: usize>(self) -> Result<[u8; N]> {
        self.0.try_into().map_err(|_| format!("not {N} octets").into())
    }
}

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let octet = |at| {
            let digits = text.get(at..at + 2).ok_or("an odd number of hex digits")?;
            u8::from_str_radix(digits, 16).map_err(|_| format!("{digits:?} is not hexadecimal"))
        };
        (0..text.len()).step_by(2).map(octet).collect::<Result<_, _>>().map(Self)
    }
}
