//! The map, with memory that the host gives.

use super::*;
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
    assert_eq!(
        (region.addr().get(), region.len()),
        (at, 3 * UNIT - WORD),
        "nothing of the map's lies in the segment"
    );
    for address in (at..at + 3 * UNIT).step_by(PAGE) {
        assert_eq!(
            (mapped.map.owner_of(address), mapped.map.start_of(address)),
            (owner, Some(start))
        );
        assert_eq!(mapped.map.class_at(address), None);
    }
    let class = Class::from_index(9);
    mapped.map.set_class(at + UNIT + PAGE, 4 * PAGE, class);
    let of_class =
        (at..at + 3 * UNIT).step_by(PAGE).filter(|&page| mapped.map.class_at(page) == class);
    assert!(of_class.eq((at + UNIT + PAGE..at + UNIT + 5 * PAGE).step_by(PAGE)));
    assert!(
        mapped.map.begins_region(region.addr().get())
            && !mapped.map.begins_region(region.addr().get() + UNIT)
    );
    for outside in [at - 1, at + 3 * UNIT, 0, usize::MAX] {
        assert_eq!(
            (mapped.map.owner_of(outside), mapped.map.start_of(outside)),
            (Owner::NOBODY, None)
        );
    }
    // SAFETY: the map stays until the end of the test.
    let near = unsafe { mapped.map.near(at) }.unwrap();
    for address in (at..at + 3 * UNIT).step_by(PAGE) {
        let class = mapped.map.class_at(address);
        assert_eq!(
            (near.look(address), near.class_if_owned(address, owner)),
            (Some((owner, class)), Some(class))
        );
        assert_eq!(near.class_if_owned(address, Owner::from_index(8).unwrap()), None);
        assert_eq!((near.owner_of(address), Near::NOTHING.owner_of(address)), (Some(owner), None));
    }
    assert!(Near::NOTHING.is_nothing() && !near.is_nothing());
    let is_foreign =
        |&outside: &usize| near.owner_of(outside).is_none_or(|found| found == Owner::NOBODY);
    assert!([at - 1, at + 3 * UNIT, 0, usize::MAX].iter().all(is_foreign));
    assert_eq!(mapped.map.forget(at + 2 * UNIT, 3), Some(start));
    assert_eq!(near.owner_of(at + UNIT), Some(Owner::NOBODY), "it looks into the map");
    assert_eq!(mapped.map.owner_of(at + UNIT), Owner::NOBODY);
    // SAFETY: taken from the same allocator.
    unsafe { dealloc(start.as_ptr(), layout) };
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
    assert_eq!(mapped.map.owner_of(start_of(far)), Owner::NOBODY);
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
