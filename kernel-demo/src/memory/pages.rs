//! What is behind the pages of an address space, the kernel's or a process's: which frame, who else
//! owns it, and what may be done with it.
//!
//! ```text
//!   what is there    frame behind the page    owners         may be written
//!   Missing          none
//!   ZeroPage         the one of all zeroes    not counted    never
//!   Shared           a frame                  two or more    never
//!   Own              a frame                  one            if the area may be
//!   Own (object)     a frame of an object     any            if the area may be
//! ```
//!
//! What *should* be there is the business of the [`address_space`](crate::address_space), which
//! decides; here it happens. Rules of this room:
//!
//! 1. Every entry for a page holds one share of its frame, unless that is the zero page. A frame
//!    goes back when its last share does (`frames::owners`).
//! 2. An entry is writable only if its frame has one owner, or belongs to an object. So nobody's
//!    write is seen by another process that did not ask for that.
//! 3. What needs frames has all of them set aside before it changes anything. If there are not
//!    enough, nothing has changed.
//! 4. An entry that changes is flushed by what changes it, on all CPUs ([`Tables::visit`],
//!    [`Tables::unmap`], [`Tables::replace`]), before the frame behind it can become free. A page
//!    that was not mapped needs no flush, and one that may be used for more faults at most once
//!    more where that is not known yet.
//!
//! Of the kernel a process has [`IN_EVERY_PROCESS`] mapped, for ring 0 only. The kernel itself runs
//! on its own tables, to which `arch::user` changes when ring 3 is left: what the kernel maps or
//! unmaps meanwhile never has to be told to any process.
#![allow(unsafe_code)]

mod access;
mod fork;
mod protect;
mod told;

use x86_64::structures::paging::{PageTableFlags, PhysFrame};

use super::frames::OutOfFrames;
use super::pool::{Payer, Pool};
use super::tables::{Budget, Leaf, Mmu, OBJECT, Tables, Walk};
use crate::address_space::{Decision, PageState};
use crate::story::trace::{Event, Purpose};
use crate::words::layout::{HIGHER_HALF, IN_EVERY_PROCESS, LOWER_HALF_END, page_floor};
use crate::words::{Access, Permissions};

/// The page tables of an address space. Dropping some loses their frames, so
/// [`destroy`](Self::destroy) them.
///
/// # Invariants
///
/// * The entries of the lower half, or of the higher half for the kernel's, are as rule 1 says.
/// * `resident` is the number of pages mapped to frames but the zero page; `peak` is its maximum.
pub struct Pages<M> {
    pub(crate) tables: Tables<M>,
    resident: u64,
    peak: u64,
    /// Where a change goes on that was not finished; 0 if there is none.
    resume: u64,
    /// Frames that are set aside for tables.
    set_aside: usize,
}

/// What a walk to a page found. Valid until the page tables change.
pub struct Found {
    page: u64,
    walk: Walk,
    leaf: Option<Leaf>,
    /// What is mapped at the page.
    pub state: PageState,
}

impl Found {
    /// Whether the page tables permit the access as they are.
    pub fn permits(&self, access: Access) -> bool {
        let mut needed = PageTableFlags::PRESENT;
        needed.set(PageTableFlags::USER_ACCESSIBLE, self.page < HIGHER_HALF);
        needed.set(PageTableFlags::WRITABLE, access == Access::Write);
        self.leaf.is_some_and(|Leaf { flags, .. }| {
            let executable = !flags.contains(PageTableFlags::NO_EXECUTE);
            flags.contains(needed) && (executable || access != Access::Execute)
        })
    }
}

impl<M: Mmu> Pages<M> {
    /// The kernel's own.
    pub const fn of_kernel(tables: Tables<M>) -> Self {
        Self { tables, resident: 0, peak: 0, resume: 0, set_aside: 0 }
    }

