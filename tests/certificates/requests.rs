//! Certificate signing requests, and the NOCSR elements.

use super::*;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use matter_session::bytes::Buffer;
use matter_session::cert::{CsrError, MAX_CSR_LEN, NocsrElements, verify_csr, write_csr};
use matter_session::crypto::{OperationalKey, PublicKey, Secret, SignError, Signature, SigningKey};
use matter_session::tlv::{TlvError, Writer};

/// Made by OpenSSL 3.0 for the key below, with `-subj /O=CSR`.
const OPENSSL: &str = "3081c93070020100300e310c300a060355040a0c034353523059301306072a8648ce3d0201\
    06082a8648ce3d0301070342000449efae190709d76e4a2587fbba8ae511bc7bd358e329cab153f6094fc31d4f845f6\
    ea49b3f62bffbe87e681626d64220c1f3775564892f570336d0691f19f4f5a000300a06082a8648ce3d040302034900\
    30460221009a7b6191a2e10f804ad9257f5721f6164caaae5a76da7df8f63d4cc299dca485022100c73bd2e0beae692\
    b5db0cc5971bf4a16c772ef6f0250f7cecbebbc7f97f6f44f";

/// The same, with `-subj /C=DE/O=Lamp/CN=x -addext keyUsage=digitalSignature`.
const OPENSSL_WITH_EXTENSION: &str = "308201013081a80201003028310b3009060355040613024445310d300b0603\
    55040a0c044c616d70310a300806035504030c01783059301306072a8648ce3d020106082a8648ce3d0301070342000\
    449efae190709d76e4a2587fbba8ae511bc7bd358e329cab153f6094fc31d4f845f6ea49b3f62bffbe87e681626d642\
    20c1f3775564892f570336d0691f19f4f5a01e301c06092a864886f70d01090e310f300d300b0603551d0f040403020\
    780300a06082a8648ce3d0403020348003045022100e99964a71990899159a789a5dd0a716856ea6aa7cd3ca4acd0c9\
    b429aee655a802201a7b9456260e66b541bf49acd18e4a05b7ae4d1e79ce29b1f6186ed5bd7dd0e0";

fn bytes(text: &str) -> Vec<u8> {
    hex(&Value::from(text))
}

fn openssl_key() -> SigningKey {
    let scalar = bytes("88c646f3d19590d3f36428d6292c535d28d5603f4a86692d7fd1cc1ff2fb1103");
    SigningKey::from_bytes(&Secret::new(scalar.try_into().unwrap())).unwrap()
}

fn written(
    public: &PublicKey,
    key: &mut dyn OperationalKey,
    room: usize,
) -> Result<Vec<u8>, CsrError> {
    let mut bytes = vec![0; room];
    let mut buffer = Buffer::new(&mut bytes);
    write_csr(&BACKEND, public, key, &mut buffer)?;
    Ok(buffer.into_written().to_vec())
}

#[test]
fn requests_of_openssl_prove_the_key_that_they_name() {
    let key = openssl_key().public_key();
    for request in [OPENSSL, OPENSSL_WITH_EXTENSION] {
        assert_eq!(verify_csr(&BACKEND, &bytes(request)), Ok(key));
    }
}

/// All that is signed, and its place, is as OpenSSL writes it.
#[test]
fn a_request_is_that_of_openssl_but_for_the_signature() {
    let mut key = openssl_key();
    let ours = written(&key.public_key(), &mut key, MAX_CSR_LEN).unwrap();
    let theirs = bytes(OPENSSL);
    assert_eq!(ours[3..3 + 114], theirs[3..3 + 114], "what is signed");
    assert_eq!(ours[117..129], theirs[117..129], "the algorithm");
    assert_eq!(verify_csr(&BACKEND, &ours), Ok(key.public_key()));
}

/// The longest signature takes all the room, and one byte less is refused.
#[test]
fn a_request_has_204_bytes_at_most() {
    struct Fixed(u8);
    impl OperationalKey for Fixed {
        fn sign_digest(&mut self, _: &[u8; 32]) -> Result<Signature, SignError> {
            Ok(Signature::new([self.0; 64]))
        }
    }
    let public = openssl_key().public_key();
    assert_eq!(written(&public, &mut Fixed(0xFF), MAX_CSR_LEN).unwrap().len(), MAX_CSR_LEN);
    assert_eq!(written(&public, &mut Fixed(0x7F), MAX_CSR_LEN).unwrap().len(), MAX_CSR_LEN - 2);
    let error = written(&public, &mut Fixed(0xFF), MAX_CSR_LEN - 1).unwrap_err();
    assert!(matches!(error, CsrError::Overflow(_)));

    struct Absent;
    impl OperationalKey for Absent {
        fn sign_digest(&mut self, _: &[u8; 32]) -> Result<Signature, SignError> {
            Err(SignError)
        }
    }
    let error = written(&public, &mut Absent, MAX_CSR_LEN).unwrap_err();
    assert_eq!(error, CsrError::Sign(SignError));
}

