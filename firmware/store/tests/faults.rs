//! No fault of the medium undoes a removal or a newer value: all sequences of operations up to a
//! bound, with every fault of the model at every step.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use std::cell::RefCell;
use std::rc::Rc;

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use flash_store::ram::{Fault, RamFlash, RamFlashError};
use flash_store::{Error, Store};

/// A bank holds three or four items: a bank change is never far.
const LEN: usize = 208;
const REGION: core::ops::Range<u32> = 0..208;
type Chip = RamFlash<LEN, 104>;

/// Flash that the test can reach while a store has it.
#[derive(Clone)]
struct Flash(Rc<RefCell<Chip>>);

impl Flash {
    fn new(chip: Chip) -> Self {
        Self(Rc::new(RefCell::new(chip)))
    }

    fn chip(&self) -> Chip {
        self.0.borrow().clone()
    }
}

impl ErrorType for Flash {
    type Error = RamFlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), RamFlashError> {
        self.0.borrow_mut().read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        LEN
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 104;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), RamFlashError> {
        self.0.borrow_mut().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), RamFlashError> {
        self.0.borrow_mut().write(offset, bytes)
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Put(u16, usize),
    Remove(u16),
    Scrub,
}

const OPS: [Op; 6] =
    [Op::Put(0, 3), Op::Put(1, 3), Op::Put(1, 20), Op::Remove(0), Op::Remove(1), Op::Scrub];

impl Op {
    /// `step` makes values differ.
    fn run<F: NorFlash>(self, step: u8, store: &mut Store<F>) -> Result<(), Error<F::Error>> {
        match self {
            Self::Put(key, len) => store.put(key, &vec![step; len]),
            Self::Remove(key) => store.remove(key).map(drop),
            Self::Scrub => store.scrub(),
        }
    }
}

/// What a key may read as: its newest acknowledged value, and newer ones that were under way.
#[derive(Clone, Debug, Default)]
struct Allowed {
    values: Vec<Option<Vec<u8>>>,
}

#[derive(Clone, Debug)]
struct Model([Allowed; 2]);

impl Model {
    fn new() -> Self {
        Self([0, 1].map(|_| Allowed { values: vec![None] }))
    }

    fn run(&mut self, op: Op, step: u8, acknowledged: bool) {
        let (key, value) = match op {
            Op::Put(key, len) => (key, Some(vec![step; len])),
            Op::Remove(key) => (key, None),
            Op::Scrub => return,
        };
        let allowed = &mut self.0[usize::from(key)].values;
        if acknowledged {
            allowed.clear();
        }
        allowed.push(value);
    }

    /// Looks at every key. What was read once is from then on the least that must be read. Returns
    /// whether something was said to be lost.
    fn see<F: NorFlash>(&mut self, store: &mut Store<F>, what: &dyn Fn() -> String) -> bool {
        let mut lost = false;
        for (key, allowed) in self.0.iter_mut().enumerate() {
            let mut buf = [0; 64];
            match store.get(key as u16, &mut buf) {
                Ok(found) => {
                    let found = found.map(<[u8]>::to_vec);
                    let at = allowed.values.iter().position(|value| *value == found);
                    let at = at.unwrap_or_else(|| {
                        panic!("{}: key {key} is {found:?}, not of {allowed:?}", what())
                    });
                    allowed.values.drain(..at);
                }
                Err(_) => lost = true,
            }
        }
        lost
    }
}

/// A chip as it is at rest, and what its keys may be.
#[derive(Clone)]
struct State {
    chip: Chip,
    model: Model,
    trace: Vec<Op>,
}

impl State {
    /// The state that these operations lead to.
    fn after(trace: &[Op], backwards: bool) -> Self {
        let mut chip = Chip::new();
        if backwards {
            chip.erase_backwards();
        }
        let store = Store::open(Flash::new(chip), REGION).unwrap();
        let start = Self { chip: store.flash().chip(), model: Model::new(), trace: Vec::new() };
        trace.iter().fold(start, |state, op| state.then(*op))
    }

    fn step(&self) -> u8 {
        self.trace.len() as u8 + 1
    }

