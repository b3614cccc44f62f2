//! What must still be possible in the end.

use super::node::Scene;
use super::suite::{FABRICS, PASSCODE, Suite};
use super::wire::over_tcp;
use super::world::{AnyNode, World, at, each};
use matter_session::manager::{HandshakeHandle, SessionHandle};
use matter_session::time::Instant;

impl<X: Suite> World<X> {
    /// Members of a fabric can establish sessions and talk, and so can commissioner and device.
    pub fn prove_alive(&mut self) {
        for fabric in 0..FABRICS {
            let members = self.members(fabric);
            if members.len() < 2 {
                continue;
            }
            let a = self.dice.below(members.len() as u64) as usize;
            let b = (a + 1 + self.dice.below(members.len() as u64 - 1) as usize) % members.len();
            let (a, b) = (members[a], members[b]);
            let to = self.addresses[b];
            let to = match self.dice.below(4) {
                0 => vec![over_tcp(to)],
                // The other one is of a node that refuses.
                1 => vec![self.addresses[self.dice.below(self.nodes.len() as u64) as usize], to],
                _ => vec![to],
            };
            let dialled = at!(self, a, node, scene => node.dial_at(scene, &to, fabric, b));
            self.talk(a, dialled.expect("a quiet node dials"));
        }
        let a = self.dice.below(self.nodes.len() as u64) as usize;
        let b = (a + 1 + self.dice.below(self.nodes.len() as u64 - 1) as usize) % self.nodes.len();
        let to = self.addresses[b];
        at!(self, b, node, scene => node.expect_commissioner(scene));
        let dialled = at!(self, a, node, scene => node.commission(scene, to, PASSCODE));
        self.talk(a, dialled.expect("a quiet node commissions"));
        at!(self, b, node, scene => node.recover(scene));
    }

    fn talk(&mut self, n: usize, handshake: HandshakeHandle) {
        self.run(30_000);
        let session: Option<SessionHandle> =
            each!(&self.nodes[n], node => node.app.dialled.get(&handshake).copied()).flatten();
        let session = session.expect("a handshake without troubles fails");
        let exchange = at!(self, n, node, scene => node.open_exchange(scene, session));
        let exchange = exchange.expect("a quiet node has no exchange left");
        let delivered = self.book.figures.delivered;
        at!(self, n, node, scene => node.say(scene, exchange));
        self.run(30_000);
        assert_eq!(self.book.figures.delivered, delivered + 1, "a message did not arrive");
        let waits = each!(&self.nodes[n], node => node.app.waits());
        assert!(!waits, "a message that arrived was not acknowledged");
        at!(self, n, node, scene => node.close_exchange(scene, exchange));
        // The other end does not close it, but lets it lapse.
        self.run(70_000);
    }
}
