//! What no chain may be, each refusal by its name.

use super::*;

fn fault<T>(position: Position, fault: ChainFault) -> Result<T, ChainError> {
    Err(ChainError { position, fault })
}

fn at(clock: WallClock) -> Result<ChainVerified, ChainError> {
    Chain::a().verify(&ChainPolicy::new(clock))
}

fn strict(clock: WallClock) -> ChainPolicy {
    ChainPolicy::new(clock).with_profile(Profile::STRICT)
}

#[test]
fn validity_is_inclusive_at_both_ends() {
    let time = MatterTime::from_seconds;
    let (begin, end) = (704_643_072, 1_073_741_824);
    assert!(at(WallClock::Known(time(begin))).is_ok());
    assert!(at(WallClock::Known(time(end))).is_ok());
    let early = at(WallClock::Known(time(begin - 1)));
    assert_eq!(early.err(), fault::<()>(Position::Noc, ChainFault::NotYetValid).err());
    let late = at(WallClock::Known(time(end + 1)));
    assert_eq!(late.err(), fault::<()>(Position::Noc, ChainFault::Expired).err());
}

#[test]
fn the_last_known_time_ends_validity_where_all_periods_count_and_begins_none() {
    let at = |clock| Chain::a().verify(&strict(clock));
    let time = MatterTime::from_seconds;
    assert!(at(WallClock::LastKnownGood(time(1))).is_ok());
    assert!(at(WallClock::LastKnownGood(time(1_073_741_825))).is_err());
    assert!(at(WallClock::Unknown).is_ok());
}

#[test]
fn certificates_hold_only_in_their_own_places() {
    let b = Chain::b();
    let icac = b.icac.clone().unwrap();
    for (noc, icac, rcac, expected) in [
        (&icac, None, &b.rcac, Position::Noc),
        (&b.rcac, None, &b.rcac, Position::Noc),
        (&b.noc, Some(&b.noc), &b.rcac, Position::Icac),
        (&b.noc, Some(&b.rcac), &b.rcac, Position::Icac),
        (&b.noc, None, &icac, Position::Rcac),
        (&b.noc, None, &b.noc, Position::Rcac),
    ] {
        let chain = Chain::of(noc, icac.map(|c| &c[..]), rcac);
        let error = chain.verify(&ChainPolicy::default()).err().unwrap();
        assert_eq!(error, ChainError { position: expected, fault: ChainFault::Kind });
    }
}

#[test]
fn another_root_does_not_do() {
    let (a, b) = (Chain::a(), Chain::b());
    let policy = ChainPolicy::default();
    let crossed = Chain::of(&a.noc, None, &b.rcac).verify(&policy);
    assert_eq!(crossed.err(), fault::<()>(Position::Noc, ChainFault::Issuer).err());
    let short = Chain::of(&b.noc, None, &b.rcac).verify(&policy);
    assert_eq!(short.err(), fault::<()>(Position::Noc, ChainFault::Issuer).err());
    let crossed = Chain::of(&b.noc, b.icac.as_deref(), &a.rcac).verify(&policy);
    assert_eq!(crossed.err(), fault::<()>(Position::Icac, ChainFault::Issuer).err());
}

#[test]
fn every_signature_below_the_root_counts() {
    let b = Chain::b();
    let broken = |octets: &[u8]| {
        let mut octets = octets.to_vec();
        let at = octets.len() - 10;
        octets[at] ^= 1;
        octets
    };
    let policy = ChainPolicy::default();
    let mut chain = Chain::b();
    chain.noc = broken(&b.noc);
    assert_eq!(
        chain.verify(&policy).err(),
        fault::<()>(Position::Noc, ChainFault::Signature).err()
    );
    let mut chain = Chain::b();
    chain.icac = b.icac.as_deref().map(broken);
    assert_eq!(
        chain.verify(&policy).err(),
        fault::<()>(Position::Icac, ChainFault::Signature).err()
    );
    let rcac = broken(&b.rcac);
    let rcac = Certificate::parse(&rcac).unwrap();
    assert_eq!(
        verify_root(&BACKEND, &rcac, Profile::STRICT),
        fault(Position::Rcac, ChainFault::Signature)
    );
}

