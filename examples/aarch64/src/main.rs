//! A kernel for aarch64 (QEMU's virt) at EL1: the heap gets its memory at boot, and interrupt
//! handlers may allocate.

#![no_std]
#![no_main]

extern crate alloc;

use core::arch::{asm, global_asm};
use core::fmt;
use core::panic::PanicInfo;

use brkalloc::{Aarch64Interrupts, FixedBreak, Heap, Locked, MaskInterrupts, Spin};
use semihosting::process;

#[global_allocator]
static HEAP: Locked<Heap<FixedBreak>, MaskInterrupts<Spin, Aarch64Interrupts>> = Locked::empty();

/// Memory above the kernel and its stack.
const START: usize = 0x4100_0000;
const LEN: usize = 16 << 20;

// A stack below the heap, and floating point, which compiled code uses to copy.
global_asm!(
    ".section .text.start, \"ax\"",
    ".globl _start",
    "_start:",
    "ldr x0, =0x41000000",
    "mov sp, x0",
    "mov x0, #(3 << 20)",
    "msr cpacr_el1, x0",
    "isb",
    "b main",
);

#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    // SAFETY: the machine has 128 MiB from 0x4000_0000 on, and nothing else uses these.
    unsafe { HEAP.init(START as *mut u8, LEN).unwrap() };
    let heap = work::Heap {
        live: || HEAP.stats().live_bytes,
        peak: || HEAP.stats().peak_bytes,
        is_whole: || HEAP.check().is_ok(),
        keeps: 0,
        budget: 8 << 20,
        too_much: LEN,
    };
    let mut cases: [work::Case; 1] =
        [("interrupts_are_masked_while_the_heap_is_locked", &mut masked)];
    work::run(&mut Uart, &heap, &mut cases);
    process::exit(work::PASSED)
}

/// Returns whether IRQ and FIQ are masked.
fn are_masked() -> bool {
    let daif: u64;
    // SAFETY: reads DAIF.
    unsafe { asm!("mrs {}, daif", out(reg) daif, options(nomem, nostack, preserves_flags)) };
    daif & (3 << 6) == 3 << 6
}

fn masked() {
    // SAFETY: no device is set up to interrupt.
    unsafe { asm!("msr daifclr, #3") };
    HEAP.inspect(|_| assert!(are_masked()));
    assert!(!are_masked());
    // SAFETY: as before.
    unsafe { asm!("msr daifset, #3") };
    HEAP.inspect(|_| ());
    assert!(are_masked());
}

/// The serial port of virt, as QEMU has it: ready at any time.
struct Uart;

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the port's data register.
        text.bytes().for_each(|byte| unsafe { (0x0900_0000 as *mut u8).write_volatile(byte) });
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let _ = fmt::Write::write_fmt(&mut Uart, format_args!("\nPANIC: {}\n", info.message()));
    process::exit(work::FAILED)
}
