//! An executable without std and without an allocator, so that
//! - a crate with `extern crate alloc` stops the build, whether it allocates or not;
//! - a crate that brings std in stops it too, by a second panic handler.
//!
//! On Linux the C library gives the start code and `memcpy`; the executable then runs both
//! handshakes and exits with 0, or with the number of the first step that went wrong. The random
//! numbers are a constant sequence: a check, not an example.
#![no_std]
#![no_main]

mod btp;
mod check_in;
mod managers;
mod steps;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

fn run() -> i32 {
    for (number, step) in (1..).zip(steps::STEPS) {
        if step().is_none() {
            return number;
        }
    }
    0
}

#[cfg(target_os = "linux")]
mod host {
    #[link(name = "c")]
    unsafe extern "C" {}

    // Only the precompiled `core` of an unoptimised build refers to these.
    #[cfg(debug_assertions)]
    #[link(name = "gcc_s")]
    unsafe extern "C" {}
    #[cfg(debug_assertions)]
    #[unsafe(no_mangle)]
    extern "C" fn rust_eh_personality() {}

    #[unsafe(no_mangle)]
    extern "C" fn main(_: i32, _: *const *const u8) -> i32 {
        super::run()
    }
}

#[cfg(not(target_os = "linux"))]
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    core::hint::black_box(run());
    loop {}
}
