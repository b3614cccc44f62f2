//! Handshakes of matter.js, replayed by the handshakes' machines octet for octet.

use firmware::tables::Suite;
use matter_session::cert::{NoCache, Profile};
use matter_session::context::Services;
use matter_session::crypto::{Passcode, PbkdfParameters, Secret, SigningKey, Verifier};
use matter_session::fabric::{FabricBuf, FabricCredentials, Ipk};
use matter_session::handshake::case::Presented;
use matter_session::handshake::{
    CaseEnv, CaseServer, Incoming, MAX_MESSAGE_LEN, PaseClient, PaseServer, PaseStart, Step,
};
use matter_session::ids::{FabricIndex, LocalSessionId};
use matter_session::resumption::NoRecords;
use matter_session::session::{EphemeralNodeId, SecureSession, SessionParameters, UnsecureSession};
use matter_session::time::Instant;
use matter_session::wire::Packet;

use crate::meter::Meter;
use crate::script::Script;
use crate::vectors as v;

pub type Session = SecureSession<Suite>;

pub const NOW: Instant = Instant::from_millis(1);
/// Longer than any datagram of the recordings.
const DATAGRAM: usize = 1280;
const CRYPTO: Suite = Suite;
const PARAMETERS: SessionParameters = SessionParameters::matter_1_6();

pub fn pase(meter: &mut Meter) -> Option<()> {
    let session = pase_responder(meter)?;
    works(session, &v::PASE_ATTESTATION, &v::PASE_SECURE)
}

/// The responder's session of the recorded handshake.
pub fn pase_responder(meter: &mut Meter) -> Option<Session> {
    let mut rng = Script::new(&[&v::PASE_RESPONDER_RANDOM, &v::PASE_Y]);
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(NOW);
    let verifier = Verifier::from_bytes(&v::PASE_VERIFIER).ok()?;
    let pbkdf = PbkdfParameters::new(1000, &v::PASE_SALT).ok()?;
    let local = LocalSessionId::new(v::PASE_RESPONDER_SESSION)?;
    let mut server = PaseServer::new(verifier, pbkdf, local, &PARAMETERS, NOW);
    let (mut buffer, mut out) = ([0; DATAGRAM], [0; MAX_MESSAGE_LEN]);

    for (received, sent) in [(&v::PASE_0[..], &v::PASE_1[..]), (&v::PASE_2, &v::PASE_3)] {
        let message = incoming(&mut buffer, received)?;
        let mut step = meter.run(|| server.handle(&CRYPTO, &mut cx, message, &mut out));
        while let Ok(Step::More) = step {
            step = meter.run(|| server.proceed(&CRYPTO, &mut cx, &mut out));
        }
        let Ok(Step::Send(answer)) = step else { return None };
        says(answer.payload(&out), sent)?;
    }
    let pake3 = incoming(&mut buffer, &v::PASE_4)?;
    let step = meter.run(|| server.handle(&CRYPTO, &mut cx, pake3, &mut out));
    let Ok(Step::Established { reply, established, .. }) = step else { return None };
    says(reply?.payload(&out), &v::PASE_5)?;
    Some(established.session.begin(&CRYPTO, &mut cx))
}

/// The initiator's session of the recorded handshake.
pub fn pase_initiator(meter: &mut Meter) -> Option<Session> {
    let mut rng = Script::new(&[&v::PASE_INITIATOR_RANDOM, &v::PASE_X]);
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(NOW);
    let passcode = Passcode::new(20_202_021).ok()?;
    let local = LocalSessionId::new(v::PASE_INITIATOR_SESSION)?;
    let (mut buffer, mut out) = ([0; DATAGRAM], [0; MAX_MESSAGE_LEN]);
    let start = PaseStart::new(passcode, local, &PARAMETERS);
    let begun = PaseClient::start(&CRYPTO, &mut cx, start, &mut out);
    let (mut client, first) = begun.ok()?;
    says(first.payload(&out), &v::PASE_0)?;
    for (received, sent) in [(&v::PASE_1[..], &v::PASE_2[..]), (&v::PASE_3, &v::PASE_4)] {
        let message = incoming(&mut buffer, received)?;
        let mut step = meter.run(|| client.handle(&CRYPTO, &mut cx, message, &mut out));
        while let Ok(Step::More) = step {
            step = meter.run(|| client.proceed(&CRYPTO, &mut cx, &mut out));
        }
        let Ok(Step::Send(answer)) = step else { return None };
        says(answer.payload(&out), sent)?;
    }
    let report = incoming(&mut buffer, &v::PASE_5)?;
    let step = meter.run(|| client.handle(&CRYPTO, &mut cx, report, &mut out));
    let Ok(Step::Established { established, .. }) = step else { return None };
    Some(established.session.begin(&CRYPTO, &mut cx))
}

