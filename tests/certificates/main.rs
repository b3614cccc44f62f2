//! Certificates against the vectors of other stacks, and every refusal by its name.

mod chains;
mod decoding;
mod ecosystems;
#[cfg(feature = "issue")]
mod import;
#[cfg(feature = "issue")]
mod issuing;
mod properties;
#[cfg(feature = "issue")]
mod requests;
mod shapes;
mod tolerances;
mod vectors;

use matter_session::cert::{
    Attribute, CertError, CertKind, Certificate, CertificateBuf, ChainError, ChainFault,
    ChainPolicy, ChainVerified, ExtendedKeyUsage, KeyUsage, MAX_CERT_LEN, NoCache, Position,
    Profile, RecentlyVerified, Tolerance, ValidityPolicy, VerifiedCache, verify_chain, verify_root,
};
use matter_session::time::{MatterTime, WallClock};
use matter_session_testing::{BACKEND, chip, hex};
use proptest::prelude::*;
use serde_json::Value;

/// Every tolerance, in the order of the table at [`Profile`].
const TOLERANCES: [Tolerance; 8] = [
    Tolerance::LongSerialNumber,
    Tolerance::NocKeyUsage,
    Tolerance::NocPurposes,
    Tolerance::NocConstraints,
    Tolerance::AuthorityUsage,
    Tolerance::RootNames,
    Tolerance::UnusedIcac,
    Tolerance::ServerAuthAlone,
];

const VALIDITIES: [ValidityPolicy; 4] = [
    ValidityPolicy::Ignore,
    ValidityPolicy::NotBefore,
    ValidityPolicy::NocAndIcac,
    ValidityPolicy::All,
];

/// All that can be tolerated.
fn lenient() -> Profile {
    TOLERANCES.into_iter().fold(Profile::STRICT, Profile::tolerating)
}

/// Certificates of one chain, as octets.
struct Chain {
    noc: Vec<u8>,
    icac: Option<Vec<u8>>,
    rcac: Vec<u8>,
}

impl Chain {
    fn of(noc: &[u8], icac: Option<&[u8]>, rcac: &[u8]) -> Self {
        Self { noc: noc.to_vec(), icac: icac.map(<[u8]>::to_vec), rcac: rcac.to_vec() }
    }

    fn a() -> Self {
        Self::of(&tlv("A/noc-initiator"), None, &tlv("A/root"))
    }

    fn b() -> Self {
        let rcac = tlv("B/root-with-fabric-id-no-expiry");
        Self::of(&tlv("B/noc-initiator-with-cats"), Some(&tlv("B/icac")), &rcac)
    }

    fn verify(&self, policy: &ChainPolicy) -> Result<ChainVerified, ChainError> {
        let noc = Certificate::parse(&self.noc).unwrap();
        let icac = self.icac.as_ref().map(|icac| Certificate::parse(icac).unwrap());
        let rcac = Certificate::parse(&self.rcac).unwrap();
        verify_chain(&BACKEND, &noc, icac.as_ref(), &rcac, policy, &mut NoCache)
    }
}

const NODE: &[u8] = &[0x24, 17, 7];
const FABRIC: &[u8] = &[0x24, 21, 9];
const ICAC: &[u8] = &[0x24, 19, 3];
const COMMON_NAME: &[u8] = &[0x2C, 1, 1, b'x'];

fn cat(identifier: u16, version: u16) -> Vec<u8> {
    let mut element = vec![0x26, 22];
    element.extend(version.to_le_bytes());
    element.extend(identifier.to_le_bytes());
    element
}

/// A carried extension in its TLV element.
fn future(oid: &[u8], critical: Option<u8>) -> Vec<u8> {
    let mut fields = vec![6, oid.len() as u8];
    fields.extend(oid);
    fields.extend(critical.iter().flat_map(|flag| [1, 1, *flag]));
    fields.extend([4, 2, 5, 0]);
    let mut element = vec![0x30, 6, fields.len() as u8 + 2, 0x30, fields.len() as u8];
    element.extend(fields);
    element
}

/// A NOC in parts, each an encoded element, to be bent out of shape. Its signature is void.
#[derive(Clone)]
struct Noc {
    serial: Vec<u8>,
    not_before: u32,
    not_after: u32,
    subject: Vec<u8>,
    basic_constraints: Vec<u8>,
    key_usage: Vec<u8>,
    extended_key_usage: Vec<u8>,
    authority_key_id: Vec<u8>,
    more: Vec<u8>,
}

