//! What is in frames, reached through the [`Mmu`].

use x86_64::structures::paging::PhysFrame;

use super::{Mmu, Tables};
use crate::memory::layout::PAGE_SIZE;

impl<M: Mmu> Tables<M> {
    /// The bytes of a frame.
    ///
    /// # Safety
    ///
    /// The frame is the caller's to read and write, and is no table. Nobody else holds a reference
    /// into it.
    pub unsafe fn contents(&mut self, frame: PhysFrame) -> &mut [u8; PAGE_SIZE as usize] {
        let bytes = self.mmu.frame_to_pointer(frame).cast();
        // SAFETY: the `Mmu` makes the whole frame accessible, any bytes are valid, and the caller
        // says that it is free to use.
        unsafe { &mut *bytes }
    }

    /// Zeroes a frame from the byte offset on.
    ///
    /// # Safety
    ///
    /// As for [`contents`](Self::contents).
    pub unsafe fn zero(&mut self, frame: PhysFrame, from: usize) {
        // SAFETY: the caller says so.
        let bytes = unsafe { self.contents(frame) };
        bytes[from..].fill(0);
    }

    /// Copies what is in a frame to another one.
    ///
    /// # Safety
    ///
    /// As for [`contents`](Self::contents), for both.
    pub unsafe fn copy(&mut self, from: PhysFrame, to: PhysFrame) {
        let (from, to) = (self.mmu.frame_to_pointer(from), self.mmu.frame_to_pointer(to));
        // SAFETY: the `Mmu` makes both frames accessible as a whole, and the caller says that they
        // are free to use.
        unsafe { from.copy_to(to, 1) };
    }
}
