//! Certificates of any shape, put together element by element and signed with keys of our own.
//!
//! [`Household`] is a fabric of such certificates: a test changes the draft of any certificate
//! before it is signed.

use matter_session::cert::Certificate;
use matter_session::crypto::{OperationalKey, PUBLIC_KEY_LEN, Secret, SigningKey};
use matter_session::fabric::{FabricCredentials, Ipk};

use crate::BACKEND;
use crate::node::signing_key;
use crate::rng::Dice;

/// The fabric of every household.
pub const FABRIC: u8 = 9;

/// A certificate before it is signed. Names and extensions are encoded elements.
#[derive(Clone)]
pub struct Draft {
    pub serial: Vec<u8>,
    pub issuer: Vec<u8>,
    pub not_before: u32,
    pub not_after: u32,
    pub subject: Vec<u8>,
    pub public_key: [u8; PUBLIC_KEY_LEN],
    /// In their order.
    pub extensions: Vec<Vec<u8>>,
}

/// An identifier in a name: 17 node, 19 ICAC, 20 RCAC, 21 fabric.
pub fn number(tag: u8, value: u8) -> Vec<u8> {
    vec![0x24, tag, value]
}

/// A PrintableString in a name.
pub fn printable(tag: u8, text: &str) -> Vec<u8> {
    [&[0x2C, tag | 0x80, text.len() as u8], text.as_bytes()].concat()
}

impl Draft {
    fn of(subject: Vec<u8>, key: &SigningKey, extensions: Vec<Vec<u8>>) -> Self {
        let public_key = *key.public_key().as_bytes();
        let mut draft = Self {
            serial: vec![1],
            issuer: Vec::new(),
            not_before: 1000,
            not_after: 0,
            subject,
            public_key,
            extensions,
        };
        draft.extensions.push([&[0x30, 4, 20], &draft.key_id()[..]].concat());
        draft
    }

    /// A root or an intermediate authority: `tag` is 20 or 19.
    pub fn authority(tag: u8, key: &SigningKey) -> Self {
        let constraints = vec![0x35, 1, 0x29, 1, 0x18];
        Self::of(number(tag, 1), key, vec![constraints, vec![0x24, 2, 0x60]])
    }

    /// The certificate of a node.
    pub fn noc(node: u8, key: &SigningKey) -> Self {
        let constraints = vec![0x35, 1, 0x28, 1, 0x18];
        let purposes = vec![0x36, 3, 4, 2, 4, 1, 0x18];
        let subject = [number(17, node), number(21, FABRIC)].concat();
        Self::of(subject, key, vec![constraints, vec![0x24, 2, 1], purposes])
    }

    fn key_id(&self) -> [u8; 20] {
        *self.public_key[1..].first_chunk().unwrap()
    }

    /// Names `issuer` as the issuer.
    pub fn under(mut self, issuer: &Self) -> Self {
        self.issuer = issuer.subject.clone();
        self.extension(5, &[&[0x30, 5, 20], &issuer.key_id()[..]].concat());
        self
    }

    /// Replaces the extension with this tag, or adds it; removes it if `element` is empty.
    pub fn extension(&mut self, tag: u8, element: &[u8]) {
        match self.extensions.iter().position(|extension| extension[1] == tag) {
            Some(at) => self.extensions[at] = element.to_vec(),
            None => self.extensions.push(element.to_vec()),
        }
        self.extensions.retain(|extension| !extension.is_empty());
    }

    fn encode(&self, signature: &[u8; 64]) -> Vec<u8> {
        let mut tlv = vec![0x15, 0x30, 1, self.serial.len() as u8];
        tlv.extend(&self.serial);
        tlv.extend([0x24, 2, 1, 0x37, 3]);
        tlv.extend(&self.issuer);
        tlv.extend([0x18, 0x26, 4]);
        tlv.extend(self.not_before.to_le_bytes());
        tlv.extend([0x26, 5]);
        tlv.extend(self.not_after.to_le_bytes());
        tlv.extend([0x37, 6]);
        tlv.extend(&self.subject);
        tlv.extend([0x18, 0x24, 7, 1, 0x24, 8, 1, 0x30, 9, 65]);
        tlv.extend(self.public_key);
        tlv.extend([0x37, 10]);
        tlv.extend(self.extensions.concat());
        tlv.extend([0x18, 0x30, 11, 64]);
        tlv.extend(signature);
        tlv.push(0x18);
        tlv
    }

    /// Signs the X.509 form. A draft that the library cannot read gets a signature that is void.
    pub fn sign(&self, key: &mut SigningKey) -> Vec<u8> {
        let void = self.encode(&[0x33; 64]);
        let Ok(certificate) = Certificate::parse(&void) else { return void };
        let digest = certificate.tbs_digest(&BACKEND);
        self.encode(key.sign_digest(&digest).unwrap().as_bytes())
    }
}

/// A place in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Root,
    Icac,
    Noc,
}

/// The certificates of a fabric: a root, perhaps an intermediate authority, and nodes.
pub struct Household {
    pub rcac: Vec<u8>,
    pub icac: Option<Vec<u8>>,
    /// The certificate and the private key of each.
    pub nodes: Vec<(Vec<u8>, [u8; 32])>,
    ipks: [Ipk; 1],
}

impl Household {
    /// Makes two nodes, 1 and 2, whose certificates `change` alters before they are signed.
    pub fn new(with_icac: bool, change: impl Fn(Place, &mut Draft)) -> Self {
        Self::seeded(7, with_icac, false, change)
    }

    /// An intermediate authority is there, and the root signs the nodes' certificates itself.
    pub fn with_unused_icac(change: impl Fn(Place, &mut Draft)) -> Self {
        Self::seeded(7, true, true, change)
    }

    pub fn seeded(
        seed: u64,
        with_icac: bool,
        unused: bool,
        change: impl Fn(Place, &mut Draft),
    ) -> Self {
        let mut rng = Dice::new(seed);
        let mut private = || core::array::from_fn(|_| rng.below(256) as u8);
        let [mut root_key, mut icac_key] = [private(), private()].map(signing_key);
        let mut root = Draft::authority(20, &root_key);
        change(Place::Root, &mut root);
        let root = root.clone().under(&root);
        let mut icac = Draft::authority(19, &icac_key);
        change(Place::Icac, &mut icac);
        let icac = icac.under(&root);
        let nodes = [1, 2].map(|node| {
            let own = private();
            let mut noc = Draft::noc(node, &signing_key(own));
            change(Place::Noc, &mut noc);
            let (issuer, signer) = match with_icac && !unused {
                true => (&icac, &mut icac_key),
                false => (&root, &mut root_key),
            };
            (noc.under(issuer).sign(signer), own)
        });
        Self {
            rcac: root.sign(&mut root_key),
            icac: with_icac.then(|| icac.sign(&mut root_key)),
            nodes: nodes.into(),
            ipks: [Ipk::EpochKey(Secret::new([5; 16]))],
        }
    }

    /// The operational key of node 1 or 2.
    pub fn key(&self, node: usize) -> SigningKey {
        signing_key(self.nodes[node - 1].1)
    }

    /// What node 1 or 2 installs.
    pub fn credentials(&self, node: usize) -> FabricCredentials<'_> {
        let noc = &self.nodes[node - 1].0;
        FabricCredentials { root: &self.rcac, icac: self.icac.as_deref(), noc, ipks: &self.ipks }
    }
}
