//! Recorded handshakes in which a node refuses a certificate, each explained in one sentence.

mod support;

use std::time::Duration;

use aes::Aes128;
use ccm::Ccm;
use ccm::aead::inout::InOutBuf;
use ccm::aead::{AeadInOut, KeyInit};
use ccm::consts::{U13, U16};
use matter_session::handshake::case::messages::Sigma2;
use matter_session::keylog::KeyLogEntry;
use matter_session::manager::Config;
use matter_session::time::MatterTime;
use matter_session::wire::secure_channel::Opcode;
use matter_session_testing::net::{Authority, Net, udp};

use matter_trace::verdict;
use support::{A, B, Lines, TODAY, YEAR_2000, explain, know_the_date, log, pcap_by, record, trace};

/// A handshake of two nodes that know the date. The certificate of node `n` is valid in this time
/// only, and the other node refuses it.
fn refused_certificate(n: usize, since: MatterTime, until: MatterTime) -> (Net, &'static Lines) {
    let mut net = Net::with([5540, 5541].map(|port| (udp(port), Config::default())).into());
    let mut authority = Authority::new(1, true);
    for (member, node) in [100, 200].into_iter().enumerate() {
        let always = authority.since;
        if member == n {
            (authority.since, authority.until) = (since, Some(until));
        }
        authority.join(&mut net, member, node);
        (authority.since, authority.until) = (always, None);
    }
    know_the_date(&mut net);
    let keys = log(net.node(0));
    net.dial_case(0, 1, 1, 200);
    net.run(5000);
    (net, keys)
}

const DAY: u32 = 86_400;
const YESTERDAY: MatterTime = MatterTime::from_seconds(TODAY - DAY);
const TOMORROW: MatterTime = MatterTime::from_seconds(TODAY + DAY);

#[test]
fn an_expired_certificate() {
    for expired in [0, 1] {
        let (net, keys) = refused_certificate(expired, MatterTime::from_seconds(1), YESTERDAY);
        let (by, of) = if expired == 0 { (B, A) } else { (A, B) };
        assert_eq!(
            explain(&record(&net), &[keys]),
            [format!(
                "Expired certificate: {by} refused the operational certificate of {of}, which \
                 ended on 2025-12-31."
            )]
        );
        let message = if expired == 0 { "CASE Sigma3" } else { "CASE Sigma2" };
        assert_eq!(
            explain(&record(&net), &[]),
            [format!(
                "Refused certificates: {by} refused {message} of {of}, and a key log of either \
                 would tell more."
            )]
        );
    }
}

/// A node whose certificate begins tomorrow.
fn early_certificate() -> (Net, &'static Lines) {
    refused_certificate(1, TOMORROW, MatterTime::from_seconds(TODAY + 9 * DAY))
}

#[test]
fn a_certificate_that_is_not_valid_yet() {
    let (net, keys) = early_certificate();
    assert_eq!(
        explain(&record(&net), &[keys]),
        [format!(
            "Certificate not valid yet: {A} refused the operational certificate of {B}, which \
             begins on 2026-01-02."
        )]
    );
}

#[test]
fn a_certificate_that_is_refused_although_it_is_valid_at_the_time_of_the_capture() {
    let (net, keys) = early_certificate();
    let later = Duration::from_secs(YEAR_2000 + u64::from(TODAY + 2 * DAY));
    assert_eq!(
        explain(&pcap_by(later, &net.sent), &[keys]),
        [format!(
            "Refused certificates: {A} refused those of {B}, which are valid at that time, so \
             root, fabric, node id or signature are not what it wants."
        )]
    );
}

#[test]
fn of_a_capture_without_the_date_nobody_says_that_certificates_were_valid() {
    let (net, keys) = early_certificate();
    assert_eq!(
        explain(&pcap_by(Duration::ZERO, &net.sent), &[keys]),
        [format!(
            "Refused certificates: {A} refused those of {B}, and whether they were valid at that \
             time is not known, as the clock of the capture is not between 2000 and 2136."
        )]
    );
}

#[test]
fn a_refused_message_that_the_capture_lacks() {
    let (mut net, keys) = early_certificate();
    net.sent.retain(|datagram| datagram.handshake_opcode() != Some(Opcode::CASE_SIGMA2.0));
    assert_eq!(
        explain(&record(&net), &[keys]),
        [format!(
            "Refused: {A} refused a message of {B} that is not in the capture with FAILURE, \
             INVALID_PARAMETER."
        )]
    );
}

/// Nobody refuses a message of its own.
#[test]
fn the_refused_message_is_the_last_one_of_the_other_node() {
    let (net, keys) = early_certificate();
    let mut trace = trace(&record(&net), &[keys]);
    // The refusing node has sent something else before it refuses.
    let report = trace.messages.iter().position(|message| message.report().is_some()).unwrap();
    let mut other = trace.messages[report].clone();
    other.inner.as_mut().unwrap().opcode = Opcode::CASE_SIGMA3.0;
    trace.messages.insert(report, other);
    assert_eq!(
        verdict::explain(&trace),
        [format!(
            "Certificate not valid yet: {A} refused the operational certificate of {B}, which \
             begins on 2026-01-02."
        )]
    );
}

#[test]
fn a_malformed_certificate() {
    let (net, keys) = early_certificate();
    let mut trace = trace(&record(&net), &[keys]);
    let keys = keys.text();
    let key = keys.lines().find_map(|line| match KeyLogEntry::parse(line) {
        Ok(Some(KeyLogEntry::Sigma2(key))) => Some(key),
        _ => None,
    });
    let sealing = Ccm::<Aes128, U16, U13>::new(key.unwrap().as_bytes().into());
    let nonce = b"NCASE_Sigma2N".into();
    let opcode = Opcode::CASE_SIGMA2;
    let sigma2 = trace.messages.iter_mut().find(|message| message.opcode() == Some(opcode));
    let payload = &mut sigma2.unwrap().payload;
    let noc = trace.keys.certificates(opcode, payload).unwrap().noc;
    // Sealed again, with a certificate that is no structure.
    let sealed = Sigma2::parse(payload).unwrap().encrypted;
    let (text, mic) = payload[sealed].split_last_chunk_mut::<16>().unwrap();
    sealing.decrypt_inout_detached(nonce, &[], InOutBuf::from(&mut *text), (&*mic).into()).unwrap();
    let place = text.windows(noc.len()).position(|octets| octets == noc).unwrap();
    text[place] = 0;
    *mic = sealing.encrypt_inout_detached(nonce, &[], InOutBuf::from(text)).unwrap().into();
    assert_eq!(
        verdict::explain(&trace),
        [format!("Malformed certificate: {A} refused the operational certificate of {B}.")]
    );
}
