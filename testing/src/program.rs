//! What the test peers have in common as programs.

use std::process::ExitCode;

/// Any error: programs only print them.
pub type Result<T, E = Box<dyn core::error::Error>> = core::result::Result<T, E>;

/// The passcode of test devices.
pub const TEST_PASSCODE: u32 = 20_202_021;

/// Runs a program of this name, if its arguments ask for more than its usage.
pub fn start<A>(
    name: &str,
    args: Result<Option<A>>,
    run: impl FnOnce(A) -> Result<()>,
) -> ExitCode {
    match args.and_then(|args| args.map_or(Ok(()), run)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
