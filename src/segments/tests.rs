//! The map, with memory that the host gives.

use super::*;
use crate::size_class::ARENA_CLASSES;
use crate::slabs::SlabMap;
use std::alloc::{alloc_zeroed, dealloc};
use std::boxed::Box;
use std::vec::Vec;

/// A map that reaches from `lowest` on, and what it took.
struct Mapped {
    map: Box<SegmentMap>,
    taken: Vec<(NonNull<u8>, Layout)>,
}

impl Mapped {
    fn new(lowest: usize) -> Self {
        // SAFETY: a layout of some bytes.
        let memory = unsafe { alloc_zeroed(Layout::new::<SegmentMap>()) };
        // SAFETY: zero is a valid value, and the box takes what the same allocator gave.
        let map = unsafe { Box::from_raw(memory.cast::<SegmentMap>()) };
        map.begin_at(lowest);
        Self { map, taken: Vec::new() }
    }

    fn reach(&mut self, start: usize, units: usize) -> bool {
        let taken = &mut self.taken;
        let take = |layout| {
            // SAFETY: a layout of some bytes.
            let memory = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
            taken.push((memory, layout));
            Some(memory)
        };
        // SAFETY: one thread; new memory each time.
        unsafe { self.map.reach(start, units, take) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        let mut given = Vec::new();
        self.map.parts(|memory, layout| given.push((memory, layout)));
        assert!(
            given.iter().all(|piece| self.taken.contains(piece)) && given.len() == self.taken.len()
        );
        // SAFETY: each came from the same allocator.
        given.into_iter().for_each(|(memory, layout)| unsafe { dealloc(memory.as_ptr(), layout) });
    }
}

#[test]
fn each_unit_of_a_segment_leads_to_its_owner_and_its_start() {
    let layout = layout_of(3).unwrap();
    // SAFETY: a layout of some bytes.
    let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
    let at = start.addr().get();
    let mut mapped = Mapped::new(at - 5 * UNIT);
    assert!(mapped.reach(at, 3));
    let owner = Owner::from_index(7).unwrap();
    // SAFETY: the segment is this test's.
    let region = unsafe { mapped.map.assign(start, 3, owner) };
    let cells = at..at + capacity(3);
    assert_eq!((region.addr().get(), region.len()), (at, cells.len()));
    let (own, other) = (owner, Owner::from_index(8).unwrap());
    // SAFETY: the map stays until the end of the test.
    let near = unsafe { mapped.map.near(at) }.unwrap();
    let absent = mapped.map.absent_at(at).unwrap();
    for address in (at..at + 3 * UNIT).step_by(GRANULE) {
        let map = &mapped.map;
        assert_eq!((map.owner_of(address), map.class_at(address)), (own, None));
        let around = cells.contains(&address).then_some(cells.clone());
        assert_eq!((map.cells_around(address), map.block_around(address)), (around, None));
        assert_eq!((near.owner_of(address), Near::NOTHING.owner_of(address)), (Some(own), None));
        if cells.contains(&address) {
            assert_eq!(
                (near.word_of(address, own), near.word_of(address, other)),
                (Some(absent), None)
            );
        }
    }
    assert!(
        mapped.map.begins_region(region.addr().get())
            && !mapped.map.begins_region(region.addr().get() + UNIT)
    );
    let is_foreign = |&outside: &usize| {
        let near = near.owner_of(outside).is_none_or(|found| found == Owner::NONE);
        let map = &mapped.map;
        near && map.owner_of(outside) == Owner::NONE && map.cells_around(outside).is_none()
    };
    assert!([at - 1, at + 3 * UNIT, 0, usize::MAX].iter().all(is_foreign));
    assert!(Near::NOTHING.is_nothing() && !near.is_nothing());
    assert_eq!(mapped.map.forget(at + 2 * UNIT), Some(start));
    assert_eq!(near.owner_of(at + UNIT), Some(Owner::NONE), "it looks into the map");
    assert_eq!(mapped.map.owner_of(at + UNIT), Owner::NONE);
    // SAFETY: taken from the same allocator.
    unsafe { dealloc(start.as_ptr(), layout) };
}

#[test]
fn each_granule_of_a_slab_leads_to_its_descriptor_and_its_class() {
    let layout = layout_of(2).unwrap();
    // SAFETY: a layout of some bytes.
    let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
    let at = start.addr().get();
    let mut mapped = Mapped::new(at);
    assert!(mapped.reach(at, 2));
    let owner = Owner::from_index(7).unwrap();
    // SAFETY: the segment is this test's.
    unsafe { mapped.map.assign(start, 2, owner) };
    // SAFETY: the map stays until the end of the test.
    let mut words = unsafe { SegmentWords::of(NonNull::from(&*mapped.map), owner) };
    let class = Class::of_usual::<ARENA_CLASSES>(96, 1).unwrap();
    let (from, len) = (at + UNIT - 2 * GRANULE, 5 * GRANULE);
    // SAFETY: inside the segment.
    let first = unsafe { start.add(UNIT - 2 * GRANULE) };
    let mut slab = NonNull::from(Box::leak(Box::new(Slab::absent(0))));
    // SAFETY: leaked above.
    unsafe { slab.as_mut() }.begin(first, class, (len - WORD) / 96);
    let of = |words: &SegmentWords, at| SlabMap::<ArenaSlabs>::slab_at(words, at);
    // SAFETY: the granules lie in the segment, and the descriptor is one.
    unsafe { SlabMap::<ArenaSlabs>::set(&mut words, from, len, Some(slab)) };
    for address in (at..at + capacity(2)).step_by(8) {
        let is_inside = (from..from + len).contains(&address);
        assert_eq!(of(&words, address), is_inside.then_some(slab), "{address:#x}");
        assert_eq!(mapped.map.class_at(address), is_inside.then_some(class), "{address:#x}");
        let block = is_inside.then(|| from + (address - from) / 96 * 96);
        let around = block.filter(|block| block + 96 <= from + len - WORD);
        assert_eq!(mapped.map.block_around(address), around, "{address:#x}");
    }
    // SAFETY: as before.
    unsafe { SlabMap::<ArenaSlabs>::set(&mut words, from, len, None) };
    assert!((at..at + capacity(2)).step_by(GRANULE).all(|at| of(&words, at).is_none()));
    assert!((at..at + capacity(2)).all(|at| mapped.map.class_at(at).is_none()));
    // SAFETY: leaked above, and nothing leads to it any more; taken from the same allocator.
    unsafe {
        drop(Box::from_raw(slab.as_ptr()));
        dealloc(start.as_ptr(), layout);
    }
}

#[test]
fn a_segment_has_as_many_units_as_its_cells_need() {
    for units in [1, 2, 3, 100, MOST_UNITS] {
        let most = capacity(units);
        assert_eq!((units_for(most), units_for(most + 1)), (units, units + 1));
        let segment = Segment { start: NonNull::dangling(), units };
        // SAFETY: no memory is read: the pointers are compared.
        let end = segment.absent().addr().get() + size_of::<Slab>() + units * GRANULES;
        assert_eq!(end - segment.start.addr().get(), units * UNIT - WORD);
    }
}

#[test]
fn addresses_far_apart_are_reached_in_any_order() {
    let mut mapped = Mapped::new(100 * UNIT);
    let far = 3 * LEAVES * ENTRIES;
    // As far as the address space goes.
    let start_of = |unit: usize| unit % (usize::MAX / UNIT) * UNIT;
    for unit in [ENTRIES - 1, 2 * far, 1, far] {
        assert!(mapped.reach(start_of(unit), 2));
    }
    assert_eq!(mapped.map.owner_of(start_of(far)), Owner::NONE);
}

#[test]
fn a_leaf_that_is_used_again_says_what_the_map_says_of_each_of_its_units() {
    // The map begins in the middle of a leaf, and memory below is added later.
    let mut mapped = Mapped::new(3 * ENTRIES * UNIT + 100 * UNIT);
    let layout = layout_of(1).unwrap();
    // SAFETY: a layout of some bytes.
    let memory = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
    let far = memory.addr().get();
    let mut mapped_at = Mapped::new(far);
    for map in [&mut mapped, &mut mapped_at] {
        let below = far / UNIT - far / UNIT % ENTRIES;
        for unit in [3 * ENTRIES + 100, 3 * ENTRIES + 7, 2 * ENTRIES, far / UNIT, below] {
            assert!(map.reach(unit * UNIT, 1));
        }
    }
    let owner = Owner::from_index(7).unwrap();
    for map in [&mapped, &mapped_at] {
        // SAFETY: the segment is this test's.
        unsafe { map.map.assign(memory, 1, owner) };
        let first = far / UNIT - far / UNIT % ENTRIES;
        for unit in (first..first + ENTRIES).chain(3 * ENTRIES..4 * ENTRIES) {
            // SAFETY: the map stays until the end of the test.
            let Some(near) = (unsafe { map.map.near(unit * UNIT) }) else { continue };
            for other in [unit, first, far / UNIT, 3 * ENTRIES + 7, 3 * ENTRIES + 100] {
                let by_map = map.map.owner_of(other * UNIT);
                assert_eq!(near.owner_of(other * UNIT).unwrap_or(by_map), by_map, "{unit} {other}");
            }
        }
    }
    // SAFETY: taken from the same allocator.
    unsafe { dealloc(memory.as_ptr(), layout) };
}

#[test]
fn a_part_outside_and_a_window_that_leads_back_are_found() {
    if usize::BITS < 64 {
        return; // The first window describes all there is.
    }
    let mut mapped = Mapped::new(0);
    let far = LEAVES * ENTRIES * UNIT;
    for start in [UNIT, far, 2 * far] {
        assert!(mapped.reach(start, 1));
    }
    let parts: Vec<_> =
        mapped.taken.iter().map(|(at, layout)| (at.addr().get(), layout.size())).collect();
    let room =
        |at: usize| Some(parts.iter().find(|(part, _)| *part == at).map_or(0, |&(_, len)| len));
    assert_eq!((parts.len(), mapped.map.part_outside(room)), (5, None));
    for &(part, len) in &parts {
        let one_is_short = |at: usize| if at == part { Some(len - 1) } else { room(at) };
        assert_eq!(mapped.map.part_outside(one_is_short), Some((part, len, len - 1)));
    }
    let windows: Vec<_> = mapped.map.windows().collect();
    for (last, back) in [(2, 2), (2, 1), (2, 0), (1, 1), (1, 0)] {
        let to: *const Window = windows[back];
        let before = windows[last].next.swap(to.cast_mut(), Ordering::Relaxed);
        assert_eq!(mapped.map.part_outside(|_| None), Some((to.addr(), size_of::<Window>(), 0)));
        windows[last].next.store(before, Ordering::Relaxed);
    }
    assert_eq!(mapped.map.units().count(), 0);
}

#[test]
fn as_many_units_as_bytes_need() {
    for units in 1..100 {
        assert_eq!(
            (units_for(capacity(units)), units_for(capacity(units) + 1)),
            (units, units + 1)
        );
    }
    assert_eq!((layout_of(0), layout_of(MOST_UNITS + 1)), (None, None));
}
