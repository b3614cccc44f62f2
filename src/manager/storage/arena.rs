//! Bytes of many sizes in one array.

use core::cell::Cell;

use zeroize::Zeroize;

use super::{ByteStore, Owner};
use crate::ids::FabricIndex;
use crate::manager::handle::{ExchangeKey, Source};

/// Items one after the other, without gaps: what follows an item that goes moves up.
///
/// ```text
/// owner (9) │ length LE (2) │ bytes │ owner │ ... │ free
/// ```
#[derive(Debug)]
pub struct Arena<A: Array> {
    array: A,
    used: usize,
}

/// Bytes in a row.
pub trait Array {
    /// All zero.
    const ZERO: Self;
    /// How many there are.
    const LEN: usize;
    /// All of them.
    fn bytes(&self) -> &[u8];
    /// All of them, to be written.
    fn octets_mut(&mut self) -> &mut [u8];
}

impl<const N: usize> Array for [u8; N] {
    const ZERO: Self = [0; N];
    const LEN: usize = N;

    fn bytes(&self) -> &[u8] {
        self
    }

    fn octets_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl<const N: usize, const M: usize> Array for [[u8; M]; N] {
    const ZERO: Self = [[0; M]; N];
    const LEN: usize = N * M;

    fn bytes(&self) -> &[u8] {
        self.as_flattened()
    }

    fn octets_mut(&mut self) -> &mut [u8] {
        self.as_flattened_mut()
    }
}

const OWNER_LEN: usize = 9;
pub(super) const HEADER_LEN: usize = OWNER_LEN + size_of::<u16>();

/// Where an item stands.
struct Item {
    header: usize,
    start: usize,
    end: usize,
}

// What walks along the items is not inlined: every message does so several times.

impl<A: Array> Arena<A> {
    fn items(&self) -> impl Iterator<Item = (&[u8; OWNER_LEN], Item)> {
        let mut at = 0;
        core::iter::from_fn(move || {
            let rest = self.array.bytes().get(at..self.used)?;
            let (owner, rest) = rest.split_first_chunk()?;
            let len = u16::from_le_bytes(*rest.first_chunk()?);
            let start = at.saturating_add(HEADER_LEN);
            let item = Item { header: at, start, end: start.saturating_add(len.into()) };
            at = item.end;
            Some((owner, item))
        })
    }

    #[inline(never)]
    fn find(&self, owner: Owner) -> Option<Item> {
        let wanted = encode(owner);
        self.items().find(|(owner, _)| **owner == wanted).map(|(_, item)| item)
    }

    /// How many bytes are free when those of the owner are.
    fn free(&self, owner: Owner) -> usize {
        let own = self.find(owner).map_or(0, |item| item.end.saturating_sub(item.header));
        A::LEN.saturating_sub(self.used).saturating_add(own)
    }

    /// Removes bytes; those behind them move up. The bytes that become free are wiped: messages
    /// that wait to be sealed are not encrypted.
    #[inline(never)]
    fn cut(&mut self, start: usize, end: usize) {
        let gap = end.saturating_sub(start);
        if let Some(tail) = self.array.octets_mut().get_mut(start..self.used)
            && gap <= tail.len()
        {
            // Byte by byte: `copy_within` brings `memmove` into the image, 1.6 kB.
            let tail = Cell::from_mut(tail).as_slice_of_cells();
            for (to, from) in tail.iter().zip(tail.iter().skip(gap)) {
                to.set(from.get());
            }
            let (_, free) = tail.split_at(tail.len().saturating_sub(gap));
            free.iter().for_each(|octet| octet.set(0));
            self.used = self.used.saturating_sub(gap);
        }
    }
}

impl<A: Array> Drop for Arena<A> {
    fn drop(&mut self) {
        self.array.octets_mut().zeroize();
    }
}

impl<A: Array> ByteStore for Arena<A> {
    const EMPTY: Self = {
        assert!(A::LEN <= u16::MAX as usize, "lengths have two bytes");
        Self { array: A::ZERO, used: 0 }
    };

