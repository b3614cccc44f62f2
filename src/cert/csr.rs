//! Requests for a node's certificate: PKCS#10, and the NOCSR elements that carry it.

use thiserror::Error;

use super::der::{self, Der};
use super::name::TextAttribute;
use super::x509;
use crate::bytes::{Overflow, Sink, debug_lengths};
use crate::crypto::{Crypto, HASH_LEN, HashSink, OperationalKey, PublicKey, Sha256, SignError};
use crate::tlv::{Container, Tag, TlvError, Value, Writer};

/// Maximum length in bytes of a request of [`write_csr`].
pub const MAX_CSR_LEN: usize = 204;

/// A certificate signing request was not written, or is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CsrError {
    /// The new key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// There is no room for the request: [`MAX_CSR_LEN`].
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// Not a request of PKCS#10 in DER.
    #[error("not a PKCS#10 request in DER")]
    Der,
    /// The key is not on the curve P-256, or the request is not signed with ECDSA-SHA256.
    #[error("key or signature is not of ECDSA with SHA-256 on P-256")]
    Algorithm,
    /// The request is not signed with the key that it names: its sender does not have that key.
    #[error("signature does not verify under the key of the request")]
    Signature,
}

/// Writes the certificate signing request of a new operational key: PKCS#10 in DER, at most
/// [`MAX_CSR_LEN`] bytes. [RFC 2986; Core, "Node Operational Certificate Signing Request (NOCSR)
/// Procedure"]
///
/// `key` signs; `public_key` is the one that belongs to it. The subject is `O=CSR`, which has no
/// meaning: the authority chooses the names in the certificate.
///
/// ```
/// use matter_session::cert::{MAX_CSR_LEN, write_csr};
/// use matter_session::crypto::{RustCrypto, SigningKey};
/// use matter_session::bytes::Buffer;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use getrandom::{SysRng, rand_core::UnwrapErr};
/// # let mut rng = UnwrapErr(SysRng);
/// let mut key = SigningKey::generate(&mut rng)?;
/// let mut csr = [0; MAX_CSR_LEN];
/// let mut csr = Buffer::new(&mut csr);
/// write_csr(&RustCrypto, &key.public_key(), &mut key, &mut csr)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`CsrError::Sign`], [`CsrError::Overflow`].
pub fn write_csr<C: Crypto>(
    crypto: &C,
    public_key: &PublicKey,
    key: &mut dyn OperationalKey,
    sink: &mut dyn Sink,
) -> Result<(), CsrError> {
    let mut hash = HashSink::new(crypto.sha256());
    info(&mut Der::new(&mut hash), public_key)?;
    let signature = key.sign_digest(&hash.finish())?;
    Der::new(sink).nested(der::SEQUENCE, |der| {
        info(der, public_key)?;
        x509::signed(der, &signature)
    })?;
    Ok(())
}

/// The CertificationRequestInfo, which is signed.
fn info(der: &mut Der<'_>, public_key: &PublicKey) -> Result<(), Overflow> {
    der.nested(der::SEQUENCE, |der| {
        der.unsigned(&[0])?; // version 1
        der.nested(der::SEQUENCE, |der| {
            der.nested(der::SET, |der| {
                der.nested(der::SEQUENCE, |der| {
                    der.oid(TextAttribute::OrganizationName.oid())?;
                    der.element(der::UTF8_STRING, b"CSR")
                })
            })
        })?;
        x509::public_key_info(der, public_key.as_bytes())?;
        der.element(der::context(0), &[]) // no attributes
    })
}

/// The NOCSR elements: what a device answers to a CSRRequest, and attests.
/// [Core, "NOCSR Elements TLV"]
///
/// The device signs [`digest`](Self::digest) with its attestation key, so that a commissioner knows
/// that the request comes from the device that it has attested, over this very session.
#[derive(Clone, Copy)]
pub struct NocsrElements<'a> {
    /// The request: [`write_csr`].
    pub csr: &'a [u8],
    /// The random of the CSRRequest. **The commissioner must compare it with the one that it
    /// sent**: otherwise older elements of the same session are taken for the answer.
    pub csr_nonce: &'a [u8; 32],
    /// Up to three fields of the vendor.
    pub vendor_reserved: [Option<&'a [u8]>; 3],
}

debug_lengths!(NocsrElements[]['_]: csr_nonce, vendor_reserved; csr);

impl<'a> NocsrElements<'a> {
    /// The tag of the first field of the vendor.
    const VENDOR: u8 = 3;

    /// Reads the elements, which must fill `bytes`. Fields that come after those known are ignored.
    ///
    /// # Errors
    /// [`TlvError`]: [`Malformed`](TlvError::Malformed) if bytes follow the elements.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TlvError> {
        let mut fields = Container::message(bytes)?;
        if Container::message_len(bytes)? != bytes.len() {
            return Err(TlvError::Malformed);
        }
        let mut elements = Self {
            csr: fields.field(1)?.bytes()?,
            csr_nonce: fields.field(2)?.array()?,
            vendor_reserved: [None; 3],
        };
        for (tag, field) in (Self::VENDOR..).zip(&mut elements.vendor_reserved) {
            *field = fields.optional(tag)?.map(Value::bytes).transpose()?;
        }
        fields.finish()?;
        Ok(elements)
    }

    /// Writes the elements.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn write<S: Sink>(&self, writer: &mut Writer<S>) -> Result<(), Overflow> {
        writer.start_structure(Tag::Anonymous)?;
        writer.bytes(Tag::Context(1), self.csr)?;
        writer.bytes(Tag::Context(2), self.csr_nonce)?;
        for (tag, field) in (Self::VENDOR..).zip(self.vendor_reserved) {
            if let Some(bytes) = field {
                writer.bytes(Tag::Context(tag), bytes)?;
            }
        }
        writer.end()
    }

    /// Returns the digest that the attestation key signs: of the elements as they were written, and
    /// the [attestation challenge](crate::SecureSession::attestation_challenge) of the session.
    /// The commissioner verifies the signature over it with the key of the device's attestation
    /// certificate, and compares [`csr_nonce`](Self::csr_nonce) with the nonce that it sent: the
    /// signature alone also fits older elements of the same session.
    #[must_use]
    pub fn digest<C: Crypto>(crypto: &C, elements: &[u8], challenge: &[u8; 16]) -> [u8; HASH_LEN] {
        let mut hash = crypto.sha256();
        hash.update(elements);
        hash.update(challenge);
        hash.finish()
    }
}
