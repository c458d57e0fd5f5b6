//! The memory manager: page allocator, page tables, regions, breaks and trace, behind one set of
//! verbs.
//!
//! Its code touches nothing but its own fields and, through the [`Mmu`], frames. It never touches
//! memory that a fault would have to be served for, and never allocates from a heap. With an `Mmu`
//! made of a vector it runs on the host.
#![allow(unsafe_code)]

use x86_64::structures::paging::{PageTableFlags, PhysFrame};

use super::breaks::{BreakId, BreakInfo, BreakRegion, MAX_BREAKS, Move, MoveError};
use super::charges::IDLE;
use super::enter::enter;
use super::fault::{Breaks, Cause, PageFault, decide};
use super::frames::{Counts, Frames, OutOfFrames};
use super::layout::{PAGE_SIZE, frame_at, page_ceil, page_floor};
use super::pool::{Account, Policy, Pool};
use super::space::{InsertError, Permissions, Region, RegionKind, Space};
use super::tables::{Leaf, Mmu, Tables, Unmapped, Work};
use super::trace::{Event, Purpose, Trace};

/// Flags of memory that holds data: readable, writable, never executed.
pub const DATA: PageTableFlags =
    PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE).union(PageTableFlags::NO_EXECUTE);

/// The memory manager.
///
/// # Invariants
///
/// A frame that the manager took is a table of `tables`, or mapped at exactly one page of a break
/// or a stack. Frames taken from [`frames`](Self::frames) are the taker's. The breaks in `breaks`
/// are the break regions in `space`.
pub struct Memory<M> {
    pub(super) pool: Pool,
    pub(super) tables: Tables<M>,
    pub(super) space: Space,
    breaks: Breaks,
    zero_page: Option<PhysFrame>,
    pub(super) processes: Account,
}

/// Somebody who can reach the one memory manager, for a moment at a time: what lives longer than a
/// moment holds one of these.
pub trait Reach: Clone {
    /// How the manager reaches frames.
    type Mmu: Mmu + Clone;

    /// Does something with the memory manager, under its rules: see [`memory`](super).
    fn with<R>(&self, action: impl FnOnce(&mut Memory<Self::Mmu>) -> R) -> R;
}

impl<M: Mmu> Memory<M> {
    /// A manager of the frames and the tables, with no region yet.
    pub fn new(frames: Frames<'static>, tables: Tables<M>) -> Self {
        let pool = Pool { frames, trace: Trace::new() };
        Self {
            pool,
            tables,
            space: Space::new(),
            breaks: [const { None }; MAX_BREAKS],
            zero_page: None,
            processes: IDLE,
        }
    }

    /// Makes the page that all processes read zeroes from, until they write. It stays for good.
    ///
    /// # Errors
    ///
    /// There is no frame for it.
    pub fn make_zero_page(&mut self) -> Result<(), OutOfFrames> {
        let frame = self.pool.take(Purpose::Page)?;
        // SAFETY: the frame just came from the page allocator, so nobody else uses it.
        unsafe { self.tables.zero(frame, 0) };
        self.zero_page = Some(frame);
        Ok(())
    }

    /// The frame that all processes read zeroes from.
    ///
    /// # Panics
    ///
    /// Before it was made.
    pub const fn zero_page(&self) -> PhysFrame {
        self.zero_page.expect("the zero page was made when the kernel came up")
    }

    /// How many frames there are, of each kind.
    pub const fn counts(&self) -> Counts {
        self.pool.frames.counts()
    }

