//! Several messages at once, each under its own key.
//!
//! The chain of one message leaves most of a processor with AES instructions idle. So four of them
//! go side by side, in lanes. A lane whose message has ended takes the next, so that lengths may
//! differ; order does not matter, as no message depends on another.
//!
//! All of it must be inlined in one function that is compiled for these instructions, and `aes`
//! lends such a function to one key at a time. So the keys are nested: what is inlined in the
//! first key's function asks the second key for its own, and so on ([`Nest`]).

use core::slice::IterMut;

use aes::Aes128Enc;
use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned;
use aes::cipher::{
    BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser,
};

use super::kernel::{AadBlocks, Block, Direction, State, is_bitsliced};
use super::{AesCcm, lengths, verify};
use crate::crypto::{CryptoError, MIC_LEN, NONCE_LEN, OpenJob, SealJob};

/// How many chains it takes to keep the instructions busy, roughly: AESENC has a latency of 3 or 4
/// cycles, two begin in each, and every lane has two blocks at a time.
const LANES: usize = 4;

/// Text of fewer bytes is no sooner through in a lane, which has to be filled and emptied.
const SHORTEST: usize = 32;

/// Seals what was not sealed yet.
pub(in crate::crypto) fn seal(jobs: &mut [SealJob<'_, AesCcm>]) {
    if jobs.iter().filter(|job| job.in_out.len() >= SHORTEST).nth(1).is_none() {
        // Nobody to go beside.
        return jobs.iter_mut().for_each(SealJob::run);
    }
    let Some(key) = jobs.first().map(|job| job.key) else { return };
    run(key, jobs, |job, lane| {
        if job.in_out.len() < SHORTEST {
            return job.run();
        }
        let Some(nonce) = job.nonce.take() else { return };
        match lengths(job.aad, job.in_out) {
            Ok(lengths) => {
                lane.enter(
                    job.key,
                    nonce.as_bytes(),
                    job.aad,
                    job.in_out,
                    lengths,
                    Direction::Seal,
                );
                lane.outcome = Outcome::Seal(&mut job.result);
            }
            Err(error) => job.result = Err(error),
        }
    });
}

/// Opens what was not opened yet.
pub(in crate::crypto) fn open(jobs: &mut [OpenJob<'_, AesCcm>]) {
    if jobs.iter().filter(|job| job.in_out.len() >= SHORTEST).nth(1).is_none() {
        // Nobody to go beside.
        return jobs.iter_mut().for_each(OpenJob::run);
    }
    let Some(key) = jobs.first().map(|job| job.key) else { return };
    run(key, jobs, |job, lane| {
        if job.in_out.len() < SHORTEST {
            return job.run();
        }
        let Some(nonce) = job.nonce.take() else { return };
        match lengths(job.aad, job.in_out) {
            Ok(lengths) => {
                lane.enter(
                    job.key,
                    nonce.as_bytes(),
                    job.aad,
                    job.in_out,
                    lengths,
                    Direction::Open,
                );
                lane.outcome = Outcome::Open(job.mic, &mut job.result);
            }
            Err(error) => job.result = Err(error),
        }
    });
}

/// What becomes of a message.
enum Outcome<'a> {
    /// There is none.
    Vacant,
    Seal(&'a mut Result<[u8; MIC_LEN], CryptoError>),
    Open(&'a [u8; MIC_LEN], &'a mut Result<(), CryptoError>),
}

/// A message on its way.
struct Lane<'a> {
    key: &'a Aes128Enc,
    state: State,
    /// Whether its first block is still to come.
    fresh: bool,
    aad: &'a [u8],
    aad_len: u16,
    text: &'a mut [u8],
    /// How many bytes of the text are through.
    done: usize,
    outcome: Outcome<'a>,
}

impl<'a> Lane<'a> {
    fn vacant(key: &'a AesCcm) -> Self {
        Self {
            key: &key.0,
            state: State::new(&[0; NONCE_LEN], 0, Direction::Seal),
            fresh: false,
            aad: &[],
            aad_len: 0,
            text: &mut [],
            done: 0,
            outcome: Outcome::Vacant,
        }
    }

    const fn is_vacant(&self) -> bool {
        matches!(self.outcome, Outcome::Vacant)
    }

    /// Takes a message. Field by field: a lane that was made elsewhere would have to be moved.
    #[inline(always)]
    fn enter(
        &mut self,
        key: &'a AesCcm,
        nonce: &[u8; NONCE_LEN],
        aad: &'a [u8],
        text: &'a mut [u8],
        (aad_len, text_len): (u16, u16),
        direction: Direction,
    ) {
        self.key = &key.0;
        self.state = State::new(nonce, text_len, direction);
        self.fresh = true;
        self.aad = aad;
        self.aad_len = aad_len;
        self.text = text;
        self.done = 0;
    }

    /// How many whole blocks are left; none in a vacant lane.
    const fn blocks(&self) -> usize {
        self.text.len().saturating_sub(self.done) / 16
    }

    /// Hands in the result and is vacant, if all blocks are through.
    #[inline]
    fn finish(&mut self) {
        if self.done < self.text.len() {
            return;
        }
        match &mut self.outcome {
            Outcome::Vacant => {}
            Outcome::Seal(result) => **result = Ok(self.state.tag()),
            Outcome::Open(mic, result) => **result = verify(&self.state.tag(), mic, self.text),
        }
        self.outcome = Outcome::Vacant;
    }

    /// What is to be done now: so many whole blocks of text, and its end if that comes next.
    #[inline(always)]
    fn turn(&mut self, blocks: usize) -> Turn<'_> {
        let fresh = core::mem::take(&mut self.fresh);
        let aad_len = if fresh { self.aad_len } else { 0 };
        let aad = AadBlocks::new(self.aad, aad_len);
        let (whole, end) = self.text.get_mut(self.done..).unwrap_or_default().as_chunks_mut();
        let now = whole.len().min(blocks);
        let tail = if now == whole.len() { end } else { &mut [] };
        self.done = self.done.saturating_add(now.saturating_mul(16)).saturating_add(tail.len());
        let blocks = whole.get_mut(..now).unwrap_or_default().iter_mut();
        Turn { state: self.state, fresh, aad_len, aad, blocks, tail, chained: false }
    }
}

