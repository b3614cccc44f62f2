//! AES-CCM of the default backend beside the crate `ccm`, alone and in batches. Every test runs
//! with whatever `aes` finds in the processor, and without by `--cfg aes_backend="soft"`.

use ccm::KeyInit;
use ccm::aead::AeadInOut;
use ccm::consts::{U13, U16};
use matter_session::crypto::{
    Aead, AesCcm, Cipher, CompactRustCrypto, CryptoError, OpenJob, OpenNonce, PrivacyNonce,
    RustCrypto, SealJob, SealNonce, Secret, TRIAL_LEN,
};
use matter_session::ids::GroupSessionId;
use matter_session_testing::vectors::wycheproof;
use matter_session_testing::{array, hex, list};
use proptest::prelude::*;

type Oracle = ccm::Ccm<aes::Aes128Enc, U16, U13>;

/// A message and how the oracle seals it.
#[derive(Clone, Debug)]
struct Case {
    key: [u8; 16],
    nonce: [u8; 13],
    aad: Vec<u8>,
    text: Vec<u8>,
    sealed: Vec<u8>,
    mic: [u8; 16],
}

impl Case {
    fn new(key: [u8; 16], nonce: [u8; 13], aad: Vec<u8>, text: Vec<u8>) -> Self {
        let mut sealed = text.clone();
        let mic = Oracle::new(&key.into())
            .encrypt_inout_detached(&nonce.into(), &aad, sealed[..].as_mut().into())
            .unwrap()
            .into();
        Self { key, nonce, aad, text, sealed, mic }
    }

    fn of_lengths(text: usize, aad: usize) -> Self {
        let octets = |len, factor: usize| (1..=len).map(|n| (n * factor) as u8).collect();
        Self::new([text as u8 ^ 0xA5; 16], [aad as u8; 13], octets(aad, 3), octets(text, 7))
    }

    fn seal_nonce(&self) -> SealNonce {
        SealNonce::dangerous_from_bytes(&self.nonce)
    }

    fn open_nonce(&self) -> OpenNonce {
        OpenNonce::dangerous_from_bytes(&self.nonce)
    }

    fn ready(&self) -> AesCcm {
        RustCrypto.aead(&Secret::new(self.key))
    }

    /// Seals and opens as the oracle does.
    fn check(&self, key: &impl Aead) {
        let mut octets = self.text.clone();
        let mic = key.seal(self.seal_nonce(), &self.aad, &mut octets).unwrap();
        assert_eq!((&octets, mic), (&self.sealed, self.mic));
        key.open(self.open_nonce(), &self.aad, &mut octets, &mic).unwrap();
        assert_eq!(octets, self.text);
        octets.clone_from(&self.sealed);
        key.open_by_trial(self.open_nonce(), &self.aad, &mut octets, &mic).unwrap();
        assert_eq!(octets, self.text);
    }

    /// Is not opened, and nothing of what it would have been is left.
    fn check_refused(&self) {
        let mut octets = self.sealed.clone();
        let opened = self.ready().open(self.open_nonce(), &self.aad, &mut octets, &self.mic);
        assert_eq!(opened, Err(CryptoError::Unauthentic));
        assert!(octets.iter().all(|octet| *octet == 0));
        octets.clone_from(&self.sealed);
        let opened =
            self.ready().open_by_trial(self.open_nonce(), &self.aad, &mut octets, &self.mic);
        assert_eq!((opened, &octets), (Err(CryptoError::Unauthentic), &self.sealed));
    }

    /// Flips the bit of this number, counted through code, associated data and text.
    fn flip(&mut self, bit: usize) {
        let mut octets = self.mic.iter_mut().chain(&mut self.aad).chain(&mut self.sealed);
        *octets.nth(bit / 8).unwrap() ^= 1 << (bit % 8);
    }

