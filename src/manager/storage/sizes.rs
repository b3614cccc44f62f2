//! The sizes of [`Fixed`](super::Fixed) and [`WithGroups`](super::WithGroups), by name.
//!
//! None of these types has a value. Each is a parameter of the storage.

/// Maximum number of secure sessions. One place is for PASE, so `Sessions<1>` has no CASE session.
///
/// A node of `n` fabrics must be able to hold `3 * n + 1`, and joins no more fabrics than that allows
/// ([`Config::max_fabrics`](crate::manager::Config::max_fabrics)).
#[derive(Clone, Copy, Debug)]
pub enum Sessions<const N: usize> {}

/// Exchanges of secure sessions at once. A quarter, and one at least, is kept for those that this
/// node begins, and as many for those of peers. Four places for each three fabrics let every fabric
/// have one, whatever other fabrics have begun, while this node has begun no more than a quarter.
///
/// A place is taken until the peer has acknowledged the answer. A request that finds none is
/// refused, and the peer retransmits it. If a peer has as many requests at once as there are
/// places, and many datagrams are lost, one of them can be refused each time that it arrives. Its
/// sender then gives it up as undelivered. Many peers send five at once, and some more.
#[derive(Clone, Copy, Debug)]
pub enum Exchanges<const N: usize> {}

/// Handshakes at once.
#[derive(Clone, Copy, Debug)]
pub enum Handshakes<const N: usize> {}

/// Fabrics. A node must support five at least. They share 800 bytes each for their certificates.
#[derive(Clone, Copy, Debug)]
pub enum Fabrics<const N: usize> {}

/// Resumption records: three for each fabric at least.
#[derive(Clone, Copy, Debug)]
pub enum Records<const N: usize> {}

/// Bytes of all messages in flight together, and of the certificates of peers whose session has
/// not been reported to the application yet. From 1,265 to 65,535.
///
/// A message takes 63 bytes more than its payload. A handshake is begun when there is room for its
/// largest message, 1,243 bytes, and returns what it does not need. A message without room is
/// refused: [`SendError::NoRoom`](crate::manager::SendError::NoRoom), or a Busy report to the peer.
///
/// From 2,508 bytes on, messages of sessions leave 1,243 to handshakes. Of the rest, each fabric
/// can always have 1,265: the longest message over UDP. It takes more only while it leaves as much
/// to every other fabric that has a session, and to the other peers of its own. So
/// `1243 + 1265 * (n + 1)` bytes for `n` fabrics keep one long message free for handshakes, one for
/// each fabric, and one for the other peers of the fabric that has most, whatever peers leave
/// unacknowledged. With fewer bytes, as many fabrics as have room can have one, and no fabric has a
/// second while others have sessions. Handshakes can take more than those 1,243 while bytes are
/// free: count 1,243 for each of [`Handshakes`] where long messages must be sent at once although
/// unauthenticated senders leave handshakes half open. A longer message, over TCP, can take all
/// bytes that are free while no other is in flight.
#[derive(Clone, Copy, Debug)]
pub enum MessageBytes<const N: usize> {}

/// Group key sets of all fabrics. A node must support three for each fabric.
#[derive(Clone, Copy, Debug)]
pub enum KeySets<const N: usize> {}

/// Groups of all fabrics. A node must support four for each fabric.
#[derive(Clone, Copy, Debug)]
pub enum Groups<const N: usize> {}

/// Senders to groups whose counters are remembered until a restart: once for each key that they
/// send with, and once more if they ask for this node's counter. Each key set that a node can have
/// has an equal part. A node must support 12 for each fabric: 12 for each of the [`KeySets`] are
/// enough for all groups of a fabric, whichever key set they have. With fewer the node joins fewer
/// fabrics, unless
/// [`Config::with_less_than_specified`](crate::manager::Config::with_less_than_specified) is set.
#[derive(Clone, Copy, Debug)]
pub enum Senders<const N: usize> {}
