//! What the responder of CASE decides by Sigma1: which fabric is meant, and whether to resume.

use subtle::ConstantTimeEq;

use super::env::{BoundFabric, CaseEnv};
use super::keys::{ResumeMic, ResumptionVerified};
use super::messages::{ResumeRequest, Sigma1};
use crate::context::{Context, PeerIdentity};
use crate::crypto::{Crypto, CryptoError, Secret};
use crate::fabric::{Fabric, FabricTable};
use crate::ids::Peer;
use crate::resumption::ResumptionRecord;

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

/// Returns the record that the initiator wants to resume, if all of this holds. Otherwise the
/// handshake is a full one.
///
/// 1. The record is stored under this very id. The keys are derived from the id, and a store may
///    return the record's successor.
/// 2. Its MIC verifies.
/// 3. It is of the fabric that the destination id means.
/// 4. The policy still accepts the peer.
/// 5. The claim succeeds: nobody else resumes it.
#[inline(never)]
pub(super) fn accept_resumption<C: Crypto>(
    crypto: &C,
    cx: &Context<'_>,
    env: &mut CaseEnv<'_>,
    fabric: Fabric<'_>,
    request: &ResumeRequest<'_>,
    initiator_random: &[u8; 32],
) -> Option<Accepted> {
    let record = env.resumption.by_id(&request.id).filter(|record| record.id == request.id)?;
    let secret = &record.shared_secret;
    let verified = ResumeMic::Sigma1
        .verify(crypto, secret, initiator_random, &request.id, request.mic)
        .ok()?;
    if !record.is_of(fabric) {
        return None;
    }
    let identity = PeerIdentity {
        peer: Peer::new(record.fabric, record.peer),
        cats: record.cats,
        certificates: None,
    };
    cx.policy.authorize(&identity).ok()?;
    if !env.resumption.claim(&request.id) {
        return None;
    }
    Some(Accepted { fabric: BoundFabric::to(fabric), record, verified })
}
