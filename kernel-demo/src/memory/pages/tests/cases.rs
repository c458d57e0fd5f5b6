use x86_64::structures::paging::PageTableFlags;

use super::machine::{Object, Pages};
use super::{Machine, Process, RW, RX};
use crate::address_space::{Decision, PageState, Resident};
use crate::words::Permissions;
use crate::words::layout::{IN_EVERY_PROCESS, LOWER_HALF_END, PAGE_SIZE, page_at};

const AT: u64 = 0x40_0000;
const NEXT: u64 = AT + PAGE_SIZE;

fn pages(machine: &Machine) -> Pages {
    Pages::new(machine.clone()).unwrap()
}

fn byte(pages: &mut Pages, address: u64) -> u8 {
    let mut byte = [0];
    assert_eq!(pages.read(address, &mut byte), 1);
    byte[0]
}

#[test]
fn pages_give_back_all_they_took() {
    let machine = Machine::new(64);
    let before = machine.counts();
    let mut pages = pages(&machine);
    pages.apply(AT, Decision::MapZeroed, RW).unwrap();
    pages.apply(NEXT, Decision::MapZeroPage, RW).unwrap();
    assert_eq!(
        [AT, NEXT, NEXT + PAGE_SIZE].map(|page| pages.state(page)),
        [PageState::Own, PageState::ZeroPage, PageState::Missing]
    );
    assert_eq!((pages.resident(), pages.inner().table_frames()), (1, 4));
    assert_eq!(machine.counts().used() - before.used(), 5);
    drop(pages);
    assert_eq!(machine.counts(), before);
}

#[test]
fn the_zero_page_is_one_frame_until_somebody_writes() {
    let machine = Machine::new(64);
    let (mut a, mut b) = (pages(&machine), pages(&machine));
    for pages in [&mut a, &mut b] {
        pages.apply(AT, Decision::MapZeroPage, RW).unwrap();
        assert_eq!(pages.write(AT, &[1]), 0, "it cannot be written to");
        assert_eq!(pages.load(AT, &[1]), 0, "not by a loader either");
    }
    let before = machine.counts().used();
    a.apply(AT, Decision::MapZeroed, RW).unwrap();
    assert_eq!(machine.counts().used() - before, 1);
    assert_eq!(a.write(AT, &[1]), 1);
    assert_eq!((byte(&mut a, AT), byte(&mut b, AT)), (1, 0));
    assert_eq!((a.resident(), b.resident()), (1, 0));
}

#[test]
fn a_frame_that_was_used_is_zeroed_for_the_next() {
    let machine = Machine::new(16);
    let mut pages = pages(&machine);
    for _ in 0..3 {
        pages.apply(AT, Decision::MapZeroed, RW).unwrap();
        let mut found = [1; PAGE_SIZE as usize];
        assert_eq!(pages.read(AT, &mut found), found.len());
        assert!(found.iter().all(|byte| *byte == 0));
        assert_eq!(pages.write(AT, &[0xAA; PAGE_SIZE as usize]), found.len());
        pages.unmap_all(AT, NEXT);
    }
}

#[test]
fn a_fork_shares_frames_and_each_write_takes_one() {
    let machine = Machine::new(64);
    let mut parent = pages(&machine);
    for page in [AT, NEXT] {
        parent.apply(page, Decision::MapZeroed, RW).unwrap();
        parent.write(page, &[7]);
    }
    let before = machine.counts().used();
    let mut child = parent.fork().unwrap();
    assert_eq!(machine.counts().used() - before, 4, "frames for tables only");
    assert_eq!(parent.resident_in(AT, NEXT + PAGE_SIZE), Resident { private: 0, shared: 2 });
    for pages in [&mut parent, &mut child] {
        assert_eq!(pages.state(AT), PageState::Shared);
        assert_eq!(pages.write(AT, &[8]), 0);
    }
    child.apply(AT, Decision::Copy, RW).unwrap();
    assert_eq!(child.write(AT, &[8]), 1);
    assert_eq!((byte(&mut parent, AT), byte(&mut child, AT)), (7, 8));
    assert_eq!(parent.state(AT), PageState::Own, "the last owner needs no copy");
    assert_eq!(parent.write(AT, &[9]), 0, "but its fault is still to come");
    parent.apply(AT, Decision::MakeWritable, RW).unwrap();
    assert_eq!(parent.write(AT, &[9]), 1);
    assert_eq!(parent.resident_in(AT, NEXT + PAGE_SIZE), Resident { private: 1, shared: 1 });
    drop(parent);
    assert_eq!(
        (child.state(NEXT), byte(&mut child, NEXT), byte(&mut child, AT)),
        (PageState::Own, 7, 8)
    );
}

