//! One message in AES-CCM, block by block.
//!
//! CBC-MAC is a chain: no block of it can begin before the last has ended. That chain is what a
//! message costs where AES has instructions of its own, so the key stream is computed in its
//! shadow: with each block of the chain goes the counter block that is wanted next.
//!
//! ```text
//! chain    B0   associated data   P1   P2   ...   Pn
//! counter  A1                     A2   A3   ...   A0      tag = end of the chain ^ E(A0)
//! ```
//! Sealing and opening differ in one thing, whether what enters the chain is the text as it was
//! found or as it was left: a mask and not a branch, so that both are one piece of code.
//!
//! Everything here is inlined in the function that `aes` compiles for the instructions at hand;
//! outside it the same code would call for every block. Blocks are values for the same reason: one
//! that is written by halves and read as a whole stalls the processor.

use core::hint::black_box;

use aes::cipher::array::Array;
use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned;
use aes::cipher::{BlockCipherEncBackend, ParBlocks};

use crate::crypto::{MIC_LEN, NONCE_LEN};

pub(super) type Block = [u8; 16];

/// Returns true if AES is computed without instructions for it, two or four blocks at a time: one
/// block costs what all of them do.
pub(super) const fn is_bitsliced<B: BlockCipherEncBackend>() -> bool {
    B::ParBlocksSize::USIZE <= 4
}

/// Bytes of associated data in the block that begins with their number.
const AAD_IN_FIRST: usize = 14;

/// Which way the text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Seal,
    Open,
}

/// Where the chain and the key stream of a message are.
#[derive(Clone, Copy)]
pub(super) struct State {
    /// The end of the chain so far.
    mac: Block,
    /// The key stream for the block of text that is next, and at the end for the tag.
    stream: Block,
    /// What of the key stream is undone before the text enters the chain: all or nothing.
    undone: Block,
    /// A0: flags, nonce and a counter of zero, the first byte lowest.
    first_counter: u128,
    /// The counter that `stream` was made from.
    counter: u16,
    /// How many bytes the text has, and so what the last counter is.
    text_len: u16,
}

impl State {
    /// Before the first block.
    #[inline(always)]
    pub(super) fn new(nonce: &[u8; NONCE_LEN], text_len: u16, direction: Direction) -> Self {
        // Fields of the length that nonces are put together from: message flags, counter, node.
        let [flags, c0, c1, c2, c3, node @ ..] = *nonce;
        let nonce = u128::from(flags)
            | u128::from(u32::from_le_bytes([c0, c1, c2, c3])) << 8
            | u128::from(u64::from_le_bytes(node)) << 40;
        Self {
            mac: [0; 16],
            stream: [0; 16],
            undone: match direction {
                Direction::Seal => [0; 16],
                Direction::Open => [0xFF; 16],
            },
            // The flags of A0: lengths take two bytes. [NIST SP 800-38C, A.3; RFC 3610, 2.3]
            first_counter: nonce << 8 | 1,
            counter: 0,
            text_len,
        }
    }

    /// The first block of the chain, B0. [NIST SP 800-38C, A.2.1; RFC 3610, 2.2]
    #[inline(always)]
    pub(super) fn begin(
        &mut self,
        backend: &impl BlockCipherEncBackend<BlockSize = U16>,
        aad_len: u16,
    ) {
        // Beside the flags of A0: the tag has 16 bytes; whether there is associated data.
        let flags = 7 << 3 | u128::from(aad_len != 0) << 6;
        let b0 = self.first_counter | flags | at_the_end(self.text_len);
        self.encrypt(backend, b0.to_le_bytes());
    }

    /// A block of associated data.
    #[inline(always)]
    pub(super) fn associate(
        &mut self,
        backend: &impl BlockCipherEncBackend<BlockSize = U16>,
        block: Block,
    ) {
        let input = xor(self.mac, block);
        self.mac = encrypt_one(backend, input);
    }

    /// A block of text.
    #[inline(always)]
    pub(super) fn block(
        &mut self,
        backend: &impl BlockCipherEncBackend<BlockSize = U16>,
        block: &mut Block,
    ) {
        let input = self.apply(block);
        self.encrypt(backend, input);
    }

    /// First half of [`block`](Self::block): the chain alone.
    #[inline(always)]
    pub(super) fn chain(
        &mut self,
        backend: &impl BlockCipherEncBackend<BlockSize = U16>,
        block: &mut Block,
    ) {
        let input = self.apply(block);
        self.mac = encrypt_one(backend, input);
    }

