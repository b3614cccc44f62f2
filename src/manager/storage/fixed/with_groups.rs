//! Fixed tables with room for groups.

use core::marker::PhantomData;

use super::Fixed;
use super::group_arrays::GroupArrays;
use crate::manager::storage::sealed::Sealed;
use crate::manager::storage::sizes::{Groups, KeySets, Senders};
use crate::manager::storage::{Empty, Present, Storage};

/// The tables of another storage, with tables of fixed size for groups: for devices that are
/// members of groups, or send to them. [`Fixed`] alone has none.
///
/// The sizes count the entries of all fabrics together; each fabric may have its part:
/// [`KeySets`], [`Groups`] and [`Senders`] say how many a node must support. The defaults are those
/// of a light on five fabrics.
///
/// Four senders are asked for their counters at once, and four messages wait for them: they take
/// from the [`MessageBytes`](crate::manager::sizes::MessageBytes).
///
/// ```
/// use matter_session::manager::sizes::{Groups, KeySets, Senders, Sessions};
/// use matter_session::manager::{Fixed, WithGroups};
///
/// /// A light that many controllers talk to.
/// type Tables = WithGroups<Fixed<Sessions<32>>, KeySets<15>, Groups<20>, Senders<360>>;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WithGroups<S = Fixed, KEYS = KeySets<15>, GROUPS = Groups<20>, SENDERS = Senders<180>>(
    PhantomData<(S, KEYS, GROUPS, SENDERS)>,
);

impl<S, K, G, N> Sealed for WithGroups<S, K, G, N> {}

impl<S: Storage, const KEY_SETS: usize, const GROUPS: usize, const SENDERS: usize> Storage
    for WithGroups<S, KeySets<KEY_SETS>, Groups<GROUPS>, Senders<SENDERS>>
{
    const CHECK: () = {
        let () = S::CHECK;
        assert!(KEY_SETS >= 1, "KeySets: a node with groups has one key set at least");
        assert!(GROUPS >= 1, "Groups: a node with groups has one group at least");
        assert!(SENDERS >= 1, "Senders: a node with groups knows one sender at least");
    };

    type Sessions<V> = S::Sessions<V>;
    type Peers = S::Peers;
    type Links = S::Links;
    type UseLists = S::UseLists;
    type Counts = S::Counts;
    type Connections = S::Connections;
    type Chains<K: Ord> = S::Chains<K>;
    type Exchanges<V> = S::Exchanges<V>;
    type Holders = S::Holders;
    type Refused = S::Refused;
    type Handshakes<V> = S::Handshakes<V>;
    type Fabrics<V> = S::Fabrics<V>;
    type Records<V> = S::Records<V>;
    type RecordIds = S::RecordIds;
    type RecordOrder = S::RecordOrder;
    type RecordUse = S::RecordUse;
    type Slots = S::Slots;
    type Events<V> = S::Events<V>;
    type HandshakeEvents<V> = S::HandshakeEvents<V>;
    type Outbox<V> = S::Outbox<V>;
    type Certificates = S::Certificates;
    type Bytes = S::Bytes;
    type Groups<V: Empty> = Present<V>;
    type GroupTables = GroupArrays<KEY_SETS, GROUPS, SENDERS>;
}