    /// The state after an operation that meets no fault.
    fn then(&self, op: Op) -> Self {
        let mut next = self.clone();
        let mut store = Store::open(Flash::new(self.chip.clone()), REGION).unwrap();
        op.run(self.step(), &mut store).unwrap();
        next.model.run(op, self.step(), true);
        next.trace.push(op);
        assert!(!next.model.see(&mut store, &|| format!("{:?}", next.trace)));
        next.chip = store.flash().chip();
        next
    }

    /// Takes the power away, looks, and goes on with each operation over one more restart.
    fn restart(&self, damaged: bool, what: &dyn Fn() -> String) {
        let mut chip = self.chip.clone();
        chip.restore_power();
        for op in OPS {
            let flash = Flash::new(chip.clone());
            let mut model = self.model.clone();
            let mut store = match Store::open(flash.clone(), REGION) {
                Ok(store) => store,
                Err(error) => {
                    assert!(damaged, "{}: {error:?}", what());
                    return;
                }
            };
            let lost = model.see(&mut store, what);
            assert!(damaged || !lost, "{}: something is lost", what());
            let step = self.step() + 1;
            let done = op.run(step, &mut store);
            assert!(damaged || done.is_ok(), "{}: then {op:?} fails: {done:?}", what());
            model.run(op, step, done.is_ok());
            let mut chip = flash.chip();
            chip.restore_power();
            match Store::open(Flash::new(chip), REGION) {
                Ok(mut store) => drop(model.see(&mut store, &|| what() + &format!(", {op:?}"))),
                Err(error) => assert!(damaged, "{}, {op:?}: {error:?}", what()),
            }
        }
    }
}

/// Where the sequences begin: an empty store, and one whose next entries change the bank.
const STARTS: [&[Op]; 2] = [&[], &[Op::Put(0, 3), Op::Put(1, 3), Op::Put(0, 3)]];
/// So many operations follow, each of them any.
const DEPTH: usize = if cfg!(debug_assertions) { 1 } else { 2 };

fn each_state(depth: usize, see: &mut impl FnMut(&State)) {
    fn go(state: &State, depth: usize, see: &mut impl FnMut(&State)) {
        see(state);
        if depth > 0 {
            for op in OPS {
                go(&state.then(op), depth - 1, see);
            }
        }
    }
    for start in STARTS {
        for backwards in [false, true] {
            go(&State::after(start, backwards), depth, see);
        }
    }
}

/// Runs an operation over a fault, which `arm` puts in. Then the power fails; or the device goes
/// on with each operation, and it fails then. Returns the flash, or `None` if the fault did not
/// strike.
fn strike(
    state: &State,
    op: Op,
    arm: &dyn Fn(&mut Chip),
    what: &dyn Fn() -> String,
) -> Option<State> {
    let armed = || {
        let (flash, mut model) = (Flash::new(state.chip.clone()), state.model.clone());
        let mut store = Store::open(flash.clone(), REGION).unwrap();
        arm(&mut flash.0.borrow_mut());
        let done = op.run(state.step(), &mut store);
        model.run(op, state.step(), done.is_ok());
        (flash, store, model)
    };
    let (flash, _, model) = armed();
    if flash.0.borrow().is_fault_pending() {
        return None;
    }
    let mut struck = State { chip: flash.chip(), model, trace: state.trace.clone() };
    struck.trace.push(op);
    struck.restart(false, what);
    for next in OPS {
        let (flash, mut store, mut model) = armed();
        if flash.0.borrow().is_off() {
            break;
        }
        let done = next.run(struck.step(), &mut store);
        let off = flash.0.borrow().is_off();
        let what = || what() + &format!(", then {next:?}");
        // A fault strikes once: what comes after it works.
        assert!(off || done.is_ok(), "{}: {done:?}", what());
        model.run(next, struck.step(), done.is_ok());
        let mut chip = flash.chip();
        chip.restore_power();
        let mut store = Store::open(Flash::new(chip), REGION).unwrap();
        assert!(!model.see(&mut store, &what), "{}: something is lost", what());
    }
    Some(struck)
}

