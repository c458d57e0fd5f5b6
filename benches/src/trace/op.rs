//! One call of a program, on a slot of a table of blocks.

use std::alloc::Layout;

/// Call on a slot.
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
    /// Free, and allocate.
    Replace,
}

/// One operation.
///
/// # Invariants
///
/// `size ≥ 1`, except for [`Act::Free`], which has none
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// What.
    pub act: Act,
    /// The alignment is two to this power.
    pub align_log2: u8,
    /// On which slot of the table.
    pub slot: u32,
    /// To how many bytes.
    pub size: u32,
}

impl Op {
    /// The layout of what is allocated.
    #[inline]
    #[must_use]
    pub fn layout(self) -> Layout {
        // SAFETY: `Script` and `Trace` make no alignment above a page; 32 bits of size are in
        // range.
        unsafe { Layout::from_size_align_unchecked(self.size as usize, 1 << self.align_log2) }
    }
}
