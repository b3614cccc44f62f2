//! Calls that an application may make, and that must not cost it what the library promises.

use std::collections::BTreeMap;

use matter_session::cert::{
    CertificateBuf, CertificateRequest, ChainFault, ChainPolicy, IssueError, Issuer, NoCache,
    Profile, SerialNumber, TextAttribute, Validity, verify_chain, verify_root,
};
use matter_session::check_in::{CheckIn, IcdCounter, KeyUsedUp, RegisteredKey};
use matter_session::crypto::{
    Passcode, PbkdfParameters, RustCrypto, Secret, SigningKey, StoreFirst, Verifier,
};
use matter_session::ids::{FabricId, NodeId};
use matter_session::time::{MatterTime, WallClock};
use matter_session_testing::rng::Dice;
use proptest::prelude::*;

/// What was sealed under one nonce.
type Sealed = BTreeMap<Vec<u8>, Vec<u8>>;

fn check_in<'a>(icd: &mut IcdCounter, data: &'a [u8]) -> CheckIn<'a> {
    loop {
        match icd.check_in(data) {
            Ok(check_in) => return check_in,
            Err(StoreFirst { bound }) => icd.stored(bound),
        }
    }
}

/// Seals, and fails if the nonce was used for another text.
fn seal(icd: &mut IcdCounter, key: &RegisteredKey, data: &[u8], sealed: &mut Sealed) -> bool {
    let mut out = [0; 160];
    let Ok(len) = check_in(icd, data).write_payload(&RustCrypto, key, &mut out) else {
        return false;
    };
    let (nonce, text) = out[..len].split_at(13);
    if let Some(former) = sealed.insert(nonce.to_vec(), text.to_vec()) {
        assert_eq!(former, text, "two texts under one nonce");
    }
    true
}

/// A client registers with a key that it has registered before, after the counter has skipped
/// nearly all values.
#[test]
fn a_key_that_is_registered_again_repeats_no_nonce() {
    for skips in 0..4 {
        let mut icd = IcdCounter::restored(5, 100);
        let key = || Secret::new([7; 16]);
        let mut sealed = Sealed::new();
        let mut registered = vec![icd.register(key(), &[]).unwrap()];
        for n in 0..10 {
            assert!(seal(&mut icd, &registered[0], &[n; 2], &mut sealed));
        }
        for _ in 0..skips {
            icd.invalidate_all();
        }
        let again = icd.register(key(), &registered);
        assert_eq!(again.is_err(), skips > 0, "{skips} times");
        if let Ok(again) = again {
            registered.push(again);
        }
        for (n, key) in (100..110).zip(registered.iter().cycle()) {
            let fits = seal(&mut icd, key, &[n; 2], &mut sealed);
            assert_eq!(fits, skips == 0, "{skips} times");
        }
        let other = icd.register(Secret::new([8; 16]), &registered).unwrap();
        assert!(seal(&mut icd, &other, &[1; 2], &mut sealed));
    }
}

#[test]
fn a_used_up_key_stays_used_up() {
    let mut icd = IcdCounter::restored(5, 100);
    let key = || Secret::new([7; 16]);
    let registered = [icd.register(key(), &[]).unwrap()];
    icd.invalidate_half();
    assert_eq!(icd.register(key(), &registered).as_ref(), Ok(&registered[0]));
    icd.invalidate_half();
    icd.invalidate_half();
    assert_eq!(icd.register(key(), &registered), Err(KeyUsedUp));
    let stored = RegisteredKey::from_bytes(registered[0].to_bytes().as_bytes()).unwrap();
    assert_eq!(icd.register(key(), &[stored]), Err(KeyUsedUp));
}

/// `L` tells passcodes apart as `w0` does.
#[test]
fn verifiers_differ_by_either_part() {
    let pbkdf = PbkdfParameters::new(1000, &[7; 16]).unwrap();
    let [one, two] = [20_202_021, 20_202_022].map(|code| {
        let passcode = Passcode::new(code).unwrap();
        Verifier::generate(&RustCrypto, &passcode, &pbkdf).unwrap()
    });
    let mixed = |w0: &Verifier, l: &Verifier| {
        let mut bytes = *w0.to_bytes().as_bytes();
        bytes[32..].copy_from_slice(&l.to_bytes().as_bytes()[32..]);
        Verifier::from_bytes(&bytes).unwrap()
    };
    assert_eq!(one, mixed(&one, &one));
    for other in [mixed(&one, &two), mixed(&two, &one), two.clone()] {
        assert_ne!(one, other);
    }
}

/// The terms that an issuer can get wrong.
#[derive(Clone, Copy, Debug)]
struct Terms {
    fabric: Option<u64>,
    path_length: Option<u8>,
    from: u32,
    to: Option<u32>,
    text: Option<(TextAttribute, &'static str)>,
}

fn terms() -> impl Strategy<Value = Terms> {
    let text = prop_oneof![
        4 => Just(None),
        1 => prop::sample::select(vec![
            Some((TextAttribute::CommonName, "")),
            Some((TextAttribute::CommonName, "Küche")),
            Some((TextAttribute::DomainComponent, "kitchen")),
            Some((TextAttribute::DomainComponent, "Küche")),
            Some((TextAttribute::CountryName, "É")),
        ]),
    ];
    let fabric = prop_oneof![3 => Just(None), 1 => (1..3_u64).prop_map(Some)];
    let path_length = prop_oneof![3 => Just(None), 1 => (0..4_u8).prop_map(Some)];
    let to = prop_oneof![2 => Just(None), 1 => (50..150_u32).prop_map(Some)];
    (fabric, path_length, 1..60_u32, to, text).prop_map(|(fabric, path_length, from, to, text)| {
        Terms { fabric, path_length, from, to, text }
    })
}

impl Terms {
    fn validity(&self) -> Option<Validity> {
        let time = MatterTime::from_seconds;
        Validity::new(time(self.from), self.to.map(time))
    }

