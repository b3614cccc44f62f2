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
    /// Adds a request. Requests of handshakes that have ended make room first: an attacker can begin
    /// handshakes faster than the element signs. As many handshakes as there are places can wait,
    /// so there is one for each that is awaited.
    pub fn begin(
        &mut self,
        request: SignRequest,
        mut is_awaited: impl FnMut(&SignRequest) -> bool,
    ) -> Option<(Number, &SignRequest)> {
        for place in &mut self.requests {
            place.take_if(|(_, request)| !is_awaited(request));
        }
        let place = self.requests.iter_mut().find(|place| place.is_none())?;
        self.last = self.last.wrapping_add(1);
        let (number, request) = place.insert((self.last, request));
        Some((*number, request))
    }

    /// Completes a request with the element's answer.
    pub fn complete(&mut self, number: Number, answer: Option<Signature>) -> Option<Signed> {
        let mut requests = self.requests.iter_mut();
        let place = requests.find(|place| matches!(place, Some((n, _)) if *n == number))?;
        let (_, request) = place.take()?;
        Some(request.complete(answer.ok_or(SignError)))
    }
}
