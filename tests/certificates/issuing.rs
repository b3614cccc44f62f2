//! Making certificates.

use super::*;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use matter_session::cert::{
    CertificateRequest, IssueError, Issuer, SerialNumber, TextAttribute, Validity,
};
use matter_session::crypto::{Hashing, Secret, Sha256, SigningKey};
use matter_session::ids::{CaseAuthTag, CaseAuthTags, FabricId, NodeId};
use matter_session_testing::Script;

const FABRIC_ID: u64 = 0xfab0_0000_0000_001d;

fn validity(not_after: Option<u32>) -> Validity {
    let not_after = not_after.map(MatterTime::from_seconds);
    Validity::new(MatterTime::from_seconds(704_643_072), not_after).unwrap()
}

fn serial(octets: &[u8]) -> SerialNumber {
    SerialNumber::new(octets).unwrap()
}

fn cats(values: &[u32]) -> CaseAuthTags {
    let mut tags = CaseAuthTags::NONE;
    assert!(values.iter().all(|&v| tags.insert(CaseAuthTag::new(v).unwrap())));
    tags
}

fn signing_key(hex_value: &Value) -> SigningKey {
    SigningKey::from_bytes(&Secret::new(hex(hex_value).try_into().unwrap())).unwrap()
}

/// Makes root A and the lower part of chain B again from their keys, with the key identifiers
/// of the vectors.
#[test]
fn issued_certificates_equal_those_of_matterjs() {
    let all = matterjs();
    let vector = |name: &str| all.iter().find(|v| v["name"] == name).unwrap();
    let (root, icac, noc) =
        (vector("A/root"), vector("B/icac"), vector("B/noc-initiator-with-cats"));
    let fabric = FabricId::new(FABRIC_ID).unwrap();
    let period = validity(Some(1_073_741_824));
    let key_id = |vector: &Value| {
        *Certificate::parse(&hex(&vector["tlv"])).unwrap().subject_key_id().unwrap()
    };
    let public = |vector: &Value| key(&vector["subjectPublicKey"]);
    let made = CertificateRequest::rcac(0xcaca_caca_caca_caca, public(root), serial(&[1]), period)
        .subject_key_id(key_id(root))
        .self_sign(&BACKEND, &mut signing_key(&root["subjectPrivateKey"]))
        .unwrap();
    same_but_for_signature(&made, root);
    let mut issuer_key = signing_key(&icac["issuerPrivateKey"]);
    let issuer = tlv("B/root-with-fabric-id-no-expiry");
    let issuer = Certificate::parse(&issuer).unwrap();
    let made = CertificateRequest::icac(0xcaca_cacb_0000_0003, public(icac), serial(&[2]), period)
        .fabric_id(fabric)
        .path_length(0)
        .subject_key_id(key_id(icac))
        .sign(&BACKEND, &mut Issuer::new(&issuer, &mut issuer_key).unwrap())
        .unwrap();
    same_but_for_signature(&made, icac);
    let mut issuer_key = signing_key(&noc["issuerPrivateKey"]);
    let issuer = made.certificate().unwrap();
    let node = NodeId::new(0xcd55_44aa_7b13_ef14);
    let made = CertificateRequest::noc(node, fabric, public(noc), serial(&[3]), period)
        .cats(cats(&[0xabcd_0001, 0x0001_0002]))
        .subject_key_id(key_id(noc))
        .sign(&BACKEND, &mut Issuer::new(&issuer, &mut issuer_key).unwrap())
        .unwrap();
    same_but_for_signature(&made, noc);
}

fn same_but_for_signature(made: &CertificateBuf, vector: &Value) {
    let tlv = hex(&vector["tlv"]);
    let unsigned = tlv.len() - 65;
    assert_eq!(made.as_slice()[..unsigned], tlv[..unsigned], "{}", vector["name"]);
    assert_eq!(tbs(&made.certificate().unwrap()), hex(&vector["x509Tbs"]));
}