    /// Page tables with an empty lower half, and the kernel's entries that every process has. Takes
    /// one frame, which is charged.
    ///
    /// # Errors
    ///
    /// There is none. Nothing has changed.
    pub fn new(payer: &mut Payer<'_>, kernel: &mut Self) -> Result<Self, OutOfFrames>
    where
        M: Clone,
    {
        payer.charge(1)?;
        payer.set_aside(1).inspect_err(|_| payer.uncharge(1))?;
        let root = payer.take(Purpose::Table);
        // SAFETY: the frame just came from the page allocator, so nobody else uses it.
        let mut tables = unsafe { Tables::new(root, kernel.tables.mmu().clone()) };
        // SAFETY: these entries stay for good, and the methods here map and unmap only in the
        // lower half.
        unsafe { tables.share(&mut kernel.tables, &IN_EVERY_PROCESS) };
        Ok(Self::of_kernel(tables))
    }

    /// Gives back every frame of a process's page tables, of which nothing is used any more.
    pub fn destroy(mut self, payer: &mut Payer<'_>) {
        // Where no table is, nothing is mapped.
        if self.tables.count() > 0 {
            self.unmap(payer, 0, LOWER_HALF_END, &mut Budget::unbounded());
        }
        payer.put_back(self.set_aside);
        assert!(self.resident == 0 && self.tables.count() == 0, "page tables have lost count");
        payer.release(self.root(), Purpose::Table);
        payer.uncharge(1);
    }

    /// The frame of the level-4 table.
    pub const fn root(&self) -> PhysFrame {
        self.tables.root()
    }

    /// Pages mapped to frames; the zero page does not count. Constant time.
    pub const fn resident(&self) -> u64 {
        self.resident
    }

    /// The most pages that were ever mapped to frames. Constant time.
    pub const fn peak(&self) -> u64 {
        self.peak
    }

    /// Frames that the page tables take. Constant time.
    pub const fn table_frames(&self) -> u64 {
        self.tables.count() + 1
    }

    /// Looks up the page that holds the address. Constant time.
    #[inline]
    pub fn find(&mut self, pool: &Pool, address: u64) -> Found {
        let page = page_floor(address);
        let walk = self.tables.walk(page);
        let leaf = self.tables.leaf_at(&walk, page);
        let state = leaf.map_or(PageState::Missing, |leaf| state(pool, leaf));
        Found { page, walk, leaf, state }
    }

    /// The frame behind a page, if it is mapped.
    pub fn frame(&mut self, page: u64) -> Option<PhysFrame> {
        self.tables.leaf(page).map(|leaf| leaf.frame)
    }

    /// Does to a page what was decided about a fault; `object_frame` is what an object has for it.
    ///
    /// ```text
    ///   Missing ──read──► ZeroPage                                         MapZeroPage
    ///      │                 │ write
    ///      └──── write ──────┴───────────────────────► Own, writable       MapZeroed
    ///   Shared ──── write, others own it too ────────► Own, writable       Copy
    ///      └─ the others are gone ─► Own ── write ───► Own, writable       MakeWritable
    ///   Missing ──── in shared memory ───────────────► Own (object)        MapObject
    /// ```
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed.
    ///
    /// # Panics
    ///
    /// When the page is not in a state that the decision is about.
    #[inline(always)]
    pub fn carry_out(
        &mut self,
        payer: &mut Payer<'_>,
        Found { page, mut walk, leaf: old, state: is }: Found,
        (decision, permissions): (Decision, Permissions),
        object_frame: Option<PhysFrame>,
    ) -> Result<(), OutOfFrames> {
        let tables = &mut self.tables;
        let empty = matches!(is, PageState::Missing | PageState::ZeroPage);
        let own = matches!(decision, Decision::MapZeroed | Decision::Copy);
        payer.set_aside(usize::from(own) + walk.missing())?;
        let flags = flags(page, permissions);
        let leaf = match (decision, old) {
            (Decision::MapZeroPage, None) => {
                Leaf { frame: payer.pool.zero_page(), flags: flags - PageTableFlags::WRITABLE }
            }
            (Decision::MapZeroed, _) if empty => {
                let frame = payer.take(Purpose::Page);
                // SAFETY: the frame just came from the page allocator, so nobody else uses it.
                unsafe { tables.contents(frame) }.fill(0);
                Leaf { frame, flags }
            }
            (Decision::Copy, Some(old)) => {
                assert!(is != PageState::Own, "a page to copy shares its frame");
                let frame = payer.take(Purpose::Page);
                // SAFETY: the frame just came from the page allocator, so nobody else uses it;
                // nobody writes to a shared one.
                unsafe { tables.copy(old.frame, frame) };
                Leaf { frame, flags: old.flags | PageTableFlags::WRITABLE }
            }
            (Decision::MakeWritable, Some(old)) => {
                assert!(is == PageState::Own, "a page to write to has its frame to itself");
                Leaf { flags: old.flags | PageTableFlags::WRITABLE, ..old }
            }
            (Decision::MapObject { .. }, None) => {
                let frame = object_frame.expect("the object has a frame for its page");
                payer.share(frame);
                Leaf { frame, flags: flags | OBJECT }
            }
            _ => panic!("{decision:?} of a page that is {is:?}"),
        };
        // SAFETY: the entry holds a share of the frame, or the zero page is not writable.
        unsafe {
            match old {
                None => tables.enter(payer, &mut walk, page, leaf),
                Some(_) => tables.replace(&walk, page, leaf),
            }
        }
        if let (PageState::Shared, Some(old)) = (is, old) {
            payer.release(old.frame, Purpose::Page);
        }
        if empty && decision != Decision::MapZeroPage {
            self.grow();
        }
        Ok(())
    }

    /// Unmaps pages from `start` on, as far as the work allows. Returns where it got to: `end`, or
    /// a lower address.
    pub fn unmap(&mut self, payer: &mut Payer<'_>, start: u64, end: u64, work: &mut Budget) -> u64 {
        let Self { tables, resident, .. } = self;
        tables.unmap(payer, (start, end), work, &mut |payer, page, frame| {
            let physical = frame.start_address().as_u64();
            payer.pool.trace.record(Event::Unmap { page, frame: physical });
            if !payer.pool.is_zero_page(frame) {
                payer.release(frame, Purpose::Page);
                *resident -= 1;
            }
        })
    }

    /// A page more has a frame behind it.
    fn grow(&mut self) {
        self.resident += 1;
        self.peak = self.peak.max(self.resident);
    }
}

/// What an entry maps.
fn state(pool: &Pool, leaf: Leaf) -> PageState {
    if leaf.flags.contains(OBJECT) {
        PageState::Own
    } else if pool.is_zero_page(leaf.frame) {
        PageState::ZeroPage
    } else if pool.frames.owners(leaf.frame) > 1 {
        PageState::Shared
    } else {
        PageState::Own
    }
}

/// The processor's flags for a page with these permissions. It has none for "may not be read": a
/// process's page without any permission stays mapped for ring 0 alone, as the kernel's are.
pub fn flags(page: u64, permissions: Permissions) -> PageTableFlags {
    let mut flags = PageTableFlags::PRESENT;
    flags.set(PageTableFlags::USER_ACCESSIBLE, page < HIGHER_HALF && !permissions.is_empty());
    flags.set(PageTableFlags::WRITABLE, permissions.contains(Permissions::WRITE));
    flags.set(PageTableFlags::NO_EXECUTE, !permissions.contains(Permissions::EXECUTE));
    flags
}

#[cfg(test)]
pub(crate) mod tests;
