//! What the lock-free parts are made of. `tests/loom` compiles those with loom's in the place of
//! these.

pub(super) use crate::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize};
pub(super) use crate::provider::SlotWord;
pub(super) use core::sync::atomic::{Ordering, compiler_fence};

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// Blocks of a batch: so many that a packet has eight cache lines, where a word has eight bytes.
pub(super) const BATCH: usize = 62;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Packets of an arena.
pub(super) const PACKETS: usize = 8;

/// Has a cache line fetched, where the CPU can be told to.
#[inline(always)]
pub(super) fn fetch<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", target_feature = "sse"))]
    // SAFETY: a hint, whatever the address.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", target_feature = "sse")))]
    let _ = at;
}

/// What is in a packet: a batch that goes from who frees to the owner.
#[derive(Debug)]
pub(super) struct BatchCell<T>(UnsafeCell<MaybeUninit<T>>);

impl<T: Copy> BatchCell<T> {
    /// A cell without a batch.
    pub(super) const fn empty() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Puts a batch in.
    ///
    /// # Safety
    ///
    /// The packet is the caller's.
    pub(super) unsafe fn write(&self, batch: &T) {
        // SAFETY: the caller's promise.
        unsafe { self.0.get().cast::<T>().write(*batch) };
    }

    /// Has its lines fetched, which somebody is going to read.
    #[inline(always)]
    pub(super) fn fetch(&self) {
        let lines = self.0.get().cast::<[u8; LINE]>();
        (0..size_of::<T>().div_ceil(LINE)).for_each(|line| fetch(lines.wrapping_add(line)));
    }

    /// Looks at what is in it.
    ///
    /// # Safety
    ///
    /// The packet is the caller's, and a batch is in it.
    #[inline(always)]
    pub(super) unsafe fn read(&self, look: impl FnOnce(&T)) {
        // SAFETY: the caller's promise.
        look(unsafe { &*self.0.get().cast::<T>() });
    }
}

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