#[test]
fn a_cached_issuer_is_verified_once_and_only_under_its_key() {
    #[derive(Default)]
    struct Cache(Vec<[u8; 32]>, usize);
    impl VerifiedCache for Cache {
        fn contains(&self, fingerprint: &[u8; 32]) -> bool {
            self.0.contains(fingerprint)
        }
        fn insert(&mut self, fingerprint: [u8; 32]) {
            self.1 += 1;
            self.0.push(fingerprint);
        }
    }
    let b = Chain::b();
    let icac = b.icac.clone().unwrap();
    let (noc, icac, rcac) = (
        Certificate::parse(&b.noc).unwrap(),
        Certificate::parse(&icac).unwrap(),
        Certificate::parse(&b.rcac).unwrap(),
    );
    let mut cache = Cache::default();
    for _ in 0..3 {
        let policy = ChainPolicy::default();
        let result = verify_chain(&BACKEND, &noc, Some(&icac), &rcac, &policy, &mut cache);
        assert!(result.is_ok());
    }
    assert_eq!(cache.1, 1);
    // The same names and key identifiers under another key: the entry must not help.
    let mut other_key = b.rcac.clone();
    let at = other_key.windows(3).position(|w| w == [0x30, 9, 65]).unwrap() + 3;
    let foreign = Chain::a().rcac;
    let foreign = Certificate::parse(&foreign).unwrap();
    other_key[at..at + 65].copy_from_slice(foreign.public_key().as_bytes());
    let other_key = Certificate::parse(&other_key).unwrap();
    let policy = ChainPolicy::default();
    let result = verify_chain(&BACKEND, &noc, Some(&icac), &other_key, &policy, &mut cache);
    assert_eq!(result.err(), fault::<()>(Position::Icac, ChainFault::Signature).err());
    assert_eq!(cache.1, 1);
}

#[test]
fn a_remembered_node_is_verified_once_and_its_validity_each_time() {
    #[derive(Default)]
    struct Cache(RecentlyVerified, usize);
    impl VerifiedCache for Cache {
        fn contains(&self, fingerprint: &[u8; 32]) -> bool {
            self.0.contains(fingerprint)
        }
        fn insert(&mut self, fingerprint: [u8; 32]) {
            self.0.insert(fingerprint);
        }
        fn contains_node(&self, fingerprint: &[u8; 32]) -> bool {
            self.0.contains_node(fingerprint)
        }
        fn insert_node(&mut self, fingerprint: [u8; 32]) {
            self.1 += 1;
            self.0.insert_node(fingerprint);
        }
    }
    let a = Chain::a();
    let (noc, rcac) = (Certificate::parse(&a.noc).unwrap(), Certificate::parse(&a.rcac).unwrap());
    let mut cache = Cache::default();
    let mut verify = |noc: &Certificate<'_>, policy: &ChainPolicy| {
        verify_chain(&BACKEND, noc, None, &rcac, policy, &mut cache).map(|_| cache.1)
    };
    let remembered = if cfg!(feature = "alloc") { 1 } else { 3 };
    for _ in 0..2 {
        assert!(verify(&noc, &ChainPolicy::default()).is_ok());
    }
    assert_eq!(verify(&noc, &ChainPolicy::default()), Ok(remembered));
    let early = ChainPolicy::new(WallClock::Known(MatterTime::from_seconds(1)));
    assert!(noc.not_before() > MatterTime::from_seconds(1));
    assert_eq!(verify(&noc, &early), fault(Position::Noc, ChainFault::NotYetValid));
    // Another signature is another certificate.
    let mut forged = a.noc.clone();
    let last = forged.len() - 2;
    forged[last] ^= 1;
    let forged = Certificate::parse(&forged).unwrap();
    let outcome = verify(&forged, &ChainPolicy::default());
    assert_eq!(outcome, fault(Position::Noc, ChainFault::Signature));
}