    /// The page allocator.
    pub const fn frames(&mut self) -> &mut Frames<'static> {
        &mut self.pool.frames
    }

    /// The page tables.
    pub const fn tables(&mut self) -> &mut Tables<M> {
        &mut self.tables
    }

    /// The latest events.
    pub const fn trace(&self) -> &Trace {
        &self.pool.trace
    }

    /// The regions, and what lies at an address.
    pub const fn space(&self) -> &Space {
        &self.space
    }

    /// Enters a region that is mapped already.
    ///
    /// # Errors
    ///
    /// As for [`Space::insert`].
    pub fn add_region(&mut self, region: Region) -> Result<(), InsertError> {
        self.space.insert(region)
    }

    /// Puts a break into use. It stands at its base, and nothing is mapped. `false` when it is in
    /// use already.
    pub fn claim_break(&mut self, id: BreakId, policy: Policy) -> bool {
        let (start, permissions) = (id.base(), Permissions::READ | Permissions::WRITE);
        let region =
            Region { name: id.name(), start, end: start, permissions, kind: RegionKind::Break(id) };
        let claimed = self.breaks[id.index()].is_none() && self.space.insert(region).is_ok();
        if claimed {
            self.breaks[id.index()] = Some(BreakRegion::new(id, policy));
        }
        claimed
    }

    /// Moves a break back to its base and takes it out of use.
    pub fn release_break(&mut self, id: BreakId) {
        if self.breaks[id.index()].is_some() {
            self.move_break(id, id.base()).expect("a break can always be moved down to its base");
            self.breaks[id.index()] = None;
            self.space.remove(id.base());
        }
    }

    /// Where a break stands, `None` when it is not in use.
    pub fn break_info(&self, id: BreakId) -> Option<BreakInfo> {
        self.breaks[id.index()].as_ref().map(BreakRegion::info)
    }

    /// Moves the end of a break and returns where it was.
    ///
    /// Up: no frame is taken; under [`Policy::Strict`] as many as can be needed are reserved.
    /// Constant time. Down: the pages above are unmapped, and their frames and those of empty
    /// page tables go back. Linear in the pages mapped there. Bytes between the end and the end
    /// of its page are zeroed, so granted memory always reads as zero.
    ///
    /// # Errors
    ///
    /// Says why the end stays where it is. Nothing has changed.
    ///
    /// # Panics
    ///
    /// When the break is not in use.
    pub fn move_break(&mut self, id: BreakId, new: u64) -> Result<u64, MoveError> {
        let brk = in_use(&mut self.breaks, id);
        let old = brk.end;
        let step = brk.plan(new, &self.space)?;
        if let Move::Grow(cost) = step {
            self.pool.charge(&mut brk.account, cost as u64).map_err(MoveError::OutOfFrames)?;
        }
        brk.end = new;
        brk.high_water = brk.high_water.max(new);
        self.space.set_end(id.base(), page_ceil(new));
        self.pool.trace.record(Event::Break { region: id.name(), old, new });
        if let Move::Shrink(cost) = step {
            self.withdraw(id, page_ceil(new), page_ceil(old));
            let brk = in_use(&mut self.breaks, id);
            self.pool.uncharge(&mut brk.account, cost as u64);
        }
        if new < old {
            self.zero_rest_of_page(new);
        }
        Ok(old)
    }

    /// What a page fault means: see [`decide`].
    pub fn decide(&self, fault: &PageFault) -> Result<BreakId, Cause> {
        decide(fault, &self.space, &self.breaks)
    }

    /// Serves a page fault, or says why it cannot be served.
    ///
    /// # Errors
    ///
    /// The fault is a mistake of the code that made it, or there is no frame. Nothing has changed.
    pub fn page_fault(&mut self, fault: &PageFault) -> Result<(), Cause> {
        let id = self.decide(fault)?;
        let PageFault { address, access, .. } = *fault;
        self.pool.trace.record(Event::Fault { region: id.name(), access, address });
        self.provide(id, page_floor(address)).map_err(Cause::OutOfFrames)
    }

    /// Maps a zeroed frame at a page of a break.
    fn provide(&mut self, id: BreakId, page: u64) -> Result<(), OutOfFrames> {
        let Self { pool, tables, breaks, .. } = self;
        let brk = in_use(breaks, id);
        let frame = pool.take_for(&mut brk.account, Purpose::Page)?;
        // SAFETY: the frame just came from the page allocator, so nobody else uses it.
        unsafe { tables.zero(frame, 0) };
        let leaf = Leaf { frame, flags: DATA };
        // SAFETY: as above, and the page lies in the break's region, whose memory belongs to the
        // break's owner.
        let entered = unsafe { enter((&mut *pool, &mut brk.account), &mut tables.way(page), leaf) };
        let added =
            entered.inspect_err(|_| pool.release(&mut brk.account, frame, Purpose::Page))?;
        brk.pages += 1;
        brk.tables += added as usize;
        brk.faults += 1;
        Ok(())
    }

    /// Unmaps the pages of a break in `[start, end)` and gives all that comes free back.
    fn withdraw(&mut self, id: BreakId, start: u64, end: u64) {
        let brk = in_use(&mut self.breaks, id);
        let pool = &mut self.pool;
        self.tables.unmap(start, end, &mut Work::unbounded(), &mut |gone| match gone {
            Unmapped::Page { page, frame } => {
                pool.trace.record(Event::Unmap { page, frame: frame.start_address().as_u64() });
                pool.release(&mut brk.account, frame, Purpose::Page);
                brk.pages -= 1;
            }
            Unmapped::Table(frame) => {
                pool.release(&mut brk.account, frame, Purpose::Table);
                brk.tables -= 1;
            }
        });
    }

    /// Zeroes what follows the end of a break in the page that it lies in, if that page is mapped.
    fn zero_rest_of_page(&mut self, end: u64) {
        let offset = end % PAGE_SIZE;
        if let (1.., Some(there)) = (offset, self.tables.translate(end)) {
            // SAFETY: the frame belongs to the page, and its bytes from the break on are nobody's
            // any more.
            unsafe { self.tables.zero(frame_at(there.physical), offset as usize) };
        }
    }
}

/// The break of that name, which its user has claimed.
fn in_use(breaks: &mut Breaks, id: BreakId) -> &mut BreakRegion {
    match &mut breaks[id.index()] {
        Some(brk) => brk,
        None => panic!("the break of {} is not in use", id.name()),
    }
}

#[cfg(test)]
mod tests;
