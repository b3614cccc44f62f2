//! PASE: recorded handshakes, replayed by both roles, and everything a peer can do wrong.

mod recorded;

use core::time::Duration;
use std::sync::OnceLock;

use matter_session::context::Services;
use matter_session::crypto::{
    CryptoError, Passcode, PbkdfError, PbkdfParameters, Secret, Spake2p, Verifier, spake2p,
};
use matter_session::handshake::{
    HANDSHAKE_TIMEOUT, HandshakeError, PaseClient, PaseStart, Refusal,
};
use matter_session::session::SessionParameters;
use matter_session::time::Instant;
use matter_session::tlv::TlvError;
use matter_session::wire::secure_channel::Opcode;
use matter_session::wire::{GeneralCode, StatusReport};
use matter_session_testing::node::{
    Did, Machine, Message, NOW, Party, converse, session_id, transcript,
};
use matter_session_testing::tlv::{self, Field};
use matter_session_testing::{BACKEND, Script};
use proptest::prelude::*;

const REQUEST: Opcode = Opcode::PBKDF_PARAM_REQUEST;
const RESPONSE: Opcode = Opcode::PBKDF_PARAM_RESPONSE;
const REPORT: Opcode = Opcode::STATUS_REPORT;
const SUCCESS: [u8; 8] = [0; 8];
const CODE: u32 = 20_202_021;

/// An honest handshake: its six messages, always the same.
struct Honest {
    messages: Vec<Message>,
}

/// Which parameters both sides announce.
fn parameters() -> SessionParameters {
    SessionParameters::matter_1_6()
}

fn pbkdf() -> PbkdfParameters {
    PbkdfParameters::new(1000, &[7; 16]).unwrap()
}

fn fresh_client() -> (Party<'static>, Message) {
    Party::pase_client(&BACKEND, CODE, None, 11, &parameters(), Script::seeded(1))
}

fn fresh_server() -> Party<'static> {
    Party::pase_server(&BACKEND, CODE, pbkdf(), 22, &parameters(), Script::seeded(2))
}

impl Honest {
    fn get() -> &'static Self {
        static HONEST: OnceLock<Honest> = OnceLock::new();
        HONEST.get_or_init(|| Self { messages: transcript(fresh_client(), fresh_server()) })
    }

    fn message(n: usize) -> &'static Message {
        &Self::get().messages[n]
    }

    /// The receiver of message `n`, ready for it.
    fn receiver(n: usize) -> Party<'static> {
        let mut party = if n % 2 == 1 { fresh_client().0 } else { fresh_server() };
        Self::catch_up(&mut party, n);
        party
    }

    /// The sender of message `n`, which has just sent it.
    fn sender(n: usize) -> Party<'static> {
        let mut party = if n.is_multiple_of(2) { fresh_client().0 } else { fresh_server() };
        Self::catch_up(&mut party, n);
        party
    }

    /// Hands over the messages before the `n`-th that are meant for the party.
    fn catch_up(party: &mut Party<'_>, n: usize) {
        let is_client = matches!(party.machine, Machine::PaseClient(_));
        for (_, (opcode, payload)) in
            (0..n).zip(&Self::get().messages).filter(|(at, _)| (at % 2 == 1) == is_client)
        {
            party.feed(*opcode, payload);
        }
    }
}

/// Hands `payload` over in the place of message `n`. It must fail and end the handshake.
#[track_caller]
fn refused(n: usize, payload: &[u8], what: &str) -> HandshakeError {
    let mut party = Honest::receiver(n);
    match party.feed(Honest::message(n).0, payload) {
        Did::Failed { error, .. } => {
            assert!(party.is_ended(), "{what}");
            error
        }
        other => panic!("message {n}, {what}: {}", other.name()),
    }
}

#[track_caller]
fn malformed(n: usize, payload: &[u8], why: TlvError) {
    assert_eq!(refused(n, payload, "malformed"), HandshakeError::Malformed(why));
}

#[test]
fn messages_with_any_damaged_field_are_refused() {
    for (n, optional) in [(0, &[5][..]), (1, &[5]), (2, &[]), (3, &[]), (4, &[])] {
        for (what, payload) in tlv::damaged(&Honest::message(n).1, optional) {
            refused(n, &payload, &what);
        }
    }
    for len in 0..8 {
        let error = refused(5, &SUCCESS[..len], "short report");
        assert!(matches!(error, HandshakeError::MalformedReport(_)));
    }
}

