//! Formats of captures: what is read, what is refused, what is written.

mod support;

use matter_session::group::SecurityPolicy;
use matter_session_testing::net::{Datagram, PASSCODE, index, udp};
use matter_trace::capture::{self, CaptureError};
use matter_trace::ladder::{self, Style};
use matter_trace::{Keys, Trace, export, verdict};
use pcap_file::DataLink;
use proptest::prelude::*;

use support::{log, pair, pcap, pcap_over, record, time, trace};

/// A CASE session with a request and its answer.
fn talk() -> (Vec<Datagram>, &'static support::Lines) {
    let mut net = pair();
    let keys = log(net.node(0));
    let (session, _) = net.case(200);
    let exchange = net.say(0, session, 8);
    net.run(1000);
    net.close_exchange(0, exchange);
    net.run(1000);
    (net.sent, keys)
}

#[test]
fn every_link_layer_gives_the_same_datagrams() {
    let (sent, _) = talk();
    let expected: Vec<_> = sent.iter().map(|datagram| (time(datagram), &datagram.octets)).collect();
    // Linux cooked mode: ARPHRD_LOOPBACK, the address and its length, IPv4.
    let cooked = [0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0];
    let cooked2 = [8, 0, 0, 0, 0, 0, 0, 1, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
    for file in [
        pcap(&sent),
        pcap_over(DataLink::LINUX_SLL, &cooked, &sent),
        pcap_over(DataLink::from(276), &cooked2, &sent),
        pcap_over(DataLink::RAW, &[], &sent),
        pcap_over(DataLink::IPV4, &[], &sent),
        pcap_over(DataLink::NULL, &[2, 0, 0, 0], &sent),
    ] {
        let read = capture::read(&file).unwrap();
        let read: Vec<_> = read.iter().map(|datagram| (datagram.at, &datagram.bytes)).collect();
        assert_eq!(read, expected);
    }
    let other = pcap_over(DataLink::IEEE802_11, &[], &sent);
    assert!(matches!(capture::read(&other), Err(CaptureError::Link(105))));
}

#[test]
fn ipv6_is_read_as_well() {
    let (sent, _) = talk();
    let address =
        |port| std::net::SocketAddr::from(([0xfe80_u16, 0, 0, 0, 0, 0, 0, 1], port)).into();
    let sent = sent.into_iter().map(|datagram| match datagram.from == udp(5540) {
        true => Datagram { from: address(5540), to: address(5541), ..datagram },
        false => Datagram { from: address(5541), to: address(5540), ..datagram },
    });
    let sent: Vec<_> = sent.collect();
    let read = capture::read(&pcap_over(DataLink::RAW, &[], &sent)).unwrap();
    assert_eq!(read.len(), sent.len());
    assert_eq!(read[0].from.to_string(), "[fe80::1]:5540");
}

#[test]
fn other_ports_are_left_out() {
    let (sent, _) = talk();
    let file = pcap(&sent);
    let of = |ports: &[u16]| {
        let datagrams = capture::read(&file).unwrap();
        Trace::new(datagrams, ports, Keys::default()).messages.len()
    };
    assert_eq!(of(&[5540]), sent.len());
    assert_eq!(of(&[]), sent.len());
    assert_eq!(of(&[53]), 0);
}

#[test]
fn what_is_written_is_read_again_and_holds_the_messages_in_clear() {
    let (sent, keys) = talk();
    let opened = trace(&pcap(&sent), &[keys]);
    let written = export::pcapng(&opened).unwrap();
    let again = trace(&written, &[]);
    assert_eq!(again.messages.len(), sent.len());
    let names = |trace: &Trace| trace.messages.iter().map(|m| m.name()).collect::<Vec<_>>();
    assert!(names(&opened).contains(&"InvokeRequest".to_owned()));
    let payloads =
        |trace: &Trace| trace.messages.iter().map(|m| m.payload.clone()).collect::<Vec<_>>();
    // A message of a session has no node ids, and so no kind as an unsecured one: its bytes are
    // compared.
    for (read, expected) in again.messages.iter().zip(&opened.messages) {
        assert_eq!(read.at, expected.at);
        assert!(read.bytes.ends_with(&expected.payload), "{}", expected.name());
    }
    assert!(payloads(&opened).contains(&vec![8; 20]));
    let comments = String::from_utf8_lossy(&written);
    assert!(comments.contains("decrypted: InvokeRequest"));
}

/// An unsecured message cannot be for a group.
#[test]
fn what_is_written_of_a_message_to_a_group_is_encrypted_and_the_comment_names_what_it_is() {
    let mut net = pair();
    let keys = log(net.node(0));
    let fabric = index(1);
    net.join_group(0, fabric, 0x101, SecurityPolicy::TrustFirst, &[1]);
    net.call(0, |manager, cx| manager.handle_timeout(cx));
    let octets = net.group_datagram(0, fabric, 0x101, b"to all of them");
    let sent = Datagram { from: udp(5540), to: udp(5541), octets, at: net.now };
    let opened = trace(&pcap(std::slice::from_ref(&sent)), &[keys]);
    assert_eq!(opened.messages[0].payload, b"to all of them");
    let written = export::pcapng(&opened).unwrap();
    assert_eq!(trace(&written, &[]).messages[0].bytes, sent.octets);
    let comments = String::from_utf8_lossy(&written);
    assert!(comments.contains("InvokeRequest") && !comments.contains("decrypted"), "{comments}");
}

#[test]
fn the_ladder_names_what_was_sent_and_when_it_was_acknowledged() {
    let mut net = pair();
    net.open_window(1);
    net.lose(&[1]);
    net.dial_pase(0, 1, PASSCODE);
    net.run(5000);
    let trace = trace(&record(&net), &[]);
    let text = ladder::draw(&trace, Style::default());
    assert!(text.starts_with("  A  127.0.0.1:5540\n  B  127.0.0.1:5541\n\n"), "{text}");
    let mut lines = text.lines().skip(3);
    let mut next = || lines.next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(next().starts_with("0.000 A ──▶ B PBKDFParamRequest "));
    assert!(next().starts_with("0.000 B ──▶ A PBKDFParamResponse "));
    let again = next();
    assert!(again.contains("PBKDFParamRe") && again.contains("sent again, 0."), "{again}");
    assert!(text.contains("StatusReport"), "{text}");
    assert!(text.contains("SUCCESS, SESSION_ESTABLISHMENT_SUCCESS"), "{text}");
    assert!(ladder::summary(&trace).ends_with("1 handshakes, 1 established"));
    let fields = ladder::draw(&trace, Style { fields: true });
    assert!(fields.contains("PBKDF iterations     1000"), "{fields}");
}

#[test]
fn a_key_log_with_a_bad_line_is_refused_by_its_number() {
    let error = Keys::default().add("# a comment\n\nSESSION PASE 1\n").unwrap_err();
    assert_eq!(error.to_string(), "line 3: malformed field in a line of the key log");
}

#[test]
fn every_cut_of_a_capture_is_an_error_or_a_shorter_capture() {
    let (sent, keys) = talk();
    let file = pcap(&sent);
    let whole = capture::read(&file).unwrap();
    // Between packets nothing says that more was to come.
    let mut ends = 0;
    for len in 0..file.len() {
        match capture::read(&file[..len]) {
            Ok(datagrams) => {
                assert_eq!(datagrams[..], whole[..datagrams.len()]);
                ends += 1;
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    assert_eq!(ends, whole.len());
    let written = export::pcapng(&trace(&file, &[keys])).unwrap();
    for len in 0..written.len() {
        let _ = capture::read(&written[..len]);
    }
    assert!(matches!(capture::read(b"not a capture"), Err(CaptureError::Format)));
    assert!(matches!(capture::read(&[]), Err(CaptureError::Format)));
}

static FILES: std::sync::OnceLock<([Vec<u8>; 2], String)> = std::sync::OnceLock::new();

fn files() -> &'static ([Vec<u8>; 2], String) {
    FILES.get_or_init(|| {
        let (sent, keys) = talk();
        let file = pcap(&sent);
        let written = export::pcapng(&trace(&file, &[keys])).unwrap();
        ([file, written], keys.text())
    })
}

fn all_of(file: &[u8]) {
    let Ok(datagrams) = capture::read(file) else { return };
    let mut keys = Keys::default();
    keys.add(&files().1).unwrap();
    let trace = Trace::new(datagrams, &[], keys);
    assert!(!verdict::explain(&trace).is_empty());
    assert!(!ladder::draw(&trace, Style { fields: true }).is_empty());
    let _ = export::pcapng(&trace);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_altered_capture_makes_nothing_panic(
        which in 0..2_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut file = files().0[which].clone();
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        all_of(&file);
    }

    #[test]
    fn garbage_behind_the_magic_makes_nothing_panic(
        magic in prop::sample::select(vec![[0x0A, 0x0D, 0x0D, 0x0A], [0xD4, 0xC3, 0xB2, 0xA1], [0xA1, 0xB2, 0x3C, 0x4D]]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        all_of(&[&magic[..], &bytes].concat());
    }

    #[test]
    fn garbage_in_datagrams_makes_nothing_panic(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..20),
    ) {
        let datagrams: Vec<_> = payloads
            .into_iter()
            .zip(0..)
            .map(|(octets, at)| Datagram { from: udp(5540), to: udp(5541), octets, at: at * 700 })
            .collect();
        all_of(&pcap(&datagrams));
    }
}
