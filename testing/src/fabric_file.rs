//! A fabric of two nodes in a JSON file, as `interop/matterjs/make-fabric.mjs` writes it.
//!
//! Values are hexadecimal; private keys are 32-octet scalars. What the other node and the
//! certificate authority alone should know may be null. `groups` are those that this node is in:
//! numbers, keys, and for each key the time from which it is sent with, in microseconds since 2000.
//! With `"shared": true` a group has the multicast address that all groups share.
//! For tests only: real keys do not lie around in files.

use std::fs;

use matter_session::crypto::{Secret, SigningKey};
use matter_session::fabric::{FabricCredentials, GroupKey, Ipk};
use matter_session::group::{EpochStart, GroupEpoch, MulticastAddress, SecurityPolicy};
use matter_session::ids::{GroupId, GroupKeySetId, NodeId};
use serde_json::Value;

use crate::program::Result;

/// One node's membership in a fabric.
pub struct FabricFile {
    pub key: SigningKey,
    /// The node at the other end.
    pub peer: NodeId,
    pub groups: Vec<Membership>,
    root: Vec<u8>,
    icac: Option<Vec<u8>>,
    noc: Vec<u8>,
    ipks: [Ipk; 1],
}

/// A group that a node is in, with its key set. Groups may have one key set in common.
pub struct Membership {
    pub id: GroupId,
    pub key_set: GroupKeySetId,
    pub policy: SecurityPolicy,
    pub epochs: Vec<GroupEpoch>,
    pub address: MulticastAddress,
}

/// Which of the two nodes this is.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    Initiator,
    Responder,
}

impl FabricFile {
    pub fn read(path: &str, role: Role) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        let file: Value =
            serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
        Self::parse(&file, role).map_err(|error| format!("{path}: {error}").into())
    }

    fn parse(file: &Value, role: Role) -> Result<Self> {
        let (own, peer) = match role {
            Role::Initiator => ("initiator", "responder"),
            Role::Responder => ("responder", "initiator"),
        };
        let (own, peer) = (&file["nodes"][own], &file["nodes"][peer]);
        let icac = &file["icacTlv"];
        let groups = file["groups"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(Self {
            key: SigningKey::from_bytes(&Secret::new(array(own, "opPrivateKey")?))?,
            peer: NodeId::new(u64::from_be_bytes(array(peer, "nodeId")?)),
            groups: groups.iter().map(membership).collect::<Result<_>>()?,
            root: octets(file, "rootCertTlv")?,
            icac: if icac.is_null() { None } else { Some(octets(file, "icacTlv")?) },
            noc: octets(own, "nocTlv")?,
            ipks: [Ipk::EpochKey(Secret::new(array(file, "ipkEpochKey")?))],
        })
    }

    pub fn credentials(&self) -> FabricCredentials<'_> {
        FabricCredentials {
            root: &self.root,
            icac: self.icac.as_deref(),
            noc: &self.noc,
            ipks: &self.ipks,
        }
    }
}

fn membership(group: &Value) -> Result<Membership> {
    let of = |name: &str| group[name].as_array().ok_or(format!("a group without {name}"));
    let (keys, starts) = (of("epochKeys")?, of("startTimes")?);
    if keys.len() != starts.len() {
        return Err("a group has a key without a start, or the reverse".into());
    }
    let epochs = keys.iter().zip(starts).map(|(key, start)| {
        let key = hex(key)?.try_into().map_err(|_| "an epoch key is not of 16 bytes")?;
        let start = start.as_u64().ok_or("a start time is no number")?;
        let start = EpochStart::from_micros(start);
        Ok(GroupEpoch { key: GroupKey::EpochKey(Secret::new(key)), start })
    });
    Ok(Membership {
        id: GroupId::new(number(group, "groupId")?),
        key_set: GroupKeySetId::new(number(group, "keySetId")?),
        policy: match number(group, "policy")? {
            0 => SecurityPolicy::TrustFirst,
            1 => SecurityPolicy::CacheAndSync,
            policy => return Err(format!("a group has the unknown policy {policy}").into()),
        },
        epochs: epochs.collect::<Result<_>>()?,
        address: match group["shared"].as_bool() {
            Some(true) => MulticastAddress::Shared,
            Some(false) | None => MulticastAddress::PerGroup,
        },
    })
}

fn number(of: &Value, name: &str) -> Result<u16> {
    let number = of[name].as_u64().and_then(|number| number.try_into().ok());
    number.ok_or_else(|| format!("{name} is no number of 16 bits").into())
}

fn octets(of: &Value, name: &str) -> Result<Vec<u8>> {
    hex(&of[name]).map_err(|error| format!("{name} {error}").into())
}

fn array<const N: usize>(of: &Value, name: &str) -> Result<[u8; N]> {
    let octets = octets(of, name)?;
    octets.try_into().map_err(|_| format!("{name} is not of {N} bytes").into())
}

fn hex(value: &Value) -> Result<Vec<u8>> {
    let text = value.as_str().ok_or("is missing")?;
    let octet = |at| {
        let digits = text.get(at..at + 2).ok_or("has an odd number of digits")?;
        u8::from_str_radix(digits, 16)
            .map_err(|_| format!("has {digits:?}, not hexadecimal").into())
    };
    (0..text.len()).step_by(2).map(octet).collect()
}
