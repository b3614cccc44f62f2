//! Session parameters: what each node declares about itself in a handshake.

use core::time::Duration;

use crate::bytes::{Overflow, Sink, take, write_parts};
use crate::time::from_millis;
use crate::tlv::{Container, Tag, TlvError, Writer};

/// The session parameter structure of one node. [Core, "Session Parameters"]
///
/// The values describe the node that declares them: its peer uses the intervals to time
/// retransmissions to it. Fields hold the values as declared, even unreasonable ones. Timers use
/// the methods that return a [`Duration`].
///
/// What this node announces is conformant, whatever values its application gives: intervals of at
/// most one hour, at least one path, and complete revisions (those of
/// [`matter_1_6`](Self::matter_1_6) unless all three are given).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct SessionParameters {
    /// How often the node listens when idle, in ms.
    #[doc(alias = "SII")]
    pub idle_interval_ms: u32,
    /// How often the node listens when active, in ms.
    #[doc(alias = "SAI")]
    pub active_interval_ms: u32,
    /// How long the node stays active after its last message, in ms.
    #[doc(alias = "SAT")]
    pub active_threshold_ms: u16,
    /// The revision of the data model; nodes before Matter 1.3 do not declare it.
    pub data_model_revision: Option<u16>,
    /// The revision of the interaction model; nodes before Matter 1.3 do not declare it.
    pub interaction_model_revision: Option<u16>,
    /// The version of the specification, `0xMMmmpp00`; nodes before Matter 1.3 do not declare it.
    pub specification_version: Option<u32>,
    /// Maximum number of paths in one invoke request. 0 counts as 1.
    pub max_paths_per_invoke: u16,
    /// The transports that the node supports besides MRP over UDP.
    pub transports: Transports,
    /// Maximum length of a message over TCP in bytes, with headers and integrity code, without the
    /// length prefix. 63,996 if the node does not declare it: the standard says 64,000, in which
    /// older nodes include the prefix.
    pub max_tcp_message: u32,
}

impl SessionParameters {
    /// The parameters of a node of Matter 1.6: data model revision 21, interaction model revision
    /// 12, specification version 1.6; intervals as by [`default`](Self::default).
    ///
    /// The revisions belong to the application, not to this layer. They are here so that an
    /// application can start from a complete set.
    #[must_use]
    pub const fn matter_1_6() -> Self {
        Self {
            data_model_revision: Some(21),
            interaction_model_revision: Some(12),
            specification_version: Some(0x0106_0000),
            ..Self::DEFAULT
        }
    }

    /// Sets the three intervals in ms.
    #[must_use]
    pub const fn with_intervals(mut self, idle: u32, active: u32, threshold: u16) -> Self {
        self.idle_interval_ms = idle;
        self.active_interval_ms = active;
        self.active_threshold_ms = threshold;
        self
    }

    /// Sets the revisions: data model, interaction model, specification (`0xMMmmpp00`).
    #[must_use]
    pub const fn with_revisions(
        mut self,
        data_model: u16,
        interaction_model: u16,
        specification: u32,
    ) -> Self {
        self.data_model_revision = Some(data_model);
        self.interaction_model_revision = Some(interaction_model);
        self.specification_version = Some(specification);
        self
    }

    /// Sets the maximum number of paths in one invoke request.
    #[must_use]
    pub const fn with_max_paths_per_invoke(mut self, paths: u16) -> Self {
        self.max_paths_per_invoke = paths;
        self
    }

    /// Declares TCP, for messages of at most this many bytes.
    #[must_use]
    pub const fn with_tcp(mut self, transports: Transports, max_message: u32) -> Self {
        self.transports = transports;
        self.max_tcp_message = max_message;
        self
    }

    /// Returns the idle interval for timers: at least 100 ms, at most one hour.
    #[must_use]
    pub fn idle_interval(&self) -> Duration {
        clamp(self.idle_interval_ms)
    }

    /// Returns the active interval for timers: at least 100 ms, at most one hour.
    #[must_use]
    pub fn active_interval(&self) -> Duration {
        clamp(self.active_interval_ms)
    }

    /// Returns the longer of both intervals.
    pub(crate) fn slowest_interval(&self) -> Duration {
        clamp(self.idle_interval_ms.max(self.active_interval_ms))
    }

    /// Returns the active threshold. Zero is valid: the node never stays active.
    #[must_use]
    pub fn active_threshold(&self) -> Duration {
        from_millis(self.active_threshold_ms.into())
    }

    /// Returns the maximum number of paths in one invoke request, at least 1.
    #[must_use]
    pub fn paths_per_invoke(&self) -> u16 {
        self.max_paths_per_invoke.max(1)
    }

