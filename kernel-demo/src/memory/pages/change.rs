//! What the address space does to ranges of pages: take them away, protect them.

use core::convert::Infallible;

use x86_64::structures::paging::PageTableFlags;

use super::{Pages, flags, state};
use crate::address_space::{ObjectId, PageState, PageTables};
use crate::memory::manager::Reach;
use crate::memory::permissions::Permissions;
use crate::memory::tables::{Leaf, Unmapped, Work};
use crate::memory::trace::{Event, Purpose};

/// What permissions decide about an entry. The rest of its flags stays.
const PROTECTION: PageTableFlags = PageTableFlags::USER_ACCESSIBLE
    .union(PageTableFlags::WRITABLE)
    .union(PageTableFlags::NO_EXECUTE);

/// Each is linear in the pages mapped in the range and the tables that cover it, not in the size of
/// the range.
impl<R: Reach> Pages<R> {
    /// Unmaps pages from `start` on, as far as the work allows. Returns where it got to: `end`, or
    /// a lower address.
    pub fn unmap(&mut self, start: u64, end: u64, work: &mut Work) -> u64 {
        let Self { tables, reach, tally, .. } = self;
        reach.with(|memory| {
            let zero_page = memory.zero_page();
            tables.unmap(start, end, work, &mut |gone| match gone {
                Unmapped::Page { page, frame } => {
                    let event = Event::Unmap { page, frame: frame.start_address().as_u64() };
                    memory.pool.trace.record(event);
                    if frame != zero_page {
                        memory.release(frame, Purpose::Page);
                        tally.resident -= 1;
                    }
                }
                Unmapped::Table(frame) => {
                    memory.release(frame, Purpose::Table);
                    tally.tables -= 1;
                }
            })
        })
    }

    /// Unmaps all pages in the range.
    pub fn unmap_all(&mut self, start: u64, end: u64) {
        self.unmap(start, end, &mut Work::unbounded());
    }

    /// Gives the pages in the range these permissions. `false` if it has to be called again, with
    /// the same arguments, to finish.
    pub fn protect(&mut self, start: u64, end: u64, to: Permissions, work: &mut Work) -> bool {
        let Self { tables, reach, resume, .. } = self;
        let reached = reach.with(|memory| {
            let mut protected = |_, leaf: Leaf| {
                let own = state(memory, leaf) == PageState::Own;
                let allowed = if own { flags(to) } else { flags(to) - PageTableFlags::WRITABLE };
                Ok::<_, Infallible>(Leaf { flags: (leaf.flags - PROTECTION) | allowed, ..leaf })
            };
            let from = start.max(*resume);
            // SAFETY: the frames are what they were, and only those become writable that have one
            // owner or are an object's.
            let changed = unsafe { tables.change(from, end, work, &mut protected) };
            let Ok(reached) = changed;
            reached
        });
        *resume = if reached < end { reached } else { 0 };
        reached >= end
    }
}

/// Of a process without shared memory: who has objects counts what maps them.
impl<R: Reach> PageTables for Pages<R> {
    fn unmap(&mut self, start: u64, end: u64) -> u64 {
        self.unmap(start, end, &mut Work::unbounded())
    }

    fn protect(&mut self, start: u64, end: u64, to: Permissions) -> bool {
        self.protect(start, end, to, &mut Work::unbounded())
    }

    fn release(&mut self, _: ObjectId, _: u64) {}
}
