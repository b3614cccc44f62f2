//! Certificates against the vectors of other stacks, and every refusal by its name.

use std::vec::Vec;

use matter_session::cert::{
    Attribute, CertError, CertKind, Certificate, CertificateBuf, ChainError, ChainFault,
    ChainPolicy, ChainVerified, ExtendedKeyUsage, KeyUsage, MAX_CERT_LEN, NoCache, Position,
    Profile, VerifiedCache, verify_chain, verify_root,
};
use matter_session::crypto::RustCrypto;
use matter_session::time::{MatterTime, WallClock};
use proptest::prelude::*;
use serde_json::Value;

mod vectors {
    use super::*;

    #[test]
    fn matterjs_certificates_convert_to_x509_octet_for_octet() {
        let all = matterjs();
        assert_eq!(all.len(), 7);
        for vector in &all {
            let tlv = hex(&vector["tlv"]);
            let certificate = Certificate::parse(&tlv).unwrap();
            assert_eq!(tbs(&certificate), hex(&vector["x509Tbs"]), "{}", vector["name"]);
            assert_eq!(x509(&certificate), hex(&vector["x509"]), "{}", vector["name"]);
            assert_eq!(certificate.signature().as_bytes()[..], hex(&vector["signatureRaw"]));
            assert_eq!(certificate.public_key().as_bytes()[..], hex(&vector["subjectPublicKey"]));
            let issuer = key(&vector["issuerPublicKey"]);
            assert_eq!(certificate.verify_signature(&RustCrypto, &issuer), Ok(()));
        }
    }

    #[test]
    fn matterjs_chains_hold_in_both_profiles() {
        let (a, b) = (Chain::a(), Chain::b());
        let now = MatterTime::from_seconds(800_000_000);
        for chain in [&a, &b] {
            for profile in [Profile::Strict, Profile::Lenient] {
                let policy = ChainPolicy::new(WallClock::Known(now)).with_profile(profile);
                let verified = chain.verify(&policy).unwrap();
                assert_eq!(verified.node_id().get(), 0xcd55_44aa_7b13_ef14);
                assert_eq!(verified.fabric_id().get(), 0xfab0_0000_0000_001d);
                let noc = Certificate::parse(&chain.noc).unwrap();
                assert_eq!(verified.public_key(), noc.public_key());
                let rcac = Certificate::parse(&chain.rcac).unwrap();
                assert_eq!(verify_root(&RustCrypto, &rcac, profile), Ok(()));
            }
        }
        let cats: Vec<u32> =
            b.verify(&ChainPolicy::default()).unwrap().cats().iter().map(|cat| cat.get()).collect();
        assert_eq!(cats, [0xabcd_0001, 0x0001_0002]);
    }

    #[test]
    fn chip_certificates_convert_and_read_as_they_should() {
        let Some(chip) = chip() else { return };
        let certs = chip["certificates"]["certs"].as_object().unwrap();
        assert_eq!(certs.len(), 18);
        for (name, vector) in certs {
            let tlv = hex(&vector["tlv"]);
            let certificate = Certificate::parse(&tlv).unwrap();
            assert_eq!(x509(&certificate), hex(&vector["der"]), "{name}");
            assert_eq!(certificate.public_key().as_bytes()[..], hex(&vector["public_key"]));
            let kind = match vector["type"].as_str().unwrap() {
                "rcac" => CertKind::Rcac,
                "icac" => CertKind::Icac,
                "noc" => CertKind::Noc,
                "firmware_signing" => CertKind::FirmwareSigning,
                "network_identity" => CertKind::Unspecified,
                other => panic!("{other}"),
            };
            assert_eq!(certificate.kind(), kind, "{name}");
            if kind == CertKind::Unspecified {
                assert_eq!(certificate.subject_key_id(), None);
                assert_eq!(
                    certificate.verify_signature(&RustCrypto, certificate.public_key()),
                    Ok(())
                );
                continue;
            }
            assert_eq!(certificate.subject_key_id().unwrap()[..], hex(&vector["skid"]));
            assert_eq!(certificate.authority_key_id().unwrap()[..], hex(&vector["akid"]));
            if kind == CertKind::Noc {
                let id = |field: &str| u64::from_str_radix(vector[field].as_str().unwrap(), 16);
                assert_eq!(certificate.node_id().unwrap().get(), id("node_id").unwrap());
                assert_eq!(certificate.fabric_id().unwrap().get(), id("fabric_id").unwrap());
                let cats: Vec<_> =
                    certificate.cats().iter().map(|c| format!("{:08x}", c.get())).collect();
                let wanted: Vec<_> = vector["cats"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|c| c.as_str().unwrap())
                    .collect();
                assert_eq!(cats, wanted, "{name}");
            }
            let issuer = hex(&certs[vector["issuer"].as_str().unwrap()]["tlv"]);
            let issuer = Certificate::parse(&issuer).unwrap();
            assert_eq!(
                certificate.verify_signature(&RustCrypto, issuer.public_key()),
                Ok(()),
                "{name}"
            );
        }
    }

