//! A heap over segments of memory, anywhere: each comes back as it was granted, also if two touch.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{BreakError, Heap, NoMap, SegmentBreak, Segments};

use crate::common::case;
use crate::common::oracle::Oracle;
use crate::common::platform::Memory;
use crate::common::prelude::*;
use crate::common::profile::Variant;
use crate::common::regions::arena;

const GRANULE: usize = 4096;
const LEN: usize = 2 << 20;

/// Segments of one piece of memory, each `gap` bytes above the last one.
///
/// # Invariants
///
/// `live`: each segment that was granted and not given back, start and length, as offsets
struct Pieces {
    memory: Memory,
    gap: usize,
    next: usize,
    live: BTreeMap<usize, usize>,
    refuse: bool,
}

impl Pieces {
    fn with_gap(gap: usize) -> Self {
        Self { memory: arena(LEN), gap, next: 0, live: BTreeMap::new(), refuse: false }
    }
}

// SAFETY: segments are disjoint parts of the memory, which starts at a multiple of 64 KiB.
unsafe impl Segments for Pieces {
    const ZEROED: bool = false;

    fn granule(&self) -> usize {
        GRANULE
    }

    fn take(&mut self, least: usize) -> Result<NonNull<[u8]>, BreakError> {
        let (start, len) = (self.next + self.gap, least.next_multiple_of(GRANULE));
        if self.refuse || len > LEN - start.min(LEN) {
            return Err(BreakError::OutOfMemory);
        }
        self.next = start + len;
        self.live.insert(start, len);
        // SAFETY: inside the memory.
        let start = unsafe { self.memory.base().add(start) };
        Ok(NonNull::slice_from_raw_parts(start, len))
    }

    unsafe fn give_back(&mut self, segment: NonNull<[u8]>) {
        let start = segment.cast::<u8>().addr().get() - self.memory.base().addr().get();
        assert_eq!(self.live.remove(&start), Some(segment.len()), "a segment as it was granted");
    }
}

type SegmentHeap<P> = Heap<SegmentBreak<Pieces>, NoMap, P>;

fn heap<P: Variant>(gap: usize) -> SegmentHeap<P> {
    Heap::with_profile(SegmentBreak::new(Pieces::with_gap(gap)), NoMap)
}

fn pieces<P: Variant>(heap: &SegmentHeap<P>) -> &Pieces {
    heap.provider().segments()
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).unwrap()
}

fn allocate<P: Variant>(heap: &mut SegmentHeap<P>, size: usize) -> Option<NonNull<u8>> {
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate(layout(size)) };
    heap.check().unwrap();
    block
}

fn free<P: Variant>(heap: &mut SegmentHeap<P>, block: NonNull<u8>, size: usize) {
    // SAFETY: the cases free what they got, once.
    unsafe { heap.deallocate(block, layout(size)) };
    heap.check().unwrap();
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn segments_come_back_as_they_came_whether_they_touch_or_not<P: Variant>() {
    for gap in [0, GRANULE, 16 * GRANULE] {
        for size in [50_000, 3_000, 100] {
            let mut heap = heap::<P>(gap);
            let blocks: Vec<_> =
                (0..10).map(|_| allocate(&mut heap, size).expect("there is enough")).collect();
            let had = pieces(&heap).live.clone();
            assert!(!had.is_empty() && (size < 50_000 || had.len() == 10), "{had:?}");
            assert_eq!(heap.stats().holes, had.len() - 1, "no two segments are merged");
            blocks.into_iter().for_each(|block| free(&mut heap, block, size));
            heap.trim(0);
            heap.check().unwrap();
            assert_eq!((pieces(&heap).live.len(), heap.size()), (0, 0), "a gap of {gap}");
            // The heap serves on.
            assert!(allocate(&mut heap, size).is_some());
        }
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn a_segment_stays_while_a_block_is_live_in_it<P: Variant>() {
    let mut heap = heap::<P>(0);
    let blocks: [_; 3] =
        core::array::from_fn(|_| allocate(&mut heap, 50_000).expect("there is enough"));
    let [first, middle, last] = blocks;
    [first, last].into_iter().for_each(|block| free(&mut heap, block, 50_000));
    let had = heap.size();
    let gone = heap.trim(0);
    assert_eq!(gone, had - heap.size(), "bytes that were given back");
    heap.check().unwrap();
    let base = pieces(&heap).memory.base().addr().get();
    let (&start, &len) = pieces(&heap).live.first_key_value().expect("one is left");
    assert_eq!(pieces(&heap).live.len(), 1);
    assert!((base + start..base + start + len).contains(&middle.addr().get()));
    free(&mut heap, middle, 50_000);
    heap.trim(0);
    assert_eq!(pieces(&heap).live.len(), 0);
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn a_block_never_lies_in_two_segments<P: Variant>() {
    let mut heap = heap::<P>(0);
    let mut oracle = Oracle::default();
    for size in [10, 5_000, 300, 40_000, 3_900, 60_000, 1].into_iter().cycle().take(60) {
        let Some(block) = allocate(&mut heap, size) else { break };
        let block = oracle.add(block, layout(size));
        let base = pieces(&heap).memory.base().addr().get();
        let is_whole = pieces(&heap).live.iter().any(|(start, len)| {
            base + start <= block.range().start && block.range().end <= base + start + len
        });
        assert!(is_whole, "{block:?}");
        if size == 300 {
            let block = oracle.pick(oracle.blocks().count() / 2).expect("one is live");
            oracle.remove(&block);
            free(&mut heap, block.at, block.layout.size());
        }
    }
    oracle.assert_all_filled();
    while let Some(block) = oracle.pick(1) {
        oracle.remove(&block);
        free(&mut heap, block.at, block.layout.size());
    }
    heap.trim(0);
    assert_eq!(pieces(&heap).live.len(), 0);
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn a_refused_segment_is_no_memory<P: Variant>() {
    let mut heap = heap::<P>(0);
    heap.provider_mut().segments_mut().refuse = true;
    assert_eq!(allocate(&mut heap, 100), None);
    assert!(heap.reserve(100).is_err());
    heap.provider_mut().segments_mut().refuse = false;
    let block = allocate(&mut heap, 100).expect("there is enough");
    // Free segments are given back for one that is longer, before a request is refused.
    free(&mut heap, block, 100);
    heap.provider_mut().segments_mut().refuse = true;
    assert_eq!(allocate(&mut heap, 100_000), None);
    assert_eq!(allocate(&mut heap, 100_000), None);
    heap.check().unwrap();
}
