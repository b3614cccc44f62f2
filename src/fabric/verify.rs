//! Verification of credentials, one signature at a time.

use super::{CredentialsVerified, FabricCredentials, FabricError, Facts, KeyPlace, Names};
use crate::cert::{
    self, ChainClaim, ChainError, ChainFault, ChainPolicy, Form, Link, NoCache, Position, Profile,
    RootClaim,
};
use crate::crypto::{Crypto, CryptoError, HASH_LEN, Sha256};
use crate::ids::FabricIndex;
use crate::time::WallClock;

/// Credentials that are verified over several calls, one signature each: so no call takes longer
/// than an operation on the curve. See [`Fabrics::check`](crate::manager::Fabrics::check).
#[derive(Clone, Debug)]
pub struct CredentialsCheck {
    /// What was verified: these certificates, as strictly as this profile says.
    of: Option<([u8; HASH_LEN], Profile)>,
    next: Check,
}

/// What is verified next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Root(Form),
    /// The intermediate and the operational certificate.
    Chain(Option<Link>),
    /// That the operational key is a point of the curve.
    Key,
    Done,
}

/// Credentials of which all holds but the signatures, which are still to be verified.
struct Checked<'a> {
    root: RootClaim<'a>,
    /// Not looked at before the root is verified.
    chain: Result<ChainClaim<'a>, ChainError>,
    root_key: KeyPlace,
    key: KeyPlace,
    noc_key: cert::KeyClaim<'a>,
}

impl Default for CredentialsCheck {
    fn default() -> Self {
        Self::new()
    }
}

impl CredentialsCheck {
    /// Begins with nothing verified.
    #[must_use]
    pub const fn new() -> Self {
        Self { of: None, next: Check::Root(Form::Usual) }
    }

    /// Verifies the next signature of the credentials, which are the same in each call. Returns true
    /// once all are verified: after four calls, and one more for each that was made over the other of
    /// two forms of its certificate.
    ///
    /// # Errors
    /// [`FabricError`] says which part is wrong. The credentials are to be refused.
    pub(crate) fn step<C: Crypto>(
        &mut self,
        crypto: &C,
        credentials: &FabricCredentials<'_>,
        profile: Profile,
    ) -> Result<bool, FabricError> {
        let of = (credentials.digest(crypto), profile);
        if self.of.get_or_insert(of) != &of {
            return Err(FabricError::NotChecked);
        }
        // By reference, as every move of it would be one more copy below the verification.
        let checked = &credentials.check(crypto, profile);
        let checked = checked.as_ref().map_err(|error| *error)?;
        self.next = match self.next {
            Check::Root(form) => match checked.root.verify_form(crypto, form)? {
                true => Check::Chain(Link::FIRST),
                false => Check::Root(Form::Other),
            },
            Check::Chain(link) => {
                let chain = checked.chain.as_ref().map_err(|error| *error)?;
                let mut next = (link, false);
                while let (Some(link), false) = next {
                    next = chain.verify_link(crypto, &mut NoCache, link)?;
                }
                match next {
                    (None, _) => Check::Key,
                    (link, _) => Check::Chain(link),
                }
            }
            Check::Key => {
                checked.noc_key.check(crypto).map_err(|error| match error {
                    CryptoError::InvalidPoint => {
                        ChainError { position: Position::Noc, fault: ChainFault::PublicKey }.into()
                    }
                    other => FabricError::Crypto(other),
                })?;
                Check::Done
            }
            Check::Done => Check::Done,
        };
        Ok(self.next == Check::Done)
    }
}

impl<'a> FabricCredentials<'a> {
    /// Verifies the credentials (root self-signed, chain complete, every key a point of the curve,
    /// as strict as `profile` says; validity periods are not checked) and derives the operational
    /// identity protection keys. If there are none, those of `former` stay, with their start times:
    /// the same fabric before an update. With `check`, that has verified all signatures.
    ///
    /// # Errors
    /// [`FabricError`] says which part is wrong.
    pub(crate) fn verify<C: Crypto>(
        &self,
        crypto: &C,
        index: FabricIndex,
        profile: Profile,
        former: Option<&Facts>,
        check: Option<&CredentialsCheck>,
    ) -> Result<CredentialsVerified<'a>, FabricError> {
        match check {
            None => {
                let mut check = CredentialsCheck::new();
                while !check.step(crypto, self, profile)? {}
            }
            Some(CredentialsCheck { of: Some(of), next: Check::Done })
                if *of == (self.digest(crypto), profile) => {}
            Some(_) => return Err(FabricError::NotChecked),
        }
        let checked = self.check(crypto, profile)?;
        let chain = checked.chain?.verified();
        let (id, node, cats) = (chain.fabric_id(), chain.node_id(), chain.cats());
        let names = Names { index, id, node, cats };
        // Peers can be strict: they do not get an ICAC that is empty or did not issue the NOC.
        let kept = Self { icac: self.icac.filter(|_| chain.uses_icac()), ..*self };
        let mut verified = kept.credentials(crypto, names, checked.root_key, checked.key)?;
        if let Some(former) = former.filter(|_| self.ipks.is_empty()) {
            verified.facts.copy_ipks(&former.ipks, &former.starts, former.ipk_count);
        }
        if verified.facts.ipk_count == 0 { Err(FabricError::Ipks) } else { Ok(verified) }
    }

    /// All checks but those of signatures. Not inlined: the views of the certificates leave the
    /// stack before signatures are verified.
    #[inline(never)]
    fn check<C: Crypto>(&self, crypto: &C, profile: Profile) -> Result<Checked<'a>, FabricError> {
        let (root, icac, noc) = self.parse()?;
        let policy = ChainPolicy::new(WallClock::Unknown).with_profile(profile);
        Ok(Checked {
            root: cert::check_new_root(&root, profile)?,
            chain: cert::check_chain(crypto, &noc, icac.as_ref(), &root, &policy, &NoCache),
            root_key: KeyPlace::of(&root),
            key: KeyPlace::of(&noc),
            noc_key: cert::KeyClaim::of(&noc),
        })
    }

    /// Stands for the three certificates.
    #[inline(never)]
    fn digest<C: Crypto>(&self, crypto: &C) -> [u8; HASH_LEN] {
        let mut hash = crypto.sha256();
        for certificate in [self.root, self.icac.unwrap_or_default(), self.noc] {
            hash.update(&(certificate.len() as u64).to_le_bytes());
            hash.update(certificate);
        }
        hash.finish()
    }
}
