//! Two requests and room for one exchange: the second is refused until the first is answered.

use matter_session::manager::{Config, Storage};

use super::lab::Lab;
use super::{Act, World, of_lab};

/// The responder answers the request that it has got, and closes the exchange.
const ANSWER: Act = Act::Other(0);
/// The initiator sends 40 short messages, which arrive at once.
const BURST: Act = Act::Other(1);
/// The responder takes the last place of its table for itself, or gives it back.
const OCCUPY: Act = Act::Other(2);

pub struct OneExchange<S: Storage> {
    lab: Lab<S>,
    bursts: u8,
    occupied: Option<matter_session::manager::ExchangeHandle>,
}

impl<S: Storage> World for OneExchange<S> {
    fn begin() -> Self {
        let configs = vec![Config::default(), Config::default().with_exchanges(2)];
        let mut lab = Lab::new(configs, Lab::<S>::acquainted());
        lab.nodes[1].answers = false;
        lab.nodes[0].says = 2;
        assert!(lab.connect(0, 1));
        lab.drain();
        // The handshake is over when the story begins.
        while lab.nodes[0].established == 0 || lab.nodes[1].established == 0 {
            lab.sort();
            lab.act(Act::Deliver(0));
        }
        Self { lab, bursts: 0, occupied: None }
    }

    fn next(&self) -> Option<Act> {
        match self.lab.next(10_000) {
            // It answers when nothing else arrives.
            None | Some(Act::Tick) if !self.lab.nodes[1].open.is_empty() => Some(ANSWER),
            next => next,
        }
    }

    fn acts(&self) -> Vec<Act> {
        let mut acts = self.lab.acts();
        acts.push(Act::Tick);
        if !self.lab.nodes[1].open.is_empty() {
            acts.push(ANSWER);
        }
        if !self.lab.nodes[0].open.is_empty() && self.bursts < 2 {
            acts.push(BURST);
        }
        acts.push(OCCUPY);
        acts
    }

    fn act(&mut self, act: Act) {
        match act {
            ANSWER => {
                let exchange = self.lab.nodes[1].open[0];
                self.lab.answer(1, exchange);
            }
            BURST => {
                self.bursts += 1;
                let exchange = self.lab.nodes[0].open[0];
                self.lab.burst(0, 1, exchange);
            }
            OCCUPY => {
                self.lab.note(1, "occupies");
                if let Some(exchange) = self.occupied.take() {
                    self.lab.close_exchange(1, exchange);
                } else if let Some(session) = self.lab.nodes[1].sessions.first().copied() {
                    self.occupied = self.lab.call(1, |m, cx| m.open_exchange(cx, session)).ok();
                }
            }
            act => self.lab.act(act),
        }
        self.lab.drain();
        self.lab.sort();
    }

    fn end(&mut self) {
        if let Some(exchange) = self.occupied.take() {
            self.lab.close_exchange(1, exchange);
        }
        self.lab.finish();
    }

    of_lab!();
}
