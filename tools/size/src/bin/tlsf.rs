//! What a small target links of embedded-alloc's TLSF, behind its critical section.

#![no_std]
#![no_main]

#[path = "../program.rs"]
mod program;

use core::arch::asm;

use critical_section::RawRestoreState;
use embedded_alloc::TlsfHeap;

static HEAP: TlsfHeap = TlsfHeap::empty();

const SIZE: usize = 16 << 10;
static mut ARENA: [u8; SIZE] = [0; SIZE];

/// Gives the heap its memory.
#[unsafe(no_mangle)]
extern "C" fn init() {
    // SAFETY: no other code names ARENA.
    unsafe { HEAP.init((&raw mut ARENA).addr(), SIZE) };
}

/// Interrupts of a Cortex-M.
struct Interrupts;
critical_section::set_impl!(Interrupts);

// SAFETY: with PRIMASK set no handler runs; `release` writes what `acquire` read.
unsafe impl critical_section::Impl for Interrupts {
    unsafe fn acquire() -> RawRestoreState {
        let primask: u32;
        // SAFETY: reads and sets PRIMASK.
        unsafe { asm!("mrs {}, PRIMASK", "cpsid i", out(reg) primask) };
        primask != 0
    }

    unsafe fn release(was_masked: RawRestoreState) {
        if !was_masked {
            // SAFETY: interrupts were not masked before `acquire`.
            unsafe { asm!("cpsie i") };
        }
    }
}