    const CAPACITY: Option<usize> = Some(A::LEN);
    const OVERHEAD: usize = HEADER_LEN;

    /// The bytes stay here; the owner finds them by its name.
    type Held = [u8; 0];

    fn owners(&self) -> impl Iterator<Item = (Owner, usize)> {
        self.items().filter_map(|(owner, item)| {
            Some((decode(owner)?, item.end.saturating_sub(item.header)))
        })
    }

    fn room(&self, owner: Owner) -> usize {
        self.free(owner).saturating_sub(HEADER_LEN)
    }

    #[inline(never)]
    fn allocate(&mut self, owner: Owner, len: usize) -> Option<[u8; 0]> {
        if HEADER_LEN.saturating_add(len) > self.free(owner) {
            return None;
        }
        self.release(owner);
        let (to, rest) = self.array.octets_mut().get_mut(self.used..)?.split_first_chunk_mut()?;
        *to = encode(owner);
        *rest.first_chunk_mut()? = u16::try_from(len).ok()?.to_le_bytes();
        self.used = self.used.saturating_add(HEADER_LEN).saturating_add(len);
        Some([])
    }

    #[inline(never)]
    fn shrink(&mut self, owner: Owner, len: usize) {
        let Some(Item { header, start, end }) = self.find(owner) else { return };
        let kept = start.saturating_add(len);
        let length = self.array.octets_mut().get_mut(header.saturating_add(OWNER_LEN)..);
        if kept < end
            && let Some(length) = length.and_then(<[u8]>::first_chunk_mut)
            && let Ok(short) = u16::try_from(len)
        {
            *length = short.to_le_bytes();
            self.cut(kept, end);
        }
    }

    fn get<'a>(&'a self, owner: Owner, _: &'a [u8; 0]) -> &'a [u8] {
        let item = self.find(owner);
        item.and_then(|item| self.array.bytes().get(item.start..item.end)).unwrap_or_default()
    }

    fn get_mut<'a>(&'a mut self, owner: Owner, _: &'a mut [u8; 0]) -> &'a mut [u8] {
        let item = self.find(owner);
        item.and_then(|item| self.array.octets_mut().get_mut(item.start..item.end))
            .unwrap_or_default()
    }

