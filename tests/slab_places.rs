//! Where slabs lie, and the page map that knows it: wherever memory begins, on either side of what
//! is not the heap's, and in memory that is added.

use brkalloc::{Break, CellInfo, CellState, FixedBreak, Heap, NoMap};

use crate::common::case;
use crate::common::oracle::Oracle;
use crate::common::prelude::*;
use crate::common::profile::{UNIT, Variant, WORD};
use crate::common::regions::{ENDS, arena, bare};
use crate::common::small::{
    allocate, blocks_until, count, free, free_all, heap_of, is_in, layout, slabs,
};
use crate::common::subject::Subject;
use crate::common::test_break::TestBreak;

/// A slab begins at a multiple of it.
const GRANULE: usize = 2048;

#[case(Usual, Checked<Usual>)]
fn the_page_map_grows_and_goes_with_the_slabs<P: Variant>() {
    const MIB: usize = 1 << 20;
    let (mut heap, small) = (heap_of::<P>(8 * MIB), layout(200, 8));
    let base = heap.provider().end().addr();
    let mut blocks = blocks_until(&mut heap, small, 1);
    let mut walls = Vec::new();
    let mut internal = count(&heap, CellState::Internal);
    assert_eq!(internal, 2, "a table of descriptors, and a leaf");
    for above in [MIB, 2 * MIB, 4 * MIB] {
        let wall = layout(base + above - heap.stats().brk + (64 << 10), 1);
        walls.push((allocate(&mut heap, wall), wall));
        while slabs(&heap).iter().all(|slab| slab.address < base + above) {
            blocks.push(allocate(&mut heap, small));
        }
        heap.check().unwrap();
        let more = count(&heap, CellState::Internal);
        assert!(more > internal, "with a slab {above} bytes up");
        internal = more;
    }
    let of_slabs: usize = slabs(&heap)
        .iter()
        .map(|slab| if let CellState::Slab { live, .. } = slab.state { live } else { 0 })
        .sum();
    let is_in_slab = |block: &&_| slabs(&heap).iter().any(|slab| is_in(**block, slab));
    let inside: Vec<_> = blocks.iter().filter(is_in_slab).collect();
    assert_eq!(inside.len(), of_slabs);
    for block in inside {
        // SAFETY: a live block.
        let usable = unsafe { heap.usable_size(*block) };
        assert_eq!(usable, P::usable(200, 200), "what lies in a slab is known as such");
    }
    for block in blocks {
        free(&mut heap, block, small);
    }
    heap.check().unwrap();
    assert!(heap.stats().slabs <= 1, "one empty slab is kept");
    heap.flush();
    heap.check().unwrap();
    assert_eq!(count(&heap, CellState::Internal), 0);
    for (block, layout) in walls {
        free(&mut heap, block, layout);
    }
    heap.assert_one_free_cell_a_region();
}

#[case(Usual, Checked<Usual>)]
fn beyond_a_long_hole_the_page_map_begins_anew<P: Variant>() {
    let (mut heap, small) = (heap_of::<P>(8 << 20), layout(200, 8));
    let blocks = blocks_until(&mut heap, small, 1);
    heap.provider_mut().foreign_up(5 << 20);
    let theirs = heap.provider().end().addr();
    let beyond: Vec<_> = (0..1_000).map(|_| allocate(&mut heap, small)).collect();
    heap.check().unwrap();
    assert!(beyond.iter().any(|block| block.addr().get() > theirs));
    assert!(slabs(&heap).iter().any(|slab| slab.address > theirs));
    let is_internal = |cell: &CellInfo| cell.state == CellState::Internal;
    let internal: usize = heap.cells().filter(is_internal).map(|cell| cell.size).sum();
    assert!(internal < (5 << 20) / 2048 * 8, "{internal} bytes: words for the hole");
    free_all(&mut heap, blocks, small);
    free_all(&mut heap, beyond, small);
    heap.flush();
    heap.assert_one_free_cell_a_region();
    heap.provider().assert_foreign_untouched();
}

#[case(Usual, Checked<Usual>)]
fn slabs_begin_wherever_memory_begins<P: Variant>() {
    for skew in [0, 1, 3, 8, 15, 16, 24, 4_087, 4_088, 4_089, 16_376] {
        let mut heap = Heap::<_, _, P>::with_profile(TestBreak::new(1 << 20, skew), NoMap);
        let mut oracle = Oracle::default();
        for size in [24, 300] {
            let blocks = blocks_until(&mut heap, layout(size, 8), 2);
            for block in blocks {
                oracle.add(block, layout(size, 8));
            }
        }
        heap.verify(&oracle);
        while let Some(block) = oracle.pick(7) {
            oracle.remove(&block);
            free(&mut heap, block.at, block.layout);
        }
        heap.flush();
        heap.verify(&oracle);
        heap.assert_one_free_cell_a_region();
    }
}

