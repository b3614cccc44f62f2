//! What a controller process says about itself, as lines of text.

use core::fmt;
use core::net::SocketAddr;
use core::str::{FromStr, SplitWhitespace};

use matter_session::ids::NodeId;

/// What happened, for whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// It can be reached here.
    Listening(SocketAddr),
    /// A device has answered for the first time on a session.
    Answered(NodeId, How),
    /// A device has connected to this process.
    Came(NodeId, How),
    /// So many processes live.
    Live(usize),
    /// So many requests were answered, and not, since it started.
    Served(u64, u64),
}

/// How a session was established.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// From a record.
    Resumed,
    /// With certificates.
    InFull,
}

impl How {
    pub(crate) const fn new(resumed: bool) -> Self {
        if resumed { Self::Resumed } else { Self::InFull }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resumed => "resumed",
            Self::InFull => "full",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening(address) => write!(f, "listening {address}"),
            Self::Answered(device, how) => write!(f, "answered {} {how}", device.get()),
            Self::Came(device, how) => write!(f, "came {} {how}", device.get()),
            Self::Live(count) => write!(f, "live {count}"),
            Self::Served(answered, unanswered) => write!(f, "served {answered} {unanswered}"),
        }
    }
}

/// The line is no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoReport;

impl FromStr for Report {
    type Err = NoReport;

    fn from_str(line: &str) -> Result<Self, NoReport> {
        let mut words = line.split_whitespace();
        let words = &mut words;
        match next::<String>(words)?.as_str() {
            "listening" => Ok(Self::Listening(next(words)?)),
            "answered" => Ok(Self::Answered(NodeId::new(next(words)?), how(words)?)),
            "came" => Ok(Self::Came(NodeId::new(next(words)?), how(words)?)),
            "live" => Ok(Self::Live(next(words)?)),
            "served" => Ok(Self::Served(next(words)?, next(words)?)),
            _ => Err(NoReport),
        }
    }
}

fn next<T: FromStr>(words: &mut SplitWhitespace<'_>) -> Result<T, NoReport> {
    words.next().and_then(|word| word.parse().ok()).ok_or(NoReport)
}

fn how(words: &mut SplitWhitespace<'_>) -> Result<How, NoReport> {
    match words.next() {
        Some("resumed") => Ok(How::Resumed),
        Some("full") => Ok(How::InFull),
        _ => Err(NoReport),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let device = NodeId::new(0xD001);
        for report in [
            Report::Listening(([127, 0, 0, 1], 5540).into()),
            Report::Answered(device, How::Resumed),
            Report::Came(device, How::InFull),
            Report::Live(3),
            Report::Served(7, 0),
        ] {
            assert_eq!(report.to_string().parse(), Ok(report));
        }
        assert_eq!("answered 7".parse::<Report>(), Err(NoReport));
    }
}
