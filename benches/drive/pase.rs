//! PASE between two state machines.

use matter_session::context::Services;
use matter_session::crypto::{Crypto, Passcode, PbkdfParameters, Verifier};
use matter_session::handshake::{MAX_MESSAGE_LEN, PaseClient, PaseServer};
use matter_session::rand_core::UnwrapErr;

use crate::drive::{NOW, PARAMETERS, Spent, local, next, owned, run, timed};

pub(crate) const PASSCODE: u32 = 20_202_021;

pub(crate) fn pase<C: Crypto>(crypto: &C, verifier: &Verifier, pbkdf: PbkdfParameters) -> Spent {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let mut own_rng = UnwrapErr(getrandom::SysRng);
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(NOW);
    let mut services = Services::new(&mut own_rng);
    let mut own_cx = services.at(NOW);
    let mut spent = Spent::default();
    let (mut out, mut own_out) = ([0; MAX_MESSAGE_LEN], [0; MAX_MESSAGE_LEN]);
    let passcode = Passcode::new(PASSCODE).unwrap();
    let mut server = PaseServer::new(verifier.clone(), pbkdf, local(2), &PARAMETERS, NOW);
    let (mut client, first) = timed(&mut spent.initiator, || {
        let (client, first) =
            PaseClient::start(passcode, None, local(1), &PARAMETERS, &mut cx, crypto, &mut out)
                .unwrap();
        (client, owned(first))
    });
    run(
        spent,
        first,
        |message| {
            let step = server.handle(message, &mut own_cx, crypto, &mut own_out);
            next(step, crypto, &mut own_cx)
        },
        |message| {
            let step = client.handle(message, &mut cx, crypto, &mut out);
            next(step, crypto, &mut cx)
        },
    )
    .0
}
