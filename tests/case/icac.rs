//! A peer that sends an intermediate certificate along although the root signed its own.

use matter_session::cert::{
    Certificate, CertificateRequest, Issuer, SerialNumber, TextAttribute, Validity,
};
use matter_session::context::{PeerIdentity, PeerPolicy, Rejected};
use matter_session::crypto::SigningKey;
use matter_session::handshake::HandshakeError;
use matter_session_testing::node::{Did, signing_key};
use matter_session_testing::{BACKEND, Backend, root_key};

use super::identity::{initiator_ephemeral, on_sigma2, on_sigma3};
use super::rig::{Credentials, Rig, Tbe, forge_sigma2, forge_sigma3};
use super::{SIGMA2, SIGMA3};

/// The root of both nodes issued an intermediate authority, but their certificates itself.
fn icac(signer: &mut SigningKey) -> Vec<u8> {
    let root = Certificate::parse(&Rig::full().credentials[0].root).unwrap();
    let validity = Validity::new(root.not_before(), root.not_after()).unwrap();
    let serial = SerialNumber::new(&[5]).unwrap();
    let key = signing_key([3; 32]).public_key();
    CertificateRequest::icac(7, key, serial, validity)
        .text(TextAttribute::OrganizationalUnitName, "jf-anchor-icac")
        .sign(&BACKEND, &mut Issuer::new(&root, signer).unwrap())
        .unwrap()
        .as_slice()
        .to_vec()
}

fn with(own: &Credentials, icac: &[u8]) -> Tbe {
    let mut tbe = Tbe::honest(own);
    (tbe.icac, tbe.signed_icac) = (Some(icac.to_vec()), Some(icac.to_vec()));
    tbe
}

#[test]
fn a_noc_that_the_root_signed_is_accepted_beside_an_unused_icac() {
    let icac = icac(&mut signing_key(root_key()));
    let [initiator, responder] = &Rig::full().credentials;
    on_sigma2(&with(responder, &icac)).sent(SIGMA3);
    on_sigma3(&with(initiator, &icac)).established();
}

/// Nothing vouches for it, so the application must not base a decision on it.
#[test]
fn an_unused_icac_is_not_given_to_the_application() {
    struct SeesNone;
    impl PeerPolicy for SeesNone {
        fn authorize(&self, peer: &PeerIdentity<'_>) -> Result<(), Rejected> {
            let certificates = peer.certificates.unwrap();
            assert!(certificates.icac().is_none());
            Ok(())
        }
    }
    // The forger signed it with a key of its own.
    let mut forged = icac(&mut signing_key(root_key()));
    let at = forged.len() - 10;
    forged[at] ^= 1;
    let rig = Rig::full();
    let [initiator, responder] = &rig.credentials;
    let tbe = with(responder, &forged);
    let sigma2 = forge_sigma2(&responder.ipk, &rig.messages[0].1, &tbe);
    let mut party = rig.receiver(1);
    party.policy = Some(&SeesNone);
    party.feed(SIGMA2, &sigma2).sent(SIGMA3);
    assert!(party.kept.kept[..].iter().all(|(_, icac, _)| icac.is_none()));
    assert_eq!(party.kept.kept.len(), 1);

    let sigma = [&rig.messages[0].1[..], &rig.messages[1].1];
    let sigma3 = forge_sigma3(rig, &initiator_ephemeral(), sigma, &with(initiator, &forged));
    let mut party = rig.receiver(2);
    party.policy = Some(&SeesNone);
    party.feed(SIGMA3, &sigma3).established();
    assert!(party.kept.kept[..].iter().all(|(_, icac, _)| icac.is_none()));
    assert_eq!(party.kept.kept.len(), 1);
}

/// It is part of what the peer signs, used or not.
#[test]
fn an_unused_icac_that_the_peer_did_not_sign_is_refused() {
    let icac = icac(&mut signing_key(root_key()));
    let [initiator, responder] = &Rig::full().credentials;
    let added = |own: &Credentials| Tbe { signed_icac: None, ..with(own, &icac) };
    let refused = |did: Did<Backend>| assert_eq!(did.error(), HandshakeError::WrongSignature);
    refused(on_sigma2(&added(responder)));
    refused(on_sigma3(&added(initiator)));
}