/// Changes `find`, wherever it stands, in a certificate. The signature is void then, which
/// shows last: `Signature` means that all else was accepted.
fn patched(octets: &[u8], find: &[u8], replacement: &[u8]) -> Vec<u8> {
    let mut rest = octets;
    let mut patched = Vec::new();
    while let Some((first, tail)) = rest.split_first() {
        match rest.strip_prefix(find) {
            Some(tail) => {
                patched.extend(replacement);
                rest = tail;
            }
            None => {
                patched.push(*first);
                rest = tail;
            }
        }
    }
    assert_ne!(patched, octets);
    patched
}

const CA: &[u8] = &[0x35, 1, 0x29, 1];
const NOT_CA: &[u8] = &[0x35, 1, 0x28, 1];
const CA_USAGE: &[u8] = &[0x24, 2, 0x60, 0x30, 4];
const FABRIC_D: &[u8] = &[0x27, 21, 0x1d, 0, 0, 0, 0, 0, 0xb0, 0xfa];
const FABRIC_E: &[u8] = &[0x27, 21, 0x1e, 0, 0, 0, 0, 0, 0xb0, 0xfa];
const ICAC_SUBJECT: &[u8] = &[0x27, 19, 3, 0, 0, 0, 0xcb, 0xca, 0xca, 0xca];

#[test]
fn templates_of_the_intermediate_hold() {
    use ChainFault::{BasicConstraints, ExtendedKeyUsage, FabricId, KeyUsage, Signature};
    let with_purpose = [0x24, 2, 0x60, 0x36, 3, 4, 1, 0x18, 0x30, 4];
    let subject = |fabric: &[u8]| [ICAC_SUBJECT, fabric].concat();
    for (find, replacement, strict, lenient) in [
        (CA, NOT_CA, BasicConstraints, BasicConstraints),
        (CA_USAGE, &[0x24, 2, 0x40, 0x30, 4][..], KeyUsage, KeyUsage),
        (CA_USAGE, &[0x24, 2, 0x20, 0x30, 4], KeyUsage, Signature),
        (CA_USAGE, &[0x24, 2, 0x62, 0x30, 4], KeyUsage, Signature),
        (CA_USAGE, &[0x24, 2, 0x61, 0x30, 4], Signature, Signature),
        (CA_USAGE, &CA_USAGE[3..], KeyUsage, KeyUsage),
        (CA_USAGE, &with_purpose, ExtendedKeyUsage, Signature),
        (&subject(FABRIC_D), &subject(FABRIC_E), FabricId, FabricId),
    ] {
        for (profile, expected) in [(Profile::STRICT, strict), (super::lenient(), lenient)] {
            let mut chain = Chain::b();
            chain.icac = chain.icac.map(|icac| patched(&icac, find, replacement));
            let result = chain.verify(&ChainPolicy::default().with_profile(profile));
            assert_eq!(result.err(), fault::<()>(Position::Icac, expected).err());
        }
    }
}

#[test]
fn templates_of_the_root_hold() {
    use ChainFault::{BasicConstraints, FabricId, KeyUsage, PathLength};
    for (find, replacement, expected) in [
        (CA, NOT_CA, BasicConstraints),
        (&[CA, &[0x24, 2, 1]].concat()[..], &[CA, &[0x24, 2, 0]].concat()[..], PathLength),
        (CA_USAGE, &[0x24, 2, 0x40, 0x30, 4], KeyUsage),
        (FABRIC_D, FABRIC_E, FabricId),
    ] {
        for profile in [Profile::STRICT, lenient()] {
            let mut chain = Chain::b();
            chain.rcac = patched(&chain.rcac, find, replacement);
            let result = chain.verify(&ChainPolicy::default().with_profile(profile));
            assert_eq!(result.err(), fault::<()>(Position::Rcac, expected).err());
        }
    }
}

