//! What a world computes with, and the credentials of its nodes: issued once for all seeds.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use matter_session::cert::{CertificateBuf, CertificateRequest, Issuer, SerialNumber, Validity};
use matter_session::crypto::{
    Crypto, KEY_LEN, OperationalKey, Passcode, PbkdfParameters, PublicKey, RustCrypto, Secret,
    SigningKey, Verifier,
};
use matter_session::fabric::{CompressedFabricId, FabricCredentials, GroupKey, Ipk};
use matter_session::group::GroupSession;
use matter_session::handshake::{SignRequest, Signed};
use matter_session::ids::{CaseAuthTag, CaseAuthTags, FabricId, NodeId};
use matter_session::manager::CommissioningWindow;
use matter_session::time::MatterTime;

use super::group_book::{EPOCHS, KEY_SETS};
use matter_session_testing::rng::Dice;
use matter_session_testing::toy::{Toy, ToyKey};

/// How many nodes a world has at the most.
pub const NODES: usize = 5;
/// How many fabrics there are. The second and the third have the same id and different roots.
pub const FABRICS: usize = 3;
/// How many certificates a node has on each: it is given another one at an update.
pub const ISSUES: usize = 2;
pub const PASSCODE: u32 = 20_202_021;

/// A crypto backend with the operational keys that belong to it.
pub trait Suite: Sized + 'static {
    type Crypto: Crypto + Clone + 'static;
    type Key: OperationalKey + Send + 'static;
    fn crypto() -> Self::Crypto;
    fn key(dice: &mut Dice) -> (Self::Key, PublicKey);
    fn pool() -> &'static Pool<Self::Key>;
}

/// RustCrypto, as applications have it.
pub struct Real;

impl Suite for Real {
    type Crypto = RustCrypto;
    type Key = SigningKey;

    fn crypto() -> RustCrypto {
        RustCrypto
    }

    fn key(dice: &mut Dice) -> (SigningKey, PublicKey) {
        let key = SigningKey::generate(dice).unwrap();
        let public = key.public_key();
        (key, public)
    }

    fn pool() -> &'static Pool<SigningKey> {
        static POOL: OnceLock<Pool<SigningKey>> = OnceLock::new();
        POOL.get_or_init(Pool::issue::<Self>)
    }
}

/// A backend that is a hundred times as fast and of the same structure.
pub struct Quick;

impl Suite for Quick {
    type Crypto = Toy;
    type Key = ToyKey;

    fn crypto() -> Toy {
        Toy
    }

    fn key(dice: &mut Dice) -> (ToyKey, PublicKey) {
        let key = ToyKey::generate(dice);
        let public = key.public_key();
        (key, public)
    }

    fn pool() -> &'static Pool<ToyKey> {
        static POOL: OnceLock<Pool<ToyKey>> = OnceLock::new();
        POOL.get_or_init(Pool::issue::<Self>)
    }
}

/// The credentials of every node on every fabric, and what a window is opened with.
pub struct Pool<K> {
    /// By fabric, node and issue.
    members: Vec<Vec<[Member<K>; ISSUES]>>,
    /// Of groups, by fabric, key set and epoch.
    group_keys: Vec<KeysOfSets>,
    verifier: Verifier,
    pbkdf: PbkdfParameters,
}

/// A key of each key set of a fabric.
type KeysOfSets = [[u8; KEY_LEN]; KEY_SETS as usize];

/// What makes a node a member of a fabric.
pub struct Member<K> {
    rcac: CertificateBuf,
    icac: Option<CertificateBuf>,
    noc: CertificateBuf,
    ipk: [Ipk; 1],
    key: Mutex<K>,
}

/// The node id of a node on a fabric.
pub const fn node_id(fabric: usize, node: usize) -> NodeId {
    NodeId::new(1000 * (fabric as u64 + 1) + node as u64)
}

/// The node that has an id on a fabric.
pub fn node_of(fabric: usize, id: NodeId) -> Option<usize> {
    (0..NODES).find(|node| node_id(fabric, *node) == id)
}

/// The tag that a node's certificates carry.
pub const fn tag_of(issue: usize) -> u32 {
    0xABCD_0001 + issue as u32
}

impl<K: OperationalKey> Member<K> {
    pub fn credentials(&self) -> FabricCredentials<'_> {
        FabricCredentials {
            root: self.rcac.as_slice(),
            icac: self.icac.as_ref().map(CertificateBuf::as_slice),
            noc: self.noc.as_slice(),
            ipks: &self.ipk,
        }
    }

    pub fn sign(&self, request: SignRequest) -> Signed {
        request.sign_with(&mut *self.key.lock().unwrap())
    }
}

impl<K: OperationalKey> Pool<K> {
    pub fn member(&self, fabric: usize, node: usize, issue: usize) -> &Member<K> {
        &self.members[fabric][node][issue]
    }