#[test]
fn the_largest_chain_verifies_in_the_strict_profile() {
    let mut rng = UnwrapErr(SysRng);
    let mut root_key = SigningKey::generate(&mut rng).unwrap();
    let mut icac_key = SigningKey::generate(&mut rng).unwrap();
    let node_key = SigningKey::generate(&mut rng).unwrap().public_key();
    let fabric = FabricId::new(FABRIC_ID).unwrap();
    let period = validity(Some(u32::MAX));
    let mut random = || SerialNumber::random(&mut rng);
    let rcac = CertificateRequest::rcac(u64::MAX, root_key.public_key(), random(), period)
        .fabric_id(fabric)
        .path_length(1)
        .self_sign(&BACKEND, &mut root_key)
        .unwrap();
    let rcac = rcac.certificate().unwrap();
    assert_eq!(verify_root(&BACKEND, &rcac, Profile::STRICT), Ok(()));
    let icac = CertificateRequest::icac(3, icac_key.public_key(), random(), period)
        .text(TextAttribute::OrganizationalUnitName, "jf-anchor-icac")
        .sign(&BACKEND, &mut Issuer::new(&rcac, &mut root_key).unwrap())
        .unwrap();
    let icac = icac.certificate().unwrap();
    let wanted = cats(&[0xFFFF_0001, 0xFFFE_0001, 0x0001_FFFF]);
    let noc = CertificateRequest::noc(NodeId::new(9), fabric, node_key, random(), period)
        .cats(wanted)
        .sign(&BACKEND, &mut Issuer::new(&icac, &mut icac_key).unwrap())
        .unwrap();
    let noc = noc.certificate().unwrap();
    let policy = ChainPolicy::new(WallClock::Known(MatterTime::from_seconds(800_000_000)));
    let verified = verify_chain(&BACKEND, &noc, Some(&icac), &rcac, &policy, &mut NoCache).unwrap();
    assert_eq!(verified.cats(), wanted);
    assert_eq!(verified.node_id(), NodeId::new(9));
    assert_eq!(*verified.public_key(), node_key);
}

#[test]
fn contradictory_requests_are_refused() {
    let mut rng = UnwrapErr(SysRng);
    let mut key = SigningKey::generate(&mut rng).unwrap();
    let mut other = SigningKey::generate(&mut rng).unwrap();
    let public = key.public_key();
    let (fabric, foreign) = (FabricId::new(1).unwrap(), FabricId::new(2).unwrap());
    let number = serial(&[1]);
    let root = CertificateRequest::rcac(1, public, number, validity(None))
        .fabric_id(fabric)
        .path_length(0);
    let refused = Some(IssueError::Request);
    let tagged = root.cats(cats(&[0x0001_0001]));
    assert_eq!(tagged.self_sign(&BACKEND, &mut key).err(), refused);
    let rcac = root.self_sign(&BACKEND, &mut key).unwrap();
    let rcac = rcac.certificate().unwrap();
    let noc =
        |node| CertificateRequest::noc(NodeId::new(node), fabric, public, number, validity(None));
    let icac = CertificateRequest::icac(1, public, number, validity(None));
    assert_eq!(noc(1).self_sign(&BACKEND, &mut key).err(), refused);
    let mut issue = |request: CertificateRequest<'_>| {
        request.sign(&BACKEND, &mut Issuer::new(&rcac, &mut key).unwrap()).err()
    };
    assert_eq!(issue(noc(1)), None);
    assert_eq!(issue(root), refused);
    let chain = |fault| Some(IssueError::Chain(fault));
    assert_eq!(issue(icac), chain(ChainFault::PathLength)); // that of the root is 0
    assert_eq!(issue(noc(1).fabric_id(foreign)), chain(ChainFault::FabricId));
    assert_eq!(issue(noc(1).path_length(0)), refused);
    assert_eq!(issue(noc(0)), Some(IssueError::Certificate(CertError::NodeId)));
    let long = "x".repeat(200);
    let long = noc(1).text(TextAttribute::CommonName, &long);
    assert_eq!(issue(long), Some(IssueError::Certificate(CertError::TooLong)));
    let wrong = noc(1).sign(&BACKEND, &mut Issuer::new(&rcac, &mut other).unwrap());
    assert!(matches!(wrong, Err(IssueError::Sign(_))));
    let leaf = noc(1).sign(&BACKEND, &mut Issuer::new(&rcac, &mut key).unwrap()).unwrap();
    let leaf = leaf.certificate().unwrap();
    assert_eq!(Issuer::new(&leaf, &mut key).err(), Some(IssueError::Issuer));
}

