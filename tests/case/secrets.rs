//! No key octets in any debug output.

use core::fmt::Debug;

use matter_session::context::Services;
use matter_session::crypto::spake2p::Confirmation;
use matter_session::crypto::{
    Cipher, Curve, Hashing, Passcode, PbkdfParameters, Secret, Sha256, SpakeSecrets, Verifier,
};
use matter_session::fabric::{FabricCredentials, Ipk};
use matter_session::rand_core::Rng;
use matter_session::session::SessionParameters;
use matter_session::session::hazmat;

use super::rig::{Credentials, Rig};
use matter_session_testing::node::{Did, Machine, NOW, Party, Sign};
use matter_session_testing::{BACKEND, Script, array, list, matterjs, number};

/// Fails if three octets of a secret in a row can be read from the output, in hexadecimal or as
/// a list of numbers.
#[track_caller]
fn keeps<T: Debug>(value: &T, secrets: &[&[u8]]) {
    let compact = format!("{value:?}").to_lowercase();
    let pretty: String = format!("{value:#?}").split_whitespace().collect::<Vec<_>>().join(" ");
    for octets in secrets.iter().flat_map(|secret| secret.windows(3)) {
        let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        let numbers = octets.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        for output in [&compact, &pretty] {
            assert!(!output.contains(&hex) && !output.contains(&numbers), "{output}");
        }
    }
}

#[test]
fn primitives_print_no_key_octets() {
    let key = [0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6, 0x17, 0x28].repeat(4);
    let of_16 = Secret::<16>::new(key[..16].try_into().unwrap());
    let of_32 = Secret::<32>::new(key[..].try_into().unwrap());
    let of_65 = Secret::new([0xA1; 65]);
    let secrets: &[&[u8]] = &[&key, &[0xA1; 3]];
    keeps(&of_16, secrets);
    keeps(&BACKEND.aead(&of_16), secrets);
    let ephemeral = BACKEND.ephemeral(&mut Script::new(&[&key])).unwrap();
    keeps(&ephemeral, secrets);
    keeps(&matter_session::crypto::SigningKey::from_bytes(&of_32).unwrap(), secrets);
    let mut hash = BACKEND.sha256();
    hash.update(&key);
    keeps(&hash, secrets);
    let (ke, ca, cb) = (of_16.clone(), of_32.clone(), of_32.clone());
    keeps(&Confirmation { ke, ca, cb }, secrets);
    keeps(&SpakeSecrets { z: of_65.clone(), v: of_65 }, secrets);
    keeps(&[Ipk::EpochKey(of_16.clone()), Ipk::OperationalKey(of_16)], secrets);
    keeps(&hazmat::session_keys(&[0xA1; 48]), secrets);
    let mut rng = Script::new(&[&key]);
    keeps(&Services::new(&mut rng).at(NOW), secrets);
}

#[test]
fn pase_prints_no_key_octets_in_any_state() {
    for v in list(&matterjs()["pase"], 2) {
        let code: u32 = number(&v["passcode"]);
        let pbkdf2 = &v["pbkdf2"];
        let salt = matter_session_testing::hex(&pbkdf2["salt"]);
        let pbkdf = PbkdfParameters::new(number(&pbkdf2["iterations"]), &salt).unwrap();
        let passcode = Passcode::new(code).unwrap();
        let verifier = Verifier::generate(&BACKEND, &passcode, &pbkdf).unwrap();
        let names = ["w0", "w1", "x", "y", "Ka", "Ke", "L", "Z", "V", "cA", "cB"];
        let mut secrets: Vec<_> =
            names.iter().map(|n| matter_session_testing::hex(&v[*n])).collect();
        for part in ["i2r", "r2i"] {
            secrets.push(matter_session_testing::hex(&v["sessionKeys"][part]));
        }
        // The four octets of the passcode itself.
        secrets.push(code.to_le_bytes().to_vec());
        let secrets: Vec<&[u8]> = secrets.iter().map(|secret| &secret[..]).collect();
        keeps(&passcode, &secrets);
        assert!(!format!("{passcode:?}").contains(&code.to_string()));
        keeps(&verifier, &secrets);

        let own = SessionParameters::matter_1_6();
        let rng = Script::new(&[&array::<32>(&v["initiatorRandom"]), &array::<32>(&v["x"])]);
        let id = number(&v["sessionIds"]["initiator"]);
        let (mut client, first) = Party::pase_client(&BACKEND, code, None, id, &own, rng);
        let rng = Script::new(&[&array::<32>(&v["responderRandom"]), &array::<32>(&v["y"])]);
        let id = number(&v["sessionIds"]["responder"]);
        let mut server = Party::pase_server(&BACKEND, code, pbkdf, id, &own, rng);
        run(&mut server, &mut client, first, &secrets);
    }
}

