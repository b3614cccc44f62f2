//! What goes over the serial line between the node and its host.
//!
//! ```text
//! length of the rest (2, LE) | kind (1) | body
//!
//! to the node
//!   1 setup, once after reset
//!   2 fabric
//!   3 datagram: address, octets
//!   4 dial PASE: address, passcode (4, LE)
//!   5 dial CASE: address, node id (8, LE)
//!   6 signature: number (2, LE), signature (64; absent if there is none)
//!   7 complete: the fabric that was added or updated is to stay
//!   8 update: fabric index (1), fabric; its key and identity protection key stay
//!   9 leave: fabric index (1)
//!  10 reset to the factory's state; it is done when the node is awake again
//!  11 extra: what (1), its arguments; of images with such features only (`device/extras.rs`)
//! from the node
//!   3 datagram: address, octets
//!  16 done: kind of the request, 1 if it worked
//!  17 session: kind, local id (2, LE), peer id (2, LE), attestation challenge (16)
//!  18 failed: a handshake ended without a session
//!  19 closed: local session id (2, LE)
//!  20 sign: number (2, LE), fabric index (1), digest (32)
//!  21 awake: it was reset, and waits for its setup; what was sent before is lost
//!  22 not kept: the store was lost, or could not be changed
//! ```
//! An address is that of a UDP peer: IPv6 (16, IPv4 mapped into it), port (2, BE).

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use matter_session::crypto::{PbkdfParameters, Verifier};

/// Kinds of frames.
pub mod kind {
    pub const SETUP: u8 = 1;
    pub const FABRIC: u8 = 2;
    pub const DATAGRAM: u8 = 3;
    pub const DIAL_PASE: u8 = 4;
    pub const DIAL_CASE: u8 = 5;
    pub const SIGNATURE: u8 = 6;
    pub const COMPLETE: u8 = 7;
    pub const UPDATE: u8 = 8;
    pub const LEAVE: u8 = 9;
    pub const RESET: u8 = 10;
    pub const EXTRA: u8 = 11;
    pub const DONE: u8 = 16;
    pub const SESSION: u8 = 17;
    pub const FAILED: u8 = 18;
    pub const CLOSED: u8 = 19;
    pub const SIGN: u8 = 20;
    pub const AWAKE: u8 = 21;
    pub const NOT_KEPT: u8 = 22;
}

/// Length of the octets before the body.
pub const HEADER: usize = 3;
/// Length of an address.
pub const ADDRESS: usize = 18;
/// The longest body: an address and the largest datagram over UDP.
pub const MAX_BODY: usize = ADDRESS + 1280;

/// The octets before a body of this length.
pub fn header(kind: u8, body: usize) -> [u8; HEADER] {
    let [low, high] = u16::try_from(body + 1).unwrap_or(u16::MAX).to_le_bytes();
    [low, high, kind]
}

/// Length of the body that follows such a header; `None` if none is as long.
pub fn body_len([low, high, _]: [u8; HEADER]) -> Option<usize> {
    let len = usize::from(u16::from_le_bytes([low, high])).checked_sub(1)?;
    (len <= MAX_BODY).then_some(len)
}

pub fn write_address(address: SocketAddr) -> [u8; ADDRESS] {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut octets = [0; ADDRESS];
    let parts = ip.octets().into_iter().chain(address.port().to_be_bytes());
    for (to, from) in octets.iter_mut().zip(parts) {
        *to = from;
    }
    octets
}

pub fn read_address(octets: [u8; ADDRESS]) -> SocketAddr {
    let (mut ip, mut port) = ([0; 16], [0; 2]);
    for (to, from) in ip.iter_mut().chain(&mut port).zip(octets) {
        *to = from;
    }
    SocketAddr::new(Ipv6Addr::from(ip).to_canonical(), u16::from_be_bytes(port))
}

/// What a factory writes into a device, and what QEMU's board has no hardware for.
pub struct Setup {
    /// Seeds the random number generator.
    pub seed: [u8; 32],
    /// The calendar time at reset: seconds since the beginning of 2000.
    pub time: u32,
    pub iterations: u32,
    pub salt: [u8; 32],
    pub verifier: [u8; Verifier::LEN],
    /// How many handshakes to turn away as busy.
    pub busy: u32,
    /// Whether resumption records are forgotten as soon as they are made.
    pub forget: bool,
}

impl Setup {
    /// Length of the encoded form.
    pub const LEN: usize = 32 + 4 + 4 + 32 + Verifier::LEN + 4 + 1;

    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut octets = [0; Self::LEN];
        let parts: [&[u8]; 7] = [
            &self.seed,
            &self.time.to_le_bytes(),
            &self.iterations.to_le_bytes(),
            &self.salt,
            &self.verifier,
            &self.busy.to_le_bytes(),
            &[u8::from(self.forget)],
        ];
        for (to, from) in octets.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        octets
    }

    pub fn read(body: &[u8]) -> Option<Self> {
        let rest = &mut &*body;
        let setup = Self {
            seed: take(rest)?,
            time: u32::from_le_bytes(take(rest)?),
            iterations: u32::from_le_bytes(take(rest)?),
            salt: take(rest)?,
            verifier: take(rest)?,
            busy: u32::from_le_bytes(take(rest)?),
            forget: take(rest)? == [1],
        };
        rest.is_empty().then_some(setup)
    }

    pub fn pbkdf(&self) -> Option<PbkdfParameters> {
        PbkdfParameters::new(self.iterations, &self.salt).ok()
    }
}

const FABRIC_HEAD: usize = 16 + 3 * 2;

/// A membership in a fabric. Its key stays in the secure element.
pub struct Fabric<'a> {
    pub ipk: [u8; 16],
    pub root: &'a [u8],
    pub icac: Option<&'a [u8]>,
    pub noc: &'a [u8],
}

impl<'a> Fabric<'a> {
    /// What stands before the certificates, which follow in the order of the members.
    pub fn head(&self) -> [u8; FABRIC_HEAD] {
        let len = |octets: &[u8]| u16::try_from(octets.len()).unwrap_or(u16::MAX).to_le_bytes();
        let lens = [len(self.root), len(self.icac.unwrap_or_default()), len(self.noc)];
        let mut octets = [0; FABRIC_HEAD];
        let parts = self.ipk.iter().chain(lens.as_flattened());
        for (to, from) in octets.iter_mut().zip(parts) {
            *to = *from;
        }
        octets
    }

    pub fn read(body: &'a [u8]) -> Option<Self> {
        let rest = &mut &*body;
        let ipk = take(rest)?;
        let lens: [[u8; 2]; 3] = [take(rest)?, take(rest)?, take(rest)?];
        let mut part = |len| {
            let (part, tail) = rest.split_at_checked(usize::from(u16::from_le_bytes(len)))?;
            *rest = tail;
            Some(part)
        };
        let [root, icac, noc] = lens;
        let (root, icac, noc) = (part(root)?, part(icac)?, part(noc)?);
        let icac = (!icac.is_empty()).then_some(icac);
        rest.is_empty().then_some(Self { ipk, root, icac, noc })
    }
}

/// Takes so many octets off the front.
pub fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}
