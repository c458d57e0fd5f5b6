use super::*;
use crate::words::Access::{self, Execute, Read, Write};
use crate::words::PageFault;

const MISSING: PageState = PageState::Missing;

impl World {
    /// What is decided about a fault at the address where this is mapped.
    fn fault(&mut self, address: u64, access: Access, state: PageState) -> Result<Decision, Cause> {
        let both = &mut Played(&mut self.told, &mut self.account);
        let decided = self.space.fault(&PageFault { address, access }, state, both);
        decided.map(|(decision, _)| decision)
    }

    fn cause(&mut self, address: u64, access: Access) -> Cause {
        let faults = self.space.faults();
        let Err(cause) = self.fault(address, access, MISSING) else {
            panic!("{access} {address:#x} is served")
        };
        assert_eq!(self.space.faults(), faults, "only what is served counts");
        cause
    }
}

#[test]
fn private_memory_is_zero_until_it_is_written_to_and_its_own_from_then_on() {
    let mut world = World::new();
    world.map_at(500, 501, RW);
    let at = p(500) + 12;
    for (access, state, decision) in [
        (Read, MISSING, Ok(Decision::MapZeroPage)),
        (Write, MISSING, Ok(Decision::MapZeroed)),
        (Write, PageState::ZeroPage, Ok(Decision::MapZeroed)),
        (Write, PageState::Shared, Ok(Decision::Copy)),
        (Write, PageState::Own, Ok(Decision::MakeWritable)),
        (Read, PageState::ZeroPage, Err(Cause::Inconsistent)),
        (Read, PageState::Shared, Err(Cause::Inconsistent)),
        (Read, PageState::Own, Err(Cause::Inconsistent)),
    ] {
        assert_eq!(world.fault(at, access, state), decision, "{access} {state:?}");
    }
    assert_eq!(world.space.faults(), 5);
}

#[test]
fn shared_memory_is_the_objects() {
    let mut world = World::new();
    let flags = MapFlags::SHARED | MapFlags::ANONYMOUS | MapFlags::FIXED;
    world
        .mmap(MapRequest { hint: p(500), flags, object: Some(ObjectId(3)), ..private(8) })
        .unwrap();
    world.munmap(500, 502).unwrap();
    let page_5 = Ok(Decision::MapObject { object: ObjectId(3), page: 5 });
    for (access, state, decision) in [
        (Read, MISSING, page_5),
        (Write, MISSING, page_5),
        (Write, PageState::Shared, Ok(Decision::MakeWritable)),
        (Write, PageState::Own, Ok(Decision::MakeWritable)),
        (Write, PageState::ZeroPage, Err(Cause::Inconsistent)),
        (Read, PageState::Shared, Err(Cause::Inconsistent)),
    ] {
        assert_eq!(world.fault(p(505) + 1, access, state), decision, "{access} {state:?}");
    }
    assert_eq!(world.space.faults(), 4);
}

#[test]
fn permissions_decide_first() {
    let mut world = World::new();
    world.map_at(500, 501, NONE);
    world.map_at(501, 502, R);
    for state in [MISSING, PageState::ZeroPage, PageState::Shared, PageState::Own] {
        let mut killed = |address, access| match world.fault(address, access, state) {
            Err(cause) => cause,
            Ok(served) => panic!("{served:?}"),
        };
        for access in [Read, Write, Execute] {
            assert_eq!(killed(p(500), access), Cause::NoAccess);
        }
        assert_eq!(
            (killed(p(501), Write), killed(p(501), Execute)),
            (Cause::WriteToReadOnly, Cause::ExecuteNoExecute)
        );
        assert_eq!(
            (killed(p(16), Write), killed(p(20), Execute)),
            (Cause::WriteToReadOnly, Cause::ExecuteNoExecute)
        );
    }
    assert_eq!(world.fault(p(16), Execute, MISSING), Ok(Decision::MapZeroPage));
    world.mprotect(16, 17, Permissions::EXECUTE).unwrap();
    assert_eq!(
        world.fault(p(16), Read, MISSING),
        Ok(Decision::MapZeroPage),
        "what may be executed may be read"
    );
    world.mprotect(501, 502, Permissions::WRITE).unwrap();
    assert_eq!(
        world.fault(p(501), Read, MISSING),
        Ok(Decision::MapZeroPage),
        "what may be written may be read"
    );
}

#[test]
fn c19_each_mistake_has_its_own_cause() {
    let mut world = World::new();
    world.brk(p(10) + 1);
    world.brk(p(5) + 1);
    let brk = LAYOUT.start_brk;
    for (address, access, cause) in [
        (0, Write, Cause::Null),
        (MIN_ADDRESS - 1, Read, Cause::Null),
        (USER_END, Read, Cause::Kernel),
        (0xFFFF_8000_0000_0000, Write, Cause::Kernel),
        (u64::MAX, Execute, Cause::Kernel),
        (p(24), Read, Cause::Unmapped),
        (brk + p(6), Read, Cause::GivenBack),
        (brk + p(11) - 1, Write, Cause::GivenBack),
        (brk + p(11), Write, Cause::AboveBreak),
        (p(2000), Write, Cause::Unmapped),
    ] {
        assert_eq!(world.cause(address, access), cause, "{access} {address:#x}");
    }
    assert_eq!(
        world.fault(brk + p(6) - 1, Write, MISSING),
        Ok(Decision::MapZeroed),
        "the break's page belongs to the heap as a whole"
    );
    world.map_at(600, 601, R);
    assert_eq!(world.cause(p(650), Read), Cause::Unmapped);
    assert_eq!(world.cause(p(300), Read), Cause::AboveBreak);
    assert_eq!(world.cause(p(550), Read), Cause::Unmapped, "nearer to the mapping");
}

