//! Handshakes of matter.js, replayed by the responders' machines octet for octet.

use matter_session::cert::{NoCache, Profile};
use matter_session::crypto::{
    PbkdfParameters, RustCrypto, Secret, SigningKey, Verifier,
};
use matter_session::fabric::{Fabric, FabricCredentials, Ipk};
use matter_session::handshake::{
    CaseEnv, CaseServer, Context, Incoming, MAX_MESSAGE_LEN, PaseServer, Step,
};
use matter_session::ids::{FabricIndex, LocalSessionId};
use matter_session::resumption::NoRecords;
use matter_session::session::{EphemeralNodeId, SecureSession, SessionParameters, UnsecureSession};
use matter_session::time::Instant;
use matter_session::wire::{Packet, SessionRoute};

use crate::meter::Meter;
use crate::script::Script;
use crate::vectors as v;

const NOW: Instant = Instant::from_millis(1);
/// Longer than any datagram of the recordings.
const DATAGRAM: usize = 1280;

pub fn pase(meter: &mut Meter) -> Option<()> {
    let mut rng = Script::new(&[&v::PASE_RESPONDER_RANDOM, &v::PASE_Y]);
    let mut cx = Context::new(NOW, &mut rng);
    let verifier = Verifier::from_bytes(&v::PASE_VERIFIER).ok()?;
    let pbkdf = PbkdfParameters::new(1000, &v::PASE_SALT).ok()?;
    let local = LocalSessionId::new(v::PASE_RESPONDER_SESSION)?;
    let mut server =
        PaseServer::new(verifier, pbkdf, local, &SessionParameters::matter_1_6(), NOW);
    let mut out = [0; MAX_MESSAGE_LEN];
    let (mut first, mut second, mut third) = ([0; DATAGRAM], [0; DATAGRAM], [0; DATAGRAM]);

    let request = incoming(&mut first, &v::PASE_0)?;
    let step = meter.run(|| server.handle(request, &mut cx, &RustCrypto, &mut out));
    let Ok(Step::Send(response)) = step else { return None };
    says(response.payload, &v::PASE_1)?;
    let pake1 = incoming(&mut second, &v::PASE_2)?;
    let step = meter.run(|| server.handle(pake1, &mut cx, &RustCrypto, &mut out));
    let Ok(Step::Send(pake2)) = step else { return None };
    says(pake2.payload, &v::PASE_3)?;
    let pake3 = incoming(&mut third, &v::PASE_4)?;
    let step = meter.run(|| server.handle(pake3, &mut cx, &RustCrypto, &mut out));
    let Ok(Step::Established { reply, established }) = step else { return None };
    says(reply?.payload, &v::PASE_5)?;
    works(established.session, &v::PASE_ATTESTATION, &v::PASE_SECURE)
}

pub fn case(meter: &mut Meter) -> Option<()> {
    let mut rng = Script::new(&[
        &v::CASE_RESPONDER_RANDOM,
        &v::CASE_RESPONDER_EPHEMERAL,
        &v::CASE_RESUMPTION_ID,
    ]);
    let mut cx = Context::new(NOW, &mut rng);
    let ipks = [Ipk::EpochKey(Secret::new(v::CASE_IPK))];
    let credentials = FabricCredentials {
        root: &v::CASE_ROOT,
        icac: Some(&v::CASE_RESPONDER_ICAC),
        noc: &v::CASE_RESPONDER_NOC,
        ipks: &ipks,
    };
    let fabrics = [Fabric::new(&RustCrypto, FabricIndex::new(1)?, &credentials).ok()?];
    let mut key = SigningKey::from_bytes(&Secret::new(v::CASE_RESPONDER_KEY)).ok()?;
    let (mut cache, parameters) = (NoCache, SessionParameters::matter_1_6());
    let mut env = CaseEnv {
        fabrics: &&fabrics[..],
        resumption: &NoRecords,
        verified: &mut cache,
        profile: Profile::default(),
        parameters: &parameters,
    };
    let local = LocalSessionId::new(v::CASE_RESPONDER_SESSION)?;
    let mut server = CaseServer::new(local, NOW);
    let mut out = [0; MAX_MESSAGE_LEN];
    let (mut first, mut third) = ([0; DATAGRAM], [0; DATAGRAM]);

    let sigma1 = incoming(&mut first, &v::CASE_0)?;
    let step = meter.run(|| server.handle(sigma1, &mut env, &mut cx, &RustCrypto, &mut out));
    let Ok(Step::Sign(request)) = step else { return None };
    let signed = meter.run(|| request.sign_with(&mut key));
    let step = meter.run(|| server.resume(&signed, &mut env, &mut cx, &RustCrypto, &mut out));
    let Ok(Step::Send(sigma2)) = step else { return None };
    says(sigma2.payload, &v::CASE_1)?;
    let sigma3 = incoming(&mut third, &v::CASE_2)?;
    let step = meter.run(|| server.handle(sigma3, &mut env, &mut cx, &RustCrypto, &mut out));
    let Ok(Step::Established { reply, established }) = step else { return None };
    says(reply?.payload, &v::CASE_3)?;
    works(established.session, &v::CASE_ATTESTATION, &v::CASE_SECURE)
}

/// A recorded datagram of the initiator, as the machine wants it.
fn incoming<'b>(buffer: &'b mut [u8; DATAGRAM], recorded: &[u8]) -> Option<Incoming<'b>> {
    let datagram = buffer.get_mut(..recorded.len())?;
    datagram.copy_from_slice(recorded);
    let packet = Packet::parse(datagram).ok()?;
    let from = packet.header().source?;
    let mut session = UnsecureSession::responder(EphemeralNodeId::received(from), NOW);
    session.decode(packet, NOW).ok().map(Incoming::from)
}

/// Whether a message has the payload that was recorded.
fn says(payload: &[u8], recorded: &[u8]) -> Option<()> {
    recorded.ends_with(payload).then_some(())
}

/// Whether a session has the keys that were recorded.
fn works(
    mut session: SecureSession<RustCrypto>,
    attestation: &[u8; 16],
    recorded: &[u8],
) -> Option<()> {
    let mut buffer = [0; DATAGRAM];
    let datagram = buffer.get_mut(..recorded.len())?;
    datagram.copy_from_slice(recorded);
    let packet = Packet::parse(datagram).ok()?;
    let SessionRoute::Unicast(_) = packet.header().route else { return None };
    let opened = session.decode(packet, NOW).ok()?;
    (session.attestation_challenge() == attestation && *opened.payload == *b"Hello").then_some(())
}
