//! Atomics and cells of the lock-free parts. `tests/loom` compiles these parts with loom's.

pub(super) use crate::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize};
pub(super) use crate::provider::SlotWord;
pub(super) use core::sync::atomic::{Ordering, compiler_fence};

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// Number of blocks of a batch: a packet has eight cache lines, if a word has eight bytes.
pub(super) const BATCH: usize = 62;

/// Number of packets of an arena.
pub(super) const PACKETS: usize = 8;

/// Batch in a packet, from its sender to the owner.
#[derive(Debug)]
pub(super) struct BatchCell<T>(UnsafeCell<MaybeUninit<T>>);

impl<T: Copy> BatchCell<T> {
    /// Returns a cell without a batch.
    pub(super) const fn empty() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Writes a batch.
    ///
    /// # Safety
    ///
    /// The packet belongs to the caller.
    pub(super) unsafe fn write(&self, batch: &T) {
        // SAFETY: the clauses are those of this method.
        unsafe { self.0.get().cast::<T>().write(*batch) };
    }

    /// Passes the batch to `look`.
    ///
    /// # Safety
    ///
    /// The packet belongs to the caller, and has a batch.
    #[inline(always)]
    pub(super) unsafe fn read(&self, look: impl FnOnce(&T)) {
        // SAFETY: the clauses are those of this method.
        look(unsafe { &*self.0.get().cast::<T>() });
    }
}

/// First word of a block on its way to its owner: a link to the next block.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct Link(Option<NonNull<Link>>);

// The smallest block must hold one.
const _: () = assert!(size_of::<Link>() <= 8);

impl Link {
    /// Returns the next block.
    ///
    /// # Safety
    ///
    /// The block belongs to the caller, and [`write`](Link::write) was the last to write there.
    pub(super) unsafe fn read(at: NonNull<Self>) -> Option<NonNull<Self>> {
        // SAFETY: the clauses are those of this method.
        unsafe { at.read() }.0
    }

    /// Makes the first word of a block a link.
    ///
    /// # Safety
    ///
    /// The block belongs to the caller, aligned for a word, and holds one.
    pub(super) unsafe fn write(at: NonNull<Self>, next: Option<NonNull<Self>>) {
        // SAFETY: the clauses are those of this method.
        unsafe { at.write(Self(next)) };
    }
}
