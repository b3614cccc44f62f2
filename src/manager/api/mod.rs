//! The public methods of a manager, by subject.

mod check_in;
mod fabrics;
mod groups;
mod records;

pub use self::fabrics::Fabrics;
pub use self::groups::Groups;
pub use self::records::Records;
