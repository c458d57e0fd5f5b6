//! What a page fault means: a first touch to be served, or a mistake to be reported.
//!
//! ```text
//!   address ─► null page? ─► in a region? ── guard ───────────────────────────► report: guard page of that stack
//!                               │        ── break ── fetch? present? ─────────► report
//!                               │              └──── otherwise ───────────────► SERVE
//!                               │        ── other ── write, execute, missing ─► report
//!                               └ gap ── under a break's limit ── high water ─► report: given back | above the break
//!                                     ── the nearest region is a break ───────► report: below it | beyond its limit
//!                                     ── otherwise ───────────────────────────► report: no region
//! ```
//!
//! [`decide`] is a pure function of the fault and the regions, so every branch is tested on the
//! host.

use core::fmt;

pub use super::access::{Access, PageFault};
use super::breaks::{BreakId, BreakRegion, MAX_BREAKS};
use super::frames::OutOfFrames;
use super::layout::{PAGE_SIZE, page_ceil};
use super::space::{Permissions, Place, Region, RegionKind, Space};

/// Why a fault cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The first page: a null pointer, or a small offset from one.
    NullPage,
    /// Above the end of the break of this name, where it never stood so far.
    AboveBreak(&'static str),
    /// Above the end of the break of this name, which has been there: the memory was given back.
    GivenBack(&'static str),
    /// Below the base of the break of this name.
    BelowBreak(&'static str),
    /// Above all that the break of this name can ever reach.
    BeyondLimit(&'static str),
    /// The guard page of the stack of this name: the stack overflowed.
    GuardPage(&'static str),
    /// A write to memory that is read-only.
    WriteToReadOnly,
    /// Instructions fetched from memory that may not be executed.
    ExecuteNoExecute,
    /// Memory that was granted, but there is no frame to put behind it.
    OutOfFrames(OutOfFrames),
    /// In a region, but not mapped although it should be.
    NotMapped,
    /// No region lies there.
    NoRegion,
    /// The memory manager itself made the access, so it cannot be asked.
    InsideMemoryManager,
    /// Not a page fault; the exception says it all.
    Exception,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NullPage => f.write_str("null page"),
            Self::AboveBreak(name) => write!(f, "above the break of {name}"),
            Self::GivenBack(name) => write!(f, "given back by a shrink of {name}"),
            Self::BelowBreak(name) => write!(f, "below {name}"),
            Self::BeyondLimit(name) => write!(f, "beyond the limit of {name}"),
            Self::GuardPage(name) => write!(f, "guard page of {name}: stack overflow"),
            Self::WriteToReadOnly => f.write_str("write to read-only memory"),
            Self::ExecuteNoExecute => f.write_str("execution of no-execute memory"),
            Self::OutOfFrames(out) => write!(f, "out of frames: {out}"),
            Self::NotMapped => f.write_str("not mapped although in a region"),
            Self::NoRegion => f.write_str("no region"),
            Self::InsideMemoryManager => f.write_str("touched by the memory manager itself"),
            Self::Exception => f.write_str("processor exception"),
        }
    }
}

/// The table of breaks in use.
pub type Breaks = [Option<BreakRegion>; MAX_BREAKS];

/// Decides about a page fault: which break serves it, or why none does. Linear in the number of
/// regions.
///
/// # Errors
///
/// Why it is a mistake of the code that made it.
pub fn decide(fault: &PageFault, space: &Space, breaks: &Breaks) -> Result<BreakId, Cause> {
    if fault.address < PAGE_SIZE {
        return Err(Cause::NullPage);
    }
    match space.lookup(fault.address) {
        Place::Region(region) => in_region(fault, &region),
        Place::Gap { below, above } => Err(in_gap(fault.address, below, above, breaks)),
    }
}

fn in_region(fault: &PageFault, region: &Region) -> Result<BreakId, Cause> {
    let needed = match fault.access {
        Access::Read => Permissions::READ,
        Access::Write => Permissions::WRITE,
        Access::Execute => Permissions::EXECUTE,
    };
    let allowed = region.permissions.contains(needed);
    match (region.kind, fault.access) {
        (RegionKind::Guard, _) => Err(Cause::GuardPage(region.name)),
        (_, Access::Write) if !allowed => Err(Cause::WriteToReadOnly),
        (_, Access::Execute) if !allowed => Err(Cause::ExecuteNoExecute),
        (RegionKind::Break(id), _) if !fault.present => Ok(id),
        _ => Err(Cause::NotMapped),
    }
}

fn in_gap(address: u64, below: Option<Region>, above: Option<Region>, breaks: &Breaks) -> Cause {
    for brk in breaks.iter().flatten() {
        if (brk.base()..brk.limit()).contains(&address) {
            let given_back = address < page_ceil(brk.high_water);
            let name = brk.id().name();
            return if given_back { Cause::GivenBack(name) } else { Cause::AboveBreak(name) };
        }
    }
    let to_below = below.map_or(u64::MAX, |region| address - region.end);
    let to_above = above.map_or(u64::MAX, |region| region.start - address);
    let nearest = if to_below < to_above { below } else { above };
    match nearest {
        Some(Region { name, start, kind: RegionKind::Break(_), .. }) if address < start => {
            Cause::BelowBreak(name)
        }
        Some(Region { name, kind: RegionKind::Break(_), .. }) => Cause::BeyondLimit(name),
        _ => Cause::NoRegion,
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::BREAK_LIMIT;
    use super::super::pool::Policy;
    use super::*;

    const HEAP: BreakId = BreakId::KERNEL_HEAP;
    const BASE: u64 = HEAP.base();
    const TEXT: u64 = 0xFFFF_FFFF_8000_0000;
    const STACK: u64 = 0xFFFF_A000_0000_0000;

    /// A heap of two pages that once had four, a text region, and a stack with its guard page.
    fn world() -> (Space, Breaks) {
        let mut space = Space::new();
        let rw = Permissions::READ | Permissions::WRITE;
        let rx = Permissions::READ | Permissions::EXECUTE;
        for (name, start, pages, permissions, kind) in [
            ("kernel heap", BASE, 2, rw, RegionKind::Break(HEAP)),
            ("stack", STACK, 1, Permissions::empty(), RegionKind::Guard),
            ("stack", STACK + PAGE_SIZE, 4, rw, RegionKind::Stack),
            ("text", TEXT, 16, rx, RegionKind::Fixed),
        ] {
            space
                .insert(Region { name, start, end: start + pages * PAGE_SIZE, permissions, kind })
                .unwrap();
        }
        let mut breaks = [const { None }; MAX_BREAKS];
        let mut heap = BreakRegion::new(HEAP, Policy::Strict);
        (heap.end, heap.high_water) = (BASE + PAGE_SIZE + 1, BASE + 3 * PAGE_SIZE + 1);
        breaks[HEAP.index()] = Some(heap);
        (space, breaks)
    }

    fn decided(address: u64, access: Access, present: bool) -> Result<BreakId, Cause> {
        let (space, breaks) = world();
        decide(&PageFault { address, access, present }, &space, &breaks)
    }

    fn cause(address: u64, access: Access) -> Cause {
        match decided(address, access, false) {
            Err(cause) => cause,
            Ok(id) => panic!("served by {}", id.name()),
        }
    }

    #[test]
    fn a_first_touch_of_the_heap_is_served_up_to_the_end_of_its_last_page() {
        for access in [Access::Read, Access::Write] {
            for address in [BASE, BASE + 5, BASE + PAGE_SIZE + 1, BASE + 2 * PAGE_SIZE - 1] {
                assert_eq!(decided(address, access, false), Ok(HEAP));
            }
        }
    }

    #[test]
    fn around_the_heap_each_mistake_has_its_own_cause() {
        assert_eq!(cause(BASE + 2 * PAGE_SIZE, Access::Write), Cause::GivenBack("kernel heap"));
        assert_eq!(cause(BASE + 4 * PAGE_SIZE - 1, Access::Read), Cause::GivenBack("kernel heap"));
        assert_eq!(cause(BASE + 4 * PAGE_SIZE, Access::Read), Cause::AboveBreak("kernel heap"));
        assert_eq!(cause(BASE + BREAK_LIMIT - 1, Access::Read), Cause::AboveBreak("kernel heap"));
        assert_eq!(cause(BASE + BREAK_LIMIT, Access::Read), Cause::BeyondLimit("kernel heap"));
        assert_eq!(cause(BASE - 1, Access::Write), Cause::BelowBreak("kernel heap"));
        assert_eq!(cause(BASE, Access::Execute), Cause::ExecuteNoExecute);
    }

    #[test]
    fn elsewhere_too() {
        assert_eq!(cause(0, Access::Write), Cause::NullPage);
        assert_eq!(cause(PAGE_SIZE - 1, Access::Read), Cause::NullPage);
        assert_eq!(cause(PAGE_SIZE, Access::Read), Cause::BelowBreak("kernel heap"));
        assert_eq!(cause(STACK + 8, Access::Write), Cause::GuardPage("stack"));
        assert_eq!(cause(STACK - 8, Access::Write), Cause::NoRegion);
        assert_eq!(cause(STACK + 5 * PAGE_SIZE, Access::Write), Cause::NoRegion);
        assert_eq!(cause(STACK + PAGE_SIZE, Access::Write), Cause::NotMapped);
        assert_eq!(cause(u64::MAX, Access::Read), Cause::NoRegion);
    }

    #[test]
    fn a_mapped_page_faults_only_for_its_permissions() {
        let report = |cause| Err(cause);
        assert_eq!(decided(TEXT, Access::Write, true), report(Cause::WriteToReadOnly));
        assert_eq!(
            decided(STACK + PAGE_SIZE, Access::Execute, true),
            report(Cause::ExecuteNoExecute)
        );
        assert_eq!(decided(BASE, Access::Execute, true), report(Cause::ExecuteNoExecute));
        assert_eq!(decided(BASE, Access::Write, true), report(Cause::NotMapped));
    }
}
