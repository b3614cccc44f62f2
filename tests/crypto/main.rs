//! The primitives of the default backend against recorded vectors.

mod ccm_beside;
mod p256;

use matter_session::crypto::spake2p::{self, Confirmation};
use matter_session::crypto::{
    Aead, Cipher, CryptoError, Curve, Hashing, KeyPair, OpenJob, OpenNonce, OperationalKey,
    Passcode, PbkdfParameters, PublicKey, SealJob, SealNonce, Secret, Sha256, Signature,
    SigningKey, Spake2p, SpakeSecrets, Verifier,
};
use matter_session::fabric::CompressedFabricId;
use matter_session::ids::FabricId;
use matter_session_testing::{
    BACKEND, Backend, Script, array, chip, hex, id, list, matterjs, number,
};
use serde_json::Value;

#[test]
fn chip_aes_ccm() {
    let Some(chip) = chip() else { return };
    let all = chip["aes_128_ccm"]["vectors"].as_array().unwrap();
    let of_matter: Vec<_> = all.iter().filter(|v| v["matter_shape"] == true).collect();
    assert_eq!(of_matter.len(), 17);
    for v in of_matter {
        assert_eq!(v["expected"], "ok");
        let tag = array(&v["tag"]);
        ccm(&v["key"], &v["nonce"], &v["aad"], &v["plaintext"], &hex(&v["ciphertext"]), tag);
    }
}

/// A batch does what its messages alone would do, also when one of them is forged.
#[test]
fn batches_seal_and_open_like_single_messages() {
    let keys: Vec<_> = (0..5).map(|n| BACKEND.aead(&Secret::new([n; 16]))).collect();
    let nonce = |n: usize| [n as u8; 13];
    let text = |n: usize| vec![0x40 + n as u8; 20 * n];
    let alone: Vec<_> = (0..5)
        .map(|n| {
            let mut octets = text(n);
            let nonce = SealNonce::dangerous_from_bytes(&nonce(n));
            let mic = keys[n].seal(nonce, b"header", &mut octets).unwrap();
            (octets, mic)
        })
        .collect();

    let mut texts: Vec<_> = (0..5).map(text).collect();
    let mut jobs: Vec<_> = texts
        .iter_mut()
        .enumerate()
        .map(|(n, octets)| {
            let nonce = SealNonce::dangerous_from_bytes(&nonce(n));
            SealJob::new(&keys[n], nonce, b"header", octets)
        })
        .collect();
    assert_eq!(jobs[0].result(), Err(CryptoError::Backend), "not run yet");
    BACKEND.seal_batch(&mut jobs);
    BACKEND.seal_batch(&mut jobs); // sealed twice would be sealed wrong
    let mics: Vec<_> = jobs.iter().map(|job| job.result().unwrap()).collect();
    drop(jobs);
    for (n, (octets, mic)) in alone.iter().enumerate() {
        assert_eq!((&texts[n], &mics[n]), (octets, mic));
    }

    texts[3][0] ^= 1;
    let mut jobs: Vec<_> = texts
        .iter_mut()
        .enumerate()
        .map(|(n, octets)| {
            let nonce = OpenNonce::dangerous_from_bytes(&nonce(n));
            OpenJob::new(&keys[n], nonce, b"header", octets, &mics[n])
        })
        .collect();
    BACKEND.open_batch(&mut jobs);
    for (n, job) in jobs.iter().enumerate() {
        let expected = if n == 3 { Err(CryptoError::Unauthentic) } else { Ok(()) };
        assert_eq!(job.result(), expected);
    }
    drop(jobs);
    for n in [0, 1, 2, 4] {
        assert_eq!(texts[n], text(n));
    }
}

#[test]
fn chip_check_in_payloads_open() {
    let Some(chip) = chip() else { return };
    for v in list(&chip["check_in_message"]["vectors"], 5) {
        let counter = number::<u32>(&v["counter"]).to_le_bytes();
        let nonce = BACKEND.hmac(&hex(&v["key"]), &[&counter]).unwrap();
        assert_eq!(nonce[..13], hex(&v["nonce"]));
        let mut text = hex(&v["ciphertext"]);
        open(&v["key"], &v["nonce"], &[], &mut text, &array(&v["mic"])).unwrap();
        assert_eq!(text, [&counter[..], &hex(&v["application_data"])].concat());
    }
}