/// A piece of a message, in registers as far as they go.
struct Turn<'t> {
    state: State,
    fresh: bool,
    aad_len: u16,
    aad: AadBlocks<'t>,
    blocks: IterMut<'t, Block>,
    tail: &'t mut [u8],
    /// Whether a block has entered the chain whose stream is still to come.
    chained: bool,
}

impl Turn<'_> {
    #[inline(always)]
    fn begin(&mut self, backend: &impl BlockCipherEncBackend<BlockSize = U16>) {
        if self.fresh {
            self.state.begin(backend, self.aad_len);
        }
    }

    #[inline(always)]
    fn associate(&mut self, backend: &impl BlockCipherEncBackend<BlockSize = U16>) {
        if let Some(block) = self.aad.next() {
            self.state.associate(backend, block);
        }
    }

    #[inline(always)]
    fn block(&mut self, backend: &impl BlockCipherEncBackend<BlockSize = U16>) {
        if let Some(block) = self.blocks.next() {
            self.state.block(backend, block);
        }
    }

    /// First half of [`block`](Self::block).
    #[inline(always)]
    fn chain(&mut self, backend: &impl BlockCipherEncBackend<BlockSize = U16>) {
        let block = self.blocks.next();
        self.chained = block.is_some();
        if let Some(block) = block {
            self.state.chain(backend, block);
        }
    }

    /// Second half of [`block`](Self::block).
    #[inline(always)]
    fn stream(&mut self, backend: &impl BlockCipherEncBackend<BlockSize = U16>) {
        if self.chained {
            self.state.stream(backend);
        }
    }

    #[inline(always)]
    fn tail(&mut self, backend: &impl BlockCipherEncBackend<BlockSize = U16>) {
        if !self.tail.is_empty() {
            self.state.tail(backend, self.tail);
        }
    }
}

/// Takes every message through; `enter` puts one into a lane, if there is anything to be done.
fn run<'a, J>(key: &'a AesCcm, jobs: &'a mut [J], enter: impl Fn(&'a mut J, &mut Lane<'a>)) {
    let mut waiting = jobs.iter_mut();
    let mut lanes = [(); LANES].map(|()| Lane::vacant(key));
    loop {
        for lane in &mut lanes {
            while lane.is_vacant()
                && let Some(job) = waiting.next()
            {
                enter(job, lane);
            }
        }
        if lanes.iter().all(Lane::is_vacant) {
            return;
        }
        // Until two lanes are free, as to stop costs more than to leave one of them idle for a
        // while; or, when nobody waits for one, to the end.
        let mut left = lanes.each_ref().map(Lane::blocks);
        left.sort_unstable();
        let [_, second, .., last] = left;
        let blocks = if waiting.len() > 0 { second } else { last };
        advance(&mut lanes, blocks);
        lanes.iter_mut().for_each(Lane::finish);
    }
}

