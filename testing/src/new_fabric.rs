//! A fabric of two nodes, made from nothing and written to a file that [`fabric_file`] reads.
//!
//! [`fabric_file`]: super::fabric_file

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use matter_session::cert::{CertificateRequest, Issuer, SerialNumber, Validity};
use matter_session::crypto::{RustCrypto, SigningKey};
use matter_session::ids::{FabricId, NodeId};
use matter_session::rand_core::CryptoRng;
use matter_session::time::MatterTime;
use serde_json::{Value, json};

use crate::program::Result;

const INITIATOR: NodeId = NodeId::new(1);
const RESPONDER: NodeId = NodeId::new(2);

/// Makes the keys and certificates of a fabric and writes them. An existing file is not replaced.
///
/// # Errors
/// The file exists or cannot be written, or the clock is wrong.
pub fn write(path: &str, rng: &mut dyn CryptoRng) -> Result<()> {
    let text = serde_json::to_string_pretty(&make(rng)?)?;
    let mut file = fs::File::options();
    let file = file.write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| format!("{path}: {error}"))?;
    std::io::Write::write_all(&mut file, format!("{text}\n").as_bytes())?;
    Ok(())
}

fn make(rng: &mut dyn CryptoRng) -> Result<Value> {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let now = MatterTime::from_unix_seconds(unix).ok_or("the clock is before 2000")?;
    let validity = Validity::new(now, None).ok_or("certificates that never begin")?;
    let mut root_key = SigningKey::generate(rng)?;
    let serial = SerialNumber::random(rng);
    let root = CertificateRequest::rcac(1, root_key.public_key(), serial, validity)
        .self_sign(&RustCrypto, &mut root_key)?;
    let mut id = [0; 8];
    rng.fill_bytes(&mut id);
    let fabric = FabricId::new(u64::from_be_bytes(id)).ok_or("a fabric id of 0")?;
    let mut ipk = [0; 16];
    rng.fill_bytes(&mut ipk);
    let mut node = |node: NodeId| -> Result<Value> {
        let key = SigningKey::generate(rng)?;
        let serial = SerialNumber::random(rng);
        let noc = CertificateRequest::noc(node, fabric, key.public_key(), serial, validity)
            .sign(&RustCrypto, &mut Issuer::new(&root.certificate()?, &mut root_key)?)?;
        Ok(json!({
            "nodeId": hex(&node.get().to_be_bytes()),
            "opPrivateKey": hex(key.to_bytes().as_bytes()),
            "opPublicKey": hex(key.public_key().as_bytes()),
            "nocTlv": hex(noc.as_slice()),
        }))
    };
    let nodes = json!({ "initiator": node(INITIATOR)?, "responder": node(RESPONDER)? });
    Ok(json!({
        "format": "matter-interop-fabric-1",
        "fabricId": hex(&fabric.get().to_be_bytes()),
        "rootCertTlv": hex(root.as_slice()),
        "icacTlv": null,
        "ipkEpochKey": hex(&ipk),
        "nodes": nodes,
        "groups": [],
    }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
