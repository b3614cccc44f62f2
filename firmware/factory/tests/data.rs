//! What the tool writes, and that a device can be commissioned with it.

#![allow(missing_docs, reason = "a test")]

use std::process::{Command, Output};

use factory_data::{FactoryData, FactoryError, Format, LEN, from_hex};
use matter_session::crypto::{Passcode, PbkdfParameters, RustCrypto, Verifier};
use matter_session::rand_core::UnwrapErr;
use matter_session::{
    CommissioningWindow, Config, Event, HeapSessionManager, Instant, PeerAddress, Services,
};

/// The example that connectedhomeip tests with: the verifier of passcode 20202021.
const SALT: &[u8] = b"SPAKE2P Key Salt";
const VERIFIER: &str = "b96170aae803346884724fe9a3b287c30330c2a660375d17bb205a8cf1aecb35\
    0457f8ab79ee253ab6a8e46bb09e543ae422736de501e3db37d441fe344920d095\
    48e4c18240630c4ff4913c53513839b7c07fcc0627a1b8573a149fcd1fa466cf";

fn example() -> FactoryData {
    let parameters = PbkdfParameters::new(1000, SALT).unwrap();
    FactoryData::generate(&Passcode::new(20_202_021).unwrap(), 3840, parameters).unwrap()
}

fn factory(args: &str) -> Output {
    let args = args.split_whitespace();
    Command::new(env!("CARGO_BIN_EXE_factory")).args(args).output().unwrap()
}

/// What a device does with the bytes.
fn read(bytes: &[u8]) -> Option<(u16, CommissioningWindow)> {
    let (discriminator, rest) = bytes.split_first_chunk()?;
    let (pbkdf, verifier) = rest.split_first_chunk::<{ PbkdfParameters::ENCODED_LEN }>()?;
    let verifier = Verifier::from_bytes(verifier.try_into().ok()?).ok()?;
    let window = CommissioningWindow::new(verifier, PbkdfParameters::from_bytes(pbkdf).ok()?);
    Some((u16::from_le_bytes(*discriminator), window))
}

/// Whether a phone that knows the passcode can establish a session with a device that has the data.
fn commissions(bytes: &[u8], passcode: u32) -> bool {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let mut phone = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
    let mut lamp = HeapSessionManager::new(Config::default(), RustCrypto, &mut rng);
    let [at_phone, at_lamp] = [1, 2].map(|port| PeerAddress::Udp(([127, 0, 0, 1], port).into()));
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(Instant::ZERO);
    let (_, window) = read(bytes).unwrap();
    lamp.window().open(&mut cx, window).unwrap();
    phone.connect_pase(&mut cx, at_lamp, Passcode::new(passcode).unwrap()).unwrap();
    for _ in 0..100 {
        // Each computes the next part of its handshake.
        phone.handle_timeout(&mut cx);
        lamp.handle_timeout(&mut cx);
        while let Some(sent) = phone.poll_transmit(cx.now()) {
            lamp.handle_datagram(&mut cx, at_phone, &mut sent.datagram.to_vec());
        }
        while let Some(sent) = lamp.poll_transmit(cx.now()) {
            phone.handle_datagram(&mut cx, at_lamp, &mut sent.datagram.to_vec());
        }
        match phone.poll_event() {
            Some(Event::Established { .. }) => return true,
            Some(Event::HandshakeFailed { .. }) => return false,
            _ => {}
        }
    }
    panic!("the handshake does not end");
}

#[test]
fn the_verifier_is_that_of_connectedhomeip() {
    let bytes = example().to_bytes();
    assert_eq!(bytes.as_bytes().len(), LEN);
    assert_eq!(bytes.as_bytes()[LEN - Verifier::LEN..], from_hex(VERIFIER).unwrap());
    let (discriminator, _) = read(bytes.as_bytes()).unwrap();
    assert_eq!(discriminator, 3840);
}

#[test]
fn all_formats_have_the_same_bytes() {
    let data = example();
    let bytes = data.to_bytes();
    assert_eq!(data.write(Format::Binary), bytes.as_bytes());
    let hex = String::from_utf8(data.write(Format::Hex)).unwrap();
    assert_eq!(from_hex(hex.trim_end()).unwrap(), bytes.as_bytes());
    for (format, first) in
        [(Format::C, "MATTER_DISCRIMINATOR = 3840;"), (Format::Rust, "DISCRIMINATOR: u16 = 3840;")]
    {
        let text = String::from_utf8(data.write(format)).unwrap();
        assert!(text.contains(first), "{text}");
        let elements = text.split("0x").skip(1).map(|rest| u8::from_str_radix(&rest[..2], 16));
        let elements: Vec<_> = elements.map(Result::unwrap).collect();
        assert_eq!(elements, bytes.as_bytes()[2..], "{text}");
        assert!(text.contains("[38]") || text.contains("[u8; 38]"), "{text}");
        assert!(text.contains("[97]") || text.contains("[u8; 97]"), "{text}");
        assert!(!text.contains("20202021"), "the passcode is on the label only");
    }
}

#[test]
fn a_device_with_random_data_accepts_its_passcode_and_no_other() {
    let output = factory("--iterations 1000 --format bin");
    assert!(output.status.success());
    assert_eq!(output.stdout.len(), LEN);
    let label = String::from_utf8(output.stderr).unwrap();
    let (passcode, discriminator) = label.trim_end().split_once(", discriminator ").unwrap();
    let passcode: u32 = passcode.strip_prefix("passcode ").unwrap().parse().unwrap();
    assert_eq!(read(&output.stdout).unwrap().0.to_string(), discriminator);
    assert!(commissions(&output.stdout, passcode));
    assert!(!commissions(&output.stdout, if passcode == 1 { 2 } else { 1 }));
    assert_ne!(factory("--iterations 1000 --format bin").stdout, output.stdout);
}

#[test]
fn the_arguments_are_in_the_data() {
    let salt: String = SALT.iter().map(|byte| format!("{byte:02x}")).collect();
    let output = factory(&format!(
        "--passcode 20202021 --discriminator 3840 --iterations 1000 --salt {salt} --format rust"
    ));
    assert_eq!(output.stdout, example().write(Format::Rust));
    assert_eq!(output.stderr, b"passcode 20202021, discriminator 3840\n");
}

#[test]
fn what_the_specification_forbids_is_refused_without_output() {
    let passcodes =
        ["0", "11111111", "55555555", "99999999", "12345678", "87654321", "100000000", "-1"];
    let passcodes = passcodes.map(|passcode| format!("--passcode {passcode}"));
    let others = [
        "--discriminator 4096",
        "--iterations 999",
        "--iterations 100001",
        "--salt 000102030405060708090a0b0c0d0e",
        "--salt 000102030405060708090a0b0c0d0e0f0",
        "--salt +0+1+2+3+4+5+6+7+8+9+a+b+c+d+e+f",
        "--format base64",
        "passcode",
    ];
    for args in passcodes.iter().map(String::as_str).chain(others) {
        let output = factory(args);
        assert!(!output.status.success(), "{args}");
        assert!(output.stdout.is_empty(), "{args}");
        assert!(output.stderr.starts_with(b"factory: "), "{args}");
    }
    let parameters = PbkdfParameters::new(1000, SALT).unwrap();
    let refused = FactoryData::generate(&Passcode::new(1).unwrap(), 4096, parameters);
    assert_eq!(refused.unwrap_err(), FactoryError::Discriminator(4096));
}
