//! Records for people: they tell what happens, and no secrets.

use matter_session::check_in::{IcdCounter, MAX_DATAGRAM_BUFFER};
use matter_session::crypto::Secret;
use matter_session::ids::MessageType;
use matter_session::ids::NodeId;
use matter_session::manager::Received;

use crate::net::{Authority, IM, Net, PASSCODE, index};

/// Everything once: PASE, CASE, messages, a resumption, refusals, drops, endings. Returns the
/// secrets that there were.
fn a_busy_day() -> Vec<Vec<u8>> {
    let mut net = Net::pair();
    let mut authority = Authority::new(0xA5, true);
    authority.join(&mut net, 0, 100);
    authority.join(&mut net, 1, 200);
    let keys = keys::log(&mut net);
    // The window is closed.
    net.dial_pase(0, 1, PASSCODE);
    net.run(5000);
    net.open_window(1);
    net.dial_pase(0, 1, PASSCODE + 1);
    net.run(5000);
    // The first answer gets lost.
    net.lose(&[1]);
    net.dial_pase(0, 1, PASSCODE);
    net.run(5000);
    let (session, _) = net.case(200);
    let payload = b"the alarm code is 4711";
    let exchange = net.call(0, |manager, cx| manager.open_exchange(cx, session)).unwrap();
    net.call(0, |manager, cx| manager.send(cx, exchange, MessageType::new(IM, 8), payload))
        .unwrap();
    net.run(1000);
    let mut secrets = vec![payload.to_vec(), vec![0xA5; 16], PASSCODE.to_le_bytes().to_vec()];
    for n in 0..2 {
        for session in net.node(n).manager.sessions().iter() {
            secrets.push(session.session().attestation_challenge().to_vec());
        }
        for record in net.node(n).manager.dangerous_records() {
            secrets.push(record.shared_secret.as_bytes().to_vec());
        }
    }
    net.case(200);
    secrets.push(check_in(&mut net));
    let from = net.nodes[0].address;
    let _ = net.call(1, |manager, cx| manager.handle_datagram(cx, from, &mut [0x5A; 40]).dropped());
    net.call(1, |manager, cx| manager.fabrics_mut().remove(cx, index(1)));
    net.run(1000);
    net.dial_case(0, 1, 1, 200);
    net.settle();
    net.call(0, |m, cx| m.records_mut().forget_all(cx));
    secrets.extend(keys());
    secrets
}

/// A Check-In message of node 0 to node 1. Returns its key.
fn check_in(net: &mut Net) -> Vec<u8> {
    let mut counter = IcdCounter::random(10, &mut net.node(0).rng);
    counter.stored(counter.bound_to_store().unwrap());
    let key = counter.register(Secret::new([0xC1; 16]), &[]).unwrap();
    let check_in = counter.check_in(&[]).unwrap();
    let mut buf = [0; MAX_DATAGRAM_BUFFER];
    let (from, to) = (net.nodes[0].address, net.nodes[1].address);
    let mut datagram = net.call(0, |manager, cx| {
        let sent = manager.send_check_in(cx, to, &check_in, &key, &mut buf).unwrap();
        sent.datagram.to_vec()
    });
    net.call(1, |manager, cx| {
        let received = manager.handle_datagram(cx, from, &mut datagram);
        assert!(matches!(received, Received::CheckIn { .. }));
    });
    vec![0xC1; 16]
}

/// The keys themselves, as far as the build discloses them to a hook.
#[cfg(not(feature = "keylog"))]
mod keys {
    use crate::net::Net;

    pub(super) fn log(_: &mut Net) -> impl FnOnce() -> Vec<Vec<u8>> + use<> {
        Vec::new
    }
}

/// The keys of all sessions and handshakes.
#[cfg(feature = "keylog")]
mod keys {
    use core::cell::RefCell;

    use matter_session::context::Services;
    use matter_session::keylog::{KeyLog, KeyLogEntry};

    use crate::net::Net;

    #[derive(Default)]
    struct Keys(RefCell<Vec<Vec<u8>>>);

    impl KeyLog for Keys {
        fn log(&self, entry: &KeyLogEntry) {
            self.0.borrow_mut().extend(match entry {
                KeyLogEntry::Session(session) => {
                    vec![session.i2r.as_bytes().to_vec(), session.r2i.as_bytes().to_vec()]
                }
                KeyLogEntry::Sigma2(key) | KeyLogEntry::Sigma3(key) => {
                    vec![key.as_bytes().to_vec()]
                }
                other => panic!("{other:?}"),
            });
        }
    }

