//! Chains of random shapes, right and wrong, before a second validator: it looks at what was
//! meant, not at octets, and was written from the specification's text. Signatures are those of
//! the toy backend, which verify or do not as ECDSA's would.

use matter_session::crypto::OperationalKey;
use matter_session::time::WallClock::{Known, LastKnownGood, Unknown};

use super::*;
use matter_session_testing::rng::Dice;
use matter_session_testing::toy::{Toy, ToyKey};

const NODE_ID: u8 = 17;
const ICAC_ID: u8 = 19;
const RCAC_ID: u8 = 20;
const FABRIC_ID: u8 = 21;
const TAG: u8 = 22;
const SIGNER_ID: u8 = 23;

/// An attribute of a name by its tag.
#[derive(Clone, Debug, PartialEq)]
enum Named {
    Number(u8, u64),
    Text(u8, &'static str),
}

/// What a certificate is meant to say. Keys and key identifiers go by number.
#[derive(Clone, Debug)]
struct Meant {
    /// Length of the serial number.
    serial: u8,
    subject: Vec<Named>,
    issuer: Vec<Named>,
    not_before: u32,
    not_after: u32,
    /// Whether it is an authority, and its path length.
    constraints: Option<(bool, Option<u8>)>,
    usage: Option<u16>,
    purposes: Option<Vec<u8>>,
    subject_key_id: Option<u8>,
    authority_key_id: Option<u8>,
    /// Carries an unknown extension, critical or not.
    future: Option<bool>,
    key: usize,
    signed_by: usize,
    spoilt: bool,
}

/// A chain from the node upwards.
#[derive(Clone, Debug)]
struct Shape {
    noc: Meant,
    icac: Option<Meant>,
    rcac: Meant,
}

/// What a right chain can look like.
#[derive(Clone, Copy, Debug)]
struct Plan {
    with_icac: bool,
    fabric_in: (bool, bool),
    path_length: Option<u8>,
    tags: usize,
    text: bool,
}

fn authority(id: Named, key: u8, signed_by: u8) -> Meant {
    Meant {
        serial: 1,
        subject: vec![id],
        issuer: Vec::new(),
        not_before: 1000,
        not_after: 2000,
        constraints: Some((true, None)),
        usage: Some(0x60),
        purposes: None,
        subject_key_id: Some(key),
        authority_key_id: Some(signed_by),
        future: None,
        key: key.into(),
        signed_by: signed_by.into(),
        spoilt: false,
    }
}

impl Shape {
    fn right(plan: Plan) -> Self {
        let fabric = Named::Number(FABRIC_ID, 9);
        let mut rcac = authority(Named::Number(RCAC_ID, 1), 0, 0);
        rcac.constraints = Some((true, plan.path_length));
        let mut icac = authority(Named::Number(ICAC_ID, 3), 1, 0);
        let issuer = u8::from(plan.with_icac);
        let mut noc = authority(Named::Number(NODE_ID, 7), 2, issuer);
        noc.constraints = Some((false, None));
        (noc.usage, noc.purposes) = (Some(1), Some(vec![2, 1]));
        noc.subject.push(fabric.clone());
        let tags = (1..).map(|n| Named::Number(TAG, n << 16 | 1));
        noc.subject.extend(tags.take(plan.tags));
        if plan.fabric_in.0 {
            rcac.subject.push(fabric.clone());
        }
        if plan.fabric_in.1 {
            icac.subject.push(fabric);
        }
        if plan.text {
            let name = Named::Text(1, "x");
            rcac.subject.push(name.clone());
            icac.subject.insert(0, name);
        }
        rcac.issuer.clone_from(&rcac.subject);
        icac.issuer.clone_from(&rcac.subject);
        noc.issuer.clone_from(if plan.with_icac { &icac.subject } else { &rcac.subject });
        Self { noc, icac: plan.with_icac.then_some(icac), rcac }
    }

