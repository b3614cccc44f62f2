//! Runs every schedule of a world up to a number of acts of its adversary.
//!
//! A manager cannot be copied, so each run begins at the start. It follows its acts, then the story
//! to its end; at each step on the way it notes what else the adversary could have done, for later
//! runs. A run stops at a state that was seen before with at least as many acts and steps left:
//! what two nodes do in one order or the other leads to one state, and is followed once.

use std::collections::{BTreeMap, HashMap, VecDeque};

use matter_session_testing::worlds::{Act, World};

/// No story is longer.
const STEPS: usize = 1_000;

/// How far a world is explored.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// Most acts of the adversary in a run.
    pub acts: usize,
    /// It acts within so many steps from the start.
    pub steps: usize,
}

/// The acts of an adversary, each with the step before which it happens.
type Schedule = Vec<(usize, Act)>;

/// Tells the story of a schedule.
pub fn tell<W: World>(schedule: &[(usize, Act)]) {
    let mut world = W::begin();
    world.trace();
    let mut acts = schedule.iter().peekable();
    for step in 0..STEPS {
        let planned = acts.next_if(|(at, _)| *at == step).map(|(_, act)| *act);
        let Some(act) = planned.or_else(|| world.next()) else { return world.end() };
        eprintln!(
            "step {step}: {act:?}{}",
            if planned.is_some() { " of the adversary" } else { "" }
        );
        world.act(act);
        if let Some(fault) = world.fault() {
            return eprintln!("{fault}");
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub runs: u64,
    pub states: u64,
    /// Each broken promise, with the runs until it was found, and the schedule.
    pub faults: BTreeMap<&'static str, (u64, Schedule)>,
}

pub fn explore<W: World>(depth: Depth) -> Found {
    let mut found = Found::default();
    // The first step at which each state was seen. Schedules of fewer acts come first, so a state
    // that was seen was seen with as many acts left.
    let mut seen = HashMap::new();
    let mut waiting = VecDeque::from([Schedule::new()]);
    while let Some(schedule) = waiting.pop_front() {
        found.runs += 1;
        let runs = found.runs;
        if let Some(fault) = run::<W>(&schedule, depth, &mut seen, &mut waiting) {
            found.faults.entry(fault).or_insert((runs, schedule));
        }
    }
    found.states = seen.len() as u64;
    found
}

fn run<W: World>(
    schedule: &Schedule,
    depth: Depth,
    seen: &mut HashMap<u64, usize>,
    waiting: &mut VecDeque<Schedule>,
) -> Option<&'static str> {
    let mut world = W::begin();
    let mut acts = schedule.iter().peekable();
    for step in 0..STEPS {
        if let Some((_, act)) = acts.next_if(|(at, _)| *at == step) {
            world.act(*act);
        } else {
            if acts.peek().is_none() {
                let first = seen.entry(world.state()).or_insert(usize::MAX);
                if *first <= step {
                    return None;
                }
                *first = step;
                if schedule.len() < depth.acts && step < depth.steps {
                    let longer = world.acts().into_iter().map(|act| {
                        let mut longer = schedule.clone();
                        longer.push((step, act));
                        longer
                    });
                    waiting.extend(longer);
                }
            }
            match world.next() {
                Some(act) => world.act(act),
                None => {
                    world.end();
                    return world.fault();
                }
            }
        }
        if world.fault().is_some() {
            return world.fault();
        }
    }
    Some("a story without end")
}