    fn bits(&self) -> usize {
        8 * (self.mic.len() + self.aad.len() + self.sealed.len())
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let octets = |len| prop::collection::vec(any::<u8>(), 0..=len);
    (any::<[u8; 16]>(), any::<[u8; 13]>(), octets(64), octets(1300))
        .prop_map(|(key, nonce, aad, text)| Case::new(key, nonce, aad, text))
}

#[test]
fn every_length_is_sealed_and_opened_as_by_ccm() {
    for text in 0..=1300 {
        let case = Case::of_lengths(text, text % 65);
        case.check(&case.ready());
    }
    for aad in 0..=64 {
        for text in 0..=33 {
            let case = Case::of_lengths(text, aad);
            case.check(&case.ready());
            case.check(&CompactRustCrypto.aead(&Secret::new(case.key)));
        }
    }
}

#[test]
fn the_longest_texts_are_taken_and_longer_ones_refused() {
    for (text, aad) in [(65_519, 8), (65_520, 8), (65_521, 0), (65_535, 8), (0, 0xFEFF)] {
        let case = Case::of_lengths(text, aad);
        case.check(&case.ready());
    }
    for (text, aad) in [(65_536, 0), (70_000, 8), (0, 0xFF00)] {
        let (key, mut text, aad) = (Secret::new([1; 16]), vec![0; text], vec![0; aad]);
        let key = RustCrypto.aead(&key);
        let (seal, open) =
            (SealNonce::dangerous_from_bytes(&[2; 13]), OpenNonce::dangerous_from_bytes(&[2; 13]));
        assert_eq!(key.seal(seal, &aad, &mut text), Err(CryptoError::TooLong));
        assert_eq!(key.open(open, &aad, &mut text, &[0; 16]), Err(CryptoError::TooLong));
        let (mut short, seal) = ([0; 40], SealNonce::dangerous_from_bytes(&[2; 13]));
        let mut jobs = [
            SealJob::new(&key, seal, &aad, &mut text),
            SealJob::new(&key, SealNonce::dangerous_from_bytes(&[3; 13]), &[], &mut short),
        ];
        RustCrypto.seal_batch(&mut jobs);
        assert_eq!(jobs[0].result(), Err(CryptoError::TooLong));
        assert!(jobs[1].result().is_ok());
        let mut jobs = [OpenJob::new(&key, open, &aad, &mut text, &[0; 16])];
        RustCrypto.open_batch(&mut jobs);
        assert_eq!(jobs[0].result(), Err(CryptoError::TooLong));
    }
}

#[test]
fn wycheproof_aes_ccm() {
    for v in list(&wycheproof()["tests"], 6) {
        assert_eq!(v["result"], "valid");
        let (id, aad, tag) = (&v["tcId"], hex(&v["aad"]), hex(&v["tag"]));
        let key = RustCrypto.aead(&Secret::new(array(&v["key"])));
        let nonce: [u8; 13] = array(&v["iv"]);
        let mut octets = hex(&v["ct"]);
        let opened = key.open(
            OpenNonce::dangerous_from_bytes(&nonce),
            &aad,
            &mut octets,
            tag[..].try_into().unwrap(),
        );
        assert_eq!((opened, &octets), (Ok(()), &hex(&v["msg"])), "test {id}");
        let mic = key.seal(SealNonce::dangerous_from_bytes(&nonce), &aad, &mut octets);
        assert_eq!(mic.unwrap()[..], tag[..], "test {id}");
        assert_eq!(octets, hex(&v["ct"]), "test {id}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_are_sealed_and_opened_as_by_ccm(case in cases(), bit in any::<prop::sample::Index>()) {
        case.check(&case.ready());
        let mut forged = case.clone();
        forged.flip(bit.index(case.bits()));
        forged.check_refused();
    }

    /// Any number of messages of any lengths, under one key or several, some of them forged.
    #[test]
    fn batches_are_what_their_messages_are_alone(
        cases in prop::collection::vec((cases(), prop::option::of(any::<prop::sample::Index>())), 0..10),
        one_key in any::<bool>(),
    ) {
        let keys: Vec<_> = cases.iter().map(|(case, _)| case.ready()).collect();
        let key = |n: usize| if one_key { &keys[0] } else { &keys[n] };
        let cases: Vec<_> = cases
            .iter()
            .map(|(case, forged)| {
                let key = if one_key { cases[0].0.key } else { case.key };
                let case = Case::new(key, case.nonce, case.aad.clone(), case.text.clone());
                let bit = forged.map(|bit| bit.index(case.bits()));
                (case, bit)
            })
            .collect();

        let mut texts: Vec<_> = cases.iter().map(|(case, _)| case.text.clone()).collect();
        let mut jobs: Vec<_> = (cases.iter().zip(&mut texts).enumerate())
            .map(|(n, ((case, _), text))| SealJob::new(key(n), case.seal_nonce(), &case.aad, text))
            .collect();
        RustCrypto.seal_batch(&mut jobs);
        let mics: Vec<_> = jobs.iter().map(SealJob::result).collect();
        for (((case, _), text), mic) in cases.iter().zip(&texts).zip(mics) {
            prop_assert_eq!((text, mic), (&case.sealed, Ok(case.mic)));
        }

        let received: Vec<_> = cases
            .iter()
            .map(|(case, bit)| {
                let mut received = case.clone();
                bit.iter().for_each(|bit| received.flip(*bit));
                received
            })
            .collect();
        let mut texts: Vec<_> = received.iter().map(|case| case.sealed.clone()).collect();
        let mut jobs: Vec<_> = (received.iter().zip(&mut texts).enumerate())
            .map(|(n, (case, text))| {
                OpenJob::new(key(n), case.open_nonce(), &case.aad, text, &case.mic)
            })
            .collect();
        RustCrypto.open_batch(&mut jobs);
        let results: Vec<_> = jobs.iter().map(OpenJob::result).collect();
        for (((case, forged), text), result) in cases.iter().zip(&texts).zip(results) {
            if forged.is_some() {
                prop_assert_eq!(result, Err(CryptoError::Unauthentic));
                prop_assert!(text.iter().all(|octet| *octet == 0));
            } else {
                prop_assert_eq!((result, text), (Ok(()), &case.text));
            }
        }
    }
}

/// A key without ways of its own to do what [`Aead`] has a default for.
struct Plain(AesCcm);

impl Aead for Plain {
    fn seal(
        &self,
        nonce: SealNonce,
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; 16], CryptoError> {
        self.0.seal(nonce, aad, in_out)
    }

    fn open(
        &self,
        nonce: OpenNonce,
        aad: &[u8],
        in_out: &mut [u8],
        mic: &[u8; 16],
    ) -> Result<(), CryptoError> {
        self.0.open(nonce, aad, in_out, mic)
    }
}

#[test]
fn privacy_is_the_key_stream_of_ccm_and_undoes_itself() {
    for len in 0..100 {
        let mut case = Case::of_lengths(len, 0);
        let mic: [u8; 16] = core::array::from_fn(|n| (n * 11) as u8);
        let session = GroupSessionId::new(0x1234);
        case.nonce[..2].copy_from_slice(&[0x12, 0x34]);
        case.nonce[2..].copy_from_slice(&mic[5..]);
        let case = Case::new(case.key, case.nonce, case.aad, case.text);
        let nonce = PrivacyNonce::new(session, &mic);
        let compact = CompactRustCrypto.aead(&Secret::new(case.key));
        let keys: [&dyn Aead; 3] = [&case.ready(), &Plain(case.ready()), &compact];
        for key in keys {
            let mut octets = case.text.clone();
            key.apply_privacy(nonce, &mut octets).unwrap();
            assert_eq!(octets, case.sealed);
            key.apply_privacy(nonce, &mut octets).unwrap();
            assert_eq!(octets, case.text);
        }
    }
}

#[test]
fn a_backend_without_its_own_way_opens_by_trial_in_a_copy() {
    let case = Case::of_lengths(TRIAL_LEN, 12);
    case.check(&Plain(case.ready()));
    let mut octets = case.sealed.clone();
    let key = Plain(case.ready());
    let opened = key.open_by_trial(case.open_nonce(), &case.aad, &mut octets, &[0; 16]);
    assert_eq!((opened, &octets), (Err(CryptoError::Unauthentic), &case.sealed));
    let opened =
        key.open_by_trial(case.open_nonce(), &case.aad, &mut [0; TRIAL_LEN + 1], &case.mic);
    assert_eq!(opened, Err(CryptoError::TooLong));
}
