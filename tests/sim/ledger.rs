//! A crypto backend that writes down what is sealed and opened, for all nodes of a world.

use core::cell::RefCell;
use core::hash::{Hash, Hasher};
use std::collections::{HashMap, HashSet};
use std::hash::DefaultHasher;
use std::rc::Rc;

use matter_session::crypto::{Cipher, KEY_LEN, MIC_LEN, NONCE_LEN, Secret, Suite};

use matter_session_testing::observed::{Observed, Observer};

/// What was sealed, under which keys and by whom. A restart of a node does not clear it.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By whom, too.
    sealed: HashMap<([u8; KEY_LEN], [u8; NONCE_LEN]), (u64, usize)>,
    keys: HashMap<[u8; KEY_LEN], Use>,
    instances: u64,
    /// What may leave a node: what it has sealed, and each unsecured message in one form.
    outputs: HashSet<(usize, u64)>,
    /// Messages to groups, sealed and not sent yet: what stays in clear, with the whole before its
    /// header is hidden.
    group_outputs: HashMap<(usize, u64), u64>,
    /// The keys of all messages to groups, by what stays in clear.
    group_keys: HashMap<u64, [u8; KEY_LEN]>,
    /// What the hostile node has sealed, with keys of groups that it is in.
    forged: HashSet<([u8; KEY_LEN], [u8; NONCE_LEN], u64)>,
    /// By node and kind.
    group_counters: HashSet<(usize, bool, [u8; 4])>,
    unsecured: HashMap<(usize, u32, [u8; 4]), u64>,
}

/// Who uses a key: each end of a session has one instance, and handshakes one each.
#[derive(Debug, Default)]
struct Use {
    seals: Option<(usize, u64)>,
    opens: Option<(usize, u64)>,
}

impl Ledger {
    fn seal(&mut self, aead: &Tag, nonce: [u8; NONCE_LEN], message: u64) {
        if aead.node == HOSTILE {
            assert!(is_of_group(nonce), "the hostile node has a key of a session");
            self.forged.insert((aead.key, nonce, message));
            return;
        }
        let before = self.sealed.insert((aead.key, nonce), (message, aead.node));
        assert!(
            before.is_none(),
            "node {} sealed twice under one nonce {nonce:02x?}{}",
            aead.node,
            if before.is_some_and(|before| before.0 == message) {
                " (the same octets)"
            } else {
                ""
            },
        );
        if is_of_group(nonce) {
            let [flags, a, b, c, d, ..] = nonce;
            let counter = (aead.node, flags & CONTROL != 0, [a, b, c, d]);
            assert!(self.group_counters.insert(counter), "a group counter again: {counter:?}");
            return;
        }
        let by = (aead.node, aead.instance);
        let used = self.keys.entry(aead.key).or_default();
        let sealer = *used.seals.get_or_insert(by);
        assert_eq!(sealer, by, "a key seals for two sessions");
    }

    fn open(&mut self, aead: &Tag, nonce: [u8; NONCE_LEN], message: u64) {
        if self.forged.contains(&(aead.key, nonce, message)) {
            return;
        }
        let sealed = self.sealed.get(&(aead.key, nonce));
        let octets = sealed.map(|sealed| sealed.0);
        assert_eq!(octets, Some(message), "node {} opened what nobody sealed", aead.node);
        if is_of_group(nonce) {
            let by = sealed.map(|sealed| sealed.1);
            return assert_ne!(by, Some(aead.node), "a node opens what it sent to its group");
        }
        let by = (aead.node, aead.instance);
        let Some(used) = self.keys.get_mut(&aead.key) else { panic!("an unknown key opens") };
        // What opens in a handshake may be a copy that somebody else got; it leads nowhere.
        if is_of_session(nonce) {
            assert_ne!(used.seals.map(|(node, _)| node), Some(by.0), "a node opens what it sealed");
            assert_eq!(*used.opens.get_or_insert(by), by, "a key opens for two sessions");
        }
    }
}

impl Ledger {
    /// The key that a message to a group was sealed with.
    pub fn group_key_of(&self, octets: &[u8]) -> Option<[u8; KEY_LEN]> {
        (octets.len() > 24).then(|| self.group_keys.get(&visible(octets)).copied())?
    }

