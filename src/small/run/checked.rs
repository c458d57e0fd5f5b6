//! What the `checked` profile asks a run: where its blocks begin, and whether their links are what
//! the heap wrote.

use core::ptr::NonNull;

use super::{NOWHERE, Run, blocks_of};
use crate::link_copy::{self, BrokenLink};
use crate::size_class::Class;

/// The link of a free block.
///
/// # Safety
///
/// The block is in a run's list of free ones.
unsafe fn link_of(block: NonNull<u8>) -> u16 {
    // SAFETY: the caller's promise.
    unsafe { block.cast::<u16>().read() }
}

/// Notes the link of a block that is put back.
///
/// # Safety
///
/// The block is the run's, and its link was just written.
pub(super) unsafe fn note(block: NonNull<u8>) {
    // SAFETY: just written.
    let link = unsafe { link_of(block) };
    // SAFETY: the caller's promise.
    unsafe { link_copy::write(block, usize::from(link)) };
}

impl Run {
    /// The block of this run in which an address lies, taken out or not; `None` if it lies in none.
    pub(crate) fn block_around(self, class: Class, address: usize) -> Option<usize> {
        let first = self.0.addr().get();
        let index = address.checked_sub(first)? / class.size();
        (index < blocks_of(class)).then_some(first + index * class.size())
    }

    /// Whether a block is free in the run: in its list, or never taken out.
    ///
    /// # Safety
    ///
    /// See the type.
    pub(crate) unsafe fn is_free(self, class: Class, block: usize) -> bool {
        // SAFETY: the caller's promise.
        let fresh = unsafe { self.header(class) }.fresh;
        if fresh != NOWHERE && block >= self.0.addr().get() + usize::from(fresh) {
            return true;
        }
        // SAFETY: the caller's promise.
        let (free, _) =
            unsafe { self.follow(class, usize::MAX, |free| free.addr().get() == block) };
        free
    }

    /// Looks at the links that [`take`](Run::take) of `most` blocks will follow. If one was
    /// overwritten, the list ends with its block, and what was behind it counts as live for
    /// ever.
    ///
    /// # Safety
    ///
    /// See the type.
    pub(crate) unsafe fn watch(self, class: Class, most: usize) -> Result<(), BrokenLink> {
        let (mut last, mut length) = (None, 0);
        // SAFETY: the caller's promise.
        let (_, sound) = unsafe {
            self.follow(class, most, |block| {
                (last, length) = (Some(block), length + 1);
                false
            })
        };
        let (Err(broken), Some(block)) = (sound, last) else { return Ok(()) };
        // SAFETY: a free block of the run.
        unsafe { block.cast::<u16>().write(NOWHERE) };
        // SAFETY: just written.
        unsafe { note(block) };
        // SAFETY: the caller's promise.
        let header = unsafe { self.header(class) };
        let never_used = match header.fresh {
            NOWHERE => 0,
            fresh => blocks_of(class) - usize::from(fresh) / class.size(),
        };
        header.live = (blocks_of(class) - never_used - length) as u16;
        Err(broken)
    }

    /// Follows the list of free blocks until `found` says so, for `most` links at most, and not
    /// past one that was overwritten.
    ///
    /// # Safety
    ///
    /// See the type.
    unsafe fn follow(
        self,
        class: Class,
        most: usize,
        mut found: impl FnMut(NonNull<u8>) -> bool,
    ) -> (bool, Result<(), BrokenLink>) {
        // SAFETY: the caller's promise.
        let mut free = unsafe { self.header(class) }.free;
        let mut left = most.min(blocks_of(class));
        while free != NOWHERE && left > 0 {
            // SAFETY: the offset of a block, inside the run.
            let block = unsafe { self.payload().add(usize::from(free)) };
            if found(block) {
                return (true, Ok(()));
            }
            // SAFETY: a free block begins with its link.
            let link = unsafe { link_of(block) };
            // SAFETY: both were written when it was put back.
            if let Err(broken) = unsafe { link_copy::verify(block, usize::from(link)) } {
                return (false, Err(broken));
            }
            free = link;
            left -= 1;
        }
        (false, Ok(()))
    }
}
