//! Against random octets.

use super::*;

proptest! {
    #[test]
    fn random_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..500)) {
        let _ = Certificate::parse(&octets);
    }

    /// Whatever still parses converts, within the limit, and fails to verify unless it is
    /// another encoding of the same certificate.
    #[test]
    fn mutated_certificates_never_panic(
        pick in 0_usize..7,
        mutations in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4), 1..4),
    ) {
        let vector = &matterjs()[pick];
        let original = hex(&vector["tlv"]);
        let mut octets = original.clone();
        for (at, value, kind) in mutations {
            let at = at.index(octets.len());
            match kind {
                0 => octets[at] = value,
                1 => octets[at] ^= 1 << (value % 8),
                2 => octets.insert(at, value),
                _ => { octets.remove(at); }
            }
        }
        if let Ok(certificate) = Certificate::parse(&octets) {
            prop_assert!(x509(&certificate).len() <= 600);
            let before = Certificate::parse(&original).unwrap();
            let issuer = key(&vector["issuerPublicKey"]);
            // An inserted zero may spell the same serial number in another way.
            if certificate.serial_number() == before.serial_number() {
                let same = x509(&certificate) == x509(&before);
                let verified = certificate.verify_signature(&BACKEND, &issuer).is_ok();
                prop_assert_eq!(verified, same);
            }
            let chain = Chain::of(&octets, None, &Chain::a().rcac);
            let _ = chain.verify(&ChainPolicy::default());
        }
    }
}
