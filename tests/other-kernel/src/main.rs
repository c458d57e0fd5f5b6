//! A kernel of another project: it has nothing in common with `kernel-demo` but the allocator,
//! taken with the README's lines, and the test framework `kerntest`. It has no paging of its own,
//! no page-fault handler, and a heap on a static array.
//!
//! One of its three cases fails on purpose, to show what a failure looks like.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::panic::PanicInfo;

use bootloader::{BootInfo, entry_point};
use kerntest_guest::{
    Balance, Case, CaseResult, Count, Exit, Kernel, OrFail, Run, Suite, ensure, ensure_eq,
    panicked, qemu, run,
};
use uart_16550::backend::PioBackend;
use uart_16550::{Config, Uart16550};

use brkalloc::{FixedBreak, LockedHeap};
static mut ARENA: [u8; 1 << 20] = [0; 1 << 20];
#[global_allocator]
// SAFETY: nobody else names ARENA.
static HEAP: LockedHeap<FixedBreak> =
    LockedHeap::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), 1 << 20) });

entry_point!(main);

fn main(_: &'static BootInfo) -> ! {
    qemu::isa_debug_exit(run(&mut Pc::new(), &Suite::of(CASES)))
}

const CASES: &[Case] = &[
    Case { name: "collections::live_on_the_heap", run: Run::Function(live_on_the_heap) },
    Case { name: "memory::is_used_again", run: Run::Function(is_used_again) },
    Case { name: "memory::runs_out_on_purpose", run: Run::Function(runs_out_on_purpose) },
];

fn live_on_the_heap() -> CaseResult {
    let boxed = Box::new(41);
    let numbers: Vec<u64> = (0..10_000).collect();
    let mut map: BTreeMap<_, _> = (0..500).map(|n| (n, format!("number {n}"))).collect();
    map.retain(|number, _| number % 2 == 0);
    ensure_eq!(*boxed, 41);
    ensure_eq!(numbers.iter().sum::<u64>(), 9_999 * 10_000 / 2);
    ensure_eq!(map.get(&42).map(String::as_str), Some("number 42"));
    ensure_eq!(HEAP.check(), Ok(()));
    Ok(())
}

/// More bytes in all than the arena has, but never many at once.
fn is_used_again() -> CaseResult {
    for round in 0..10_000_usize {
        let bytes = alloc::vec![round as u8; 1000];
        ensure!(bytes[999] == round as u8, "{} in round {round}", bytes[999]);
    }
    ensure_eq!(HEAP.check(), Ok(()));
    Ok(())
}

/// The arena has 1 MiB.
fn runs_out_on_purpose() -> CaseResult {
    let mut bytes = Vec::<u8>::new();
    bytes.try_reserve(2 << 20).or_fail("2 MiB of memory")
}

/// A PC: its first serial port.
struct Pc(Uart16550<PioBackend>);

impl Pc {
    fn new() -> Self {
        // SAFETY: 0x3F8 is the first serial port of every PC. Two of these exist only after a
        // panic, when the first is no longer used.
        let mut port = unsafe { Uart16550::new_port(0x3F8) }.expect("0x3F8 is a valid port");
        port.init(Config::default()).expect("QEMU has a serial port");
        Self(port)
    }
}

impl Kernel for Pc {
    fn write(&mut self, text: &str) {
        self.0.send_bytes_exact(text.as_bytes());
    }

    fn option<'b>(&mut self, key: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
        qemu::fw_cfg("kerntest", key, buffer)
    }

    fn balance(&mut self) -> Balance {
        let number = HEAP.stats().live_cells;
        Balance::new(&[Count { leaks: "block", what: "live blocks", number }])
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut pc = Pc::new();
    panicked(&mut pc, info);
    qemu::isa_debug_exit(Exit::Panic)
}