    /// Returns true if the node accepts connections over TCP: it declares so, and is of version 1.5
    /// or newer. Older nodes announce TCP and do not have it. What discovery announces is a hint
    /// only, since anybody can announce it. [Core, "Session Parameters"]
    #[must_use]
    pub fn accepts_tcp(&self) -> bool {
        self.specification_version.is_some_and(|version| version >= VERSION_1_5)
            && self.transports.contains(Transports::TCP_SERVER)
    }

    /// Returns what a node announces that was given these: conformant, whatever they are. Intervals
    /// are at most one hour, at least one path is announced, and the revisions are complete: those
    /// of [`matter_1_6`](Self::matter_1_6) unless all three were given.
    #[must_use]
    pub(crate) fn announced(&self) -> Self {
        let given = self.data_model_revision.is_some()
            && self.interaction_model_revision.is_some()
            && self.specification_version.is_some();
        let revisions = if given { *self } else { Self::matter_1_6() };
        Self {
            idle_interval_ms: self.idle_interval_ms.min(MAX_TIMER_MS),
            active_interval_ms: self.active_interval_ms.min(MAX_TIMER_MS),
            data_model_revision: revisions.data_model_revision,
            interaction_model_revision: revisions.interaction_model_revision,
            specification_version: revisions.specification_version,
            max_paths_per_invoke: self.paths_per_invoke(),
            ..*self
        }
    }

    /// Returns these as a Sigma1 announces them that resumes a session with `peer`: without
    /// transports, unless the peer is known to be of version 1.4.2 or newer. Releases 1.3 to 1.4.1
    /// of connectedhomeip stop reading Sigma1 at the transports, so they never see that it resumes.
    pub(crate) fn announced_to_resume(&self, peer: &Self) -> Self {
        let reads_on = peer.specification_version.is_some_and(|version| version >= VERSION_1_4_2);
        let transports = if reads_on { self.transports } else { Transports::NONE };
        Self { transports, ..self.announced() }
    }

    /// Reads a structure. Every member may be absent; unknown ones are skipped, and so is the size
    /// of messages over TCP of a node that has no TCP.
    ///
    /// # Errors
    /// Errors of the elements; [`TlvError::WrongType`] and [`TlvError::OutOfRange`] for a known
    /// member with another type or width than its own.
    pub fn read(mut structure: Container<'_>) -> Result<Self, TlvError> {
        let mut params = Self::default();
        while let Some(element) = structure.element()? {
            let Tag::Context(tag) = element.tag else { continue };
            let value = element.value;
            match tag {
                tag::IDLE_INTERVAL => params.idle_interval_ms = value.u32()?,
                tag::ACTIVE_INTERVAL => params.active_interval_ms = value.u32()?,
                tag::ACTIVE_THRESHOLD => params.active_threshold_ms = value.u16()?,
                tag::DATA_MODEL_REVISION => params.data_model_revision = Some(value.u16()?),
                tag::INTERACTION_MODEL_REVISION => {
                    params.interaction_model_revision = Some(value.u16()?);
                }
                tag::SPECIFICATION_VERSION => params.specification_version = Some(value.u32()?),
                tag::MAX_PATHS_PER_INVOKE => params.max_paths_per_invoke = value.u16()?,
                tag::TRANSPORTS => params.transports = Transports::from_bits(value.u64()?),
                tag::MAX_TCP_MESSAGE => params.max_tcp_message = value.u32()?,
                _ => {}
            }
        }
        if !params.transports.any_tcp() {
            params.max_tcp_message = Self::DEFAULT.max_tcp_message;
        }
        Ok(params)
    }

