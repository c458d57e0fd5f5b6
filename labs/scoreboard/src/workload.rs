//! The operations of a trace, as its reader makes them.

/// What is done with a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Act {
    /// The slot is empty; allocate.
    Allocate,
    /// The slot is empty; allocate zeroed memory.
    AllocateZeroed,
    /// Free; the slot is empty after it.
    Free,
    /// Change the size.
    Reallocate,
    /// Free, and allocate: in no trace.
    #[allow(dead_code, reason = "the benchmarks' other workloads have it")]
    Replace,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// What is done.
    pub act: Act,
    /// Logarithm of the alignment, to the base two.
    pub align_log2: u8,
    /// Slot of the table.
    pub slot: u32,
    /// Size in bytes; 0 for a free.
    pub size: u32,
}
