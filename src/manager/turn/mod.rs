//! What crosses the parts of a manager. No other file knows two of them.

mod handshakes;