    /// A datagram leaves a node: octets that were sealed, or an unsecured message that is the
    /// same whenever it is sent. A node begins another life with each restart.
    pub fn leave(&mut self, node: usize, life: u32, octets: &[u8]) {
        let [_, s0, s1, _, c0, c1, c2, c3, ..] = *octets else { panic!("no message: {octets:?}") };
        let output = digest(octets);
        if is_group(octets) {
            let sealed = self.group_outputs.remove(&(node, visible(octets)));
            let sealed = sealed.expect("a group message that was not sealed, or again");
            assert_eq!(sealed != output, octets[3] & PRIVACY != 0, "not as hidden as it says");
        } else if (s0, s1) == (0, 0) {
            let before = *self.unsecured.entry((node, life, [c0, c1, c2, c3])).or_insert(output);
            assert_eq!(before, output, "node {node} sent an unsecured message again, but altered");
        } else {
            let sealed = self.outputs.contains(&(node, output));
            assert!(sealed, "node {node} sends what it has not sealed");
        }
    }
}

/// Stands for the hostile node among those that seal.
pub const HOSTILE: usize = usize::MAX;

/// Of the security flags.
const PRIVACY: u8 = 0x80;
const CONTROL: u8 = 0x40;

/// Whether a datagram claims to be a group message.
pub fn is_group(octets: &[u8]) -> bool {
    octets.get(3).is_some_and(|flags| flags & 0x03 == 1)
}

/// Whether it claims to be about counters.
pub fn is_control(octets: &[u8]) -> bool {
    is_group(octets) && octets[3] & CONTROL != 0
}

/// Whether a nonce is that of a group message.
const fn is_of_group(nonce: [u8; NONCE_LEN]) -> bool {
    nonce[0] & !(PRIVACY | CONTROL) == 1
}

/// What privacy leaves in clear of a message to a group (2 octets) or to a node (8).
fn visible(octets: &[u8]) -> u64 {
    let header = if octets[0] & 0x03 == 2 { 18 } else { 24 };
    digest((&octets[..4], &octets[header..]))
}

/// Whether a nonce is that of a message; those of handshakes begin with a letter.
const fn is_of_session(nonce: [u8; NONCE_LEN]) -> bool {
    nonce[0] == 0
}

fn digest(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// A backend of one node whose AEAD tells the ledger.
pub type Watched<C> = Suite<Watch<C>, C>;

/// Watches the AEAD of `crypto`.
pub fn watched<C: Clone>(crypto: C, ledger: Rc<RefCell<Ledger>>, node: usize) -> Watched<C> {
    Suite::of(crypto.clone()).with_cipher(Watch { inner: crypto, ledger, node })
}

/// An AEAD that tells the ledger.
#[derive(Clone, Debug)]
pub struct Watch<C> {
    inner: C,
    ledger: Rc<RefCell<Ledger>>,
    node: usize,
}

/// Tells the ledger what one key does.
#[derive(Debug)]
pub struct Tag {
    key: [u8; KEY_LEN],
    node: usize,
    instance: u64,
    ledger: Rc<RefCell<Ledger>>,
}

impl Observer for Tag {
    fn seals(&self, nonce: [u8; NONCE_LEN], aad: &[u8], text: &[u8]) {
        self.ledger.borrow_mut().seal(self, nonce, digest((aad, text)));
    }

    fn sealed(&self, nonce: [u8; NONCE_LEN], aad: &[u8], sealed: &[u8], mic: &[u8; MIC_LEN]) {
        let datagram = [aad, sealed, mic].concat();
        let whole = digest(&datagram[..]);
        let mut ledger = self.ledger.borrow_mut();
        if is_of_group(nonce) {
            let visible = visible(&datagram);
            ledger.group_outputs.insert((self.node, visible), whole);
            ledger.group_keys.insert(visible, self.key);
        } else {
            ledger.outputs.insert((self.node, whole));
        }
    }

    fn opened(&self, nonce: [u8; NONCE_LEN], aad: &[u8], text: &[u8]) {
        self.ledger.borrow_mut().open(self, nonce, digest((aad, text)));
    }
}

impl<C: Cipher> Cipher for Watch<C> {
    type Aead = Observed<C::Aead, Tag>;

    fn aead(&self, key: &Secret<KEY_LEN>) -> Self::Aead {
        let instance = {
            let mut ledger = self.ledger.borrow_mut();
            ledger.instances += 1;
            ledger.instances
        };
        let (node, ledger) = (self.node, Rc::clone(&self.ledger));
        let observer = Tag { key: *key.as_bytes(), node, instance, ledger };
        Observed { inner: self.inner.aead(key), observer }
    }
}
