//! What the responder of CASE decides by Sigma1: which fabric is meant, and whether to resume.

use subtle::ConstantTimeEq;

use super::env::{BoundFabric, CaseEnv};
use super::keys::{ResumeMic, ResumptionVerified};
use super::messages::{ResumeRequest, Sigma1};
use crate::context::{Context, PeerIdentity};
use crate::crypto::{Crypto, CryptoError, Secret};
use crate::fabric::{Fabric, FabricTable};
use crate::ids::Peer;
use crate::resumption::{Claim, ResumptionRecord};

/// How many records with the id of a Sigma1 are tried. More than one has it if a responder gave out
/// the id of another, by malice.
const CANDIDATES: usize = 4;

/// What entitles the initiator to a resumption.
pub(super) struct Accepted {
    pub(super) fabric: BoundFabric,
    pub(super) record: ResumptionRecord,
    pub(super) verified: ResumptionVerified,
}

/// Finds the fabric and the key epoch that the initiator means. A Sigma1 that means none of
/// ours costs no key agreement. All candidates are compared, in constant time.
#[inline(never)]
pub(super) fn find_destination<'f, C: Crypto>(
    crypto: &C,
    fabrics: &'f dyn FabricTable,
    sigma1: &Sigma1<'_>,
) -> Result<Option<(Fabric<'f>, Secret<16>)>, CryptoError> {
    let mut found = None;
    let mut n = 0;
    while let Some(fabric) = fabrics.nth(n) {
        for ipk in fabric.ipks() {
            let random = sigma1.initiator_random;
            let id = fabric.destination_id(crypto, ipk, random, fabric.node_id())?;
            if found.is_none() & bool::from(id.ct_eq(sigma1.destination_id)) {
                found = Some((fabric, ipk.clone()));
            }
        }
        n = n.saturating_add(1);
    }
    Ok(found)
}

/// Returns true if a Sigma1 means one of these fabrics. For a caller that has to give something up
/// in order to answer it.
pub(crate) fn is_addressed<C: Crypto>(
    crypto: &C,
    fabrics: &dyn FabricTable,
    payload: &[u8],
) -> bool {
    let sigma1 = Sigma1::parse(payload);
    sigma1.is_ok_and(|s| find_destination(crypto, fabrics, &s).is_ok_and(|found| found.is_some()))
}

/// Returns the record that the initiator wants to resume, with the answer to the claim on it, if
/// all of this holds. Otherwise the handshake is a full one.
///
/// 1. The record is stored under this very id. The keys are derived from the id, and a store may
///    return the record's successor.
/// 2. Its MIC verifies.
/// 3. It is of the fabric that the destination id means.
/// 4. Its certificates are valid, and the full handshake is recent enough.
/// 5. The policy still accepts the peer.
///
/// Only if the claim is granted may the record be answered: no copy of it is left then that could be
/// resumed again.
#[inline(never)]
pub(super) fn accept_resumption<C: Crypto>(
    crypto: &C,
    cx: &Context<'_>,
    env: &mut CaseEnv<'_>,
    fabric: Fabric<'_>,
    request: &ResumeRequest<'_>,
    initiator_random: &[u8; 32],
) -> Option<(Accepted, Claim)> {
    let (record, verified) = find_record(crypto, env, fabric, request, initiator_random)?;
    if !record.is_of(fabric) || !env.is_current(&record, cx.wall) {
        return None;
    }
    cx.policy.authorize(&PeerIdentity::of_record(&record)).ok()?;
    let claim = env.resumption.claim(Peer::new(record.fabric, record.peer), &request.id);
    let accepted = Accepted { fabric: BoundFabric::to(fabric), record, verified };
    Some((accepted, claim))
}

/// Returns the record with the id of a request under which its MIC verifies.
#[inline(never)]
fn find_record<C: Crypto>(
    crypto: &C,
    env: &mut CaseEnv<'_>,
    fabric: Fabric<'_>,
    request: &ResumeRequest<'_>,
    initiator_random: &[u8; 32],
) -> Option<(ResumptionRecord, ResumptionVerified)> {
    for n in 0..CANDIDATES {
        let record = env.resumption.by_id(fabric.index(), &request.id, n)?;
        let secret = &record.shared_secret;
        let verified =
            ResumeMic::Sigma1.verify(crypto, secret, initiator_random, &request.id, request.mic);
        if let Ok(verified) = verified
            && record.id == request.id
        {
            return Some((record, verified));
        }
    }
    None
}