#[test]
fn a_stack_grows_to_what_is_touched() {
    let mut world = World::with(LIMITS, Account::strict(TABLES + 10 + 20));
    assert_eq!(world.fault(p(1997) + 8, Write, MISSING), Ok(Decision::MapZeroed));
    assert_eq!(
        world.space.find(p(1997)).map(|vma| (vma.pages(), vma.kind)),
        Some((3, AreaKind::Stack))
    );
    assert_eq!(world.fault(p(1979), Read, MISSING), Ok(Decision::MapZeroPage));
    assert_eq!(
        (world.space.find(p(1990)).map(Vma::pages), world.account.promised()),
        (Some(21), TABLES + 29)
    );
    assert_eq!(world.cause(p(1977), Write), Cause::NoMemoryPromised);
    assert_eq!(world.fault(p(1978), Write, MISSING), Ok(Decision::MapZeroed));
    assert_eq!(world.space.faults(), 3);
    assert_eq!(world.cause(p(1977), Execute), Cause::Unmapped, "nothing to execute on a stack");
}

#[test]
fn a_stack_grows_to_its_limit() {
    let mut world = World::new();
    assert_eq!(world.cause(p(2000 - 64) - 1, Write), Cause::StackLimit);
    assert_eq!(world.fault(p(2000 - 64), Write, MISSING), Ok(Decision::MapZeroed));
    assert_eq!(world.cause(p(2000 - 64) - 1, Write), Cause::StackLimit);
    assert_eq!(
        world.cause(p(2000 - 64 - 65), Write),
        Cause::Unmapped,
        "too far below to be the stack's"
    );
    let mut lowest = World::with(Limits { stack: u64::MAX, ..LIMITS }, Account::overcommit());
    lowest.munmap(0, 1998).unwrap();
    assert_eq!(lowest.cause(MIN_ADDRESS - 1, Write), Cause::Null);
    assert_eq!(lowest.fault(MIN_ADDRESS, Write, MISSING), Ok(Decision::MapZeroed));
}

#[test]
fn a_stack_keeps_its_guard_gap() {
    let gap = GUARD_GAP / PAGE_SIZE;
    let mut world = World::with(Limits { stack: p(1000), ..LIMITS }, Account::overcommit());
    world.map_at(1000, 1010, R);
    assert_eq!(world.cause(p(1010 + gap) - 1, Write), Cause::GuardGap);
    assert_eq!(world.cause(p(1010), Write), Cause::GuardGap);
    assert_eq!(world.fault(p(1010 + gap), Write, MISSING), Ok(Decision::MapZeroed));
    world.mprotect(1000, 1010, NONE).unwrap();
    assert_eq!(
        world.fault(p(1010), Write, MISSING),
        Ok(Decision::MapZeroed),
        "memory that nobody may touch is a gap"
    );
    assert_eq!(world.cause(p(1009), Write), Cause::NoAccess);
}

#[test]
fn a_stack_that_was_cut_or_closed_does_not_grow_where_it_must_not() {
    let mut world = World::with(Limits { stack: p(1000), ..LIMITS }, Account::overcommit());
    world.fault(p(1990), Write, MISSING).unwrap();
    world.munmap(1992, 1995).unwrap();
    assert_eq!(
        world.fault(p(1992), Write, MISSING),
        Ok(Decision::MapZeroed),
        "the upper part grows down to the lower one"
    );
    assert_eq!(world.space.vmas().last().map(|vma| (vma.start, vma.end)), Some((p(1990), p(2000))));
    world.mprotect(1990, 1991, NONE).unwrap();
    assert_eq!(world.cause(p(1989), Write), Cause::Unmapped);
}

#[test]
fn causes_are_told_in_words() {
    assert_eq!(Cause::Null.to_string(), "null pointer");
    assert_eq!(Cause::GivenBack.to_string(), "given back by a lower break");
    assert_eq!(Cause::StackLimit.to_string(), "below the stack's limit: stack overflow");
}

#[test]
fn a_stack_keeps_its_gap_from_the_next_area_only() {
    let mut world = World::with(Limits { stack: p(1000), ..LIMITS }, Account::overcommit());
    world.fault(p(1200), Write, MISSING).unwrap();
    world.map_at(1100, 1101, RW);
    assert_eq!(
        world.map(1),
        999,
        "the gap reaches below where mappings go, but ends where something is"
    );
    world.munmap(1100, 1101).unwrap();
    world.munmap(999, 1000).unwrap();
    assert_eq!(world.map(1), 1200 - 256 - 1, "it is kept where nothing is");
}
