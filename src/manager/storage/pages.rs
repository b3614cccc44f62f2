//! A map from session ids to places, in two steps.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Places by session id, in pages of 256 ids in a row.
#[derive(Debug)]
pub(super) struct Pages<P> {
    pages: Vec<Page<P>>,
    /// The last page that became empty, for the next one: where one id comes and goes again and
    /// again, no page is allocated each time.
    spare: Option<Box<[Option<P>]>>,
}

#[derive(Debug)]
struct Page<P> {
    places: Option<Box<[Option<P>]>>,
    taken: usize,
}

/// What an id has of its page.
const LOW: u16 = 0xFF;
const PAGE: usize = LOW as usize + 1;

impl<P: Copy> Page<P> {
    const EMPTY: Self = Self { places: None, taken: 0 };

    #[inline]
    fn get(&self, id: u16) -> Option<P> {
        *self.places.as_ref()?.get(usize::from(id & LOW))?
    }
}

impl<P: Copy> Pages<P> {
    pub(super) const EMPTY: Self = Self { pages: Vec::new(), spare: None };

    #[inline]
    fn page(&self, id: u16) -> Option<&Page<P>> {
        self.pages.get(usize::from(id) / PAGE)
    }

    /// The place of an id.
    #[inline]
    pub(super) fn get(&self, id: u16) -> Option<P> {
        self.page(id)?.get(id)
    }

    /// Gives an id a place, or none.
    pub(super) fn set(&mut self, id: u16, place: Option<P>) {
        let number = usize::from(id) / PAGE;
        if self.pages.len() <= number {
            self.pages.resize_with(number.saturating_add(1), || Page::EMPTY);
        }
        let Some(page) = self.pages.get_mut(number) else { return };
        let spare = &mut self.spare;
        let empty = || spare.take().unwrap_or_else(|| core::iter::repeat_n(None, PAGE).collect());
        let places = page.places.get_or_insert_with(empty);
        let Some(old) = places.get_mut(usize::from(id & LOW)) else { return };
        page.taken = page.taken.saturating_sub(old.is_some().into());
        page.taken = page.taken.saturating_add(place.is_some().into());
        *old = place;
        if page.taken == 0 {
            self.spare = page.places.take();
        }
    }

    /// The lowest id with a place that is not below `first`, and its place.
    pub(super) fn next(&self, first: u16) -> Option<(u16, P)> {
        let mut id = first;
        loop {
            match self.page(id)? {
                page if page.taken == 0 => id = next_page(id)?,
                page => match page.get(id) {
                    Some(place) => return Some((id, place)),
                    None => id = id.checked_add(1)?,
                },
            }
        }
    }

    /// The lowest id without a place in a range.
    pub(super) fn next_free(&self, first: u16, last: u16) -> Option<u16> {
        let mut id = first;
        while id <= last {
            match self.page(id) {
                Some(page) if page.taken == PAGE => id = next_page(id)?,
                Some(page) if page.get(id).is_some() => id = id.checked_add(1)?,
                _ => return Some(id),
            }
        }
        None
    }

    /// How many pages there is room for, the spare one included.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.pages.capacity().saturating_add(self.spare.is_some().into())
    }
}

/// The first id of the next page.
fn next_page(id: u16) -> Option<u16> {
    (id | LOW).checked_add(1)
}