    fn get_many_mut<'a, const N: usize>(
        &'a mut self,
        owners: [Option<(Owner, &'a mut [u8; 0])>; N],
    ) -> [&'a mut [u8]; N] {
        let items = owners.map(|owner| owner.and_then(|(owner, _)| self.find(owner)));
        let ranges = items.map(|item| item.map_or(0..0, |item| item.start..item.end));
        // Items of different owners never overlap.
        let many = self.array.octets_mut().get_disjoint_mut(ranges);
        many.unwrap_or_else(|_| [(); N].map(|()| <&mut [u8]>::default()))
    }

    #[inline(never)]
    fn release(&mut self, owner: Owner) {
        if let Some(Item { header, end, .. }) = self.find(owner) {
            self.cut(header, end);
        }
    }
}

fn encode(owner: Owner) -> [u8; OWNER_LEN] {
    let (kind, number) = match owner {
        Owner::Message(Source::Handshake(id)) => (0, id),
        Owner::Certificates(id) => (1, id),
        Owner::Message(Source::Exchange(key)) => (2, key.number()),
        Owner::Fabric(index) => (3, index.get().into()),
        Owner::GroupMessage(serial) => (4, serial),
    };
    let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
    [kind, a, b, c, d, e, f, g, h]
}

fn decode(owner: &[u8; OWNER_LEN]) -> Option<Owner> {
    let [kind, number @ ..] = *owner;
    let number = u64::from_le_bytes(number);
    Some(match kind {
        0 => Owner::Message(Source::Handshake(number)),
        1 => Owner::Certificates(number),
        2 => Owner::Message(Source::Exchange(ExchangeKey::from_number(number)?)),
        3 => Owner::Fabric(FabricIndex::new(u8::try_from(number).ok()?)?),
        _ => Owner::GroupMessage(number),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::std_instead_of_alloc, reason = "tests have std and panic")]
mod tests {
    use std::collections::BTreeMap;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::ids::LocalSessionId;

    const ROOM: usize = 300;

    fn owner(n: u64) -> Owner {
        match n % 3 {
            0 => Owner::Message(Source::Handshake(n)),
            1 => Owner::Certificates(n),
            _ => Owner::Message(Source::Exchange(ExchangeKey {
                session: LocalSessionId::new(n.try_into().unwrap()).unwrap(),
                id: crate::ids::ExchangeId::new(7),
                initiator: n > 3,
            })),
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Op {
        Allocate(u64, usize, u8),
        Shrink(u64, usize),
        Release(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        let who = 1..7_u64;
        prop_oneof![
            3 => (who.clone(), 0..120_usize, any::<u8>()).prop_map(|(o, n, b)| Op::Allocate(o, n, b)),
            1 => (who.clone(), 0..120_usize).prop_map(|(o, n)| Op::Shrink(o, n)),
            1 => who.prop_map(Op::Release),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(ops in prop::collection::vec(op(), 0..60)) {
            let mut arena = Arena::<[u8; ROOM]>::EMPTY;
            let mut model = BTreeMap::<u64, Vec<u8>>::new();
            for op in ops {
                match op {
                    Op::Allocate(n, len, octet) => {
                        let others = model.iter().filter(|(key, _)| **key != n);
                        let used: usize = others.map(|(_, held)| held.len() + HEADER_LEN).sum();
                        let room = (ROOM - used).saturating_sub(HEADER_LEN);
                        prop_assert_eq!(arena.room(owner(n)), room);
                        let fits = arena.allocate(owner(n), len).is_some();
                        prop_assert_eq!(fits, used + HEADER_LEN + len <= ROOM);
                        if fits {
                            arena.get_mut(owner(n), &mut []).fill(octet);
                            model.insert(n, std::vec![octet; len]);
                        }
                    }
                    Op::Shrink(n, len) => {
                        arena.shrink(owner(n), len);
                        if let Some(held) = model.get_mut(&n) {
                            held.truncate(len);
                        }
                    }
                    Op::Release(n) => {
                        arena.release(owner(n));
                        model.remove(&n);
                    }
                }
                let (a, b) = (model.keys().next().copied(), model.keys().last().copied());
                if let (Some(a), Some(b)) = (a, b)
                    && a != b
                {
                    for (a, b) in [(a, b), (b, a)] {
                        let (mut first, mut second) = ([], []);
                        let owners = [Some((owner(a), &mut first)), None, Some((owner(b), &mut second))];
                        let [first, none, second] = arena.get_many_mut(owners);
                        prop_assert_eq!(&*first, model[&a].as_slice());
                        prop_assert!(none.is_empty());
                        prop_assert_eq!(&*second, model[&b].as_slice());
                    }
                }
                let owned: BTreeMap<_, _> =
                    arena.owners().map(|(owner, len)| (encode(owner), len)).collect();
                let expected: BTreeMap<_, _> = model
                    .iter()
                    .map(|(n, held)| (encode(owner(*n)), held.len() + HEADER_LEN))
                    .collect();
                prop_assert_eq!(owned, expected);
                let free = &arena.array[arena.used..];
                prop_assert!(free.iter().all(|octet| *octet == 0), "what is free is wiped");
                for n in 1..7 {
                    let held = model.get(&n).map(Vec::as_slice).unwrap_or_default();
                    prop_assert_eq!(arena.get(owner(n), &[]), held);
                }
            }
        }
    }
}
