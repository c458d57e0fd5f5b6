//! Firmware for riscv32imc (QEMU's virt), without atomic instructions: the timer's handler
//! allocates while the main program does.

#![no_std]
#![no_main]

extern crate alloc;

use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};

use brkalloc::{CriticalHeap, FixedBreak};
use riscv::interrupt::machine::Interrupt;
use riscv_rt::{core_interrupt, entry};
use semihosting::process;

const SIZE: usize = 64 << 10;
static mut ARENA: [u8; SIZE] = [0; SIZE];

#[global_allocator]
// SAFETY: nothing else names ARENA.
static HEAP: CriticalHeap<FixedBreak> =
    CriticalHeap::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), SIZE) });

static TICKS: AtomicUsize = AtomicUsize::new(0);

#[entry]
fn main() -> ! {
    let heap = work::Heap {
        live: || HEAP.stats().live_bytes,
        peak: || HEAP.stats().peak_bytes,
        is_whole: || HEAP.check().is_ok(),
        keeps: 0,
        budget: 32 << 10,
        too_much: SIZE,
    };
    let mut cases: [work::Case; 1] = [("a_handler_allocates", &mut handler)];
    work::run(&mut Uart, &heap, &mut cases);
    process::exit(work::PASSED)
}

fn handler() {
    set_timer();
    // SAFETY: the handler is there.
    unsafe {
        riscv::register::mie::set_mtimer();
        riscv::interrupt::enable();
    }
    let mut rounds = 0;
    while TICKS.load(Ordering::Relaxed) < 1_000 {
        drop(alloc::vec![rounds as u8; rounds % 500]);
        rounds += 1;
    }
    riscv::interrupt::disable();
    assert!(rounds > 1_000, "the main program allocated between the ticks: {rounds}");
}

#[core_interrupt(Interrupt::MachineTimer)]
unsafe fn timer() {
    let ticks = TICKS.load(Ordering::Relaxed) + 1;
    drop(alloc::vec![1_u8; 1 + ticks % 300]);
    TICKS.store(ticks, Ordering::Relaxed);
    set_timer();
}

/// Sets the timer of virt's CLINT to 20 µs from now.
fn set_timer() {
    const TIME: *const u32 = 0x0200_BFF8 as *const u32;
    const COMPARE: *mut u32 = 0x0200_4000 as *mut u32;
    // SAFETY: registers of the CLINT, of two words each. The example ends before the low word
    // wraps.
    unsafe {
        COMPARE.write_volatile(TIME.read_volatile() + 200);
        COMPARE.add(1).write_volatile(0);
    }
}

/// The serial port of virt, as QEMU has it: ready at any time.
struct Uart;

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the port's data register.
        text.bytes().for_each(|byte| unsafe { (0x1000_0000 as *mut u8).write_volatile(byte) });
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let _ = fmt::Write::write_fmt(&mut Uart, format_args!("\nPANIC: {}\n", info.message()));
    process::exit(work::FAILED)
}
