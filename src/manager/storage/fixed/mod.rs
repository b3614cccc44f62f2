//! Tables in arrays.

mod group_arrays;
mod ring;
mod slots;
mod table;
mod unindexed;
mod with_groups;

use core::marker::PhantomData;

pub use self::with_groups::WithGroups;

use self::group_arrays::GroupArrays;
use self::ring::Ring;
use self::slots::SlotRows;
use self::table::{Places, SecretPlaces, Table};
use self::unindexed::{Unhashed, Unindexed};
use super::arena::{Arena, HEADER_LEN};
use super::chains::NoChains;
use super::connections::Unconnected;
use super::holders::Uncounted;
use super::sizes::{Exchanges, Fabrics, Handshakes, MessageBytes, Records, Sessions};
use super::{Absent, Empty, Storage};
use crate::ids::{FabricIndex, LocalSessionId, Peer};
use crate::manager::handle::{ExchangeKey, HandshakeId};
use crate::manager::storage::sealed::Sealed;
use crate::manager::storage::use_list::{Ends, FabricOrPase, Link, Rank};
use crate::time::Instant;
use crate::wire::{HEADROOM, MAX_UDP_MESSAGE, MIN_MESSAGE_HEADER, MIN_PROTOCOL_HEADER};

/// Tables of fixed size, without an allocator: for devices.
///
/// Its parameters are sizes, each of a [type of its own](super::sizes) and with a default:
/// `Fixed` alone is a device on five fabrics. A size that is left out has its default.
///
/// ```
/// use matter_session::manager::Fixed;
/// use matter_session::manager::sizes::{Exchanges, Handshakes, Sessions};
///
/// /// A device that many controllers talk to.
/// type Tables = Fixed<Sessions<32>, Exchanges<16>, Handshakes<4>>;
/// ```
/// A size in the place of another does not compile:
///
/// ```compile_fail,E0277
/// # use matter_session::manager::sizes::{Exchanges, Sessions};
/// # use matter_session::manager::{Fixed, Storage};
/// fn tables<S: Storage>() {}
/// tables::<Fixed<Exchanges<8>, Sessions<16>>>();
/// ```
/// Nor does a manager whose sizes are too small to be of use:
///
#[cfg_attr(feature = "rustcrypto", doc = "```compile_fail,E0080")]
#[cfg_attr(not(feature = "rustcrypto"), doc = "```ignore")]
/// # use matter_session::manager::sizes::{Exchanges, Fabrics, Handshakes, MessageBytes};
/// # use matter_session::manager::sizes::{Records, Sessions};
/// # use matter_session::manager::{Fixed, Unstarted};
/// # use matter_session::RustCrypto;
/// type Tables = Fixed<
///     Sessions<16>, Exchanges<8>, Handshakes<2>, Fabrics<5>, Records<15>, MessageBytes<1000>,
/// >;
/// static NODE: Unstarted<RustCrypto, Tables> = Unstarted::new(RustCrypto);
/// ```
///
/// While four events are queued, nothing begins that could cause more. At most eight short messages
/// are queued. When the queue is full, replies to unauthenticated senders are dropped first. If more
/// than eight sessions close at once, some peers get no CloseSession report. Lower limits in
/// [`Config`](crate::manager::Config) apply. Lookups are linear.
#[derive(Clone, Copy, Debug)]
pub struct Fixed<
    SESSIONS = Sessions<16>,
    EXCHANGES = Exchanges<8>,
    HANDSHAKES = Handshakes<2>,
    FABRICS = Fabrics<5>,
    RECORDS = Records<15>,
    BYTES = MessageBytes<5120>,
>(PhantomData<(SESSIONS, EXCHANGES, HANDSHAKES, FABRICS, RECORDS, BYTES)>);

/// What the longest message takes of the bytes of messages while it is put together, with
/// room for all fields of its headers.
const LONGEST: usize =
    MAX_UDP_MESSAGE - MIN_MESSAGE_HEADER - MIN_PROTOCOL_HEADER + HEADROOM + HEADER_LEN;

/// Room for events besides what everything that lives can still tell: four may wait before
/// nothing is begun that could cause more, and a call in progress can add eight (`STEP` of the
/// manager).
const EVENTS: usize = 12;

