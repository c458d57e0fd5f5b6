use proptest::prelude::*;
use x86_64::structures::paging::PageTableFlags;

use super::*;
use crate::address_space::{AreaKind, tables_of};
use crate::memory::frames::Frame;
use crate::memory::tables::tests::VectorMemory;
use crate::memory::{Access, Permissions};
use crate::words::layout::{page_ceil, page_floor};

const FRAMES: usize = 256;
const ID: BreakId = BreakId::KERNEL_HEAP;
const BASE: u64 = ID.base();

fn memory() -> (Memory<VectorMemory>, VectorMemory) {
    let ram = VectorMemory::new(FRAMES);
    let table = vec![Frame::FOREIGN; FRAMES].leak();
    let mut frames = Frames::new(table);
    frames.add(PAGE_SIZE, FRAMES as u64 * PAGE_SIZE);
    // SAFETY: frame 0 is outside the page allocator, and this test's.
    let tables = unsafe { Tables::new(frame_at(0), ram.clone()) };
    (Memory::new(frames, tables), ram)
}

fn claimed(policy: Policy) -> (Memory<VectorMemory>, VectorMemory) {
    let (mut memory, ram) = memory();
    assert!(memory.claim_break(ID, policy));
    (memory, ram)
}

/// Writes a byte as the processor does: translate, fault if there is nothing, try again. Returns
/// the old byte. A page that had to be faulted in must be all zero.
fn write(
    memory: &mut Memory<VectorMemory>,
    ram: &VectorMemory,
    address: u64,
    value: u8,
) -> Result<u8, Cause> {
    if memory.pages.tables.translate(address).is_none() {
        memory.page_fault(&PageFault { address, access: Access::Write })?;
        let page = memory
            .pages
            .tables
            .translate(page_floor(address))
            .expect("a served page is mapped")
            .physical;
        // SAFETY: the bytes lie in a frame that the break owns.
        assert!(
            // SAFETY: the bytes lie in a frame that the break owns.
            (page..page + PAGE_SIZE).all(|at| unsafe { ram.byte(at).read() } == 0),
            "a fresh page is not zero"
        );
    }
    let there = memory.pages.tables.translate(address).expect("a served page is mapped");
    let byte = ram.byte(there.physical);
    // SAFETY: the byte lies in a frame that the break owns.
    let old = unsafe { byte.read() };
    // SAFETY: as above.
    unsafe { byte.write(value) };
    Ok(old)
}

/// Frames that a break at its base takes when every page below `end` is mapped.
fn cost(base: u64, end: u64) -> usize {
    let end = page_ceil(end);
    let range = core::iter::once((base, end)).filter(|(start, end)| start < end);
    ((end - base) / PAGE_SIZE + tables_of(None, None, range)) as usize
}

fn lines(memory: &Memory<VectorMemory>, mark: u64) -> Vec<String> {
    memory.trace().since(mark).map(|entry| entry.event.to_string()).collect()
}

#[test]
fn the_life_of_a_page_is_told_by_the_trace() {
    let (mut memory, ram) = claimed(Policy::Overcommit);
    memory.move_break(ID, BASE + 0x3000).unwrap();
    assert_eq!(memory.counts().used(), 0);
    write(&mut memory, &ram, BASE + 0x1008, 1).unwrap();
    assert_eq!(memory.counts().used(), 4);
    memory.move_break(ID, BASE).unwrap();
    assert_eq!(memory.counts().used(), 0);
    assert_eq!(
        lines(&memory, 0),
        [
            "break   kernel heap 0xffff900000000000 -> 0xffff900000003000 (+12288)",
            "fault   write 0xffff900000001008 in kernel heap",
            "frame+  0x1000 page",
            "frame+  0x2000 table",
            "frame+  0x3000 table",
            "frame+  0x4000 table",
            "map     0xffff900000001000 -> 0x1000",
            "break   kernel heap 0xffff900000003000 -> 0xffff900000000000 (-12288)",
            "unmap   0xffff900000001000 -> 0x1000",
            "frame-  0x1000 page",
            "frame-  0x4000 table",
            "frame-  0x3000 table",
            "frame-  0x2000 table",
        ]
    );
}

