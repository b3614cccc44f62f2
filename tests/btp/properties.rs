//! Two ends over a link with delays: all messages arrive, in order, and no window is exceeded.

use std::collections::VecDeque;
use std::time::Duration;

use matter_session::btp::{BTP_MAX_SEGMENT, BtpConfig, BtpSession};
use matter_session::time::Instant;
use matter_session_testing::btp::Plain;
use matter_session_testing::rng::Dice;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::{ROOM, Session, message};

/// When a value arrives, and the value.
type Value = (u64, Vec<u8>);

/// One side, with what it is yet to send and what has arrived.
struct End {
    session: Session,
    plain: Option<Plain>,
    /// Messages with the time from which they are to be sent.
    backlog: VecDeque<Value>,
    /// Messages that the plain count has put together from the packets sent.
    sent: Vec<Vec<u8>>,
    arrived: Vec<Vec<u8>>,
    /// What is on the way to this side, in order.
    values: VecDeque<Value>,
    /// When GATT has confirmed the last packet of this side.
    confirmed: u64,
}

impl End {
    fn new(session: Session, messages: &[(u64, Vec<u8>)]) -> Self {
        let mut backlog: Vec<_> = messages.to_vec();
        backlog.sort_by_key(|(from, _)| *from);
        Self {
            session,
            plain: None,
            backlog: backlog.into(),
            sent: Vec::new(),
            arrived: Vec::new(),
            values: VecDeque::new(),
            confirmed: 0,
        }
    }

    fn handle(&mut self, packet: &[u8], now: Instant) -> Result<(), TestCaseError> {
        let message = self.session.handle_packet(packet, now);
        let message = message.map(|message| message.map(|message| message.to_vec()));
        if let Some(plain) = &mut self.plain {
            prop_assert_eq!(&message, &plain.receive(packet));
        }
        self.arrived.extend(message.unwrap());
        Ok(())
    }

    /// When something happens on this side without a packet.
    fn next_event(&self, now: u64) -> Option<u64> {
        let confirmed = Some(self.confirmed).filter(|at| *at > now);
        let backlog = self.backlog.front().map(|(at, _)| *at).filter(|at| *at > now);
        let timer = self.session.poll_timeout().map(Instant::as_millis);
        let value = self.values.front().map(|(at, _)| *at);
        [confirmed, backlog, timer, value].into_iter().flatten().min()
    }
}

#[derive(Clone, Debug)]
struct Run {
    /// ATT_MTU, if known, and window of the client and the server.
    configs: [(Option<u16>, u8); 2],
    messages: [Vec<(u64, Vec<u8>)>; 2],
    /// The longest delay of a packet, in milliseconds.
    delay: u64,
    seed: u64,
}

fn runs() -> impl Strategy<Value = Run> {
    let window = prop_oneof![3 => 1_u8..8, 1 => any::<u8>()];
    let config =
        (proptest::option::of(prop_oneof![Just(23_u16), 20..100_u16, any::<u16>()]), window);
    let len = prop_oneof![1..40_usize, 1..300_usize, 1000..=ROOM - 2];
    let message = (0..60_000_u64, len, any::<u8>())
        .prop_map(|(from, len, step)| (from, message(len).iter().map(|n| n ^ step).collect()));
    let messages = vec(message, 0..12);
    let delay = prop_oneof![Just(0_u64), 1..50_u64, 50..900_u64];
    ([config.clone(), config], [messages.clone(), messages], delay, any::<u64>())
        .prop_map(|(configs, messages, delay, seed)| Run { configs, messages, delay, seed })
}

