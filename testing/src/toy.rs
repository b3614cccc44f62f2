//! A crypto backend that is INSECURE by design, for simulations and fuzzing: a group of 61 bits in
//! place of P-256, signatures that anybody can make, PBKDF2 of one iteration. It is right in all
//! else: handshakes succeed and fail when those on P-256 do, some hundred times faster.

use matter_session::cert::{CertificateBuf, CertificateRequest, Issuer, SerialNumber, Validity};
use matter_session::crypto::{
    Aead, AesCcm, Blind, Cipher, CryptoError, Curve, HASH_LEN, Hashing, KEY_LEN, KeyPair, MIC_LEN,
    OpenNonce, OperationalKey, PUBLIC_KEY_LEN, PrivacyNonce, PublicKey, RustCrypto, SealNonce,
    Secret, Sha256State, SignError, Signature, SignedBytes,
    Spake2p,
};
use matter_session::fabric::{FabricCredentials, Ipk};
use matter_session::ids::{FabricId, NodeId};
use matter_session::rand_core::CryptoRng;
use matter_session::time::MatterTime;

/// The backend. `Toy<true>` takes any integrity code, and any signature under any key, and
/// encrypts nothing: a fuzzer sees what it changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Toy<const LAX: bool = false>;

/// A safe prime, 3 modulo 4. The elements are `1..=ORDER` with `|a * b mod P|`, which is a group
/// of the prime order `ORDER`: each of these numbers is an element, and each but 1 generates all.
const P: u64 = 0x3fff_ffff_ffff_d6bb;
const ORDER: u64 = (P - 1) / 2;
/// Nobody knows one of these as a power of another (but see above: 61 bits).
const G: Element = Element(3);
const M: Element = Element(0x1234_5678_9abc_def1);
const N: Element = Element(0x0fed_cba9_8765_4321);

#[derive(Clone, Copy, PartialEq, Eq)]
struct Element(u64);

impl Element {
    const IDENTITY: Self = Self(1);

    fn times(self, other: Self) -> Self {
        let product = (u128::from(self.0) * u128::from(other.0) % u128::from(P)) as u64;
        Self(product.min(P - product))
    }

    fn power(self, mut exponent: u64) -> Self {
        let (mut result, mut square) = (Self::IDENTITY, self);
        while exponent != 0 {
            if exponent & 1 == 1 {
                result = result.times(square);
            }
            square = square.times(square);
            exponent >>= 1;
        }
        result
    }

    fn inverse(self) -> Self {
        self.power(ORDER - 1)
    }

    /// `04 || element (32, big-endian) || zeros (32)`, as if it were a point.
    fn encode(self) -> Result<PublicKey, CryptoError> {
        if self == Self::IDENTITY {
            return Err(CryptoError::InvalidPoint);
        }
        let mut octets = [0; PUBLIC_KEY_LEN];
        octets[0] = 0x04;
        octets[25..33].copy_from_slice(&self.0.to_be_bytes());
        PublicKey::new(&octets)
    }

    fn decode(key: &PublicKey) -> Result<Self, CryptoError> {
        let octets = key.as_bytes();
        let element = u64::from_be_bytes(octets[25..33].try_into().expect("eight octets"));
        let zeros = octets[1..25].iter().chain(&octets[33..]).all(|octet| *octet == 0);
        let ok = zeros && (2..=ORDER).contains(&element);
        if ok { Ok(Self(element)) } else { Err(CryptoError::InvalidPoint) }
    }

    fn secret(self) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        self.encode().map(|key| Secret::from(key.as_bytes()))
    }
}

/// Reads a scalar in `1..ORDER`.
fn scalar(bytes: &Secret<32>) -> Result<u64, CryptoError> {
    let (high, low) = bytes.as_bytes().split_at(24);
    let value = u64::from_be_bytes(low.try_into().expect("eight octets"));
    let ok = high.iter().all(|octet| *octet == 0) && (1..ORDER).contains(&value);
    if ok { Ok(value) } else { Err(CryptoError::InvalidScalar) }
}

fn scalar_octets(value: u64) -> Secret<32> {
    let mut octets = Secret::zero();
    octets.as_mut_bytes()[24..].copy_from_slice(&value.to_be_bytes());
    octets
}

/// Draws a scalar, from as many octets as the real backend takes.
fn draw(rng: &mut dyn CryptoRng) -> u64 {
    let mut octets = [0; 32];
    rng.fill_bytes(&mut octets);
    let value = u64::from_be_bytes(octets[24..].try_into().expect("eight octets"));
    value % (ORDER - 1) + 1
}

