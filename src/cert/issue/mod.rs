//! Issuing certificates, as the authority of a fabric does.

mod terms;

use thiserror::Error;

pub use self::terms::{SerialNumber, Validity};
use super::certificate::{ALGORITHM, Certificate, tag};
use super::chain::{check_issued, check_new_root};
use super::extensions::{ExtendedKeyUsage, KEY_ID_LEN, KeyIdentifier, KeyUsage};
use super::fault::ChainFault;
use super::name::{Attribute, CertKind, TextAttribute};
use super::profile::Profile;
use super::{CertError, CertificateBuf};
use crate::bytes::Overflow;
use crate::crypto::{
    Crypto, OperationalKey, PublicKey, SIGNATURE_LEN, Sha256, SignError, Signature,
};
use crate::ids::{CaseAuthTags, FabricId, NodeId};
use crate::time::MatterTime;
use crate::tlv::{Tag, Writer};

/// The certificate was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum IssueError {
    /// The request asks for what its kind of certificate cannot have: tags for an authority, a path
    /// length for a node, a root from another authority.
    #[error("contradictory certificate request")]
    Request,
    /// Chain verification would refuse the certificate, or that of its issuer, under the strict
    /// [`Profile`]: the fabric is not that of the authority, or an authority has no room below it.
    #[error("chain verification would refuse it: {0}")]
    Chain(#[from] ChainFault),
    /// The validity period is not within that of the issuer.
    #[error("validity period outside that of the issuer")]
    Validity,
    /// A text is empty, or has characters that its attribute cannot have: those of
    /// [`DomainComponent`](TextAttribute::DomainComponent),
    /// [`CountryName`](TextAttribute::CountryName),
    /// [`SerialNumber`](TextAttribute::SerialNumber) and
    /// [`DnQualifier`](TextAttribute::DnQualifier) are ASCII.
    #[error("empty text, or one that its attribute cannot have")]
    Text,
    /// The issuer's certificate is not that of an authority, or has no subject key identifier.
    #[error("issuer is no certificate authority")]
    Issuer,
    /// The result is not a certificate, for example because it is too long.
    #[error("certificate cannot be made: {0}")]
    Certificate(#[from] CertError),
    /// The issuer's key did not sign, or is not the key of the issuer's certificate.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl From<Overflow> for IssueError {
    fn from(_: Overflow) -> Self {
        Self::Certificate(CertError::TooLong)
    }
}

/// The content of a new certificate.
///
/// ```
/// use matter_session::cert::{
///     CertificateRequest, ChainPolicy, Issuer, NoCache, SerialNumber, Validity, verify_chain,
/// };
/// use matter_session::crypto::{RustCrypto, SigningKey};
/// use matter_session::ids::{FabricId, NodeId};
/// use matter_session::time::{MatterTime, WallClock};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use getrandom::{SysRng, rand_core::UnwrapErr};
/// # let mut rng = UnwrapErr(SysRng);
/// let now = MatterTime::from_seconds(800_000_000);
/// let validity = Validity::new(now, None).ok_or("empty")?;
/// let (mut root_key, node_key) = (SigningKey::generate(&mut rng)?, SigningKey::generate(&mut rng)?);
///
/// let serial = SerialNumber::random(&mut rng);
/// let rcac = CertificateRequest::rcac(1, root_key.public_key(), serial, validity)
///     .self_sign(&RustCrypto, &mut root_key)?;
/// let rcac = rcac.certificate()?;
///
/// let fabric = FabricId::new(0x2906).ok_or("zero")?;
/// let serial = SerialNumber::random(&mut rng);
/// let node = NodeId::new(0x1234);
/// let noc = CertificateRequest::noc(node, fabric, node_key.public_key(), serial, validity)
///     .sign(&RustCrypto, &mut Issuer::new(&rcac, &mut root_key)?)?;
///
/// let policy = ChainPolicy::new(WallClock::Known(now));
/// let verified =
///     verify_chain(&RustCrypto, &noc.certificate()?, None, &rcac, &policy, &mut NoCache)?;
/// assert_eq!(verified.node_id(), node);
/// # Ok(())
/// # }
/// ```
/// Everything else follows from the kind of certificate, in the form of the strict
/// [`Profile`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a request makes no certificate until it is signed"]
pub struct CertificateRequest<'a> {
    identity: Identity,
    fabric_id: Option<FabricId>,
    cats: CaseAuthTags,
    text: Option<(TextAttribute, &'a str)>,
    path_length: Option<u8>,
    public_key: PublicKey,
    subject_key_id: Option<KeyIdentifier>,
    serial: SerialNumber,
    validity: Validity,
}

/// The attribute of a subject that tells the certificate's kind.
#[derive(Clone, Copy, Debug)]
enum Identity {
    Rcac(u64),
    Icac(u64),
    Noc(NodeId),
}

impl<'a> CertificateRequest<'a> {
    /// Makes a root certificate with this RCAC identifier.
    pub const fn rcac(
        id: u64,
        public_key: PublicKey,
        serial: SerialNumber,
        validity: Validity,
    ) -> Self {
        Self::of(Identity::Rcac(id), None, public_key, serial, validity)
    }

    /// Makes an intermediate certificate with this ICAC identifier.
    pub const fn icac(
        id: u64,
        public_key: PublicKey,
        serial: SerialNumber,
        validity: Validity,
    ) -> Self {
        Self::of(Identity::Icac(id), None, public_key, serial, validity)
    }

    /// Makes a node's certificate. `node` must be an operational node identifier.
    pub const fn noc(
        node: NodeId,
        fabric: FabricId,
        public_key: PublicKey,
        serial: SerialNumber,
        validity: Validity,
    ) -> Self {
        Self::of(Identity::Noc(node), Some(fabric), public_key, serial, validity)
    }

    const fn of(
        identity: Identity,
        fabric_id: Option<FabricId>,
        public_key: PublicKey,
        serial: SerialNumber,
        validity: Validity,
    ) -> Self {
        Self {
            identity,
            fabric_id,
            cats: CaseAuthTags::NONE,
            text: None,
            path_length: None,
            public_key,
            subject_key_id: None,
            serial,
            validity,
        }
    }

    /// Restricts an authority to one fabric; replaces the fabric of a NOC.
    pub const fn fabric_id(mut self, fabric_id: FabricId) -> Self {
        self.fabric_id = Some(fabric_id);
        self
    }

    /// Gives a node tags that access control lists may name.
    pub const fn cats(mut self, cats: CaseAuthTags) -> Self {
        self.cats = cats;
        self
    }

    /// Limits the number of intermediate authorities below an authority.
    pub const fn path_length(mut self, path_length: u8) -> Self {
        self.path_length = Some(path_length);
        self
    }

    /// Adds a text to the subject, after the identifiers. Joint fabrics mark their anchor's ICAC
    /// with the organisational unit `jf-anchor-icac`.
    pub const fn text(mut self, attribute: TextAttribute, value: &'a str) -> Self {
        self.text = Some((attribute, value));
        self
    }

    /// Sets the subject key identifier, instead of the first 20 bytes of the public key's
    /// SHA-256 digest (RFC 7093, method 1). Other stacks use its SHA-1 digest. Verifiers
    /// accept both, since they compare the identifier and never compute it.
    pub const fn subject_key_id(mut self, id: KeyIdentifier) -> Self {
        self.subject_key_id = Some(id);
        self
    }

    /// Makes a root certificate, signed by its own `key`.
    ///
    /// # Errors
    /// Every [`IssueError`] except [`IssueError::Issuer`] and [`IssueError::Validity`].
    pub fn self_sign<C: Crypto>(
        &self,
        crypto: &C,
        key: &mut dyn OperationalKey,
    ) -> Result<CertificateBuf, IssueError> {
        if !matches!(self.identity, Identity::Rcac(_)) {
            return Err(IssueError::Request);
        }
        let subject_key_id = self.key_id(crypto);
        let certificate = self.write(self.subject(), &subject_key_id, &subject_key_id)?;
        check_new_root(&certificate.certificate()?, Profile::STRICT)
            .map_err(|error| error.fault)?;
        sign(crypto, certificate, &self.public_key, key)
    }

    /// Makes an ICAC or NOC, signed by `issuer`. [`verify_chain`](super::verify_chain) accepts it
    /// under the strict [`Profile`] as long as it is valid, if it accepts the issuer.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn sign<C: Crypto>(
        &self,
        crypto: &C,
        issuer: &mut Issuer<'_>,
    ) -> Result<CertificateBuf, IssueError> {
        let authority = issuer.certificate;
        let authority_key_id = authority.subject_key_id().ok_or(IssueError::Issuer)?;
        if matches!(self.identity, Identity::Rcac(_)) {
            return Err(IssueError::Request);
        }
        if !self.validity.is_within(authority) {
            return Err(IssueError::Validity);
        }
        let names = authority.subject().attributes();
        let certificate = self.write(names, &self.key_id(crypto), authority_key_id)?;
        check_issued(&certificate.certificate()?, authority)?;
        sign(crypto, certificate, &authority.public_key(), issuer.key)
    }

    /// The attributes of the subject, in the order of other stacks.
    fn subject(&self) -> impl Iterator<Item = Attribute<'_>> {
        let fabric = self.fabric_id.map(Attribute::FabricId);
        let [first, second] = match self.identity {
            Identity::Rcac(id) => [Some(Attribute::RcacId(id)), fabric],
            Identity::Icac(id) => [Some(Attribute::IcacId(id)), fabric],
            Identity::Noc(id) => [fabric, Some(Attribute::NodeId(id))],
        };
        let text = self.text.map(|(attribute, value)| Attribute::Text {
            attribute,
            printable: false,
            value,
        });
        let cats = self.cats.iter().map(Attribute::CaseAuthTag);
        [first, second].into_iter().flatten().chain(cats).chain(text)
    }

    fn key_id<C: Crypto>(&self, crypto: &C) -> KeyIdentifier {
        self.subject_key_id.unwrap_or_else(|| {
            let mut hash = crypto.sha256();
            hash.update(self.public_key.as_bytes());
            let digest = hash.finish();
            digest.first_chunk::<KEY_ID_LEN>().copied().unwrap_or_default()
        })
    }

    /// The certificate with an empty signature.
    fn write<'n>(
        &self,
        issuer: impl Iterator<Item = Attribute<'n>>,
        subject_key_id: &KeyIdentifier,
        authority_key_id: &KeyIdentifier,
    ) -> Result<CertificateBuf, IssueError> {
        let is_ca = !matches!(self.identity, Identity::Noc(_));
        if !is_ca && self.path_length.is_some() {
            return Err(IssueError::Request);
        }
        if is_ca && self.cats.iter().next().is_some() {
            return Err(IssueError::Request);
        }
        if self.text.is_some_and(|(attribute, text)| !attribute.takes(text)) {
            return Err(IssueError::Text);
        }
        let field = Tag::Context;
        let mut tlv = Writer::new(CertificateBuf::new());
        tlv.start_structure(Tag::Anonymous)?;
        tlv.bytes(field(tag::SERIAL_NUMBER), self.serial.as_bytes())?;
        tlv.unsigned(field(tag::SIGNATURE_ALGORITHM), ALGORITHM)?;
        write_name(&mut tlv, tag::ISSUER, issuer)?;
        let not_after = self.validity.not_after.map_or(0, MatterTime::as_seconds);
        tlv.unsigned(field(tag::NOT_BEFORE), self.validity.not_before.as_seconds())?;
        tlv.unsigned(field(tag::NOT_AFTER), not_after)?;
        write_name(&mut tlv, tag::SUBJECT, self.subject())?;
        tlv.unsigned(field(tag::PUBLIC_KEY_ALGORITHM), ALGORITHM)?;
        tlv.unsigned(field(tag::CURVE), ALGORITHM)?;
        tlv.bytes(field(tag::PUBLIC_KEY), self.public_key.as_bytes())?;
        tlv.start_list(field(tag::EXTENSIONS))?;
        tlv.start_structure(field(1))?;
        tlv.bool(field(1), is_ca)?;
        if let Some(path_length) = self.path_length {
            tlv.unsigned(field(2), path_length)?;
        }
        tlv.end()?;
        if is_ca {
            let usage = KeyUsage::KEY_CERT_SIGN.union(KeyUsage::CRL_SIGN);
            tlv.unsigned(field(2), usage.bits())?;
        } else {
            tlv.unsigned(field(2), KeyUsage::DIGITAL_SIGNATURE.bits())?;
            tlv.start_array(field(3))?;
            for purpose in ExtendedKeyUsage::OF_A_NODE {
                tlv.unsigned(Tag::Anonymous, purpose)?;
            }
            tlv.end()?;
        }
        tlv.bytes(field(4), subject_key_id)?;
        tlv.bytes(field(5), authority_key_id)?;
        tlv.end()?;
        tlv.bytes(field(tag::SIGNATURE), &[0; SIGNATURE_LEN])?;
        tlv.end()?;
        Ok(tlv.into_sink())
    }
}

