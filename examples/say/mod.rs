//! Printing a line. The program ends if nobody reads on, as after `demo | head -1`: `println!` would
//! panic.
//!
//! Shared by the examples; not an example itself.

macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        if writeln!(std::io::stdout(), $($text)*).is_err() {
            std::process::exit(0);
        }
    }};
}
