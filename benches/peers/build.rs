//! Tells the benchmark what it was compiled for: it refuses to measure some of it.

fn main() {
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    println!("cargo::rustc-check-cfg=cfg(for_this_processor)");
    if flags.contains("target-cpu=native") {
        println!("cargo::rustc-cfg=for_this_processor");
    }
}
