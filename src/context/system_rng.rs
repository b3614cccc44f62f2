//! The operating system's random number generator.

use core::convert::Infallible;

use getrandom::SysRng;
use rand_core::{TryCryptoRng, TryRng, UnwrapErr};

/// The random number generator of the operating system.
///
/// For everything in this library that takes a `&mut dyn CryptoRng`. A program with a generator of
/// its own implements the traits of [`rand_core`] instead.
///
/// # Panics
/// A call panics if the operating system returns an error. No supported system does after its
/// start.
///
#[cfg_attr(all(feature = "alloc", feature = "rustcrypto"), doc = "```")]
#[cfg_attr(not(all(feature = "alloc", feature = "rustcrypto")), doc = "```ignore")]
/// use matter_session::{Config, HeapSessionManager, RustCrypto, SystemRng};
///
/// let node = HeapSessionManager::new(Config::default(), RustCrypto, &mut SystemRng);
/// assert!(node.is_settled());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl TryRng for SystemRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        UnwrapErr(SysRng).try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        UnwrapErr(SysRng).try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        UnwrapErr(SysRng).try_fill_bytes(bytes)
    }
}

impl TryCryptoRng for SystemRng {}
