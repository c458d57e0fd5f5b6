//! Pages of this process, a handler of their faults, and heaps that sample blocks into them.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Once;

use brkalloc::{
    ArenaHeap, CallSites, FixedBreak, GuardPages, MapError, SampleReport, Sampled, SharedHeap,
    SingleCpu, Trace,
};

pub(super) const PAGE: usize = 4096;

/// Pages of the process.
#[derive(Debug, Default)]
pub(super) struct ProcessPages {
    /// `reserve` fails.
    pub(super) refuses_addresses: bool,
    /// `open` fails.
    pub(super) refuses_memory: bool,
}

impl ProcessPages {
    fn protect(start: NonNull<u8>, len: usize, access: i32) -> Result<(), MapError> {
        // SAFETY: pages that `reserve` has mapped.
        let status = unsafe { libc::mprotect(start.as_ptr().cast(), len, access) };
        if status == 0 { Ok(()) } else { Err(MapError::OutOfMemory) }
    }
}

// SAFETY: the reserved addresses are a mapping without access, for ever.
unsafe impl GuardPages for ProcessPages {
    fn granule(&self) -> usize {
        PAGE
    }

    fn reserve(&mut self, len: usize) -> Result<NonNull<u8>, MapError> {
        if self.refuses_addresses {
            return Err(MapError::OutOfMemory);
        }
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: the kernel chooses unused addresses.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        NonNull::new(start.cast()).ok_or(MapError::OutOfMemory)
    }

    unsafe fn open(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError> {
        if self.refuses_memory {
            return Err(MapError::OutOfMemory);
        }
        Self::protect(start, len, libc::PROT_READ | libc::PROT_WRITE)
    }

    unsafe fn close(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError> {
        Self::protect(start, len, libc::PROT_NONE)
    }
}

/// Explains an access to an address, for the heap at another one.
type Explain = fn(usize, usize) -> Option<SampleReport>;

thread_local! {
    /// Number that stands for the call site.
    static SITE: Cell<usize> = const { Cell::new(0) };
    /// The heap that explains a fault, as its address and a function.
    static WATCHED: Cell<Option<(usize, Explain)>> =
        const { Cell::new(None) };
    /// What it explained last.
    static CAUGHT: Cell<Option<SampleReport>> = const { Cell::new(None) };
}

/// Call sites that the test names.
pub(super) struct Sites;

impl CallSites for Sites {
    fn trace(&self) -> Trace {
        Trace::of([SITE.get()])
    }
}

/// Runs `run` as if it were code at a call site.
pub(super) fn at<R>(site: usize, run: impl FnOnce() -> R) -> R {
    SITE.set(site);
    run()
}

/// Handler of faults: asks the heap, and opens the page, so that the access passes.
extern "C" fn fault(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid pointer.
    let address = unsafe { (*info).si_addr() }.addr();
    let report = WATCHED.get().and_then(|(heap, explain)| explain(heap, address));
    if report.is_none() {
        // Not a fault of these tests: it comes again, with the default action.
        // SAFETY: a valid action.
        unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
        return;
    }
    CAUGHT.set(report);
    let page = ptr::with_exposed_provenance_mut(address & !(PAGE - 1));
    // SAFETY: a page of the pool.
    unsafe { libc::mprotect(page, PAGE, libc::PROT_READ | libc::PROT_WRITE) };
}

fn explain<H>(heap: usize, address: usize) -> Option<SampleReport> {
    let heap: *const TestHeap<H> = ptr::with_exposed_provenance(heap);
    // SAFETY: the heap is leaked.
    unsafe { &*heap }.explain(address)
}

pub(super) const SLOTS: usize = 32;

pub(super) type TestHeap<H> = Sampled<H, ProcessPages, Sites, SLOTS>;

pub(super) type Arenas = ArenaHeap<FixedBreak, SingleCpu>;

pub(super) fn memory() -> FixedBreak {
    let memory = Box::leak(vec![0; 4 << 20].into_boxed_slice());
    // SAFETY: leaked memory, of which nobody else knows.
    unsafe { FixedBreak::from_raw(memory.as_mut_ptr(), memory.len()) }
}

pub(super) fn arenas() -> Arenas {
    // SAFETY: one thread uses it.
    ArenaHeap::new(memory(), unsafe { SingleCpu::new() })
}

pub(super) fn sampled<H: SharedHeap>(
    heap: H,
    pages: ProcessPages,
    n: u32,
    seed: usize,
) -> &'static TestHeap<H> {
    static BEGIN: Once = Once::new();
    BEGIN.call_once(|| {
        // SAFETY: a valid action with a handler that only does what a handler may.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            assert_eq!(libc::sigaction(libc::SIGSEGV, &raw const action, ptr::null_mut()), 0);
        }
    });
    let heap = Box::leak(Box::new(Sampled::with_sites(heap, pages, Sites)));
    heap.set_rate(n, seed);
    heap
}

/// Runs `access`, which must fault, and returns the report.
pub(super) fn caught<H>(heap: &TestHeap<H>, access: impl FnOnce()) -> SampleReport {
    try_access(heap, access).expect("a fault")
}

pub(super) fn try_access<H>(heap: &TestHeap<H>, access: impl FnOnce()) -> Option<SampleReport> {
    WATCHED.set(Some((ptr::from_ref(heap).expose_provenance(), explain::<H>)));
    CAUGHT.set(None);
    access();
    WATCHED.set(None);
    CAUGHT.take()
}

pub(super) fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).unwrap()
}

pub(super) fn allocate<H: SharedHeap>(heap: &TestHeap<H>, size: usize) -> NonNull<u8> {
    // SAFETY: the heap is leaked.
    NonNull::new(unsafe { heap.alloc(layout(size)) }).expect("memory")
}

pub(super) fn free<H: SharedHeap>(heap: &TestHeap<H>, block: NonNull<u8>, size: usize) {
    // SAFETY: the tests free live blocks, or misuse on purpose.
    unsafe { heap.dealloc(block.as_ptr(), layout(size)) };
}

pub(super) fn write(block: NonNull<u8>, offset: isize, value: u8) {
    // SAFETY: memory of the process, or a page that the handler opens.
    unsafe { block.as_ptr().wrapping_offset(offset).write_volatile(value) };
}
