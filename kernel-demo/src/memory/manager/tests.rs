use proptest::prelude::*;

use super::*;
use crate::memory::breaks::cost;
use crate::memory::fault::Access;
use crate::memory::frames::Frame;
use crate::memory::tables::tests::VectorMemory;

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
    if memory.tables.translate(address).is_none() {
        memory.page_fault(&PageFault { address, access: Access::Write, present: false })?;
        let page =
            memory.tables.translate(page_floor(address)).expect("a served page is mapped").physical;
        // SAFETY: the bytes lie in a frame that the break owns.
        assert!(
            // SAFETY: the bytes lie in a frame that the break owns.
            (page..page + PAGE_SIZE).all(|at| unsafe { ram.byte(at).read() } == 0),
            "a fresh page is not zero"
        );
    }
    let there = memory.tables.translate(address).expect("a served page is mapped");
    let byte = ram.byte(there.physical);
    // SAFETY: the byte lies in a frame that the break owns.
    let old = unsafe { byte.read() };
    // SAFETY: as above.
    unsafe { byte.write(value) };
    Ok(old)
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
        assert!(memory.tables.root_table().is_empty());
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
    assert_eq!(memory.space().regions().len(), 1);
    memory.release_break(id);
    memory.release_break(id);
    assert_eq!(memory.space().regions().len(), 0);
    assert!(memory.claim_break(id, Policy::Overcommit));
}

#[test]
fn stacks_have_a_guard_page_and_leave_nothing_behind() {
    let (mut memory, _) = memory();
    let before = memory.counts();
    let stack = memory.add_stack().unwrap();
    assert_eq!(memory.counts().used(), 32 + 3);
    assert_eq!(memory.counts().reserved, 0);
    assert!(
        memory.tables.translate(stack.bottom).is_some()
            && memory.tables.translate(stack.top - 1).is_some()
    );
    assert_eq!(memory.tables.translate(stack.bottom - 1), None);
    let overflow = PageFault { address: stack.bottom - 8, access: Access::Write, present: false };
    assert_eq!(memory.page_fault(&overflow), Err(Cause::GuardPage("main stack")));
    let second = memory.add_stack().unwrap();
    assert!(second.guard > stack.top);
    for stack in [stack, second] {
        // SAFETY: nothing runs on the stacks of this test.
        unsafe { memory.remove_stack(stack) };
    }
    assert_eq!(memory.counts(), before);
    memory.frames().fail_nth(Some(35));
    assert!(memory.add_stack().is_err());
    assert_eq!(memory.counts(), before);
    assert_eq!(memory.space().regions().len(), 0);
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
                        Err(Cause::AboveBreak(_)) => prop_assert!(address >= page_ceil(before.high_water)),
                        Err(Cause::GivenBack(_)) => {
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
            prop_assert_eq!(memory.space().regions()[0].end, page_ceil(now.end));
        }
        memory.release_break(ID);
        prop_assert_eq!(memory.counts(), untouched);
        prop_assert!(memory.tables.root_table().is_empty());
    }
}