#[test]
fn no_wrong_report_of_the_driver_undoes_what_was_acknowledged() {
    let mut faults = 0_u32;
    each_state(DEPTH, &mut |state| {
        for op in OPS {
            'calls: for call in 0.. {
                for bytes in [0, 1, 4, 6, 8, 11, 12, 90, LEN] {
                    let kinds = [Fault::Failed(bytes), Fault::Torn(bytes), Fault::Skipped(bytes)];
                    for fault in kinds {
                        let what = || format!("{:?} {op:?}, call {call}: {fault:?}", state.trace);
                        let arm = |chip: &mut Chip| chip.fail_after(call, fault);
                        if strike(state, op, &arm, &what).is_none() {
                            break 'calls;
                        }
                        faults += 1;
                    }
                }
            }
        }
    });
    assert!(faults > 5_000, "{faults} faults");
}

#[test]
fn no_power_cut_undoes_what_was_acknowledged() {
    let mut cuts = 0_u32;
    each_state(DEPTH, &mut |state| {
        for op in OPS {
            for bytes in 0.. {
                let torn = [0x00, 0xFF, 0xA5][bytes % 3];
                let what = || format!("{:?} {op:?}, cut after {bytes}", state.trace);
                let cut = strike(state, op, &|chip| chip.cut_after(bytes, torn), &what);
                if !cut.is_some_and(|cut| cut.chip.is_off()) {
                    break;
                }
                cuts += 1;
            }
        }
    });
    assert!(cuts > 5_000, "{cuts} cuts");
}

/// Flips a bit of a chip at rest, or while a store is open.
fn flip(state: &State, bit: usize, what: &dyn Fn() -> String) -> Result<bool, ()> {
    let mut bad = state.clone();
    bad.chip.restore_power();
    bad.chip.as_mut_bytes()[bit / 8] ^= 1 << (bit % 8);
    bad.restart(true, what);
    let mut model = bad.model.clone();
    match Store::open(Flash::new(bad.chip), REGION) {
        Ok(mut store) => Ok(model.see(&mut store, what)),
        Err(Error::Lost) => Err(()),
        Err(error) => panic!("{}: {error:?}", what()),
    }
}

#[test]
fn no_flipped_bit_undoes_what_was_acknowledged() {
    let (mut harmless, mut damaged, mut lost) = (0_u32, 0_u32, 0_u32);
    each_state(DEPTH, &mut |state| {
        for bit in 0..LEN * 8 {
            let what = || format!("{:?}, bit {bit}", state.trace);
            match flip(state, bit, &what) {
                Ok(false) => harmless += 1,
                Ok(true) => damaged += 1,
                Err(()) => lost += 1,
            }
        }
    });
    // The other bank and the free part cost nothing, a value costs itself.
    assert!(harmless > lost && harmless > damaged && damaged > 0 && lost > 0);
}

/// Two faults: an operation is interrupted, and before the store is opened a bit flips.
#[test]
fn no_flipped_bit_after_a_power_cut_undoes_what_was_acknowledged() {
    let mut flips = 0_u32;
    each_state(DEPTH.min(1), &mut |state| {
        for op in OPS {
            for bytes in 0.. {
                let flash = Flash::new(state.chip.clone());
                let mut store = Store::open(flash.clone(), REGION).unwrap();
                flash.0.borrow_mut().cut_after(bytes, 0x5A);
                let done = op.run(state.step(), &mut store);
                if !flash.0.borrow().is_off() {
                    break;
                }
                let mut cut = State { chip: flash.chip(), ..state.clone() };
                cut.trace.push(op);
                cut.model.run(op, state.step(), done.is_ok());
                let every = if cfg!(debug_assertions) { 101 } else { 23 };
                for bit in (flips as usize % every..LEN * 8).step_by(every) {
                    let what = || format!("{:?}, cut after {bytes}, bit {bit}", cut.trace);
                    let _ = flip(&cut, bit, &what);
                    flips += 1;
                }
            }
        }
    });
    assert!(flips > 10_000, "{flips} flips");
}