    #[test]
    fn chip_error_case_and_compact_identity_are_refused() {
        let Some(chip) = chip() else { return };
        let certs = &chip["certificates"]["certs"];
        assert!(Certificate::parse(&hex(&certs["Node01_01"]["err01_tlv"])).is_err());
        assert!(Certificate::parse(&hex(&certs["PDCID01"]["tlv_compact"])).is_err());
    }

    /// Each certificate of either hierarchy that can end a chain, below its own issuers and below
    /// all others.
    #[test]
    fn chip_chains_hold_exactly_below_their_own_issuers() {
        let Some(chip) = chip() else { return };
        let mut held = 0;
        for hierarchy in chip_hierarchies(&chip) {
            let issuer_of =
                |name: &str| hierarchy.iter().find(|c| c.name == name).unwrap().issuer.clone();
            for noc in &hierarchy {
                for icac in hierarchy.iter().map(Some).chain([None]) {
                    for rcac in &hierarchy {
                        let path: Vec<&str> = [Some(noc), icac, Some(rcac)]
                            .into_iter()
                            .flatten()
                            .map(|c| c.name.as_str())
                            .collect();
                        let linked = path.windows(2).all(|pair| issuer_of(pair[0]) == pair[1]);
                        let kinds =
                            noc.is("Node") && rcac.is("Root") && icac.is_none_or(|c| c.is("I"));
                        for profile in [Profile::Strict, Profile::Lenient] {
                            let policy = ChainPolicy::default().with_profile(profile);
                            let result = Chain::of(&noc.tlv, icac.map(|c| &c.tlv[..]), &rcac.tlv)
                                .verify(&policy);
                            assert_eq!(result.is_ok(), linked && kinds, "{path:?} {result:?}");
                            held += usize::from(result.is_ok());
                        }
                    }
                }
            }
            for root in hierarchy.iter().filter(|c| c.is("Root")) {
                let root = Certificate::parse(&root.tlv).unwrap();
                assert_eq!(verify_root(&RustCrypto, &root, Profile::Strict), Ok(()));
            }
        }
        // Ten nodes of the test vectors, five of the unit test hierarchy, two of joint fabrics.
        assert_eq!(held, 2 * 17);
    }
}

mod decoding {
    use super::*;

    #[test]
    fn names_hold_five_attributes_at_most() {
        let noc = Noc::default();
        assert!(noc.subject(&[NODE, FABRIC, &cat(1, 1), &cat(2, 1), &cat(3, 1)]).parse().is_ok());
        let six = [NODE, FABRIC, &cat(1, 1), &cat(2, 1), &cat(3, 1), COMMON_NAME];
        assert_eq!(noc.subject(&six).parse(), Err(CertError::TooManyAttributes));
    }

    #[test]
    fn tags_of_version_zero_are_refused() {
        let subject = [NODE, FABRIC, &cat(1, 0)];
        assert_eq!(Noc::default().subject(&subject).parse(), Err(CertError::CaseAuthTag));
    }

    #[test]
    fn two_tags_of_one_identifier_are_refused() {
        let subject = [NODE, FABRIC, &cat(1, 1), &cat(1, 2)];
        assert_eq!(Noc::default().subject(&subject).parse(), Err(CertError::CaseAuthTag));
    }

    #[test]
    fn tags_of_an_authority_are_refused() {
        let subject = [ICAC, FABRIC, &cat(1, 1)];
        assert_eq!(Noc::default().subject(&subject).parse(), Err(CertError::CaseAuthTag));
    }

