//! Handshakes, both sides in one thread: from what the first message takes to the keys of the
//! session.

mod theirs;

use std::time::Duration;

use matter_session::crypto::{
    CompactRustCrypto, Passcode, PbkdfParameters, RustCrypto, SigningKey, Verifier,
};
use matter_session_testing::drive::{Node, Spent, case, case_on, nodes, pase};
use matter_session_testing::net::PASSCODE;

use self::theirs::{Case, Pase};
use crate::harness::{Contestant, Run};

/// The least that the specification allows.
const ITERATIONS: u32 = 1000;
const SALT: [u8; 32] = [0x5A; 32];

pub fn measure(run: &mut Run) {
    let (of_us, of_them) = ([true, false].map(nodes), [true, false].map(Case::new));
    for (what, us, them) in [("case", &of_us[0], &of_them[0]), ("case-noc", &of_us[1], &of_them[1])]
    {
        let mut contestants = vec![
            Contestant::timed("ours", || both(case(&us.0, &us.1).0)),
            matter_crypto("matter-crypto", them),
            Contestant::timed("portable", || portable(us)),
        ];
        if what == "case" {
            contestants.push(matter_crypto("matter-crypto-noc", &of_them[1]));
        }
        run.compare(what, "0", &mut contestants);
    }

    let passcode = Passcode::new(PASSCODE).expect("a valid passcode");
    let pbkdf = PbkdfParameters::new(ITERATIONS, &SALT).expect("within the limits");
    let plain = Verifier::generate(&RustCrypto, &passcode, &pbkdf).expect("a verifier");
    let theirs = Pase::new(&plain);
    let prepared = plain.clone().prepared(&RustCrypto).expect("a verifier");
    for (what, verifier) in [("pase", &plain), ("pase-prepared", &prepared)] {
        let ours = Contestant::timed("ours", || both(pase(&RustCrypto, verifier, pbkdf)));
        let theirs = Contestant::timed("matter-crypto", || theirs.shake_hands());
        run.compare(what, "0", &mut [ours, theirs]);
    }
}

fn matter_crypto<'a>(name: &'static str, case: &'a Case) -> Contestant<'a> {
    Contestant::timed(name, || case.shake_hands())
}

/// On `p256`, but for the signatures of the two keys.
fn portable((initiator, responder): &(Node, Node)) -> Duration {
    let signer = |key: &SigningKey| SigningKey::from_bytes(&key.to_bytes()).expect("a key");
    both(case_on(&CompactRustCrypto, signer, initiator, responder).0)
}

fn both(spent: Spent) -> Duration {
    spent.initiator + spent.responder
}
