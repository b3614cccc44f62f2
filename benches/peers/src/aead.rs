//! AES-128-CCM, nonces of 13 octets and codes of 16: messages of a session in place, keys ready.

mod aws_lc;
mod openssl;

use std::hint::black_box;

use ccm::KeyInit;
use ccm::aead::AeadInOut;
use ccm::consts::{U13, U16};
use matter_session::crypto::{
    Aead, AesCcm, Cipher, OpenJob, OpenNonce, RustCrypto, SealJob, SealNonce, Secret,
};

use crate::harness::{Contestant, Run};

type Ccm = ccm::Ccm<aes::Aes128Enc, U16, U13>;

const SIZES: [usize; 5] = [16, 64, 256, 1024, 1280];
/// As long as the header of a secure unicast message.
const AAD: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
/// So many messages are worked on between two looks at the clock, all of other sessions.
const MESSAGES: usize = 16;
/// How many messages a batch has.
const BATCHES: [(usize, &str, &str); 2] =
    [(4, "batch-seal", "batch-open"), (16, "batch16-seal", "batch16-open")];

/// What everybody seals and opens, one message of each session.
#[derive(Clone)]
struct Messages {
    keys: Vec<[u8; 16]>,
    texts: Vec<Vec<u8>>,
    sealed: Vec<(Vec<u8>, [u8; 16])>,
}

/// What a contestant works on.
struct Bench<K> {
    keys: Vec<K>,
    texts: Vec<Vec<u8>>,
    fresh: Vec<Vec<u8>>,
    tags: Vec<[u8; 16]>,
}

const fn nonce(number: usize) -> [u8; 13] {
    [number as u8; 13]
}

impl Messages {
    fn new(lengths: &[usize]) -> Self {
        let keys: Vec<_> = (0..lengths.len()).map(|n| [n as u8; 16]).collect();
        let texts: Vec<_> = lengths.iter().map(|len| vec![0x5A; *len]).collect();
        let seal = |(n, text): (usize, &Vec<u8>)| {
            let mut text = text.clone();
            let ccm = Ccm::new(&keys[n].into());
            let tag = ccm.encrypt_inout_detached(&nonce(n).into(), &AAD, text[..].as_mut().into());
            (text, tag.expect("seals").into())
        };
        let sealed = texts.iter().enumerate().map(seal).collect();
        Self { keys, texts, sealed }
    }

    fn bench<K>(&self, open: bool, key: impl Fn(&[u8; 16]) -> K) -> Bench<K> {
        let (sealed, tags): (Vec<_>, Vec<_>) = self.sealed.iter().cloned().unzip();
        let fresh = if open { sealed } else { self.texts.clone() };
        Bench { keys: self.keys.iter().map(key).collect(), texts: fresh.clone(), fresh, tags }
    }

    /// One message after the other. `work` gets key, number, text and code.
    fn singly<'a, K: 'a>(
        &self,
        name: &'static str,
        open: bool,
        key: impl Fn(&[u8; 16]) -> K,
        mut work: impl FnMut(&mut K, usize, &mut Vec<u8>, &[u8; 16]) + 'a,
    ) -> Contestant<'a> {
        let work = move |bench: &mut Bench<K>| {
            let Bench { keys, texts, tags, .. } = bench;
            for (n, ((key, text), tag)) in keys.iter_mut().zip(texts).zip(tags).enumerate() {
                work(key, n, black_box(text), tag);
            }
        };
        Contestant::new(name, self.keys.len(), restore, work, self.bench(open, key))
    }

    fn batches<'a>(
        &self,
        name: &'static str,
        open: bool,
        mut work: impl FnMut(&mut Bench<AesCcm>) + 'a,
    ) -> Contestant<'a> {
        let work = move |bench: &mut Bench<AesCcm>| work(black_box(bench));
        Contestant::new(name, self.keys.len(), restore, work, self.bench(open, prepared))
    }

    fn ours<'a>(&self, name: &'static str, open: bool) -> Contestant<'a> {
        if open {
            self.singly(name, open, prepared, |key, n, text, tag| {
                let nonce = OpenNonce::dangerous_from_bytes(&nonce(n));
                key.open(nonce, &AAD, text, tag).expect("opens");
            })
        } else {
            self.singly(name, open, prepared, |key, n, text, tag| {
                let nonce = SealNonce::dangerous_from_bytes(&nonce(n));
                assert_eq!(key.seal(nonce, &AAD, text).as_ref(), Ok(tag));
            })
        }
    }

    fn ccm<'a>(&self, open: bool) -> Contestant<'a> {
        let key = |key: &[u8; 16]| Ccm::new(&(*key).into());
        if open {
            self.singly("ccm", open, key, |key, n, text, tag| {
                key.decrypt_inout_detached(
                    &nonce(n).into(),
                    &AAD,
                    text[..].as_mut().into(),
                    tag.into(),
                )
                .expect("opens");
            })
        } else {
            self.singly("ccm", open, key, |key, n, text, tag| {
                let sealed = key
                    .encrypt_inout_detached(&nonce(n).into(), &AAD, text[..].as_mut().into())
                    .expect("seals");
                assert_eq!(sealed[..], tag[..]);
            })
        }
    }
}

