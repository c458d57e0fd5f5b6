//! Frames through the map of all physical memory, and the CPUs' translations.
#![allow(unsafe_code)]

use core::ptr;

use x86_64::VirtAddr;
use x86_64::instructions::tlb;
use x86_64::structures::paging::mapper::PageTableFrameMapping;
use x86_64::structures::paging::{PageTable, PhysFrame};

use super::tables::Mmu;
use crate::cpu::request;
use crate::words::layout::{HIGHER_HALF, IN_EVERY_PROCESS, PHYSICAL_MEMORY};

/// The processor's memory management unit.
///
/// # Invariants
///
/// All RAM is mapped, readable and writable, from [`PHYSICAL_MEMORY`] on: by the bootloader at
/// first, then by the kernel.
#[derive(Clone, Copy)]
pub struct PhysicalMap(());

impl PhysicalMap {
    /// The map of all physical memory.
    ///
    /// # Safety
    ///
    /// It exists, and stays.
    pub const unsafe fn new() -> Self {
        Self(())
    }

    /// The address at which a physical address is accessible.
    pub const fn address(physical: u64) -> u64 {
        PHYSICAL_MEMORY + physical
    }
}

// SAFETY: by the type's invariant, the pointer leads to the frame.
unsafe impl PageTableFrameMapping for PhysicalMap {
    fn frame_to_pointer(&self, frame: PhysFrame) -> *mut PageTable {
        ptr::with_exposed_provenance_mut(Self::address(frame.start_address().as_u64()) as usize)
    }
}

// SAFETY: as above.
unsafe impl Mmu for PhysicalMap {
    fn flush(&self, page: u64) {
        // SAFETY: a page is canonical.
        tlb::flush(unsafe { VirtAddr::new_unsafe(page) });
    }

    fn flush_others(&self, root: PhysFrame, page: u64) {
        /// Addresses that one entry of a level-4 table covers.
        const COVERED: u64 = 512 << 30;
        if page < HIGHER_HALF {
            request::flush_process(root.start_address().as_u64());
        } else {
            let everywhere = IN_EVERY_PROCESS.iter().any(|at| at / COVERED == page / COVERED);
            request::flush_kernel(everywhere);
        }
    }
}
