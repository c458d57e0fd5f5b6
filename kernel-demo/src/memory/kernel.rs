//! The memory manager: frames, the kernel's own address space and page tables, and the account of
//! all processes.
//!
//! Its code touches nothing but its own fields and, through the [`Mmu`], frames. It never touches
//! memory that a fault would have to be served for, and never allocates from a heap. With an `Mmu`
//! made of a vector it runs on the host.
#![allow(unsafe_code)]

mod breaks;
mod stacks;
mod told;

pub use self::breaks::{BreakId, BreakInfo, MAX_BREAKS};
pub use self::stacks::{STACK_PAGES, StackBounds};
use super::fault::Mapped;
use super::frames::{Counts, Frames, OutOfFrames};
use super::objects::Objects;
use super::pages::Pages;
use super::pool::{Account, Payer, Policy, Pool};
use super::tables::{Budget, Mmu, Tables};
use crate::address_space::{AddressSpace, Break, Cause, Errno, MoveError, Vma};
use crate::story::trace::{Event, Trace};
use crate::words::PageFault;
use crate::words::layout::{BREAK_LIMIT, PAGE_SIZE, frame_at};

/// Areas that the kernel can have.
pub const MAX_AREAS: usize = 128;

/// Frames that processes leave to the kernel: more than one system call takes for the kernel's
/// heap.
pub const RESERVE: usize = 128;

/// The account of the processes while there is no system: nothing is promised, and the page tables
/// that are made by hand take what is available.
const IDLE: Account = Account::new(Policy::Overcommit, 0);

/// The memory manager.
///
/// # Invariants
///
/// A frame that was taken is a table of some page tables, mapped at a page, or an object's. Frames
/// taken from [`frames`](Self::frames) are the taker's. Each break has an account, which pays for
/// its area; `stacks` pays for the others.
pub struct Memory<M> {
    pub(crate) pool: Pool,
    pages: Pages<M>,
    space: AddressSpace<[Vma; MAX_AREAS], MAX_BREAKS>,
    breaks: [(Account, u64); MAX_BREAKS],
    stacks: Account,
    processes: Account,
}

impl<M: Mmu + Clone> Memory<M> {
    /// A manager of the frames and the tables, with no area yet.
    pub fn new(frames: Frames<'static>, tables: Tables<M>) -> Self {
        Self {
            pool: Pool::new(frames),
            pages: Pages::of_kernel(tables),
            space: AddressSpace::of_kernel([Vma::NONE; MAX_AREAS], MAX_AREAS),
            breaks: [const { (IDLE, 0) }; MAX_BREAKS],
            stacks: Account::new(Policy::Strict, 0),
            processes: IDLE,
        }
    }

    /// Makes the page that all processes read zeroes from, until they write. It stays for good.
    ///
    /// # Errors
    ///
    /// There is no frame for it.
    pub fn make_zero_page(&mut self) -> Result<(), OutOfFrames> {
        let frame = self.pool.frames.allocate(0)?;
        // SAFETY: the frame just came from the page allocator, so nobody else uses it.
        unsafe { self.pages.tables.contents(frame) }.fill(0);
        self.pool.set_zero_page(frame);
        Ok(())
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
        &mut self.pages.tables
    }

    /// The latest events.
    pub const fn trace(&self) -> &Trace {
        &self.pool.trace
    }

    /// The kernel's areas.
    pub fn areas(&self) -> &[Vma] {
        self.space.vmas()
    }

    /// The area below the address, the one that holds it, and the one above.
    pub fn around(&self, address: u64) -> [Option<Vma>; 3] {
        self.space.around(address).map(|area| area.copied())
    }

    /// Enters an area, whose pages are mapped already if it is fixed.
    ///
    /// # Errors
    ///
    /// As for [`AddressSpace::insert`].
    pub fn add_area(&mut self, area: Vma) -> Result<(), Errno> {
        let (mut mapped, space) = self.at(area.start);
        space.insert(area, &mut mapped)
    }

    /// Takes out whatever lies in a range, with what is mapped there.
    ///
    /// # Errors
    ///
    /// As for [`AddressSpace::take_out`].
    pub fn remove_areas(&mut self, start: u64, end: u64) -> Result<(), Errno> {
        let (mut mapped, space) = self.at(start);
        space.take_out(start, end, &mut mapped)
    }

    /// Puts a break into use. It stands at its base, and nothing is mapped. `false` when it is in
    /// use already.
    pub fn claim_break(&mut self, id: BreakId, policy: Policy) -> bool {
        let brk = Break::new(id.name(), id.base(), id.base() + BREAK_LIMIT);
        let claimed = self.space.claim_break(id.index(), brk);
        if claimed {
            self.breaks[id.index()] = (Account::new(policy, 0), 0);
        }
        claimed
    }

