use super::*;
use crate::memory::space::{Permissions, Region, RegionKind};

const BASE: u64 = BreakId::KERNEL_HEAP.base();
const MIB: u64 = 1 << 20;

fn at(end: u64) -> BreakRegion {
    let mut brk = BreakRegion::new(BreakId::KERNEL_HEAP, Policy::Strict);
    (brk.end, brk.high_water) = (end, end);
    brk
}

#[test]
fn cost_counts_pages_and_tables_of_each_level() {
    assert_eq!(cost(BASE, BASE), 0);
    assert_eq!(cost(BASE, BASE + 1), 1 + 3);
    assert_eq!(cost(BASE, BASE + 4096), 1 + 3);
    assert_eq!(cost(BASE, BASE + 2 * MIB), 512 + 3);
    assert_eq!(cost(BASE, BASE + 2 * MIB + 1), 513 + 2 + 1 + 1);
    assert_eq!(cost(BASE, BASE + 1024 * MIB), 262_144 + 512 + 1 + 1);
    assert_eq!(cost(BASE, BASE + 1024 * MIB + 1), 262_145 + 513 + 2 + 1);
    assert_eq!(cost(BASE + 2 * MIB - 4096, BASE + 2 * MIB + 4096), 2 + 2 + 1 + 1);
}

#[test]
fn breaks_do_not_share_a_level_4_entry() {
    let mut ids = BreakId::scratch().collect::<Vec<_>>();
    ids.insert(0, BreakId::KERNEL_HEAP);
    assert_eq!(ids.len(), MAX_BREAKS);
    for pair in ids.windows(2) {
        assert!(pair[0].base() >> 39 < pair[1].base() >> 39);
        assert!(pair[0].base() + BREAK_LIMIT < pair[1].base());
    }
}

#[test]
fn the_end_moves_by_bytes_between_base_and_limit() {
    let space = Space::new();
    let limit = BASE + BREAK_LIMIT;
    assert_eq!(at(BASE).plan(BASE - 1, &space), Err(MoveError::BelowBase));
    assert_eq!(at(BASE).plan(0, &space), Err(MoveError::BelowBase));
    assert_eq!(at(BASE).plan(BASE, &space), Ok(Move::SamePage));
    assert_eq!(at(BASE).plan(BASE + 1, &space), Ok(Move::Grow(4)));
    assert_eq!(at(BASE + 1).plan(BASE + 4096, &space), Ok(Move::SamePage));
    assert_eq!(at(BASE + 1).plan(BASE + 4097, &space), Ok(Move::Grow(1)));
    assert_eq!(at(BASE + 4097).plan(BASE + 4096, &space), Ok(Move::Shrink(1)));
    assert_eq!(at(BASE + 4097).plan(BASE, &space), Ok(Move::Shrink(5)));
    assert_eq!(at(BASE).plan(limit, &space), Ok(Move::Grow(cost(BASE, limit))));
    assert_eq!(at(BASE).plan(limit + 1, &space), Err(MoveError::BeyondLimit));
    assert_eq!(at(limit).plan(u64::MAX, &space), Err(MoveError::BeyondLimit));
}

#[test]
fn a_region_in_the_way_or_a_page_from_it_stops_growth_and_nothing_else() {
    let mut space = Space::new();
    let wall = Region {
        name: "wall",
        start: BASE + MIB,
        end: BASE + 2 * MIB,
        permissions: Permissions::READ,
        kind: RegionKind::Fixed,
    };
    space.insert(wall).unwrap();
    assert_eq!(at(BASE).plan(BASE + MIB - 4096, &space), Ok(Move::Grow(255 + 3)));
    assert_eq!(at(BASE).plan(BASE + MIB - 4095, &space), Err(MoveError::Occupied("wall")));
    assert_eq!(at(BASE).plan(BASE + 3 * MIB, &space), Err(MoveError::Occupied("wall")));
    assert_eq!(at(BASE + MIB - 4096).plan(BASE + MIB - 4100, &space), Ok(Move::SamePage));
    assert_eq!(at(BASE + 3 * MIB).plan(BASE + 4096, &space), Ok(Move::Shrink(767 + 1)));
}

#[test]
fn errors_speak_the_allocators_language() {
    let out = OutOfFrames { asked: 9, available: 3, injected: false };
    assert_eq!(BreakError::from(MoveError::BelowBase), BreakError::OutOfAddresses);
    assert_eq!(BreakError::from(MoveError::BeyondLimit), BreakError::OutOfAddresses);
    assert_eq!(BreakError::from(MoveError::Occupied("wall")), BreakError::Refused);
    assert_eq!(BreakError::from(MoveError::OutOfFrames(out)), BreakError::OutOfMemory);
    assert_eq!(
        MoveError::OutOfFrames(out).to_string(),
        "out of frames: asked for 9 frames, 3 available"
    );
}
