//! What was broken by demonstration, and must be impossible. Each file is a theme.

mod forged;
mod groups;
mod synchronization;

use matter_session_testing::net;