fn carry(run: &Run) -> Result<(), TestCaseError> {
    let mut dice = Dice::new(run.seed);
    let config = |(att_mtu, window): (Option<u16>, u8)| {
        let config = BtpConfig::default()
            .with_window(window)
            .with_idle_timeout(Duration::from_secs(100_000));
        att_mtu.map_or(config, |att_mtu| config.with_att_mtu(att_mtu))
    };
    let [one, other] = run.configs.map(config);
    let (one, other) = (crate::client(one), crate::server(other));
    let mut ends = [End::new(one, &run.messages[0]), End::new(other, &run.messages[1])];
    let (mut now, mut packet) = (0_u64, [0; BTP_MAX_SEGMENT]);
    // A packet of 20 bytes each 1.8 s, and with a window of 1 or 2 a pause now and then.
    let latest = 10_000_000;
    let mut is_subscribed = false;
    loop {
        let at = Instant::from_millis(now);
        let mut has_moved = false;
        for n in 0..2 {
            let end = &mut ends[n];
            prop_assert_eq!(end.session.handle_timeout(at), Ok(()));
            while end.values.front().is_some_and(|(arrives, _)| *arrives <= now) {
                let (_, value) = end.values.pop_front().unwrap();
                has_moved = true;
                end.handle(&value, at)?;
                if n == 0 && end.plain.is_none() {
                    let size = end.session.segment_size().unwrap();
                    let window = end.session.window_size().unwrap();
                    end.plain = Some(Plain::client(window, (size, value_len(&value)), ROOM));
                }
            }
            while let Some((_, message)) = end.backlog.front().filter(|(from, _)| *from <= now) {
                if end.session.send(message).is_err() {
                    break;
                }
                end.backlog.pop_front();
            }
            if end.confirmed > now {
                continue;
            }
            let Some(sent) = end.session.poll_transmit(&mut packet, at) else { continue };
            if let Some(plain) = &mut end.plain {
                end.sent.extend(plain.send(sent));
            } else if end.session.is_open() {
                let size = end.session.segment_size().unwrap();
                let window = end.session.window_size().unwrap();
                end.plain = Some(Plain::server(window, (size, size), ROOM));
            }
            let arrives = now + dice.below(run.delay + 1);
            end.confirmed = arrives + dice.below(run.delay + 1);
            let last = ends[1 - n].values.back().map_or(0, |(arrives, _)| *arrives);
            ends[1 - n].values.push_back((arrives.max(last), sent.to_vec()));
            has_moved = true;
        }
        // The client subscribes when its request is confirmed.
        if !is_subscribed && ends[0].confirmed <= now {
            ends[1].session.handle_subscription(at);
            (is_subscribed, has_moved) = (true, true);
        }
        let is_done = |end: &End| end.backlog.is_empty() && end.session.is_settled();
        if ends.iter().all(is_done) && ends[0].session.is_open() {
            break;
        }
        if has_moved {
            continue;
        }
        let next = ends.iter().filter_map(|end| end.next_event(now)).min();
        let next = next.expect("a session that waits for something has a timer");
        prop_assert!(next >= now);
        now = next;
        prop_assert!(now < latest, "not done in time");
    }
    let [client, server] = &ends;
    for (from, to) in [(client, server), (server, client)] {
        prop_assert_eq!(&from.sent, &to.arrived);
        let mut expected: Vec<_> = run.messages[usize::from(core::ptr::eq(from, server))].clone();
        expected.sort_by_key(|(from, _)| *from);
        let expected: Vec<_> = expected.into_iter().map(|(_, message)| message).collect();
        prop_assert_eq!(&to.arrived, &expected);
    }
    Ok(())
}

/// The longest packets that a server sends, as its response says.
fn value_len(response: &[u8]) -> u16 {
    u16::from_le_bytes([response[3], response[4]])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn all_messages_arrive_in_order_and_no_window_is_exceeded(run in runs()) {
        carry(&run)?;
    }
}

#[test]
fn full_queues_in_both_directions_never_block_each_other() {
    for window in 1..=9 {
        for delay in [0, 40, 900] {
            let messages = vec![(0, vec![7; ROOM - 2]); 4];
            let configs = [(Some(23), window), (Some(247), 255)];
            let messages = [messages.clone(), messages];
            carry(&Run { configs, messages, delay, seed: window.into() }).unwrap();
        }
    }
}

#[test]
fn a_session_takes_little_memory() {
    // Beside its buffers.
    assert!(size_of::<BtpSession<[u8; 0], [u8; 0]>>() <= 176);
}
