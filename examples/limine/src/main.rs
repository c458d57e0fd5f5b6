//! A kernel on Limine with two CPUs: each has an arena of its own, and frees blocks of the other.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::arch::x86_64::__cpuid;
use core::fmt;
use core::hint::spin_loop;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use brkalloc::{ArenaHeap, Cpu, FixedBreak};
use limine::BaseRevision;
use limine::memory_map::EntryType;
use limine::request::{HhdmRequest, MemoryMapRequest, MpRequest};
use x86_64::instructions::port::Port;

#[global_allocator]
static HEAP: ArenaHeap<FixedBreak, Cpus> = ArenaHeap::empty(Cpus);

/// The CPUs, by the number of their APIC.
struct Cpus;

const CPUS: usize = 2;

// SAFETY: this kernel has no threads that could move to another CPU, and no interrupt handlers.
unsafe impl Cpu for Cpus {
    const NESTS: bool = false;

    fn slots(&self) -> usize {
        CPUS
    }

    fn enter(&self) -> usize {
        (__cpuid(1).ebx >> 24) as usize
    }
}

#[used]
#[unsafe(link_section = ".requests")]
static REVISION: BaseRevision = BaseRevision::with_revision(2);
#[used]
#[unsafe(link_section = ".requests")]
static MEMORY: MemoryMapRequest = MemoryMapRequest::new();
#[used]
#[unsafe(link_section = ".requests")]
static OFFSET: HhdmRequest = HhdmRequest::new();
#[used]
#[unsafe(link_section = ".requests")]
static PROCESSORS: MpRequest = MpRequest::new();

/// Blocks on their way from the second CPU to the first one.
static PASSED_ON: spin::Mutex<Vec<Vec<u8>>> = spin::Mutex::new(Vec::new());
static MAY_BEGIN: AtomicBool = AtomicBool::new(false);
static ARE_FREED: AtomicBool = AtomicBool::new(false);
static HAS_GONE: AtomicBool = AtomicBool::new(false);
const BLOCKS: usize = 10_000;

#[unsafe(no_mangle)]
extern "C" fn kernel() -> ! {
    assert!(REVISION.is_supported());
    let (map, offset) = (MEMORY.get_response().unwrap(), OFFSET.get_response().unwrap().offset());
    let usable = map.entries().iter().filter(|entry| entry.entry_type == EntryType::USABLE);
    let largest = usable.max_by_key(|entry| entry.length).unwrap();
    // SAFETY: Limine leaves the region free, and maps physical memory at `offset`.
    unsafe { HEAP.init((largest.base + offset) as *mut u8, largest.length as usize).unwrap() };

    let cpus = PROCESSORS.get_response().unwrap().cpus();
    assert_eq!(cpus.len(), CPUS);
    for cpu in cpus.iter().filter(|cpu| cpu.lapic_id != 0) {
        cpu.goto_address.write(second);
    }
    let heap = work::Heap {
        live,
        peak: || HEAP.stats().parent.peak_bytes,
        is_whole: || HEAP.check().is_ok(),
        keeps: 256 << 10,
        budget: 8 << 20,
        too_much: 1 << 30,
    };
    let mut cases: [work::Case; 1] = [("blocks_of_the_other_cpu_are_freed_here", &mut receive)];
    work::run(&mut Serial, &heap, &mut cases);
    end(0x10)
}

/// What the second CPU does.
unsafe extern "C" fn second(_: &limine::mp::Cpu) -> ! {
    while !MAY_BEGIN.load(Ordering::Acquire) {
        spin_loop();
    }
    for number in 0..BLOCKS {
        let block = alloc::vec![number as u8; 1 + number % 1000];
        PASSED_ON.lock().push(block);
    }
    while !ARE_FREED.load(Ordering::Acquire) {
        spin_loop();
    }
    // SAFETY: this CPU is in no operation of the heap.
    unsafe { HEAP.abandon() };
    HAS_GONE.store(true, Ordering::Release);
    loop {
        spin_loop();
    }
}

/// Bytes in use, without what the heap keeps for the next request.
fn live() -> usize {
    HEAP.flush();
    HEAP.used()
}

fn receive() {
    MAY_BEGIN.store(true, Ordering::Release);
    let (mut received, mut longest) = (0, Vec::new());
    while received < BLOCKS {
        let blocks = core::mem::take(&mut *PASSED_ON.lock());
        for block in blocks {
            assert_eq!(block[block.len() - 1], received as u8);
            received += 1;
            longest = if block.len() > longest.len() { block } else { longest };
        }
    }
    assert_eq!(longest.len(), 1000);
    drop((longest, core::mem::take(&mut *PASSED_ON.lock())));
    ARE_FREED.store(true, Ordering::Release);
    while !HAS_GONE.load(Ordering::Acquire) {
        spin_loop();
    }
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
