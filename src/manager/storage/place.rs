//! Room for one value.

use core::mem::MaybeUninit;
use core::slice;

use zeroize::Zeroize;

/// Room for one value, vacant or taken.
///
/// An `Option` whose vacant form is all zero, whatever the value: a table of vacant places in a
/// `static` costs no flash.
#[derive(Debug)]
#[repr(u8)]
pub enum Place<V> {
    /// Nothing. The bytes are those of a value that may have been here.
    Vacant(MaybeUninit<V>),
    /// A value.
    Taken(V),
}

impl<V> Place<V> {
    /// Nothing.
    pub const VACANT: Self = Self::Vacant(MaybeUninit::uninit());

    /// Returns the value.
    pub const fn get(&self) -> Option<&V> {
        match self {
            Self::Vacant(_) => None,
            Self::Taken(value) => Some(value),
        }
    }

    /// Returns the value, to be changed.
    pub const fn get_mut(&mut self) -> Option<&mut V> {
        match self {
            Self::Vacant(_) => None,
            Self::Taken(value) => Some(value),
        }
    }

    /// Takes the value out.
    pub fn take(&mut self) -> Option<V> {
        match core::mem::replace(self, Self::VACANT) {
            Self::Vacant(_) => None,
            Self::Taken(value) => Some(value),
        }
    }

    /// Returns true if there is nothing.
    pub const fn is_vacant(&self) -> bool {
        matches!(self, Self::Vacant(_))
    }
}

/// Room for one value that holds secrets: once the value was dropped in it, all of it is wiped.
///
/// A dropped value has wiped its secrets. But its place has more bytes: those of the other forms of
/// an enum, and those behind a `None`. When the value was moved here, they were copied from the
/// stack with whatever was there before.
#[derive(Debug)]
pub struct SecretPlace<V>(Place<V>);

impl<V> SecretPlace<V> {
    /// Nothing.
    pub const VACANT: Self = Self(Place::VACANT);

    /// Returns room with a value in it.
    pub const fn of(value: V) -> Self {
        Self(Place::Taken(value))
    }

    /// Returns the value.
    pub const fn get(&self) -> Option<&V> {
        self.0.get()
    }

    /// Returns the value, to be changed.
    pub const fn get_mut(&mut self) -> Option<&mut V> {
        self.0.get_mut()
    }

    /// Returns the place, for a table.
    pub(super) const fn place(&self) -> &Place<V> {
        &self.0
    }

    /// Returns the place, for a table to put a value into it.
    pub(super) const fn place_mut(&mut self) -> &mut Place<V> {
        &mut self.0
    }

    /// Puts a value into it, in place of the former one.
    pub fn set(&mut self, value: V) {
        self.0 = Place::Taken(value);
    }

    /// Drops the value where it is, and wipes its place.
    pub fn clear(&mut self) {
        self.0 = Place::VACANT;
        if let Place::Vacant(bytes) = &mut self.0 {
            // As a slice: a value by itself would be wiped with another on the stack.
            slice::from_mut(bytes).zeroize();
        }
    }

    /// Returns true if there is nothing.
    pub const fn is_vacant(&self) -> bool {
        self.0.is_vacant()
    }
}

impl<V> Drop for SecretPlace<V> {
    fn drop(&mut self) {
        self.clear();
    }
}