/// The same for those that tell of handshakes: four may wait, and a call in progress can add four.
const HANDSHAKE_EVENTS: usize = 8;

/// Bytes for the certificates of a fabric, on average: all fabrics share them. Those of one may
/// take 1,200, but common ones take 780, the intermediate one included.
const CERTIFICATES: usize = 800;

/// Maximum number of queued short messages: refusals, CloseSession reports, acknowledgements to
/// unauthenticated senders.
const REPLIES: usize = 8;

/// Maximum number of messages that are remembered because there was no exchange for them.
const REFUSED: usize = 8;

impl<S, E, H, F, R, B> Sealed for Fixed<S, E, H, F, R, B> {}

impl<
    const SESSIONS: usize,
    const EXCHANGES: usize,
    const HANDSHAKES: usize,
    const FABRICS: usize,
    const RECORDS: usize,
    const BYTES: usize,
> Storage
    for Fixed<
        Sessions<SESSIONS>,
        Exchanges<EXCHANGES>,
        Handshakes<HANDSHAKES>,
        Fabrics<FABRICS>,
        Records<RECORDS>,
        MessageBytes<BYTES>,
    >
{
    const CHECK: () = {
        assert!(SESSIONS >= 1, "Sessions: one place is PASE's");
        assert!(EXCHANGES >= 1, "Exchanges: no message is sent or received without one");
        assert!(HANDSHAKES >= 1, "Handshakes: no session is established without one");
        assert!(FABRICS <= 254, "Fabrics: a node has 254 fabrics at most");
        assert!(BYTES >= LONGEST, "MessageBytes: the longest message takes 1,265 bytes");
        assert!(BYTES <= 0xFFFF, "MessageBytes: 65,535 bytes at most");
    };

    type Sessions<V> = Table<LocalSessionId, V, SecretPlaces<(LocalSessionId, V), SESSIONS>>;
    type Peers = Unhashed<SESSIONS>;
    type Links = [Link; SESSIONS];
    type UseLists =
        Table<(FabricOrPase, Rank), Ends, Places<((FabricOrPase, Rank), Ends), SESSIONS>>;
    type Counts = Table<FabricOrPase, u16, Places<(FabricOrPase, u16), SESSIONS>>;
    type Connections = Unconnected;
    type Chains<K: Ord> = NoChains;
    type Exchanges<V> = Table<ExchangeKey, V, Places<(ExchangeKey, V), EXCHANGES>>;
    type Holders = Uncounted;
    type Refused =
        Table<(LocalSessionId, u32), Instant, Places<((LocalSessionId, u32), Instant), REFUSED>>;
    type Handshakes<V> = Table<HandshakeId, V, SecretPlaces<(HandshakeId, V), HANDSHAKES>>;
    type Fabrics<V> = Table<FabricIndex, V, SecretPlaces<(FabricIndex, V), FABRICS>>;
    type Records<V> = Table<Peer, V, SecretPlaces<(Peer, V), RECORDS>>;
    type RecordIds = Unindexed;
    type RecordOrder = Unindexed;
    type RecordUse = Unindexed;
    type Slots = SlotRows<EXCHANGES, HANDSHAKES>;
    // Whatever lives can tell its end.
    type Events<V> = Ring<
        V,
        (
            (Places<V, SESSIONS>, Places<V, EXCHANGES>),
            (
                (Places<V, HANDSHAKES>, Places<V, HANDSHAKES>),
                (Places<V, RECORDS>, Places<V, EVENTS>),
            ),
        ),
    >;
    type HandshakeEvents<V> =
        Ring<V, ((Places<V, HANDSHAKES>, Places<V, HANDSHAKES>), Places<V, HANDSHAKE_EVENTS>)>;
    type Outbox<V> = Ring<V, Places<V, REPLIES>>;
    type Certificates = Arena<[[u8; CERTIFICATES]; FABRICS]>;
    type Bytes = Arena<[u8; BYTES]>;
    type Groups<V: Empty> = Absent;
    type GroupTables = GroupArrays<0, 0, 0>;
}