#[test]
fn chip_hkdf_and_hmac() {
    let Some(chip) = chip() else { return };
    for v in list(&chip["hkdf_sha256"]["vectors"], 3) {
        assert_eq!(hkdf(&v["ikm"], &v["salt"], &hex(&v["info"]), &v["okm"]), hex(&v["okm"]));
    }
    for v in list(&chip["hmac_sha256"]["vectors"], 2) {
        hmac(&v["key"], &v["message"], &v["mac"]);
    }
    for v in list(&chip["spake2plus_hmac"]["vectors"], 5) {
        hmac(&v["key"], &v["input"], &v["output"]);
    }
}

#[test]
fn chip_session_and_group_keys() {
    let Some(chip) = chip() else { return };
    let topic = &chip["session_key_derivation"];
    for v in list(&topic["derive_key"], 1) {
        let key = &v["derived_key"];
        assert_eq!(hkdf(&v["secret"], &v["salt"], &hex(&v["info"]), key), hex(key));
        keystream(key, v, "ctr_ciphertext");
    }
    for v in list(&topic["derive_session_keys"], 1) {
        let parts = ["i2r_key", "r2i_key", "attestation_challenge"].map(|part| hex(&v[part]));
        let mut block = [0; 48];
        let (secret, salt, info) = (hex(&v["secret"]), hex(&v["salt"]), hex(&v["info"]));
        BACKEND.hkdf(&secret, &salt, &info, &mut block).unwrap();
        assert_eq!(block[..], parts.concat());
        keystream(&v["i2r_key"], v, "i2r_ctr_ciphertext");
        keystream(&v["r2i_key"], v, "r2i_ctr_ciphertext");
    }
    for v in list(&chip["group_operational_keys"]["vectors"], 3) {
        let (key, none) = (&v["operational_key"], Value::String(String::new()));
        let fabric = &v["compressed_fabric_id"];
        assert_eq!(hkdf(&v["epoch_key"], fabric, b"GroupKey v1.0", key), hex(key));
        let privacy = hkdf(key, &none, b"PrivacyKey", &v["privacy_key"]);
        assert_eq!(privacy, hex(&v["privacy_key"]));
        let mut hash = [0; 2];
        BACKEND.hkdf(&hex(key), &[], b"GroupKeyHash", &mut hash).unwrap();
        assert_eq!(u16::from_be_bytes(hash), number::<u16>(&v["group_session_id"]));
    }
}

#[test]
fn chip_pbkdf2() {
    let Some(chip) = chip() else { return };
    let mut computed = 0;
    for v in list(&chip["pbkdf2_hmac_sha256"]["vectors"], 13) {
        let (salt, iterations) = (hex(&v["salt"]), number(&v["iterations"]));
        if v["expected"] == "ok" {
            let mut key = vec![0; number(&v["key_len"])];
            BACKEND.pbkdf2(&hex(&v["password"]), &salt, iterations, &mut key).unwrap();
            assert_eq!(key, hex(&v["key"]));
            computed += 1;
        } else if !(16..=32).contains(&number::<usize>(&v["salt_len"])) {
            let salt = vec![0; number(&v["salt_len"])];
            assert!(PbkdfParameters::new(1000, &salt).is_err());
        }
        // The others are null pointers and empty passwords, which no type here can express.
    }
    assert_eq!(computed, 5);
}

#[test]
fn chip_ecdh_and_key_pairs() {
    let Some(chip) = chip() else { return };
    for v in list(&chip["ecdh_p256"]["vectors"], 3) {
        let private = hex(&v["private_key"]);
        let own = ephemeral(&private[private.len() - 32..]);
        let shared = own.agree(&point(&v["public_key"])).unwrap();
        assert_eq!(shared.as_bytes()[..], hex(&v["shared_secret"]));
    }
    for v in list(&chip["p256_keypairs"]["vectors"], 10) {
        let public = [vec![4], hex(&v["Qx"]), hex(&v["Qy"])].concat();
        let d = Secret::new(array(&v["d"]));
        let signing = SigningKey::from_bytes(&d).unwrap();
        assert_eq!(signing.public_key().as_bytes()[..], public);
        assert_eq!(signing.to_bytes(), d);
        let own = ephemeral(d.as_bytes());
        assert_eq!(own.public().as_bytes()[..], public);
    }
}

