//! The map of the kernel's address space, and the few sums with addresses that everybody needs.
//!
//! ```text
//! 0xFFFF_FFFF_8000_0000 ┌──────────────────────┐
//!                       │ kernel image         │ text r-x, rodata r--, data and bss rw-
//! 0xFFFF_FF80_0000_0000 ├──────────────────────┤
//!                       │ bootloader's stack   │ left and reclaimed at boot
//! 0xFFFF_FF00_0000_0000 ├──────────────────────┤
//!                       │ boot information     │ r--, one page
//! 0xFFFF_FE00_0000_0000 ├──────────────────────┤
//!                       │ local APIC           │ rw-, one page of a device
//! 0xFFFF_A000_0000_0000 ├──────────────────────┤
//!                       │ kernel stacks        │ rw-, an unmapped guard page below each
//! 0xFFFF_9080_0000_0000 ├──────────────────────┤
//!                       │ scratch breaks 1…15  │ 64 GiB of addresses each, 512 GiB apart
//! 0xFFFF_9000_0000_0000 ├──────────────────────┤
//!                       │ kernel heap's break  │ 64 GiB of addresses, mapped page by page on first touch
//! 0xFFFF_8000_0000_0000 ├──────────────────────┤
//!                       │ all physical memory  │ rw-, 2 MiB pages
//!                       ├──────────────────────┤
//!                       │ not canonical        │
//! 0x0000_8000_0000_0000 ├──────────────────────┤
//!                       │ lower half           │ empty for the kernel; a process has its memory there
//!                     0 └──────────────────────┘
//! ```
//!
//! One entry of the level-4 table covers 512 GiB. No two breaks share one, so that no two share a
//! page table, and what a break costs in frames can be counted exactly.

use x86_64::structures::paging::{Page, PhysFrame};
use x86_64::{PhysAddr, VirtAddr};

/// Bytes of a page and of a frame.
pub const PAGE_SIZE: u64 = 4096;

/// Where all physical memory is mapped (`physical-memory-offset` in `Cargo.toml`).
pub const PHYSICAL_MEMORY: u64 = 0xFFFF_8000_0000_0000;

/// Where the first break, the kernel heap's, begins.
pub const BREAKS: u64 = 0xFFFF_9000_0000_0000;

/// Distance from the base of one break to the base of the next: what one level-4 entry covers.
pub const BREAK_STRIDE: u64 = 512 << 30;

/// Addresses that a break may cover.
pub const BREAK_LIMIT: u64 = 64 << 30;

/// Where the kernel stacks begin.
pub const STACKS: u64 = 0xFFFF_A000_0000_0000;

/// Where the local APIC's registers are mapped, each CPU's own at the same address.
pub const LOCAL_APIC: u64 = 0xFFFF_FE00_0000_0000;

/// Where the kernel's image begins (`--image-base` in the target's file).
pub const IMAGE: u64 = 0xFFFF_FFFF_8000_0000;

/// What processes have mapped of the kernel: where its code runs and its stacks are when ring 3 is
/// entered and left. The level-4 entries of both are made at boot and stay.
pub const IN_EVERY_PROCESS: [u64; 2] = [STACKS, IMAGE];

/// Where the lower half ends, which is the processes'.
pub const LOWER_HALF_END: u64 = 0x0000_8000_0000_0000;

/// Where the higher half begins, which is the kernel's.
pub const HIGHER_HALF: u64 = 0xFFFF_8000_0000_0000;

/// The page-aligned address at or below `address`.
pub const fn page_floor(address: u64) -> u64 {
    address & !(PAGE_SIZE - 1)
}

/// The page-aligned address at or above `address`, which lies below the last page of the address
/// space.
pub const fn page_ceil(address: u64) -> u64 {
    page_floor(address + (PAGE_SIZE - 1))
}

/// The length in bytes of the pages that hold `len` bytes, if there are so many addresses.
pub const fn checked_page_ceil(len: u64) -> Option<u64> {
    len.checked_next_multiple_of(PAGE_SIZE)
}

/// The page that holds `address`, which is canonical.
pub fn page_at(address: u64) -> Page {
    Page::containing_address(VirtAddr::new(address))
}

/// The frame that holds the physical address.
pub fn frame_at(address: u64) -> PhysFrame {
    PhysFrame::containing_address(PhysAddr::new(address))
}