#[test]
fn no_bit_that_flips_under_an_open_store_undoes_what_was_acknowledged() {
    each_state(DEPTH.min(1), &mut |state| {
        for bit in 0..LEN * 8 {
            for op in OPS {
                let what = || format!("{:?}, bit {bit} under the store, {op:?}", state.trace);
                let (flash, mut model) = (Flash::new(state.chip.clone()), state.model.clone());
                let mut store = Store::open(flash.clone(), REGION).unwrap();
                flash.0.borrow_mut().as_mut_bytes()[bit / 8] ^= 1 << (bit % 8);
                model.see(&mut store, &what);
                let done = op.run(state.step(), &mut store);
                model.run(op, state.step(), done.is_ok());
                model.see(&mut store, &what);
                if let Ok(mut store) = Store::open(flash, REGION) {
                    model.see(&mut store, &what);
                }
            }
        }
    });
}

/// The bank changes, the header of the new bank is written, and the driver reports a failure. The
/// device goes on, and is reset.
#[test]
fn a_bank_change_that_was_only_reported_as_failed_undoes_nothing() {
    for call in 0..30 {
        let flash = Flash::new(Chip::new());
        let mut store = Store::open(flash.clone(), REGION).unwrap();
        store.put(0, b"removed").unwrap();
        store.put(1, b"kept").unwrap();
        flash.0.borrow_mut().fail_after(call, Fault::Failed(LEN));
        let _ = store.scrub();
        store.remove(0).unwrap();
        store.put(2, b"new").unwrap();
        let mut chip = flash.chip();
        chip.restore_power();
        let mut store = Store::open(Flash::new(chip), REGION).unwrap();
        let mut buf = [0; 16];
        assert_eq!(store.get(0, &mut buf), Ok(None), "call {call}");
        assert_eq!(store.get(1, &mut buf), Ok(Some(&b"kept"[..])), "call {call}");
        assert_eq!(store.get(2, &mut buf), Ok(Some(&b"new"[..])), "call {call}");
    }
}

/// One damaged value costs its item, until that is written again, over bank changes.
#[test]
fn a_damaged_value_is_reported_until_it_is_replaced() {
    let mut store = Store::open(Flash::new(Chip::new()), REGION).unwrap();
    store.put(0, b"former").unwrap();
    store.put(0, b"newest").unwrap();
    store.put(1, b"other").unwrap();
    let flash = store.into_flash();
    let mut chip = flash.chip();
    let at = chip.as_bytes().windows(6).position(|bytes| bytes == b"newest").unwrap();
    chip.as_mut_bytes()[at] ^= 1;
    let mut store = Store::open(Flash::new(chip), REGION).unwrap();
    let mut buf = [0; 16];
    for _ in 0..3 {
        assert_eq!(store.get(0, &mut buf), Err(Error::Damaged { key: 0 }));
        let mut items = store.iter();
        assert_eq!(items.next_into(&mut buf), Err(Error::Damaged { key: 0 }));
        assert_eq!(items.next_into(&mut buf), Ok(Some((1, &b"other"[..]))));
        assert_eq!(items.next_into(&mut buf), Ok(None));
        store.scrub().unwrap();
    }
    store.put(0, b"newest").unwrap();
    assert_eq!(store.get(0, &mut buf), Ok(Some(&b"newest"[..])));
}

#[test]
fn a_lost_store_says_so_until_it_is_formatted() {
    let mut store = Store::open(Flash::new(Chip::new()), REGION).unwrap();
    store.put(0, b"x").unwrap();
    let mut chip = store.flash().chip();
    chip.as_mut_bytes()[0] ^= 1;
    for _ in 0..2 {
        assert_eq!(Store::open(Flash::new(chip.clone()), REGION).err(), Some(Error::Lost));
    }
    let formatted = Store::format(Flash::new(chip.clone()), REGION).unwrap().into_flash();
    assert!(!Store::open_or_format(formatted, REGION).unwrap().1);
    let (mut store, lost) = Store::open_or_format(Flash::new(chip), REGION).unwrap();
    assert!(lost);
    assert_eq!(store.get(0, &mut [0; 16]), Ok(None));
    let chip = store.flash().chip();
    assert!(Store::open(Flash::new(chip), REGION).is_ok());
}