    #[test]
    fn two_fabric_ids_are_refused() {
        assert_eq!(
            Noc::default().subject(&[NODE, FABRIC, FABRIC]).parse(),
            Err(CertError::FabricId)
        );
    }

    #[test]
    fn fabric_id_zero_is_refused() {
        assert_eq!(
            Noc::default().subject(&[NODE, &[0x24, 21, 0]]).parse(),
            Err(CertError::FabricId)
        );
    }

    #[test]
    fn a_node_without_fabric_is_refused() {
        assert_eq!(Noc::default().subject(&[NODE]).parse(), Err(CertError::FabricId));
    }

    #[test]
    fn a_signer_of_vendor_ids_with_fabric_is_refused() {
        let signer: &[u8] = &[0x24, 23, 1];
        assert!(Noc::default().subject(&[signer]).parse().is_ok());
        assert_eq!(Noc::default().subject(&[signer, FABRIC]).parse(), Err(CertError::FabricId));
    }

    #[test]
    fn two_identities_are_refused() {
        for other in [NODE, ICAC, &[0x24, 18, 1], &[0x24, 20, 1], &[0x24, 23, 1]] {
            assert_eq!(
                Noc::default().subject(&[NODE, FABRIC, other]).parse(),
                Err(CertError::AmbiguousSubject)
            );
        }
    }

    #[test]
    fn node_ids_outside_the_operational_range_are_refused() {
        for id in [0, 0xFFFF_FFF0_0000_0000, u64::MAX] {
            let mut node = vec![0x27, 17];
            node.extend(u64::to_le_bytes(id));
            assert_eq!(Noc::default().subject(&[&node, FABRIC]).parse(), Err(CertError::NodeId));
        }
    }

    #[test]
    fn unknown_attributes_are_refused() {
        for tag in [0, 24, 0x7F, 0x80, 0x91, 0x96] {
            let subject: [&[u8]; 3] = [NODE, FABRIC, &[0x2C, tag, 1, b'x']];
            assert_eq!(
                Noc::default().subject(&subject).parse(),
                Err(CertError::UnknownAttribute),
                "{tag}"
            );
        }
    }

    #[test]
    fn unknown_extensions_and_repeated_ones_are_refused() {
        let noc = Noc::default();
        assert_eq!(noc.with(&[0x24, 7, 1]).parse(), Err(CertError::UnknownExtension));
        assert_eq!(noc.with(&[0x24, 2, 1]).parse(), Err(CertError::DuplicateExtension));
    }

    #[test]
    fn unknown_usages_are_refused() {
        let mut noc = Noc::default();
        noc.key_usage = vec![0x25, 2, 0x00, 0x02];
        assert_eq!(noc.parse(), Err(CertError::KeyUsage));
        noc.key_usage = vec![0x25, 2, 0xFF, 0x01];
        assert_eq!(noc.parse(), Ok(()));
        noc.extended_key_usage = vec![0x36, 3, 0x04, 7, 0x18];
        assert_eq!(noc.parse(), Err(CertError::KeyUsage));
    }

    #[test]
    fn carried_extensions_must_be_well_formed_and_unknown() {
        let noc = Noc::default();
        assert_eq!(noc.with(&future(&[0x55, 29, 17], None)).parse(), Ok(()));
        for known in [14, 15, 19, 35, 37] {
            let extension = future(&[0x55, 29, known], None);
            assert_eq!(noc.with(&extension).parse(), Err(CertError::FutureExtension));
        }
        assert_eq!(noc.with(&[0x30, 6, 2, 0x30, 0]).parse(), Err(CertError::FutureExtension));
    }

    #[test]
    fn validity_must_not_be_empty_and_zero_never_ends() {
        let mut noc = Noc { not_after: 0, ..Noc::default() };
        let octets = noc.encode();
        let certificate = Certificate::parse(&octets).unwrap();
        assert_eq!(certificate.not_after(), None);
        let der = tbs(&certificate);
        assert!(der.windows(15).any(|window| window == b"99991231235959Z"));
        noc.not_after = noc.not_before;
        assert_eq!(noc.parse(), Err(CertError::Validity));
    }

    #[test]
    fn serial_numbers_have_1_to_20_octets() {
        for (len, fits) in [(0, false), (1, true), (20, true), (21, false)] {
            let noc = Noc { serial: vec![1; len], ..Noc::default() };
            assert_eq!(noc.parse().is_ok(), fits, "{len}");
        }
    }

