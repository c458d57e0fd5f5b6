//! An x86_64 kernel on `bootloader` 0.9: the heap grows and shrinks with the page tables, and
//! interrupt handlers may allocate.

#![no_std]
#![no_main]

extern crate alloc;

use core::fmt;
use core::panic::PanicInfo;

use bootloader::bootinfo::{MemoryMap, MemoryRegionType};
use bootloader::{BootInfo, entry_point};
use brkalloc::{Heap, Locked, MaskInterrupts, PagedBreak, RecycledFrames, Spin, X86_64Interrupts};
use x86_64::instructions::{interrupts, port::Port};
use x86_64::registers::control::Cr3;
use x86_64::structures::paging::{FrameAllocator, OffsetPageTable, PhysFrame, Size4KiB};
use x86_64::{PhysAddr, VirtAddr};

type Break = PagedBreak<OffsetPageTable<'static>, RecycledFrames<BootFrames>>;

#[global_allocator]
static HEAP: Locked<Heap<Option<Break>>, MaskInterrupts<Spin, X86_64Interrupts>> = Locked::empty();

/// Addresses of the heap.
const START: usize = 0x4444_4444_0000;
const LEN: usize = 16 << 20;

/// Frames that the boot loader left free, each once.
struct BootFrames(&'static MemoryMap, usize);

// SAFETY: the memory map is the boot loader's, and the counter only rises.
unsafe impl FrameAllocator<Size4KiB> for BootFrames {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let usable = self.0.iter().filter(|region| region.region_type == MemoryRegionType::Usable);
        let mut frames = usable
            .flat_map(|region| (region.range.start_addr()..region.range.end_addr()).step_by(4096));
        let frame = frames.nth(self.1)?;
        self.1 += 1;
        Some(PhysFrame::containing_address(PhysAddr::new(frame)))
    }
}

entry_point!(main);

fn main(boot: &'static BootInfo) -> ! {
    let physical = VirtAddr::new(boot.physical_memory_offset);
    let table = physical + Cr3::read().0.start_address().as_u64();
    // SAFETY: the boot loader maps all physical memory at `physical`, this is the only mapper of
    // the active tables, and the boot loader maps nothing at the heap's addresses.
    unsafe {
        let mapper = OffsetPageTable::new(&mut *table.as_mut_ptr(), physical);
        let frames = RecycledFrames::new(BootFrames(&boot.memory_map, 0), physical);
        HEAP.init_with(PagedBreak::new(START as *mut u8, LEN, mapper, frames)).unwrap();
    }
    let heap = work::Heap {
        live: || HEAP.stats().live_bytes,
        peak: || HEAP.stats().peak_bytes,
        is_whole: || HEAP.check().is_ok(),
        keeps: 0,
        budget: 8 << 20,
        too_much: 20 << 20,
    };
    let mut cases: [work::Case; 2] = [
        ("the_heap_gives_memory_back", &mut gives_back),
        ("interrupts_are_masked_while_the_heap_is_locked", &mut masked),
    ];
    work::run(&mut Serial, &heap, &mut cases);
    end(0x10)
}

fn gives_back() {
    drop(alloc::vec![1_u8; 4 << 20]);
    HEAP.trim(0);
    assert!(HEAP.size() < 64 << 10);
}

fn masked() {
    // SAFETY: the ports of the two interrupt controllers: no device interrupts the kernel, which
    // has no handlers.
    unsafe {
        Port::new(0x21).write(0xFF_u8);
        Port::new(0xA1).write(0xFF_u8);
    }
    interrupts::enable();
    HEAP.inspect(|_| assert!(!interrupts::are_enabled()));
    assert!(interrupts::are_enabled());
    interrupts::disable();
    HEAP.inspect(|_| ());
    assert!(!interrupts::are_enabled());
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
