//! A queue from one thread to another, as cheap as can be, for blocks on their way.

use std::alloc::Layout;
use std::cell::{Cell, UnsafeCell};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Blocks that fit in.
const ROOM: usize = 4096;

/// How many are put in, or taken out, before the other side is told.
const BATCH: usize = 32;

/// A block on its way.
pub type Parcel = (*mut u8, Layout);

/// What one side writes, apart from the other's.
#[repr(align(128))]
struct Side {
    /// How many were put in, or taken out, as the other side knows it.
    told: AtomicUsize,
    /// The same, as this side knows it.
    own: Cell<usize>,
    /// What the other side told last.
    other: Cell<usize>,
}

impl Side {
    const fn new() -> Self {
        Self { told: AtomicUsize::new(0), own: Cell::new(0), other: Cell::new(0) }
    }

    fn count(&self) {
        let own = self.own.get() + 1;
        self.own.set(own);
        if own.is_multiple_of(BATCH) {
            self.told.store(own, Ordering::Release);
        }
    }
}

/// A queue with one thread at each end.
pub struct Queue {
    put: Side,
    taken: Side,
    places: Box<[UnsafeCell<Parcel>]>,
}

// SAFETY: each side is used by one thread (callers' promise), and a place by the one whose turn it
// is, as told.
unsafe impl Sync for Queue {}

// SAFETY: a block may be freed by any thread.
unsafe impl Send for Queue {}

impl Queue {
    pub fn new() -> Self {
        let places =
            (0..ROOM).map(|_| UnsafeCell::new((std::ptr::null_mut(), Layout::new::<u8>())));
        Self { put: Side::new(), taken: Side::new(), places: places.collect() }
    }

    /// Puts a block in; false if there is no room.
    ///
    /// # Safety
    ///
    /// One thread puts in.
    #[inline]
    pub unsafe fn put(&self, parcel: Parcel) -> bool {
        let at = self.put.own.get();
        if at - self.put.other.get() == ROOM {
            self.put.other.set(self.taken.told.load(Ordering::Acquire));
            if at - self.put.other.get() == ROOM {
                return false;
            }
        }
        // SAFETY: it was taken out, and nobody looks before it is told.
        unsafe { *self.places[at % ROOM].get() = parcel };
        self.put.count();
        true
    }

    /// Takes a block out, if there is one.
    ///
    /// # Safety
    ///
    /// One thread takes out.
    #[inline]
    pub unsafe fn take(&self) -> Option<Parcel> {
        let at = self.taken.own.get();
        if at == self.taken.other.get() {
            self.taken.other.set(self.put.told.load(Ordering::Acquire));
            if at == self.taken.other.get() {
                return None;
            }
        }
        // SAFETY: it was put in, and is not overwritten before it is told.
        let parcel = unsafe { *self.places[at % ROOM].get() };
        self.taken.count();
        Some(parcel)
    }
}
