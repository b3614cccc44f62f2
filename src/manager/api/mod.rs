//! The public methods of a manager, by subject. They delegate and document.

mod check_in;
mod connect;
mod connections;
#[cfg(any(test, feature = "_test-util"))]
mod dangerous;
mod drive;
mod fabrics;
mod groups;
mod records;
mod send;
mod sessions;
mod window;

pub use self::connections::Connections;
pub use self::fabrics::Fabrics;
pub use self::groups::Groups;
pub use self::records::Records;
pub use self::sessions::Sessions;
pub use self::window::Window;