#[test]
fn case_prints_no_key_octets_in_any_state() {
    for rig in [Rig::full(), Rig::resumed()] {
        let (mut client, first) = rig.client();
        let mut server = rig.server();
        let mut secrets = vec![vec![0x5A; 32]];
        for side in &rig.credentials {
            secrets.extend([side.ipk.as_bytes().to_vec(), side.epoch.to_vec(), side.key.to_vec()]);
            keeps(&side.fabric(1), &[&side.ipk.as_bytes()[..], &side.epoch]);
        }
        let mut drawn = [0; 64];
        Script::seeded(3).fill_bytes(&mut drawn);
        secrets.push(drawn[32..].to_vec());
        let secrets: Vec<&[u8]> = secrets.iter().map(|secret| &secret[..]).collect();
        keeps(&rig.record, &secrets);
        if let Some(record) = &rig.record {
            keeps(&record.to_bytes(), &secrets);
        }
        run(&mut server, &mut client, first, &secrets);
    }
    let own: &Credentials = &Rig::full().credentials[0];
    let ipks = [Ipk::EpochKey(Secret::from(&own.epoch))];
    let (root, noc) = (&own.root[..], &own.noc[..]);
    keeps(&FabricCredentials { root, icac: None, noc, ipks: &ipks }, &[&own.epoch]);

    let mut waiting = Rig::full().receiver(1);
    waiting.sign = Sign::Later;
    let (opcode, payload) = &Rig::full().messages[1];
    let request = waiting.feed(*opcode, payload).request();
    prints(&waiting, &[&own.key, own.ipk.as_bytes()]);
    keeps(&request, &[&own.key]);
    keeps(&request.sign_with(&mut own.key()), &[&own.key]);
}

/// Plays a handshake to its end and looks at everything on the way.
fn run<'a>(
    server: &mut Party<'a>,
    client: &mut Party<'a>,
    first: matter_session_testing::node::Message,
    secrets: &[&[u8]],
) {
    let (mut to, mut from, mut message) = (server, client, Some(first));
    let mut established = 0;
    while let Some((opcode, payload)) = message.take() {
        let did = to.feed(opcode, &payload);
        // Confirmations and the like are on the wire by intent; machines and ends are not.
        prints(to, secrets);
        prints(from, secrets);
        message = match did {
            Did::Sent(next) => Some(next),
            Did::Established { reply, established: end } => {
                keeps(&end, secrets);
                keeps(&end.session, secrets);
                let secret = end.record.as_ref().map(|r| r.shared_secret.as_bytes().to_vec());
                keeps(&end, &[&secret.unwrap_or_default()]);
                established += 1;
                reply
            }
            other => panic!("{}", other.name()),
        };
        (to, from) = (from, to);
    }
    assert_eq!(established, 2);
}

fn prints(party: &Party<'_>, secrets: &[&[u8]]) {
    match &party.machine {
        Machine::PaseClient(machine) => keeps(machine, secrets),
        Machine::PaseServer(machine) => keeps(machine, secrets),
        Machine::CaseClient(machine) => keeps(machine, secrets),
        Machine::CaseServer(machine) => keeps(machine, secrets),
    }
}
