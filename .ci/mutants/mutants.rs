//! Which mutant runs: the environment variable MUTANT names it, and none runs without.
//!
//! With COVERED the mutants that were reached are appended to that file when the process ends.

extern crate std;

static mut CHOSEN: usize = 0;
static mut REACHED: [bool; COUNT] = [false; COUNT];

/// Returns true if mutant `id` runs.
// A constant function, so that constant functions can ask. What does so at compile time is refused,
// and is no mutant.
#[inline]
pub const fn on(id: usize) -> bool {
    unsafe {
        REACHED[id] = true;
        CHOSEN == id
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;

extern "C" fn begin() {
    if let Ok(chosen) = std::env::var("MUTANT") {
        unsafe { CHOSEN = chosen.parse().unwrap() }
    }
    if std::env::var("COVERED").is_ok() {
        unsafe { atexit(end) };
    }
}

unsafe extern "C" {
    fn atexit(call: extern "C" fn()) -> i32;
}

extern "C" fn end() {
    use std::io::Write as _;
    let reached = unsafe { REACHED };
    let ids: std::vec::Vec<_> =
        reached.iter().enumerate().filter(|one| *one.1).map(|one| std::format!("{}\n", one.0)).collect();
    let path = std::env::var("COVERED").unwrap();
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    file.unwrap().write_all(ids.concat().as_bytes()).unwrap();
}
