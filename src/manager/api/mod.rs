//! The public methods of a manager, by subject. They delegate and document.

mod connect;
mod connections;
mod drive;
mod send;
mod sessions;
mod window;