    /// Writes the structure with the given tag: every member, but revisions only if set, the
    /// transports not when a version before 1.5 is declared, which knew none but UDP, and the TCP
    /// message size only with TCP. It is never empty, which some receivers refuse.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn write<S: Sink>(&self, tag: Tag, writer: &mut Writer<S>) -> Result<(), Overflow> {
        self.write_members(tag, writer, true)
    }

    /// Writes the structure as [`write`](Self::write) does, but leaves the transports out if there
    /// are none. This is for Sigma1: see [`announced_to_resume`](Self::announced_to_resume). In the
    /// other messages the structure is the last field, so old releases have nothing to miss.
    pub(crate) fn write_in_sigma1<S: Sink>(
        &self,
        tag: Tag,
        writer: &mut Writer<S>,
    ) -> Result<(), Overflow> {
        self.write_members(tag, writer, self.transports.any_tcp())
    }

    fn write_members<S: Sink>(
        &self,
        tag: Tag,
        writer: &mut Writer<S>,
        with_transports: bool,
    ) -> Result<(), Overflow> {
        writer.start_structure(tag)?;
        writer.unsigned(Tag::Context(tag::IDLE_INTERVAL), self.idle_interval_ms)?;
        writer.unsigned(Tag::Context(tag::ACTIVE_INTERVAL), self.active_interval_ms)?;
        writer.unsigned(Tag::Context(tag::ACTIVE_THRESHOLD), self.active_threshold_ms)?;
        if let Some(revision) = self.data_model_revision {
            writer.unsigned(Tag::Context(tag::DATA_MODEL_REVISION), revision)?;
        }
        if let Some(revision) = self.interaction_model_revision {
            writer.unsigned(Tag::Context(tag::INTERACTION_MODEL_REVISION), revision)?;
        }
        if let Some(version) = self.specification_version {
            writer.unsigned(Tag::Context(tag::SPECIFICATION_VERSION), version)?;
        }
        writer.unsigned(Tag::Context(tag::MAX_PATHS_PER_INVOKE), self.max_paths_per_invoke)?;
        let knows_tcp = self.specification_version.is_none_or(|version| version >= VERSION_1_5);
        if knows_tcp && with_transports {
            writer.unsigned(Tag::Context(tag::TRANSPORTS), self.transports.0)?;
            if self.transports.any_tcp() {
                writer.unsigned(Tag::Context(tag::MAX_TCP_MESSAGE), self.max_tcp_message)?;
            }
        }
        writer.end()
    }

    /// Returns what to use of these, which were authenticated, in a session whose handshake declared
    /// others that nothing authenticates. No wait becomes longer by them: an interval can become
    /// shorter, and the time longer in which the shorter interval counts. All else stays.
    pub(crate) fn bounding(&self, declared: &Self) -> Self {
        Self {
            idle_interval_ms: self.idle_interval_ms.min(declared.idle_interval_ms),
            active_interval_ms: self.active_interval_ms.min(declared.active_interval_ms),
            active_threshold_ms: self.active_threshold_ms.max(declared.active_threshold_ms),
            ..*self
        }
    }

    /// Length of the form in which a resumption record has them.
    pub(crate) const STORED_LEN: usize = 26;

    /// Returns them as a resumption record has them: flags for the members that may be absent, then
    /// all members, little-endian, 0 for an absent one.
    pub(crate) fn to_stored(self) -> [u8; Self::STORED_LEN] {
        let flags = u8::from(self.data_model_revision.is_some())
            | u8::from(self.interaction_model_revision.is_some()) << 1
            | u8::from(self.specification_version.is_some()) << 2;
        let parts: [&[u8]; 10] = [
            &[flags],
            &self.idle_interval_ms.to_le_bytes(),
            &self.active_interval_ms.to_le_bytes(),
            &self.active_threshold_ms.to_le_bytes(),
            &self.data_model_revision.unwrap_or(0).to_le_bytes(),
            &self.interaction_model_revision.unwrap_or(0).to_le_bytes(),
            &self.specification_version.unwrap_or(0).to_le_bytes(),
            &self.max_paths_per_invoke.to_le_bytes(),
            &[self.transports.0],
            &self.max_tcp_message.to_le_bytes(),
        ];
        let mut stored = [0; Self::STORED_LEN];
        write_parts(&mut stored, &parts);
        stored
    }

    /// Reads that form; `None` for bytes that [`to_stored`](Self::to_stored) does not return.
    pub(crate) fn from_stored(bytes: &[u8; Self::STORED_LEN]) -> Option<Self> {
        let mut rest = bytes.as_slice();
        let [flags] = *take(&mut rest)?;
        let has = |bit: u8| flags & bit != 0;
        let params = Self {
            idle_interval_ms: u32::from_le_bytes(*take(&mut rest)?),
            active_interval_ms: u32::from_le_bytes(*take(&mut rest)?),
            active_threshold_ms: u16::from_le_bytes(*take(&mut rest)?),
            data_model_revision: has(1).then_some(u16::from_le_bytes(*take(&mut rest)?)),
            interaction_model_revision: has(2).then_some(u16::from_le_bytes(*take(&mut rest)?)),
            specification_version: has(4).then_some(u32::from_le_bytes(*take(&mut rest)?)),
            max_paths_per_invoke: u16::from_le_bytes(*take(&mut rest)?),
            transports: Transports::from_bits(u8::from_le_bytes(*take(&mut rest)?).into()),
            max_tcp_message: u32::from_le_bytes(*take(&mut rest)?),
        };
        (params.to_stored() == *bytes).then_some(params)
    }

    /// All zero: of a manager that has no settings yet.
    pub(crate) const UNSET: Self = Self {
        idle_interval_ms: 0,
        active_interval_ms: 0,
        active_threshold_ms: 0,
        data_model_revision: None,
        interaction_model_revision: None,
        specification_version: None,
        max_paths_per_invoke: 0,
        transports: Transports::NONE,
        max_tcp_message: 0,
    };

    const DEFAULT: Self = Self {
        idle_interval_ms: 500,
        active_interval_ms: 300,
        active_threshold_ms: 4000,
        data_model_revision: None,
        interaction_model_revision: None,
        specification_version: None,
        max_paths_per_invoke: 1,
        transports: Transports::NONE,
        max_tcp_message: 63_996,
    };
}

