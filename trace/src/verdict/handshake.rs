//! What went wrong with handshakes.

use std::time::Duration;

use matter_session::cert::Certificate;
use matter_session::describe::StatusName;
use matter_session::handshake::case::messages::{Sigma1, Sigma2};
use matter_session::session::Transports;
use matter_session::time::MatterTime;
use matter_session::wire::StatusReport;
use matter_session::wire::secure_channel::Opcode;

use super::{Finding, times};
use crate::talk::{Handshake, handshakes, transmissions};
use crate::trace::{Message, Trace};

/// The first version whose nodes read a Sigma1 that resumes behind any session parameters.
const READS_ON: u32 = 0x0104_0200;

pub(super) fn findings(trace: &Trace) -> Vec<Finding> {
    handshakes(trace).iter().filter_map(|handshake| judge(trace, handshake)).collect()
}

fn judge(trace: &Trace, handshake: &Handshake) -> Option<Finding> {
    let messages: Vec<_> =
        handshake.messages.iter().filter_map(|index| trace.messages.get(*index)).collect();
    let first = messages.first()?;
    let text = if let Some((place, report)) = failure(&messages) {
        let (before, refusing) = (messages.get(..place)?, messages.get(place)?);
        let refused = before.iter().rfind(|message| message.from != refusing.from).copied();
        refusal(trace, handshake, refusing, refused, &report)
    } else if handshake.is_established(trace) {
        overlooked(handshake, &messages)?
    } else {
        broken_off(trace, handshake, &messages)?
    };
    Some(Finding::new(first.at, text))
}

/// The report that ended a handshake, and its place.
fn failure<'m>(messages: &[&'m Message]) -> Option<(usize, StatusReport<'m>)> {
    let mut reports = messages.iter().enumerate();
    reports.find_map(|(place, message)| {
        message.report().filter(|report| !report.is_success()).map(|report| (place, report))
    })
}

/// One side refused a message of the other, which the capture may lack.
fn refusal(
    trace: &Trace,
    handshake: &Handshake,
    refusing: &Message,
    refused: Option<&Message>,
    report: &StatusReport<'_>,
) -> String {
    let Handshake { initiator, responder, .. } = handshake;
    if let Some(wait) = report.busy_wait() {
        let wait = wait.as_millis();
        return format!(
            "Busy: {responder} has no room for a handshake with {initiator} and asked it to wait \
             {wait} ms."
        );
    }
    if *report == StatusReport::no_shared_trust_roots() {
        return format!(
            "No shared root: {responder} is not the node on the fabric that the Sigma1 of \
             {initiator} is for."
        );
    }
    let (by, of) = (refusing.from, refusing.to);
    let Some(refused) = refused else {
        return format!(
            "Refused: {by} refused a message of {of} that is not in the capture with {}.",
            StatusName(report)
        );
    };
    match refused.opcode() {
        Some(Opcode::PBKDF_PARAM_REQUEST) if *report == StatusReport::invalid_parameter() => {
            format!(
                "Closed window: {responder} refused the PBKDFParamRequest of {initiator}, as its \
                 commissioning window is not open."
            )
        }
        Some(opcode @ (Opcode::PASE_PAKE2 | Opcode::PASE_PAKE3)) => format!(
            "Wrong passcode: {by} refused the confirmation in {opcode} of {of}, as the two have \
             different passcodes."
        ),
        Some(opcode @ (Opcode::CASE_SIGMA2 | Opcode::CASE_SIGMA3)) => {
            certificates(trace, refusing, refused, opcode)
        }
        _ => format!(
            "Refused: {by} answered {} of {of} with {}.",
            refused.name(),
            StatusName(report)
        ),
    }
}

