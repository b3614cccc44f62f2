//! Values that matter.js computed; `build.rs` says where each stands among the recorded vectors.

include!(concat!(env!("OUT_DIR"), "/vectors.rs"));