/// AES-CCM, or nothing at all.
pub struct ToyAead<const LAX: bool>(Option<AesCcm>);

impl<const LAX: bool> Aead for ToyAead<LAX> {
    fn seal(
        &self,
        nonce: SealNonce,
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; MIC_LEN], CryptoError> {
        self.0.as_ref().map_or(Ok([0xA5; MIC_LEN]), |key| key.seal(nonce, aad, in_out))
    }

    fn open(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        self.0.as_ref().map_or(Ok(()), |key| key.open(nonce, aad, in_out, mic))
    }

    fn open_by_trial(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; MIC_LEN],
    ) -> Result<(), CryptoError> {
        self.0.as_ref().map_or(Ok(()), |key| key.open_by_trial(nonce, aad, in_out, mic))
    }

    fn apply_privacy(&self, nonce: PrivacyNonce, in_out: &mut [u8]) -> Result<(), CryptoError> {
        self.0.as_ref().map_or(Ok(()), |key| key.apply_privacy(nonce, in_out))
    }
}

/// A key pair for one agreement.
pub struct ToyEphemeral(u64);

impl KeyPair for ToyEphemeral {
    fn public(&self) -> PublicKey {
        G.power(self.0).encode().expect("an exponent below the order")
    }

    fn agree(&self, peer: &PublicKey) -> Result<Secret<32>, CryptoError> {
        Ok(scalar_octets(Element::decode(peer)?.power(self.0).0))
    }
}

impl<const LAX: bool> Cipher for Toy<LAX> {
    type Aead = ToyAead<LAX>;

    fn aead(&self, key: &Secret<KEY_LEN>) -> ToyAead<LAX> {
        ToyAead((!LAX).then(|| RustCrypto.aead(key)))
    }
}

impl<const LAX: bool> Hashing for Toy<LAX> {
    type Sha256 = Sha256State;

    fn sha256(&self) -> Sha256State {
        RustCrypto.sha256()
    }

    fn hmac(&self, key: &[u8], parts: &[&[u8]]) -> Result<[u8; HASH_LEN], CryptoError> {
        RustCrypto.hmac(key, parts)
    }

    /// None: the first of PBKDF2 is enough.
    fn pbkdf2_rounds(
        &self,
        _: &[u8],
        _: u32,
        _: &mut Secret<32>,
        _: &mut Secret<32>,
    ) -> Result<(), CryptoError> {
        Ok(())
    }
}

impl<const LAX: bool> Curve for Toy<LAX> {
    type Ephemeral = ToyEphemeral;

    fn ephemeral(&self, rng: &mut dyn CryptoRng) -> Result<ToyEphemeral, CryptoError> {
        Ok(ToyEphemeral(draw(rng)))
    }

    fn verify(
        &self,
        key: &PublicKey,
        signed: &dyn SignedBytes,
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        if LAX {
            return Ok(());
        }
        Element::decode(key)?;
        let ok = toy_signature(key, &signed.digest(self.sha256())?) == *signature;
        if ok { Ok(()) } else { Err(CryptoError::Unauthentic) }
    }
}

/// All but the two operations anew: `M`, `N` and the order are others.
impl<const LAX: bool> Spake2p for Toy<LAX> {
    fn point_mul(
        &self,
        by: &Secret<32>,
        point: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        Element::decode(&PublicKey::new(point)?)?.power(scalar(by)?).secret()
    }

    fn point_add(
        &self,
        a: &[u8; PUBLIC_KEY_LEN],
        b: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        let [a, b] = [PublicKey::new(a)?, PublicKey::new(b)?];
        Element::decode(&a)?.times(Element::decode(&b)?).secret()
    }

    fn random_scalar(&self, rng: &mut dyn CryptoRng) -> Result<Secret<32>, CryptoError> {
        Ok(scalar_octets(draw(rng)))
    }

    fn spake_reduce(&self, wide: &[u8; 40]) -> Result<Secret<32>, CryptoError> {
        let add = |sum: u128, octet: &u8| (sum * 256 + u128::from(*octet)) % u128::from(ORDER);
        let reduced = scalar_octets(wide.iter().fold(0, add) as u64);
        scalar(&reduced).map(|_| reduced)
    }

    fn spake_l(&self, w1: &Secret<32>) -> Result<PublicKey, CryptoError> {
        G.power(scalar(w1)?).encode()
    }