    #[test]
    fn other_algorithms_are_refused() {
        let octets = Noc::default().encode();
        for tag in [2, 7, 8] {
            let at = octets.windows(3).position(|w| w == [0x24, tag, 1]).unwrap();
            let mut other = octets.clone();
            other[at + 2] = 2;
            assert_eq!(Certificate::parse(&other).err(), Some(CertError::Algorithm));
        }
    }

    #[test]
    fn nothing_may_follow_the_signature_or_the_structure() {
        let mut octets = Noc::default().encode();
        octets.push(0);
        assert_eq!(Certificate::parse(&octets).err(), Some(CertError::TrailingOctets));
        octets.truncate(octets.len() - 2);
        octets.extend([0x24, 12, 1, 0x18]);
        assert!(matches!(Certificate::parse(&octets), Err(CertError::Encoding(_))));
    }

    #[test]
    fn the_end_of_the_structure_must_be_there() {
        let octets = Noc::default().encode();
        for len in 0..octets.len() {
            assert!(Certificate::parse(&octets[..len]).is_err());
        }
    }

    #[test]
    fn certificates_have_400_octets_at_most() {
        let noc = |len: usize| {
            let mut text = vec![0x2C, 1, len as u8];
            text.extend(vec![b'x'; len]);
            Noc::default().subject(&[NODE, FABRIC, &text]).encode()
        };
        let free = MAX_CERT_LEN - noc(0).len();
        assert!(Certificate::parse(&noc(free)).is_ok());
        assert_eq!(Certificate::parse(&noc(free + 1)).err(), Some(CertError::TooLong));
        assert!(CertificateBuf::try_from(&noc(free)[..]).is_ok());
        assert_eq!(CertificateBuf::try_from(&noc(free + 1)[..]), Err(CertError::TooLong));
    }

    #[test]
    fn attributes_keep_order_and_type() {
        let octets = Noc::default().subject(&[COMMON_NAME, NODE, FABRIC]).encode();
        let certificate = Certificate::parse(&octets).unwrap();
        let mut attributes = certificate.subject().attributes();
        assert!(matches!(attributes.next(), Some(Attribute::Text { value: "x", .. })));
        assert!(matches!(attributes.next(), Some(Attribute::NodeId(_))));
        let printable = Noc::default().subject(&[&[0x2C, 0x81, 1, b'x'], NODE, FABRIC]).encode();
        let printable = Certificate::parse(&printable).unwrap();
        assert_ne!(certificate.subject(), printable.subject());
        assert_eq!(certificate.subject(), certificate.subject());
        assert!(tbs(&printable).windows(3).any(|w| w == [0x13, 1, b'x']));
        assert_eq!(printable.key_usage(), Some(KeyUsage::DIGITAL_SIGNATURE));
        assert!(printable.extended_key_usage().unwrap().contains(ExtendedKeyUsage::SERVER_AUTH));
    }
}

mod chains {
    use super::*;

    fn fault<T>(position: Position, fault: ChainFault) -> Result<T, ChainError> {
        Err(ChainError { position, fault })
    }

    fn at(clock: WallClock) -> Result<ChainVerified, ChainError> {
        Chain::a().verify(&ChainPolicy::new(clock))
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
    fn the_last_known_time_only_ends_validity() {
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
            verify_root(&RustCrypto, &rcac, Profile::Strict),
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
            verify_chain(&RustCrypto, &noc, Some(&icac), &rcac, &policy, &mut cache).unwrap();
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
        let result = verify_chain(&RustCrypto, &noc, Some(&icac), &other_key, &policy, &mut cache);
        assert_eq!(result.err(), fault::<()>(Position::Icac, ChainFault::Signature).err());
        assert_eq!(cache.1, 1);
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
            (
                changed(|n| n.extended_key_usage = vec![0x36, 3, 4, 1, 0x18]),
                ExtendedKeyUsage,
                Issuer,
            ),
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
            for (profile, expected) in [(Profile::Strict, strict), (Profile::Lenient, lenient)] {
                let policy = ChainPolicy::default().with_profile(profile);
                let error = Chain::of(&noc.encode(), None, &rcac).verify(&policy).err().unwrap();
                assert_eq!(error, ChainError { position: Position::Noc, fault: expected });
            }
        }
    }
}

