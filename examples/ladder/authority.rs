//! The certificate authority of a fabric.

use matter_session::cert::{CertificateBuf, CertificateRequest, Issuer, SerialNumber, Validity};
use matter_session::crypto::{RustCrypto, Secret, SigningKey};
use matter_session::fabric::{FabricCredentials, Ipk};
use matter_session::ids::{CaseAuthTags, FabricId, FabricIndex, NodeId};
use matter_session::manager::{Heap, SessionManager};
use matter_session::rand_core::CryptoRng;
use matter_session::time::MatterTime;

use super::Outcome;

/// A root authority and the intermediate one below it, which issues the certificates of nodes.
pub(crate) struct Authority {
    fabric: FabricId,
    validity: Validity,
    rcac: CertificateBuf,
    icac: CertificateBuf,
    icac_key: SigningKey,
    ipk: Ipk,
}

impl Authority {
    /// Founds a fabric. The root key is not needed any more once it has signed the ICAC.
    pub(crate) fn found(fabric: FabricId, rng: &mut dyn CryptoRng) -> Outcome<Self> {
        let validity = Validity::new(MatterTime::from_seconds(1), None).ok_or("empty validity")?;
        let mut root_key = SigningKey::generate(rng)?;
        let icac_key = SigningKey::generate(rng)?;
        let serial = SerialNumber::random(rng);
        let rcac = CertificateRequest::rcac(1, root_key.public_key(), serial, validity)
            .self_sign(&RustCrypto, &mut root_key)?;
        let serial = SerialNumber::random(rng);
        let icac = CertificateRequest::icac(2, icac_key.public_key(), serial, validity)
            .sign(&RustCrypto, &mut Issuer::new(&rcac.certificate()?, &mut root_key)?)?;
        let mut epoch_key = Secret::zero();
        rng.fill_bytes(epoch_key.as_mut_bytes());
        Ok(Self { fabric, validity, rcac, icac, icac_key, ipk: Ipk::EpochKey(epoch_key) })
    }

    /// Makes a node a member: an operational key, a certificate for it, and the fabric in the
    /// node's manager. Returns the manager's index of the fabric, and the key.
    pub(crate) fn admit<T: Default>(
        &mut self,
        manager: &mut SessionManager<RustCrypto, Heap, T>,
        node: NodeId,
        cats: CaseAuthTags,
        rng: &mut dyn CryptoRng,
    ) -> Outcome<(FabricIndex, SigningKey)> {
        let key = SigningKey::generate(rng)?;
        let serial = SerialNumber::random(rng);
        let noc =
            CertificateRequest::noc(node, self.fabric, key.public_key(), serial, self.validity)
                .cats(cats)
                .sign(
                    &RustCrypto,
                    &mut Issuer::new(&self.icac.certificate()?, &mut self.icac_key)?,
                )?;
        let fabric = manager.fabrics_mut().add(&FabricCredentials {
            root: self.rcac.as_slice(),
            icac: Some(self.icac.as_slice()),
            noc: noc.as_slice(),
            ipks: core::slice::from_ref(&self.ipk),
        })?;
        Ok((fabric, key))
    }
}