#[test]
fn strict_reserves_what_can_be_needed_and_refuses_what_cannot_be_had() {
    let (mut memory, ram) = claimed(Policy::Strict);
    let before = memory.counts();
    let all = (FRAMES as u64 - 1 - 3) * PAGE_SIZE;
    let refused = memory.move_break(ID, BASE + all + 1);
    assert_eq!(
        refused,
        Err(MoveError::OutOfFrames(OutOfFrames { asked: 256, available: 255, injected: false }))
    );
    assert_eq!(memory.counts(), before);
    assert_eq!(memory.move_break(ID, BASE + all), Ok(BASE));
    assert_eq!(memory.counts().available(), 0);
    memory.frames().fail_nth(Some(1));
    for page in (0..all).step_by(PAGE_SIZE as usize) {
        write(&mut memory, &ram, BASE + page, 1).expect("a touch under strict cannot fail");
    }
    assert_eq!(memory.counts().free, 0);
    memory.release_break(ID);
    assert_eq!(memory.counts(), before);
    assert_eq!(memory.break_info(ID), None);
}

#[test]
fn a_touch_without_a_frame_changes_nothing() {
    for n in 1..=4 {
        let (mut memory, ram) = claimed(Policy::Overcommit);
        memory.move_break(ID, BASE + 0x1000).unwrap();
        let before = memory.counts();
        memory.frames().fail_nth(Some(n));
        let cause = write(&mut memory, &ram, BASE, 1).unwrap_err();
        assert!(matches!(cause, Cause::OutOfFrames(OutOfFrames { injected: true, .. })), "{cause}");
        assert_eq!(memory.counts(), before);
        assert!(memory.pages.tables.root_table().is_empty());
        write(&mut memory, &ram, BASE, 1).expect("the next touch finds its frames");
    }
}

