//! The public methods of a manager, by subject. They delegate and document.
//!
//! The order of these modules is that of the documentation page: that in which a reader wants the
//! methods. Blank lines keep rustfmt from sorting them.

mod create;

mod drive;

mod connect;

mod send;

mod sessions;

mod window;

mod fabrics;

mod records;

mod groups;

mod connections;

mod check_in;

#[cfg(any(test, feature = "_test-util"))]
mod dangerous;

pub use self::connect::Handshakes;
pub use self::connections::Connections;
pub use self::fabrics::Fabrics;
pub use self::groups::Groups;
pub use self::records::Records;
pub use self::sessions::Sessions;
pub use self::window::Window;
