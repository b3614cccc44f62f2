//! The public methods of a manager, by subject.

mod check_in;
mod fabrics;
mod groups;
mod records;
