//! The four functions of a global allocator, for the `HEAP` of a program. The program is linked and
//! measured, not run.

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

use crate::HEAP;

/// # Safety
///
/// `size` and `align` are those of a layout.
unsafe fn layout(size: usize, align: usize) -> Layout {
    // SAFETY: this function's own clause.
    unsafe { Layout::from_size_align_unchecked(size, align) }
}

/// # Safety
///
/// `size` and `align` are those of a layout.
#[unsafe(no_mangle)]
unsafe extern "C" fn alloc(size: usize, align: usize) -> *mut u8 {
    // SAFETY: `size` and `align` are those of a layout.
    unsafe { HEAP.alloc(layout(size, align)) }
}

/// # Safety
///
/// `size` and `align` are those of a layout.
#[unsafe(no_mangle)]
unsafe extern "C" fn alloc_zeroed(size: usize, align: usize) -> *mut u8 {
    // SAFETY: `size` and `align` are those of a layout.
    unsafe { HEAP.alloc_zeroed(layout(size, align)) }
}

/// # Safety
///
/// As for `GlobalAlloc::dealloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn dealloc(block: *mut u8, size: usize, align: usize) {
    // SAFETY: `block` is live, with this layout.
    unsafe { HEAP.dealloc(block, layout(size, align)) };
}

/// # Safety
///
/// As for `GlobalAlloc::realloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(
    block: *mut u8,
    size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    // SAFETY: `block` is live, with this layout.
    unsafe { HEAP.realloc(block, layout(size, align), new_size) }
}

/// The program's critical section: that of a Cortex-M, or of a WebAssembly module with one thread.
#[cfg(feature = "critical-section")]
mod section {
    use critical_section::RawRestoreState;

    struct Interrupts;
    critical_section::set_impl!(Interrupts);

    #[cfg(target_arch = "arm")]
    // SAFETY: with PRIMASK set no handler runs; `release` writes what `acquire` read.
    unsafe impl critical_section::Impl for Interrupts {
        unsafe fn acquire() -> RawRestoreState {
            let primask: u32;
            // SAFETY: reads and sets PRIMASK.
            unsafe { core::arch::asm!("mrs {}, PRIMASK", "cpsid i", out(reg) primask) };
            primask != 0
        }

        unsafe fn release(was_masked: RawRestoreState) {
            if !was_masked {
                // SAFETY: interrupts were not masked before `acquire`.
                unsafe { core::arch::asm!("cpsie i") };
            }
        }
    }

    #[cfg(not(target_arch = "arm"))]
    // SAFETY: the module has one thread and no interrupts.
    unsafe impl critical_section::Impl for Interrupts {
        unsafe fn acquire() -> RawRestoreState {
            false
        }

        unsafe fn release(_: RawRestoreState) {}
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
