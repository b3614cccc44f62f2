//! The node's secure element, simulated: it holds the operational key, and takes its time.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use firmware::frame::{kind, take};
use matter_session::crypto::{OperationalKey, SigningKey};

use super::line::Line;

/// What such chips need for a signature.
const SIGNING: Duration = Duration::from_millis(40);

pub(crate) struct SecureElement {
    key: Option<Arc<Mutex<SigningKey>>>,
    line: Line,
}

impl SecureElement {
    /// Without a key it declines to sign.
    pub(crate) fn new(key: Option<SigningKey>, line: Line) -> Self {
        Self { key: key.map(|key| Arc::new(Mutex::new(key))), line }
    }

    /// Answers a request later.
    pub(crate) fn begin(&self, mut body: &[u8]) {
        let request: Option<([u8; 2], [u8; 1], [u8; 32])> =
            (|| Some((take(&mut body)?, take(&mut body)?, take(&mut body)?)))();
        let Some((number, _fabric, digest)) = request else { return };
        let (key, mut line) = (self.key.clone(), self.line.clone());
        thread::spawn(move || {
            thread::sleep(SIGNING);
            let signature = key.and_then(|key| {
                key.lock().unwrap_or_else(PoisonError::into_inner).sign_digest(&digest).ok()
            });
            let octets = signature.as_ref().map_or(&[][..], |signature| signature.as_bytes());
            // When the emulator has gone, nobody waits.
            let _ = line.send(kind::SIGNATURE, &[&number, octets]);
        });
    }
}