    fn at(&mut self, place: usize) -> &mut Meant {
        match (place % 3, &mut self.icac) {
            (0, _) => &mut self.noc,
            (1, Some(icac)) => icac,
            _ => &mut self.rcac,
        }
    }
}

impl Shape {
    /// Makes every certificate name the one above it, and signs it with its key.
    fn link(&mut self) {
        let under = |own: &mut Meant, issuer: &Meant| {
            own.issuer.clone_from(&issuer.subject);
            (own.authority_key_id, own.signed_by) = (issuer.subject_key_id, issuer.key);
        };
        let root = self.rcac.clone();
        under(&mut self.rcac, &root);
        if let Some(icac) = &mut self.icac {
            under(icac, &root);
        }
        under(&mut self.noc, self.icac.as_ref().unwrap_or(&root));
    }
}

/// Something that is changed in the certificate at a place.
#[derive(Clone, Debug)]
enum Change {
    Serial(u8),
    NocByRoot,
    NoIcac,
    NocAsIcac,
    RootAsIcac,
    SwapNocAndIcac,
    SwapIcacAndRoot,
    AddAttribute(Named),
    AddToIssuer(Named),
    SetAttribute(usize, Named),
    RemoveAttribute(usize),
    ReverseSubject,
    ReverseIssuer,
    Validity(u32, u32),
    Constraints(Option<(bool, Option<u8>)>),
    Usage(Option<u16>),
    Purposes(Option<Vec<u8>>),
    SubjectKeyId(Option<u8>),
    AuthorityKeyId(Option<u8>),
    Future(bool),
    Key(usize),
    SignedBy(usize),
    Spoilt,
}

fn change(shape: &mut Shape, place: usize, change: Change) {
    let (noc, rcac) = (shape.noc.clone(), shape.rcac.clone());
    let at = shape.at(place);
    match change {
        Change::Serial(len) => at.serial = len,
        Change::NocByRoot => {
            let noc = &mut shape.noc;
            noc.issuer.clone_from(&rcac.subject);
            (noc.authority_key_id, noc.signed_by) = (rcac.subject_key_id, rcac.key);
        }
        Change::NoIcac => shape.icac = None,
        Change::NocAsIcac => shape.icac = Some(noc),
        Change::RootAsIcac => shape.icac = Some(rcac),
        Change::SwapNocAndIcac => {
            if let Some(icac) = &mut shape.icac {
                core::mem::swap(icac, &mut shape.noc);
            }
        }
        Change::SwapIcacAndRoot => {
            if let Some(icac) = &mut shape.icac {
                core::mem::swap(icac, &mut shape.rcac);
            }
        }
        Change::AddAttribute(attribute) => at.subject.push(attribute),
        Change::AddToIssuer(attribute) => at.issuer.push(attribute),
        Change::SetAttribute(n, attribute) => {
            let n = n % at.subject.len().max(1);
            if let Some(old) = at.subject.get_mut(n) {
                *old = attribute;
            }
        }
        Change::RemoveAttribute(n) if !at.subject.is_empty() => {
            at.subject.remove(n % at.subject.len());
        }
        Change::RemoveAttribute(_) => {}
        Change::ReverseSubject => at.subject.reverse(),
        Change::ReverseIssuer => at.issuer.reverse(),
        Change::Validity(begin, end) => (at.not_before, at.not_after) = (begin, end),
        Change::Constraints(constraints) => at.constraints = constraints,
        Change::Usage(usage) => at.usage = usage,
        Change::Purposes(purposes) => at.purposes = purposes,
        Change::SubjectKeyId(id) => at.subject_key_id = id,
        Change::AuthorityKeyId(id) => at.authority_key_id = id,
        Change::Future(critical) => at.future = Some(critical),
        Change::Key(key) => at.key = key,
        Change::SignedBy(key) => at.signed_by = key,
        Change::Spoilt => at.spoilt = true,
    }
}

fn named() -> impl Strategy<Value = Named> {
    let fabric = prop_oneof![4 => Just(9), 1 => Just(8), 1 => Just(0)];
    let node = prop::sample::select(vec![0, 7, 0xFFFF_FFEF_FFFF_FFFF, 0xFFFF_FFF0_0000_0000]);
    let tag = prop::sample::select(vec![0x1_0001, 0x1_0002, 0x5_0001, 0x5_0000]);
    prop_oneof![
        fabric.prop_map(|id| Named::Number(FABRIC_ID, id)),
        node.prop_map(|id| Named::Number(NODE_ID, id)),
        tag.prop_map(|tag| Named::Number(TAG, tag)),
        prop::sample::select(vec![18, ICAC_ID, RCAC_ID, SIGNER_ID])
            .prop_map(|tag| Named::Number(tag, 1)),
        prop::sample::select(vec![1, 8, 16, 0x81]).prop_map(|tag| Named::Text(tag, "x")),
    ]
}

fn any_change() -> impl Strategy<Value = Change> {
    let usages = vec![0, 1, 2, 3, 0x20, 0x21, 0x40, 0x60, 0x61, 0x62, 0x1FF, 0x200];
    let purposes: Vec<&[u8]> = vec![&[], &[1], &[2], &[1, 2], &[1, 2, 3], &[6, 1, 2], &[1, 7]];
    let key_id = || prop::option::of(0..4_u8);
    prop_oneof![
        prop::sample::select(vec![
            Change::NoIcac,
            Change::NocByRoot,
            Change::NocByRoot,
            Change::NocAsIcac,
            Change::RootAsIcac,
            Change::SwapNocAndIcac,
            Change::SwapIcacAndRoot,
            Change::ReverseSubject,
            Change::ReverseIssuer,
            Change::Spoilt,
        ]),
        prop::sample::select(vec![0, 20, 21, 60]).prop_map(Change::Serial),
        named().prop_map(Change::AddAttribute),
        named().prop_map(Change::AddToIssuer),
        (0..5_usize, named()).prop_map(|(n, attribute)| Change::SetAttribute(n, attribute)),
        (0..5_usize).prop_map(Change::RemoveAttribute),
        (998..1002_u32, prop_oneof![998..1003_u32, Just(0), Just(3000)])
            .prop_map(|(begin, end)| Change::Validity(begin, end)),
        prop::option::of((any::<bool>(), prop::option::of(0..3_u8))).prop_map(Change::Constraints),
        prop::option::of(prop::sample::select(usages)).prop_map(Change::Usage),
        prop::option::of(prop::sample::select(purposes))
            .prop_map(|list| Change::Purposes(list.map(<[u8]>::to_vec))),
        key_id().prop_map(Change::SubjectKeyId),
        key_id().prop_map(Change::AuthorityKeyId),
        any::<bool>().prop_map(Change::Future),
        (0..4_usize).prop_map(Change::Key),
        (0..4_usize).prop_map(Change::SignedBy),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let fabric_in = any::<(bool, bool)>();
    let path_length = prop::option::of(1..3_u8);
    (any::<bool>(), fabric_in, path_length, 0..4_usize, any::<bool>()).prop_map(
        |(with_icac, fabric_in, path_length, tags, text)| Plan {
            with_icac,
            fabric_in,
            path_length,
            tags,
            text: text && tags < 3,
        },
    )
}

fn clock() -> impl Strategy<Value = WallClock> {
    let time = prop::sample::select(vec![997, 1000, 1001, 1002, 2000, 2001, 3000, 3001]);
    (0..3, time).prop_map(|(kind, time)| match (kind, MatterTime::from_seconds(time)) {
        (0, _) => Unknown,
        (1, time) => LastKnownGood(time),
        (_, time) => Known(time),
    })
}

fn profile() -> impl Strategy<Value = Profile> {
    let tolerances = prop::sample::subsequence(TOLERANCES.to_vec(), 0..=TOLERANCES.len());
    (tolerances, prop::sample::select(VALIDITIES.to_vec())).prop_map(|(tolerances, validity)| {
        let strict = Profile::STRICT.with_validity(validity);
        tolerances.into_iter().fold(strict, Profile::tolerating)
    })
}

// ---- the second validator ----

impl Meant {
    fn numbers(&self, tag: u8) -> Vec<u64> {
        let number = |attribute: &Named| match attribute {
            Named::Number(t, value) if *t == tag => Some(*value),
            _ => None,
        };
        self.subject.iter().filter_map(number).collect()
    }

    /// Which identifier it has, if it has one.
    fn kind(&self) -> Option<u8> {
        [NODE_ID, 18, ICAC_ID, RCAC_ID, SIGNER_ID]
            .into_iter()
            .find(|kind| !self.numbers(*kind).is_empty())
    }

    /// Whether it is a certificate at all.
    fn is_well_formed(&self) -> bool {
        let attribute_fits = |attribute: &Named| match attribute {
            Named::Number(NODE_ID, id) => (1..=0xFFFF_FFEF_FFFF_FFFF).contains(id),
            Named::Number(FABRIC_ID, id) => *id != 0,
            Named::Number(TAG, tag) => tag & 0xFFFF != 0,
            _ => true,
        };
        let (fabrics, tags) = (self.numbers(FABRIC_ID), self.numbers(TAG));
        let kinds = [NODE_ID, 18, ICAC_ID, RCAC_ID, SIGNER_ID];
        let identities: usize = kinds.map(|kind| self.numbers(kind).len()).iter().sum();
        let is_node = self.kind() == Some(NODE_ID);
        let mut identifiers: Vec<_> = tags.iter().map(|tag| tag >> 16).collect();
        identifiers.sort_unstable();
        identifiers.dedup();
        [&self.subject, &self.issuer].iter().all(|name| name.len() <= 5)
            && self.subject.iter().chain(&self.issuer).all(attribute_fits)
            && identities <= 1
            && fabrics.len() <= 1
            && (!is_node || fabrics.len() == 1)
            && (is_node || tags.is_empty())
            && tags.len() <= 3
            && identifiers.len() == tags.len()
            && (self.kind() != Some(SIGNER_ID) || fabrics.is_empty())
            && self.serial > 0
            && (self.not_after == 0 || self.not_after > self.not_before)
            && self.usage.is_none_or(|usage| usage <= 0x1FF)
            && self.purposes.iter().flatten().all(|purpose| (1..=6).contains(purpose))
    }

    /// What a certificate needs in any place of a chain.
    fn is_usable(&self, clock: WallClock, profile: Profile) -> bool {
        use ValidityPolicy::{All, NocAndIcac, NotBefore};
        let validity = profile.validity();
        let counts = self.kind() != Some(RCAC_ID) || validity == All;
        let begun = match (clock, validity) {
            (Known(now), NotBefore | NocAndIcac | All) => self.not_before <= now.as_seconds(),
            _ => true,
        };
        let over = match (clock, validity) {
            (Known(now), NocAndIcac | All) | (LastKnownGood(now), All) => {
                self.not_after != 0 && now.as_seconds() > self.not_after
            }
            _ => false,
        };
        let serial_fits = self.serial <= 20 || profile.tolerates(Tolerance::LongSerialNumber);
        let has_key_ids = self.subject_key_id.is_some() && self.authority_key_id.is_some();
        (!counts || begun && !over) && serial_fits && has_key_ids && self.future != Some(true)
    }

    fn is_authority(&self, kind: u8, below: u8, profile: Profile) -> bool {
        let usage_fits = match profile.tolerates(Tolerance::AuthorityUsage) {
            false => matches!(self.usage, Some(0x60 | 0x61)) && self.purposes.is_none(),
            true => self.usage.is_some_and(|usage| usage & 0x20 != 0),
        };
        let constraints_fit = match self.constraints {
            Some((true, Some(most))) => below <= most,
            Some((true, None)) => true,
            _ => false,
        };
        self.kind() == Some(kind) && usage_fits && constraints_fit
    }

    fn is_node(&self, profile: Profile) -> bool {
        let Some(purposes) = &self.purposes else { return false };
        let has = |purpose| purposes.contains(&purpose);
        let tolerates = |tolerance| profile.tolerates(tolerance);
        let signs = self.usage.is_some_and(|usage| usage & 1 != 0);
        self.kind() == Some(NODE_ID)
            && signs
            && (self.usage == Some(1) || tolerates(Tolerance::NocKeyUsage))
            && has(1)
            && (has(2) || tolerates(Tolerance::ServerAuthAlone))
            && (purposes.iter().all(|purpose| *purpose <= 2) || tolerates(Tolerance::NocPurposes))
            && (self.constraints == Some((false, None)) || tolerates(Tolerance::NocConstraints))
    }

    fn names(&self, issuer: &Self) -> bool {
        self.issuer == issuer.subject
            && self.authority_key_id.is_some()
            && self.authority_key_id == issuer.subject_key_id
    }

    fn is_signed_by(&self, issuer: &Self) -> bool {
        self.signed_by == issuer.key && !self.spoilt
    }

    fn is_root(&self, below: u8, profile: Profile) -> bool {
        self.is_authority(RCAC_ID, below, profile)
            && (profile.tolerates(Tolerance::RootNames) || self.names(self))
    }

    fn allows(&self, fabric: &[u64]) -> bool {
        let own = self.numbers(FABRIC_ID);
        own.is_empty() || own == fabric
    }
}

impl Shape {
    fn is_well_formed(&self) -> bool {
        [&self.noc, &self.rcac].into_iter().chain(&self.icac).all(Meant::is_well_formed)
    }

    fn holds(&self, clock: WallClock, profile: Profile) -> bool {
        let Self { noc, icac, rcac } = self;
        let fits =
            |icac: &Meant| icac.kind() == Some(ICAC_ID) && icac.allows(&noc.numbers(FABRIC_ID));
        if !icac.as_ref().is_none_or(fits) {
            return false;
        }
        let icac = icac.as_ref().filter(|_| self.uses_icac(profile));
        let (issuer, below) = (icac.unwrap_or(rcac), u8::from(icac.is_some()));
        let icac_holds = icac.is_none_or(|icac| {
            icac.is_usable(clock, profile)
                && icac.is_authority(ICAC_ID, 0, profile)
                && icac.names(rcac)
                && icac.is_signed_by(rcac)
        });
        icac_holds
            && noc.is_usable(clock, profile)
            && noc.is_node(profile)
            && noc.names(issuer)
            && noc.is_signed_by(issuer)
            && rcac.is_usable(clock, profile)
            && rcac.is_root(below, profile)
            && rcac.allows(&noc.numbers(FABRIC_ID))
    }

    /// Whether the intermediate certificate issued the node's, as far as names say.
    fn uses_icac(&self, profile: Profile) -> bool {
        let Self { noc, icac, rcac } = self;
        let may_be_unused = profile.tolerates(Tolerance::UnusedIcac) && noc.names(rcac);
        icac.as_ref().is_some_and(|icac| noc.names(icac) || !may_be_unused)
    }

    /// What is asked of a root that is to be installed.
    fn root_holds(&self, profile: Profile) -> bool {
        let root = &self.rcac;
        root.is_usable(Unknown, profile)
            && root.is_root(0, profile)
            && root.names(root)
            && root.is_signed_by(root)
            && root.constraints.is_some_and(|(_, most)| most.is_none_or(|most| most <= 1))
    }
}

// ---- octets ----

fn keys() -> [ToyKey; 4] {
    let mut rng = Dice::new(1);
    [(); 4].map(|()| ToyKey::generate(&mut rng))
}

impl Meant {
    fn encode(&self, signature: &[u8; 64]) -> Vec<u8> {
        let mut tlv = vec![0x15, 0x30, 1, self.serial];
        tlv.extend(vec![1; self.serial.into()]);
        tlv.extend([0x24, 2, 1]);
        name(&mut tlv, 3, &self.issuer);
        for (tag, time) in [(4, self.not_before), (5, self.not_after)] {
            tlv.extend([0x26, tag]);
            tlv.extend(time.to_le_bytes());
        }
        name(&mut tlv, 6, &self.subject);
        tlv.extend([0x24, 7, 1, 0x24, 8, 1, 0x30, 9, 65]);
        tlv.extend(keys()[self.key].public_key().as_bytes());
        tlv.extend([0x37, 10]);
        if let Some((is_ca, path_length)) = self.constraints {
            tlv.extend([0x35, 1, 0x28 | u8::from(is_ca), 1]);
            tlv.extend(path_length.iter().flat_map(|most| [0x24, 2, *most]));
            tlv.push(0x18);
        }
        if let Some(usage) = self.usage {
            tlv.extend([0x25, 2]);
            tlv.extend(usage.to_le_bytes());
        }
        if let Some(purposes) = &self.purposes {
            tlv.extend([0x36, 3]);
            tlv.extend(purposes.iter().flat_map(|purpose| [4, *purpose]));
            tlv.push(0x18);
        }
        for (tag, id) in [(4, self.subject_key_id), (5, self.authority_key_id)] {
            if let Some(id) = id {
                tlv.extend([0x30, tag, 20]);
                tlv.extend([id; 20]);
            }
        }
        if let Some(critical) = self.future {
            tlv.extend(future(&[0x55, 29, 17], critical.then_some(0xFF)));
        }
        tlv.extend([0x18, 0x30, 11, 64]);
        tlv.extend(signature);
        tlv.push(0x18);
        tlv
    }

    fn sign(&self) -> Result<Vec<u8>, CertError> {
        let blank = self.encode(&[0x33; 64]);
        let digest = Certificate::parse(&blank)?.tbs_digest(&Toy::<false>);
        let mut signature = *keys()[self.signed_by].sign_digest(&digest).unwrap().as_bytes();
        signature[9] ^= u8::from(self.spoilt);
        let octets = self.encode(&signature);
        Certificate::parse(&octets)?;
        Ok(octets)
    }
}

fn name(tlv: &mut Vec<u8>, tag: u8, attributes: &[Named]) {
    tlv.extend([0x37, tag]);
    for attribute in attributes {
        match attribute {
            // Wider than need be: it is the value that counts.
            Named::Number(TAG, value) => {
                tlv.extend([0x26, TAG]);
                tlv.extend((*value as u32).to_le_bytes());
            }
            Named::Number(tag, value) => {
                tlv.extend([0x27, *tag]);
                tlv.extend(value.to_le_bytes());
            }
            Named::Text(tag, text) => {
                tlv.extend([0x2C, *tag, text.len() as u8]);
                tlv.extend(text.as_bytes());
            }
        }
    }
    tlv.push(0x18);
}

/// What the library says of a shape: refused by itself, or as a chain, or who the node is.
fn verify(
    shape: &Shape,
    clock: WallClock,
    profile: Profile,
) -> Result<Result<ChainVerified, ChainError>, CertError> {
    let (noc, rcac) = (shape.noc.sign()?, shape.rcac.sign()?);
    let icac = shape.icac.as_ref().map(Meant::sign).transpose()?;
    let (noc, rcac) = (Certificate::parse(&noc)?, Certificate::parse(&rcac)?);
    let icac = icac.as_deref().map(Certificate::parse).transpose()?;
    let policy = ChainPolicy::new(clock).with_profile(profile);
    Ok(verify_chain(&Toy::<false>, &noc, icac.as_ref(), &rcac, &policy, &mut NoCache))
}

#[test]
fn right_chains_of_every_shape_hold() {
    for n in 0..128_usize {
        let bit = |at: usize| n >> at & 1 == 1;
        let tags = n >> 5 & 3;
        let path_length = bit(3).then_some(1);
        let (with_icac, fabric_in, text) = (bit(0), (bit(1), bit(2)), bit(4) && tags < 3);
        let shape = Shape::right(Plan { with_icac, fabric_in, path_length, tags, text });
        for profile in [Profile::STRICT, Profile::default(), lenient()] {
            let clock = Known(MatterTime::from_seconds(1500));
            assert!(shape.is_well_formed() && shape.holds(clock, profile), "{shape:?}");
            let verified = verify(&shape, clock, profile).unwrap().unwrap();
            assert_eq!((verified.node_id().get(), verified.fabric_id().get()), (7, 9));
            assert_eq!(verified.cats().iter().count(), tags);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn two_validators_agree(
        plan in plan(),
        changes in prop::collection::vec((0..3_usize, any_change()), 0..4),
        links: bool,
        clock in clock(),
        profile in profile(),
    ) {
        let mut shape = Shape::right(plan);
        for (place, what) in changes {
            change(&mut shape, place, what);
        }
        // Otherwise a change above shows below, whatever else it does.
        if links {
            shape.link();
        }
        for profile in [Profile::STRICT, Profile::default(), lenient(), profile] {
            let verdict = verify(&shape, clock, profile);
            // How long five attributes are in DER is not this test's matter.
            prop_assume!(verdict.as_ref().err() != Some(&CertError::TooLong));
            prop_assert_eq!(verdict.is_ok(), shape.is_well_formed(), "{:?}", verdict.err());
            let Ok(verdict) = verdict else { continue };
            prop_assert_eq!(verdict.is_ok(), shape.holds(clock, profile), "{:?}", verdict);
            if let Ok(verified) = verdict {
                prop_assert_eq!(shape.noc.numbers(NODE_ID), [verified.node_id().get()]);
                prop_assert_eq!(shape.noc.numbers(FABRIC_ID), [verified.fabric_id().get()]);
                let tags: Vec<u64> = verified.cats().iter().map(|tag| tag.get().into()).collect();
                prop_assert_eq!(shape.noc.numbers(TAG), tags);
                let uses_icac = shape.uses_icac(profile);
                prop_assert_eq!(verified.uses_icac(), uses_icac);
                let icac = shape.icac.as_ref().filter(|_| uses_icac);
                let root = Some(&shape.rcac).filter(|_| profile.validity() == ValidityPolicy::All);
                let ends = [Some(&shape.noc), icac, root].into_iter().flatten();
                let end = ends.map(|c| c.not_after).filter(|end| *end != 0).min();
                prop_assert_eq!(verified.not_after().map(MatterTime::as_seconds), end);
            }
            let root = shape.rcac.sign().unwrap();
            let root = Certificate::parse(&root).unwrap();
            let installed = verify_root(&Toy::<false>, &root, profile);
            prop_assert_eq!(installed.is_ok(), shape.root_holds(profile), "{:?}", installed);
        }
    }
}
