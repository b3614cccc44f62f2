//! What must be true of a device after each restart, as plain sets.

use std::collections::{BTreeMap, BTreeSet};

/// The lasting state of a device, but for its records and counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Each fabric by its index, as it is stored.
    pub(crate) fabrics: BTreeMap<u8, Vec<u8>>,
    /// Group key sets, groups and Check-In clients, by kind, fabric and id.
    pub(crate) items: BTreeMap<(u8, u8, u64), Vec<u8>>,
}

impl State {
    pub(crate) fn without(&self, fabric: u8) -> Self {
        let mut next = self.clone();
        next.fabrics.remove(&fabric);
        next.items.retain(|(_, of, _), _| *of != fabric);
        next
    }
}

/// The peer of a record: its fabric and node id.
pub(crate) type Of = (u8, u64);
pub(crate) type Records = BTreeMap<Of, [u8; 16]>;

/// The counters of a device.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counter {
    Data,
    Control,
    CheckIn,
}

/// What was acknowledged, and what may be because it was under way when the power failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) state: State,
    /// What an operation leads to that has begun and was not acknowledged.
    next: Option<State>,
    /// The fabric for which the fail-safe is armed, and what its completion leads to. `None` in its
    /// place: the addition or update was not acknowledged.
    armed: Option<(u8, Option<State>)>,
    /// The ids of records that may be there.
    records: BTreeMap<Of, BTreeSet<[u8; 16]>>,
    used: [BTreeSet<u32>; 3],
}

impl Ledger {
    /// An operation begins: from now on a restart may find this instead.
    pub(crate) fn begin(&mut self, next: State) {
        self.next = Some(next);
    }

    /// The operation that has begun was acknowledged.
    pub(crate) fn acknowledge(&mut self) {
        self.state = self.next.take().expect("an operation");
        let fabrics = &self.state.fabrics;
        self.records.retain(|(fabric, _), _| fabrics.contains_key(fabric));
    }

    /// A fabric is added or updated from now on. Nothing of it counts before its completion.
    pub(crate) fn arm(&mut self, fabric: u8) {
        self.armed = Some((fabric, None));
    }

    /// The addition or update was acknowledged. No record from before may be there any more.
    pub(crate) fn is_armed(&mut self, fabric: u8, complete: State) {
        self.armed = Some((fabric, Some(complete)));
        self.forget_records(fabric);
    }

    /// The commissioner completes from now on.
    pub(crate) fn begin_completion(&mut self) {
        let (_, complete) = self.armed.clone().expect("an armed fail-safe");
        self.begin(complete.expect("an acknowledged change"));
    }

    pub(crate) fn completed(&mut self) {
        self.armed = None;
        self.acknowledge();
    }

    /// The fail-safe has expired, and what it was for is undone.
    pub(crate) fn expired(&mut self) {
        let (fabric, _) = self.armed.take().expect("an armed fail-safe");
        self.forget_records(fabric);
    }

    /// The device changes the record of a peer from now on.
    pub(crate) fn begin_record(&mut self, of: Of, id: Option<[u8; 16]>) {
        self.records.entry(of).or_default().extend(id);
    }

    /// The record was kept, or given up.
    pub(crate) fn record_kept(&mut self, of: Of, id: Option<[u8; 16]>) {
        self.records.insert(of, id.into_iter().collect());
    }

    fn forget_records(&mut self, fabric: u8) {
        self.records.retain(|(of, _), _| *of != fabric);
    }

    /// A value of a counter was used.
    pub(crate) fn count(&mut self, counter: Counter, value: u32) {
        assert!(self.used[counter as usize].insert(value), "{counter:?} {value} comes twice");
    }

    /// After a restart: what is found must be what was acknowledged, or what was under way, whole.
    /// From now on it is that, and what is missing stays so.
    pub(crate) fn check(&mut self, found: &State, records: &Records, what: &dyn Fn() -> String) {
        let expected = *found == self.state || self.next.as_ref() == Some(found);
        let describe = |state: &State| {
            let fabrics: Vec<_> = state.fabrics.iter().map(|(at, it)| (*at, it.len())).collect();
            format!("fabrics {fabrics:?}, items {:?}", state.items.keys().collect::<Vec<_>>())
        };
        assert!(
            expected,
            "{}:\nfound {}\nnot {}\nnor {:?}",
            what(),
            describe(found),
            describe(&self.state),
            self.next.as_ref().map(describe)
        );
        if let Some((fabric, Some(complete))) = self.armed.take()
            && complete != *found
        {
            self.forget_records(fabric);
        }
        for (of, id) in records {
            let may_be = self.records.get(of).is_some_and(|ids| ids.contains(id));
            assert!(may_be, "{}: a former record of {of:?} is back", what());
        }
        (self.state, self.next) = (found.clone(), None);
        self.records = records.iter().map(|(of, id)| (*of, BTreeSet::from([*id]))).collect();
    }
}