#[test]
fn an_object_is_written_by_all_and_outlives_each() {
    let machine = Machine::new(64);
    let before = machine.counts();
    let mut object = Object::new(machine.clone(), 8).unwrap();
    let (mut a, mut b) = (pages(&machine), pages(&machine));
    a.map_object(AT, &mut object, 5, RW).unwrap();
    assert_eq!(a.resident_in(AT, NEXT), Resident { private: 1, shared: 0 });
    b.map_object(NEXT, &mut object, 5, Permissions::READ).unwrap();
    assert_eq!(a.resident_in(AT, NEXT), Resident { private: 0, shared: 1 });
    assert_eq!((a.write(AT, &[3]), b.write(NEXT, &[4])), (1, 0));
    assert_eq!((a.state(AT), byte(&mut b, NEXT)), (PageState::Own, 3));
    let mut child = a.fork().unwrap();
    assert_eq!(child.write(AT, &[6]), 1, "a fork leaves shared memory writable");
    assert_eq!((byte(&mut a, AT), byte(&mut b, NEXT)), (6, 6));
    a.protect(AT, NEXT, Permissions::READ);
    assert_eq!(a.write(AT, &[1]), 0);
    a.protect(AT, NEXT, RW);
    assert_eq!(a.write(AT, &[1]), 1);
    drop((a, child));
    b.unmap_all(NEXT, NEXT + PAGE_SIZE);
    assert_eq!(object.resident(), 1);
    b.map_object(AT, &mut object, 5, RW).unwrap();
    drop(object);
    assert_eq!(byte(&mut b, AT), 1, "who has it mapped keeps the frame");
    drop(b);
    assert_eq!(machine.counts(), before);
}

#[test]
fn the_kernel_reads_and_writes_as_far_as_the_program_may() {
    let machine = Machine::new(64);
    let mut pages = pages(&machine);
    pages.apply(AT, Decision::MapZeroed, RW).unwrap();
    pages.apply(NEXT, Decision::MapZeroed, RX).unwrap();
    let across = NEXT - 2;
    assert_eq!(pages.write(across, b"abcd"), 2, "the second page is not writable");
    assert_eq!(pages.load(NEXT, b"cd"), 2, "but for the loader");
    let mut text = [0; 4];
    assert_eq!((pages.read(across, &mut text), &text), (4, b"abcd"));
    assert_eq!(pages.read(NEXT + PAGE_SIZE - 1, &mut text), 1, "nothing is mapped there");
    pages.protect(AT, NEXT, Permissions::empty());
    assert_eq!(pages.read(AT, &mut text), 0, "nothing may be read there");
    for address in
        [LOWER_HALF_END, 0xDEAD_BEEF_0000_0000, IN_EVERY_PROCESS[0], u64::MAX - 1, u64::MAX]
    {
        assert_eq!(
            (pages.read(address, &mut text), pages.write(address, &text)),
            (0, 0),
            "{address:#x}"
        );
        assert_eq!(pages.state(address), PageState::Missing);
    }
    pages.apply(LOWER_HALF_END - PAGE_SIZE, Decision::MapZeroed, RW).unwrap();
    assert_eq!(pages.read(LOWER_HALF_END - 1, &mut text), 1);
}

#[test]
fn permissions_become_the_processors_flags() {
    let machine = Machine::new(64);
    let mut pages = pages(&machine);
    let mut flags = |permissions| {
        pages.protect(AT, NEXT, permissions);
        pages.unmap_all(AT, NEXT);
        pages.apply(AT, Decision::MapZeroed, permissions).unwrap();
        let fresh = pages.leaf(AT).unwrap().flags;
        pages.protect(AT, NEXT, RW);
        pages.protect(AT, NEXT, permissions);
        assert_eq!(
            pages.leaf(AT).unwrap().flags,
            fresh,
            "the same in the end, whatever it was before"
        );
        fresh
    };
    let (present, user) =
        (PageTableFlags::PRESENT, PageTableFlags::PRESENT | PageTableFlags::USER_ACCESSIBLE);
    assert_eq!(flags(Permissions::empty()), present | PageTableFlags::NO_EXECUTE);
    assert_eq!(flags(Permissions::READ), user | PageTableFlags::NO_EXECUTE);
    assert_eq!(flags(RW), user | PageTableFlags::NO_EXECUTE | PageTableFlags::WRITABLE);
    assert_eq!(flags(RX), user);
}