#[test]
fn every_flipped_bit_of_a_request_spoils_it() {
    for request in [OPENSSL, OPENSSL_WITH_EXTENSION] {
        let good = bytes(request);
        for bit in 0..8 * good.len() {
            let mut altered = good.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(verify_csr(&BACKEND, &altered).is_err(), "bit {bit}");
        }
        for len in 0..good.len() {
            assert_eq!(verify_csr(&BACKEND, &good[..len]), Err(CsrError::Der), "cut at {len}");
        }
        let longer = [&good[..], &[0]].concat();
        assert_eq!(verify_csr(&BACKEND, &longer), Err(CsrError::Der));
    }
}

/// An element of DER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match content.len() {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&head[..], content].concat()
}

#[test]
fn a_request_whose_signature_is_not_der_is_refused() {
    let good = bytes(OPENSSL_WITH_EXTENSION);
    let signed = good.len() - 74; // without the BIT STRING at the end
    let (r, s) = (&good[good.len() - 66..][..32], &good[good.len() - 32..]);
    let request = |r: &[u8], s: &[u8]| {
        let numbers = element(0x30, &[element(2, r), element(2, s)].concat());
        let bits = element(3, &[&[0][..], &numbers].concat());
        element(0x30, &[&good[4..signed], &bits].concat())
    };
    let with_zero = |number: &[u8]| [&[0][..], number].concat();
    assert_eq!(request(&with_zero(r), s), good);
    for (what, r, s) in [
        ("negative", r.to_vec(), s.to_vec()),
        ("not minimal", with_zero(r), with_zero(s)),
        ("not minimal either", with_zero(&with_zero(r)), s.to_vec()),
        ("small and not minimal", vec![0, 5], s.to_vec()),
        ("empty", vec![], s.to_vec()),
        ("empty", with_zero(r), vec![]),
        ("too long", [&[1], r].concat(), s.to_vec()),
    ] {
        assert_eq!(verify_csr(&BACKEND, &request(&r, &s)), Err(CsrError::Der), "{what}");
    }
    for number in [&[0][..], &[5]] {
        let refused = verify_csr(&BACKEND, &request(number, s));
        assert_eq!(refused, Err(CsrError::Signature), "short, and of another signature");
    }
}

#[test]
fn a_request_signed_with_another_key_is_refused() {
    let mut other = SigningKey::generate(&mut UnwrapErr(SysRng)).unwrap();
    let request = written(&openssl_key().public_key(), &mut other, MAX_CSR_LEN).unwrap();
    assert_eq!(verify_csr(&BACKEND, &request), Err(CsrError::Signature));
}

#[test]
fn keys_and_signatures_of_other_algorithms_are_refused_as_such() {
    let good = bytes(OPENSSL);
    let place = |oid: &[u8]| good.windows(oid.len()).position(|part| part == oid).unwrap();
    // ECDSA with SHA-384; the curve with another number; a key of another kind.
    for (oid, at) in [
        (&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2][..], 7),
        (&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7], 7),
        (&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1], 6),
    ] {
        let mut other = good.clone();
        other[place(oid) + at] += 1;
        assert_eq!(verify_csr(&BACKEND, &other), Err(CsrError::Algorithm));
    }
}

#[test]
fn elements_are_read_as_they_were_written() {
    let csr = bytes(OPENSSL);
    for reserved in [[None; 3], [Some(&[1, 2][..]), None, Some(&[][..])], [Some(&[9; 40][..]); 3]] {
        let elements = NocsrElements { csr: &csr, csr_nonce: &[7; 32], vendor_reserved: reserved };
        let mut bytes = [0; 600];
        let mut writer = Writer::new(Buffer::new(&mut bytes));
        elements.write(&mut writer).unwrap();
        let written = writer.into_sink().into_written();
        let read = NocsrElements::parse(written).unwrap();
        assert_eq!(read.csr, csr);
        assert_eq!(read.csr_nonce, &[7; 32]);
        assert_eq!(read.vendor_reserved, reserved);
        for len in 0..written.len() {
            assert!(NocsrElements::parse(&written[..len]).is_err(), "cut at {len}");
        }
        for behind in [&[0][..], &[0x14], &[0x18], &[0x15, 0x18]] {
            let longer = [written, behind].concat();
            let refused = NocsrElements::parse(&longer).map(|_| ());
            assert_eq!(refused, Err(TlvError::Malformed), "{behind:?} behind the structure");
        }
    }
}

#[test]
fn elements_have_the_bytes_that_the_specification_gives_them() {
    let elements =
        NocsrElements { csr: &[0xAA, 0xBB], csr_nonce: &[0xCC; 32], vendor_reserved: [None; 3] };
    let mut bytes = [0; 64];
    let mut writer = Writer::new(Buffer::new(&mut bytes));
    elements.write(&mut writer).unwrap();
    // structure { 1: bytes of length 2, 2: bytes of length 32 }
    let expected =
        [&[0x15, 0x30, 1, 2, 0xAA, 0xBB, 0x30, 2, 32][..], &[0xCC; 32], &[0x18]].concat();
    assert_eq!(writer.into_sink().into_written(), expected);
    // A nonce of another length is none.
    let mut short = expected.clone();
    short[8] = 31;
    short.remove(9);
    assert!(NocsrElements::parse(&short).is_err());
    // What the attestation key signs: SHA-256 of the elements and then the challenge.
    use sha2::Digest;
    let challenge = [0x5A; 16];
    let plain = sha2::Sha256::digest([&expected[..], &challenge].concat());
    assert_eq!(NocsrElements::digest(&BACKEND, &expected, &challenge)[..], plain[..]);
}
