//! X.509 certificates, converted to Matter TLV.

use super::*;
use matter_session::cert::X509Error;

fn import(der: &[u8]) -> Result<Vec<u8>, X509Error> {
    CertificateBuf::from_x509(der).map(|buf| buf.as_slice().to_vec())
}

#[test]
fn certificates_of_matterjs_convert_in_both_directions() {
    let mut same = 0;
    for vector in matterjs() {
        let (tlv, der) = (hex(&vector["tlv"]), hex(&vector["x509"]));
        let converted = import(&der).unwrap();
        let again = Certificate::parse(&converted).unwrap();
        assert_eq!(x509(&again), der, "{}", vector["name"]);
        // A serial number with its first bit set has a zero before it in its X.509 form, which is
        // taken over.
        if Certificate::parse(&tlv).unwrap().serial_number()[0] < 0x80 {
            assert_eq!(converted, tlv, "{}", vector["name"]);
            same += 1;
        }
    }
    assert_eq!(same, 6);
}

#[test]
fn chip_certificates_convert_in_both_directions() {
    let Some(chip) = chip() else { return };
    for (name, vector) in chip["certificates"]["certs"].as_object().unwrap() {
        assert_eq!(import(&hex(&vector["der"])), Ok(hex(&vector["tlv"])), "{name}");
    }
}

/// Every shape that the reader of TLV takes: each attribute, extension, purpose and kind of time.
#[test]
fn every_shape_of_a_certificate_converts_in_both_directions() {
    let names: Vec<Vec<u8>> = (1..=16_u8)
        .flat_map(|tag| {
            let printable = (tag != 16).then_some(tag | 0x80);
            [Some(tag), printable].into_iter().flatten()
        })
        .map(|tag| vec![0x2C, tag, 3, b'a', b' ', b'b'])
        .collect();
    let purposes: Vec<u8> = (1..=6).flat_map(|purpose| [4, purpose]).collect();
    let base = Noc::default();
    let mut shapes: Vec<Noc> =
        names.iter().map(|name| base.subject(&[NODE, FABRIC, name])).collect();
    for usage in [1_u16, 0x20, 0x80, 0x100, 0x1FF] {
        let [low, high] = usage.to_le_bytes();
        let key_usage = if high == 0 { vec![0x24, 2, low] } else { vec![0x25, 2, low, high] };
        shapes.push(Noc { key_usage, ..base.clone() });
    }
    shapes.extend([
        Noc { serial: vec![0x7F; 20], ..base.clone() },
        Noc { serial: vec![0, 0x80], ..base.clone() },
        // 2049-12-31, 2050-01-01, and no end.
        Noc { not_before: 0x5E05_9E7F, not_after: 0x5E05_9E80, ..base.clone() },
        Noc { not_before: 0x5E05_9E80, not_after: u32::MAX, ..base.clone() },
        base.subject(&[NODE, FABRIC, &cat(1, 1), &cat(0xFFFF, 2), &cat(7, 0xFFFF)]),
        base.subject(&[&[0x24, 20, 3]]),
        base.subject(&[ICAC, FABRIC]),
        base.subject(&[&[0x24, 18, 3]]),
        base.subject(&[&[0x24, 23, 3]]),
        Noc { basic_constraints: vec![0x35, 1, 0x29, 1, 0x24, 2, 3, 0x18], ..base.clone() },
        Noc { extended_key_usage: [&[0x36, 3][..], &purposes, &[0x18]].concat(), ..base.clone() },
        Noc { extended_key_usage: Vec::new(), authority_key_id: Vec::new(), ..base.clone() },
        base.with(&future(&[0x2A, 3], None)),
        base.with(&future(&[0x2A, 3], Some(0xFF))),
    ]);
    for shape in shapes {
        let mut tlv = shape.encode();
        // Times are written in as few bytes as they need.
        let shortest = |tlv: &mut Vec<u8>, tag: u8, time: u32| {
            if time <= u16::MAX.into() {
                let at = tlv.windows(2).position(|part| part == [0x26, tag]).unwrap();
                tlv[at] = 0x25;
                tlv.drain(at + 4..at + 6);
            }
        };
        shortest(&mut tlv, 4, shape.not_before);
        shortest(&mut tlv, 5, shape.not_after);
        let certificate = Certificate::parse(&tlv).unwrap();
        assert_eq!(import(&x509(&certificate)), Ok(tlv.clone()), "{certificate:?}");
    }
}

#[test]
fn what_tlv_cannot_express_is_refused() {
    let noc = Noc::default().subject(&[NODE, FABRIC, COMMON_NAME]);
    let der = x509(&Certificate::parse(&noc.encode()).unwrap());
    let altered = |from: &[u8], to: &[u8]| {
        let at = der.windows(from.len()).position(|part| part == from).unwrap();
        let mut der = der.clone();
        der[at..at + to.len()].copy_from_slice(to);
        import(&der)
    };
    assert!(import(&der).is_ok());
    // An attribute that Matter does not have: 2.5.4.9, a street.
    assert_eq!(altered(&[0x55, 4, 3], &[0x55, 4, 9]), Err(X509Error::NoMatterForm));
    // A node id in lower case, and one that is no number.
    let node = b"0000000000000007";
    assert_eq!(altered(node, b"000000000000000g"), Err(X509Error::NoMatterForm));
    assert_eq!(altered(node, b"+000000000000007"), Err(X509Error::NoMatterForm));
    // A teletex string; a year before 2000; version 1; SHA-384.
    assert_eq!(altered(&[12, 1, b'x'], &[20, 1, b'x']), Err(X509Error::NoMatterForm));
    assert_eq!(altered(b"000101", b"991231"), Err(X509Error::NoMatterForm));
    assert_eq!(altered(&[0xA0, 3, 2, 1, 2], &[0xA0, 3, 2, 1, 0]), Err(X509Error::NoMatterForm));
    let algorithm = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2];
    let sha384 = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 3];
    assert_eq!(altered(&algorithm, &sha384), Err(CertError::Algorithm.into()));
    // What Matter forbids is said as it is for TLV.
    assert_eq!(altered(node, b"0000000000000000"), Err(CertError::NodeId.into()));
}

#[test]
fn text_and_tlv_are_recognised_where_der_belongs() {
    assert_eq!(import(b"-----BEGIN CERTIFICATE-----\n"), Err(CertError::Text.into()));
    assert_eq!(import(&Noc::default().encode()), Err(X509Error::Der));
    assert_eq!(import(&[]), Err(X509Error::Der));
}

proptest! {
    /// What converts at all converts back to the same bytes.
    #[test]
    fn whatever_converts_converts_back(
        pick in 0_usize..7,
        mutations in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4), 0..4),
    ) {
        let mut der = hex(&matterjs()[pick]["x509"]);
        for (at, value, kind) in mutations {
            let at = at.index(der.len());
            match kind {
                0 => der[at] = value,
                1 => der[at] ^= 1 << (value % 8),
                2 => der.insert(at, value),
                _ => { der.remove(at); }
            }
        }
        if let Ok(tlv) = import(&der) {
            prop_assert_eq!(x509(&Certificate::parse(&tlv).unwrap()), der);
        }
    }
}
