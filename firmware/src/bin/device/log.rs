//! Where records of defmt go: to the board's second UART, which nothing reads. A product sends them
//! to its debugger (`defmt-rtt`).

use core::cell::UnsafeCell;

use crate::registers::Register;

/// The data register of UART 1.
const DATA: usize = 0x4000_5000;

#[defmt::global_logger]
struct Logger;

/// The encoder of frames.
struct Encoder(UnsafeCell<defmt::Encoder>);

// SAFETY: the image has one thread and no interrupt handlers.
unsafe impl Sync for Encoder {}

static ENCODER: Encoder = Encoder(UnsafeCell::new(defmt::Encoder::new()));

impl Encoder {
    fn with(&self, call: impl FnOnce(&mut defmt::Encoder, fn(&[u8]))) {
        // SAFETY: the calls of `Logger` do not nest, and nothing else borrows the encoder.
        call(unsafe { &mut *self.0.get() }, write);
    }
}

// SAFETY: the image has one thread and no interrupt handlers.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        ENCODER.with(|encoder, write| encoder.start_frame(write));
    }

    unsafe fn flush() {}

    unsafe fn release() {
        ENCODER.with(|encoder, write| encoder.end_frame(write));
    }

    unsafe fn write(bytes: &[u8]) {
        ENCODER.with(|encoder, write| encoder.write(bytes, write));
    }
}

fn write(octets: &[u8]) {
    // SAFETY: nothing else uses UART 1.
    let mut data = unsafe { Register::at(DATA) };
    octets.iter().for_each(|octet| data.write(u32::from(*octet)));
}