#[test]
fn chip_ecdsa_is_deterministic_and_verifies() {
    let Some(chip) = chip() else { return };
    let (case, certs) = (&chip["generated_case_transcript"], &chip["certificates"]["certs"]);
    for (tbs, signature, node) in [("tbs2", "sig2", "Node01_01"), ("tbs3", "sig3", "Node01_02")] {
        let tbs = hex(&case[tbs]);
        let mut key =
            SigningKey::from_bytes(&Secret::new(array(&certs[node]["private_key"]))).unwrap();
        let signature = Signature::new(array(&case[signature]));
        assert_eq!(key.sign_digest(&sha256(&tbs)), Ok(signature));
        let public = point(&certs[node]["public_key"]);
        assert_eq!(BACKEND.verify(&public, &tbs.as_slice(), &signature), Ok(()));
        for bit in 0..512 {
            let mut octets = *signature.as_bytes();
            octets[bit / 8] ^= 1 << (bit % 8);
            let wrong = BACKEND.verify(&public, &tbs.as_slice(), &Signature::new(octets));
            assert_eq!(wrong, Err(CryptoError::Unauthentic));
        }
    }
}

#[test]
fn chip_compressed_fabric_id_and_destination_id() {
    let Some(chip) = chip() else { return };
    let topic = &chip["compressed_fabric_id"];
    for v in list(&topic["vectors"], 1) {
        compressed(&v["root_public_key"], &v["fabric_id"], &v["compressed_fabric_id"]);
    }
    for v in list(&topic["invalid"], 1) {
        let key = PublicKey::new(&hex(&v["root_public_key"]));
        assert_eq!(key, Err(CryptoError::InvalidPoint));
    }
    for v in list(&chip["case_destination_id"]["vectors"], 1) {
        let random = hex(&v["initiator_random"]);
        let of = |node: u64| {
            let (fabric, node) = (id(&v["fabric_id"]).to_le_bytes(), node.to_le_bytes());
            let parts: [&[u8]; 4] = [&random, &hex(&v["root_public_key"]), &fabric, &node];
            BACKEND.hmac(&hex(&v["ipk_operational_key"]), &parts).unwrap().to_vec()
        };
        assert_eq!(of(id(&v["node_id"])), hex(&v["destination_id"]));
        assert_ne!(of(id(&v["node_id"]) + 1), hex(&v["destination_id"]));
    }
}

#[test]
fn chip_spake2p_draft_01() {
    let Some(chip) = chip() else { return };
    let topic = &chip["spake2plus_p256_sha256_draft01"];
    assert_eq!(spake2p::M.as_bytes()[..], hex(&topic["M"]));
    assert_eq!(spake2p::N.as_bytes()[..], hex(&topic["N"]));
    for v in list(&topic["vectors"], 4) {
        let secrets = spake_shares(v, ["X", "Y"]);
        assert_eq!(secrets.z.as_bytes()[..], hex(&v["Z"]));
        assert_eq!(secrets.v.as_bytes()[..], hex(&v["V"]));
        let (x, y) = (point(&v["X"]), point(&v["Y"]));
        // The library knows empty identities alone; with others the transcript is made here.
        let (context, w0) = (hex(&v["context"]), Secret::new(array(&v["w0"])));
        let (prover, verifier) = (hex(&v["id_prover"]), hex(&v["id_verifier"]));
        let parts: [&[u8]; 10] = [
            &context,
            &prover,
            &verifier,
            spake2p::M.as_bytes(),
            spake2p::N.as_bytes(),
            x.as_bytes(),
            y.as_bytes(),
            secrets.z.as_bytes(),
            secrets.v.as_bytes(),
            w0.as_bytes(),
        ];
        let tt = parts.map(|p| [&(p.len() as u64).to_le_bytes(), p].concat()).concat();
        assert_eq!(sha256(&tt)[..], [hex(&v["Ka"]), hex(&v["Ke"])].concat());
        let mut keys = [0; 32];
        BACKEND.hkdf(&hex(&v["Ka"]), &[], b"ConfirmationKeys", &mut keys).unwrap();
        assert_eq!(keys[..], [hex(&v["KcA"]), hex(&v["KcB"])].concat());
        assert_eq!(BACKEND.hmac(&keys[..16], &[y.as_bytes()]).unwrap()[..], hex(&v["MAC_KcA"]));
        assert_eq!(BACKEND.hmac(&keys[16..], &[x.as_bytes()]).unwrap()[..], hex(&v["MAC_KcB"]));
        if prover.is_empty() && verifier.is_empty() {
            let end = Confirmation::derive(&BACKEND, &context, &x, &y, &secrets, &w0).unwrap();
            assert_eq!(end.ke.as_bytes()[..], hex(&v["Ke"]));
            assert_eq!(end.ca.as_bytes()[..], hex(&v["MAC_KcA"]));
            assert_eq!(end.cb.as_bytes()[..], hex(&v["MAC_KcB"]));
        }
    }
}

