//! `matter-session` beside other implementations of the same.
//!
//! ```text
//! cargo run --release                   # everything
//! cargo run --release -- ROUNDS WHAT SIZE   # so many rounds, of this alone
//! ```
//! Who is compared takes turns in short slices, so that a busy machine is busy for all. The table
//! has medians; the lines `RATIO what size peer ratio` have the median of the ratios within a
//! round, ours by theirs. A run of everything draws `benches/peers-*.svg`.

mod aead;
mod handshake;
mod harness;
mod message;
mod plot;

use std::path::Path;
use std::process::ExitCode;

use harness::Run;

fn main() -> ExitCode {
    if cfg!(for_this_processor) {
        // With fat LTO besides, each SHA-256 takes a hundred times as long: vector code of two
        // encodings is mixed. Nobody ships that, and it would be measured as if.
        eprintln!("compiled with target-cpu=native: nothing is measured");
        return ExitCode::FAILURE;
    }
    let mut args = std::env::args().skip(1);
    let rounds = args.next().map_or(Ok(400), |rounds| rounds.parse());
    let Ok(rounds) = rounds else {
        eprintln!("usage: matter-session-peers [ROUNDS [WHAT [SIZE]]]");
        return ExitCode::FAILURE;
    };
    let mut run = Run::new(rounds, args.next(), args.next());
    aead::measure(&mut run);
    message::measure(&mut run);
    handshake::measure(&mut run);
    let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if let Some(Err(error)) = run.rows().map(|rows| plot::draw(rows, &benches)) {
        eprintln!("nothing is drawn: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