/// In a hole that is longer than a slab, but not by a cell: the slab's cell is as long as the hole.
#[case(Usual, Checked<Usual>)]
fn a_slab_begins_where_little_more_is_free<P: Variant>() {
    let small = layout(48, UNIT);
    let heap_with_a_slab = || {
        let mut heap = heap_of::<P>(1 << 20);
        heap.reserve(200_000).unwrap();
        // The slab that comes next needs neither descriptors nor a leaf.
        let others = blocks_until(&mut heap, layout(200, 8), 1);
        (heap, others)
    };
    let (mut heap, _) = heap_with_a_slab();
    let cells = blocks_until(&mut heap, small, 2).len() - 1;
    let last = allocate(&mut heap, small);
    let len = slabs(&heap).into_iter().find(|slab| is_in(last, slab)).unwrap().size;
    let mut longest = 0;
    for more in (0..2 * UNIT).step_by(WORD) {
        let (mut heap, others) = heap_with_a_slab();
        let mut blocks: Vec<_> = (0..cells).map(|_| allocate(&mut heap, small)).collect();
        let hole = layout(P::asking_for(len - WORD + more), GRANULE);
        let place = allocate(&mut heap, hole);
        let behind = allocate(&mut heap, layout(10_000, 1));
        free(&mut heap, place, hole);
        blocks.push(allocate(&mut heap, small));
        let slabs = slabs(&heap);
        let slab = slabs.iter().find(|slab| slab.payload() == place.addr().get());
        longest = longest.max(slab.expect("a slab in the hole").size);
        free_all(&mut heap, blocks, small);
        free_all(&mut heap, others, layout(200, 8));
        free(&mut heap, behind, layout(10_000, 1));
        heap.flush();
        heap.assert_one_free_cell_a_region();
    }
    assert!(longest > len, "no hole was longer than a slab");
}

#[case(Usual, Checked<Usual>)]
fn slabs_lie_on_either_side_of_what_others_took<P: Variant>() {
    let mut heap = heap_of::<P>(4 << 20);
    let mut oracle = Oracle::default();
    let small = layout(48, UNIT);
    let mut start = 0;
    for _ in 1..=5 {
        while slabs(&heap).iter().all(|slab| slab.address < start) {
            oracle.add(allocate(&mut heap, small), small);
        }
        heap.verify(&oracle);
        start = heap.provider().end().addr();
        // An odd number, so that regions begin anywhere.
        heap.provider_mut().foreign_up(5_003);
        heap.reserve(100_000).unwrap();
    }
    let holes: Vec<_> = heap
        .cells()
        .filter(|cell| cell.state == CellState::Hole)
        .map(|cell| cell.address)
        .collect();
    assert_eq!(holes.len(), 5);
    for end in &holes {
        let below = slabs(&heap).iter().filter(|slab| slab.address < *end).count();
        assert!(below > 0);
    }
    assert!(
        slabs(&heap).iter().any(|slab| slab.address > holes[3]),
        "slabs behind the fourth hole"
    );
    let mut pick = 0;
    while let Some(block) = oracle.pick(pick) {
        pick = pick.wrapping_mul(31).wrapping_add(7);
        oracle.remove(&block);
        free(&mut heap, block.at, block.layout);
    }
    heap.verify(&oracle);
    heap.flush();
    heap.verify(&oracle);
    heap.assert_one_free_cell_a_region();
    heap.provider().assert_foreign_untouched();
}