/// The idle interval of a node that declares none: 500 ms.
#[doc(alias = "DEFAULT_IDLE_RETRANSMISSION_TIMEOUT_MS")]
#[doc(alias = "SLEEPY_IDLE_INTERVAL_MS")]
#[doc(alias = "SESSION_IDLE_INTERVAL_MS")]
pub const SESSION_IDLE_INTERVAL: Duration =
    Duration::from_millis(SessionParameters::DEFAULT.idle_interval_ms as u64);
/// The active interval of a node that declares none: 300 ms.
#[doc(alias = "DEFAULT_ACTIVE_RETRANSMISSION_TIMEOUT_MS")]
#[doc(alias = "SLEEPY_ACTIVE_INTERVAL_MS")]
#[doc(alias = "SESSION_ACTIVE_INTERVAL_MS")]
pub const SESSION_ACTIVE_INTERVAL: Duration =
    Duration::from_millis(SessionParameters::DEFAULT.active_interval_ms as u64);
/// The active threshold of a node that declares none: 4000 ms.
#[doc(alias = "SLEEPY_ACTIVE_THRESHOLD_MS")]
#[doc(alias = "SESSION_ACTIVE_THRESHOLD_MS")]
pub const SESSION_ACTIVE_THRESHOLD: Duration =
    Duration::from_millis(SessionParameters::DEFAULT.active_threshold_ms as u64);

/// Specification version 1.5, the first with TCP.
const VERSION_1_5: u32 = 0x0105_0000;
/// Specification version 1.4.2, whose releases read session parameters with unknown tags.
const VERSION_1_4_2: u32 = 0x0104_0200;

impl Default for SessionParameters {
    /// The parameters of a node that declares nothing: 500 ms idle, 300 ms active, 4000 ms
    /// threshold.
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The transports that a node supports besides MRP over UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Transports(u8);

impl core::ops::BitOr for Transports {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.or(other)
    }
}

impl Transports {
    /// None.
    pub const NONE: Self = Self(0);
    /// The node connects to others over TCP.
    pub const TCP_CLIENT: Self = Self(1 << 1);
    /// The node accepts TCP connections.
    pub const TCP_SERVER: Self = Self(1 << 2);

    /// Returns the union of two sets.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns true if all of `other` are supported.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const fn any_tcp(self) -> bool {
        self.0 != 0
    }

    /// Keeps the bits that have a meaning.
    const fn from_bits(bits: u64) -> Self {
        let client = if bits & Self::TCP_CLIENT.0 as u64 != 0 { Self::TCP_CLIENT.0 } else { 0 };
        let server = if bits & Self::TCP_SERVER.0 as u64 != 0 { Self::TCP_SERVER.0 } else { 0 };
        Self(client | server)
    }
}

fn clamp(millis: u32) -> Duration {
    from_millis(millis.clamp(MIN_TIMER_MS, MAX_TIMER_MS).into())
}

const MIN_TIMER_MS: u32 = 100;
const MAX_TIMER_MS: u32 = 3_600_000;

/// Context tags of the structure.
mod tag {
    pub(super) const IDLE_INTERVAL: u8 = 1;
    pub(super) const ACTIVE_INTERVAL: u8 = 2;
    pub(super) const ACTIVE_THRESHOLD: u8 = 3;
    pub(super) const DATA_MODEL_REVISION: u8 = 4;
    pub(super) const INTERACTION_MODEL_REVISION: u8 = 5;
    pub(super) const SPECIFICATION_VERSION: u8 = 6;
    pub(super) const MAX_PATHS_PER_INVOKE: u8 = 7;
    pub(super) const TRANSPORTS: u8 = 8;
    pub(super) const MAX_TCP_MESSAGE: u8 = 9;
}