/// One side refused the certificates of the other.
fn certificates(trace: &Trace, refusing: &Message, refused: &Message, opcode: Opcode) -> String {
    let (by, of) = (refusing.from, refused.from);
    let Some(certificates) = trace.keys.certificates(opcode, &refused.payload) else {
        return format!(
            "Refused certificates: {by} refused {opcode} of {of}, and a key log of either would \
             tell more."
        );
    };
    let now = MatterTime::from_unix_seconds(refused.at.as_secs());
    let chain = [Some(certificates.noc), certificates.icac];
    for (octets, name) in chain.iter().zip(["operational", "intermediate"]) {
        let Some(octets) = octets else { continue };
        let Ok(certificate) = Certificate::parse(octets) else {
            return format!("Malformed certificate: {by} refused the {name} certificate of {of}.");
        };
        let Some(now) = now else { continue };
        if let Some(end) = certificate.not_after().filter(|end| *end < now) {
            return format!(
                "Expired certificate: {by} refused the {name} certificate of {of}, which ended on \
                 {}.",
                date(end)
            );
        }
        if certificate.not_before() > now {
            return format!(
                "Certificate not valid yet: {by} refused the {name} certificate of {of}, which \
                 begins on {}.",
                date(certificate.not_before())
            );
        }
    }
    if now.is_none() {
        return format!(
            "Refused certificates: {by} refused those of {of}, and whether they were valid at that \
             time is not known, as the clock of the capture is not between 2000 and 2136."
        );
    }
    format!(
        "Refused certificates: {by} refused those of {of}, which are valid at that time, so root, \
         fabric, node id or signature are not what it wants."
    )
}

/// A handshake that gave a session, and yet not the one that was asked for.
fn overlooked(handshake: &Handshake, messages: &[&Message]) -> Option<String> {
    let of = |opcode| messages.iter().find(move |message| message.opcode() == Some(opcode));
    let sigma1 = Sigma1::parse(&of(Opcode::CASE_SIGMA1)?.payload).ok()?;
    let sigma2 = Sigma2::parse(&of(Opcode::CASE_SIGMA2)?.payload).ok()?;
    let announced = sigma1.session_parameters?.transports != Transports::NONE;
    let version = sigma2.session_parameters.and_then(|own| own.specification_version).unwrap_or(0);
    if sigma1.resumption.is_none() || !announced || version >= READS_ON {
        return None;
    }
    let Handshake { initiator, responder, .. } = handshake;
    let [major, minor, patch, _] = version.to_be_bytes();
    let version = match version {
        0 => "a version before 1.3".into(),
        _ => format!("version {major}.{minor}.{patch}"),
    };
    Some(format!(
        "Session parameters: {responder} is of {version} and overlooked that {initiator} wanted to \
         resume, as nodes before 1.4.2 stop reading a Sigma1 at session parameters with tags above \
         7."
    ))
}

/// A handshake that ended without a report.
fn broken_off(trace: &Trace, handshake: &Handshake, messages: &[&Message]) -> Option<String> {
    let Handshake { initiator, responder, .. } = handshake;
    let last = messages.last()?;
    let sent = transmissions(trace, *handshake.messages.last()?).all.len();
    let end = trace.messages.last()?.at;
    // The capture ends while an answer may still come.
    let is_recent = end.saturating_sub(last.at) < Duration::from_secs(2);
    if is_recent {
        return None;
    }
    let is_asked = last.opcode() == Some(Opcode::PBKDF_PARAM_REQUEST) && messages.len() == 1;
    if is_asked && handshake.is_answered {
        return Some(format!(
            "Closed window: {responder} acknowledged the PBKDFParamRequest of {initiator} and said \
             nothing else, as some nodes do whose commissioning window is not open."
        ));
    }
    if sent < 2 {
        return None;
    }
    let (name, sent) = (last.name(), times(sent));
    Some(if handshake.is_answered {
        let (from, to) = (last.from, last.to);
        format!(
            "Broken off: {from} sent {name} {sent} in its handshake with {to} and got no answer."
        )
    } else {
        format!("Never answered: {initiator} sent {name} to {responder} {sent}.")
    })
}

/// A date as YYYY-MM-DD.
fn date(time: MatterTime) -> String {
    // Counted in eras of 400 years from the first of March of the year 0.
    let days = u64::from(time.as_seconds()) / 86_400 + 730_425;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + u64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "2000-01-01"),
            (59 * 86_400, "2000-02-29"),
            (60 * 86_400, "2000-03-01"),
            (820_540_800, "2026-01-01"),
            (820_540_799, "2025-12-31"),
        ] {
            assert_eq!(date(MatterTime::from_seconds(seconds)), expected);
        }
    }
}