    /// Moves a break back to its base and takes it out of use.
    pub fn release_break(&mut self, id: BreakId) {
        if self.space.break_at(id.index()).is_some() {
            self.move_break(id, id.base()).expect("a break can always be moved down to its base");
            self.space.release_break(id.index());
        }
    }

    /// Where a break stands, `None` when it is not in use.
    pub fn break_info(&self, id: BreakId) -> Option<BreakInfo> {
        let (account, faults) = &self.breaks[id.index()];
        let (policy, reserved) = (account.policy(), account.reserved());
        let (pages, tables, faults) = (account.pages(), account.tables(), *faults);
        let Break { base, end, limit, high_water, .. } = self.space.break_at(id.index())?;
        Some(BreakInfo { base, end, limit, high_water, policy, pages, tables, faults, reserved })
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
        let old = self.space.break_at(id.index()).expect("the break is in use").end;
        let (mut mapped, space) = self.at(id.base());
        let moved = Event::Break { region: id.name(), old, new };
        // A move down cannot fail, and what is unmapped follows in the trace.
        let down = (id.base()..old).contains(&new);
        if down {
            mapped.payer.pool.trace.tell(moved);
        }
        space.move_break(id.index(), new, &mut mapped)?;
        if !down {
            mapped.payer.pool.trace.tell(moved);
        }
        let offset = (new % PAGE_SIZE) as usize;
        if new < old
            && offset > 0
            && let Some(there) = self.pages.tables.translate(new)
        {
            // SAFETY: the frame belongs to the page, and its bytes from the break on are nobody's
            // any more.
            let bytes = unsafe { self.pages.tables.contents(frame_at(there.physical)) };
            bytes[offset..].fill(0);
        }
        Ok(old)
    }

    /// Serves a page fault of the kernel, or says why it cannot be served.
    ///
    /// # Errors
    ///
    /// The fault is a mistake of the code that made it, or there is no frame. Nothing has changed.
    pub fn page_fault(&mut self, fault: &PageFault) -> Result<(), Cause> {
        // No page table is looked at for a mistake: it may have been made on those of a process,
        // which have no map of physical memory.
        if let Some(cause) = self.mistake(fault) {
            return Err(cause);
        }
        let (mut mapped, space) = self.at(fault.address);
        let served = mapped.serve(space, fault)?;
        if let (Some(_), Some(id)) = (served, BreakId::at(fault.address)) {
            self.breaks[id.index()].1 += 1;
        }
        Ok(())
    }

    /// What is wrong with an access of the kernel; `None` if it would be served.
    pub fn mistake(&self, fault: &PageFault) -> Option<Cause> {
        self.space.mistake(fault)
    }

    /// The account of all processes.
    pub const fn processes(&self) -> &Account {
        &self.processes
    }

    /// Opens the account of the processes. [`RESERVE`] frames are left for the kernel, or one of
    /// sixteen that are available, if that is less.
    pub fn open_processes(&mut self, policy: Policy) {
        let floor = (self.counts().available() / 16).min(RESERVE);
        self.close_processes();
        self.processes = Account::new(policy, floor);
    }

    /// Closes the account of the processes.
    ///
    /// # Panics
    ///
    /// When something is charged to it.
    pub fn close_processes(&mut self) {
        assert_eq!(self.processes.charged(), 0, "frames are promised to processes");
        self.processes = IDLE;
    }

    /// Whether all frames are available that are left for the kernel.
    pub fn reserve_is_whole(&self) -> bool {
        self.counts().available() >= self.processes.floor()
    }

    /// What pays for processes, and the kernel's page tables, of which each has a part.
    pub const fn payer(&mut self) -> (Payer<'_>, &mut Pages<M>) {
        let Self { pool, processes: account, pages, .. } = self;
        (Payer { pool, account }, pages)
    }

    /// What a process's address space stands on, for one slice of work.
    pub const fn mapped<'a>(
        &'a mut self,
        pages: &'a mut Pages<M>,
        objects: Option<&'a mut Objects<M>>,
    ) -> Mapped<'a, M> {
        Mapped { payer: self.payer().0, pages, objects, work: Budget::slice() }
    }

    /// What the kernel's address space stands on at an address, and the address space.
    fn at(
        &mut self,
        address: u64,
    ) -> (Mapped<'_, M>, &mut AddressSpace<[Vma; MAX_AREAS], MAX_BREAKS>) {
        let Self { pool, pages, space, breaks, stacks, .. } = self;
        let account = match BreakId::at(address) {
            Some(id) => &mut breaks[id.index()].0,
            None => stacks,
        };
        let payer = Payer { pool, account };
        (Mapped { payer, pages, objects: None, work: Budget::unbounded() }, space)
    }
}

#[cfg(test)]
mod tests;
