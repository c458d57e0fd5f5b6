//! Links of kept cells that were overwritten (of a checked heap): noticed before they are followed.

use super::Kept;
use crate::cell::{Cell, Form};
use crate::link_copy::{self, BrokenLink};

/// The link of a kept cell, as a number.
///
/// # Safety
///
/// The cell is in a list.
unsafe fn link_of<F>(cell: Cell<F>) -> usize {
    // SAFETY: its payload begins with its link; any bits are a cell or none.
    unsafe { cell.payload().cast::<usize>().read() }
}

/// Notes the link of a cell that is put in.
///
/// # Safety
///
/// The cell's link was just written.
pub(super) unsafe fn note<F>(cell: Cell<F>) {
    // SAFETY: the caller's promise.
    let link = unsafe { link_of(cell) };
    // SAFETY: nobody uses the payload.
    unsafe { link_copy::write(cell.payload(), link) };
}

/// Compares the link of a kept cell with its copy.
///
/// # Safety
///
/// The cell is in a list.
pub(super) unsafe fn sound_link<F>(cell: Cell<F>) -> Result<(), BrokenLink> {
    // SAFETY: the caller's promise.
    let link = unsafe { link_of(cell) };
    // SAFETY: both were written when it was put in.
    unsafe { link_copy::verify(cell.payload(), link) }
}

impl<F: Form> Kept<F> {
    /// Looks at the link that the next cell to be taken out has. If it was overwritten, the list
    /// ends with that cell: what was behind it is lost, and [`take_broken`](Kept::take_broken)
    /// tells.
    pub(super) fn watch(&mut self, class: usize) {
        let Some(cell) = self.heads[class] else { return };
        // SAFETY: the head of a list.
        let Err(broken) = (unsafe { sound_link(cell) }) else { return };
        // SAFETY: the payload, which nobody uses, begins with its link.
        unsafe { cell.link().write(None) };
        // SAFETY: just written.
        unsafe { note(cell) };
        self.len[class] = 1;
        // SAFETY: kept cells are valid.
        self.bytes = self.cells().map(|cell| unsafe { cell.header() }.size()).sum();
        self.broken = Some(broken);
    }

    /// The last link that was found overwritten since this was asked.
    pub(crate) const fn take_broken(&mut self) -> Option<BrokenLink> {
        self.broken.take()
    }
}
