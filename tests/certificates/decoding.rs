//! What no certificate may be, each refusal by its name.

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
    assert_eq!(Noc::default().subject(&[NODE, FABRIC, FABRIC]).parse(), Err(CertError::FabricId));
}

#[test]
fn fabric_id_zero_is_refused() {
    assert_eq!(Noc::default().subject(&[NODE, &[0x24, 21, 0]]).parse(), Err(CertError::FabricId));
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
    let usage = |bits: u16| {
        let [low, high] = bits.to_le_bytes();
        Noc { key_usage: vec![0x25, 2, low, high], ..Noc::default() }
    };
    assert_eq!(usage(0x0200).parse(), Err(CertError::KeyUsage));
    assert_eq!(usage(0x01FF).parse(), Ok(()));
    let purpose = vec![0x36, 3, 0x04, 7, 0x18];
    let noc = Noc { extended_key_usage: purpose, ..Noc::default() };
    assert_eq!(noc.parse(), Err(CertError::KeyUsage));
}

#[test]
fn basic_constraints_have_two_members_at_most() {
    let constraints = |members: &[u8]| Noc {
        basic_constraints: [&[0x35, 1], members, &[0x18]].concat(),
        ..Noc::default()
    };
    assert_eq!(constraints(&[0x28, 1, 0x24, 2, 0]).parse(), Ok(()));
    assert!(matches!(constraints(&[0x28, 1, 0x24, 3, 0]).parse(), Err(CertError::Encoding(_))));
    let three = constraints(&[0x28, 1, 0x24, 2, 0, 0x24, 3, 0]);
    assert!(matches!(three.parse(), Err(CertError::Encoding(_))));
}

#[test]
fn a_usage_of_nothing_is_a_bit_string_without_bits() {
    let octets = Noc { key_usage: vec![0x24, 2, 0], ..Noc::default() }.encode();
    let der = x509(&Certificate::parse(&octets).unwrap());
    // The identifier of the extension, that it is critical, and its value.
    let usage = [0x06, 3, 0x55, 0x1D, 0x0F, 1, 1, 0xFF, 4, 3, 3, 1, 0];
    assert!(der.windows(usage.len()).any(|part| part == usage));
}

#[test]
fn public_keys_are_uncompressed_points() {
    let octets = Noc::default().encode();
    let key = hex(&matterjs()[0]["subjectPublicKey"]);
    let at = octets.windows(key.len()).position(|part| part == key).unwrap();
    for form in [0, 2, 3, 5] {
        let mut other = octets.clone();
        other[at] = form;
        assert_eq!(Certificate::parse(&other).map(drop), Err(CertError::PublicKey));
    }
}

#[test]
fn a_root_issues_itself_and_others_do_not() {
    for (name, issues_itself) in [("A/root", true), ("A/noc-initiator", false), ("B/icac", false)] {
        let octets = tlv(name);
        assert_eq!(Certificate::parse(&octets).unwrap().is_self_issued(), issues_itself, "{name}");
    }
}

#[test]
fn a_buffer_of_a_certificate_holds_its_octets() {
    let (one, other) = (tlv("A/root"), tlv("B/icac"));
    let buf = CertificateBuf::try_from(&one[..]).unwrap();
    assert_eq!((buf.as_slice(), buf.as_ref(), buf.len()), (&one[..], &one[..], one.len()));
    assert_eq!(buf, CertificateBuf::from(&Certificate::parse(&one).unwrap()));
    assert_ne!(buf, CertificateBuf::try_from(&other[..]).unwrap());
    assert!(!buf.is_empty());
    assert!(CertificateBuf::new().is_empty());
    let long = CertificateBuf::try_from(&[0; MAX_CERT_LEN + 1][..]);
    assert_eq!(long, Err(CertError::TooLong));
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
fn serial_numbers_are_not_empty() {
    for (len, fits) in [(0, false), (1, true), (20, true), (21, true), (60, true)] {
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
    assert_eq!(Certificate::parse(&octets).err(), Some(CertError::TrailingBytes));
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
fn certificates_have_400_octets_at_most_and_600_in_x509() {
    assert_eq!(Certificate::parse(&[0x15; MAX_CERT_LEN + 1]).err(), Some(CertError::TooLong));
    assert_ne!(Certificate::parse(&[0x15; MAX_CERT_LEN]).err(), Some(CertError::TooLong));
    assert!(CertificateBuf::try_from(&[0; MAX_CERT_LEN][..]).is_ok());
    assert_eq!(CertificateBuf::try_from(&[0; MAX_CERT_LEN + 1][..]), Err(CertError::TooLong));
    let noc = |len: u8| {
        let mut text = vec![0x2C, 1, len];
        text.extend(vec![b'x'; usize::from(len)]);
        Noc::default().subject(&[NODE, FABRIC, &text]).encode()
    };
    let longest = (0..=150).rev().find(|len| Certificate::parse(&noc(*len)).is_ok()).unwrap();
    assert_eq!(x509(&Certificate::parse(&noc(longest)).unwrap()).len(), 600);
    assert!(noc(longest + 1).len() < MAX_CERT_LEN);
    assert_eq!(Certificate::parse(&noc(longest + 1)).err(), Some(CertError::TooLong));
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
