//! Linker arguments, and the recorded vectors as constants.

#[cfg(feature = "p256-cm4")]
#[path = "build/wycheproof.rs"]
mod wycheproof;

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use serde_json::Value;

/// Recorded by running matter.js, see `tests/vectors/README.md` of the library.
const RECORDED: &str = "../tests/vectors/matterjs.json";

/// Names of constants, and where their octets stand in the file (a JSON pointer).
const VECTORS: &[(&str, &str)] = &[
    ("KEYS_SECRET", "/sessionKeys/1/inputKey"),
    ("KEYS_SALT", "/sessionKeys/1/salt"),
    ("KEYS_OKM", "/sessionKeys/1/okm48"),
    ("SPAKE_W0", "/spake2pBare/w0"),
    ("SPAKE_W1", "/spake2pBare/w1"),
    ("SPAKE_X", "/spake2pBare/x"),
    ("SPAKE_Y", "/spake2pBare/y"),
    ("SPAKE_L", "/spake2pBare/L"),
    ("SPAKE_SHARE_X", "/spake2pBare/X"),
    ("SPAKE_SHARE_Y", "/spake2pBare/Y"),
    ("PASE_SALT", "/pase/0/pbkdf2/salt"),
    ("PASE_VERIFIER", "/pase/0/verifier_w0_L"),
    ("PASE_INITIATOR_RANDOM", "/pase/0/initiatorRandom"),
    ("PASE_RESPONDER_RANDOM", "/pase/0/responderRandom"),
    ("PASE_X", "/pase/0/x"),
    ("PASE_Y", "/pase/0/y"),
    ("PASE_SECURE", "/pase/0/firstSecureMessage/packet"),
    ("PASE_ATTESTATION", "/pase/0/sessionKeys/attestationChallenge"),
    ("PASE_0", "/pase/0/datagrams/0/packet"),
    ("PASE_1", "/pase/0/datagrams/1/packet"),
    ("PASE_2", "/pase/0/datagrams/2/packet"),
    ("PASE_3", "/pase/0/datagrams/3/packet"),
    ("PASE_4", "/pase/0/datagrams/4/packet"),
    ("PASE_5", "/pase/0/datagrams/5/packet"),
    ("CASE_ROOT", "/case/1/rootCert"),
    ("CASE_IPK", "/case/1/ipkEpochKey"),
    ("CASE_INITIATOR_ICAC", "/case/1/initiator/icac"),
    ("CASE_INITIATOR_NOC", "/case/1/initiator/noc"),
    ("CASE_INITIATOR_KEY", "/case/1/initiator/opPrivateKey"),
    ("CASE_RESPONDER_ICAC", "/case/1/responder/icac"),
    ("CASE_RESPONDER_NOC", "/case/1/responder/noc"),
    ("CASE_RESPONDER_KEY", "/case/1/responder/opPrivateKey"),
    ("CASE_RESPONDER_EPHEMERAL", "/case/1/runs/0/responderEphemeral/private"),
    ("CASE_RESPONDER_RANDOM", "/case/1/runs/0/sigma2/decoded/responderRandom"),
    ("CASE_RESUMPTION_ID", "/case/1/runs/0/resumptionId"),
    ("CASE_SECURE", "/case/1/runs/0/firstSecureMessage/packet"),
    ("CASE_ATTESTATION", "/case/1/runs/0/sessionKeys/attestationChallenge"),
    ("CASE_0", "/case/1/runs/0/datagrams/0/packet"),
    ("CASE_1", "/case/1/runs/0/datagrams/1/packet"),
    ("CASE_2", "/case/1/runs/0/datagrams/2/packet"),
    ("CASE_3", "/case/1/runs/0/datagrams/3/packet"),
];

/// Numbers in the same file.
const NUMBERS: &[(&str, &str)] = &[
    ("PASE_INITIATOR_SESSION", "/pase/0/sessionIds/initiator"),
    ("PASE_RESPONDER_SESSION", "/pase/0/sessionIds/responder"),
    ("CASE_RESPONDER_SESSION", "/case/1/runs/0/sessionIds/responder"),
];

/// Identifiers in the same file, hexadecimal.
const IDS: &[(&str, &str)] = &[
    ("CASE_INITIATOR_NODE", "/case/1/initiator/nodeId"),
    ("CASE_RESPONDER_NODE", "/case/1/responder/nodeId"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rerun-if-changed={RECORDED}");
    fs::write(out.join("vectors.rs"), vectors()?)?;
    #[cfg(feature = "p256-cm4")]
    fs::write(out.join("wycheproof.rs"), wycheproof::vectors()?)?;
    // The board's processor executes code for Cortex-M0, too.
    if ["thumbv7em-none-eabihf", "thumbv6m-none-eabi"].contains(&&*env::var("TARGET")?) {
        fs::copy("memory.x", out.join("memory.x"))?;
        // cortex-m-rt asks for the handlers that a chip's crate would name: there are none.
        fs::write(out.join("device.x"), "")?;
        println!("cargo:rustc-link-search={}", out.display());
        // Cargo knows the name of an image only where its features are there.
        let has = |feature| env::var_os(feature).is_some();
        let selftest = has("CARGO_FEATURE_INITIATOR").then_some("selftest");
        let curve = has("CARGO_FEATURE_P256_CM4").then_some("curve");
        for image in ["device", "places"].into_iter().chain(selftest).chain(curve) {
            println!("cargo:rustc-link-arg-bin={image}=-Tlink.x");
            println!("cargo:rustc-link-arg-bin={image}=--nmagic");
            if has("CARGO_FEATURE_DEFMT") {
                println!("cargo:rustc-link-arg-bin={image}=-Tdefmt.x");
            }
        }
    }
    Ok(())
}

fn vectors() -> Result<String, Box<dyn Error>> {
    let recorded: Value = serde_json::from_str(&fs::read_to_string(RECORDED)?)?;
    let find = |at: &str| recorded.pointer(at).ok_or_else(|| format!("no vector at {at}"));
    let text = |at: &str| find(at)?.as_str().ok_or_else(|| format!("no string at {at}"));
    let mut source = String::new();
    for (name, at) in VECTORS {
        let octets = octets(text(at)?)?;
        source += &format!("pub const {name}: [u8; {}] = {octets:?};\n", octets.len());
    }
    for (name, at) in NUMBERS {
        let number = find(at)?.as_u64().ok_or_else(|| format!("no number at {at}"))?;
        source += &format!("pub const {name}: u16 = {number};\n");
    }
    for (name, at) in IDS {
        source += &format!("pub const {name}: u64 = 0x{};\n", text(at)?);
    }
    Ok(source)
}

fn octets(hex: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let octet = |at| Ok(u8::from_str_radix(hex.get(at..at + 2).ok_or("odd digits")?, 16)?);
    (0..hex.len()).step_by(2).map(octet).collect()
}
