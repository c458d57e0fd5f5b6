//! Firmware for a Cortex-M3 (QEMU's lm3s6965evb): the SysTick handler allocates and frees while the
//! main program does.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};

use brkalloc::{CortexMInterrupts, FixedBreak, Heap, Locked, MaskInterrupts, Spin};
use cortex_m::interrupt::Mutex;
use cortex_m::peripheral::{Peripherals, syst::SystClkSource};
use cortex_m_rt::{entry, exception};
use semihosting::process;

const SIZE: usize = 32 << 10;
static mut ARENA: [u8; SIZE] = [0; SIZE];

#[global_allocator]
// SAFETY: nothing else names ARENA.
static HEAP: Locked<Heap<FixedBreak>, MaskInterrupts<Spin, CortexMInterrupts>> =
    Locked::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), SIZE) });

const MOST_TICKS: usize = 1_000;

/// Ticks so far, and blocks that the handler keeps for some of them.
static TICKS: AtomicUsize = AtomicUsize::new(0);
static KEPT: Mutex<RefCell<Vec<Vec<u8>>>> = Mutex::new(RefCell::new(Vec::new()));

#[entry]
fn main() -> ! {
    let heap = work::Heap {
        live: || HEAP.stats().live_bytes,
        peak: || HEAP.stats().peak_bytes,
        is_whole: || HEAP.check().is_ok(),
        keeps: 0,
        budget: 20 << 10,
        too_much: SIZE,
    };
    let mut cases: [work::Case; 1] = [("a_handler_allocates", &mut handler)];
    work::run(&mut Uart, &heap, &mut cases);
    process::exit(work::PASSED)
}

fn handler() {
    let mut timer = Peripherals::take().unwrap().SYST;
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(1_000);
    timer.enable_interrupt();
    timer.enable_counter();
    let mut rounds = 0;
    while TICKS.load(Ordering::Relaxed) < MOST_TICKS {
        drop(alloc::vec![rounds as u8; rounds % 500]);
        rounds += 1;
    }
    timer.disable_counter();
    cortex_m::interrupt::free(|key| drop(KEPT.borrow(key).take()));
    assert!(rounds > MOST_TICKS, "the main program allocated between the ticks: {rounds}");
}

#[exception]
fn SysTick() {
    let ticks = TICKS.fetch_add(1, Ordering::Relaxed);
    if ticks >= MOST_TICKS {
        return;
    }
    cortex_m::interrupt::free(|key| {
        let mut kept = KEPT.borrow(key).borrow_mut();
        kept.push(alloc::vec![1_u8; 1 + ticks % 100]);
        if kept.len() == 32 {
            kept.clear();
        }
    });
}

/// The first serial port, as QEMU has it: ready at any time.
struct Uart;

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the port's data register.
        text.bytes()
            .for_each(|byte| unsafe { (0x4000_C000 as *mut u32).write_volatile(byte.into()) });
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let _ = fmt::Write::write_fmt(&mut Uart, format_args!("\nPANIC: {}\n", info.message()));
    process::exit(work::FAILED)
}
