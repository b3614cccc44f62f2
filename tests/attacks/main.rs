//! What was broken by demonstration, and must be impossible. Each file is a theme.

mod memory;
mod misuse;

use matter_session_testing::net;
