//! A kernel that has nothing in common with `kernel-demo` but the allocator, to show that the
//! README's lines are all it takes: no paging of its own, no page-fault handler, a heap on a static
//! array.
//!
//! It runs its tests, prints a line for each as libtest does, and ends QEMU.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::panic::PanicInfo;

use bootloader::{BootInfo, entry_point};
use uart_16550::backend::PioBackend;
use uart_16550::{Config, Uart16550};
use x86_64::instructions::{hlt, port::Port};

use brkalloc::{FixedBreak, LockedHeap};
static mut ARENA: [u8; 1 << 20] = [0; 1 << 20];
#[global_allocator]
// SAFETY: nobody else names ARENA.
static HEAP: LockedHeap<FixedBreak> =
    LockedHeap::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), 1 << 20) });

entry_point!(main);

/// A test: its name, and what must not panic.
type Test = (&'static str, fn());

const TESTS: [Test; 5] = [
    ("other_kernel::a_box", a_box),
    ("other_kernel::a_vector_that_grows", a_vector_that_grows),
    ("other_kernel::strings_in_a_map", strings_in_a_map),
    ("other_kernel::memory_is_used_again", memory_is_used_again),
    ("other_kernel::running_out_is_an_error", running_out_is_an_error),
];

fn main(_: &'static BootInfo) -> ! {
    let mut serial = Serial::new();
    serial.print(format_args!("running {} tests\n", TESTS.len()));
    for (name, test) in TESTS {
        serial.print(format_args!("test {name} ... "));
        test();
        assert_eq!(HEAP.check(), Ok(()), "the heap is whole after {name}");
        assert_eq!(HEAP.stats().live_cells, 0, "{name} leaves nothing behind");
        serial.print(format_args!("ok\n"));
    }
    serial.print(format_args!(
        "\ntest result: ok. {} passed; 0 failed; 0 ignored; 0 filtered out\n",
        TESTS.len()
    ));
    end(0x10)
}

fn a_box() {
    let first = Box::new(41);
    let second = Box::new(13);
    assert_eq!((*first, *second), (41, 13));
}

fn a_vector_that_grows() {
    let mut numbers = Vec::new();
    numbers.extend(0..10_000_u64);
    assert_eq!(numbers.iter().sum::<u64>(), 9_999 * 10_000 / 2);
}

fn strings_in_a_map() {
    let mut map = BTreeMap::new();
    for number in 0..500 {
        map.insert(number, format!("number {number}"));
    }
    map.retain(|number, _| number % 2 == 0);
    assert_eq!(map.len(), 250);
    assert_eq!(map.get(&42).map(String::as_str), Some("number 42"));
}

/// More bytes in all than the arena has, but never many at once.
fn memory_is_used_again() {
    for round in 0..10_000_usize {
        let bytes = alloc::vec![round as u8; 1000];
        assert_eq!(bytes[999], round as u8);
    }
}

/// Asking for more than there is fails, and the heap goes on.
fn running_out_is_an_error() {
    let mut bytes = Vec::<u8>::new();
    assert!(bytes.try_reserve(2 << 20).is_err());
    assert!(bytes.try_reserve(1 << 19).is_ok());
}

/// The first serial port.
struct Serial(Uart16550<PioBackend>);

impl Serial {
    fn new() -> Self {
        // SAFETY: 0x3F8 is the first serial port of every PC. Two of these exist only after a
        // panic, when the first is no longer used.
        let mut port = unsafe { Uart16550::new_port(0x3F8) }.expect("0x3F8 is a valid port");
        port.init(Config::default()).expect("QEMU has a serial port");
        Self(port)
    }

    fn print(&mut self, text: fmt::Arguments<'_>) {
        self.write_fmt(text).expect("writing to the port does not fail");
    }
}

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.send_bytes_exact(text.as_bytes());
        Ok(())
    }
}

/// Ends QEMU with the status that `code` stands for.
fn end(code: u32) -> ! {
    // SAFETY: 0xF4 is the port of QEMU's `isa-debug-exit`; nothing else listens there.
    unsafe { Port::new(0xF4).write(code) };
    loop {
        hlt();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    Serial::new().print(format_args!("\nPANIC: {}\n", info.message()));
    end(0x12)
}
