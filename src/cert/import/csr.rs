//! Reading certificate signing requests.

use der::Tag;

use super::{Elements, Refusal, context};
use crate::cert::CsrError;
use crate::crypto::{Crypto, PublicKey};

impl From<Refusal> for CsrError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Der => Self::Der,
            Refusal::Algorithm => Self::Algorithm,
        }
    }
}

/// Verifies a certificate signing request of PKCS#10 in DER, and returns the key that it is for:
/// the sender has its private half. [RFC 2986; Core, "Node Operational Certificate Signing Request
/// (NOCSR) Procedure"]
///
/// The subject and the attributes of the request are ignored, as Matter demands.
///
/// This is how an authority makes a NOC for a device:
///
/// ```
/// # use matter_session::bytes::Buffer;
/// use matter_session::cert::{CertificateRequest, Issuer, SerialNumber, Validity, verify_csr};
/// # use matter_session::cert::{MAX_CSR_LEN, write_csr};
/// use matter_session::crypto::{RustCrypto, SigningKey};
/// use matter_session::ids::{FabricId, NodeId};
/// # use matter_session::time::MatterTime;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use getrandom::{SysRng, rand_core::UnwrapErr};
/// # let mut rng = UnwrapErr(SysRng);
/// # let validity = Validity::new(MatterTime::from_seconds(800_000_000), None).ok_or("empty")?;
/// # let mut root_key = SigningKey::generate(&mut rng)?;
/// # let serial = SerialNumber::random(&mut rng);
/// # let rcac = CertificateRequest::rcac(1, root_key.public_key(), serial, validity)
/// #     .self_sign(&RustCrypto, &mut root_key)?;
/// # let rcac = rcac.certificate()?;
/// # let (node, fabric) = (NodeId::new(0x1234), FabricId::new(0x2906).ok_or("zero")?);
/// # let mut device_key = SigningKey::generate(&mut rng)?;
/// # let mut csr = [0; MAX_CSR_LEN];
/// # let mut buffer = Buffer::new(&mut csr);
/// # write_csr(&RustCrypto, &device_key.public_key(), &mut device_key, &mut buffer)?;
/// # let csr = &*buffer.into_written();
/// let key = verify_csr(&RustCrypto, csr)?;
/// let serial = SerialNumber::random(&mut rng);
/// let noc = CertificateRequest::noc(node, fabric, key, serial, validity)
///     .sign(&RustCrypto, &mut Issuer::new(&rcac, &mut root_key)?)?;
/// # assert_eq!(noc.certificate()?.public_key(), device_key.public_key());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`CsrError::Der`], [`CsrError::Algorithm`], [`CsrError::Signature`].
pub fn verify_csr<C: Crypto>(crypto: &C, csr: &[u8]) -> Result<PublicKey, CsrError> {
    let mut request = Elements::of_only(csr, Tag::Sequence)?;
    let signed = request.whole()?.ok_or(CsrError::Der)?;
    let signature = request.signature()?;
    request.end()?;

    let mut info = Elements::of_only(signed, Tag::Sequence)?;
    if info.content(Tag::Integer)? != VERSION_1 {
        return Err(CsrError::Der);
    }
    info.content(Tag::Sequence)?; // the subject
    let key = info.public_key()?;
    info.content(context(0))?; // the attributes
    info.end()?;

    let key = PublicKey::new(key).map_err(|_| CsrError::Algorithm)?;
    crypto.verify(&key, &signed, &signature).map_err(|_| CsrError::Signature)?;
    Ok(key)
}

const VERSION_1: [u8; 1] = [0];