/// So many whole blocks of each lane, and what stands before and after them.
fn advance(lanes: &mut [Lane<'_>; LANES], blocks: usize) {
    let mut together = false;
    if lanes.iter().filter(|lane| !lane.is_vacant()).count() > 1 {
        let [Lane { key, .. }, ..] = *lanes;
        key.encrypt_with_backend(Nest { outer: (), lanes, blocks, together: &mut together });
    }
    if !together {
        // Nobody is beside it, or AES is bitsliced and has no idle instructions.
        for lane in lanes.iter_mut().filter(|lane| !lane.is_vacant()) {
            lane.key.encrypt_with_backend(Alone { lane, blocks });
        }
    }
}

/// A lane by itself.
struct Alone<'w, 'a> {
    lane: &'w mut Lane<'a>,
    blocks: usize,
}

impl BlockSizeUser for Alone<'_, '_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Alone<'_, '_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let mut turn = self.lane.turn(self.blocks);
        turn.begin(backend);
        while turn.aad.len() > 0 {
            turn.associate(backend);
        }
        while turn.blocks.len() > 0 {
            turn.block(backend);
        }
        turn.tail(backend);
        let state = turn.state;
        self.lane.state = state;
    }
}

/// The keys of all lanes in one function: `outer` has the backends of those before.
struct Nest<'w, 'a, T> {
    outer: T,
    lanes: &'w mut [Lane<'a>; LANES],
    blocks: usize,
    /// Whether it came to anything.
    together: &'w mut bool,
}

impl<T> BlockSizeUser for Nest<'_, '_, T> {
    type BlockSize = U16;
}

impl<'w, 'a, T> Nest<'w, 'a, T> {
    #[inline(always)]
    fn inner<U>(self, key: &Aes128Enc, outer: impl FnOnce(T) -> U)
    where
        Nest<'w, 'a, U>: BlockCipherEncClosure<BlockSize = U16>,
    {
        let Self { outer: backends, lanes, blocks, together } = self;
        key.encrypt_with_backend(Nest { outer: outer(backends), lanes, blocks, together });
    }
}

/// Whether the backends of two keys are the same, which they always are. Without asking there would
/// be code for every combination; so what is not nested is not compiled.
const fn same<A: BlockCipherEncBackend, B: BlockCipherEncBackend>() -> bool {
    A::ParBlocksSize::USIZE == B::ParBlocksSize::USIZE
}

impl BlockCipherEncClosure for Nest<'_, '_, ()> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        if const { !is_bitsliced::<B>() } {
            let [_, Lane { key, .. }, ..] = *self.lanes;
            self.inner(key, |()| (backend,));
        }
    }
}

impl<B0: BlockCipherEncBackend<BlockSize = U16>> BlockCipherEncClosure for Nest<'_, '_, (&B0,)> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        if const { same::<B0, B>() } {
            let [_, _, Lane { key, .. }, _] = *self.lanes;
            self.inner(key, |(b0,)| (b0, backend));
        }
    }
}

impl<B0, B1> BlockCipherEncClosure for Nest<'_, '_, (&B0, &B1)>
where
    B0: BlockCipherEncBackend<BlockSize = U16>,
    B1: BlockCipherEncBackend<BlockSize = U16>,
{
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        if const { same::<B0, B>() } {
            let [.., Lane { key, .. }] = *self.lanes;
            self.inner(key, |(b0, b1)| (b0, b1, backend));
        }
    }
}

impl<B0, B1, B2> BlockCipherEncClosure for Nest<'_, '_, (&B0, &B1, &B2)>
where
    B0: BlockCipherEncBackend<BlockSize = U16>,
    B1: BlockCipherEncBackend<BlockSize = U16>,
    B2: BlockCipherEncBackend<BlockSize = U16>,
{
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, b3: &B) {
        if const { same::<B0, B>() } {
            let ((b0, b1, b2), [l0, l1, l2, l3]) = (self.outer, self.lanes);
            let (mut t0, mut t1) = (l0.turn(self.blocks), l1.turn(self.blocks));
            let (mut t2, mut t3) = (l2.turn(self.blocks), l3.turn(self.blocks));
            t0.begin(b0);
            t1.begin(b1);
            t2.begin(b2);
            t3.begin(b3);
            let aad = t0.aad.len().max(t1.aad.len()).max(t2.aad.len()).max(t3.aad.len());
            for _ in 0..aad {
                t0.associate(b0);
                t1.associate(b1);
                t2.associate(b2);
                t3.associate(b3);
            }
            // First the four chains, then the four streams. A processor that sees a hundred
            // instructions ahead has the four of either kind in sight.
            for _ in 0..self.blocks {
                t0.chain(b0);
                t1.chain(b1);
                t2.chain(b2);
                t3.chain(b3);
                t0.stream(b0);
                t1.stream(b1);
                t2.stream(b2);
                t3.stream(b3);
            }
            t0.tail(b0);
            t1.tail(b1);
            t2.tail(b2);
            t3.tail(b3);
            let states = [t0.state, t1.state, t2.state, t3.state];
            for (lane, state) in [l0, l1, l2, l3].into_iter().zip(states) {
                lane.state = state;
            }
            *self.together = true;
        }
    }
}
