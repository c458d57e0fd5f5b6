//! A WebAssembly module without std: its heap is its linear memory, which `run.mjs` runs under
//! node.

#![no_std]

extern crate alloc;

use core::fmt;
use core::panic::PanicInfo;

use brkalloc::{LockedHeap, WasmBreak};

#[global_allocator]
// SAFETY: no other allocator of this module begins at `__heap_base`.
static HEAP: LockedHeap<WasmBreak> = LockedHeap::new(unsafe { WasmBreak::new() });

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Writes a text to standard output.
    fn print(text: *const u8, len: usize);

    /// Ends the program.
    fn exit(status: i32) -> !;
}

/// Runs the example.
#[unsafe(no_mangle)]
pub extern "C" fn run() {
    let heap = work::Heap {
        live: || HEAP.stats().live_bytes,
        peak: || HEAP.stats().peak_bytes,
        is_whole: || HEAP.check().is_ok(),
        keeps: 0,
        budget: 8 << 20,
        too_much: 64 << 20,
    };
    let mut cases: [work::Case; 1] = [("memory_of_other_code_is_left_alone", &mut foreign)];
    work::run(&mut Host, &heap, &mut cases);
    // SAFETY: the host ends the program.
    unsafe { exit(work::PASSED) }
}

/// Other code may grow linear memory as well: the heap goes on behind it.
fn foreign() {
    let page = core::arch::wasm32::memory_grow(0, 1) << 16;
    // SAFETY: the page is new, and nothing else uses it.
    let page = unsafe { core::slice::from_raw_parts_mut(page as *mut u8, 1 << 16) };
    page.fill(7);
    drop(alloc::vec![1_u8; 12 << 20]);
    assert!(page.iter().all(|&byte| byte == 7));
    assert_eq!(HEAP.stats().holes, 1);
}

/// Standard output.
struct Host;

impl fmt::Write for Host {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the host reads the text.
        unsafe { print(text.as_ptr(), text.len()) };
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let _ = fmt::Write::write_fmt(&mut Host, format_args!("\nPANIC: {}\n", info.message()));
    // SAFETY: the host ends the program.
    unsafe { exit(work::FAILED) }
}