/// A flipped bit is refused at once, or passes (in session parameters, say) and spoils the
/// transcript, so that the confirmations differ.
#[test]
fn every_flipped_bit_of_every_message_spoils_the_handshake() {
    for n in 0..6 {
        let (opcode, honest) = Honest::message(n);
        for bit in 0..honest.len() * 8 {
            let mut payload = honest.clone();
            payload[bit / 8] ^= 1 << (bit % 8);
            let (mut receiver, mut sender) = (Honest::receiver(n), Honest::sender(n));
            let end = converse(&mut receiver, &mut sender, &(*opcode, payload));
            assert!(end.is_err(), "message {n}, bit {bit}");
            assert!(receiver.is_ended() || sender.is_ended(), "message {n}, bit {bit}");
        }
    }
}

#[test]
fn messages_out_of_order_end_the_handshake() {
    for n in 0..6 {
        for wrong in 0..6 {
            let (opcode, payload) = Honest::message(wrong);
            if *opcode == Honest::message(n).0 || *opcode == REPORT {
                continue;
            }
            let mut party = Honest::receiver(n);
            let error = party.feed(*opcode, payload).error();
            assert_eq!(error, HandshakeError::UnexpectedMessage(*opcode));
            assert!(party.is_ended());
        }
        for opcode in [0x00, 0x10, 0x30, 0x31, 0x50, 0xFF].map(Opcode) {
            let error = Honest::receiver(n).feed(opcode, &[]).error();
            assert_eq!(error, HandshakeError::UnexpectedMessage(opcode));
        }
    }
}

#[test]
fn success_reported_too_early_is_a_failure_without_reply() {
    for n in 0..5 {
        match Honest::receiver(n).feed(REPORT, &SUCCESS) {
            Did::Failed { error: HandshakeError::PrematureSuccess, reply: None } => {}
            other => panic!("message {n}: {}", other.name()),
        }
    }
}

#[test]
fn refusals_are_understood_in_every_state() {
    let busy = Refusal::Busy { wait: Duration::from_millis(500) };
    let now = Refusal::Busy { wait: Duration::ZERO };
    let failure = |code| Refusal::Other { general: GeneralCode::FAILURE, code };
    let close = Refusal::Other { general: GeneralCode::SUCCESS, code: 3 };
    let foreign = Refusal::Other { general: GeneralCode::SUCCESS, code: 0 };
    let reports: [(&[u8], Refusal); 8] = [
        (&[8, 0, 0, 0, 0, 0, 4, 0, 0xF4, 1], busy),
        (&[8, 0, 0, 0, 0, 0, 4, 0], now),
        (&[1, 0, 0, 0, 0, 0, 1, 0], Refusal::NoSharedTrustRoots),
        (&[1, 0, 0, 0, 0, 0, 2, 0], Refusal::InvalidParameter),
        (&[1, 0, 0, 0, 0, 0, 5, 0], failure(5)),
        (&[99, 0, 0, 0, 0, 0, 0, 0], Refusal::Other { general: GeneralCode(99), code: 0 }),
        (&[0, 0, 0, 0, 0, 0, 3, 0], close),
        (&[0, 0, 1, 0, 0, 0, 0, 0], foreign),
    ];
    for n in 0..6 {
        for (report, refusal) in reports {
            match Honest::receiver(n).feed(REPORT, report) {
                Did::Failed { error, reply: None } => {
                    assert_eq!(error, HandshakeError::Refused(refusal));
                }
                other => panic!("{}", other.name()),
            }
        }
        // Half a wait is none.
        let half = Honest::receiver(n).feed(REPORT, &[8, 0, 0, 0, 0, 0, 4, 0, 1]).error();
        assert_eq!(half, HandshakeError::Refused(now));
    }
}

#[test]
fn failures_tell_the_peer_invalid_parameter() {
    let mut server = Honest::receiver(2);
    let Did::Failed { reply, .. } = server.feed(Opcode::PASE_PAKE1, &[0x15, 0x18]) else {
        panic!("accepted")
    };
    let (opcode, payload) = reply.unwrap();
    assert_eq!(opcode, REPORT);
    assert_eq!(StatusReport::parse(&payload).unwrap(), StatusReport::invalid_parameter());
}

/// A response whose parameters (field 4) are these fields.
fn response_with(parameters: &[Field]) -> Vec<u8> {
    let inner = tlv::message(parameters)[1..].to_vec();
    tlv::with(&Honest::message(1).1, 4, |field| field.body = inner)
}

