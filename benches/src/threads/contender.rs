//! The heaps that threads share, by what they share them with.

use std::alloc::Layout;
use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Mutex;

use brkalloc::inner::{SlotWord, Slots};
use brkalloc::{ArenaHeap, FixedBreak};

use super::Who;
use super::load::Run;
use crate::subject::{self, Subject};

/// Threads that may be there at the same time.
const MOST_THREADS: usize = 64;

/// A heap for many threads.
///
/// # Safety
///
/// A block that was returned is valid for its layout, overlaps no other live block, and stays so
/// until it is given back.
pub unsafe trait Contender: Sync {
    /// Allocates; null if that fails.
    ///
    /// # Safety
    ///
    /// The layout's size is not 0.
    unsafe fn allocate(&self, layout: Layout) -> *mut u8;

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout and is not used any more.
    unsafe fn deallocate(&self, block: *mut u8, layout: Layout);

    /// The caller's thread has this number from now on; no other that is there has it.
    fn begin_thread(&self, _number: usize) {}

    /// The caller's thread ends.
    fn end_thread(&self) {}
}

/// Calls `run` with a heap.
///
/// # Panics
///
/// If it is not in this build.
pub fn with(who: Who, region: NonNull<[u8]>, run: Run) -> f64 {
    let brk = || {
        // SAFETY: the region is this heap's as long as the process runs.
        unsafe { FixedBreak::from_raw(region.cast().as_ptr(), region.len()) }
    };
    match who {
        Who::Arenas => run.on(&ArenaHeap::new(brk(), Threads)),
        // SAFETY: as above; there is one thread.
        Who::Heap => run.on(&Unlocked(UnsafeCell::new(unsafe { subject::Heap::new(region) }))),
        // SAFETY: as above.
        Who::Locked => run.on(&Spinning(spin::Mutex::new(unsafe { subject::Heap::new(region) }))),
        // SAFETY: as above.
        Who::Talc => run.on(&Spinning(spin::Mutex::new(unsafe { subject::Talc::new(region) }))),
        // SAFETY: as above.
        Who::Rlsf => run.on(&Sleeping(Mutex::new(unsafe { subject::Rlsf::new(region) }))),
        Who::Glibc => run.on(&Library::<subject::Glibc>(PhantomData)),
        #[cfg(feature = "libraries")]
        Who::Mimalloc => run.on(&Library::<subject::Mimalloc>(PhantomData)),
        #[cfg(feature = "libraries")]
        Who::Jemalloc => run.on(&Library::<subject::Jemalloc>(PhantomData)),
        #[cfg(not(feature = "libraries"))]
        Who::Mimalloc | Who::Jemalloc => panic!("{who} needs the feature `libraries`"),
    }
}

thread_local! {
    static SLOT: Cell<usize> = const { Cell::new(usize::MAX) };
    static WORD: SlotWord = const { SlotWord::new() };
}

/// A slot for each thread that is there.
struct Threads;

// SAFETY: threads that are there have different numbers, and one gets the number of another after
// that was joined. The word is the thread's, which has one heap. No signal handler allocates.
unsafe impl Slots for Threads {
    const NESTS: bool = false;
    const INTERRUPTED: bool = false;

    fn slots(&self) -> usize {
        MOST_THREADS
    }

    #[inline]
    fn enter(&self) -> usize {
        SLOT.get()
    }

    #[inline(always)]
    fn word(&self) -> Option<&SlotWord> {
        let word = WORD.with(ptr::from_ref);
        // SAFETY: the thread's variable stays as long as the thread, whose operation this is.
        Some(unsafe { &*word })
    }
}

// SAFETY: what `ArenaHeap` guarantees.
unsafe impl Contender for ArenaHeap<FixedBreak, Threads> {
    #[inline]
    unsafe fn allocate(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the heap is there as long as its threads.
        unsafe { ArenaHeap::allocate(self, layout) }.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline]
    unsafe fn deallocate(&self, block: *mut u8, layout: Layout) {
        // SAFETY: blocks are not null.
        let block = unsafe { NonNull::new_unchecked(block) };
        // SAFETY: the caller's promise.
        unsafe { ArenaHeap::deallocate(self, block, layout) };
    }

    fn begin_thread(&self, number: usize) {
        assert!(number < MOST_THREADS);
        SLOT.set(number);
    }

    fn end_thread(&self) {
        // SAFETY: nothing interrupts.
        unsafe { self.abandon() };
    }
}

/// Without a lock, for one thread.
struct Unlocked<S>(UnsafeCell<S>);

// SAFETY: there is one thread.
unsafe impl<S> Sync for Unlocked<S> {}

// SAFETY: what the subject guarantees.
unsafe impl<S: Subject> Contender for Unlocked<S> {
    #[inline]
    unsafe fn allocate(&self, layout: Layout) -> *mut u8 {
        // SAFETY: there is one thread.
        let subject = unsafe { &mut *self.0.get() };
        // SAFETY: the caller's promise.
        unsafe { subject.allocate(layout) }
    }

    #[inline]
    unsafe fn deallocate(&self, block: *mut u8, layout: Layout) {
        // SAFETY: there is one thread.
        let subject = unsafe { &mut *self.0.get() };
        // SAFETY: the caller's promise.
        unsafe { subject.deallocate(block, layout) };
    }
}

/// Behind a spin lock.
struct Spinning<S>(spin::Mutex<S>);

// SAFETY: the subjects' memory goes with them, and the lock lets one thread in at a time.
unsafe impl<S> Sync for Spinning<S> {}

// SAFETY: what the subject guarantees.
unsafe impl<S: Subject> Contender for Spinning<S> {
    #[inline]
    unsafe fn allocate(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.lock().allocate(layout) }
    }

    #[inline]
    unsafe fn deallocate(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.lock().deallocate(block, layout) };
    }
}

/// Behind a mutex that puts who waits to sleep.
struct Sleeping<S>(Mutex<S>);

// SAFETY: as for `Spinning`.
unsafe impl<S> Sync for Sleeping<S> {}

// SAFETY: what the subject guarantees.
unsafe impl<S: Subject> Contender for Sleeping<S> {
    #[inline]
    unsafe fn allocate(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.lock().expect("nobody panics with it").allocate(layout) }
    }

    #[inline]
    unsafe fn deallocate(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.lock().expect("nobody panics with it").deallocate(block, layout) };
    }
}

/// A library, which needs nothing.
struct Library<S>(PhantomData<fn() -> S>);

impl<S: Subject> Library<S> {
    /// A library has no state of its own here.
    #[inline]
    fn subject() -> S {
        // SAFETY: it takes no notice of the region.
        unsafe { S::new(NonNull::slice_from_raw_parts(NonNull::dangling(), 0)) }
    }
}

// SAFETY: what the subject guarantees.
unsafe impl<S: Subject> Contender for Library<S> {
    #[inline]
    unsafe fn allocate(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { Self::subject().allocate(layout) }
    }

    #[inline]
    unsafe fn deallocate(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { Self::subject().deallocate(block, layout) };
    }
}
