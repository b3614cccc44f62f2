//! What went wrong, in one sentence each.

mod handshake;
mod secure;

use std::time::Duration;

use crate::trace::Trace;

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// When it began, since 1970.
    pub at: Duration,
    /// One sentence.
    pub text: String,
    /// How often it happened in the same way.
    pub times: usize,
}

/// What is said of a capture in which nothing went wrong.
pub const FAIR: &str = "Nothing went wrong.";

/// Finds what went wrong, in the order of time. What happened several times is said once.
#[must_use]
pub fn findings(trace: &Trace) -> Vec<Finding> {
    let mut all = handshake::findings(trace);
    all.extend(secure::findings(trace));
    all.sort_by_key(|finding| finding.at);
    let mut found: Vec<Finding> = Vec::new();
    for finding in all {
        match found.iter_mut().find(|other| other.text == finding.text) {
            Some(other) => other.times += 1,
            None => found.push(finding),
        }
    }
    found
}

/// The sentences alone; [`FAIR`] if there is nothing to say.
#[must_use]
pub fn explain(trace: &Trace) -> Vec<String> {
    let sentences: Vec<_> = findings(trace).into_iter().map(|finding| finding.text).collect();
    if sentences.is_empty() { vec![FAIR.into()] } else { sentences }
}

impl Finding {
    fn new(at: Duration, text: String) -> Self {
        Self { at, text, times: 1 }
    }
}

/// "once", "twice", "5 times".
fn times(count: usize) -> String {
    match count {
        1 => "once".into(),
        2 => "twice".into(),
        _ => format!("{count} times"),
    }
}