#[test]
fn chip_spake2p_points() {
    let Some(chip) = chip() else { return };
    let mut valid = 0;
    for v in list(&chip["spake2plus_point_valid"]["vectors"], 40) {
        let accepted = multiply(&scalar(1), &point(&v["point"]));
        assert_eq!(accepted.is_ok(), v["valid"] == true);
        valid += u32::from(accepted.is_ok());
    }
    assert_eq!(valid, 20);
    for v in list(&chip["spake2plus_point_rw"]["vectors"], 10) {
        let same = multiply(&scalar(1), &point(&v["point"])).unwrap();
        assert_eq!(same[..], hex(&v["point"]));
    }
    for v in list(&chip["spake2plus_point_mul"]["vectors"], 20) {
        let scalar = Secret::new(array(&v["scalar"]));
        let product = multiply(&scalar, &point(&v["point"])).unwrap();
        assert_eq!(product[..], hex(&v["out_point"]));
    }
}

/// The trait multiplies scalars with points only: `fe1 * fe2 * G` must be `fe_out * G`.
#[test]
fn chip_spake2p_field_elements() {
    let Some(chip) = chip() else { return };
    for v in list(&chip["spake2plus_fe_mul"]["vectors"], 20) {
        let [a, b, product] = ["fe1", "fe2", "fe_out"].map(|k| Secret::new(array(&v[k])));
        let expected = BACKEND.spake_l(&product);
        let stepwise = BACKEND.spake_l(&b).and_then(|point| multiply(&a, &point));
        match (stepwise, expected) {
            (Ok(stepwise), Ok(expected)) => assert_eq!(stepwise, *expected.as_bytes()),
            (stepwise, expected) => {
                assert_eq!(stepwise.err(), Some(CryptoError::InvalidScalar));
                assert_eq!(expected.err(), Some(CryptoError::InvalidScalar));
            }
        }
    }
    for v in list(&chip["spake2plus_fe_rw"]["vectors"], 7) {
        let input = hex(&v["fe_in"]);
        let mut wide = [0; 40];
        wide[40 - input.len()..].copy_from_slice(&input);
        let out: [u8; 32] = array(&v["fe_out"]);
        let reduced = BACKEND.spake_reduce(&wide);
        if out == [0; 32] {
            assert_eq!(reduced, Err(CryptoError::InvalidScalar), "zero is no secret");
        } else {
            assert_eq!(reduced, Ok(Secret::new(out)));
        }
    }
}

#[test]
fn chip_pase_verifier() {
    let Some(chip) = chip() else { return };
    for v in list(&chip["pase_verifier"]["vectors"], 1) {
        let mut w0s_w1s = [0; 80];
        let (salt, iterations) = (hex(&v["salt"]), number(&v["iterations"]));
        let passcode = number::<u32>(&v["passcode"]);
        BACKEND.pbkdf2(&passcode.to_le_bytes(), &salt, iterations, &mut w0s_w1s).unwrap();
        assert_eq!(w0s_w1s[..], [hex(&v["w0s"]), hex(&v["w1s"])].concat());
        verifier(passcode, iterations, &salt, &w0s_w1s, v, "verifier_w0_L");
    }
}

#[test]
fn matterjs_pase_secrets() {
    for v in list(&matterjs()["pase"], 2) {
        let mut w0s_w1s = [0; 80];
        let pbkdf2 = &v["pbkdf2"];
        let (salt, iterations) = (hex(&pbkdf2["salt"]), number(&pbkdf2["iterations"]));
        let passcode = number::<u32>(&v["passcode"]);
        assert_eq!(passcode.to_le_bytes()[..], hex(&pbkdf2["passcodeLe"]));
        BACKEND.pbkdf2(&passcode.to_le_bytes(), &salt, iterations, &mut w0s_w1s).unwrap();
        assert_eq!(w0s_w1s[..], hex(&pbkdf2["ws80"]));
        verifier(passcode, iterations, &salt, &w0s_w1s, v, "verifier_w0_L");
        let w1 = Secret::new(array(&v["w1"]));
        assert_eq!(BACKEND.spake_l(&w1).unwrap().as_bytes()[..], hex(&v["L"]));
        let secrets = spake_shares(v, ["X_pA", "Y_pB"]);
        assert_eq!(secrets.z.as_bytes()[..], hex(&v["Z"]));
        assert_eq!(secrets.v.as_bytes()[..], hex(&v["V"]));
        confirm(v, &hex(&v["contextHash"]), ["X_pA", "Y_pB"], &secrets);
    }
}

