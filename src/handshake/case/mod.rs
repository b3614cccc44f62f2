//! CASE: a session from operational certificates, or from a former session.
//!
//! ```text
//! initiator (CaseClient)                          responder (CaseServer)
//!   │ Sigma1  random, session id, destination id, key      │  finds its fabric by destination id
//!   │─────────────────────────────────────────────────────▶│
//!   │ Sigma2  random, session id, key, {NOC, ICAC, sig}    │  signs
//!   │◀─────────────────────────────────────────────────────│
//!   │ Sigma3  {NOC, ICAC, signature}                       │  the initiator verifies and signs
//!   │─────────────────────────────────────────────────────▶│  the responder verifies
//!   │ StatusReport: success                                │
//!   │◀─────────────────────────────────────────────────────│
//!
//! resumed:
//!   │ Sigma1  ..., resumption id, MIC                      │  knows the record, verifies the MIC
//!   │─────────────────────────────────────────────────────▶│  (else answers Sigma2: full handshake)
//!   │ Sigma2Resume  new resumption id, MIC, session id     │
//!   │◀─────────────────────────────────────────────────────│
//!   │ StatusReport: success                                │
//!   │─────────────────────────────────────────────────────▶│
//! ```
//! [Core, "Certificate Authenticated Session Establishment (CASE)"]

mod admission;
mod answer;
mod client;
mod env;
mod full;
mod keys;
pub mod messages;
mod peer;
mod presented;
mod proof;
mod resuming;
mod server;
mod start;

pub(crate) use self::admission::is_addressed;
pub use self::client::CaseClient;
pub use self::env::CaseEnv;
#[cfg(feature = "describe")]
pub(crate) use self::keys::open_tbe;
pub use self::keys::{
    RESUME1_MIC_NONCE, RESUME2_MIC_NONCE, RSEKEYS_INFO, S1RK_INFO, S2K_INFO, S2RK_INFO, S3K_INFO,
    TBE_DATA2_NONCE, TBE_DATA3_NONCE,
};
pub(crate) use self::presented::Places;
pub use self::presented::Presented;
pub use self::server::CaseServer;
pub use self::start::CaseStart;
