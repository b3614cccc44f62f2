//! Certificates and chains.

use matter_session::bytes::{Buffer, Counter};
use matter_session::cert::{
    CertError, Certificate, CertificateBuf, ChainPolicy, MAX_X509_LEN, NoCache, Profile,
    RecentlyVerified, Tolerance, verify_chain, verify_csr, verify_root,
};
use matter_session::crypto::{Hashing, Sha256};
use matter_session::time::{MatterTime, WallClock};

use crate::Input;
use matter_session_testing::toy::Toy;

/// One certificate, or a chain: NOC, ICAC and RCAC, each behind its length, after a zero.
pub fn certificate(data: &[u8]) {
    let [0, chain @ ..] = data else { return one(data) };
    let mut input = Input(chain);
    let [noc, icac, rcac] = [(); 3].map(|()| input.octets());
    let parsed = [noc, icac, rcac].map(Certificate::parse);
    if let [Ok(noc), icac, Ok(rcac)] = &parsed {
        match icac {
            Ok(icac) => chain_of(noc, Some(icac), rcac),
            Err(_) => chain_of(noc, None, rcac),
        }
    }
}

fn one(data: &[u8]) {
    other_forms(data);
    let certificate = match Certificate::parse(data) {
        Ok(certificate) => certificate,
        Err(error) => return assert_ne!(error, CertError::Signature),
    };
    assert_eq!(certificate.as_bytes(), data);
    let mut counter = Counter::default();
    certificate.write_x509(&mut counter).unwrap();
    assert!(counter.len() <= MAX_X509_LEN);
    let mut octets = vec![0; counter.len()];
    let mut buffer = Buffer::new(&mut octets);
    certificate.write_x509(&mut buffer).unwrap();
    let x509 = buffer.into_written().to_vec();
    assert_eq!(x509.len(), counter.len());
    other_forms(&x509);
    assert!(certificate.write_x509(&mut Buffer::new(&mut octets[1..])).is_err());
    let mut octets = vec![0; x509.len()];
    let mut buffer = Buffer::new(&mut octets);
    certificate.write_tbs(&mut buffer).unwrap();
    let tbs = buffer.into_written();
    // The certificate begins with what is signed.
    let (content, rest) = der(&x509).expect("one sequence");
    assert!(rest.is_empty() && content.starts_with(tbs));
    der_tree(&x509, 0);
    let mut hash = Toy::<false>.sha256();
    hash.update(tbs);
    assert_eq!(certificate.tbs_digest(&Toy::<false>), hash.finish());

    assert!(certificate.subject().attributes().count() <= 5);
    assert!(certificate.issuer().attributes().count() <= 5);
    assert!(!certificate.serial_number().is_empty());
    assert_eq!(
        certificate.is_self_issued(),
        certificate.issuer() == certificate.subject()
            && certificate.authority_key_id().is_some()
            && certificate.authority_key_id() == certificate.subject_key_id()
    );
    let root = verify_root(&Toy::<true>, &certificate, Profile::STRICT);
    if root.is_ok() {
        assert!(certificate.is_self_issued());
        assert_eq!(verify_root(&Toy::<true>, &certificate, lenient()), Ok(()));
    }
}

/// All that can be tolerated.
fn lenient() -> Profile {
    Profile::default().tolerating(Tolerance::ServerAuthAlone)
}

fn chain_of(noc: &Certificate<'_>, icac: Option<&Certificate<'_>>, rcac: &Certificate<'_>) {
    let now = MatterTime::from_seconds(800_000_000);
    let clocks = [WallClock::Unknown, WallClock::LastKnownGood(now), WallClock::Known(now)];
    let verify = |clock, profile, cache: &mut dyn matter_session::cert::VerifiedCache| {
        let policy = ChainPolicy::new(clock).with_profile(profile);
        verify_chain(&Toy::<true>, noc, icac, rcac, &policy, cache)
    };
    let [unknown, last, known] =
        clocks.map(|clock| verify(clock, Profile::STRICT, &mut NoCache).map_err(|e| e.to_string()));
    // The more is known, the less is accepted; and the strict profile accepts less.
    assert!(known.is_err() || last.is_ok());
    assert!(last.is_err() || unknown.is_ok());
    let by_lenient = verify(WallClock::Unknown, lenient(), &mut NoCache);
    assert!(unknown.is_err() || by_lenient.is_ok());
    let Ok(verified) = by_lenient else { return };
    let icac = icac.filter(|_| verified.uses_icac());
    let issuer = icac.unwrap_or(rcac);
    assert_eq!(Some(verified.node_id()), noc.node_id());
    assert_eq!(Some(verified.fabric_id()), noc.fabric_id());
    assert_eq!(*verified.public_key(), noc.public_key());
    assert_eq!(noc.issuer(), issuer.subject());
    assert!(icac.is_some() || !verified.uses_icac());
    assert!([Some(rcac), icac].iter().flatten().all(|ca| {
        ca.fabric_id().is_none_or(|fabric| fabric == verified.fabric_id())
            && ca.basic_constraints().is_some_and(|constraints| constraints.is_ca)
    }));
    let mut cache = RecentlyVerified::default();
    for _ in 0..2 {
        assert!(verify(WallClock::Unknown, lenient(), &mut cache).is_ok());
    }
    // What a strict backend accepts, a lax one does.
    let policy = ChainPolicy::default().with_profile(lenient());
    let strict = verify_chain(&Toy::<false>, noc, icac, rcac, &policy, &mut NoCache);
    if strict.is_ok() {
        assert!(noc.verify_signature(&Toy::<false>, &issuer.public_key()).is_ok());
    }
}

/// The content of the first element, and what follows it.
fn der(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = match octets {
        [_, len @ 0..=0x7F, rest @ ..] => (usize::from(*len), rest),
        [_, 0x81, len @ 0x80..=0xFF, rest @ ..] => (usize::from(*len), rest),
        [_, 0x82, high @ 1..=0xFF, low, rest @ ..] => {
            (usize::from(*high) << 8 | usize::from(*low), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}

/// Every length is in its shortest form, and everything constructed holds whole elements.
fn der_tree(mut octets: &[u8], depth: usize) {
    while !octets.is_empty() {
        let (content, rest) = der(octets).expect("an element");
        // A carried extension is the peer's, four levels down.
        if octets[0] & 0x20 != 0 && depth < 4 {
            der_tree(content, depth + 1);
        }
        octets = rest;
    }
}

/// What other tools write: whatever converts, converts back to the same bytes.
fn other_forms(data: &[u8]) {
    let _ = verify_csr(&Toy::<false>, data);
    if let Ok(tlv) = CertificateBuf::from_x509(data) {
        let mut octets = [0; MAX_X509_LEN];
        let mut buffer = Buffer::new(&mut octets);
        tlv.certificate().unwrap().write_x509(&mut buffer).unwrap();
        assert_eq!(buffer.into_written(), data);
    }
}
