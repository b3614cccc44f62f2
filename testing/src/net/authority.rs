//! Who makes the certificates of a fabric.

use matter_session::cert::{CertificateBuf, CertificateRequest, Issuer, SerialNumber, Validity};
use matter_session::crypto::{Crypto, Secret, SigningKey};
use matter_session::fabric::{FabricCredentials, Ipk};
use matter_session::ids::{CaseAuthTag, CaseAuthTags, FabricId, FabricIndex, NodeId};
use matter_session::manager::Storage;
use matter_session::time::MatterTime;

use super::{Dice, Network};
use crate::BACKEND;

/// When certificates begin.
const BEGIN: MatterTime = MatterTime::from_seconds(1);

pub struct Authority {
    rng: Dice,
    fabric: FabricId,
    root: SigningKey,
    rcac: CertificateBuf,
    intermediate: Option<(SigningKey, CertificateBuf)>,
    ipk: Ipk,
    /// When the certificates that nodes get from now on begin.
    pub since: MatterTime,
    /// When they end.
    pub until: Option<MatterTime>,
}

/// Everything that a node of a fabric holds.
pub struct Membership {
    rcac: CertificateBuf,
    icac: Option<CertificateBuf>,
    noc: CertificateBuf,
    ipks: [Ipk; 1],
    pub key: SigningKey,
}

impl Membership {
    pub fn credentials(&self) -> FabricCredentials<'_> {
        FabricCredentials {
            root: self.rcac.as_slice(),
            icac: self.icac.as_ref().map(CertificateBuf::as_slice),
            noc: self.noc.as_slice(),
            ipks: &self.ipks,
        }
    }
}

impl Authority {
    pub fn new(fabric: u64, with_icac: bool) -> Self {
        Self::seeded(1000 + fabric, fabric, with_icac)
    }

    /// With other keys for another seed.
    pub fn seeded(seed: u64, fabric: u64, with_icac: bool) -> Self {
        let mut rng = Dice::new(seed);
        let mut root = SigningKey::generate(&mut rng).unwrap();
        let (public, serial) = (root.public_key(), SerialNumber::random(&mut rng));
        let rcac = CertificateRequest::rcac(fabric, public, serial, validity())
            .self_sign(&BACKEND, &mut root)
            .unwrap();
        let intermediate = with_icac.then(|| {
            let key = SigningKey::generate(&mut rng).unwrap();
            let serial = SerialNumber::random(&mut rng);
            let rcac = rcac.certificate().unwrap();
            let mut issuer = Issuer::new(&rcac, &mut root).unwrap();
            let icac = CertificateRequest::icac(7, key.public_key(), serial, validity())
                .sign(&BACKEND, &mut issuer)
                .unwrap();
            (key, icac)
        });
        let ipk = Ipk::EpochKey(Secret::new([fabric as u8; 16]));
        let fabric = FabricId::new(fabric).unwrap();
        Self { rng, fabric, root, rcac, intermediate, ipk, since: BEGIN, until: None }
    }

    /// Makes credentials for a node. It has the tag 0xABCD0001.
    pub fn admit(&mut self, node: u64) -> Membership {
        let key = SigningKey::generate(&mut self.rng).unwrap();
        let serial = SerialNumber::random(&mut self.rng);
        let mut cats = CaseAuthTags::NONE;
        assert!(cats.insert(CaseAuthTag::new(0xABCD_0001).unwrap()));
        let (node, public) = (NodeId::new(node), key.public_key());
        let validity = Validity::new(self.since, self.until).unwrap();
        let request =
            CertificateRequest::noc(node, self.fabric, public, serial, validity).cats(cats);
        let (authority, signer) = match &mut self.intermediate {
            Some((key, icac)) => (icac.certificate().unwrap(), key),
            None => (self.rcac.certificate().unwrap(), &mut self.root),
        };
        let mut issuer = Issuer::new(&authority, signer).unwrap();
        let noc = request.sign(&BACKEND, &mut issuer).unwrap();
        Membership {
            rcac: self.rcac.clone(),
            icac: self.intermediate.as_ref().map(|(_, icac)| icac.clone()),
            noc,
            ipks: [self.ipk.clone()],
            key,
        }
    }

    /// Makes a node of the network a member.
    pub fn join<S: Storage, C: Crypto>(
        &mut self,
        net: &mut Network<S, C>,
        n: usize,
        node: u64,
    ) -> FabricIndex {
        let member = self.admit(node);
        let index = net.nodes[n].manager.fabrics_mut().add(&member.credentials()).unwrap();
        net.nodes[n].keys.insert(index, member.key);
        index
    }
}

/// Nodes of one fabric, with or without an intermediate certificate.
pub fn members<const N: usize>(nodes: [NodeId; N], with_icac: bool) -> [Membership; N] {
    let mut authority = Authority::new(1, with_icac);
    nodes.map(|node| authority.admit(node.get()))
}

fn validity() -> Validity {
    Validity::new(BEGIN, None).unwrap()
}
