//! Who the peer is: its certificates, checked, and the application's say on it.

use super::env::CaseEnv;
use super::messages::{TbeData, TbsData};
use super::presented::Places;
use crate::cert::{
    self, Certificate, ChainClaim, ChainPolicy, ChainVerified, Link, Position, Profile,
    VerifiedCache,
};
use crate::context::{Context, PeerCertificates, PeerIdentity, Rejected};
use crate::crypto::{Crypto, CryptoError, HASH_LEN, PublicKey, Sha256, Signature};
use crate::fabric::Fabric;
use crate::handshake::HandshakeError;
use crate::ids::{CaseAuthTags, NodeId, Peer};
use crate::time::MatterTime;

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

/// What a peer has presented (TBEData2 or TBEData3, decrypted), while it is verified over several
/// calls. It stays in the room of [`CaseEnv::certificates`].
pub(super) struct Presentation {
    len: u16,
    /// The digest of what stays there: that is not changed between two calls.
    digest: [u8; HASH_LEN],
    /// What of the chain is verified next; `None` if only the signature of the peer is left.
    next: Option<Link>,
}

impl Presentation {
    /// What was decrypted in its room, of which nothing is verified.
    pub(super) fn new<C: Crypto>(crypto: &C, plain: &[u8]) -> Result<Self, HandshakeError> {
        let len = u16::try_from(plain.len()).map_err(|_| HandshakeError::BufferTooSmall)?;
        Ok(Self { len, digest: digest(crypto, plain), next: Link::FIRST })
    }

    /// Verifies the next signature. After the last one everything about the peer is checked that
    /// certificates can say: chain, validity, fabric, node, signature, policy.
    ///
    /// `wanted`: the node that the initiator connects to; `None` on the responder. Everything but
    /// signatures is checked each time, which costs little beside one.
    pub(super) fn verify_next<C: Crypto>(
        &mut self,
        crypto: &C,
        cx: &Context<'_>,
        env: &mut CaseEnv<'_>,
        fabric: Fabric<'_>,
        wanted: Option<NodeId>,
        keys: Keys<'_>,
    ) -> Result<Option<PeerVerified>, HandshakeError> {
        let plain = &*env.certificates.stored(self.len.into())?;
        if digest(crypto, plain) != self.digest {
            return Err(HandshakeError::RoomChanged);
        }
        let tbe = match wanted {
            Some(_) => TbeData::parse2(plain)?,
            None => TbeData::parse3(plain)?,
        };
        let Some(chain) = self.verify_chain(crypto, cx, env.verified, env.profile, fabric, &tbe)?
        else {
            return Ok(None);
        };
        let (verified, places) =
            verify_peer(crypto, cx, fabric, wanted, &tbe, keys, &chain, plain)?;
        env.certificates.note_verified(places);
        Ok(Some(verified))
    }

    /// Verifies the next signature of the chain. Returns the chain if none is left.
    #[inline(never)]
    fn verify_chain<C: Crypto>(
        &mut self,
        crypto: &C,
        cx: &Context<'_>,
        cache: &mut dyn VerifiedCache,
        profile: Profile,
        fabric: Fabric<'_>,
        tbe: &TbeData<'_>,
    ) -> Result<Option<ChainVerified>, HandshakeError> {
        let policy = ChainPolicy::new(cx.wall).with_profile(profile);
        // By reference, as every move of it would be one more copy below the verification.
        let claim = &check_chain(crypto, tbe, fabric.root(), &policy, cache);
        let claim = claim.as_ref().map_err(|error| *error)?;
        while let Some(link) = self.next {
            let (next, has_verified) = claim.verify_link(crypto, cache, link)?;
            self.next = next;
            if has_verified {
                return Ok(None);
            }
        }
        Ok(Some(claim.verified()))
    }
}

// Not inlined: the hash leaves the stack before a signature is verified.
#[inline(never)]
fn digest<C: Crypto>(crypto: &C, plain: &[u8]) -> [u8; HASH_LEN] {
    let mut hash = crypto.sha256();
    hash.update(plain);
    hash.finish()
}

/// The chain is verified: checks that it is the peer's, and asks the policy.
#[inline(never)]
#[expect(clippy::too_many_arguments, reason = "all of them describe one peer")]
fn verify_peer<C: Crypto>(
    crypto: &C,
    cx: &Context<'_>,
    fabric: Fabric<'_>,
    wanted: Option<NodeId>,
    tbe: &TbeData<'_>,
    keys: Keys<'_>,
    chain: &ChainVerified,
    plain: &[u8],
) -> Result<(PeerVerified, Places), HandshakeError> {
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
    let verified = PeerVerified { node, cats, valid_until, authenticated };
    Ok((verified, Places::of(plain, &certificates)))
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
    crypto.verify(key, &tbs, &Signature::new(*tbe.signature)).map_err(|error| match error {
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