/// An authority that signs certificates: its own certificate and its key.
pub struct Issuer<'a> {
    certificate: &'a Certificate<'a>,
    key: &'a mut dyn OperationalKey,
}

impl core::fmt::Debug for Issuer<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Issuer")
            .field("subject", self.certificate.subject())
            .finish_non_exhaustive()
    }
}

impl<'a> Issuer<'a> {
    /// Makes the authority with this RCAC or ICAC and the key that belongs to it.
    ///
    /// # Errors
    /// [`IssueError::Issuer`] if the certificate is not that of an authority.
    pub fn new(
        certificate: &'a Certificate<'a>,
        key: &'a mut dyn OperationalKey,
    ) -> Result<Self, IssueError> {
        let is_ca = certificate.basic_constraints().is_some_and(|c| c.is_ca);
        let is_authority = matches!(certificate.kind(), CertKind::Rcac | CertKind::Icac);
        if is_ca && is_authority && certificate.subject_key_id().is_some() {
            Ok(Self { certificate, key })
        } else {
            Err(IssueError::Issuer)
        }
    }
}

fn write_name<'n>(
    tlv: &mut Writer<CertificateBuf>,
    tag: u8,
    mut attributes: impl Iterator<Item = Attribute<'n>>,
) -> Result<(), Overflow> {
    tlv.start_list(Tag::Context(tag))?;
    attributes.try_for_each(|attribute| attribute.write_tlv(tlv))?;
    tlv.end()
}

/// Signs a certificate and puts the signature in its place, once it has verified: a key that is
/// not the issuer's, or that fails, must not get a certificate into the world.
fn sign<C: Crypto>(
    crypto: &C,
    mut buf: CertificateBuf,
    issuer_key: &PublicKey,
    key: &mut dyn OperationalKey,
) -> Result<CertificateBuf, IssueError> {
    let certificate = buf.certificate()?;
    let signature: Signature = key.sign_digest(&certificate.tbs_digest(crypto))?;
    crypto.verify(issuer_key, &certificate, &signature).map_err(|_| SignError)?;
    let place = buf
        .as_mut_slice()
        .split_last_mut()
        .and_then(|(_end_of_structure, fields)| fields.last_chunk_mut::<SIGNATURE_LEN>());
    *place.ok_or(CertError::TooLong)? = *signature.as_bytes();
    // The signature's length in X.509 depends on its value, so look once more.
    buf.certificate()?;
    Ok(buf)
}
