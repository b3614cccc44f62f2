//! The authority that founds a fabric and admits its nodes.

use rand_core::CryptoRng;

use super::{FabricCredentials, Ipk};
use crate::cert::{
    CertKind, CertificateBuf, CertificateRequest, IssueError, Issuer, SerialNumber, Validity,
};
use crate::crypto::{Crypto, PublicKey, Secret, SignError, SigningKey};
use crate::ids::{FabricId, NodeId};

/// The root authority of a fabric, as a controller has it that commissions devices into a fabric
/// of its own: the root certificate, its key, and the identity protection key.
///
/// The root issues the certificates of nodes itself. For an intermediate authority, for tags, and
/// for a root key in a secure element use [`CertificateRequest`].
///
#[cfg_attr(all(feature = "std", feature = "getrandom"), doc = "```")]
#[cfg_attr(not(all(feature = "std", feature = "getrandom")), doc = "```ignore")]
/// use matter_session::cert::Validity;
/// use matter_session::{
///     Authority, Config, HeapSessionManager, MatterTime, NodeId, RustCrypto, SigningKey, SystemRng,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut rng = SystemRng;
/// let today = MatterTime::now().ok_or("the clock is wrong")?;
/// let mut authority = Authority::new(&RustCrypto, Validity::since(today), &mut rng)?;
///
/// // The controller is the first node of its own fabric.
/// let (key, noc) = authority.admit(&RustCrypto, NodeId::new(1), &mut rng)?;
/// let mut controller = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
/// controller.fabrics_mut().add(&authority.credentials(&noc))?;
///
/// // A device makes its own key, and sends the public half.
/// # let device_key = SigningKey::generate(&mut rng)?.public_key();
/// let noc = authority.issue(&RustCrypto, NodeId::new(2), device_key, &mut rng)?;
///
/// // The application stores the authority, encrypted, and restores it after a restart.
/// let (root_key, stored) = (authority.key().to_bytes(), authority.credentials(&noc));
/// let (root, ipk) = (stored.root.to_vec(), stored.ipks[0].clone());
/// authority = Authority::restore(&root, SigningKey::from_bytes(&root_key)?, ipk)?;
/// # authority.admit(&RustCrypto, NodeId::new(3), &mut rng)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Authority {
    root: CertificateBuf,
    key: SigningKey,
    ipk: Ipk,
}

impl Authority {
    /// Founds a fabric: draws its id, the root key and the identity protection key, and makes the
    /// root certificate. All certificates that it issues have the same `validity`.
    ///
    /// # Errors
    /// [`IssueError::Sign`] if the backend fails.
    pub fn new<C: Crypto>(
        crypto: &C,
        validity: Validity,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, IssueError> {
        let fabric = FabricId::new(rng.next_u64().max(1)).ok_or(IssueError::Request)?;
        let (mut key, serial) = (generate(rng)?, SerialNumber::random(rng));
        let root = CertificateRequest::rcac(1, key.public_key(), serial, validity)
            .fabric_id(fabric)
            .self_sign(crypto, &mut key)?;
        let mut epoch_key = Secret::zero();
        rng.fill_bytes(epoch_key.as_mut_bytes());
        Ok(Self { root, key, ipk: Ipk::EpochKey(epoch_key) })
    }

    /// Restores an authority from what was stored: `root` and `ipk` were in its
    /// [`credentials`](Self::credentials), and `key` is its [`key`](Self::key).
    ///
    /// # Errors
    /// [`IssueError::Certificate`] if `root` is no certificate, [`IssueError::Issuer`] if it is not
    /// that of a root authority of one fabric, or not of this key.
    pub fn restore(root: &[u8], key: SigningKey, ipk: Ipk) -> Result<Self, IssueError> {
        let root = CertificateBuf::try_from(root)?;
        let certificate = root.certificate()?;
        let is_root = certificate.kind() == CertKind::Rcac && certificate.fabric_id().is_some();
        if !is_root || certificate.public_key() != key.public_key() {
            return Err(IssueError::Issuer);
        }
        Ok(Self { root, key, ipk })
    }

    /// Returns the root key, to store it. Every program that has it can add nodes to this fabric.
    #[must_use]
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Issues the operational certificate (NOC) of a node, for the public half of the key that the
    /// node has made. `node` must be an operational node id, and unique in the fabric.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn issue<C: Crypto>(
        &mut self,
        crypto: &C,
        node: NodeId,
        key: PublicKey,
        rng: &mut dyn CryptoRng,
    ) -> Result<CertificateBuf, IssueError> {
        let root = self.root.certificate()?;
        let fabric = root.fabric_id().ok_or(IssueError::Issuer)?;
        let serial = SerialNumber::random(rng);
        CertificateRequest::noc(node, fabric, key, serial, Validity::of(&root))
            .sign(crypto, &mut Issuer::new(&root, &mut self.key)?)
    }

    /// Makes the key of a node, and issues the certificate for it: for the node of this program, and
    /// for tests. `node` is as in [`issue`](Self::issue).
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn admit<C: Crypto>(
        &mut self,
        crypto: &C,
        node: NodeId,
        rng: &mut dyn CryptoRng,
    ) -> Result<(SigningKey, CertificateBuf), IssueError> {
        let key = generate(rng)?;
        let noc = self.issue(crypto, node, key.public_key(), rng)?;
        Ok((key, noc))
    }

    /// Returns what the node with this certificate gets, with its certificate: for
    /// [`Fabrics::add`](crate::manager::Fabrics::add), or for the AddNOC command.
    #[must_use]
    pub fn credentials<'a>(&'a self, noc: &'a CertificateBuf) -> FabricCredentials<'a> {
        FabricCredentials {
            root: self.root.as_slice(),
            icac: None,
            noc: noc.as_slice(),
            ipks: core::slice::from_ref(&self.ipk),
        }
    }
}

fn generate(rng: &mut dyn CryptoRng) -> Result<SigningKey, SignError> {
    SigningKey::generate(rng).map_err(|_| SignError)
}
