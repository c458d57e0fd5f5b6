//! What the lock-free parts are made of. `tests/loom` compiles those with loom's in the place of these.

pub(super) use crate::provider::SlotWord;
pub(super) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering, compiler_fence};

use core::ptr::{self, NonNull};

use super::remote::RemoteList;

/// The first word of a block on its way to its owner: where the next one is.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct Link(Option<NonNull<Link>>);

// The smallest block must hold one.
const _: () = assert!(size_of::<Link>() <= 8);

impl Link {
    /// The link behind this one.
    ///
    /// # Safety
    ///
    /// The block is the caller's, and [`write`](Link::write) was the last to write there.
    pub(super) unsafe fn read(at: NonNull<Self>) -> Option<NonNull<Self>> {
        // SAFETY: the caller's promise.
        unsafe { at.read() }.0
    }

    /// Makes the first word of a block a link.
    ///
    /// # Safety
    ///
    /// The block is the caller's, aligned for a word, and holds one.
    pub(super) unsafe fn write(at: NonNull<Self>, next: Option<NonNull<Self>>) {
        // SAFETY: the caller's promise.
        unsafe { at.write(Self(next)) };
    }
}

impl RemoteList {
    /// An empty list. (It is here because loom's cannot be made at compile time.)
    pub(super) const fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()) }
    }
}