    /// Second half of [`block`](Self::block): the key stream for what is next.
    #[inline(always)]
    pub(super) fn stream(&mut self, backend: &impl BlockCipherEncBackend<BlockSize = U16>) {
        let counter = self.next_counter();
        self.stream = encrypt_one(backend, counter);
    }

    /// Up to two blocks under the key stream, and no chain.
    #[inline(always)]
    pub(super) fn stream_two(
        &mut self,
        backend: &impl BlockCipherEncBackend<BlockSize = U16>,
        text: &mut [u8],
    ) {
        let (first, second) = (self.next_counter(), self.next_counter());
        let (first, second) = encrypt_two(backend, first, second);
        for (part, stream) in text.chunks_mut(16).zip([first, second]) {
            if WIDE {
                unpad(padded(part) ^ u128::from_le_bytes(stream), part);
            } else {
                part.iter_mut().zip(stream).for_each(|(octet, stream)| *octet ^= stream);
            }
        }
    }

    /// Encrypts or decrypts a block, and says what enters the chain.
    #[inline(always)]
    fn apply(&self, block: &mut Block) -> Block {
        let input = *block;
        *block = xor(input, self.stream);
        xor(self.mac, xor(input, and(self.stream, self.undone)))
    }

    /// The end of the text, if it is no whole block; or any block.
    #[inline(always)]
    pub(super) fn tail(
        &mut self,
        backend: &impl BlockCipherEncBackend<BlockSize = U16>,
        tail: &mut [u8],
    ) {
        let mut plain = [0; 16];
        if WIDE {
            let text = block_of(padded(tail));
            // The hint keeps the compiler from making a number of the stream in all of the loop
            // before, where it has to be a vector.
            unpad(u128::from_le_bytes(black_box(xor(text, self.stream))), tail);
            // What is beyond the end enters the chain as zeros.
            let beyond = 16_usize.saturating_sub(tail.len()).min(15) * 8;
            let within = block_of(u128::MAX >> beyond);
            plain = xor(text, and(and(self.stream, self.undone), within));
        } else {
            let parts = tail.iter_mut().zip(self.stream).zip(self.undone).zip(&mut plain);
            for (((octet, stream), undone), plain) in parts {
                *plain = *octet ^ (stream & undone);
                *octet ^= stream;
            }
        }
        self.encrypt(backend, xor(self.mac, plain));
    }

    /// Returns the integrity code, once all blocks are through.
    #[inline(always)]
    pub(super) fn tag(&self) -> [u8; MIC_LEN] {
        xor(self.mac, self.stream)
    }

    /// The next of the chain, and the key stream for what comes after it.
    #[inline(always)]
    fn encrypt(&mut self, backend: &impl BlockCipherEncBackend<BlockSize = U16>, input: Block) {
        let counter = self.next_counter();
        (self.mac, self.stream) = encrypt_two(backend, input, counter);
    }

    /// Counters go up to the last block of text, and then comes A0, which is for the tag.
    #[inline(always)]
    fn next_counter(&mut self) -> Block {
        let more = self.counter != self.text_len.div_ceil(16);
        self.counter = if more { self.counter.wrapping_add(1) } else { 0 };
        (self.first_counter | at_the_end(self.counter)).to_le_bytes()
    }
}

/// The associated data in blocks, their number before them. [NIST SP 800-38C, A.2.2]
#[derive(Clone, Copy)]
pub(super) struct AadBlocks<'a> {
    /// How many bytes there are, until the first block has taken it along.
    len: Option<u16>,
    rest: &'a [u8],
}

impl<'a> AadBlocks<'a> {
    /// `aad` in full, which has `len` bytes; no blocks if that is said to be 0.
    #[inline(always)]
    pub(super) const fn new(aad: &'a [u8], len: u16) -> Self {
        if len == 0 { Self { len: None, rest: &[] } } else { Self { len: Some(len), rest: aad } }
    }
}

impl Iterator for AadBlocks<'_> {
    type Item = Block;

    #[inline(always)]
    fn next(&mut self) -> Option<Block> {
        let len = self.len.take();
        let most = if len.is_some() { AAD_IN_FIRST } else { 16 };
        let (head, rest) = self.rest.split_at_checked(most).unwrap_or((self.rest, &[]));
        if head.is_empty() {
            return None;
        }
        self.rest = rest;
        let block = padded(head);
        Some(match len {
            Some(len) => block_of(block << 16 | u128::from(len.swap_bytes())),
            None => block_of(block),
        })
    }

    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let prefix = if self.len.is_some() { 16 - AAD_IN_FIRST } else { 0 };
        let blocks = self.rest.len().saturating_add(prefix).div_ceil(16);
        (blocks, Some(blocks))
    }
}