fn prepared(key: &[u8; 16]) -> AesCcm {
    RustCrypto.aead(&Secret::new(*key))
}

fn restore<K>(bench: &mut Bench<K>) {
    for (text, fresh) in bench.texts.iter_mut().zip(&bench.fresh) {
        text.copy_from_slice(fresh);
    }
}

/// As many jobs at a time as a batch has, from arrays: no allocator is measured.
fn seal_batch<const N: usize>(bench: &mut Bench<AesCcm>) {
    let mut n = 0;
    for (texts, keys) in bench.texts.chunks_exact_mut(N).zip(bench.keys.chunks_exact(N)) {
        let mut texts = texts.iter_mut();
        let mut jobs: [_; N] = std::array::from_fn(|i| {
            let nonce = SealNonce::dangerous_from_bytes(&nonce(n + i));
            SealJob::new(&keys[i], nonce, &AAD, texts.next().expect("a text for each key"))
        });
        RustCrypto.seal_batch(&mut jobs);
        for job in &jobs {
            assert_eq!(job.result().as_ref(), Ok(&bench.tags[n]));
            n += 1;
        }
    }
}

fn open_batch<const N: usize>(bench: &mut Bench<AesCcm>) {
    let mut n = 0;
    for (texts, keys) in bench.texts.chunks_exact_mut(N).zip(bench.keys.chunks_exact(N)) {
        let mut texts = texts.iter_mut();
        let mut jobs: [_; N] = std::array::from_fn(|i| {
            let nonce = OpenNonce::dangerous_from_bytes(&nonce(n + i));
            let text = texts.next().expect("a text for each key");
            OpenJob::new(&keys[i], nonce, &AAD, text, &bench.tags[n + i])
        });
        RustCrypto.open_batch(&mut jobs);
        for job in &jobs {
            assert_eq!(job.result(), Ok(()));
            n += 1;
        }
    }
}

pub fn measure(run: &mut Run) {
    for size in SIZES {
        let messages = Messages::new(&[size; MESSAGES]);
        for (what, open) in [("seal", false), ("open", true)] {
            let mut contestants = [
                messages.ours("ours", open),
                messages.ccm(open),
                openssl::contestant(&messages, open),
                aws_lc::contestant(&messages, open),
            ];
            run.compare(what, &size.to_string(), &mut contestants);
        }
    }
    for size in SIZES {
        batches(run, &size.to_string(), &[size; MESSAGES]);
    }
    // What sessions send at one time: acknowledgements, commands, long reports.
    let mixed = [26, 16, 1200, 64, 90, 512, 22, 35, 1280, 140, 16, 301, 48, 760, 33, 200];
    batches(run, "mixed", &mixed);
}

fn batches(run: &mut Run, size: &str, lengths: &[usize]) {
    let messages = Messages::new(lengths);
    for (len, seal, open) in BATCHES {
        let sealing = match len {
            4 => messages.batches("batch", false, seal_batch::<4>),
            _ => messages.batches("batch", false, seal_batch::<16>),
        };
        let opening = match len {
            4 => messages.batches("batch", true, open_batch::<4>),
            _ => messages.batches("batch", true, open_batch::<16>),
        };
        let peers = |open| [messages.ours("single", open), messages.ccm(open)];
        for (what, batch, [single, ccm]) in
            [(seal, sealing, peers(false)), (open, opening, peers(true))]
        {
            run.compare(what, size, &mut [batch, single, ccm]);
        }
    }
}
