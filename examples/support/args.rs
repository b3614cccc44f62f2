//! Pieces of the command line.

use core::time::Duration;

use lexopt::ValueExt;
use matter_session::crypto::Passcode;
use matter_session::manager::Config;
use matter_session::session::Transports;

use super::Result;

/// The value of the option just read, as any type that can be parsed.
pub(crate) fn value<V>(parser: &mut lexopt::Parser) -> Result<V>
where
    V: core::str::FromStr<Err: Into<Box<dyn core::error::Error + Send + Sync>>>,
{
    Ok(parser.value()?.parse()?)
}

pub(crate) fn seconds(parser: &mut lexopt::Parser) -> Result<Duration> {
    value(parser).map(Duration::from_secs)
}

pub(crate) fn passcode(parser: &mut lexopt::Parser) -> Result<Passcode> {
    Ok(Passcode::new(value(parser)?)?)
}

/// The longest message in bytes that the programs take over TCP.
pub(crate) const MAX_TCP_MESSAGE: u32 = 64_000;

/// `--tcp`: handshakes say which transports this node has.
pub(crate) fn announcing(config: Config, transports: Transports) -> Config {
    let parameters = config.parameters.with_tcp(transports, MAX_TCP_MESSAGE);
    config.with_parameters(parameters)
}
