//! Firmware for a Cortex-M0 (QEMU's microbit): 16 KiB of memory, half of it a heap of the small
//! profile, and no compare-and-swap.

#![no_std]
#![no_main]

extern crate alloc;

use core::fmt;
use core::panic::PanicInfo;

use brkalloc::{CriticalHeap, FixedBreak, Heap, Locked, NoMap, Small};
use cortex_m as _; // its critical section
use cortex_m_rt::entry;
use semihosting::process;

const SIZE: usize = 8 << 10;
static mut ARENA: [u8; SIZE] = [0; SIZE];

#[global_allocator]
static HEAP: CriticalHeap<FixedBreak, NoMap, Small> = {
    // SAFETY: nothing else names ARENA.
    let brk = unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), SIZE) };
    Locked::from_heap(Heap::with_profile(brk, NoMap))
};

#[entry]
fn main() -> ! {
    Uart::enable();
    let heap = work::Heap {
        live: || HEAP.stats().live_bytes,
        peak: || HEAP.stats().peak_bytes,
        is_whole: || HEAP.check().is_ok(),
        keeps: 0,
        budget: 6 << 10,
        too_much: SIZE,
    };
    let mut cases: [work::Case; 1] = [("the_heap_takes_128_bytes", &mut is_small)];
    work::run(&mut Uart, &heap, &mut cases);
    process::exit(work::PASSED)
}

fn is_small() {
    assert!(size_of_val(&HEAP) <= 128);
}

/// The serial port of the nRF51, as QEMU has it: ready at any time.
struct Uart;

impl Uart {
    const BASE: usize = 0x4000_2000;

    fn write(offset: usize, value: u32) {
        // SAFETY: a register of the port.
        unsafe { ((Self::BASE + offset) as *mut u32).write_volatile(value) };
    }

    /// Enables the port, and its transmitter.
    fn enable() {
        Self::write(0x500, 4);
        Self::write(0x008, 1);
    }
}

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| Self::write(0x51C, byte.into()));
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let _ = fmt::Write::write_fmt(&mut Uart, format_args!("\nPANIC: {}\n", info.message()));
    process::exit(work::FAILED)
}