#[test]
fn matterjs_spake2p_bare() {
    let all = matterjs();
    let v = &all["spake2pBare"];
    let secrets = spake_shares(v, ["X", "Y"]);
    confirm(v, &hex(&v["context"]), ["X", "Y"], &secrets);
    let w1 = Secret::new(array(&v["w1"]));
    assert_eq!(BACKEND.spake_l(&w1).unwrap().as_bytes()[..], hex(&v["L"]));
}

#[test]
fn matterjs_session_keys_and_fabrics() {
    let all = matterjs();
    for v in list(&all["sessionKeys"], 3) {
        let info = v["info"].as_str().unwrap().as_bytes();
        assert_eq!(hkdf(&v["inputKey"], &v["salt"], info, &v["okm48"]), hex(&v["okm48"]));
        let parts = ["i2r", "r2i", "attestationChallenge"].map(|part| hex(&v[part]));
        assert_eq!(parts.concat(), hex(&v["okm48"]));
    }
    for v in list(&all["fabrics"], 2) {
        let fabric = &v["compressedFabricId"];
        compressed(&v["rootPublicKey"], &v["fabricId"], &fabric["value"]);
        let ipk = &v["operationalIpk"];
        let (salt, value) = (&fabric["value"], &ipk["value"]);
        assert_eq!(hkdf(&ipk["epochKey"], salt, b"GroupKey v1.0", value), hex(value));
        let destination = &v["destinationId"];
        hmac(value, &destination["hmacMessage"], &destination["value"]);
    }
}

#[test]
fn broken_randomness_is_an_error() {
    for octet in [0, 0xFF] {
        let mut rng = Script::new(&[&[octet; 1024]]);
        assert_eq!(BACKEND.random_scalar(&mut rng), Err(CryptoError::Backend));
        assert_eq!(BACKEND.ephemeral(&mut rng).unwrap_err(), CryptoError::Backend);
    }
}

fn ccm(key: &Value, nonce: &Value, aad: &Value, plain: &Value, cipher: &[u8], tag: [u8; 16]) {
    let (aad, mut text) = (hex(aad), hex(plain));
    let aead = BACKEND.aead(&Secret::new(array(key)));
    let sealed = aead.seal(SealNonce::dangerous_from_bytes(&array(nonce)), &aad, &mut text);
    assert_eq!((sealed, &text[..]), (Ok(tag), cipher));
    for bit in 0..128 {
        let (mut tag, mut text) = (tag, text.clone());
        tag[bit / 8] ^= 1 << (bit % 8);
        let opened = open(key, nonce, &aad, &mut text, &tag);
        assert_eq!(opened, Err(CryptoError::Unauthentic));
    }
    open(key, nonce, &aad, &mut text, &tag).unwrap();
    assert_eq!(text, hex(plain));
}

fn open(
    key: &Value,
    nonce: &Value,
    aad: &[u8],
    text: &mut [u8],
    mic: &[u8; 16],
) -> Result<(), CryptoError> {
    let aead = BACKEND.aead(&Secret::new(array(key)));
    aead.open(OpenNonce::dangerous_from_bytes(&array(nonce)), aad, text, mic)
}

/// The ciphertext of CCM without its tag is the key stream of CTR.
fn keystream(key: &Value, v: &Value, ciphertext: &str) {
    let mut text = hex(&v["plaintext"]);
    let aead = BACKEND.aead(&Secret::new(array(key)));
    aead.seal(SealNonce::dangerous_from_bytes(&array(&v["nonce"])), &[], &mut text).unwrap();
    assert_eq!(text, hex(&v[ciphertext]));
}

