//! What a process's page fault means: a page to be put there, or the end of the process.
//!
//! ```text
//!   address ─► beyond user memory? ─────────────────────────────────────────────────────► Kill
//!        └► in an area? ── no ─► stack above, within its limit, gap free, charged? ─ no ─► Kill: null, above the break, …
//!                 │                    └ yes: the area grows
//!                 ▼
//!           permitted? ── no ────────────────────────────────────────────────────────────► Kill
//!                 │        what is there now
//!                 ▼        missing       zero page     frame of several    frame of its own
//!   shared     any access  MapObject     ─             MakeWritable        MakeWritable
//!   private    write       MapZeroed     MapZeroed     Copy                MakeWritable
//!              read        MapZeroPage   ─             ─                   ─
//! ```
//!
//! Where the table has no answer, the page is there and may be accessed: then the page tables are
//! wrong, and that is said.
//!
//! Like x86, memory that may be written to or executed may be read.

use core::{fmt, iter};

use super::{
    AddressSpace, Commit, GUARD_GAP, Kind, MIN_ADDRESS, ObjectId, PAGE_SIZE, Sharing, USER_END, Vma,
};
use crate::memory::Permissions;
use crate::memory::layout::{page_ceil, page_floor};
use crate::memory::{Access, PageFault};

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

/// Why a process may not do what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A null pointer, or a small offset from one.
    Null,
    /// Not user memory: the kernel's, or no address at all.
    Kernel,
    /// Above the break, where it never stood.
    AboveBreak,
    /// Above the break, where it has been: given back.
    GivenBack,
    /// Below a stack that may not become so large.
    StackLimit,
    /// So close above another area that the guard gap of the stack would be gone.
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
        })
    }
}

/// Page faults served, by what they took. All of them are *minor*: none waits for a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The zero page was mapped.
    pub zero_page: u64,
    /// A frame of zeros was mapped.
    pub zeroed: u64,
    /// A frame was copied.
    pub copied: u64,
    /// A frame was made writable.
    pub made_writable: u64,
    /// A page of a shared object was mapped.
    pub object: u64,
    /// Of all these, those that made a stack larger.
    pub stack_growth: u64,
}

impl Counters {
    /// None yet.
    pub const NONE: Self =
        Self { zero_page: 0, zeroed: 0, copied: 0, made_writable: 0, object: 0, stack_growth: 0 };

    /// All of them: `ru_minflt`.
    pub const fn minor(&self) -> u64 {
        self.zero_page + self.zeroed + self.copied + self.made_writable + self.object
    }

    fn count(&mut self, decision: Decision) {
        match decision {
            Decision::MapZeroPage => self.zero_page += 1,
            Decision::MapZeroed => self.zeroed += 1,
            Decision::Copy => self.copied += 1,
            Decision::MakeWritable => self.made_writable += 1,
            Decision::MapObject { .. } => self.object += 1,
        }
    }
}

impl AddressSpace {
    /// Decides about a page fault of the process, counts it, and tells in which area it is. `state`
    /// is what is mapped at the page now. A stack that is touched below grows here.
    ///
    /// Logarithmic in the number of areas. Needs no heap.
    ///
    /// # Errors
    ///
    /// The access is a mistake: the process ends. It is not counted.
    pub fn fault(
        &mut self,
        fault: &PageFault,
        state: PageState,
        commit: &mut impl Commit,
    ) -> Result<(Decision, &Vma), Cause> {
        if fault.address >= USER_END {
            return Err(Cause::Kernel);
        }
        let (at, decision) = match self.vmas.position(fault.address) {
            Some(at) => {
                let vma = &self.vmas.as_slice()[at];
                permitted(vma, fault.access)?;
                (at, in_area(vma, fault, state)?)
            }
            None => self.below_stack(fault, state, commit)?,
        };
        self.counters.count(decision);
        Ok((decision, &self.vmas.as_slice()[at]))
    }