    /// A key of a group key set. Those of all sets of a fabric have the same session id in every
    /// other epoch.
    pub fn group_key(&self, fabric: usize, set: u16, epoch: usize) -> [u8; KEY_LEN] {
        self.group_keys[epoch * FABRICS + fabric][usize::from(set) - 1]
    }

    /// The fabric and the key set that a key belongs to.
    pub fn owner_of(&self, key: &[u8; KEY_LEN]) -> Option<(usize, u16)> {
        let owners = (0..).zip(&self.group_keys);
        let mut owners = owners.map(|(n, keys)| (n, keys.iter().position(|other| other == key)));
        owners.find_map(|(n, set)| Some((n % FABRICS, set? as u16 + 1)))
    }

    pub fn window(&self, duration: Option<core::time::Duration>) -> CommissioningWindow {
        let window = CommissioningWindow::new(self.verifier.clone(), self.pbkdf);
        match duration {
            Some(duration) => window.with_any_duration(duration),
            None => window,
        }
    }

    fn issue<S: Suite<Key = K>>() -> Self {
        let crypto = S::crypto();
        let pbkdf = PbkdfParameters::new(1000, &[7; 16]).unwrap();
        let passcode = Passcode::new(PASSCODE).unwrap();
        let verifier = Verifier::generate(&crypto, &passcode, &pbkdf).unwrap();
        let members = (0..FABRICS).map(fabric::<S>).collect();
        Self { members, group_keys: group_keys(&crypto), verifier, pbkdf }
    }
}

/// Keys for every place, so that those of an even epoch have one session id.
fn group_keys<C: Crypto>(crypto: &C) -> Vec<KeysOfSets> {
    let dice = &mut Dice::new(99);
    let mut by_id: HashMap<_, Vec<_>> = HashMap::new();
    let mut key = || {
        let key: [u8; KEY_LEN] = core::array::from_fn(|_| dice.roll() as u8);
        let none = CompressedFabricId::from_bytes([0; 8]);
        let group_key = GroupKey::OperationalKey(Secret::new(key));
        (GroupSession::new(crypto, &group_key, none).unwrap().id(), key)
    };
    let mut keys = |alike: bool| loop {
        if !alike {
            return core::array::from_fn(|_| key().1);
        }
        let (id, new) = key();
        let known = by_id.entry(id).or_default();
        known.push(new);
        if let Ok(keys) = <KeysOfSets>::try_from(&known[..]) {
            known.clear();
            return keys;
        }
    };
    (0..EPOCHS * FABRICS).map(|n| keys((n / FABRICS).is_multiple_of(2))).collect()
}

/// Every certificate of a fabric. One of the fabrics has an intermediate authority.
fn fabric<S: Suite>(fabric: usize) -> Vec<[Member<S::Key>; ISSUES]> {
    let dice = &mut Dice::new(1 + fabric as u64);
    let crypto = S::crypto();
    let (mut root, public) = S::key(dice);
    let rcac = CertificateRequest::rcac(fabric as u64 + 1, public, serial(dice), validity())
        .self_sign(&crypto, &mut root)
        .unwrap();
    let intermediate = (fabric == 0).then(|| {
        let (key, public) = S::key(dice);
        let request = CertificateRequest::icac(7, public, serial(dice), validity());
        let authority = rcac.certificate().unwrap();
        let icac = request.sign(&crypto, &mut Issuer::new(&authority, &mut root).unwrap()).unwrap();
        (key, icac)
    });
    let (mut signer, icac) = match intermediate {
        Some((key, icac)) => (key, Some(icac)),
        None => (root, None),
    };
    let authority = icac.as_ref().unwrap_or(&rcac).certificate().unwrap();
    let mut admit = |node, issue| {
        let (key, public) = S::key(dice);
        let mut cats = CaseAuthTags::NONE;
        assert!(cats.insert(CaseAuthTag::new(tag_of(issue)).unwrap()));
        let id = FabricId::new(fabric.min(1) as u64 + 1).unwrap();
        let request =
            CertificateRequest::noc(node_id(fabric, node), id, public, serial(dice), validity());
        let mut issuer = Issuer::new(&authority, &mut signer).unwrap();
        let noc = request.cats(cats).sign(&crypto, &mut issuer).unwrap();
        Member {
            rcac: rcac.clone(),
            icac: icac.clone(),
            noc,
            ipk: [Ipk::EpochKey(Secret::new([fabric as u8 + 1; 16]))],
            key: Mutex::new(key),
        }
    };
    (0..NODES).map(|node| [admit(node, 0), admit(node, 1)]).collect()
}

fn serial(dice: &mut Dice) -> SerialNumber {
    SerialNumber::random(dice)
}

fn validity() -> Validity {
    Validity::new(MatterTime::from_seconds(1), None).unwrap()
}
