//! The memory of one process, page by page: which frame is behind a page, who else owns it, and
//! what ring 3 may do with it.
//!
//! ```text
//!   what is there    frame behind the page    owners         may be written
//!   Missing          none
//!   ZeroPage         the one of all zeroes    not counted    never
//!   Shared           a frame                  two or more    never
//!   Own              a frame                  one            if the area may be
//!   Own (object)     a frame of an Object     any            if the area may be
//! ```
//!
//! What *should* be there is the business of the [`address_space`](crate::address_space), which
//! decides; here it happens. Rules of this room:
//!
//! 1. Every entry for a page of the lower half holds one share of its frame, unless that is the
//!    zero page. A frame goes back when its last share does (`frames::owners`).
//! 2. An entry is writable only if its frame has one owner, or belongs to an [`Object`]. So
//!    nobody's write is seen by another process that did not ask for that.
//! 3. What needs frames takes all of them before it changes anything. If there are not enough,
//!    nothing has changed. The account of all processes pays for each.
//! 4. Each method locks the memory manager by itself and lets go of it, so the address space, which
//!    allocates from the kernel's heap, can call it at any time.
//! 5. An entry that changes is flushed by what changes it ([`Tables::change`], [`Way::replace`],
//!    [`Tables::unmap`]). A page that was not mapped needs no flush. (Today the way back to ring 3
//!    changes page tables, and with that the processor forgets all translations; this rule is what
//!    makes it right to stop doing so.)
//!
//! Of the kernel a process has [`IN_EVERY_PROCESS`] mapped, for ring 0 only. The kernel itself runs
//! on its own tables, to which `arch::user` changes when ring 3 is left: what the kernel maps or
//! unmaps meanwhile never has to be told to any process.
#![allow(unsafe_code)]

mod access;
mod change;
mod fork;
mod object;
mod spot;

use core::convert::Infallible;

use x86_64::structures::paging::{PageTableFlags, PhysFrame};

pub use self::object::Object;
pub use self::spot::Spot;
use super::frames::OutOfFrames;
use super::layout::{IN_EVERY_PROCESS, LOWER_HALF_END, page_floor};
use super::manager::{Memory, Reach};
use super::permissions::Permissions;
use super::tables::{Leaf, Mmu, Tables, Work};
use super::trace::Purpose;
use crate::address_space::{PageState, Resident};

/// Marks an entry whose frame belongs to an [`Object`]. The processor ignores this bit.
const OBJECT: PageTableFlags = PageTableFlags::BIT_9;

/// The page tables of one process.
///
/// # Invariants
///
/// * The lower half's tables and entries are this value's own, as rule 1 says. The entries of the
///   higher half are the kernel's.
/// * `tally` counts them.
pub struct Pages<R: Reach> {
    tables: Tables<R::Mmu>,
    reach: R,
    tally: Tally,
    /// Where a change goes on that was not finished; 0 if there is none.
    resume: u64,
    /// Frames that are set aside for tables.
    set_aside: usize,
}

/// What the page tables of a process hold.
///
/// # Invariants
///
/// `resident` is the number of pages mapped to frames, the zero page not counted; `peak` is the
/// most it ever was; `tables` is the number of tables, the level-4 table not counted.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    resident: u64,
    peak: u64,
    tables: u64,
}

impl Tally {
    /// A page more has a frame behind it.
    fn grow(&mut self) {
        self.resident += 1;
        self.peak = self.peak.max(self.resident);
    }
}

