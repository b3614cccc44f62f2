//! Room for one value.

/// Room for one value, vacant or taken.
///
/// An `Option` whose vacant form is all zero, whatever the value: a table of vacant places in a
/// `static` costs no flash.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Place<V> {
    /// Nothing.
    Vacant,
    /// A value.
    Taken(V),
}

impl<V> Place<V> {
    /// Returns the value.
    pub const fn get(&self) -> Option<&V> {
        match self {
            Self::Vacant => None,
            Self::Taken(value) => Some(value),
        }
    }

    /// Returns the value, to be changed.
    pub const fn get_mut(&mut self) -> Option<&mut V> {
        match self {
            Self::Vacant => None,
            Self::Taken(value) => Some(value),
        }
    }

    /// Takes the value out.
    pub fn take(&mut self) -> Option<V> {
        match core::mem::replace(self, Self::Vacant) {
            Self::Vacant => None,
            Self::Taken(value) => Some(value),
        }
    }

    /// Returns true if there is nothing.
    pub const fn is_vacant(&self) -> bool {
        matches!(self, Self::Vacant)
    }
}
