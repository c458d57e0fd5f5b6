//! What a small target links of embedded-alloc's TLSF, behind its critical section.

#![no_std]
#![no_main]

#[path = "../program.rs"]
mod program;

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