    fn apply<'a>(&self, mut request: CertificateRequest<'a>) -> CertificateRequest<'a> {
        if let Some(fabric) = self.fabric {
            request = request.fabric_id(FabricId::new(fabric).unwrap());
        }
        if let Some(path_length) = self.path_length {
            request = request.path_length(path_length);
        }
        if let Some((attribute, text)) = self.text {
            request = request.text(attribute, text);
        }
        request
    }
}

fn keys() -> [SigningKey; 3] {
    let mut dice = Dice::new(23);
    [(); 3].map(|()| SigningKey::generate(&mut dice).unwrap())
}

fn root(terms: &Terms) -> Option<Result<CertificateBuf, IssueError>> {
    let [mut key, ..] = keys();
    let serial = SerialNumber::new(&[1]).unwrap();
    let request = CertificateRequest::rcac(1, key.public_key(), serial, terms.validity()?);
    Some(terms.apply(request).self_sign(&RustCrypto, &mut key))
}

fn below(
    issuer: &CertificateBuf,
    issuer_key: usize,
    icac: bool,
    terms: &Terms,
) -> Option<Result<CertificateBuf, IssueError>> {
    let mut keys = keys();
    let public = keys[if icac { 1 } else { 2 }].public_key();
    let (serial, validity) = (SerialNumber::new(&[2]).unwrap(), terms.validity()?);
    let request = if icac {
        terms.apply(CertificateRequest::icac(2, public, serial, validity))
    } else {
        let fabric = FabricId::new(terms.fabric.unwrap_or(1)).unwrap();
        let request = CertificateRequest::noc(NodeId::new(9), fabric, public, serial, validity);
        Terms { path_length: None, ..*terms }.apply(request)
    };
    let issuer = issuer.certificate().unwrap();
    let mut issuer = Issuer::new(&issuer, &mut keys[issuer_key]).unwrap();
    Some(request.sign(&RustCrypto, &mut issuer))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is signed is accepted, from the first second of the node's certificate to the last.
    #[test]
    fn certificates_that_are_signed_are_accepted(
        of_root in terms(),
        of_icac in prop::option::of(terms()),
        of_node in terms(),
    ) {
        let Some(Ok(rcac)) = root(&of_root) else { return Ok(()) };
        let rcac_view = rcac.certificate().unwrap();
        prop_assert_eq!(verify_root(&RustCrypto, &rcac_view, Profile::STRICT), Ok(()));
        let icac = match of_icac.map(|of_icac| below(&rcac, 0, true, &of_icac)) {
            None => None,
            Some(Some(Ok(icac))) => Some(icac),
            Some(_) => return Ok(()),
        };
        let (issuer, key) = icac.as_ref().map_or((&rcac, 0), |icac| (icac, 1));
        let Some(Ok(noc)) = below(issuer, key, false, &of_node) else { return Ok(()) };
        let icac = icac.as_ref().map(|icac| icac.certificate().unwrap());
        let noc = noc.certificate().unwrap();
        let ends = of_node.to.unwrap_or(u32::MAX);
        for now in [of_node.from, of_node.from.midpoint(ends), ends] {
            let policy = ChainPolicy::new(WallClock::Known(MatterTime::from_seconds(now)));
            let verified =
                verify_chain(&RustCrypto, &noc, icac.as_ref(), &rcac_view, &policy, &mut NoCache);
            prop_assert!(verified.is_ok(), "{verified:?} at {now}");
        }
    }
}

#[test]
fn an_issuer_says_what_is_wrong_with_a_request() {
    let plain = Terms { fabric: None, path_length: None, from: 10, to: Some(100), text: None };
    let chain = |fault| Some(IssueError::Chain(fault));
    let long = Terms { path_length: Some(2), ..plain };
    assert_eq!(root(&long).unwrap().err(), chain(ChainFault::PathLength));
    let text = |attribute, text| Terms { text: Some((attribute, text)), ..plain };
    for bad in [
        text(TextAttribute::CommonName, ""),
        text(TextAttribute::DomainComponent, "Küche"),
        text(TextAttribute::CountryName, "É"),
    ] {
        assert_eq!(root(&bad).unwrap().err(), Some(IssueError::Text), "{bad:?}");
    }
    assert!(root(&text(TextAttribute::CommonName, "Küche")).unwrap().is_ok());

    let of_fabric =
        root(&Terms { fabric: Some(1), path_length: Some(0), ..plain }).unwrap().unwrap();
    assert_eq!(below(&of_fabric, 0, true, &plain).unwrap().err(), chain(ChainFault::PathLength));
    let foreign = Terms { fabric: Some(2), ..plain };
    assert_eq!(below(&of_fabric, 0, false, &foreign).unwrap().err(), chain(ChainFault::FabricId));

    // The fabric of the root binds whom an intermediate authority may admit.
    let of_fabric = root(&Terms { fabric: Some(1), ..plain }).unwrap().unwrap();
    let icac = below(&of_fabric, 0, true, &plain).unwrap().unwrap();
    assert_eq!(below(&icac, 1, false, &foreign).unwrap().err(), chain(ChainFault::FabricId));

    let outside = Some(IssueError::Validity);
    for (from, to) in [(9, Some(100)), (10, Some(101)), (10, None), (101, Some(102))] {
        let issued = below(&of_fabric, 0, false, &Terms { from, to, ..plain });
        assert_eq!(issued.unwrap().err(), outside, "{from} to {to:?}");
    }
}