#[test]
fn the_lower_half_lets_ring_3_through_and_the_kernels_half_does_not() {
    let machine = Machine::new(64);
    machine.with(|memory| memory.add_stack("stack")).unwrap();
    let mut pages = pages(&machine);
    pages.apply(AT, Decision::MapZeroed, RW).unwrap();
    let mut entry =
        |address| pages.inner().tables.root_table()[page_at(address).p4_index()].clone();
    assert!(entry(AT).flags().contains(PageTableFlags::USER_ACCESSIBLE));
    let stacks = entry(IN_EVERY_PROCESS[0]);
    assert!(!stacks.is_unused() && !stacks.flags().contains(PageTableFlags::USER_ACCESSIBLE));
    let kernels = machine.with(|memory| {
        memory.tables().root_table()[page_at(IN_EVERY_PROCESS[0]).p4_index()].clone()
    });
    assert_eq!(kernels.addr(), stacks.addr(), "the tables below are the kernel's");
}

/// Every frame that a fork or a mapping asks for is refused once. Each time nothing has
/// changed.
#[test]
fn each_refused_frame_changes_nothing() {
    let far = |number: u64| number << 39;
    let build = |machine: &Machine| {
        let mut parent = pages(machine);
        for page in [AT, NEXT, far(1), far(2) + PAGE_SIZE] {
            parent.apply(page, Decision::MapZeroed, RW).unwrap();
            assert_eq!(parent.write(page, &page.to_le_bytes()), 8);
        }
        parent.apply(far(3), Decision::MapZeroPage, RW).unwrap();
        let mut object = Object::new(machine.clone(), 8).unwrap();
        parent.map_object(far(4), &mut object, 0, RW).unwrap();
        (parent, object)
    };
    type Attempt = fn(&mut Pages, &mut Object) -> bool;
    let attempts: [(Attempt, usize); 3] = [
        (|pages, _| pages.fork().is_ok(), 16),
        (|pages, _| pages.apply(9 << 39, Decision::MapZeroed, RW).is_ok(), 4),
        (|pages, object| pages.map_object(9 << 39, object, 0, RW).is_ok(), 3),
    ];
    for (attempt, frames) in attempts {
        for n in 1.. {
            let machine = Machine::new(128);
            let (parent, mut object) = build(&machine);
            let mut process = Process::new(parent);
            let before = machine.counts();
            machine.fail_nth(Some(n));
            let succeeded = attempt(&mut process.pages, &mut object);
            assert_eq!(
                machine.fail_nth(None),
                succeeded,
                "it succeeds if and only if no frame was refused"
            );
            if succeeded {
                assert_eq!(n, frames + 1, "every frame was refused once");
                break;
            }
            assert_eq!(machine.counts(), before);
            process.settle();
            for page in [AT, NEXT, far(1), far(2) + PAGE_SIZE] {
                assert_eq!(
                    process.pages.write(page, &page.to_le_bytes()),
                    8,
                    "still its own, and writable"
                );
            }
            assert_eq!(process.pages.state(far(3)), PageState::ZeroPage);
            assert_eq!(process.pages.state(far(4)), PageState::Own);
        }
    }
}

#[test]
#[should_panic(expected = "shares its frame")]
fn only_what_is_shared_is_copied() {
    let mut pages = pages(&Machine::new(64));
    pages.apply(AT, Decision::MapZeroed, RW).unwrap();
    let _ = pages.apply(AT, Decision::Copy, RW);
}

#[test]
#[should_panic(expected = "has its frame to itself")]
fn the_zero_page_never_becomes_writable() {
    let mut pages = pages(&Machine::new(64));
    pages.apply(AT, Decision::MapZeroPage, RW).unwrap();
    pages.apply(AT, Decision::MakeWritable, RW).unwrap();
}

#[test]
fn what_may_only_be_written_can_be_reached_whatever_is_behind_it() {
    let mut pages = pages(&Machine::new(64));
    let mut bytes = [1; 8];
    pages.apply(AT, Decision::MapZeroPage, Permissions::WRITE).unwrap();
    assert_eq!((pages.read(AT, &mut bytes), bytes), (8, [0; 8]), "the zero page is read");
    pages.apply(NEXT, Decision::MapZeroed, RW).unwrap();
    let child = pages.fork().unwrap();
    pages.protect(NEXT, NEXT + PAGE_SIZE, Permissions::WRITE);
    assert_eq!(pages.read(NEXT, &mut bytes), 8, "a shared frame is read");
    drop(child);
    pages.apply(NEXT, Decision::MakeWritable, RW).unwrap();
    assert_eq!(pages.write(NEXT, &bytes), 8, "and written, once it is its own");
}
