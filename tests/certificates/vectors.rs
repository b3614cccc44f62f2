//! Against the certificates of other stacks.

use super::*;

#[test]
fn matterjs_certificates_convert_to_x509_octet_for_octet() {
    let all = matterjs();
    assert_eq!(all.len(), 7);
    for vector in all {
        let tlv = hex(&vector["tlv"]);
        let certificate = Certificate::parse(&tlv).unwrap();
        // A serial number with its first bit set: matter.js puts a zero octet before it in
        // X.509, other stacks do not. That its signature verifies shows that the form with
        // the zero octet was hashed as well.
        if certificate.serial_number()[0] < 0x80 {
            assert_eq!(tbs(&certificate), hex(&vector["x509Tbs"]), "{}", vector["name"]);
            assert_eq!(x509(&certificate), hex(&vector["x509"]), "{}", vector["name"]);
        } else {
            assert_eq!(tbs(&certificate).len() + 1, hex(&vector["x509Tbs"]).len());
        }
        assert_eq!(certificate.signature().as_bytes()[..], hex(&vector["signatureRaw"]));
        assert_eq!(certificate.public_key().as_bytes()[..], hex(&vector["subjectPublicKey"]));
        let issuer = key(&vector["issuerPublicKey"]);
        assert_eq!(certificate.verify_signature(&BACKEND, &issuer), Ok(()));
    }
}

#[test]
fn matterjs_chains_hold_in_every_profile() {
    let (a, b) = (Chain::a(), Chain::b());
    let now = MatterTime::from_seconds(800_000_000);
    for chain in [&a, &b] {
        for profile in [Profile::STRICT, Profile::default(), lenient()] {
            let policy = ChainPolicy::new(WallClock::Known(now)).with_profile(profile);
            let verified = chain.verify(&policy).unwrap();
            assert_eq!(verified.node_id().get(), 0xcd55_44aa_7b13_ef14);
            assert_eq!(verified.fabric_id().get(), 0xfab0_0000_0000_001d);
            let noc = Certificate::parse(&chain.noc).unwrap();
            assert_eq!(*verified.public_key(), noc.public_key());
            let rcac = Certificate::parse(&chain.rcac).unwrap();
            assert_eq!(verify_root(&BACKEND, &rcac, profile), Ok(()));
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
            assert_eq!(certificate.verify_signature(&BACKEND, &certificate.public_key()), Ok(()));
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
            let wanted: Vec<_> =
                vector["cats"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
            assert_eq!(cats, wanted, "{name}");
        }
        let issuer = hex(&certs[vector["issuer"].as_str().unwrap()]["tlv"]);
        let issuer = Certificate::parse(&issuer).unwrap();
        assert_eq!(certificate.verify_signature(&BACKEND, &issuer.public_key()), Ok(()), "{name}");
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
                    let kinds = noc.is("Node") && rcac.is("Root") && icac.is_none_or(|c| c.is("I"));
                    for profile in [Profile::STRICT, Profile::default(), lenient()] {
                        let policy = ChainPolicy::default().with_profile(profile);
                        let result = Chain::of(&noc.tlv, icac.map(|c| &c.tlv[..]), &rcac.tlv)
                            .verify(&policy);
                        // Node02_07 carries a critical extension that nobody knows.
                        let known = noc.name != "Node02_07";
                        // An intermediate certificate that is not used is tolerated.
                        let unused = issuer_of(&noc.name) == rcac.name
                            && icac.is_some()
                            && profile.tolerates(Tolerance::UnusedIcac);
                        let holds = (linked || unused) && kinds && known;
                        assert_eq!(result.is_ok(), holds, "{path:?} {result:?}");
                        held += usize::from(result.is_ok());
                    }
                }
            }
        }
        for root in hierarchy.iter().filter(|c| c.is("Root")) {
            let root = Certificate::parse(&root.tlv).unwrap();
            assert_eq!(verify_root(&BACKEND, &root, Profile::STRICT), Ok(()));
        }
    }
    // Nine nodes of the test vectors, five of the unit test hierarchy, two of joint fabrics; and in
    // two profiles, eight pairs of a node that its root signed and an intermediate certificate.
    assert_eq!(held, 3 * 16 + 2 * 8);
}
