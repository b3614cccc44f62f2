//! Pieces of the command line.

use core::time::Duration;

use lexopt::ValueExt;
use matter_session::crypto::Passcode;

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