impl ExactSizeIterator for AadBlocks<'_> {}

/// Whether a block fits two registers: bytes are moved eight at a time then, and elsewhere one by
/// one, which is less code.
pub(super) const WIDE: bool = cfg!(target_pointer_width = "64");

/// Up to 16 bytes and zeros after them, the first byte lowest.
#[inline(always)]
fn padded(bytes: &[u8]) -> u128 {
    if !WIDE {
        return bytes.iter().rfold(0, |block, octet| block << 8 | u128::from(*octet));
    }
    // The first and the last of them in numbers as large as fit; where both overlap they agree.
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let last = u128::from(u64::from_le_bytes(*last)) << bits_before_last::<8>(bytes);
        return u128::from(u64::from_le_bytes(*first)) | last;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let last = u64::from(u32::from_le_bytes(*last)) << bits_before_last::<4>(bytes);
        return (u64::from(u32::from_le_bytes(*first)) | last).into();
    }
    match *bytes {
        [] => 0,
        [a] => a.into(),
        [a, .., z] => {
            let middle = bytes.get(1).copied().unwrap_or_default();
            let last = u32::from(z) << bits_before_last::<1>(bytes);
            (u32::from(u16::from_le_bytes([a, middle])) | last).into()
        }
    }
}

/// The first bytes of a block, as many as there is room for.
#[inline(always)]
fn unpad(block: u128, bytes: &mut [u8]) {
    let shift = bits_before_last::<8>(bytes);
    if let Some(first) = bytes.first_chunk_mut() {
        *first = low(block).to_le_bytes();
        if let Some(last) = bytes.last_chunk_mut() {
            *last = low(block >> shift).to_le_bytes();
        }
        return;
    }
    let block = low(block);
    for (n, octet) in (0_u32..).zip(bytes) {
        [*octet, ..] = (block >> (n * 8)).to_le_bytes();
    }
}

/// A number as a block. The hints keep the compiler from taking it apart byte by byte, in a
/// hundred instructions.
#[inline(always)]
fn block_of(number: u128) -> Block {
    if !WIDE {
        return number.to_le_bytes();
    }
    let (first, second) = (black_box(low(number)), black_box(low(number >> 64)));
    (u128::from(second) << 64 | u128::from(first)).to_le_bytes()
}

/// How many bits stand before the last `N` bytes.
#[inline(always)]
const fn bits_before_last<const N: usize>(bytes: &[u8]) -> usize {
    bytes.len().saturating_sub(N).saturating_mul(8)
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
const fn low(block: u128) -> u64 {
    block as u64
}

/// A number of two bytes, big-endian, as the last of a block.
#[inline(always)]
const fn at_the_end(number: u16) -> u128 {
    (number.swap_bytes() as u128) << 112
}

/// One block; in a bitsliced backend by the call for several, so that there is only that one.
#[inline(always)]
fn encrypt_one<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, block: Block) -> Block {
    if is_bitsliced::<B>() {
        return encrypt_two(backend, block, [0; 16]).0;
    }
    let mut block = Array(block);
    backend.encrypt_block_inplace(&mut block);
    block.into()
}

/// Two blocks at once: by as many instructions at a time as the processor finds, or in one call of
/// a bitsliced backend, in which the second costs nothing.
#[inline(always)]
fn encrypt_two<B: BlockCipherEncBackend<BlockSize = U16>>(
    backend: &B,
    first: Block,
    second: Block,
) -> (Block, Block) {
    let (mut first, mut second) = (Array(first), Array(second));
    if is_bitsliced::<B>() {
        let mut blocks = ParBlocks::<B>::default();
        if let [a, b, ..] = blocks.as_mut_slice() {
            (*a, *b) = (first, second);
        }
        backend.encrypt_par_blocks_inplace(&mut blocks);
        if let [a, b, ..] = blocks.as_slice() {
            (first, second) = (*a, *b);
        }
    } else {
        backend.encrypt_block_inplace(&mut first);
        backend.encrypt_block_inplace(&mut second);
    }
    (first.into(), second.into())
}

#[inline(always)]
fn xor(mut a: Block, b: Block) -> Block {
    for (a, b) in a.iter_mut().zip(b) {
        *a ^= b;
    }
    a
}

#[inline(always)]
fn and(mut a: Block, b: Block) -> Block {
    for (a, b) in a.iter_mut().zip(b) {
        *a &= b;
    }
    a
}
