//! What a `SessionManager` promises, shown by nodes on a network in virtual time.

mod attacks;
mod batches;
mod case;
mod check_in;
mod claims;
mod closing;
mod fabrics;
mod facts;
mod fixed;
mod group_room;
mod groups;
mod hostile;
mod ipks;
mod limits;
mod live;
#[cfg(any(feature = "log", feature = "defmt"))]
mod logging;
mod pase;
mod properties;
mod reach;
mod records;
mod reliability;
mod restarts;
mod rules;
mod shards;
mod signature_queue;
mod signing;
mod statistics;
mod stored;
mod stores;
mod timing;
mod transports;

use matter_session_testing::{net, twin};
