//! Segments, and the stacks that fatal exceptions are taken on.
//!
//! In long mode segments do almost nothing. Two things are left that need them: the code segments,
//! which say in which ring code runs, and the task state segment, which names stacks to switch to:
//! `rsp0` for whatever interrupts ring 3, and the interrupt stack table. A page fault on an
//! overflowing stack cannot be delivered on that stack; the processor raises a double fault
//! instead. It, the non-maskable interrupt and the machine check have a stack each, because one can
//! interrupt the handler of another.
//!
//! The order of the segments is what `syscall` and `sysret` want: the kernel's code and data, the
//! programs' data and code.

use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;

use spin::Once;
use x86_64::instructions::tables::load_tss;
use x86_64::registers::segmentation::{CS, DS, ES, SS, Segment, SegmentSelector};
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;
use x86_64::{PrivilegeLevel, VirtAddr};

use crate::cpu::{self, MAX_CPUS};

/// Selector of the kernel's code segment.
pub const KERNEL_CODE: SegmentSelector = SegmentSelector::new(1, PrivilegeLevel::Ring0);
/// Selector of the kernel's data segment.
pub const KERNEL_DATA: SegmentSelector = SegmentSelector::new(2, PrivilegeLevel::Ring0);
/// Selector of the programs' data segment.
pub const USER_DATA: SegmentSelector = SegmentSelector::new(3, PrivilegeLevel::Ring3);
/// Selector of the programs' code segment.
pub const USER_CODE: SegmentSelector = SegmentSelector::new(4, PrivilegeLevel::Ring3);
/// Selector of the task state segment.
const TASK_STATE: SegmentSelector = SegmentSelector::new(5, PrivilegeLevel::Ring0);

/// Index of the double fault's stack in the interrupt stack table.
pub const DOUBLE_FAULT_IST: u16 = 0;
/// Index of the non-maskable interrupt's stack.
pub const NMI_IST: u16 = 1;
/// Index of the machine check's stack.
pub const MACHINE_CHECK_IST: u16 = 2;

/// Stacks in the interrupt stack table.
pub const FATAL_STACKS: usize = 3;

/// The segments of a CPU: a descriptor table, and the task state segment in it, which the processor
/// reads whenever it changes stacks.
pub struct Segments {
    task_state: UnsafeCell<TaskStateSegment>,
    table: Once<GlobalDescriptorTable>,
}

// SAFETY: one CPU uses the task state segment, and what changes it does so by raw pointers, on that
// CPU.
unsafe impl Sync for Segments {}

/// Those of each CPU.
static FINAL: [Segments; MAX_CPUS] = [const { Segments::new() }; MAX_CPUS];

impl Segments {
    /// Segments that are not loaded yet.
    pub(crate) const fn new() -> Self {
        Self { task_state: UnsafeCell::new(TaskStateSegment::new()), table: Once::new() }
    }

    /// Loads the segments, with fatal exceptions taken on the stacks with these ends, in the order
    /// of the interrupt stack table. Called once.
    ///
    /// # Safety
    ///
    /// The stacks are mapped, used for nothing else, and stay.
    pub unsafe fn load(&'static self, fatal_stacks: [VirtAddr; FATAL_STACKS]) {
        let task_state = self.task_state.get();
        // SAFETY: the pointer leads to the segment; only the address of a field is taken.
        let stacks = unsafe { &raw mut (*task_state).interrupt_stack_table };
        // SAFETY: the table has room for them, and the segment is not in use yet.
        unsafe { stacks.cast::<[VirtAddr; FATAL_STACKS]>().write_unaligned(fatal_stacks) };
        let table = self.table.call_once(|| {
            let mut table = GlobalDescriptorTable::new();
            let descriptors = [
                (KERNEL_CODE, Descriptor::kernel_code_segment()),
                (KERNEL_DATA, Descriptor::kernel_data_segment()),
                (USER_DATA, Descriptor::user_data_segment()),
                (USER_CODE, Descriptor::user_code_segment()),
                // SAFETY: the segment is static.
                (TASK_STATE, unsafe { Descriptor::tss_segment_unchecked(task_state) }),
            ];
            for (selector, descriptor) in descriptors {
                let place = table.append(descriptor);
                assert_eq!(place, selector, "segments are where their selectors say");
            }
            table
        });
        table.load();
        // SAFETY: the selector names a 64-bit code segment of the table just loaded.
        unsafe { CS::set_reg(KERNEL_CODE) };
        for set in [SS::set_reg, DS::set_reg, ES::set_reg] {
            // SAFETY: the selector names a data segment of that table.
            unsafe { set(KERNEL_DATA) };
        }
        // SAFETY: the selector names a task state segment, which is static.
        unsafe { load_tss(TASK_STATE) };
    }

    /// Where the task state segment keeps the stack that the processor changes to when ring 3 is
    /// interrupted (`rsp0`). It may be unaligned.
    fn interrupt_stack(&self) -> *mut u64 {
        // SAFETY: the pointer leads to the segment; only the address of a field is taken.
        unsafe { &raw mut (*self.task_state.get()).privilege_stack_table }.cast()
    }
}

/// Loads this CPU's own segments, with fatal exceptions taken on the stacks with these ends. Called
/// once by each.
///
/// # Safety
///
/// As for [`Segments::load`].
pub unsafe fn load_own(fatal_stacks: [VirtAddr; FATAL_STACKS]) {
    let segments = &FINAL[cpu::number()];
    // SAFETY: as the caller says.
    unsafe { segments.load(fatal_stacks) };
    cpu::this().interrupt_stack.store(segments.interrupt_stack(), Ordering::Relaxed);
}