#[cfg(feature = "issue")]
mod issuing {
    use super::*;
    use getrandom::SysRng;
    use getrandom::rand_core::UnwrapErr;
    use matter_session::cert::{
        CertificateRequest, IssueError, Issuer, SerialNumber, TextAttribute, Validity,
    };
    use matter_session::crypto::{PublicKey, Secret, SigningKey};
    use matter_session::ids::{CaseAuthTag, CaseAuthTags, FabricId, NodeId};

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

    /// Makes chain B again from its keys, with the key identifiers of the vectors.
    #[test]
    fn issued_certificates_equal_those_of_matterjs() {
        let all = matterjs();
        let vector = |name: &str| all.iter().find(|v| v["name"] == name).unwrap();
        let (root, icac, noc) = (
            vector("B/root-with-fabric-id-no-expiry"),
            vector("B/icac"),
            vector("B/noc-initiator-with-cats"),
        );
        let fabric = FabricId::new(FABRIC_ID).unwrap();
        let key_id = |vector: &Value| {
            *Certificate::parse(&hex(&vector["tlv"])).unwrap().subject_key_id().unwrap()
        };
        let mut root_key = signing_key(&root["subjectPrivateKey"]);
        let mut icac_key = signing_key(&icac["subjectPrivateKey"]);
        let long = [&[0x8f_u8][..], &[0; 18], &[1]].concat();
        let made_root = CertificateRequest::rcac(
            1,
            key(&root["subjectPublicKey"]),
            serial(&long),
            validity(None),
        )
        .fabric_id(fabric)
        .path_length(1)
        .subject_key_id(key_id(root))
        .self_sign(&RustCrypto, &mut root_key)
        .unwrap();
        same_but_for_signature(&made_root, root);
        let made_root = made_root.certificate().unwrap();
        let expiry = validity(Some(1_073_741_824));
        let made_icac = CertificateRequest::icac(
            0xcaca_cacb_0000_0003,
            key(&icac["subjectPublicKey"]),
            serial(&[2]),
            expiry,
        )
        .fabric_id(fabric)
        .path_length(0)
        .subject_key_id(key_id(icac))
        .sign(&RustCrypto, &mut Issuer::new(&made_root, &mut root_key).unwrap())
        .unwrap();
        same_but_for_signature(&made_icac, icac);
        let made_icac = made_icac.certificate().unwrap();
        let made_noc = CertificateRequest::noc(
            NodeId::new(0xcd55_44aa_7b13_ef14),
            fabric,
            key(&noc["subjectPublicKey"]),
            serial(&[3]),
            expiry,
        )
        .cats(cats(&[0xabcd_0001, 0x0001_0002]))
        .subject_key_id(key_id(noc))
        .sign(&RustCrypto, &mut Issuer::new(&made_icac, &mut icac_key).unwrap())
        .unwrap();
        same_but_for_signature(&made_noc, noc);
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
            .self_sign(&RustCrypto, &mut root_key)
            .unwrap();
        let rcac = rcac.certificate().unwrap();
        assert_eq!(verify_root(&RustCrypto, &rcac, Profile::Strict), Ok(()));
        let icac = CertificateRequest::icac(3, icac_key.public_key(), random(), period)
            .text(TextAttribute::OrganizationalUnitName, "jf-anchor-icac")
            .sign(&RustCrypto, &mut Issuer::new(&rcac, &mut root_key).unwrap())
            .unwrap();
        let icac = icac.certificate().unwrap();
        let wanted = cats(&[0xFFFF_0001, 0xFFFE_0001, 0x0001_FFFF]);
        let noc = CertificateRequest::noc(NodeId::new(9), fabric, node_key, random(), period)
            .cats(wanted)
            .sign(&RustCrypto, &mut Issuer::new(&icac, &mut icac_key).unwrap())
            .unwrap();
        let noc = noc.certificate().unwrap();
        let policy = ChainPolicy::new(WallClock::Known(MatterTime::from_seconds(800_000_000)));
        let verified =
            verify_chain(&RustCrypto, &noc, Some(&icac), &rcac, &policy, &mut NoCache).unwrap();
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
        assert_eq!(tagged.self_sign(&RustCrypto, &mut key).err(), refused);
        let rcac = root.self_sign(&RustCrypto, &mut key).unwrap();
        let rcac = rcac.certificate().unwrap();
        let noc = |node| {
            CertificateRequest::noc(NodeId::new(node), fabric, public, number, validity(None))
        };
        let icac = CertificateRequest::icac(1, public, number, validity(None));
        assert_eq!(noc(1).self_sign(&RustCrypto, &mut key).err(), refused);
        let mut issue = |request: CertificateRequest<'_>| {
            request.sign(&RustCrypto, &mut Issuer::new(&rcac, &mut key).unwrap()).err()
        };
        assert_eq!(issue(noc(1)), None);
        assert_eq!(issue(root), refused);
        assert_eq!(issue(icac), refused); // the root's path length is 0
        assert_eq!(issue(noc(1).fabric_id(foreign)), refused);
        assert_eq!(issue(noc(1).path_length(0)), refused);
        assert_eq!(issue(noc(0)), Some(IssueError::Certificate(CertError::NodeId)));
        let long = "x".repeat(200);
        let long = noc(1).text(TextAttribute::CommonName, &long);
        assert_eq!(issue(long), Some(IssueError::Certificate(CertError::TooLong)));
        let wrong = noc(1).sign(&RustCrypto, &mut Issuer::new(&rcac, &mut other).unwrap());
        assert!(matches!(wrong, Err(IssueError::Sign(_))));
        let leaf = noc(1).sign(&RustCrypto, &mut Issuer::new(&rcac, &mut key).unwrap()).unwrap();
        let leaf = leaf.certificate().unwrap();
        assert_eq!(Issuer::new(&leaf, &mut key).err(), Some(IssueError::Issuer));
        let _: &PublicKey = leaf.public_key();
    }

    #[test]
    fn validity_and_serial_numbers_refuse_nonsense() {
        let time = MatterTime::from_seconds;
        assert_eq!(Validity::new(time(0), None), None);
        assert_eq!(Validity::new(time(5), Some(time(5))), None);
        assert_eq!(SerialNumber::new(&[]), None);
        assert_eq!(SerialNumber::new(&[1; 21]), None);
        let random = SerialNumber::random(&mut UnwrapErr(SysRng));
        assert!((0x40..0x80).contains(&random.as_bytes()[0]));
    }
}