#[test]
fn bytes_above_the_break_come_back_as_zero() {
    let (mut memory, ram) = claimed(Policy::Strict);
    memory.move_break(ID, BASE + 200).unwrap();
    for at in 0..200 {
        write(&mut memory, &ram, BASE + at, 9).unwrap();
    }
    memory.move_break(ID, BASE + 100).unwrap();
    memory.move_break(ID, BASE + 200).unwrap();
    let bytes: Vec<u8> =
        (0..200).map(|at| write(&mut memory, &ram, BASE + at, 0).unwrap()).collect();
    assert!(bytes[..100].iter().all(|byte| *byte == 9));
    assert!(bytes[100..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_break_is_claimed_once() {
    let (mut memory, _) = memory();
    let id = BreakId::scratch().next().unwrap();
    assert!(memory.claim_break(id, Policy::Strict));
    assert!(!memory.claim_break(id, Policy::Overcommit));
    memory.move_break(id, id.base() + 1).unwrap();
    assert_eq!(memory.areas().len(), 1);
    memory.release_break(id);
    memory.release_break(id);
    assert_eq!(memory.areas().len(), 0);
    assert!(memory.claim_break(id, Policy::Overcommit));
}

#[test]
fn stacks_have_a_guard_page_and_leave_nothing_behind() {
    let (mut memory, _) = memory();
    let before = memory.counts();
    let stack = memory.add_stack("first").unwrap();
    assert_eq!(memory.counts().used(), 32 + 3);
    assert_eq!(memory.counts().reserved, 0);
    assert!(
        memory.pages.tables.translate(stack.bottom).is_some()
            && memory.pages.tables.translate(stack.top - 1).is_some()
    );
    assert_eq!(memory.pages.tables.translate(stack.bottom - 1), None);
    let overflow = PageFault { address: stack.bottom - 8, access: Access::Write };
    assert_eq!(memory.page_fault(&overflow), Err(Cause::GuardGap));
    let second = memory.add_stack("second").unwrap();
    assert!(second.guard > stack.top);
    for stack in [stack, second] {
        // SAFETY: nothing runs on the stacks of this test.
        unsafe { memory.remove_stack(stack) };
    }
    assert_eq!(memory.counts(), before);
    memory.frames().fail_nth(Some(35));
    assert_eq!(memory.add_stack("third"), Err(Errno::ENOMEM));
    assert_eq!(memory.counts(), before);
    assert_eq!(memory.areas().len(), 0);
}

#[derive(Clone, Debug)]
enum Op {
    MoveTo(u64),
    Touch(u64, u8),
    FailNth(usize),
}

/// Offsets that meet page, table and region borders often.
fn offset() -> impl Strategy<Value = u64> {
    let anchor = prop_oneof![
        Just(0),
        Just(PAGE_SIZE),
        Just(2_u64 << 20),
        Just(1_u64 << 30),
        0..60 * PAGE_SIZE
    ];
    (anchor, 0..3 * PAGE_SIZE).prop_map(|(anchor, more)| anchor + more)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => offset().prop_map(Op::MoveTo),
        10 => (offset(), 1..=u8::MAX).prop_map(|(at, value)| Op::Touch(at, value)),
        1 => (1..6_usize).prop_map(Op::FailNth),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is moved and touched: frames add up, contents are kept below the break and zero
    /// above it.
    #[test]
    fn frames_add_up_and_contents_are_kept(strict in any::<bool>(), ops in prop::collection::vec(op(), 1..80)) {
        let (mut memory, ram) = claimed(if strict { Policy::Strict } else { Policy::Overcommit });
        let untouched = memory.counts();
        let mut contents = std::collections::BTreeMap::new();
        for op in ops {
            let before = memory.break_info(ID).unwrap();
            match op {
                Op::MoveTo(offset) => {
                    let new = BASE + offset;
                    match memory.move_break(ID, new) {
                        Ok(old) => prop_assert_eq!(old, before.end),
                        Err(_) => prop_assert_eq!(memory.break_info(ID).unwrap(), before),
                    }
                    let end = memory.break_info(ID).unwrap().end;
                    contents.retain(|address, _| *address < end);
                }
                Op::Touch(offset, value) => {
                    let address = BASE + offset;
                    let granted = address < before.end;
                    match write(&mut memory, &ram, address, if granted { value } else { 0 }) {
                        Ok(old) => {
                            prop_assert!(address < page_ceil(before.end));
                            prop_assert_eq!(old, contents.get(&address).copied().unwrap_or(0));
                            if granted {
                                contents.insert(address, value);
                            }
                        }
                        Err(Cause::OutOfFrames(_)) => prop_assert!(!strict),
                        Err(Cause::AboveBreak | Cause::Unmapped) => prop_assert!(address >= page_ceil(before.high_water)),
                        Err(Cause::GivenBack) => {
                            let given_back = page_ceil(before.end)..page_ceil(before.high_water);
                            prop_assert!(given_back.contains(&address));
                        }
                        Err(other) => prop_assert!(false, "{}", other),
                    }
                }
                Op::FailNth(n) => memory.frames().fail_nth(Some(n)),
            }
            let now = memory.break_info(ID).unwrap();
            prop_assert_eq!(memory.counts().used(), now.pages + now.tables);
            prop_assert_eq!(memory.counts().reserved, now.reserved);
            if strict {
                prop_assert_eq!(now.reserved + now.pages + now.tables, cost(now.base, now.end));
            }
            prop_assert_eq!(memory.areas().first().map_or(BASE, |heap| heap.end), page_ceil(now.end));
        }
        memory.release_break(ID);
        prop_assert_eq!(memory.counts(), untouched);
        prop_assert!(memory.pages.tables.root_table().is_empty());
    }
}

const MIB: u64 = 1 << 20;

#[test]
fn what_is_charged_for_a_break_are_pages_and_tables_of_each_level() {
    assert_eq!(cost(BASE, BASE), 0);
    assert_eq!(cost(BASE, BASE + 1), 1 + 3);
    assert_eq!(cost(BASE, BASE + 4096), 1 + 3);
    assert_eq!(cost(BASE, BASE + 2 * MIB), 512 + 3);
    assert_eq!(cost(BASE, BASE + 2 * MIB + 1), 513 + 2 + 1 + 1);
    assert_eq!(cost(BASE, BASE + 1024 * MIB), 262_144 + 512 + 1 + 1);
    assert_eq!(cost(BASE, BASE + 1024 * MIB + 1), 262_145 + 513 + 2 + 1);
    let (mut memory, _) = claimed(Policy::Overcommit);
    let ends = [BASE + 1, BASE + 4097, BASE + 4096, BASE + 1024 * MIB + 1, BASE];
    for end in ends.into_iter().chain([BASE + BREAK_LIMIT, BASE + 5]) {
        memory.move_break(ID, end).unwrap();
        assert_eq!(memory.breaks[0].0.charged(), cost(BASE, end) as u64);
    }
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
    let (mut memory, _) = claimed(Policy::Overcommit);
    let limit = BASE + BREAK_LIMIT;
    for (to, moved) in [
        (BASE - 1, Err(MoveError::BelowBase)),
        (0, Err(MoveError::BelowBase)),
        (BASE, Ok(BASE)),
        (BASE + 1, Ok(BASE)),
        (limit, Ok(BASE + 1)),
        (limit + 1, Err(MoveError::BeyondLimit)),
        (u64::MAX, Err(MoveError::BeyondLimit)),
        (BASE, Ok(limit)),
    ] {
        assert_eq!(memory.move_break(ID, to), moved, "{to:#x}");
    }
}

#[test]
fn an_area_in_the_way_or_a_page_from_it_stops_growth_and_nothing_else() {
    let (mut memory, _) = claimed(Policy::Overcommit);
    let wall = Vma::private(BASE + MIB, BASE + 2 * MIB, Permissions::READ, AreaKind::Fixed);
    memory.add_area(wall).unwrap();
    assert_eq!(memory.add_area(wall), Err(Errno::EEXIST));
    assert_eq!(memory.move_break(ID, BASE + MIB - 4095), Err(MoveError::Occupied));
    assert_eq!(memory.move_break(ID, BASE + 3 * MIB), Err(MoveError::Occupied));
    assert_eq!(memory.move_break(ID, BASE + MIB - 4096), Ok(BASE));
    assert_eq!(memory.move_break(ID, BASE + MIB - 4100), Ok(BASE + MIB - 4096));
    assert_eq!(memory.move_break(ID, BASE + 5), Ok(BASE + MIB - 4100));
}

#[test]
fn errors_speak_the_allocators_language() {
    use brkalloc::BreakError;
    let out = OutOfFrames { asked: 9, available: 3, injected: false };
    assert_eq!(BreakError::from(MoveError::BelowBase), BreakError::OutOfAddresses);
    assert_eq!(BreakError::from(MoveError::BeyondLimit), BreakError::OutOfAddresses);
    assert_eq!(BreakError::from(MoveError::Occupied), BreakError::Refused);
    assert_eq!(BreakError::from(MoveError::OutOfFrames(out)), BreakError::OutOfMemory);
    let text = MoveError::OutOfFrames(out).to_string();
    assert_eq!(text, "out of frames: asked for 9 frames, 3 available");
}

const TEXT: u64 = 0xFFFF_FFFF_8000_0000;

/// A heap of two pages that once had four, text, and a stack with its guard page.
fn kernel() -> (Memory<VectorMemory>, StackBounds) {
    let (mut memory, _) = claimed(Policy::Strict);
    let rx = Permissions::READ | Permissions::EXECUTE;
    memory.add_area(Vma::private(TEXT, TEXT + 16 * PAGE_SIZE, rx, AreaKind::Fixed)).unwrap();
    memory.move_break(ID, BASE + 3 * PAGE_SIZE + 1).unwrap();
    memory.move_break(ID, BASE + PAGE_SIZE + 1).unwrap();
    let stack = memory.add_stack("main stack").unwrap();
    (memory, stack)
}

fn fault(address: u64, access: Access) -> PageFault {
    PageFault { address, access }
}

#[test]
fn a_first_touch_of_the_heap_is_served_up_to_the_end_of_its_last_page() {
    for access in [Access::Read, Access::Write] {
        for address in [BASE, BASE + 5, BASE + PAGE_SIZE + 1, BASE + 2 * PAGE_SIZE - 1] {
            let (mut memory, _) = kernel();
            assert_eq!(memory.mistake(&fault(address, access)), None);
            assert_eq!(memory.page_fault(&fault(address, access)), Ok(()));
            let mapped = memory.pages.tables.leaf(page_floor(address)).unwrap();
            assert!(mapped.flags.contains(PageTableFlags::WRITABLE), "a frame of its own");
        }
    }
}

#[test]
fn around_the_heap_and_elsewhere_each_mistake_has_its_own_cause() {
    let (mut memory, stack) = kernel();
    let before = memory.counts();
    for (address, access, cause) in [
        (BASE + 2 * PAGE_SIZE, Access::Write, Cause::GivenBack),
        (BASE + 4 * PAGE_SIZE - 1, Access::Read, Cause::GivenBack),
        (BASE + 4 * PAGE_SIZE, Access::Read, Cause::AboveBreak),
        (BASE + BREAK_LIMIT, Access::Read, Cause::Unmapped),
        (BASE - 1, Access::Write, Cause::Unmapped),
        (BASE, Access::Execute, Cause::ExecuteNoExecute),
        (0, Access::Write, Cause::Null),
        (PAGE_SIZE - 1, Access::Read, Cause::Null),
        (PAGE_SIZE, Access::Read, Cause::Unmapped),
        (stack.guard + 8, Access::Write, Cause::GuardGap),
        (stack.guard - 8, Access::Write, Cause::Unmapped),
        (stack.top, Access::Write, Cause::Unmapped),
        (TEXT, Access::Write, Cause::WriteToReadOnly),
        (TEXT, Access::Read, Cause::Inconsistent),
        (stack.bottom, Access::Execute, Cause::ExecuteNoExecute),
        (u64::MAX, Access::Read, Cause::Unmapped),
    ] {
        assert_eq!(memory.mistake(&fault(address, access)), Some(cause), "{access} {address:#x}");
        assert_eq!(memory.page_fault(&fault(address, access)), Err(cause));
    }
    assert_eq!(memory.counts(), before);
}

#[test]
fn what_lies_around_an_address_is_told() {
    let (memory, stack) = kernel();
    let names = |address| memory.around(address).map(|area| area.map(|area| area.name));
    assert_eq!(names(BASE - 1), [None, None, Some("kernel heap")]);
    assert_eq!(names(BASE), [None, Some("kernel heap"), Some("main stack")]);
    assert_eq!(names(stack.guard), [Some("kernel heap"), Some("main stack"), Some("main stack")]);
    assert_eq!(names(stack.top), [Some("main stack"), None, Some("")]);
    assert_eq!(names(u64::MAX), [Some(""), None, None]);
}

#[test]
fn the_list_of_areas_is_fixed() {
    let (mut memory, _) = claimed(Policy::Overcommit);
    let area = |number: u64| {
        let start = TEXT + 2 * number * PAGE_SIZE;
        Vma::private(start, start + PAGE_SIZE, Permissions::READ, AreaKind::Fixed)
    };
    for number in 0..MAX_AREAS as u64 {
        memory.add_area(area(number)).unwrap();
    }
    assert_eq!(memory.add_area(area(1000)), Err(Errno::ENOMEM));
    assert_eq!(memory.move_break(ID, BASE + 1), Err(MoveError::List(Errno::ENOMEM)));
    assert_eq!(memory.areas().len(), MAX_AREAS);
}
