//! What a page fault means, the kernel's or a process's: a page to be put there, or a mistake.
//!
//! ```text
//!   address ─► out of bounds? ────────────────────────────────────────────────────────────► mistake
//!        └► in an area? ── no ─► stack above, within its limit, gap free, charged? ─ no ──► mistake: null, above a break, …
//!                 │                    └ yes: the area grows
//!                 ▼
//!           permitted? ── no ─────────────────────────────────────────────────────────────► mistake
//!                 │        what is there now
//!                 ▼        missing       zero page     frame of several    frame of its own
//!   shared     any access  MapObject     ─             MakeWritable        MakeWritable
//!   private    write       MapZeroed     MapZeroed     Copy                MakeWritable
//!              read        MapZeroPage   ─             ─                   ─
//! ```
//!
//! Where the table has no answer, the page is there and may be accessed: then the page tables are
//! wrong, and that is said. So it is where nothing was charged. The kernel has no zero page: what
//! it reads first it gets as memory of its own.
//!
//! Like x86, memory that may be written to or executed may be read.

use core::{fmt, iter};

use super::{
    AddressSpace, AreaKind, Backing, Charge, GUARD_GAP, ObjectId, PAGE_SIZE, Sharing, Storage,
    USER_END, Vma,
};
use crate::words::layout::{HIGHER_HALF, page_ceil, page_floor};
use crate::words::{Access, OutOfFrames, PageFault, Permissions};

/// What is mapped at a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// Nothing.
    Missing,
    /// The one page of zeros that all read from.
    ZeroPage,
    /// A frame that others have too.
    Shared,
    /// A frame of its own.
    Own,
}

/// What to do about a page fault. Pages get the permissions of the area that holds the address
/// ([`AddressSpace::find`]), except where it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is mapped: map the zero page, not writable.
    MapZeroPage,
    /// Nothing, or the zero page, is mapped: map a frame of zeros.
    MapZeroed,
    /// The frame belongs to others too: map a copy of it.
    Copy,
    /// The frame is the right one: make it writable.
    MakeWritable,
    /// Nothing is mapped: map this page of the object.
    MapObject {
        /// The object.
        object: ObjectId,
        /// Which page of it.
        page: u64,
    },
}

/// Why an access is a mistake, or cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A null pointer, or a small offset from one.
    Null,
    /// Not user memory: the kernel's, or no address at all.
    Kernel,
    /// Above a break, where it never stood.
    AboveBreak,
    /// Above a break, where it has been: given back.
    GivenBack,
    /// Below a stack that may not become so large.
    StackLimit,
    /// So close above another area that the guard gap of the stack would be gone; or in the guard
    /// page of a stack of the kernel.
    GuardGap,
    /// Below a stack that may grow, but nobody promises memory for it.
    NoMemoryPromised,
    /// Nothing is there.
    Unmapped,
    /// Memory that nothing may be done with.
    NoAccess,
    /// A write to memory that is not writable.
    WriteToReadOnly,
    /// Instructions fetched from memory that is not executable.
    ExecuteNoExecute,
    /// The access is allowed and the page is there: the page tables do not say what the areas say.
    Inconsistent,
    /// Memory that was granted, but there is no frame to put behind it.
    OutOfFrames(OutOfFrames),
    /// The memory manager itself made the access, so it cannot be asked.
    InsideMemoryManager,
    /// Not a page fault; the exception says it all.
    Exception,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null pointer",
            Self::Kernel => "not user memory",
            Self::AboveBreak => "above the break",
            Self::GivenBack => "given back by a lower break",
            Self::StackLimit => "below the stack's limit: stack overflow",
            Self::GuardGap => "in the guard gap below the stack: stack overflow",
            Self::NoMemoryPromised => "the stack cannot grow: out of memory",
            Self::Unmapped => "nothing is mapped there",
            Self::NoAccess => "memory without any permission",
            Self::WriteToReadOnly => "write to read-only memory",
            Self::ExecuteNoExecute => "execution of no-execute memory",
            Self::Inconsistent => "mapped and permitted, yet it faulted: the page tables are wrong",
            Self::OutOfFrames(out) => return write!(f, "out of frames: {out}"),
            Self::InsideMemoryManager => "touched by the memory manager itself",
            Self::Exception => "processor exception",
        })
    }
}

impl<T: Storage, const N: usize> AddressSpace<T, N> {
    /// Decides about a page fault, counts it, and tells in which area it is. `state` is what is
    /// mapped at the page now. A stack that is touched below grows here.
    ///
    /// Logarithmic in the number of areas. Needs no heap.
    ///
    /// # Errors
    ///
    /// The access is a mistake. It is not counted.
    pub fn fault(
        &mut self,
        fault: &PageFault,
        state: PageState,
        backing: &mut impl Backing,
    ) -> Result<(Decision, &Vma), Cause> {
        let (at, decision) = match self.areas.position(fault.address) {
            Some(at) => (at, decide(&self.vmas()[at], fault, state)?),
            None => self.below_stack(fault, state, backing)?,
        };
        self.faults += 1;
        Ok((decision, &self.vmas()[at]))
    }

