//! A kernel for riscv64 (QEMU's virt) in machine mode: the device tree names the memory, which
//! becomes regions of the heap.

#![no_std]
#![no_main]

extern crate alloc;

use core::fmt;
use core::panic::PanicInfo;

use brkalloc::{FixedBreak, Heap, Locked, MaskInterrupts, RiscvMachineInterrupts, Spin};
use flat_device_tree::Fdt;
use riscv::register::mstatus;
use riscv_rt::entry;
use semihosting::process;

// A heap without a break lives from its regions alone.
#[global_allocator]
static HEAP: Locked<Heap<Option<FixedBreak>>, MaskInterrupts<Spin, RiscvMachineInterrupts>> =
    Locked::new(None);

/// The end of what this kernel was linked to take: its image and its stack.
const KERNEL_END: usize = 0x8010_0000;

#[entry]
fn main(_hart: usize, tree: usize) -> ! {
    // SAFETY: QEMU passes the address of a device tree.
    add_memory(&unsafe { Fdt::from_ptr(tree as *const u8) }.expect("a device tree"), tree);
    let heap = work::Heap {
        live: || HEAP.stats().live_bytes,
        peak: || HEAP.stats().peak_bytes,
        is_whole: || HEAP.check().is_ok(),
        keeps: 0,
        budget: 32 << 20,
        too_much: 1 << 30,
    };
    let mut cases: [work::Case; 1] =
        [("interrupts_are_masked_while_the_heap_is_locked", &mut masked)];
    work::run(&mut Uart, &heap, &mut cases);
    process::exit(work::PASSED)
}

/// Adds all memory above the kernel, up to the device tree, which QEMU puts near the end.
fn add_memory(tree: &Fdt, tree_start: usize) {
    let memory = tree.memory().expect("a node `memory`");
    for region in memory.regions() {
        let (start, len) = (region.starting_address.addr(), region.size.unwrap_or(0));
        let end = (start + len).min(tree_start);
        let start = start.max(KERNEL_END);
        // SAFETY: memory that neither the kernel nor the device tree takes.
        unsafe { HEAP.add_region(start as *mut u8, end - start).expect("a region") };
    }
}

fn masked() {
    // SAFETY: no interrupt is enabled in `mie`.
    unsafe { riscv::interrupt::enable() };
    HEAP.inspect(|_| assert!(!mstatus::read().mie()));
    assert!(mstatus::read().mie());
    riscv::interrupt::disable();
    HEAP.inspect(|_| ());
    assert!(!mstatus::read().mie());
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
