//! The public methods of a manager, by subject: documentation and delegation.

mod connect;
mod window;
