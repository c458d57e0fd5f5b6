//! A handler that allocates while the pool of sampled blocks changes.

use std::alloc::GlobalAlloc;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use brkalloc::{GuardPages, MapError, Sampled};

use super::world::*;

/// A provider during whose work a handler allocates and frees.
struct Interrupted(ProcessPages);

static HANDLED: AtomicUsize = AtomicUsize::new(0);

fn interrupted_heap() -> &'static Sampled<Arenas, Interrupted, Sites, 8> {
    use std::sync::OnceLock;
    struct Shared(&'static Sampled<Arenas, Interrupted, Sites, 8>);
    // SAFETY: one thread uses it.
    unsafe impl Sync for Shared {}
    // SAFETY: as above.
    unsafe impl Send for Shared {}
    static HEAP: OnceLock<Shared> = OnceLock::new();
    HEAP.get_or_init(|| {
        let pages = Interrupted(ProcessPages::default());
        Shared(Box::leak(Box::new(Sampled::with_sites(arenas(), pages, Sites))))
    })
    .0
}

impl Interrupted {
    fn handle(&self) {
        let heap = interrupted_heap();
        // SAFETY: the heap is leaked, and the block is freed once, with its layout.
        unsafe {
            let block = heap.alloc(layout(50));
            assert!(!block.is_null());
            heap.dealloc(block, layout(50));
        }
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: the inner provider's.
unsafe impl GuardPages for Interrupted {
    fn granule(&self) -> usize {
        PAGE
    }

    fn reserve(&mut self, len: usize) -> Result<NonNull<u8>, MapError> {
        self.handle();
        self.0.reserve(len)
    }

    unsafe fn open(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError> {
        self.handle();
        // SAFETY: the clauses are those of this method.
        unsafe { self.0.open(start, len) }
    }

    unsafe fn close(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError> {
        self.handle();
        // SAFETY: the clauses are those of this method.
        unsafe { self.0.close(start, len) }
    }
}

#[test]
fn a_handler_in_the_middle_of_the_pool_is_served() {
    let heap = interrupted_heap();
    heap.set_rate(2, 3);
    for _ in 0..300 {
        // SAFETY: the heap is leaked, and the block is freed once, with its layout.
        unsafe {
            let block = heap.alloc(layout(100));
            heap.dealloc(block, layout(100));
        }
    }
    assert!(heap.sampled() > 50 && HANDLED.load(Ordering::Relaxed) > 100);
    assert_eq!(heap.live(), 0);
}
