//! Nodes of a fabric, admitted by an authority that nobody needs again.

use matter_session::cert::{CertificateBuf, CertificateRequest, Issuer, SerialNumber, Validity};
use matter_session::crypto::{KEY_LEN, RustCrypto, Secret, SigningKey};
use matter_session::fabric::{FabricCredentials, Ipk};
use matter_session::ids::{FabricId, NodeId};
use matter_session::rand_core::{CryptoRng, UnwrapErr};
use matter_session::time::MatterTime;

/// What a node has of its fabric.
pub(crate) struct Member {
    root: Vec<u8>,
    icac: Option<Vec<u8>>,
    noc: Vec<u8>,
    ipks: [Ipk; 1],
    #[allow(dead_code, reason = "groups need none")]
    pub(crate) key: SigningKey,
}

impl Member {
    pub(crate) fn credentials(&self) -> FabricCredentials<'_> {
        FabricCredentials {
            root: &self.root,
            icac: self.icac.as_deref(),
            noc: &self.noc,
            ipks: &self.ipks,
        }
    }
}

/// Nodes of one fabric, with or without an intermediate certificate.
pub(crate) fn members(nodes: [NodeId; 2], with_icac: bool) -> [Member; 2] {
    let rng: &mut dyn CryptoRng = &mut UnwrapErr(getrandom::SysRng);
    let validity = Validity::new(MatterTime::from_seconds(1), None).unwrap();
    let mut root_key = SigningKey::generate(rng).unwrap();
    let serial = SerialNumber::random(rng);
    let rcac = CertificateRequest::rcac(1, root_key.public_key(), serial, validity)
        .self_sign(&RustCrypto, &mut root_key)
        .unwrap();
    let mut icac_key = SigningKey::generate(rng).unwrap();
    let serial = SerialNumber::random(rng);
    let root = rcac.certificate().unwrap();
    let icac = CertificateRequest::icac(2, icac_key.public_key(), serial, validity)
        .sign(&RustCrypto, &mut Issuer::new(&root, &mut root_key).unwrap())
        .unwrap();
    let icac_certificate = icac.certificate().unwrap();
    let mut issuer = if with_icac {
        Issuer::new(&icac_certificate, &mut icac_key).unwrap()
    } else {
        Issuer::new(&root, &mut root_key).unwrap()
    };
    let fabric_id = FabricId::new(1).unwrap();
    nodes.map(|id| {
        let key = SigningKey::generate(rng).unwrap();
        let serial = SerialNumber::random(rng);
        let noc = CertificateRequest::noc(id, fabric_id, key.public_key(), serial, validity)
            .sign(&RustCrypto, &mut issuer)
            .unwrap();
        Member {
            root: rcac.as_slice().to_vec(),
            icac: with_icac.then(|| CertificateBuf::as_slice(&icac).to_vec()),
            noc: noc.as_slice().to_vec(),
            ipks: [Ipk::EpochKey(Secret::new([3; KEY_LEN]))],
            key,
        }
    })
}
