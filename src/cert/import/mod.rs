//! Reads the DER that other tools write: X.509 certificates and certificate signing requests.

mod certificate;
mod csr;

use der::asn1::{AnyRef, UintRef};
use der::{Reader as _, SliceReader, Tag, TagNumber, Tagged as _};

pub use self::certificate::X509Error;
pub use self::csr::verify_csr;
use super::x509;
use crate::crypto::{PUBLIC_KEY_LEN, SIGNATURE_LEN, Signature};

/// The reason for which an input is refused.
enum Refusal {
    /// Not DER, or not what should stand here.
    Der,
    /// An algorithm or curve that Matter does not have.
    Algorithm,
}

impl From<der::Error> for Refusal {
    fn from(_: der::Error) -> Self {
        Self::Der
    }
}

/// The elements of a constructed value, one after the other.
struct Elements<'a>(SliceReader<'a>);

impl<'a> Elements<'a> {
    fn of(content: &'a [u8]) -> Result<Self, Refusal> {
        Ok(Self(SliceReader::new(content)?))
    }

    /// The elements of a constructed element that fills `der`.
    fn of_only(der: &'a [u8], tag: Tag) -> Result<Self, Refusal> {
        let mut outer = Self::of(der)?;
        let inner = outer.elements(tag)?;
        outer.end()?;
        Ok(inner)
    }

    fn any(&mut self) -> Result<AnyRef<'a>, Refusal> {
        Ok(self.0.decode()?)
    }

    /// The content of the next element, which must have this tag.
    fn content(&mut self, tag: Tag) -> Result<&'a [u8], Refusal> {
        let element = self.any()?;
        if element.tag() == tag { Ok(element.value()) } else { Err(Refusal::Der) }
    }

    /// The elements of the next element, which must have this tag.
    fn elements(&mut self, tag: Tag) -> Result<Self, Refusal> {
        Self::of(self.content(tag)?)
    }

    /// The whole next element; `None` at the end.
    fn whole(&mut self) -> Result<Option<&'a [u8]>, Refusal> {
        if self.0.is_finished() { Ok(None) } else { Ok(Some(self.0.tlv_bytes()?)) }
    }

    fn end(self) -> Result<(), Refusal> {
        Ok(self.0.finish()?)
    }

    /// The bytes of a BIT STRING that has no unused bits.
    fn bytes_of_bits(&mut self) -> Result<&'a [u8], Refusal> {
        match self.content(Tag::BitString)? {
            [0, bytes @ ..] => Ok(bytes),
            _ => Err(Refusal::Der),
        }
    }

    /// Reads an AlgorithmIdentifier, which must have these object identifiers and nothing else.
    fn algorithm(&mut self, oids: &[&[u8]]) -> Result<(), Refusal> {
        let mut identifier = self.elements(Tag::Sequence)?;
        for expected in oids {
            if identifier.content(Tag::ObjectIdentifier)? != *expected {
                return Err(Refusal::Algorithm);
            }
        }
        identifier.end().map_err(|_| Refusal::Algorithm)
    }

    /// Reads the algorithm and the signature, which end a certificate or request.
    fn signature(&mut self) -> Result<Signature, Refusal> {
        self.algorithm(&[&x509::ECDSA_WITH_SHA256])?;
        let mut numbers = Elements::of_only(self.bytes_of_bits()?, Tag::Sequence)?;
        let mut signature = [0; SIGNATURE_LEN];
        for half in signature.chunks_exact_mut(SIGNATURE_LEN / 2) {
            let digits = numbers.0.decode::<UintRef<'_>>()?.as_bytes();
            let start = half.len().checked_sub(digits.len()).ok_or(Refusal::Der)?;
            let (_zeros, place) = half.split_at_mut(start);
            place.copy_from_slice(digits);
        }
        numbers.end()?;
        Ok(Signature::new(signature))
    }

    /// Reads a SubjectPublicKeyInfo.
    fn public_key(&mut self) -> Result<&'a [u8; PUBLIC_KEY_LEN], Refusal> {
        let mut info = self.elements(Tag::Sequence)?;
        info.algorithm(&[&x509::EC_PUBLIC_KEY, &x509::PRIME256V1])?;
        let key = info.bytes_of_bits()?.try_into().map_err(|_| Refusal::Algorithm)?;
        info.end()?;
        Ok(key)
    }
}

/// The tag of the constructed, context-specific element `number`.
const fn context(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}