/// The break moves up through memory of others: what is allocated and freed in one region lies
/// between others' memory and slabs of other regions.
#[case(Usual, Checked<Usual>)]
fn blocks_of_every_region_go_back_to_the_slab_that_they_came_from<P: Variant>() {
    let (mut heap, small) = (heap_of::<P>(4 << 20), layout(48, UNIT));
    let (mut blocks, mut freed, mut holes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..4 {
        let start = holes.last().copied().unwrap_or(0);
        while slabs(&heap).iter().all(|slab| slab.address < start)
            || heap.stats().free_slab_bytes > 0
        {
            blocks.push(allocate(&mut heap, small));
        }
        holes.push(heap.provider().end().addr());
        heap.provider_mut().foreign_up(7_001);
        heap.reserve(100_000).unwrap();
        heap.check().unwrap();
    }
    let lies_in = |region: usize, slab: &CellInfo| {
        (region == 0 || slab.address >= holes[region - 1]) && slab.address < holes[region]
    };
    for region in 0..4 {
        let live = |heap: &_| -> Vec<_> {
            let slabs: Vec<_> =
                slabs(heap).into_iter().filter(|slab| lies_in(region, slab)).collect();
            slabs.iter().map(|slab| (slab.address, slab.state)).collect()
        };
        let there = slabs(&heap);
        let there = there.iter().filter(|slab| lies_in(region, slab)).collect::<Vec<_>>();
        assert!(!there.is_empty(), "no slab in region {region}");
        let slab = there[there.len() / 2];
        let before = live(&heap);
        let is_inside = |block: &core::ptr::NonNull<u8>| is_in(*block, slab);
        let (inside, outside): (Vec<_>, Vec<_>) = blocks.into_iter().partition(is_inside);
        assert!(inside.len() > 1);
        let half = inside.len() / 2;
        free_all(&mut heap, inside[..half].iter().copied(), small);
        let CellState::Slab { live: live_before, total, block_size } = slab.state else {
            unreachable!()
        };
        let now = CellState::Slab { live: live_before - half, total, block_size };
        let expected: Vec<_> = before
            .into_iter()
            .map(|(at, state)| (at, if at == slab.address { now } else { state }))
            .collect();
        assert_eq!(live(&heap), expected, "blocks of one slab were freed");
        freed.extend(inside[..half].iter().copied());
        blocks = outside;
        blocks.extend(inside[half..].iter().copied());
    }
    // They are the next ones, wherever they lie, before another slab begins.
    let runs = heap.stats().slabs;
    while heap.stats().free_slab_bytes > 0 {
        let block = allocate(&mut heap, small);
        freed.retain(|other| *other != block);
        blocks.push(block);
    }
    assert_eq!((heap.stats().slabs, freed.len()), (runs, 0));
    free_all(&mut heap, blocks, small);
    heap.flush();
    heap.check().unwrap();
    heap.assert_one_free_cell_a_region();
    heap.provider().assert_foreign_untouched();
}

/// The page map begins at the lowest address that the heap had when the first slab began.
#[case(Usual, Checked<Usual>)]
fn memory_that_is_added_below_the_first_slab_is_used<P: Variant>() {
    const LEN: usize = 256 << 10;
    let (mut heap, arena) = (bare::<P>(), arena(3 * LEN));
    let start = arena.base();
    let small = layout(48, UNIT);
    let fill = |heap: &mut Heap<FixedBreak, NoMap, P>| -> Vec<_> {
        // SAFETY: the arena outlives the heap.
        core::iter::from_fn(|| unsafe { heap.allocate(small) }).collect()
    };
    let add = |heap: &mut Heap<FixedBreak, NoMap, P>, offset: usize| {
        // SAFETY: nothing else uses the memory, which outlives the heap.
        let gained = unsafe { heap.add_region(start.as_ptr().add(offset), LEN) };
        assert_eq!(gained, Ok(LEN - ENDS));
        heap.check().unwrap();
    };
    let slabs_below = |heap: &Heap<FixedBreak, NoMap, P>, end: usize| {
        let is_below = |cell: &CellInfo| cell.address < start.addr().get() + end;
        let is_slab = |cell: &CellInfo| matches!(cell.state, CellState::Slab { .. });
        heap.cells().filter(|cell| is_slab(cell) && is_below(cell)).count()
    };
    add(&mut heap, 2 * LEN);
    let above = fill(&mut heap);
    assert!(heap.stats().slabs > 0);
    add(&mut heap, 0);
    let below = fill(&mut heap);
    heap.check().unwrap();
    assert!(below.len() * P::cell_for(48) * 10 >= LEN * 9, "{} blocks below", below.len());
    // The region below has a window of the page map of its own.
    assert!(slabs_below(&heap, LEN) * 3 > heap.stats().slabs, "{}", heap.stats());
    let blocks: BTreeSet<_> = above.iter().chain(&below).collect();
    assert_eq!(blocks.len(), above.len() + below.len());
    for block in above.into_iter().chain(below) {
        // SAFETY: live until now, with this layout.
        unsafe { heap.deallocate(block, small) };
    }
    heap.check().unwrap();
    heap.flush();
    let states: Vec<_> = heap.cells().map(|cell| cell.state).collect();
    assert_eq!(states, [CellState::Free, CellState::Hole, CellState::Free]);
    let blocks = fill(&mut heap);
    heap.check().unwrap();
    assert!(slabs_below(&heap, LEN) > 0 && slabs_below(&heap, 3 * LEN) > slabs_below(&heap, LEN));
    for block in blocks {
        // SAFETY: live until now, with this layout.
        unsafe { heap.deallocate(block, small) };
    }
    heap.flush();
    heap.check().unwrap();
    let states: Vec<_> = heap.cells().map(|cell| cell.state).collect();
    assert_eq!(states, [CellState::Free, CellState::Hole, CellState::Free]);
}