impl<R: Reach> Pages<R> {
    /// Page tables with an empty lower half. Takes one frame, which is charged to the processes.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn new(reach: R) -> Result<Self, OutOfFrames> {
        let tables = reach.with(|memory| {
            memory.charge(1)?;
            let root = memory.take(Purpose::Table).inspect_err(|_| memory.uncharge(1))?;
            let mmu = memory.tables.mmu().clone();
            // SAFETY: the frame just came from the page allocator, so nobody else uses it.
            let mut tables = unsafe { Tables::new(root, mmu) };
            // SAFETY: these entries stay for good, and the methods here map and unmap only in the
            // lower half.
            unsafe { tables.share(&mut memory.tables, &IN_EVERY_PROCESS) };
            Ok(tables)
        })?;
        Ok(Self { tables, reach, tally: Tally::default(), resume: 0, set_aside: 0 })
    }

    /// The frame of the level-4 table.
    pub const fn root(&self) -> PhysFrame {
        self.tables.root()
    }

    /// The page that holds the address; `None` for an address outside the lower half. Constant
    /// time.
    #[inline]
    pub fn spot(&mut self, address: u64) -> Option<Spot<'_, R>> {
        let Self { tables, reach, tally, .. } = self;
        (address < LOWER_HALF_END).then(|| Spot::new(tables.way(page_floor(address)), reach, tally))
    }

    /// What is mapped for the process at the page that holds the address, which may be any number.
    pub fn state(&mut self, address: u64) -> PageState {
        self.spot(address).map_or(PageState::Missing, |mut spot| spot.state())
    }

    /// Pages mapped to frames; the zero page does not count. Constant time.
    pub const fn resident(&self) -> u64 {
        self.tally.resident
    }

    /// The most pages that were ever mapped to frames. Constant time.
    pub const fn peak(&self) -> u64 {
        self.tally.peak
    }

    /// Frames that the page tables take. Constant time.
    pub const fn table_frames(&self) -> u64 {
        self.tally.tables + 1
    }

    /// Counts what is behind the pages in `[start, end)` (page-aligned), and adds it to what was
    /// found before. Returns where it got to, too.
    pub fn count_resident(
        &mut self,
        start: u64,
        end: u64,
        before: Resident,
        work: &mut Work,
    ) -> (Resident, u64) {
        let Self { tables, reach, .. } = self;
        let mut resident = before;
        let reached = reach.with(|memory| {
            let count = &mut |_, leaf: Leaf| {
                // The object itself owns a share of each of its frames, and has none mapped.
                let mappings =
                    memory.pool.frames.owners(leaf.frame) - u32::from(leaf.flags.contains(OBJECT));
                match (state(memory, leaf), mappings) {
                    (PageState::ZeroPage, _) => {}
                    (_, 1) => resident.private += 1,
                    _ => resident.shared += 1,
                }
                Ok::<_, Infallible>(leaf)
            };
            // SAFETY: nothing is changed.
            let Ok(reached) = unsafe { tables.change(start, end, work, count) };
            reached
        });
        (resident, reached)
    }

    /// The same for all of the range.
    pub fn resident_in(&mut self, start: u64, end: u64) -> Resident {
        self.count_resident(start, end, Resident::default(), &mut Work::unbounded()).0
    }
}

impl<R: Reach> Drop for Pages<R> {
    /// Gives every frame back.
    fn drop(&mut self) {
        // Where no table is, nothing is mapped.
        if self.tally.tables > 0 {
            self.unmap_all(0, LOWER_HALF_END);
        }
        self.put_back();
        let Tally { resident, tables, .. } = self.tally;
        assert!(resident == 0 && tables == 0, "a process's page tables have lost count");
        let root = self.root();
        self.reach.with(|memory| {
            memory.release(root, Purpose::Table);
            memory.uncharge(1);
        });
    }
}

/// What the entry maps.
fn state<M: Mmu>(memory: &Memory<M>, leaf: Leaf) -> PageState {
    if leaf.flags.contains(OBJECT) {
        PageState::Own
    } else if leaf.frame == memory.zero_page() {
        PageState::ZeroPage
    } else if memory.pool.frames.owners(leaf.frame) > 1 {
        PageState::Shared
    } else {
        PageState::Own
    }
}

/// The processor's flags for a page with these permissions. It has none for "may not be read": a
/// page without any permission stays mapped for ring 0 alone.
fn flags(permissions: Permissions) -> PageTableFlags {
    let mut flags = PageTableFlags::PRESENT;
    flags.set(PageTableFlags::USER_ACCESSIBLE, !permissions.is_empty());
    flags.set(PageTableFlags::WRITABLE, permissions.contains(Permissions::WRITE));
    flags.set(PageTableFlags::NO_EXECUTE, !permissions.contains(Permissions::EXECUTE));
    flags
}

#[cfg(test)]
pub(crate) mod tests;