    /// What is wrong with an access at an address where nothing is mapped; `None` if it would be
    /// served.
    pub fn mistake(&self, fault: &PageFault) -> Option<Cause> {
        match self.areas.find(fault.address) {
            Some(vma) => decide(vma, fault, PageState::Missing).err(),
            None => Some(self.in_gap(fault.address)),
        }
    }

    /// Decides about a page fault where no area is: below a stack, which grows.
    fn below_stack(
        &mut self,
        fault: &PageFault,
        state: PageState,
        backing: &mut impl Backing,
    ) -> Result<(usize, Decision), Cause> {
        let (address, page) = (fault.address, page_floor(fault.address));
        let [below, _, above] = self.areas.around(address);
        let stack = *above
            .filter(|vma| vma.kind == AreaKind::Stack && permitted(vma, fault.access).is_ok())
            .ok_or_else(|| self.in_gap(address))?;
        if page < self.bounds.start || stack.end - page > self.limits.stack {
            return Err(match self.in_gap(address) {
                Cause::Unmapped if stack.start - address <= self.limits.stack => Cause::StackLimit,
                cause => cause,
            });
        }
        let too_near = |vma: &Vma| vma.kind != AreaKind::Stack && page - vma.end < GUARD_GAP;
        if below.is_some_and(|vma| vma.accessible() && too_near(vma)) {
            return Err(Cause::GuardGap);
        }
        let decision = decide(&stack, fault, state)?;
        let grown = Vma { start: page, end: stack.start, ..stack };
        let at = self.areas.after(page);
        let more = self.areas.charge_of(&(at..at), (page, stack.start), iter::once(grown));
        backing.charge(more).map_err(|_| Cause::NoMemoryPromised)?;
        self.charged += more;
        self.areas.insert(at, grown);
        let at = self.areas.position(address).expect("the stack has just grown to there");
        Ok((at, decision))
    }

    /// What lies at an address where no area is.
    fn in_gap(&self, address: u64) -> Cause {
        if address >= USER_END && self.bounds.end == USER_END {
            return Cause::Kernel;
        }
        if address < self.bounds.start {
            return Cause::Null;
        }
        let [below, _, above] = self.areas.around(address);
        let to_next = above.map_or(u64::MAX, |above| above.start - address);
        for brk in self.breaks.iter().flatten() {
            let end = page_ceil(brk.end);
            if (brk.base..page_ceil(brk.high_water)).contains(&address) {
                return Cause::GivenBack;
            }
            if below.is_none_or(|below| below.end <= end)
                && address.checked_sub(end).is_some_and(|to_brk| to_brk < to_next.min(ABOVE_BREAK))
            {
                return Cause::AboveBreak;
            }
        }
        Cause::Unmapped
    }
}

/// How far above the break a touch is said to be above it, if nothing lies between and nothing else
/// is nearer.
const ABOVE_BREAK: u64 = 1 << 30;

/// Whether the access is allowed in the area.
fn permitted(vma: &Vma, access: Access) -> Result<(), Cause> {
    match access {
        _ if vma.kind == AreaKind::Guard => Err(Cause::GuardGap),
        _ if !vma.accessible() => Err(Cause::NoAccess),
        Access::Write if !vma.permissions.contains(Permissions::WRITE) => {
            Err(Cause::WriteToReadOnly)
        }
        Access::Execute if !vma.permissions.contains(Permissions::EXECUTE) => {
            Err(Cause::ExecuteNoExecute)
        }
        _ => Ok(()),
    }
}

/// What to do about a fault in an area.
fn decide(vma: &Vma, fault: &PageFault, state: PageState) -> Result<Decision, Cause> {
    permitted(vma, fault.access)?;
    let write = fault.access == Access::Write;
    Ok(match (vma.sharing, state, write) {
        _ if vma.charge == Charge::Nothing => return Err(Cause::Inconsistent),
        (Sharing::Shared(object, first), PageState::Missing, _) => {
            Decision::MapObject { object, page: first + (fault.address - vma.start) / PAGE_SIZE }
        }
        (Sharing::Shared(..), PageState::Shared | PageState::Own, true) => Decision::MakeWritable,
        (Sharing::Private, PageState::Missing, false) if vma.start < HIGHER_HALF => {
            Decision::MapZeroPage
        }
        (Sharing::Private, PageState::Missing, _) => Decision::MapZeroed,
        (Sharing::Private, PageState::ZeroPage, true) => Decision::MapZeroed,
        (Sharing::Private, PageState::Shared, true) => Decision::Copy,
        (Sharing::Private, PageState::Own, true) => Decision::MakeWritable,
        _ => return Err(Cause::Inconsistent),
    })
}