#[test]
fn only_a_root_that_signs_itself_is_installed() {
    let b = Chain::b();
    let check = |octets: &[u8]| {
        let root = Certificate::parse(octets).unwrap();
        verify_root(&BACKEND, &root, lenient()).map_err(|error| error.fault)
    };
    assert_eq!(check(&b.rcac), Ok(()));
    assert_eq!(check(&b.noc), Err(ChainFault::Kind));
    assert_eq!(check(b.icac.as_deref().unwrap()), Err(ChainFault::Kind));
    let two = patched(&b.rcac, &[CA, &[0x24, 2, 1]].concat(), &[CA, &[0x24, 2, 2]].concat());
    assert_eq!(check(&two), Err(ChainFault::PathLength));
    let usage = patched(&b.rcac, CA_USAGE, &[0x24, 2, 0x40, 0x30, 4]);
    assert_eq!(check(&usage), Err(ChainFault::KeyUsage));
    let authority = patched(&b.rcac, &[0x30, 5, 20, 0xea], &[0x30, 5, 20, 0xeb]);
    assert_eq!(check(&authority), Err(ChainFault::Issuer));
    let subject = patched(&b.rcac, &[0x37, 6, 0x24, 20, 1], &[0x37, 6, 0x24, 20, 2]);
    assert_eq!(check(&subject), Err(ChainFault::Issuer));
    let serial = patched(&b.rcac, &[0x30, 1, 20, 0x8f], &[0x30, 1, 20, 0x7f]);
    assert_eq!(check(&serial), Err(ChainFault::Signature));
}

/// What a signature does not protect in these tests is checked before any signature is.
#[test]
fn leaf_templates_differ_between_the_profiles() {
    use ChainFault::{BasicConstraints, CriticalExtension, KeyIdentifier, KeyUsage};
    use ChainFault::{ExtendedKeyUsage, Issuer};
    let changed = |change: fn(&mut Noc)| {
        let mut noc = Noc::default();
        change(&mut noc);
        noc
    };
    // The links do not fit, which shows last: `Issuer` means that the template was accepted.
    let cases: [(Noc, ChainFault, ChainFault); 10] = [
        (Noc::default(), Issuer, Issuer),
        (changed(|n| n.key_usage.clear()), KeyUsage, KeyUsage),
        (changed(|n| n.key_usage[2] = 3), KeyUsage, Issuer),
        (changed(|n| n.key_usage[2] = 2), KeyUsage, KeyUsage),
        (changed(|n| n.extended_key_usage.clear()), ExtendedKeyUsage, ExtendedKeyUsage),
        (changed(|n| n.extended_key_usage = vec![0x36, 3, 4, 1, 0x18]), ExtendedKeyUsage, Issuer),
        (
            changed(|n| n.extended_key_usage = vec![0x36, 3, 4, 2, 0x18]),
            ExtendedKeyUsage,
            ExtendedKeyUsage,
        ),
        (changed(|n| n.basic_constraints[2] = 0x29), BasicConstraints, Issuer),
        (changed(|n| n.authority_key_id.clear()), KeyIdentifier, KeyIdentifier),
        (
            Noc::default().with(&future(&[0x55, 29, 17], Some(0xFF))),
            CriticalExtension,
            CriticalExtension,
        ),
    ];
    let rcac = Chain::a().rcac;
    for (noc, strict, lenient) in cases {
        for (profile, expected) in [(Profile::STRICT, strict), (super::lenient(), lenient)] {
            let policy = ChainPolicy::default().with_profile(profile);
            let error = Chain::of(&noc.encode(), None, &rcac).verify(&policy).err().unwrap();
            assert_eq!(error, ChainError { position: Position::Noc, fault: expected });
        }
    }
}