    fn spake_blind(
        &self,
        w0: &Secret<32>,
        blind: Blind,
        point: &[u8; PUBLIC_KEY_LEN],
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        let point = Element::decode(&PublicKey::new(point)?)?;
        point.times(blinding(blind).power(scalar(w0)?)).secret()
    }

    fn spake_unblind(
        &self,
        w0: &Secret<32>,
        blind: Blind,
        share: &PublicKey,
    ) -> Result<Secret<PUBLIC_KEY_LEN>, CryptoError> {
        Element::decode(share)?.times(blinding(blind).power(scalar(w0)?).inverse()).secret()
    }
}

fn blinding(blind: Blind) -> Element {
    match blind {
        Blind::M => M,
        Blind::N => N,
    }
}

/// What everybody can compute.
fn toy_signature(key: &PublicKey, digest: &[u8; HASH_LEN]) -> Signature {
    let [r, s] =
        [b"r", b"s"].map(|half| RustCrypto.hmac(key.as_bytes(), &[half, digest]).expect("a code"));
    let mut octets = [0; 64];
    octets[..32].copy_from_slice(&r);
    octets[32..].copy_from_slice(&s);
    Signature::new(octets)
}

/// A "signing" key: of nodes and of authorities.
#[derive(Clone, Debug)]
pub struct ToyKey(PublicKey);

impl ToyKey {
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self(G.power(draw(rng)).encode().expect("an exponent below the order"))
    }

    pub fn public_key(&self) -> PublicKey {
        self.0
    }
}

impl OperationalKey for ToyKey {
    fn sign_digest(&mut self, digest: &[u8; HASH_LEN]) -> Result<Signature, SignError> {
        Ok(toy_signature(&self.0, digest))
    }
}

/// Makes the certificates of a fabric.
pub struct ToyAuthority {
    fabric: FabricId,
    root: ToyKey,
    rcac: CertificateBuf,
    icac: Option<(ToyKey, CertificateBuf)>,
    ipk: Ipk,
}

/// Everything that a node of a fabric holds.
pub struct ToyMember {
    pub rcac: CertificateBuf,
    pub icac: Option<CertificateBuf>,
    pub noc: CertificateBuf,
    pub ipks: [Ipk; 1],
    pub key: ToyKey,
}

impl ToyMember {
    pub fn credentials(&self) -> FabricCredentials<'_> {
        FabricCredentials {
            root: self.rcac.as_slice(),
            icac: self.icac.as_ref().map(CertificateBuf::as_slice),
            noc: self.noc.as_slice(),
            ipks: &self.ipks,
        }
    }
}

impl ToyAuthority {
    pub fn new(fabric: u64, with_icac: bool, rng: &mut dyn CryptoRng) -> Self {
        let mut root = ToyKey::generate(rng);
        let serial = SerialNumber::random(rng);
        let rcac = CertificateRequest::rcac(fabric, root.public_key(), serial, validity())
            .self_sign(&Toy::<false>, &mut root)
            .expect("a root");
        let icac = with_icac.then(|| {
            let (key, serial) = (ToyKey::generate(rng), SerialNumber::random(rng));
            let request = CertificateRequest::icac(7, key.public_key(), serial, validity());
            (key, issue(&request, &rcac, &mut root))
        });
        let ipk = Ipk::EpochKey(Secret::new([fabric as u8; 16]));
        let fabric = FabricId::new(fabric).expect("not zero");
        Self { fabric, root, rcac, icac, ipk }
    }

    pub fn admit(&mut self, node: u64, rng: &mut dyn CryptoRng) -> ToyMember {
        let (key, serial) = (ToyKey::generate(rng), SerialNumber::random(rng));
        let (node, public) = (NodeId::new(node), key.public_key());
        let request = CertificateRequest::noc(node, self.fabric, public, serial, validity());
        let noc = match &mut self.icac {
            Some((key, icac)) => issue(&request, icac, key),
            None => issue(&request, &self.rcac, &mut self.root),
        };
        let icac = self.icac.as_ref().map(|(_, icac)| icac.clone());
        ToyMember { rcac: self.rcac.clone(), icac, noc, ipks: [self.ipk.clone()], key }
    }
}

fn issue(
    request: &CertificateRequest<'_>,
    authority: &CertificateBuf,
    key: &mut ToyKey,
) -> CertificateBuf {
    let authority = authority.certificate().expect("a certificate");
    let mut issuer = Issuer::new(&authority, key).expect("an authority");
    request.sign(&Toy::<false>, &mut issuer).expect("a certificate")
}

fn validity() -> Validity {
    Validity::new(MatterTime::from_seconds(1), None).expect("not empty")
}