    /// Decides about a page fault where no area is: below a stack, which grows.
    fn below_stack(
        &mut self,
        fault: &PageFault,
        state: PageState,
        commit: &mut impl Commit,
    ) -> Result<(usize, Decision), Cause> {
        let address = fault.address;
        let stack = *self
            .vmas
            .above(address)
            .filter(|vma| vma.kind == Kind::Stack)
            .ok_or_else(|| self.in_gap(address))?;
        permitted(&stack, fault.access).map_err(|_| self.in_gap(address))?;
        let page = page_floor(address);
        self.may_grow(&stack, page)?;
        let decision = in_area(&stack, fault, state)?;
        let grown = Vma { start: page, end: stack.start, ..stack };
        let within = self.vmas.within(page, stack.start);
        let more = self.vmas.charge_of(&within, iter::once(grown));
        commit.charge(more).map_err(|_| Cause::NoMemoryPromised)?;
        self.vmas.extend_down(stack.start, page);
        self.note_most();
        self.counters.stack_growth += 1;
        let at = self.vmas.position(address).expect("the stack has just grown to there");
        Ok((at, decision))
    }

    /// Whether the stack may grow down to the page.
    fn may_grow(&self, stack: &Vma, page: u64) -> Result<(), Cause> {
        if page < MIN_ADDRESS || stack.end - page > self.limits.stack {
            return Err(self.beside_stack(page));
        }
        match self.vmas.below(page) {
            Some(below)
                if below.kind != Kind::Stack
                    && below.accessible()
                    && page - below.end < GUARD_GAP =>
            {
                Err(Cause::GuardGap)
            }
            _ => Ok(()),
        }
    }

    /// What lies at an address below a stack that may not grow so far.
    fn beside_stack(&self, address: u64) -> Cause {
        match self.in_gap(address) {
            Cause::Unmapped
                if self
                    .vmas
                    .above(address)
                    .is_some_and(|stack| stack.start - address <= self.limits.stack) =>
            {
                Cause::StackLimit
            }
            cause => cause,
        }
    }

    /// What lies at an address where no area is.
    fn in_gap(&self, address: u64) -> Cause {
        if address < MIN_ADDRESS {
            return Cause::Null;
        }
        let brk = page_ceil(self.brk);
        if (self.layout.start_brk..page_ceil(self.highest_brk)).contains(&address) {
            return Cause::GivenBack;
        }
        let heap_is_below = self.vmas.below(address).is_none_or(|below| below.end <= brk);
        let to_next = self.vmas.above(address).map_or(u64::MAX, |above| above.start - address);
        match address.checked_sub(brk) {
            Some(to_brk) if heap_is_below && to_brk < to_next.min(ABOVE_BREAK) => Cause::AboveBreak,
            _ => Cause::Unmapped,
        }
    }
}

/// How far above the break a touch is said to be above it, if nothing lies between and nothing else
/// is nearer.
const ABOVE_BREAK: u64 = 1 << 30;

/// Whether the access is allowed in the area.
fn permitted(vma: &Vma, access: Access) -> Result<(), Cause> {
    match access {
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

/// What to do where the access is allowed.
fn in_area(vma: &Vma, fault: &PageFault, state: PageState) -> Result<Decision, Cause> {
    let write = fault.access == Access::Write;
    Ok(match (vma.sharing, state, write) {
        (Sharing::Shared(object, first), PageState::Missing, _) => {
            Decision::MapObject { object, page: first + (fault.address - vma.start) / PAGE_SIZE }
        }
        (Sharing::Shared(..), PageState::Shared | PageState::Own, true) => Decision::MakeWritable,
        (Sharing::Private, PageState::Missing, false) => Decision::MapZeroPage,
        (Sharing::Private, PageState::Missing | PageState::ZeroPage, true) => Decision::MapZeroed,
        (Sharing::Private, PageState::Shared, true) => Decision::Copy,
        (Sharing::Private, PageState::Own, true) => Decision::MakeWritable,
        _ => return Err(Cause::Inconsistent),
    })
}
