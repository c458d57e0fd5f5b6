//! How the cells of a heap are laid out, so that others can walk over them: `heap PID` in the
//! shell, and the live picture. A program registers its heap's layout once, before it allocates.
//!
//! ```text
//!   start, or the break's ─ skip ─►│ cell             │ cell │ cell      │ … end, or the break
//!                                  └ size_at: size ───┘
//!                                    used_at: used?      or: on the free list that begins at *free_at?
//! ```
//!
//! Whoever reads it believes nothing: a size of zero, or one beyond the end, ends the walk.

use crate::system::{Errno, view};

/// Layout of a heap. What is zero does not apply.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapLayout {
    /// Address of the first cell; 0: the cells begin where the process's break began.
    pub start: usize,
    /// Bytes from there to the first cell.
    pub skip: usize,
    /// Address of a word that holds the address behind the last cell; 0: it is the break.
    pub end_at: usize,
    /// Offset of the word with the size, from the start of its cell.
    pub size_at: usize,
    /// Bits of that word that are the size.
    pub size_bits: usize,
    /// Bytes of one unit of the size; 0 is 1.
    pub size_unit: usize,
    /// Bytes from one cell to the next beyond the size: the header's, if it does not count them.
    pub size_more: usize,
    /// Bits of the word with the size that mark a hole; with a size of 0, the end.
    pub border_bits: usize,
    /// Offset of the word that says whether the cell is used.
    pub used_at: usize,
    /// Bits of that word that say so; 0: the free list does.
    pub used_bits: usize,
    /// Their value in a used cell.
    pub used_value: usize,
    /// Address of a word that holds the address of the first free cell, or 0.
    pub free_at: usize,
    /// Offset of the word with the address of the next free cell.
    pub next_at: usize,
}

impl HeapLayout {
    /// A heap of brkalloc over the break: see `src/cell/header.rs`.
    pub const BRKALLOC: Self = Self {
        start: 0,
        skip: 8,
        end_at: 0,
        size_at: 0,
        size_bits: !15,
        size_unit: 1,
        size_more: 0,
        border_bits: 4,
        used_at: 0,
        used_bits: 1,
        used_value: 1,
        free_at: 0,
        next_at: 0,
    };

    /// Registers this layout as that of this process's heap.
    ///
    /// # Errors
    ///
    /// `ENOSYS` on Linux, where nobody asks.
    pub fn register(&self) -> Result<(), Errno> {
        view::heap_register(self)
    }

    /// The layout that a process has registered.
    ///
    /// # Errors
    ///
    /// `ENOENT` if it has none; `ESRCH` if there is no such process; `ENOSYS` on Linux.
    pub fn of(process: usize) -> Result<Self, Errno> {
        let mut layout = Self::default();
        view::heap_layout(process, &mut layout)?;
        Ok(layout)
    }
}
