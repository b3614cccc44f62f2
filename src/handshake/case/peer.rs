//! Who the peer is: its certificates, checked, and the application's say on it.

use super::env::CaseEnv;
use super::messages::{TbeData, TbsData};
use crate::cert::{
    self, Certificate, ChainClaim, ChainPolicy, ChainVerified, Position, VerifiedCache,
};
use crate::context::{Context, PeerCertificates, PeerIdentity, Rejected};
use crate::crypto::{Crypto, CryptoError, HASH_LEN, HashSink, PublicKey, Signature};
use crate::fabric::Fabric;
use crate::handshake::HandshakeError;
use crate::ids::{CaseAuthTags, NodeId, Peer};
use crate::time::MatterTime;
use crate::tlv::Writer;

/// Proof that the peer holds the operational key of a certificate of the fabric.
#[derive(Debug)]
pub(super) struct PeerVerified {
    pub(super) node: NodeId,
    pub(super) cats: CaseAuthTags,
    /// The earliest end of validity in the chain.
    pub(super) valid_until: Option<MatterTime>,
    /// The present time, if it is known.
    pub(super) authenticated: Option<MatterTime>,
}

/// Returns the digest that the sender of certificates signs.
#[inline(never)]
pub(super) fn tbs_digest<C: Crypto>(
    crypto: &C,
    tbs: &TbsData<'_>,
) -> Result<[u8; HASH_LEN], HandshakeError> {
    let mut writer = Writer::new(HashSink::new(crypto.sha256()));
    tbs.write(&mut writer)?;
    Ok(writer.into_sink().finish())
}

/// Checks everything about the peer that certificates can say: chain, validity, fabric, node,
/// signature, policy.
///
/// `wanted`: the node that the initiator connects to; `None` on the responder.
pub(super) fn verify_peer<C: Crypto>(
    crypto: &C,
    cx: &Context<'_>,
    env: &mut CaseEnv<'_>,
    fabric: Fabric<'_>,
    wanted: Option<NodeId>,
    tbe: &TbeData<'_>,
    keys: Keys<'_>,
) -> Result<PeerVerified, HandshakeError> {
    // By reference: see `verify_chain`.
    let chain = verify_chain(crypto, cx, env, fabric, tbe);
    let chain = chain.as_ref().map_err(|error| *error)?;
    if chain.fabric_id() != fabric.id() {
        return Err(HandshakeError::WrongFabric);
    }
    if wanted.is_some_and(|wanted| wanted != chain.node_id()) {
        return Err(HandshakeError::WrongNode);
    }
    verify_possession(crypto, tbe, keys, chain.public_key())?;
    // Nothing vouches for an ICAC that did not issue the NOC.
    let icac = tbe.icac.filter(|_| chain.uses_icac());
    let certificates = PeerCertificates::new(tbe.noc, icac, chain.public_key());
    let (node, cats) = (chain.node_id(), chain.cats());
    let (valid_until, authenticated) = (chain.not_after(), cx.wall.present());
    let identity = PeerIdentity {
        peer: Peer::new(fabric.index(), node),
        cats,
        certificates: Some(certificates),
        valid_until,
        authenticated,
    };
    cx.policy.authorize(&identity).map_err(|Rejected| HandshakeError::Rejected)?;
    env.certificates.keep(&certificates);
    Ok(PeerVerified { node, cats, valid_until, authenticated })
}

/// Checks that the sender of certificates has signed with the key they are about.
#[inline(never)]
fn verify_possession<C: Crypto>(
    crypto: &C,
    tbe: &TbeData<'_>,
    keys: Keys<'_>,
    key: &PublicKey,
) -> Result<(), HandshakeError> {
    let tbs = TbsData { noc: tbe.noc, icac: tbe.icac, sender: keys.peer, receiver: keys.own };
    let digest = tbs_digest(crypto, &tbs)?;
    crypto.verify(key, &digest, &Signature::new(*tbe.signature)).map_err(|error| match error {
        CryptoError::Unauthentic => HandshakeError::WrongSignature,
        other => other.into(),
    })
}

/// The ephemeral public keys of both sides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys<'a> {
    pub(super) own: &'a PublicKey,
    pub(super) peer: &'a PublicKey,
}

#[inline(never)]
fn verify_chain<C: Crypto>(
    crypto: &C,
    cx: &Context<'_>,
    env: &mut CaseEnv<'_>,
    fabric: Fabric<'_>,
    tbe: &TbeData<'_>,
) -> Result<ChainVerified, HandshakeError> {
    let policy = ChainPolicy::new(cx.wall).with_profile(env.profile);
    // By reference, as every move of it would be one more copy below the verification.
    match &check_chain(crypto, tbe, fabric.root(), &policy, env.verified) {
        Ok(claim) => Ok(claim.verify(crypto, env.verified)?),
        Err(error) => Err(*error),
    }
}

/// Not inlined: the views of the certificates leave the stack before signatures are verified.
#[inline(never)]
fn check_chain<'a, C: Crypto>(
    crypto: &C,
    tbe: &TbeData<'a>,
    root: &'a [u8],
    policy: &ChainPolicy,
    cache: &dyn VerifiedCache,
) -> Result<ChainClaim<'a>, HandshakeError> {
    let parse = |position, octets| {
        Certificate::parse(octets).map_err(|error| HandshakeError::Certificate(position, error))
    };
    let noc = parse(Position::Noc, tbe.noc)?;
    let icac = tbe.icac.map(|icac| parse(Position::Icac, icac)).transpose()?;
    let root = parse(Position::Rcac, root)?;
    Ok(cert::check_chain(crypto, &noc, icac.as_ref(), &root, policy, cache)?)
}
