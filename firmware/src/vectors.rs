//! The board's interrupt vectors. No handler ever runs: interrupts stay masked and only end waits.

unsafe extern "C" {
    fn DefaultHandler();
}

/// As many as the board has; cortex-m-rt would reserve room for 240.
// SAFETY: link.x of cortex-m-rt expects the vectors under this name, in this section.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); 32] = [DefaultHandler; 32];
