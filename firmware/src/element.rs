//! A secure element that holds operational keys, simulated: it signs when it is asked whether it
//! is ready, some milliseconds after it was given the digest.

use core::time::Duration;

use matter_session::crypto::{OperationalKey, Secret, SignError, SigningKey};
use matter_session::handshake::{SignRequest, Signed};
use matter_session::ids::FabricIndex;
use matter_session::time::Instant;

use crate::tables::{FABRICS, HANDSHAKES};

/// How long a signature takes: what such chips need for one over their serial bus.
const SIGNING: Duration = Duration::from_millis(40);

pub struct SecureElement {
    keys: [Option<(FabricIndex, SigningKey)>; FABRICS],
    /// One place for each handshake that may run.
    waiting: [Option<(SignRequest, Instant)>; HANDSHAKES],
}

impl Default for SecureElement {
    fn default() -> Self {
        Self { keys: [const { None }; FABRICS], waiting: [const { None }; HANDSHAKES] }
    }
}

impl SecureElement {
    /// Takes a fabric's key in, as a chip would generate it. Returns whether there is one then.
    #[inline(never)]
    pub fn load(&mut self, fabric: FabricIndex, key: [u8; 32]) -> bool {
        let key = SigningKey::from_bytes(&Secret::new(key)).ok();
        let place = self.keys.iter_mut().find(|place| place.is_none());
        match (place, key) {
            (Some(place), Some(key)) => *place = Some((fabric, key)),
            _ => return false,
        }
        true
    }

    /// Begins a signature. Of a handshake that has ended one may still wait: the request that
    /// waits longest gives way, and the handshake's timer ends it if it lives after all.
    pub fn begin(&mut self, request: SignRequest, now: Instant) {
        let places = self.waiting.iter_mut();
        let place = places.min_by_key(|place| place.as_ref().map(|(_, due)| *due));
        if let Some(place) = place {
            *place = Some((request, now + SIGNING));
        }
    }

    /// When to ask for a signature.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.iter().flatten().map(|(_, due)| *due).min()
    }

    /// A signature that is ready.
    #[inline(never)]
    pub fn poll(&mut self, now: Instant) -> Option<Signed> {
        let waiting = self.waiting.iter_mut();
        let is_ready = |place: &&mut Option<_>| matches!(place, Some((_, due)) if *due <= now);
        let (request, _) = { waiting }.find(is_ready)?.take()?;
        let fabric = request.fabric();
        let mut keys = self.keys.iter_mut().flatten();
        let result = match keys.find(|(index, _)| *index == fabric) {
            Some((_, key)) => key.sign_digest(request.digest()),
            None => Err(SignError),
        };
        Some(request.complete(result))
    }
}