pub fn case(meter: &mut Meter) -> Option<()> {
    let mut rng = Script::new(&[
        &v::CASE_RESPONDER_RANDOM,
        &v::CASE_RESPONDER_EPHEMERAL,
        &v::CASE_RESUMPTION_ID,
    ]);
    let mut services = Services::new(&mut rng);
    let mut cx = services.at(NOW);
    let ipks = [Ipk::EpochKey(Secret::new(v::CASE_IPK))];
    let credentials = FabricCredentials {
        root: &v::CASE_ROOT,
        icac: Some(&v::CASE_RESPONDER_ICAC),
        noc: &v::CASE_RESPONDER_NOC,
        ipks: &ipks,
    };
    let fabrics = [FabricBuf::new(&CRYPTO, FabricIndex::new(1)?, &credentials).ok()?];
    let mut key = SigningKey::from_bytes(&Secret::new(v::CASE_RESPONDER_KEY)).ok()?;
    let mut room = [0; Presented::LEN];
    let mut env = CaseEnv {
        fabrics: &&fabrics[..],
        resumption: &mut NoRecords,
        verified: &mut NoCache,
        certificates: Presented::new(&mut room),
        profile: Profile::default(),
        record_lifetime: core::time::Duration::from_secs(30 * 24 * 3600),
        parameters: &PARAMETERS,
    };
    let local = LocalSessionId::new(v::CASE_RESPONDER_SESSION)?;
    let mut server = CaseServer::new(local, NOW);
    let (mut buffer, mut out) = ([0; DATAGRAM], [0; MAX_MESSAGE_LEN]);

    let sigma1 = incoming(&mut buffer, &v::CASE_0)?;
    let mut step = meter.run(|| server.handle(&CRYPTO, &mut cx, &mut env, sigma1, &mut out));
    while let Ok(Step::More) = step {
        step = meter.run(|| server.proceed(&CRYPTO, &mut cx, &mut env, &mut out));
    }
    let Ok(Step::Sign(request)) = step else { return None };
    let signed = meter.run(|| request.sign_with(&mut key));
    let step = meter.run(|| server.resume(&CRYPTO, &cx, &env, &signed, &mut out));
    let Ok(Step::Send(sigma2)) = step else { return None };
    says(sigma2.payload(&out), &v::CASE_1)?;
    let sigma3 = incoming(&mut buffer, &v::CASE_2)?;
    let mut step = meter.run(|| server.handle(&CRYPTO, &mut cx, &mut env, sigma3, &mut out));
    while let Ok(Step::More) = step {
        step = meter.run(|| server.proceed(&CRYPTO, &mut cx, &mut env, &mut out));
    }
    let Ok(Step::Established { reply, established, .. }) = step else { return None };
    says(reply?.payload(&out), &v::CASE_3)?;
    let session = established.session.begin(&CRYPTO, &mut cx);
    works(session, &v::CASE_ATTESTATION, &v::CASE_SECURE)
}

/// A recorded datagram, as the machine that receives it wants it: without its header. So that one
/// function reads both directions, a responder's datagram is made one of an initiator, whose
/// header has the same eight octets of node id in the same place under another flag.
fn incoming<'b>(buffer: &'b mut [u8; DATAGRAM], recorded: &[u8]) -> Option<Incoming<'b>> {
    const FROM_INITIATOR: u8 = 1 << 2;
    let datagram = buffer.get_mut(..recorded.len())?;
    datagram.copy_from_slice(recorded);
    *datagram.first_mut()? = FROM_INITIATOR;
    let packet = Packet::parse(datagram).ok()?;
    let from = EphemeralNodeId::received(packet.header().source?)?;
    let mut session = UnsecureSession::responder(from, NOW);
    session.decode(packet, NOW).ok().map(Incoming::from)
}

/// Whether a message has the payload that was recorded.
fn says(payload: &[u8], recorded: &[u8]) -> Option<()> {
    recorded.ends_with(payload).then_some(())
}

/// Whether a session has the keys that were recorded.
fn works(mut session: Session, attestation: &[u8; 16], recorded: &[u8]) -> Option<()> {
    let mut buffer = [0; DATAGRAM];
    let datagram = buffer.get_mut(..recorded.len())?;
    datagram.copy_from_slice(recorded);
    let opened = session.decode(Packet::parse(datagram).ok()?, NOW).ok()?;
    let hello = *opened.payload == *b"Hello";
    (session.attestation_challenge() == attestation && hello).then_some(())
}