mod properties {
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
                let same = x509(&certificate) == x509(&before);
                prop_assert_eq!(certificate.verify_signature(&RustCrypto, &issuer).is_ok(), same);
                let chain = Chain::of(&octets, None, &Chain::a().rcac);
                let _ = chain.verify(&ChainPolicy::default());
            }
        }
    }
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
        verify_chain(&RustCrypto, &noc, icac.as_ref(), &rcac, policy, &mut NoCache)
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
    let mut buffer = matter_session::tlv::Buffer::new(&mut octets);
    certificate.write_tbs(&mut buffer).unwrap();
    buffer.into_written().to_vec()
}

fn x509(certificate: &Certificate<'_>) -> Vec<u8> {
    let mut octets = [0; 1024];
    let mut buffer = matter_session::tlv::Buffer::new(&mut octets);
    certificate.write_x509(&mut buffer).unwrap();
    buffer.into_written().to_vec()
}

fn key(value: &Value) -> matter_session::crypto::PublicKey {
    matter_session::crypto::PublicKey::new(&hex(value)).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap();
    (0..digits.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
        .collect()
}

/// The certificates of `vectors/matterjs.json`.
fn matterjs() -> &'static [Value] {
    static VECTORS: std::sync::OnceLock<Value> = std::sync::OnceLock::new();
    let all = VECTORS
        .get_or_init(|| serde_json::from_str(include_str!("vectors/matterjs.json")).unwrap());
    all["certificates"]["list"].as_array().unwrap()
}

fn tlv(name: &str) -> Vec<u8> {
    hex(&matterjs().iter().find(|vector| vector["name"] == name).unwrap()["tlv"])
}

/// The vectors of connectedhomeip, which are not part of this repository.
fn chip() -> Option<Value> {
    let Ok(path) = std::env::var("MATTER_CHIP_VECTORS") else {
        println!("skipped: MATTER_CHIP_VECTORS names no file");
        return None;
    };
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
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