#[test]
fn validity_and_serial_numbers_refuse_nonsense() {
    let time = MatterTime::from_seconds;
    assert_eq!(Validity::new(time(0), None), None);
    assert_eq!(Validity::new(time(5), Some(time(5))), None);
    assert_eq!(SerialNumber::new(&[]), None);
    assert_eq!(SerialNumber::new(&[1; 21]), None);
    assert_eq!(SerialNumber::new(&[0x80]), None);
    assert_eq!(SerialNumber::new(&[0, 1]), None);
    assert!(SerialNumber::new(&[0, 0x80]).is_some());
    // All bits are random but the first two.
    for (octet, first) in [(0, 0x40), (0xFF, 0x7F), (0xA5, 0x65), (0x5A, 0x5A)] {
        let random = SerialNumber::random(&mut Script::new(&[&[octet; 16]]));
        assert_eq!(random.as_bytes()[0], first);
        assert_eq!(random.as_bytes()[1..], [octet; 15]);
    }
}

/// A root without any authority above it, whose name has a text of either type.
#[test]
fn texts_of_names_keep_their_type_when_an_authority_signs() {
    let mut key = signing_key(&matterjs()[0]["subjectPrivateKey"]);
    let request = |id| CertificateRequest::rcac(id, key_of_first(), serial(&[1]), validity(None));
    let made = request(1).text(TextAttribute::CommonName, "x").self_sign(&BACKEND, &mut key);
    let made = made.unwrap();
    let utf8 = made.as_slice().to_vec();
    // The same attribute as a PrintableString, in both names. The signature is not looked at.
    let mut printable = utf8.clone();
    let text = [0x2C, 1, 1, b'x'];
    let places: Vec<_> = (0..utf8.len() - 3).filter(|at| utf8[*at..at + 4] == text).collect();
    assert_eq!(places.len(), 2);
    places.iter().for_each(|at| printable[at + 1] |= 0x80);
    for (octets, is_printable) in [(utf8, false), (printable, true)] {
        let root = Certificate::parse(&octets).unwrap();
        let noc = CertificateRequest::noc(
            NodeId::new(9),
            FabricId::new(1).unwrap(),
            key_of_first(),
            serial(&[2]),
            validity(None),
        );
        let noc = noc.sign(&BACKEND, &mut Issuer::new(&root, &mut key).unwrap()).unwrap();
        let noc = noc.certificate().unwrap();
        let of_text = |attribute| match attribute {
            Attribute::Text { printable, .. } => Some(printable),
            _ => None,
        };
        let types: Vec<_> = noc.issuer().attributes().filter_map(of_text).collect();
        assert_eq!(types, [is_printable]);
        assert!(noc.issuer() == root.subject());
        // The key identifier is the start of the digest of the key.
        let mut hash = BACKEND.sha256();
        hash.update(key_of_first().as_bytes());
        assert_eq!(noc.subject_key_id().unwrap()[..], hash.finish()[..20]);
    }
}

fn key_of_first() -> matter_session::crypto::PublicKey {
    key(&matterjs()[0]["subjectPublicKey"])
}
