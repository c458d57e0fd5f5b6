//! A PC with UEFI. The firmware's services are not used.

use core::arch::asm;
use core::ffi::c_void;
use core::sync::atomic::AtomicUsize;

/// What a case keeps on purpose.
pub static KEPT: AtomicUsize = AtomicUsize::new(0);

/// The firmware's entry.
#[unsafe(no_mangle)]
extern "efiapi" fn efi_main(_image: *mut c_void, _table: *mut c_void) -> usize {
    crate::main()
}

/// Writes to the serial port.
pub fn write(byte: u8) {
    // SAFETY: the first serial port, which is always ready under QEMU.
    unsafe { asm!("out dx, al", in("dx") 0x3F8_u16, in("al") byte, options(nomem, nostack)) };
}

/// Waits, without interrupts: the firmware has a timer.
pub fn wait() {
    // SAFETY: they touch no memory.
    unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
}