    pub(super) fn log(net: &mut Net) -> impl FnOnce() -> Vec<Vec<u8>> + use<> {
        let keys: &'static Keys = Box::leak(Box::default());
        for node in &mut net.nodes {
            node.equip =
                Some(Box::new(|services: Services<'_>| services.with_hazmat_key_log(keys)));
        }
        || {
            assert!(keys.0.borrow().len() > 8, "the keys are known");
            keys.0.take()
        }
    }
}

#[cfg(feature = "log")]
mod through_log {
    use core::cell::RefCell;
    use std::sync::Once;

    use log::{Level, LevelFilter, Log, Metadata, Record};

    use super::*;

    std::thread_local! {
        /// What this thread has logged: tests of other threads have buffers of their own.
        static LOGGED: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
    }

    struct Capture;

    impl Log for Capture {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "matter_session"
        }

        fn log(&self, record: &Record<'_>) {
            if self.enabled(record.metadata()) {
                let line = (record.level(), record.args().to_string());
                LOGGED.with(|logged| logged.borrow_mut().push(line));
            }
        }

        fn flush(&self) {}
    }

    fn logged() -> (Vec<(Level, String)>, Vec<Vec<u8>>) {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            log::set_logger(&Capture).unwrap();
            log::set_max_level(LevelFilter::Trace);
        });
        let secrets = a_busy_day();
        (LOGGED.with(RefCell::take), secrets)
    }

    /// Whether a record of a message names this type, with or without the feature `describe`.
    fn is_check_in(line: &str) -> bool {
        line.contains("Check-In") || line.contains("opcode 0x50")
    }

    #[test]
    fn what_happens_is_logged() {
        let (lines, _) = logged();
        let expected = [
            (Level::Info, "fabric 1 added"),
            (Level::Info, "commissioning window opened"),
            (Level::Debug, "handshake 1 with udp:127.0.0.1:2 begins"),
            (Level::Info, "handshake failed: wrong passcode"),
            (Level::Info, "resumed: false"),
            (Level::Info, "resumed: true"),
            (Level::Trace, "sent: session 0, exchange "),
            (Level::Trace, "sent again: session 0, exchange "),
            (Level::Trace, "received: session 0, exchange "),
            (Level::Trace, "received again: session 0, exchange "),
            (Level::Debug, "handshake refused: FAILURE, code 2"),
            (Level::Debug, "handshake refused: FAILURE, code 1"),
            (Level::Trace, "acknowledged: exchange "),
            (Level::Debug, "the operational key of fabric 1 is to sign"),
            (Level::Debug, "resumption record of 00000000000000c8 on fabric 1 changed"),
            (Level::Debug, "datagram dropped: "),
            (Level::Info, "closed: FabricRemoved"),
            (Level::Info, "handshake failed: refused by the peer: no shared trust roots"),
        ];
        for (level, text) in expected {
            let found = lines.iter().any(|(at, line)| *at == level && line.contains(text));
            assert!(found, "{level} {text:?} is missing from {lines:#?}");
        }
        for way in ["sent: ", "received: "] {
            let of_check_in = |line: &&(Level, String)| {
                line.0 == Level::Trace && line.1.starts_with(way) && is_check_in(&line.1)
            };
            assert_eq!(lines.iter().filter(of_check_in).count(), 1, "{way}{lines:#?}");
        }
        let mut net = Net::pair();
        net.open_window(0);
        for _ in 0..20 {
            net.dial_pase(1, 0, PASSCODE + 1);
            net.run(5000);
        }
        let lines = LOGGED.with(RefCell::take);
        let warned = lines.iter().any(|(at, line)| *at == Level::Warn && line.contains("window"));
        assert!(warned);
    }

    #[test]
    fn no_secret_is_logged_and_no_address_above_debug() {
        let (lines, secrets) = logged();
        for (level, line) in &lines {
            for secret in &secrets {
                let octets = &secret[..secret.len().min(4)];
                let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
                let list = format!("{octets:?}");
                let text = String::from_utf8_lossy(secret);
                let number = PASSCODE.to_string();
                for form in [&hex, list.trim_matches(['[', ']']), &text, &number] {
                    assert!(!line.contains(form), "{line:?} contains {form:?}");
                }
            }
            if *level <= Level::Info {
                assert!(
                    !line.contains("127.0.0.1") && !line.contains(&NodeId::new(200).to_string())
                );
            }
        }
    }
}

#[cfg(feature = "defmt")]
#[test]
fn no_secret_goes_through_defmt() {
    defmt::export::fetch_bytes();
    let secrets = a_busy_day();
    let written = defmt::export::fetch_bytes();
    // What defmt compiles in, the environment of the build says; `.ci/run` has it take all.
    assert!(option_env!("DEFMT_LOG") != Some("trace") || written.len() > 100, "no records");
    for secret in secrets {
        let found = written.windows(secret.len()).any(|octets| octets == secret);
        assert!(!found, "{secret:02x?} was written");
    }
}

/// What the application prints of an event or a message has no payload and no digest.
#[cfg(feature = "defmt")]
#[test]
fn formatted_values_hold_no_payload_and_no_digest() {
    let mut net = Net::members();
    net.node(0).signs = false;
    net.node(1).signs = false;
    net.dial_case(0, 1, 1, 200);
    net.run(1000);
    let request = net.node(1).requests.pop().unwrap();
    let digest = *request.digest();
    defmt::export::fetch_bytes();
    defmt::println!("{}", request);
    let written = defmt::export::fetch_bytes();
    assert!(!written.is_empty());
    assert!(!written.windows(4).any(|octets| octets == &digest[..4]));
    let node = &net.nodes[0].manager;
    defmt::println!("{} {}", node.statistics(), NodeId::new(0x0123_4567_89AB_CDEF));
    let written = defmt::export::fetch_bytes();
    assert!(written.windows(8).any(|octets| octets == 0x0123_4567_89AB_CDEF_u64.to_le_bytes()));
}
