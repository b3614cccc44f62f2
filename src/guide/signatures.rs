/// Names a request to the secure element, so that the answer to a request that is gone is not taken
/// for another's.
pub type Number = u16;

/// Requests that wait for a secure element which signs one digest at a time. `N` is the number of
/// handshakes that can run at once: each has a place.
pub struct Signatures<const N: usize> {
    requests: [Option<(Number, SignRequest)>; N],
    last: Number,
    /// The request that the element works on, whether or not a handshake still waits for it.
    signing: Option<Number>,
}

impl<const N: usize> Default for Signatures<N> {
    fn default() -> Self {
        Self { requests: [const { None }; N], last: 0, signing: None }
    }
}

impl<const N: usize> Signatures<N> {
    /// Queues a request.
    pub fn push(&mut self, request: SignRequest, is_awaited: impl FnMut(&SignRequest) -> bool) {
        self.drop_dead(is_awaited);
        self.last = self.last.wrapping_add(1);
        // There is a place for each handshake that waits.
        if let Some(place) = self.requests.iter_mut().find(|place| place.is_none()) {
            *place = Some((self.last, request));
        }
    }

    /// Returns the request for the element to begin now, oldest first. `None` if there is none, or
    /// the element is busy.
    pub fn next(
        &mut self,
        is_awaited: impl FnMut(&SignRequest) -> bool,
    ) -> Option<(Number, &SignRequest)> {
        self.drop_dead(is_awaited);
        if self.signing.is_some() {
            return None;
        }
        let requests = self.requests.iter().flatten();
        let (number, request) = requests.max_by_key(|(number, _)| self.last.wrapping_sub(*number))?;
        self.signing = Some(*number);
        Some((*number, request))
    }

    /// Completes a request with the element's answer, or with `None` if the element has failed. The
    /// element must answer each request, or it gets no other. Returns `None` if the handshake has
    /// ended meanwhile.
    pub fn complete(&mut self, number: Number, answer: Option<Signature>) -> Option<Signed> {
        self.signing.take_if(|signing| *signing == number);
        let mut requests = self.requests.iter_mut();
        let (_, request) = requests.find_map(|place| place.take_if(|(n, _)| *n == number))?;
        Some(request.complete(answer.ok_or(SignError)))
    }

    /// Drops the requests that no handshake waits for any more. An attacker can begin handshakes
    /// faster than the element signs.
    fn drop_dead(&mut self, mut is_awaited: impl FnMut(&SignRequest) -> bool) {
        for place in &mut self.requests {
            place.take_if(|(_, request)| !is_awaited(request));
        }
    }
}
