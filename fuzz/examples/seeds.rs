//! Writes the seed corpora from the recorded vectors and from honest handshakes.

use std::fs;
use std::path::Path;

use libfuzzer_sys as _;
use matter_session_fuzz as fuzz;
use matter_session_testing::vectors::{matterjs_btp, number};
use matter_session_testing::{hex, matterjs};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vectors = matterjs();
    let write = |target: &str, name: &str, octets: &[u8]| {
        let folder = root.join("seeds").join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), octets).unwrap();
    };

    for list in ["unsecured", "extensions", "rejected"] {
        for vector in vectors[list].as_array().unwrap().iter().take(6) {
            let octets = hex(&vector["packet"]);
            let name = vector["name"].as_str().unwrap();
            write("message_header", name, &octets);
            write("describe", name, &octets);
            if let Some(protocol) = octets.get(16..) {
                write("protocol_header", name, protocol);
            }
        }
    }
    write("message_header", "group", &hex(&vectors["groupHeaderUnsecuredForm"]["packet"]));
    write("describe", "key-log", format!("SIGMA2 {}", "5a".repeat(16)).as_bytes());
    for vector in vectors["statusReports"].as_array().unwrap() {
        write("protocol_header", vector["name"].as_str().unwrap(), &hex(&vector["payload"]));
    }

    let messages = &vectors["pase"][0]["messages"];
    for name in ["pbkdfParamRequest", "pbkdfParamResponse", "pake1", "pake2", "pake3"] {
        write("tlv", name, &hex(&messages[name]));
    }
    let runs = &vectors["case"][0]["runs"];
    for (run, name) in
        [(0, "sigma1"), (0, "sigma2"), (0, "sigma3"), (1, "sigma1"), (1, "sigma2Resume")]
    {
        if runs[run][name]["tlv"].is_string() {
            write("tlv", &format!("{name}-{run}"), &hex(&runs[run][name]["tlv"]));
        }
    }
    for (n, vector) in vectors["sessionParametersTlv"].as_array().unwrap().iter().enumerate() {
        write("tlv", &format!("parameters-{n}"), &hex(&vector["tlv"]));
    }

    let certificates = vectors["certificates"]["list"].as_array().unwrap();
    let tlv = |name: &str| {
        hex(&certificates.iter().find(|vector| vector["name"] == name).unwrap()["tlv"])
    };
    for vector in certificates {
        let name = vector["name"].as_str().unwrap().replace('/', "-");
        write("certificate", &name, &hex(&vector["tlv"]));
    }
    let chain = |parts: [&[u8]; 3]| {
        let mut octets = vec![0];
        for part in parts {
            octets.extend((part.len() as u16).to_le_bytes());
            octets.extend(part);
        }
        octets
    };
    let (noc, rcac) = (tlv("A/noc-initiator"), tlv("A/root"));
    write("certificate", "chain-of-two", &chain([&noc, &[], &rcac]));
    let (noc, icac) = (tlv("B/noc-initiator-with-cats"), tlv("B/icac"));
    let rcac = tlv("B/root-with-fabric-id-no-expiry");
    write("certificate", "chain-of-three", &chain([&noc, &icac, &rcac]));

    write("certificate", "chain-of-the-toy-backend", &fuzz::chain_octets());

    write("secure_session", "altered", &[1, 7, 1, 2, 3, 4, 5, 4, 0, b't', b'e', b'x', b't']);
    let mut datagrams = vec![0];
    for counter in [1_u32, 2, 2, 40, 9, 0x8000_0000] {
        let mut message = vec![0, 1, 1, 0];
        message.extend(counter.to_le_bytes());
        message.extend([5, 1, 2, 3, 1, 0, b'x']);
        message.extend([0; 16]);
        datagrams.extend([0, message.len() as u8, 0]);
        datagrams.extend(message);
    }
    write("secure_session", "datagrams", &datagrams);

    let mut payloads = vec![0, 9, 0, 0, 0];
    for (with_nonce, counter, data) in [(0, 10_u32, 2), (0, 10, 0), (1, 11, 2), (0, 0x8000_0009, 6)]
    {
        let mut payload = vec![0; 13];
        payload.extend(counter.to_le_bytes());
        payload.extend(vec![b'x'; data + 16]);
        payloads.extend([with_nonce, payload.len() as u8, 0]);
        payloads.extend(payload);
    }
    write("check_in", "payloads", &payloads);
    write("check_in", "honest", &[1, 7, 0, 2, 0, 0x2C, 1]);
    write("check_in", "altered", &[1, 7, 0, 2, 0, 0x2C, 1, 40, 0, 9]);
    let mut registration = vec![2, 1, 1];
    registration.extend([4; 8]);
    registration.extend(100_u64.to_le_bytes());
    registration.extend([7; 16 + 4 + 4]);
    write("check_in", "registration", &registration);
    write("check_in", "key", &[&[2, 1][..], &[7; 16 + 8]].concat());

    let mut messages = vec![0x41, 12, 0, 6, 2];
    for len in [8, 20, 9, 8] {
        messages.extend([len, 0]);
        messages.extend(vec![b'm'; len.into()]);
    }
    write("stream_decoder", "messages", &messages);
    write("stream_decoder", "too-large", &[&messages[..], &[21, 0], &[b'm'; 21]].concat());
    write("stream_decoder", "too-short", &[&messages[..], &[7, 0], &[b'm'; 7]].concat());
    let octets = [&[0x26, 1, 3, 1][..], &[9, 0, 0, 0], &[b'm'; 9], &[8, 0, 0, 0, b'm']].concat();
    write("stream_decoder", "octets", &octets);

    for role in ["pase_client", "pase_server", "case_client", "case_server"] {
        for flags in if role.starts_with("pase") { 0..1 } else { 0..4 } {
            let [as_such, octets] = fuzz::honest(role, flags);
            write(role, &format!("honest-{flags}"), &as_such);
            write(role, &format!("octets-{flags}"), &octets);
        }
    }

    let mut record = vec![2, 1];
    record.extend([4; 8]);
    record.extend(100_u64.to_le_bytes());
    record.extend([7; 48]);
    record.extend([1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    write("resumption_record", "one-tag", &record);
    let pase = &vectors["pase"][0];
    write("fabric_and_verifier", "verifier", &hex(&pase["verifier_w0_L"]));
    write("fabric_and_verifier", "fabric", &fuzz::fabric_octets());
    let mut pbkdf = vec![1, 0xE8, 3, 0, 0, 16];
    pbkdf.extend([9; 16]);
    pbkdf.extend([0; 16]);
    write("fabric_and_verifier", "pbkdf", &pbkdf);
    // Operations as `Op::read` has them: 0 dials, 11 lets time pass, 4 says, 5 answers.
    let (dial, run) = ([0], [11, 0, 1]);
    let talk = [4, 0, 9, 11, 0, 1, 0x85, 0, 11, 0, 1, 6, 0, 0x86, 0];
    write("manager", "case", &[&dial[..], &run, &talk].concat());
    write("manager", "resumed", &[&dial[..], &run, &dial, &run, &talk].concat());
    write("manager", "both", &[&[0, 0x80][..], &run, &talk, &[7, 0, 0x87, 0]].concat());
    write("manager", "pase", &[&[0x82, 1][..], &run, &talk, &[0x41], &run].concat());
    let lossy = [0, 25, 12, 0, 10, 0, 8, 25, 14, 0, 9, 0, 1, 25, 16, 1, 0x90, 2, 13, 0, 25, 25];
    write("manager", "lossy", &[&lossy[..], &run, &talk].concat());
    let slow = [0x92, 0x93, 0, 11, 0, 4, 0x92, 0x94, 0, 11, 0, 4, 8, 9, 0x95];
    write("manager", "slow", &[&slow[..], &run, &talk].concat());
    // 23 tells a group, 29 rotates keys, 30 leaves.
    let tell = [23, 0, 23, 1, 0x97, 1];
    write("manager", "groups", &[&tell[..], &run, &tell, &run].concat());
    let rotated = [29, 4, 23, 0, 0x9D, 7, 0x97, 1, 30, 1, 16, 0, 23, 1];
    write("manager", "groups-that-change", &[&tell[..], &rotated, &run, &tell].concat());

    for (name, flags) in [("data", 1), ("hidden", 9), ("control", 17), ("hidden-control", 25)] {
        let message = [1, 0, flags, 7, 0, 1, 0, 2, 5, 0, 1, 0, 9, 0, 2, 0, b'o', b'n'];
        write("group", name, &message);
        write("group", &format!("{name}-altered"), &[&message[..], &[20, 0, 4]].concat());
    }
    let mut datagrams = vec![0];
    for (size, security) in [(2, 1), (2, 0x81), (1, 0x41), (1, 0xC1)] {
        let to = if size == 2 { 2 } else { 8 };
        let mut message = vec![4 | size, 0, 0, security, 9, 0, 0, 0];
        message.extend([5, 0, 0, 0, 0, 0, 0, 0]);
        message.extend(&[1, 0, 0, 0, 0, 0, 0, 0][..to]);
        message.extend([1, 2, 3, 4, 1, 0, b'x']);
        message.extend([0; 16]);
        datagrams.extend([0, message.len() as u8, 0]);
        datagrams.extend(message);
    }
    write("group", "datagrams", &datagrams);
    // 255 makes it TCP, where connections are lost (21); 24 and 88 are Check-In messages.
    let lost = [21, 0x95, 0];
    write("manager", "tcp", &[&[255, 0][..], &run, &talk, &lost, &run, &talk].concat());
    let check_ins = [0, 24, 2, 0, 5, 6, 0x98, 0, 0, 25, 88, 1, 0, 7];
    write("manager", "check_in", &[&check_ins[..], &run, &talk].concat());

    // What matter.js has sent, as the target reads it: 0 is a packet of the peer, 4 sends, 5 polls.
    for run in matterjs_btp()["runs"].as_array().unwrap() {
        let is_client = run["role"] == "client";
        let (window, segment) = (number(&run["window"]), number::<u8>(&run["segment"]));
        let mut octets = vec![if is_client { 3 } else { 1 }, window, segment + 3];
        let mut is_first = true;
        for event in run["events"].as_array().unwrap() {
            if event["in"].is_string() {
                let packet = hex(&event["in"]);
                octets.extend((!is_first).then_some(0));
                octets.extend((packet.len() as u16).to_le_bytes());
                octets.extend(packet);
                is_first = false;
            } else if event["send"].is_number() {
                octets.push(4);
                octets.extend(number::<u16>(&event["send"]).to_le_bytes());
            } else if event["out"].is_string() && !is_first {
                octets.extend([5, 0]);
            }
            if octets.len() > 1200 {
                break;
            }
        }
        let name = format!("{}-{segment}", run["role"].as_str().unwrap());
        write("btp", &name, &octets);
    }
    // 1 is a packet with the right number, 7 lets time pass.
    let start = [&[1, 6, 247, 9, 0][..], &[0x65, 0x6C, 4, 0, 0, 0, 244, 0, 6]].concat();
    let message = [1, 13, 0, 3, 0, 3, 0, 7, 8, 9];
    let parts = [1, 1, 0, 3, 0, 2, 0, 7, 8, 1, 6, 0, 1, 0, 9];
    write("btp", "numbered", &[&start[..], &message, &[5, 0, 7, 25, 5, 0], &parts].concat());
    write("btp", "silent", &[&start[..], &message, &[5, 0, 7, 75, 7, 75]].concat());

    // Each world with its story alone, and with an act of its adversary.
    for world in 0..6 {
        write("restarts", &format!("story-{world}"), &[world]);
        write("restarts", &format!("act-{world}"), &[world, 0, 0, 2]);
    }
}