#[test]
fn pbkdf_parameters_outside_their_limits_are_refused_before_use() {
    let (iterations, salt) = (|n| Field::unsigned(1, n, 2), |len| Field::bytes(2, &vec![1; len]));
    for (count, len, error) in [
        (999, 16, PbkdfError::Iterations),
        (0, 16, PbkdfError::Iterations),
        (100_001, 16, PbkdfError::Iterations),
        (u64::from(u32::MAX), 16, PbkdfError::Iterations),
        (1000, 15, PbkdfError::Salt),
        (1000, 33, PbkdfError::Salt),
        (1000, 0, PbkdfError::Salt),
        (1000, 300, PbkdfError::Salt),
    ] {
        let response = response_with(&[iterations(count), salt(len)]);
        assert_eq!(refused(1, &response, "limits"), HandshakeError::Pbkdf(error));
    }
    malformed(1, &response_with(&[Field::unsigned(1, 1 << 32, 3), salt(16)]), TlvError::OutOfRange);
    malformed(1, &response_with(&[iterations(1000)]), TlvError::UnexpectedTag);
    malformed(1, &response_with(&[salt(16)]), TlvError::UnexpectedTag);
    malformed(1, &response_with(&[]), TlvError::UnexpectedTag);
    malformed(1, &tlv::without(&Honest::message(1).1, 4), TlvError::UnexpectedTag);
}

#[test]
fn known_parameters_are_not_asked_for_and_whatever_comes_is_ignored() {
    let start = |seed| {
        let rng = Script::seeded(seed);
        Party::pase_client(&BACKEND, CODE, Some(pbkdf()), 11, &parameters(), rng)
    };
    let (mut client, request) = start(1);
    assert_eq!(converse(&mut fresh_server(), &mut client, &request), Ok(()));
    let response = fresh_server().feed(REQUEST, &request.1).sent(RESPONSE);
    assert!(tlv::fields(&response).iter().all(|field| field.tag != 4));
    let given = |inner: &[Field]| {
        let body = tlv::message(inner)[1..].to_vec();
        let mut fields = tlv::fields(&response);
        fields.insert(3, Field { tag: 4, kind: 0x15, body });
        tlv::message(&fields)
    };
    let absurd = [Field::unsigned(1, 1, 0), Field::bytes(2, &[])];
    for response in [given(&[]), given(&absurd)] {
        start(1).0.feed(RESPONSE, &response).sent(Opcode::PASE_PAKE1);
    }
}

#[test]
fn an_echo_of_another_random_is_refused() {
    let response = tlv::with(&Honest::message(1).1, 1, |field| field.body[5] ^= 1);
    assert_eq!(refused(1, &response, "echo"), HandshakeError::RandomMismatch);
}

#[test]
fn points_off_the_curve_compressed_or_infinite_are_refused() {
    let invalid = HandshakeError::Crypto(CryptoError::InvalidPoint);
    for n in [2, 3] {
        let change = |change: &dyn Fn(&mut [u8])| {
            tlv::with(&Honest::message(n).1, 1, |field| change(&mut field.body[1..]))
        };
        let bad: [fn(&mut [u8]); 6] = [
            |point| point[64] ^= 1,
            |point| point[0] = 2,
            |point| point[0] = 6,
            |point| point[0] = 0,
            |point| point[1..].fill(0),
            |point| point[1..].fill(0xFF),
        ];
        for bad in bad {
            assert_eq!(refused(n, &change(&bad), "point"), invalid);
        }
        let compressed = tlv::with(&Honest::message(n).1, 1, |field| {
            *field = Field::bytes(1, &[&[2][..], &field.value()[1..33]].concat());
        });
        malformed(n, &compressed, TlvError::OutOfRange);
    }
}

/// `X = w0 * M` makes `Z` the point at infinity, whatever `y` is; likewise `Y = w0 * N`.
#[test]
fn shares_that_force_a_secret_to_infinity_are_refused() {
    let passcode = Passcode::new(CODE).unwrap();
    let verifier = Verifier::generate(&BACKEND, &passcode, &pbkdf()).unwrap().to_bytes();
    let w0 = Secret::new(verifier.as_bytes()[..32].try_into().unwrap());
    let any = Secret::new([1; 32]);
    let x = BACKEND.spake_l(&Secret::new([2; 32])).unwrap();
    for (n, base) in [(2, spake2p::M), (3, spake2p::N)] {
        let (_, secrets) = BACKEND.spake_verifier(&w0, &any, &base, &x).unwrap();
        let share = tlv::with(&Honest::message(n).1, 1, |field| {
            *field = Field::bytes(1, secrets.v.as_bytes());
        });
        let error = refused(n, &share, "infinity");
        assert_eq!(error, HandshakeError::Crypto(CryptoError::InvalidPoint));
    }
}