impl Default for Noc {
    fn default() -> Self {
        Self {
            serial: vec![1],
            not_before: 1000,
            not_after: 2000,
            subject: [NODE, FABRIC].concat(),
            basic_constraints: vec![0x35, 1, 0x28, 1, 0x18],
            key_usage: vec![0x24, 2, 1],
            extended_key_usage: vec![0x36, 3, 4, 2, 4, 1, 0x18],
            authority_key_id: [&[0x30, 5, 20][..], &[0x22; 20]].concat(),
            more: Vec::new(),
        }
    }
}

impl Noc {
    fn subject(&self, attributes: &[&[u8]]) -> Self {
        Self { subject: attributes.concat(), ..self.clone() }
    }

    fn with(&self, extension: &[u8]) -> Self {
        Self { more: extension.to_vec(), ..self.clone() }
    }

    fn encode(&self) -> Vec<u8> {
        let mut tlv = vec![0x15, 0x30, 1, self.serial.len() as u8];
        tlv.extend(&self.serial);
        tlv.extend([0x24, 2, 1, 0x37, 3, 0x24, 20, 1, 0x18, 0x26, 4]);
        tlv.extend(self.not_before.to_le_bytes());
        tlv.extend([0x26, 5]);
        tlv.extend(self.not_after.to_le_bytes());
        tlv.extend([0x37, 6]);
        tlv.extend(&self.subject);
        tlv.extend([0x18, 0x24, 7, 1, 0x24, 8, 1, 0x30, 9, 65]);
        tlv.extend(hex(&matterjs()[0]["subjectPublicKey"]));
        tlv.extend([0x37, 10]);
        tlv.extend(&self.basic_constraints);
        tlv.extend(&self.key_usage);
        tlv.extend(&self.extended_key_usage);
        tlv.extend([0x30, 4, 20]);
        tlv.extend([0x11; 20]);
        tlv.extend(&self.authority_key_id);
        tlv.extend(&self.more);
        tlv.extend([0x18, 0x30, 11, 64]);
        tlv.extend([0x33; 64]);
        tlv.push(0x18);
        tlv
    }

    fn parse(&self) -> Result<(), CertError> {
        Certificate::parse(&self.encode()).map(|_| ())
    }
}

fn tbs(certificate: &Certificate<'_>) -> Vec<u8> {
    let mut octets = [0; 1024];
    let mut buffer = matter_session::bytes::Buffer::new(&mut octets);
    certificate.write_tbs(&mut buffer).unwrap();
    buffer.into_written().to_vec()
}

fn x509(certificate: &Certificate<'_>) -> Vec<u8> {
    let mut octets = [0; 1024];
    let mut buffer = matter_session::bytes::Buffer::new(&mut octets);
    certificate.write_x509(&mut buffer).unwrap();
    buffer.into_written().to_vec()
}

fn key(value: &Value) -> matter_session::crypto::PublicKey {
    matter_session::crypto::PublicKey::new(&hex(value)).unwrap()
}

/// The certificates of `vectors/matterjs.json`.
fn matterjs() -> &'static [Value] {
    static VECTORS: std::sync::OnceLock<Value> = std::sync::OnceLock::new();
    VECTORS.get_or_init(matter_session_testing::matterjs)["certificates"]["list"]
        .as_array()
        .unwrap()
}

fn tlv(name: &str) -> Vec<u8> {
    hex(&matterjs().iter().find(|vector| vector["name"] == name).unwrap()["tlv"])
}

struct ChipCert {
    name: String,
    issuer: String,
    tlv: Vec<u8>,
}

impl ChipCert {
    /// By the naming of the vectors, `JF_` aside.
    fn is(&self, kind: &str) -> bool {
        self.name.trim_start_matches("JF_").starts_with(kind)
    }
}

fn chip_hierarchies(chip: &Value) -> [Vec<ChipCert>; 2] {
    let certs = chip["certificates"]["certs"].as_object().unwrap().iter();
    let vectors = certs.filter(|(_, vector)| vector["issuer"].is_string()).map(|(name, vector)| {
        let issuer = vector["issuer"].as_str().unwrap().to_owned();
        ChipCert { name: name.clone(), issuer, tlv: hex(&vector["tlv"]) }
    });
    let units = &chip["certificates_unit_hierarchy"];
    let unit = units["issuer"].as_object().unwrap().iter().map(|(name, issuer)| ChipCert {
        name: name.clone(),
        issuer: issuer.as_str().unwrap().to_owned(),
        tlv: hex(&units["data"][format!("UnitTest_{name}_crt")]),
    });
    [vectors.collect(), unit.collect()]
}
