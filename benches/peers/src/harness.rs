//! Takes turns and times them.

use std::time::{Duration, Instant};

/// How long a slice should last: short beside what the scheduler gives a process at a time, long
/// beside reading the clock.
const SLICE_NS: u128 = 20_000;

/// One of those who are compared.
pub struct Contestant<'a> {
    name: &'static str,
    /// Does the work so many times, and says how many nanoseconds it took.
    slice: Box<dyn FnMut(usize) -> u128 + 'a>,
    /// How many messages (or whatever is counted) one time is.
    per_time: usize,
}

impl<'a> Contestant<'a> {
    /// Does `work` on what `prepare` makes, which is not timed.
    pub fn new<T>(
        name: &'static str,
        per_time: usize,
        mut prepare: impl FnMut(&mut T) + 'a,
        mut work: impl FnMut(&mut T) + 'a,
        mut state: T,
    ) -> Self
    where
        T: 'a,
    {
        let slice = move |times| {
            let mut taken = 0;
            for _ in 0..times {
                prepare(&mut state);
                let begin = Instant::now();
                work(&mut state);
                taken += begin.elapsed().as_nanos();
            }
            taken
        };
        Self { name, slice: Box::new(slice), per_time }
    }

    /// Does `work`, which says how long it took: what it does around that is not timed.
    pub fn timed(name: &'static str, mut work: impl FnMut() -> Duration + 'a) -> Self {
        let slice = move |times| (0..times).map(|_| undisturbed(&mut work).as_nanos()).sum();
        Self { name, slice: Box::new(slice), per_time: 1 }
    }

    fn measure(&mut self, times: usize) -> f64 {
        (self.slice)(times) as f64 / (times * self.per_time) as f64
    }
}

/// What was measured of one thing at one size.
pub struct Row {
    pub what: String,
    pub size: String,
    /// Nanoseconds, by contestant.
    pub medians: Vec<(&'static str, f64)>,
}

/// One call of the program.
pub struct Run {
    rounds: usize,
    rows: Vec<Row>,
    /// What is measured, if it is not everything.
    what: Option<String>,
    size: Option<String>,
}

impl Run {
    pub fn new(rounds: usize, what: Option<String>, size: Option<String>) -> Self {
        println!("{:<11} {:>6}  nanoseconds each, medians of {rounds} slices", "", "octets");
        Self { rounds, rows: Vec::new(), what, size }
    }

    /// What there is to draw: nothing if only some was measured.
    pub fn rows(&self) -> Option<&[Row]> {
        (self.what.is_none() && self.size.is_none()).then_some(&self.rows)
    }

    /// Compares the first with the others and prints one line of the table and the ratios.
    pub fn compare(&mut self, what: &str, size: &str, contestants: &mut [Contestant<'_>]) {
        let is_other = |asked: &Option<String>, it| asked.as_ref().is_some_and(|asked| asked != it);
        if is_other(&self.what, what) || is_other(&self.size, size) {
            return;
        }
        let times: Vec<usize> = contestants
            .iter_mut()
            .map(|contestant| {
                let once = (contestant.slice)(1).min((contestant.slice)(1)).max(1);
                SLICE_NS.div_ceil(once) as usize
            })
            .collect();
        let mut taken = vec![Vec::with_capacity(self.rounds); contestants.len()];
        for round in 0..self.rounds {
            for turn in 0..contestants.len() {
                let who = (turn + round) % contestants.len();
                taken[who].push(contestants[who].measure(times[who]));
            }
        }
        let medians: Vec<_> = contestants
            .iter()
            .zip(&taken)
            .map(|(contestant, taken)| (contestant.name, median(taken.iter().copied())))
            .collect();
        let cells = medians.iter().map(|(name, nanos)| format!("{name} {nanos:.1}"));
        println!("{what:<11} {size:>6}  {}", cells.collect::<Vec<_>>().join("  "));
        for (contestant, theirs) in contestants.iter().zip(&taken).skip(1) {
            let ratio = median(taken[0].iter().zip(theirs).map(|(ours, theirs)| ours / theirs));
            println!("RATIO {what} {size} {} {ratio:.3}", contestant.name);
        }
        self.rows.push(Row { what: what.into(), size: size.into(), medians });
    }
}

/// Work of milliseconds is often interrupted on a busy machine, the longer the more often: it is
/// done again then.
fn undisturbed(work: &mut impl FnMut() -> Duration) -> Duration {
    const TRIES: usize = 8;
    let mut least = Duration::MAX;
    for _ in 0..TRIES {
        let before = interruptions();
        least = least.min(work());
        if interruptions() == before {
            break;
        }
        // Who has slept is left alone for a while.
        std::thread::sleep(Duration::from_micros(50));
    }
    least
}

/// How often the scheduler has taken the core from this thread, if the system tells.
fn interruptions() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
