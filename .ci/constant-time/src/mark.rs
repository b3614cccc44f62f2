//! Requests to valgrind's memcheck: which bytes are secret.

use core::arch::asm;

const MAKE_UNDEFINED: usize = 0x4D43_0001;
const MAKE_DEFINED: usize = 0x4D43_0002;
const RUNNING_ON_VALGRIND: usize = 0x1001;

fn request(code: usize, address: usize, len: usize) -> usize {
    let arguments = [code, address, len, 0, 0, 0];
    let mut result = 0;
    // SAFETY: the rotations cancel each other and the exchange does nothing: without valgrind no
    // register changes. Valgrind knows the sequence (`valgrind.h`), reads the arguments and writes
    // the result; it reads and writes no other memory of the program.
    unsafe {
        asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") arguments.as_ptr(), inout("rdx") result, options(nostack),
        );
    }
    result
}

/// From now on a jump or an address that depends on these bytes is an error.
pub fn secret(bytes: &mut [u8]) {
    request(MAKE_UNDEFINED, bytes.as_ptr() as usize, bytes.len());
}

/// These bytes are sent to the peer or returned as a verdict: anybody may know them.
pub fn public<T: ?Sized>(value: &T) {
    request(MAKE_DEFINED, core::ptr::from_ref(value).cast::<u8>() as usize, size_of_val(value));
}

pub fn on_valgrind() -> bool {
    request(RUNNING_ON_VALGRIND, 0, 0) > 0
}
