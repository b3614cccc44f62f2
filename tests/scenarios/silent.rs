//! Attackers that open handshakes and fall silent, and the wait that a genuine initiator is told.

use core::time::Duration;

use matter_session::handshake::{HandshakeError, Refusal};
use matter_session::manager::Config;

use crate::net::{Authority, Fate, Net, PASSCODE, udp};
use crate::raw::{ACK, PAKE1, PBKDF_RESPONSE, REPORT, Raw, SIGMA2, SIGMA2_RESUME, SIGMA3};

const ATTACKER: usize = 0;
const DEVICE: usize = 1;
const GENUINE: usize = 2;
const HOUR: u32 = 3_600_000;

/// How an attacker lets a handshake hang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// It answers nothing, not even with an acknowledgement.
    Total,
    /// It has named the longest intervals that there are.
    OfLongIntervals,
    /// It acknowledges Sigma2, and that is all.
    AfterAcknowledging,
    /// It offers to resume, and does not report.
    OnResuming,
    /// It does not acknowledge that it has a session.
    OnTheLastWord,
}

const SILENCES: [Silence; 5] = [
    Silence::Total,
    Silence::OfLongIntervals,
    Silence::AfterAcknowledging,
    Silence::OnResuming,
    Silence::OnTheLastWord,
];

fn besieged(silence: Silence, slots: usize) -> Net {
    let mut attacker = Config::default();
    if silence == Silence::OfLongIntervals {
        attacker.parameters = attacker.parameters.with_intervals(HOUR, HOUR, u16::MAX);
    }
    let device = Config::default().with_handshakes(slots, Duration::from_millis(300));
    let nodes = [attacker, device, Config::default()];
    let mut net = Net::with((1..).map(udp).zip(nodes).collect());
    let mut authority = Authority::new(1, false);
    for (n, node) in [100, 200, 300].into_iter().enumerate() {
        authority.join(&mut net, n, node);
    }
    if silence == Silence::OnResuming {
        net.case(200);
        net.settle();
    }
    net
}

/// Opens as many handshakes as the device has slots, a little apart.
fn occupy(net: &mut Net, silence: Silence, slots: usize) {
    net.on_send(move |sent| {
        let opcode = sent.handshake_opcode();
        let hears = match silence {
            Silence::OnTheLastWord => opcode != Some(REPORT),
            _ => false,
        };
        let is_lost = sent.to == udp(1) && !hears;
        if is_lost { Fate::Lost } else { Fate::Arrives }
    });
    for _ in 0..slots {
        let since = net.sent.len();
        net.dial_case(ATTACKER, DEVICE, 1, 200);
        net.run(20);
        if silence == Silence::AfterAcknowledging {
            let sigma1 = net.sent_by(ATTACKER, since)[0].octets.clone();
            let sigma2 = net.sent_by(DEVICE, since)[0].octets.clone();
            let acked = u32::from_le_bytes(sigma2[4..8].try_into().unwrap());
            let ack = Raw { flags: 1, ack: Some(acked), ..Raw::like(&sigma1, ACK, &[]) };
            net.hand(DEVICE, udp(1), &ack.octets()).unwrap();
        }
    }
}

