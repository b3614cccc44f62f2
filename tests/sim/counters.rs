//! Where the bounds of a node's group counters are kept, over all its lives.

use matter_session::group::{CounterStore, GroupCounter, StoreError};

use matter_session_testing::rng::Dice;

#[derive(Debug)]
pub struct Bounds {
    stored: [Option<u64>; 2],
    dice: Dice,
    /// Does not fail any more.
    pub is_reliable: bool,
}

impl Bounds {
    pub const fn new(dice: Dice) -> Self {
        Self { stored: [None; 2], dice, is_reliable: false }
    }

    fn roll(&mut self) -> u64 {
        if self.is_reliable { u64::MAX } else { self.dice.below(8) }
    }
}

impl CounterStore for Bounds {
    fn load(&mut self, counter: GroupCounter) -> Result<Option<u64>, StoreError> {
        if self.roll() == 0 { Err(StoreError) } else { Ok(self.stored[counter as usize]) }
    }

    fn store(&mut self, counter: GroupCounter, bound: u64) -> Result<(), StoreError> {
        let roll = self.roll();
        let place = &mut self.stored[counter as usize];
        assert!(place.is_none_or(|before| before <= bound), "a bound goes back");
        if roll != 0 {
            *place = Some(bound);
        }
        // It may have failed after it has stored.
        if roll <= 1 { Err(StoreError) } else { Ok(()) }
    }
}
