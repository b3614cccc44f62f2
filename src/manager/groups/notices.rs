//! One notice for each fabric.

use crate::ids::FabricIndex;

/// A notice for each fabric, given once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notices {
    due: [u32; Self::WORDS],
    given: [u32; Self::WORDS],
}

impl Notices {
    const WORDS: usize = 8;
    pub(super) const NONE: Self = Self { due: [0; Self::WORDS], given: [0; Self::WORDS] };

    fn bit(fabric: FabricIndex) -> (usize, u32) {
        (usize::from(fabric.get() / 32), 1 << (fabric.get() % 32))
    }

    pub(super) fn raise(&mut self, fabric: FabricIndex) {
        let (word, bit) = Self::bit(fabric);
        if let (Some(due), Some(given)) = (self.due.get_mut(word), self.given.get(word)) {
            *due |= bit & !given;
        }
    }

    pub(super) fn clear(&mut self, fabric: FabricIndex) {
        let (word, bit) = Self::bit(fabric);
        let words = [&mut self.due, &mut self.given];
        words.into_iter().filter_map(|words| words.get_mut(word)).for_each(|word| *word &= !bit);
    }

    pub(super) fn give(&mut self) -> Option<FabricIndex> {
        let word = self.due.iter().position(|word| *word != 0)?;
        let (due, given) = (self.due.get_mut(word)?, self.given.get_mut(word)?);
        let number = due.trailing_zeros();
        *given |= *due & due.wrapping_neg();
        *due &= due.wrapping_sub(1);
        let word = u32::try_from(word).ok()?;
        FabricIndex::new(u8::try_from(word.saturating_mul(32).saturating_add(number)).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fabric_gets_its_notice_once() {
        let fabrics = || (1..=254).filter_map(FabricIndex::new);
        let mut notices = Notices::NONE;
        for _ in 0..2 {
            fabrics().for_each(|fabric| notices.raise(fabric));
        }
        for fabric in fabrics() {
            assert_eq!(notices.give(), Some(fabric));
            notices.raise(fabric);
        }
        assert_eq!(notices.give(), None);
        let again = FabricIndex::new(64).unwrap();
        notices.clear(again);
        notices.raise(again);
        assert_eq!((notices.give(), notices.give()), (Some(again), None));
        // One that is given says nothing of another one.
        let mut notices = Notices::NONE;
        for fabric in [3, 5, 4].map(|fabric| FabricIndex::new(fabric).unwrap()) {
            notices.raise(fabric);
            assert_eq!(notices.give(), Some(fabric));
        }
    }
}