#[cfg(feature = "std")]
#[test]
fn a_prepared_verifier_answers_like_a_plain_one() {
    let server = || {
        let passcode = Passcode::new(CODE).unwrap();
        let verifier = Verifier::generate(&BACKEND, &passcode, &pbkdf()).unwrap();
        let verifier = verifier.prepared(&BACKEND).unwrap();
        Party::pase_server_with(&BACKEND, verifier, pbkdf(), 22, &parameters(), Script::seeded(2))
    };
    let mut party = server();
    for n in [0, 2] {
        let (opcode, payload) = Honest::message(n);
        let Did::Sent(answer) = party.feed(*opcode, payload) else { panic!("no answer to {n}") };
        assert_eq!(answer, *Honest::message(n + 1));
    }
    let (opcode, payload) = Honest::message(4);
    assert!(matches!(party.feed(*opcode, payload), Did::Established { .. }));

    // What would make `Z` the point at infinity is refused all the same: `X = w0 * M`.
    let bytes = Verifier::generate(&BACKEND, &Passcode::new(CODE).unwrap(), &pbkdf());
    let mut bytes = *bytes.unwrap().to_bytes().as_bytes();
    let w0 = Secret::new(bytes[..32].try_into().unwrap());
    let (one, x) = (Secret::new([1; 32]), BACKEND.spake_l(&Secret::new([2; 32])).unwrap());
    let (_, secrets) = BACKEND.spake_verifier(&w0, &one, &spake2p::M, &x).unwrap();
    let mut party = server();
    let (opcode, payload) = Honest::message(0);
    assert!(matches!(party.feed(*opcode, payload), Did::Sent(_)));
    let share = tlv::with(&Honest::message(2).1, 1, |field| {
        *field = Field::bytes(1, secrets.v.as_bytes());
    });
    let Did::Failed { error, .. } = party.feed(Opcode::PASE_PAKE1, &share) else { panic!() };
    assert_eq!(error, HandshakeError::Crypto(CryptoError::InvalidPoint));

    // `L` off the curve shows when it is prepared.
    bytes[Verifier::LEN - 1] ^= 1;
    let bent = Verifier::from_bytes(&bytes).unwrap().prepared(&BACKEND);
    assert_eq!(bent.err(), Some(CryptoError::InvalidPoint));
}

#[test]
fn session_id_zero_is_refused() {
    for (n, tag) in [(0, 2), (1, 3)] {
        let payload = tlv::with(&Honest::message(n).1, tag, |f| *f = Field::unsigned(tag, 0, 0));
        assert_eq!(refused(n, &payload, "zero"), HandshakeError::InvalidSessionId);
    }
}

#[test]
fn passcode_ids_other_than_zero_are_refused() {
    for id in [1, 0xFFFF] {
        let request = tlv::with(&Honest::message(0).1, 3, |f| *f = Field::unsigned(3, id, 1));
        assert_eq!(refused(0, &request, "id"), HandshakeError::UnknownPasscodeId);
    }
}

#[test]
fn a_wrong_passcode_shows_at_the_initiator_first_and_counts_as_an_attempt() {
    let (mut client, request) =
        Party::pase_client(&BACKEND, CODE + 1, None, 11, &parameters(), Script::seeded(1));
    let mut server = fresh_server();
    let end = converse(&mut server, &mut client, &request);
    assert_eq!(end, Err(HandshakeError::WrongPasscode));
    assert!(client.is_ended() && attempted(&server));
    // An initiator that does not check tells the responder no more than that.
    let ca = tlv::structure(&[(1, &[0; 32])]);
    assert_eq!(server.feed(Opcode::PASE_PAKE3, &ca).error(), HandshakeError::WrongPasscode);
    assert!(attempted(&server) && server.is_ended());
}

