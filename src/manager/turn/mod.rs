//! What crosses the parts of a manager.

mod membership;
