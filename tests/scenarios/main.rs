//! Scenarios: what is known to knock session layers over, and how it ends here.

mod abandoned;
mod acknowledgements;
mod addresses;
mod at_once;
mod bystanders;
mod cancelled;
mod capacity;
mod clocks;
mod closing;
mod commissioning;
mod counters;
mod deaf_sessions;
mod eviction;
mod fail_safe;
mod idle;
mod ids;
mod lab;
mod loss;
mod pipeline;
mod portions;
mod rejoining;
mod repeated;
mod replays;
mod restarts;
mod resumption;
mod several_addresses;
mod sigma3;
mod silent;
mod sleepy;
mod strangers;
mod twins;
mod unanswered;

use matter_session_testing::{counting, net, raw, twin};
