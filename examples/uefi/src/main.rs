//! A UEFI program: the heap takes pages of the boot services, and gives them back.

#![no_std]
#![no_main]

extern crate alloc;

use core::fmt;
use core::panic::PanicInfo;

use brkalloc::{LockedHeap, SegmentBreak, UefiPages};
use uefi::prelude::*;
use x86_64::instructions::port::Port;

#[global_allocator]
static HEAP: LockedHeap<SegmentBreak<UefiPages>> = LockedHeap::new(SegmentBreak::new(UefiPages));

#[entry]
fn main() -> Status {
    let heap = work::Heap {
        live: || HEAP.stats().live_bytes,
        peak: || HEAP.stats().peak_bytes,
        is_whole: || HEAP.check().is_ok(),
        keeps: 0,
        budget: 8 << 20,
        too_much: 1 << 40,
    };
    let mut cases: [work::Case; 1] = [("firmware_gets_its_pages_back", &mut gives_back)];
    work::run(&mut Serial, &heap, &mut cases);
    end(0x10)
}

fn gives_back() {
    HEAP.trim(0);
    let before = HEAP.size();
    drop(alloc::vec![1_u8; 4 << 20]);
    HEAP.trim(0);
    assert!(HEAP.size() <= before);
}

/// The first serial port, as QEMU has it: ready at any time.
struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the port's data register.
        text.bytes().for_each(|byte| unsafe { Port::new(0x3F8).write(byte) });
        Ok(())
    }
}

/// Ends QEMU with the status that `code` stands for.
fn end(code: u32) -> ! {
    // SAFETY: the port of QEMU's device `isa-debug-exit`.
    unsafe { Port::new(0xF4).write(code) };
    loop {
        x86_64::instructions::hlt();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let _ = fmt::Write::write_fmt(&mut Serial, format_args!("\nPANIC: {}\n", info.message()));
    end(0x12)
}
