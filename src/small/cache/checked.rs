//! Links of the front cache that were overwritten (of a checked heap): noticed before they are
//! followed.

use core::ptr::NonNull;

use super::{Cache, Link};
use crate::cell::Form;
use crate::link_copy::{self, BrokenLink};
use crate::small::front::Front;

/// The link of a block in the cache, as a number.
///
/// # Safety
///
/// The block is in a list of the cache.
unsafe fn link_of(block: NonNull<Link>) -> usize {
    // SAFETY: a block in a list begins with a link; any bits are an address or none.
    unsafe { block.cast::<usize>().read() }
}

/// The block behind this one in its list, unless the link was overwritten.
///
/// # Safety
///
/// The block is in a list of the cache.
unsafe fn next(block: NonNull<Link>) -> Option<NonNull<Link>> {
    // SAFETY: the caller's promise.
    let link = unsafe { link_of(block) };
    // SAFETY: the caller's promise: both were written when the block was put in.
    unsafe { link_copy::verify(block.cast(), link) }.ok()?;
    // SAFETY: the caller's promise.
    unsafe { block.read() }.0
}

/// Notes the link of a block that is put in.
///
/// # Safety
///
/// The block is the cache's, and holds a link and its copy.
pub(super) unsafe fn note(block: NonNull<Link>) {
    // SAFETY: just written.
    let link = unsafe { link_of(block) };
    // SAFETY: the caller's promise.
    unsafe { link_copy::write(block.cast(), link) };
}

impl<F: Form> Cache<F> {
    /// Looks at the link that the next block of the class with this number has. If it was
    /// overwritten, the list ends with that block: what was behind it is lost, and
    /// [`take_broken`](Cache::take_broken) tells.
    pub(super) fn watch(&mut self, at: usize) {
        let Some(block) = self.heads[at] else { return };
        // SAFETY: in the list.
        let link = unsafe { link_of(block) };
        // SAFETY: in the list.
        let Err(broken) = (unsafe { link_copy::verify(block.cast(), link) }) else { return };
        // SAFETY: the block is the cache's, and begins with its link.
        unsafe { block.write(Link(None)) };
        // SAFETY: the block is the cache's.
        unsafe { note(block) };
        self.left[at] = i32::from(self.room[at]) - 1;
        self.broken = Some(broken);
    }

    /// The last link that was found overwritten since this was asked.
    pub(crate) const fn take_broken(&mut self) -> Option<BrokenLink> {
        self.broken.take()
    }

    /// The blocks of a class, last freed first, up to one whose link was overwritten.
    pub(super) fn sound_blocks(&self, front: Front) -> impl Iterator<Item = NonNull<u8>> {
        // SAFETY: in the list.
        core::iter::successors(self.heads[front.index()], |&block| unsafe { next(block) })
            .map(NonNull::cast)
    }

    /// Whether a block is in one of the lists.
    pub(crate) fn contains(&self, block: usize) -> bool {
        self.all_blocks().any(|other| other.addr().get() == block)
    }
}
