//! A handshake of either kind, in either role.

use crate::context::Context;
use crate::crypto::Crypto;
#[cfg(feature = "initiator")]
use crate::handshake::{CaseClient, PaseClient};
use crate::handshake::{
    CaseEnv, CaseServer, ClaimRequest, Claimed, Failure, HandshakeError, Incoming, PaseServer,
    SignRequest, Signed, Step,
};
#[cfg(feature = "initiator")]
use crate::ids::Peer;
use crate::ids::{FabricIndex, NodeId};
use crate::session::{ResumptionId, SessionParameters};
use crate::time::Instant;
use crate::wire::secure_channel::Opcode;

pub(in crate::manager) enum Machine<C: Crypto> {
    PaseServer(PaseServer<C>),
    CaseServer(CaseServer<C>),
    #[cfg(feature = "initiator")]
    PaseClient(PaseClient<C>),
    #[cfg(feature = "initiator")]
    CaseClient(CaseClient<C>),
}

/// What makes a handshake move.
pub(in crate::manager) enum Input<'a> {
    Message(Incoming<'a>),
    Signed(&'a Signed),
    Claimed(&'a Claimed),
    /// It computes the next part.
    Proceed,
    /// It ends for a reason of our own.
    Abort(HandshakeError),
}

/// The same of every machine.
macro_rules! each {
    ($machine:expr, $each:ident => $value:expr) => {
        match $machine {
            Self::PaseServer($each) => $value,
            Self::CaseServer($each) => $value,
            #[cfg(feature = "initiator")]
            Self::PaseClient($each) => $value,
            #[cfg(feature = "initiator")]
            Self::CaseClient($each) => $value,
        }
    };
}

impl<C: Crypto> Machine<C> {
    pub(in crate::manager) fn step(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: &mut CaseEnv<'_>,
        input: Input<'_>,
        out: &mut [u8],
    ) -> Result<Step, Failure> {
        match (self, input) {
            (_, Input::Abort(error)) => Err(Failure::new(error, out)),
            (Self::PaseServer(machine), Input::Message(message)) => {
                machine.handle(crypto, cx, message, out)
            }
            (Self::PaseServer(machine), Input::Proceed) => machine.proceed(crypto, cx, out),
            (Self::CaseServer(machine), Input::Proceed) => machine.proceed(crypto, cx, env, out),
            #[cfg(feature = "initiator")]
            (Self::PaseClient(machine), Input::Proceed) => machine.proceed(crypto, cx, out),
            #[cfg(feature = "initiator")]
            (Self::CaseClient(machine), Input::Proceed) => machine.proceed(crypto, cx, env, out),
            (Self::CaseServer(machine), Input::Message(message)) => {
                machine.handle(crypto, cx, env, message, out)
            }
            (Self::CaseServer(machine), Input::Signed(signed)) => {
                machine.resume(crypto, cx, env, signed, out)
            }
            #[cfg(feature = "initiator")]
            (Self::PaseClient(machine), Input::Message(message)) => {
                machine.handle(crypto, cx, message, out)
            }
            #[cfg(feature = "initiator")]
            (Self::CaseClient(machine), Input::Message(message)) => {
                machine.handle(crypto, cx, env, message, out)
            }
            #[cfg(feature = "initiator")]
            (Self::CaseClient(machine), Input::Signed(signed)) => {
                machine.resume(crypto, cx, env, signed, out)
            }
            (Self::CaseServer(machine), Input::Claimed(claimed)) => {
                machine.complete_claim(crypto, cx, env, claimed, out)
            }
            // Only the responder of CASE claims.
            (_, Input::Claimed(_)) => Err(Failure::silent(HandshakeError::StaleClaim)),
            // PASE never asks for a signature.
            (_, Input::Signed(_)) => Err(Failure::silent(HandshakeError::StaleSignature)),
        }
    }

    /// Handles an answer to the first message, which was sent to several addresses. After an error
    /// the state machine waits for another answer.
    #[cfg(feature = "initiator")]
    pub(in crate::manager) fn try_answer(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: &mut CaseEnv<'_>,
        message: Incoming<'_>,
        out: &mut [u8],
    ) -> Result<Step, HandshakeError> {
        match self {
            Self::PaseClient(machine) => machine.try_answer(crypto, &message),
            Self::CaseClient(machine) => machine.try_answer(crypto, cx, env, message, out),
            _ => Err(HandshakeError::UnexpectedMessage(message.opcode)),
        }
    }

    /// Computes the next part of an answer that was tried. After an error the state machine waits for
    /// another one.
    #[cfg(feature = "initiator")]
    pub(in crate::manager) fn try_proceed(
        &mut self,
        crypto: &C,
        cx: &mut Context<'_>,
        env: &mut CaseEnv<'_>,
    ) -> Result<Step, HandshakeError> {
        match self {
            Self::CaseClient(machine) => machine.try_proceed(crypto, cx, env),
            _ => Err(HandshakeError::NothingLeft),
        }
    }

    /// Returns true if an answer is accepted only when nothing more is to be computed. PASE accepts
    /// one that echoes the random of the request.
    #[cfg(feature = "initiator")]
    pub(in crate::manager) const fn judges_late(&self) -> bool {
        matches!(self, Self::CaseClient(_))
    }

    /// Returns true if a message of the initiator is the one that the responder waits for, with the
    /// proof in it if there is one. Nothing changes.
    pub(in crate::manager) fn expects(&self, crypto: &C, opcode: Opcode, payload: &[u8]) -> bool {
        match self {
            Self::PaseServer(machine) => machine.expects(opcode, payload),
            Self::CaseServer(machine) => machine.expects(crypto, opcode, payload),
            #[cfg(feature = "initiator")]
            _ => false,
        }
    }

    /// Returns true if it is to [proceed](Input::Proceed).
    pub(in crate::manager) fn has_more(&self) -> bool {
        each!(self, machine => machine.has_more())
    }

    /// Wipes what the machine holds, wherever its handshake may stand.
    pub(in crate::manager) fn end(&mut self) {
        each!(self, machine => machine.end());
    }

    pub(in crate::manager) fn poll_timeout(&self) -> Option<Instant> {
        each!(self, machine => machine.poll_timeout())
    }

    /// Returns why the handshake ends if its deadline passes now.
    pub(in crate::manager) fn overdue(&self) -> HandshakeError {
        each!(self, machine => machine.overdue())
    }

    /// Returns the peer that this node connects to by CASE.
    #[cfg(feature = "initiator")]
    pub(in crate::manager) const fn target(&self) -> Option<Peer> {
        match self {
            Self::CaseClient(machine) => Some(machine.peer()),
            _ => None,
        }
    }

    /// Returns what the peer has declared, once it has.
    pub(in crate::manager) fn peer_parameters(&self) -> Option<&SessionParameters> {
        each!(self, machine => machine.peer_parameters())
    }

    /// Returns true if this is the responder of PASE.
    pub(in crate::manager) const fn is_pase(&self) -> bool {
        matches!(self, Self::PaseServer(_))
    }

    /// Returns true if the handshake waits for the answer to this request.
    pub(in crate::manager) fn asked(&self, request: &SignRequest) -> bool {
        match self {
            Self::CaseServer(machine) => machine.asked(request),
            #[cfg(feature = "initiator")]
            Self::CaseClient(machine) => machine.asked(request),
            _ => false,
        }
    }

    /// Returns the fabric that the handshake is for, once known.
    pub(in crate::manager) fn fabric(&self) -> Option<FabricIndex> {
        match self {
            Self::CaseServer(machine) => machine.fabric(),
            #[cfg(feature = "initiator")]
            Self::CaseClient(machine) => Some(machine.fabric()),
            _ => None,
        }
    }

    pub(in crate::manager) fn awaits(&self, signed: &Signed) -> bool {
        match self {
            Self::CaseServer(machine) => machine.awaits(signed),
            #[cfg(feature = "initiator")]
            Self::CaseClient(machine) => machine.awaits(signed),
            _ => false,
        }
    }

    /// Returns true if the peer is about to resume by a Sigma1 with this id and random.
    pub(in crate::manager) fn resumes_for(&self, id: &ResumptionId, random: &[u8; 32]) -> bool {
        matches!(self, Self::CaseServer(machine) if machine.resumes_for(id, random))
    }

    /// Returns the request for a record that the handshake waits for.
    pub(in crate::manager) fn claim_request(&self) -> Option<ClaimRequest> {
        match self {
            Self::CaseServer(machine) => machine.claim_request(),
            _ => None,
        }
    }

    pub(in crate::manager) fn awaits_claim(&self, claimed: &Claimed) -> bool {
        matches!(self, Self::CaseServer(machine) if machine.awaits_claim(claimed))
    }

    /// Waits no longer for an answer than this.
    pub(in crate::manager) fn limit_wait(&mut self, until: Instant) {
        if let Self::CaseServer(machine) = self {
            machine.limit_wait(until);
        }
    }

    /// Goes on without the record of a peer, or of any on the fabric; true if it cannot.
    pub(in crate::manager) fn forget_record(
        &mut self,
        fabric: FabricIndex,
        peer: Option<NodeId>,
    ) -> bool {
        match self {
            Self::CaseServer(machine) => machine.resumes_from(fabric, peer),
            #[cfg(feature = "initiator")]
            Self::CaseClient(machine) => {
                machine.forget_record(fabric, peer);
                false
            }
            _ => false,
        }
    }

    /// Returns true if the peer has had the means to test a passcode.
    pub(in crate::manager) fn attempted(&self) -> bool {
        matches!(self, Self::PaseServer(machine) if machine.attempted())
    }
}
