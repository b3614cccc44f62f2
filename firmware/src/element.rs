//! What waits for the secure element that holds the operational keys.

use matter_session::crypto::{SignError, Signature};
use matter_session::handshake::{SignRequest, Signed};

use crate::tables::HANDSHAKES;

/// Names a request to the element, so that a late answer is not taken for another's.
pub type Number = u16;

/// Requests that the element has not answered: one for each handshake that may run.
#[derive(Default)]
pub struct Waiting {
    requests: [Option<(Number, SignRequest)>; HANDSHAKES],
    last: Number,
}

impl Waiting {
    /// Takes a request in. One of a handshake that has ended may still wait: the oldest gives way,
    /// and if its handshake lives after all, its timer ends it.
    pub fn begin(&mut self, request: SignRequest) -> (Number, &SignRequest) {
        self.last = self.last.wrapping_add(1);
        self.requests.rotate_right(1);
        let [newest, ..] = &mut self.requests;
        let (number, request) = newest.insert((self.last, request));
        (*number, request)
    }

    /// Completes a request with the element's answer.
    pub fn complete(&mut self, number: Number, answer: Option<Signature>) -> Option<Signed> {
        let mut requests = self.requests.iter_mut();
        let place = requests.find(|place| matches!(place, Some((n, _)) if *n == number))?;
        let (_, request) = place.take()?;
        Some(request.complete(answer.ok_or(SignError)))
    }
}
