//! Records for people: what the features `log` and `defmt` write.
//!
//! `log_debug!` and its siblings take the arguments of the macros of those crates, `{}` and `{:?}`
//! alone. They expand to nothing without either feature, and to both with both, so that arguments
//! have no side effects. Records carry ids, codes and lengths: neither keys nor payloads, and
//! addresses and node ids below the level `info` alone.

/// A record at a level.
macro_rules! record {
    ($level:ident, $format:literal $(, $argument:expr)*) => {{
        #[cfg(feature = "log")]
        log::$level!(target: "matter_session", $format $(, $argument)*);
        #[cfg(feature = "defmt")]
        defmt::$level!($format $(, $argument)*);
        $( let _ = &$argument; )*
    }};
}

/// Something that an operator should look into.
macro_rules! log_warn {
    ($($record:tt)+) => { record!(warn, $($record)+) };
}

/// What changes the state that the application sees.
macro_rules! log_info {
    ($($record:tt)+) => { record!(info, $($record)+) };
}

/// What explains why something did or did not happen.
macro_rules! log_debug {
    ($($record:tt)+) => { record!(debug, $($record)+) };
}

/// Every message.
macro_rules! log_trace {
    ($($record:tt)+) => { record!(trace, $($record)+) };
}
