//! Sampled blocks: which allocations they are, and what becomes of a misuse of one. An access to a
//! guard page is a fault of this process, whose handler asks the heap, and lets the access pass.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use brkalloc::inner::SampledHooks;
use brkalloc::{
    ArenaHeap, CallSites, FixedBreak, GuardPages, LockedHeap, MapError, SampleReport, Sampled,
    SampledMisuse, SharedHeap, SingleCpu, Trace,
};

use crate::common::host_only;

host_only!("it needs a handler of page faults");

const PAGE: usize = 4096;

/// Pages of the process.
#[derive(Debug, Default)]
struct ProcessPages {
    /// `reserve` fails.
    refuses_addresses: bool,
    /// `open` fails.
    refuses_memory: bool,
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
struct Sites;

impl CallSites for Sites {
    fn trace(&self) -> Trace {
        Trace::of([SITE.get()])
    }
}

/// Runs `run` as if it were code at a call site.
fn at<R>(site: usize, run: impl FnOnce() -> R) -> R {
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

const SLOTS: usize = 32;

type TestHeap<H> = Sampled<H, ProcessPages, Sites, SLOTS>;

type Arenas = ArenaHeap<FixedBreak, SingleCpu>;

fn memory() -> FixedBreak {
    let memory = Box::leak(vec![0; 4 << 20].into_boxed_slice());
    // SAFETY: leaked memory, of which nobody else knows.
    unsafe { FixedBreak::from_raw(memory.as_mut_ptr(), memory.len()) }
}

fn arenas() -> Arenas {
    // SAFETY: one thread uses it.
    ArenaHeap::new(memory(), unsafe { SingleCpu::new() })
}

fn sampled<H: SharedHeap>(
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
fn caught<H>(heap: &TestHeap<H>, access: impl FnOnce()) -> SampleReport {
    try_access(heap, access).expect("a fault")
}

fn try_access<H>(heap: &TestHeap<H>, access: impl FnOnce()) -> Option<SampleReport> {
    WATCHED.set(Some((ptr::from_ref(heap).expose_provenance(), explain::<H>)));
    CAUGHT.set(None);
    access();
    WATCHED.set(None);
    CAUGHT.take()
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).unwrap()
}

fn allocate<H: SharedHeap>(heap: &TestHeap<H>, size: usize) -> NonNull<u8> {
    // SAFETY: the heap is leaked.
    NonNull::new(unsafe { heap.alloc(layout(size)) }).expect("memory")
}

fn free<H: SharedHeap>(heap: &TestHeap<H>, block: NonNull<u8>, size: usize) {
    // SAFETY: the tests free live blocks, or misuse on purpose.
    unsafe { heap.dealloc(block.as_ptr(), layout(size)) };
}

fn write(block: NonNull<u8>, offset: isize, value: u8) {
    // SAFETY: memory of the process, or a page that the handler opens.
    unsafe { block.as_ptr().wrapping_offset(offset).write_volatile(value) };
}

/// Returns `n` programs' share of sampled allocations, in a thousandth of the expected one.
fn share<H: SharedHeap>(
    heap: &TestHeap<H>,
    n: usize,
    program: impl Fn(&TestHeap<H>) -> usize,
) -> usize {
    let before = heap.sampled();
    let mut allocations = 0;
    while allocations < 400 * n {
        allocations += program(heap);
    }
    (heap.sampled() - before) * n * 1000 / allocations
}

/// Allocates and frees one block after the other.
fn pairs<H: SharedHeap>(heap: &TestHeap<H>) -> usize {
    for _ in 0..100 {
        let block = allocate(heap, 40);
        write(block, 39, 1);
        free(heap, block, 40);
    }
    100
}

/// Allocates many blocks of some sizes, and frees them.
fn batches<H: SharedHeap>(heap: &TestHeap<H>) -> usize {
    let blocks: Vec<_> =
        (0..500).map(|i| (allocate(heap, 16 + i % 7 * 90), 16 + i % 7 * 90)).collect();
    blocks.iter().for_each(|&(block, size)| write(block, size as isize - 1, 2));
    blocks.iter().for_each(|&(block, size)| free(heap, block, size));
    500
}

/// Allocates longer blocks, which are cells.
fn cells<H: SharedHeap>(heap: &TestHeap<H>) -> usize {
    let sizes = [9_000, 20_000, 5_000];
    let blocks = sizes.map(|size| allocate(heap, size));
    blocks.iter().zip(sizes).for_each(|(&block, size)| free(heap, block, size));
    3
}

#[test]
fn one_allocation_in_n_is_sampled_whatever_the_program_does() {
    // A pool without a place samples nothing, so few blocks are live at a time.
    fn assert_shares<H: SharedHeap + 'static>(heap: impl Fn() -> H) {
        for n in [50, 333] {
            let programs = [pairs::<H>, batches::<H>, cells::<H>];
            for (number, program) in programs.into_iter().enumerate() {
                let heap = sampled(heap(), ProcessPages::default(), n, number);
                let share = share(heap, n as usize, program);
                assert!((850..=1150).contains(&share), "{n} {number}: {share}");
                assert_eq!(heap.live(), 0);
            }
        }
    }
    assert_shares(arenas);
    assert_shares(|| LockedHeap::new(memory()));
}

#[test]
fn each_allocation_is_sampled_if_n_is_1_as_long_as_there_is_a_place() {
    let heap = sampled(arenas(), ProcessPages::default(), 1, 0);
    let blocks: Vec<_> = (0..40).map(|_| allocate(heap, 100)).collect();
    assert_eq!((heap.sampled(), heap.live()), (SLOTS, SLOTS));
    blocks.into_iter().for_each(|block| free(heap, block, 100));
    assert_eq!(heap.live(), 0);
    heap.heap().check().unwrap();
}

#[test]
fn none_is_sampled_if_n_is_0() {
    let heap = sampled(arenas(), ProcessPages::default(), 0, 0);
    (0..20).for_each(|_| _ = batches(heap));
    assert_eq!(heap.sampled(), 0);
}

/// Returns a heap, and a sampled block that lies at the end of its pages, or at their start.
fn sampled_block(size: usize, at_end: bool) -> (&'static TestHeap<Arenas>, NonNull<u8>) {
    for seed in 0.. {
        let heap = sampled(arenas(), ProcessPages::default(), 1, seed);
        let block = at(0x1234, || allocate(heap, size));
        assert_eq!(heap.live(), 1);
        // The pages of a short block begin with it, or end with it.
        if block.addr().get().is_multiple_of(PAGE) != at_end {
            return (heap, block);
        }
    }
    unreachable!()
}

#[test]
fn an_overflow_faults_at_the_first_byte() {
    let (heap, block) = sampled_block(48, true);
    let report = caught(heap, || write(block, 48, 1));
    assert_eq!(report.kind, SampledMisuse::Overflow);
    let address = block.addr().get();
    assert_eq!((report.at, report.block, report.size), (address + 48, address, 48));
    assert_eq!((report.allocated_by, report.freed_by), (Trace::of([0x1234]), None));
    assert!(!report.found_by_free);
}

#[test]
fn an_underflow_faults_at_the_first_byte() {
    let (heap, block) = sampled_block(48, false);
    let report = caught(heap, || write(block, -1, 1));
    assert_eq!(report.kind, SampledMisuse::Underflow);
    assert_eq!((report.at, report.block), (block.addr().get() - 1, block.addr().get()));
}

#[test]
fn what_is_overwritten_on_the_other_side_is_found_by_free() {
    for (size, at_end, offset) in
        [(48, true, -1), (48, false, 48), (41, true, 41), (48, false, 4047)]
    {
        for seed in 0..8 {
            let heap = sampled(arenas(), ProcessPages::default(), 1, seed);
            let block = allocate(heap, size);
            let is_at_end = !block.addr().get().is_multiple_of(PAGE);
            if is_at_end != at_end {
                continue;
            }
            assert!(try_access(heap, || write(block, offset, 1)).is_none(), "{size} {offset}");
            // SAFETY: as in a library that knows no layouts. The block is live.
            let report = unsafe { heap.free_sampled(block.addr().get(), Trace::of([7])) };
            let report = report.expect("a report");
            assert_eq!(
                report.kind,
                if offset < 0 { SampledMisuse::Underflow } else { SampledMisuse::Overflow }
            );
            assert_eq!(report.at, block.addr().get().wrapping_add_signed(offset));
            assert_eq!((report.found_by_free, report.freed_by), (true, Some(Trace::of([7]))));
        }
    }
}

#[test]
fn a_use_after_free_faults_for_a_while() {
    let (heap, block) = sampled_block(1000, true);
    at(0x5678, || free(heap, block, 1000));
    // A quarter of all slots rests at least as long.
    for _ in 0..SLOTS / 4 {
        let other = allocate(heap, 1000);
        assert_ne!(other, block);
        free(heap, other, 1000);
    }
    let report = caught(heap, || write(block, 500, 1));
    assert_eq!(report.kind, SampledMisuse::UseAfterFree);
    assert_eq!(report.at, block.addr().get() + 500);
    assert_eq!(report.allocated_by, Trace::of([0x1234]));
    assert_eq!(report.freed_by, Some(Trace::of([0x5678])));
}

#[test]
fn a_wrong_free_is_reported() {
    fn report_of(heap: &TestHeap<Arenas>, address: usize) -> SampleReport {
        // SAFETY: a misuse on purpose, which the pool finds before it touches the block.
        unsafe { heap.free_sampled(address, Trace::UNKNOWN) }.expect("a misuse")
    }
    let (heap, block) = sampled_block(64, true);
    let address = block.addr().get();
    let inside = report_of(heap, address + 16);
    assert_eq!((inside.kind, inside.block), (SampledMisuse::InvalidFree, address));
    assert_eq!(report_of(heap, address - 16).kind, SampledMisuse::InvalidFree);
    free(heap, block, 64);
    let twice = report_of(heap, address);
    assert_eq!((twice.kind, twice.block), (SampledMisuse::DoubleFree, address));
    assert!(twice.freed_by.is_some());
}

/// A program with an error that happens once to one of its 100 blocks.
fn run_with_error(heap: &TestHeap<Arenas>, error: SampledMisuse) -> Option<SampleReport> {
    let mut blocks: Vec<_> = (0..100).map(|_| Some(allocate(heap, 32))).collect();
    let victim = blocks[50].unwrap();
    let report = try_access(heap, || match error {
        SampledMisuse::Overflow => write(victim, 32, 0),
        SampledMisuse::Underflow => write(victim, -1, 0),
        SampledMisuse::UseAfterFree => {
            free(heap, blocks[50].take().unwrap(), 32);
            // SAFETY: memory of the process, or a page that the handler opens.
            unsafe { victim.as_ptr().add(16).read_volatile() };
        }
        _ => unreachable!(),
    });
    let found = blocks.into_iter().flatten().filter_map(|block| free_or_report(heap, block, 32));
    found.fold(report, |report, found| report.or(Some(found)))
}

/// Frees a block. Returns the report, if that is a misuse of a sampled block.
fn free_or_report(
    heap: &TestHeap<Arenas>,
    block: NonNull<u8>,
    size: usize,
) -> Option<SampleReport> {
    let address = block.addr().get();
    if heap.has(address) {
        // SAFETY: the block is live.
        return unsafe { heap.free_sampled(address, Trace::UNKNOWN) };
    }
    free(heap, block, size);
    None
}

/// Of a hundred blocks one is sampled, and an access on its other side is found when it is freed.
/// That none of 1000 runs finds an error has the probability (1 - 1/100)^1000: 4 in 100,000.
#[test]
fn an_error_that_happens_once_in_a_run_is_caught_within_1000_runs() {
    for error in [SampledMisuse::Overflow, SampledMisuse::Underflow, SampledMisuse::UseAfterFree] {
        let heap = sampled(arenas(), ProcessPages::default(), 100, 5);
        // The neighbours' bytes that the error overwrites in the heap are not in use.
        let found = (0..1000).find_map(|run| Some((run, run_with_error(heap, error)?)));
        let (run, report) = found.unwrap_or_else(|| panic!("{error:?} was never caught"));
        assert_eq!(report.kind, error, "{run}: {report}");
    }
}

#[test]
fn a_program_without_an_error_is_not_accused() {
    let heap = sampled(arenas(), ProcessPages::default(), 3, 9);
    let mut blocks: Vec<(NonNull<u8>, usize)> = Vec::new();
    for step in 0..20_000_usize {
        let size = 1 + step * 7919 % 9000;
        let zeroed = step % 3 == 0;
        // SAFETY: the heap is leaked.
        let block = unsafe {
            if zeroed { heap.alloc_zeroed(layout(size)) } else { heap.alloc(layout(size)) }
        };
        let mut block = NonNull::new(block).expect("memory");
        // SAFETY: the block has that many bytes.
        let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), size) };
        assert!(!zeroed || bytes.iter().all(|&byte| byte == 0));
        // SAFETY: as before.
        unsafe { block.write_bytes(step as u8, size) };
        let mut len = size;
        if step % 5 == 0 {
            len = 1 + step * 31 % 12_000;
            // SAFETY: a live block of that layout.
            let moved = unsafe { heap.realloc(block.as_ptr(), layout(size), len) };
            block = NonNull::new(moved).expect("memory");
            // SAFETY: the block has that many bytes.
            let kept = unsafe { std::slice::from_raw_parts(block.as_ptr(), len.min(size)) };
            assert!(kept.iter().all(|&byte| byte == step as u8));
        }
        blocks.push((block, len));
        if blocks.len() > 60 {
            let (block, size) = blocks.swap_remove(step * 17 % 60);
            free(heap, block, size);
        }
    }
    assert!(heap.sampled() > 1000, "{}", heap.sampled());
    blocks.into_iter().for_each(|(block, size)| free(heap, block, size));
    assert_eq!(heap.live(), 0);
    heap.heap().check().unwrap();
}