/// The wait that the genuine initiator is told, if it is refused.
fn told(net: &mut Net) -> Option<Duration> {
    net.node(GENUINE).events.clear();
    net.dial_case(GENUINE, DEVICE, 1, 200);
    net.run(100);
    match net.nodes[GENUINE].failures()[..] {
        [] => None,
        [HandshakeError::Refused(Refusal::Busy { wait })] => Some(wait),
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn a_genuine_initiator_gets_in_after_the_wait_that_it_was_told() {
    for slots in [1, 2, 7] {
        for silence in SILENCES {
            let what = format!("{silence:?} on {slots}");
            let mut net = besieged(silence, slots);
            occupy(&mut net, silence, slots);
            let wait = told(&mut net).unwrap_or_else(|| panic!("{what}: not refused"));
            assert!(wait < Duration::from_millis(65_535), "{what}: {wait:?}");
            let quick = matches!(silence, Silence::Total | Silence::OnResuming);
            assert!(!quick || wait < Duration::from_secs(8), "{what}: {wait:?}");
            // It was told some of the 100 ms ago.
            net.run(wait.as_millis() as u64);
            assert_eq!(told(&mut net), None, "{what}");
            assert!(net.node(GENUINE).try_established().is_some(), "{what}");
            net.run(200_000);
            net.nodes[DEVICE].assert_clean();
        }
    }
}

/// Before its time, the wait gets shorter; it is never less than the configured one.
#[test]
fn the_wait_counts_down() {
    let mut net = besieged(Silence::AfterAcknowledging, 2);
    occupy(&mut net, Silence::AfterAcknowledging, 2);
    let mut waits = Vec::new();
    while let Some(wait) = told(&mut net) {
        waits.push(wait.as_millis() as u64);
        net.run(9_900);
    }
    assert_eq!(waits.len(), 6, "{waits:?}");
    assert!(waits.windows(2).all(|pair| pair[0] == pair[1] + 10_000), "{waits:?}");
    let mut net = besieged(Silence::AfterAcknowledging, 2);
    occupy(&mut net, Silence::AfterAcknowledging, 2);
    net.run(59_900);
    assert_eq!(told(&mut net), Some(Duration::from_millis(300)));
}

#[test]
fn a_second_commissioner_gets_in_after_the_wait_that_it_was_told() {
    for falls_silent in [PBKDF_RESPONSE, PAKE1, REPORT] {
        for long in [false, true] {
            let what = format!("silent from {falls_silent:#x} on, long: {long}");
            let silence = if long { Silence::OfLongIntervals } else { Silence::Total };
            let mut net = besieged(silence, 2);
            net.open_window(DEVICE);
            net.on_send(move |sent| {
                let opcode = sent.handshake_opcode();
                // The attacker sends up to some message, and hears up to its answer.
                let lost = match falls_silent {
                    PBKDF_RESPONSE => sent.to == udp(1),
                    PAKE1 => sent.from == udp(1) && !matches!(opcode, Some(0x20)),
                    _ => sent.from == udp(1) && !matches!(opcode, Some(0x20 | PAKE1)),
                };
                if lost { Fate::Lost } else { Fate::Arrives }
            });
            net.dial_pase(ATTACKER, DEVICE, PASSCODE);
            net.run(20);
            assert_eq!(net.nodes[DEVICE].manager.handshakes().len(), 1);
            net.dial_pase(GENUINE, DEVICE, PASSCODE);
            net.run(100);
            let [HandshakeError::Refused(Refusal::Busy { wait })] =
                net.nodes[GENUINE].failures()[..]
            else {
                panic!("{what}: {:?}", net.nodes[GENUINE].failures())
            };
            net.run(wait.as_millis() as u64);
            net.dial_pase(GENUINE, DEVICE, PASSCODE);
            net.run(1000);
            assert!(net.node(GENUINE).try_established().is_some(), "{what}");
            net.run(100_000);
            net.nodes[DEVICE].assert_clean();
        }
    }
}

#[test]
fn what_attackers_leave_hanging_ends_within_a_minute() {
    for silence in SILENCES {
        let mut net = besieged(silence, 4);
        let before = net.nodes[DEVICE].manager.sessions().len();
        occupy(&mut net, silence, 4);
        let held = if silence == Silence::OnTheLastWord { 0 } else { 4 };
        assert_eq!(net.nodes[DEVICE].manager.handshakes().len(), held, "{silence:?}");
        let opcodes = [SIGMA2, SIGMA2_RESUME, REPORT, SIGMA3];
        assert!(
            net.sent.iter().any(|d| d.handshake_opcode().is_some_and(|o| opcodes.contains(&o)))
        );
        net.run(60_100);
        assert_eq!(net.nodes[DEVICE].manager.handshakes().len(), 0, "{silence:?}");
        let made = net.nodes[DEVICE].manager.sessions().len() - before;
        assert_eq!(made, 4 - held, "{silence:?}");
        assert!(net.nodes[DEVICE].failures().iter().all(|e| *e == HandshakeError::TimedOut));
        net.run(100_000);
        net.nodes[DEVICE].assert_clean();
    }
}