#[test]
fn an_attempt_counts_once_a_share_was_read_whatever_comes_of_it() {
    for (n, expected) in [(0, false), (2, false), (4, true)] {
        let mut server = Honest::receiver(n);
        assert_eq!(attempted(&server), expected, "before message {n}");
        server.feed(Honest::message(n).0, &[]).error();
        assert_eq!(attempted(&server), expected, "after a bad message {n}");
    }
    let mut server = Honest::receiver(2);
    server.room = 50; // no room for Pake2
    let (opcode, payload) = Honest::message(2);
    assert_eq!(server.feed(*opcode, payload).error(), HandshakeError::BufferTooSmall);
    assert!(attempted(&server));
}

fn attempted(server: &Party<'_>) -> bool {
    let Machine::PaseServer(machine) = &server.machine else { panic!("no server") };
    machine.attempted()
}

#[test]
fn unknown_fields_wide_integers_and_sparse_parameters_are_accepted() {
    let accept = |n: usize, payload: Vec<u8>| {
        let mut party = Honest::receiver(n);
        party.feed(Honest::message(n).0, &payload).sent(Honest::message(n + 1).0);
    };
    let more = [Field::bytes(9, b"new"), Field { tag: 10, kind: 0x15, body: vec![0x18] }];
    for n in 0..2 {
        let honest = &Honest::message(n).1;
        accept(n, tlv::and(honest, &more));
        accept(n, tlv::without(honest, 5));
        accept(n, tlv::with(honest, 5, |field| field.body = vec![0x18]));
        let id = if n == 0 { 2 } else { 3 };
        for width in 1..4 {
            accept(n, tlv::with(honest, id, |f| *f = Field::unsigned(id, 0x1234, width)));
        }
        accept(n, tlv::with(honest, 1, |f| *f = Field::bytes(1, f.value())));
        accept(n, [honest.clone(), vec![1, 2, 3]].concat());
    }
    accept(2, tlv::and(&Honest::message(2).1, &more));
    accept(3, tlv::and(&Honest::message(3).1, &more));
}

#[test]
fn handshakes_time_out_after_sixty_seconds_in_all() {
    let end = NOW + HANDSHAKE_TIMEOUT;
    for n in 0..6 {
        let mut party = Honest::receiver(n);
        assert_eq!(party.poll_timeout(), Some(end));
        assert_eq!(party.handle_timeout(Instant::ZERO), Ok(()));
        assert_eq!(party.handle_timeout(Instant::from_millis(end.as_millis() - 1)), Ok(()));
        assert_eq!(party.handle_timeout(end), Err(HandshakeError::TimedOut));
        assert_eq!(party.handle_timeout(end), Ok(()));
        let (opcode, payload) = Honest::message(n);
        assert_eq!(party.feed(*opcode, payload).error(), HandshakeError::Ended);
    }
}

#[test]
fn buffers_too_small_are_typed_errors() {
    for n in 0..5 {
        let needed = Honest::message(n + 1).1.len();
        for room in [0, 1, 7, needed - 1] {
            let mut party = Honest::receiver(n);
            party.room = room;
            let (opcode, payload) = Honest::message(n);
            assert_eq!(party.feed(*opcode, payload).error(), HandshakeError::BufferTooSmall);
            assert!(party.is_ended());
        }
        let mut party = Honest::receiver(n);
        party.room = needed;
        let (opcode, payload) = Honest::message(n);
        assert!(!matches!(party.feed(*opcode, payload), Did::Failed { .. }));
    }
    let (mut rng, passcode) = (Script::seeded(1), Passcode::new(CODE).unwrap());
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(NOW);
    let (id, own, out) = (session_id(1), parameters(), &mut [0; 40]);
    let result = PaseClient::start(&BACKEND, &mut cx, PaseStart::new(passcode, id, &own), out);
    assert_eq!(result.err(), Some(HandshakeError::BufferTooSmall));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn random_octets_never_panic(
        n in 0..6_usize,
        opcode in prop_oneof![0x20..=0x24_u8, Just(0x40), any::<u8>()],
        as_expected: bool,
        payload in prop::collection::vec(any::<u8>(), 0..200),
        keep in 0..200_usize,
        room in prop_oneof![Just(1232_usize), 0..200_usize],
    ) {
        let (expected, honest) = Honest::message(n);
        let opcode = if as_expected { *expected } else { Opcode(opcode) };
        let payload = [&honest[..keep.min(honest.len())], &payload[..]].concat();
        let mut party = Honest::receiver(n);
        party.room = room;
        if matches!(party.feed(opcode, &payload), Did::Failed { .. }) {
            prop_assert!(party.is_ended());
        }
    }
}
