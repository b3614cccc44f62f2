//! Attacks that were shown to work once, each by the public API, and what must hold instead.

mod records;

use matter_session_testing::net;