/// Derives as many octets as `like` has.
fn hkdf(secret: &Value, salt: &Value, info: &[u8], like: &Value) -> Vec<u8> {
    let mut out = vec![0; hex(like).len()];
    BACKEND.hkdf(&hex(secret), &hex(salt), info, &mut out).unwrap();
    out
}

fn hmac(key: &Value, message: &Value, mac: &Value) {
    let (key, message) = (hex(key), hex(message));
    let (head, tail) = message.split_at(message.len() / 2);
    assert_eq!(BACKEND.hmac(&key, &[head, &[], tail]).unwrap()[..], hex(mac));
}

fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = BACKEND.sha256();
    hash.update(data);
    hash.finish()
}

fn point(value: &Value) -> PublicKey {
    PublicKey::new(&hex(value)).unwrap()
}

fn scalar(value: u8) -> Secret<32> {
    let mut octets = [0; 32];
    octets[31] = value;
    Secret::new(octets)
}

fn ephemeral(private: &[u8]) -> <Backend as Curve>::Ephemeral {
    BACKEND.ephemeral(&mut Script::new(&[private])).unwrap()
}

/// `scalar * point`, as the verifier's `V = y * L`; its other results are of no interest.
fn multiply(scalar_: &Secret<32>, point: &PublicKey) -> Result<[u8; 65], CryptoError> {
    let x = BACKEND.spake_l(&scalar(5))?;
    BACKEND.spake_verifier(scalar_, &scalar(9), point, &x).map(|(_, s)| *s.v.as_bytes())
}

/// Both shares come out as recorded, and both sides agree on the secrets.
fn spake_shares(v: &Value, [x_name, y_name]: [&str; 2]) -> SpakeSecrets {
    let [w0, w1, x, y] = ["w0", "w1", "x", "y"].map(|name| Secret::new(array(&v[name])));
    let x_share = BACKEND.spake_prover_share(&x, &w0).unwrap();
    assert_eq!(x_share, point(&v[x_name]));
    let l = point(&v["L"]);
    let (y_share, verifier) = BACKEND.spake_verifier(&y, &w0, &l, &x_share).unwrap();
    assert_eq!(y_share, point(&v[y_name]));
    #[cfg(feature = "std")]
    {
        let prepared = BACKEND.spake_prepare(&w0, &l).unwrap().unwrap();
        let (share, secrets) = prepared.respond(&y, &x_share).unwrap();
        assert_eq!((share, &secrets.z, &secrets.v), (y_share, &verifier.z, &verifier.v));
    }
    let prover = BACKEND.spake_prover_finish(&x, &w0, &w1, &y_share).unwrap();
    assert_eq!((prover.z, prover.v), (verifier.z.clone(), verifier.v.clone()));
    verifier
}

fn confirm(v: &Value, context: &[u8], [x, y]: [&str; 2], secrets: &SpakeSecrets) {
    let (x, y, w0) = (point(&v[x]), point(&v[y]), Secret::new(array(&v["w0"])));
    let end = Confirmation::derive(&BACKEND, context, &x, &y, secrets, &w0).unwrap();
    assert_eq!(end.ke.as_bytes()[..], hex(&v["Ke"]));
    assert_eq!(end.ca.as_bytes()[..], hex(&v["cA"]));
    assert_eq!(end.cb.as_bytes()[..], hex(&v["cB"]));
}

fn verifier(code: u32, iterations: u32, salt: &[u8], ws: &[u8; 80], v: &Value, name: &str) {
    for (half, w) in [(&ws[..40], "w0"), (&ws[40..], "w1")] {
        let reduced = BACKEND.spake_reduce(half.try_into().unwrap()).unwrap();
        assert_eq!(reduced.as_bytes()[..], hex(&v[w]));
    }
    let (passcode, pbkdf) = (Passcode::new(code), PbkdfParameters::new(iterations, salt));
    let made = Verifier::generate(&BACKEND, &passcode.unwrap(), &pbkdf.unwrap()).unwrap();
    assert_eq!(made.to_bytes().as_bytes()[..], hex(&v[name]));
    assert_eq!(Verifier::from_bytes(&array(&v[name])), Ok(made));
}

fn compressed(root: &Value, fabric: &Value, expected: &Value) {
    let fabric = FabricId::new(id(fabric)).unwrap();
    let derived = CompressedFabricId::derive(&BACKEND, &point(root), fabric).unwrap();
    assert_eq!(derived.as_bytes()[..], hex(expected));
}
