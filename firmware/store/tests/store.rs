//! What the store promises, on emulated flash whose power fails after every single octet.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)]

use std::collections::BTreeMap;

use embedded_storage::nor_flash::NorFlash;
use flash_store::ram::{RamFlash, RamFlashError};
use flash_store::{Error, Store};

/// Two banks of two small pages: every bank change is near.
type Flash = RamFlash<1024, 256>;
type Model = BTreeMap<u16, Vec<u8>>;

const REGION: core::ops::Range<u32> = 0..1024;

#[derive(Clone, Debug)]
enum Op {
    Put(u16, Vec<u8>),
    Remove(u16),
    Scrub,
}

impl Op {
    fn run<F: NorFlash>(&self, store: &mut Store<F>) -> Result<(), Error<F::Error>> {
        match self {
            Self::Put(key, value) => store.put(*key, value),
            Self::Remove(key) => store.remove(*key).map(|_| ()),
            Self::Scrub => store.scrub(),
        }
    }

    fn apply(&self, model: &mut Model) {
        match self {
            Self::Put(key, value) => drop(model.insert(*key, value.clone())),
            Self::Remove(key) => drop(model.remove(key)),
            Self::Scrub => {}
        }
    }
}

/// A generator that is the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    fn op(&mut self) -> Op {
        let key = [0, 1, 2, 0x12FF, 0xFFFE][self.roll(5)];
        match self.roll(10) {
            0 => Op::Scrub,
            1..=2 => Op::Remove(key),
            _ => {
                let len = [0, 1, 3, 4, 17, 64, 70][self.roll(7)];
                let fill = [0x00, 0xFF, self.roll(256) as u8][self.roll(3)];
                let mut value = vec![fill; len];
                if len > 2 {
                    value[len / 2] = self.roll(256) as u8;
                }
                Op::Put(key, value)
            }
        }
    }
}

fn contents<F: NorFlash>(store: &mut Store<F>) -> Model
where
    F::Error: core::fmt::Debug,
{
    let (mut items, mut model, mut buf) = (store.iter(), Model::new(), [0; 512]);
    while let Some((key, value)) = items.next_into(&mut buf).unwrap() {
        assert!(model.insert(key, value.to_vec()).is_none(), "each key once");
    }
    for (key, value) in &model {
        assert_eq!(store.get(*key, &mut buf).unwrap(), Some(&value[..]));
    }
    model
}

fn after_restart(mut flash: Flash) -> Store<Flash> {
    flash.restore_power();
    Store::open(flash, REGION).unwrap()
}

#[test]
fn a_power_cut_after_any_octet_leaves_each_item_old_or_new() {
    let (mut cuts, mut bank_changes) = (0, 0);
    for seed in 0..6 {
        let mut dice = Dice(seed);
        let mut flash = Flash::new();
        if seed % 2 == 1 {
            flash.erase_backwards();
        }
        let mut store = Store::open(flash, REGION).unwrap();
        let mut model = Model::new();
        for _ in 0..60 {
            let op = dice.op();
            let (old, mut new) = (model.clone(), model.clone());
            op.apply(&mut new);
            let before = store.into_flash();
            for octets in 0.. {
                let mut flash = before.clone();
                flash.cut_after(octets, [0x00, 0x0F, 0xA5, 0xFF][dice.roll(4)]);
                let mut cut = Store::open(flash, REGION).unwrap();
                let outcome = op.run(&mut cut);
                if outcome.is_ok() && !cut.flash().is_off() {
                    break;
                }
                cuts += 1;
                bank_changes += usize::from(octets > 512);
                let mut found = after_restart(cut.into_flash());
                let state = contents(&mut found);
                match outcome {
                    Ok(()) => assert_eq!(state, new, "{op:?} was said to be done"),
                    Err(_) => assert!(state == old || state == new, "{op:?}, cut after {octets}"),
                }
                // And it goes on from there, over another cut, which may strike the recovery.
                let next = dice.op();
                let mut flash = found.into_flash();
                flash.cut_after(dice.roll(1200), 0x3C);
                let mut found = Store::open(flash, REGION).unwrap();
                let outcome = next.run(&mut found);
                let mut then = state.clone();
                next.apply(&mut then);
                let mut found = after_restart(found.into_flash());
                let last = contents(&mut found);
                match outcome {
                    Ok(()) => assert_eq!(last, then),
                    Err(_) => assert!(last == state || last == then, "{next:?} after {op:?}"),
                }
                found.put(7, b"still alive").unwrap();
                assert_eq!(found.get(7, &mut [0; 16]).unwrap(), Some(&b"still alive"[..]));
            }
            store = Store::open(before, REGION).unwrap();
            op.run(&mut store).unwrap();
            model = new;
            assert_eq!(contents(&mut store), model);
        }
    }
    assert!(cuts > 10_000 && bank_changes > 1_000, "{cuts} cuts, {bank_changes} in bank changes");
}

