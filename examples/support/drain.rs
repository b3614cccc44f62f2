//! A tidy end: nothing is owed to anybody when the process goes.

use core::time::Duration;
use std::io;

use super::node::Node;

impl Node {
    /// Goes on until nothing waits for an acknowledgement any more, but no longer than `patience`.
    pub(crate) fn drain(&mut self, patience: Duration) -> io::Result<()> {
        let until = self.now() + patience;
        // The first turn sends what is ready.
        self.turn(Some(self.now()))?;
        while !self.manager.is_settled() && self.now() < until {
            self.turn(Some(until))?;
        }
        Ok(())
    }
}
