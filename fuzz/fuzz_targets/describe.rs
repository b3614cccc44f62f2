#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| matter_session_fuzz::describe(data));