#[test]
fn a_power_cut_while_the_store_is_made_leaves_an_empty_store() {
    for garbage in [0x00, 0x5A, 0xFF] {
        for octets in 0.. {
            let mut flash = Flash::new();
            flash.as_mut_bytes().fill(garbage);
            flash.cut_after(octets, 0x0F);
            let made = match garbage {
                0xFF => Store::open(&mut flash, REGION).is_ok(),
                _ => Store::format(&mut flash, REGION).is_ok(),
            };
            if made && !flash.is_off() {
                break;
            }
            flash.restore_power();
            let mut store = match Store::open(&mut flash, REGION) {
                Err(Error::Lost) if garbage != 0xFF => Store::format(&mut flash, REGION).unwrap(),
                opened => opened.unwrap(),
            };
            assert_eq!(contents(&mut store), Model::new());
            store.put(1, b"x").unwrap();
        }
    }
}

fn survive_random_operations<const WORD: usize>() {
    let mut dice = Dice(99);
    let mut flash = RamFlash::<2048, 512, WORD>::new();
    let mut store = Store::open(&mut flash, 0..2048).unwrap();
    let mut model = Model::new();
    for n in 0..5_000 {
        let op = dice.op();
        op.run(&mut store).unwrap();
        op.apply(&mut model);
        if n % 7 == 0 {
            let flash = store.into_flash();
            store = Store::open(flash, 0..2048).unwrap();
        }
        if n % 50 == 0 {
            assert_eq!(contents(&mut store), model);
        }
    }
}

#[test]
fn items_survive_thousands_of_random_operations_whatever_the_word() {
    survive_random_operations::<1>();
    survive_random_operations::<4>();
    survive_random_operations::<8>();
    survive_random_operations::<16>();
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut store = Store::open(Flash::new(), REGION).unwrap();
    store.put(1, &[1; 200]).unwrap();
    let room = store.room().unwrap();
    assert_eq!(store.put(2, &vec![2; room + 1]), Err(Error::Full));
    assert_eq!(store.put(2, &vec![2; room]), Ok(()));
    assert_eq!(store.put(3, &[]), Err(Error::Full));
    assert_eq!(store.put(u16::MAX, &[]), Err(Error::Key));
    assert_eq!(store.put(1, &[0; 70_000]), Err(Error::Full));
    assert_eq!(store.get(1, &mut [0; 10]), Err(Error::BufferTooSmall { needed: 200 }));
    let full = Model::from([(1, vec![1; 200]), (2, vec![2; room])]);
    assert_eq!(contents(&mut store), full);
    // Replacing by something as long needs no more room than there is.
    store.put(1, &[3; 200]).unwrap();
    assert!(store.remove(2).unwrap());
    assert!(!store.remove(2).unwrap());
    assert_eq!(contents(&mut after_restart(store.into_flash())), Model::from([(1, vec![3; 200])]));
}

#[test]
fn an_equal_value_is_not_written_again() {
    let mut store = Store::open(Flash::new(), REGION).unwrap();
    store.put(1, b"same").unwrap();
    let before = *store.flash().as_bytes();
    store.put(1, b"same").unwrap();
    assert_eq!(store.flash().as_bytes(), &before);
}

#[test]
fn scrubbing_leaves_nothing_of_what_was_removed() {
    let secret = [0x42; 16];
    let mut store = Store::open(Flash::new(), REGION).unwrap();
    store.put(1, &secret).unwrap();
    store.put(2, b"kept").unwrap();
    store.remove(1).unwrap();
    let holds = |store: &Store<Flash>| store.flash().as_bytes().windows(16).any(|w| w == secret);
    assert!(holds(&store));
    store.scrub().unwrap();
    assert!(!holds(&store));
    assert_eq!(contents(&mut store), Model::from([(2, b"kept".to_vec())]));
}

#[test]
fn regions_that_are_no_two_banks_are_refused() {
    for region in [0..0, 0..256, 0..768, 128..1024, 0..2048] {
        assert_eq!(Store::open(Flash::new(), region).err(), Some(Error::Region));
    }
    assert!(Store::open(Flash::new(), 512..1024).is_ok());
}

/// The emulation is as strict as flash is.
#[test]
fn words_are_written_once_and_pages_are_erased_whole() {
    let mut flash = Flash::new();
    flash.write(4, &[1, 2, 3, 4]).unwrap();
    assert_eq!(flash.write(4, &[1, 2, 3, 4]), Err(RamFlashError::Overwritten));
    assert!(matches!(flash.write(2, &[0; 4]), Err(RamFlashError::Arguments(_))));
    assert!(matches!(flash.write(1024, &[0; 4]), Err(RamFlashError::Arguments(_))));
    assert!(matches!(flash.erase(0, 100), Err(RamFlashError::Arguments(_))));
    flash.erase(0, 256).unwrap();
    flash.cut_after(5, 0x0F);
    assert_eq!(flash.write(0, &[0; 8]), Err(RamFlashError::PowerLost));
    assert_eq!(flash.as_bytes()[..8], [0, 0, 0, 0, 0, 0xF0, 0xFF, 0xFF]);
    assert_eq!(flash.write(8, &[0; 4]), Err(RamFlashError::PowerLost));
    flash.restore_power();
    flash.write(8, &[0; 4]).unwrap();
}
