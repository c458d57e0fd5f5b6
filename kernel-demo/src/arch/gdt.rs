//! Segments, and the stack that double faults are taken on.
//!
//! In long mode segments do almost nothing. Two things are left that need them: the code segment that exception handlers
//! run in, and the task state segment, whose interrupt stack table names a stack to switch to. A page fault on an
//! overflowing stack cannot be delivered on that stack; the processor raises a double fault instead, which gets its own.

use spin::Once;
use x86_64::VirtAddr;
use x86_64::instructions::tables::load_tss;
use x86_64::registers::segmentation::{CS, DS, ES, SS, Segment, SegmentSelector};
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

/// Place of the double-fault stack in the interrupt stack table.
pub const DOUBLE_FAULT_IST: u16 = 0;

/// A descriptor table and the task state segment in it.
pub struct Segments {
    task_state: Once<TaskStateSegment>,
    table: Once<(GlobalDescriptorTable, [SegmentSelector; 3])>,
}

/// In use until there are kernel stacks.
pub static EARLY: Segments = Segments::new();

/// In use from then on.
pub static FINAL: Segments = Segments::new();

/// Bytes of the double-fault stack that serves until there are kernel stacks.
const EARLY_STACK: usize = 16 * 1024;

/// Memory for that stack. No Rust code accesses it by name; only the processor does.
#[repr(align(16))]
struct EarlyStack {
    _bytes: [u8; EARLY_STACK],
}

static mut EARLY_DOUBLE_FAULT_STACK: EarlyStack = EarlyStack { _bytes: [0; EARLY_STACK] };

impl Segments {
    const fn new() -> Self {
        Self { task_state: Once::new(), table: Once::new() }
    }

    /// Loads the segments, with double faults taken on the stack that ends at `double_fault_stack`. Called once.
    ///
    /// # Safety
    ///
    /// The stack is mapped, used for nothing else, and stays.
    pub unsafe fn load(&'static self, double_fault_stack: VirtAddr) {
        let task_state = self.task_state.call_once(|| {
            let mut task_state = TaskStateSegment::new();
            task_state.interrupt_stack_table[DOUBLE_FAULT_IST as usize] = double_fault_stack;
            task_state
        });
        let (table, [code, data, task]) = self.table.call_once(|| {
            let mut table = GlobalDescriptorTable::new();
            let code = table.append(Descriptor::kernel_code_segment());
            let data = table.append(Descriptor::kernel_data_segment());
            let task = table.append(Descriptor::tss_segment(task_state));
            (table, [code, data, task])
        });
        table.load();
        // SAFETY: the selector names a 64-bit code segment of the table just loaded.
        unsafe { CS::set_reg(*code) };
        for set in [SS::set_reg, DS::set_reg, ES::set_reg] {
            // SAFETY: the selector names a data segment of that table.
            unsafe { set(*data) };
        }
        // SAFETY: the selector names a task state segment, which is static.
        unsafe { load_tss(*task) };
    }
}

/// Where the stack for double faults ends that serves until there are kernel stacks.
pub fn early_double_fault_stack() -> VirtAddr {
    VirtAddr::from_ptr(&raw const EARLY_DOUBLE_FAULT_STACK) + EARLY_STACK as u64
}