#[test]
fn a_block_that_is_resized_may_be_sampled() {
    let heap = sampled(arenas(), ProcessPages::default(), 10, 1);
    let mut block = allocate(heap, 16);
    for size in 16..2000 {
        // SAFETY: a live block of that layout.
        block =
            NonNull::new(unsafe { heap.realloc(block.as_ptr(), layout(size), size + 1) }).unwrap();
    }
    assert!(heap.sampled() > 100, "{}", heap.sampled());
    free(heap, block, 2000);
}

#[test]
fn a_provider_that_refuses_costs_no_allocation() {
    for pages in [
        ProcessPages { refuses_addresses: true, ..ProcessPages::default() },
        ProcessPages { refuses_memory: true, ..ProcessPages::default() },
    ] {
        let heap = sampled(arenas(), pages, 2, 0);
        (0..10).for_each(|_| _ = batches(heap) + pairs(heap) + cells(heap));
        assert_eq!(heap.sampled(), 0);
    }
}

#[test]
fn long_and_very_aligned_blocks_are_the_heaps() {
    let heap = sampled(arenas(), ProcessPages::default(), 1, 0);
    for (size, align) in [(8 * PAGE + 1, 16), (100, 2 * PAGE), (200_000, 16)] {
        let layout = Layout::from_size_align(size, align).unwrap();
        for _ in 0..3 {
            // SAFETY: the heap is leaked, and the block is freed once, with its layout.
            unsafe {
                let block = heap.alloc(layout);
                assert!(!block.is_null() && block.addr().is_multiple_of(align));
                heap.dealloc(block, layout);
            }
        }
    }
    assert_eq!(heap.sampled(), 0);
    // The longest ones that are.
    let block = allocate(heap, 8 * PAGE);
    assert_eq!(heap.sampled(), 1);
    free(heap, block, 8 * PAGE);
}

#[test]
fn threads_share_the_pool() {
    static LIVE: AtomicUsize = AtomicUsize::new(0);
    let heap = sampled(LockedHeap::new(memory()), ProcessPages::default(), 4, 0);
    std::thread::scope(|scope| {
        for thread in 1..=4_u8 {
            scope.spawn(move || {
                let mut blocks = Vec::new();
                for step in 0..5_000_usize {
                    let size = 1 + step * 37 % 700;
                    let block = allocate(heap, size);
                    // SAFETY: the block has that many bytes.
                    unsafe { block.write_bytes(thread, size) };
                    blocks.push((block, size));
                    if blocks.len() > 5 {
                        let (block, size) = blocks.swap_remove(step % 5);
                        // SAFETY: as before.
                        let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), size) };
                        assert!(bytes.iter().all(|&byte| byte == thread));
                        free(heap, block, size);
                    }
                }
                blocks.into_iter().for_each(|(block, size)| free(heap, block, size));
                LIVE.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    assert_eq!((LIVE.load(Ordering::Relaxed), heap.live()), (4, 0));
    // A thread that finds another one in the pool allocates elsewhere.
    assert!(heap.sampled() > 100, "{}", heap.sampled());
    heap.heap().check().unwrap();
}

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
