//! The responder of CASE from the moment when it accepts a resumption.

use super::admission::Accepted;
use super::env::CaseEnv;
use super::keys::{ResumeMic, resumed_session_keys};
use super::messages::Sigma2Resume;
use super::proof::{Proof, establish};
use crate::crypto::{Crypto, PublicKey, Secret};
use crate::handshake::step::Ends;
use crate::handshake::{ClaimRequest, HandshakeError, Outgoing, Step};
use crate::ids::Peer;
use crate::resumption::ResumptionRecord;
use crate::session::ResumptionId;
use crate::wire::secure_channel::Opcode;

/// Sigma1 asked for a resumption that we accept.
pub(super) struct Resuming<C: Crypto> {
    /// With the record as it is claimed.
    pub(super) accepted: Accepted,
    pub(super) initiator_random: [u8; 32],
    /// The id that the record will have.
    pub(super) new: ResumptionId,
    pub(super) ends: Ends,
    pub(super) stage: ResumingStage<C>,
}

pub(super) enum ResumingStage<C: Crypto> {
    /// The record may still be stored somewhere.
    AwaitClaim(Instead<C>),
    ExpectReport,
}

/// What the full handshake needs of Sigma1, if it becomes one.
pub(super) struct Instead<C: Crypto> {
    pub(super) ipk: Secret<16>,
    pub(super) peer_key: PublicKey,
    pub(super) transcript: C::Sha256,
}

impl<C: Crypto> Resuming<C> {
    pub(super) const fn awaits_claim(&self) -> bool {
        matches!(self.stage, ResumingStage::AwaitClaim(_))
    }

    pub(super) const fn claim_request(&self) -> ClaimRequest {
        let record = &self.accepted.record;
        ClaimRequest::new(Peer::new(record.fabric, record.peer), record.id, self.new)
    }

    pub(super) const fn name(&self) -> &'static str {
        if self.awaits_claim() { "AwaitClaim" } else { "ExpectReport" }
    }

    /// The record is ours: answers with Sigma2Resume.
    #[inline(never)]
    pub(super) fn sigma2_resume(
        &mut self,
        crypto: &C,
        env: &CaseEnv<'_>,
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        let Self { accepted, initiator_random, new, ends, stage } = self;
        let record = &accepted.record;
        let secret = &record.shared_secret;
        let message = Sigma2Resume {
            resumption_id: *new,
            mic: &ResumeMic::Sigma2.make(crypto, secret, initiator_random, new)?,
            responder_session_id: ends.local.as_seen_by_peer(),
            session_parameters: Some(env.parameters.announced()),
        };
        let message = Outgoing::message(Opcode::CASE_SIGMA2_RESUME, out, |w| message.write(w))?;
        // Nothing authenticates what Sigma1 declares.
        ends.peer_parameters = record.parameters.bounding(&ends.peer_parameters);
        *stage = ResumingStage::ExpectReport;
        Ok(Step::Send(message))
    }

    /// The initiator reports success.
    #[inline(never)]
    pub(super) fn established(
        &self,
        crypto: &C,
        env: &CaseEnv<'_>,
    ) -> Result<Step, HandshakeError> {
        let Accepted { fabric, record, verified } = &self.accepted;
        let fabric = fabric.find(env)?;
        let secret = &record.shared_secret;
        let keys = resumed_session_keys(crypto, secret, &self.initiator_random, &record.id)?;
        let record = ResumptionRecord { id: self.new, ..record.clone() };
        let proof = Proof::Resumption { record, _verified: verified };
        let established = establish(fabric, &self.ends, keys, proof);
        Ok(Step::Established { reply: None, established })
    }
}
