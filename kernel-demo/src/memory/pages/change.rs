//! What the address space does to ranges of pages: take them away, protect them, move them.

use core::convert::Infallible;

use x86_64::structures::paging::PageTableFlags;

use super::{Pages, enter, flags, state};
use crate::address_space::{PageState, PageTables};
use crate::memory::frames::OutOfFrames;
use crate::memory::layout::PAGE_SIZE;
use crate::memory::manager::Reach;
use crate::memory::permissions::Permissions;
use crate::memory::tables::{Leaf, Unmapped};
use crate::memory::trace::{Event, Purpose};

/// What permissions decide about an entry. The rest of its flags stays.
const PROTECTION: PageTableFlags = PageTableFlags::USER_ACCESSIBLE
    .union(PageTableFlags::WRITABLE)
    .union(PageTableFlags::NO_EXECUTE);

/// Each is linear in the pages mapped in the range and the tables that cover it, not in the size of
/// the range.
impl<R: Reach> PageTables for Pages<R> {
    fn unmap(&mut self, start: u64, end: u64) {
        let Self { tables, reach, tally } = self;
        reach.with(|memory| {
            let (zero_page, pool) = (memory.zero_page(), &mut memory.pool);
            tables.unmap(start, end, &mut |gone| match gone {
                Unmapped::Page { page, frame } => {
                    pool.trace.record(Event::Unmap { page, frame: frame.start_address().as_u64() });
                    if frame != zero_page {
                        pool.release(frame, Purpose::Page);
                        tally.resident -= 1;
                    }
                }
                Unmapped::Table(frame) => {
                    pool.give(frame, Purpose::Table);
                    tally.tables -= 1;
                }
            });
        });
    }

    fn protect(&mut self, start: u64, end: u64, to: Permissions) {
        let Self { tables, reach, .. } = self;
        reach.with(|memory| {
            let mut protected = |_, leaf: Leaf| {
                let own = state(memory, leaf) == PageState::Own;
                let allowed = if own { flags(to) } else { flags(to) - PageTableFlags::WRITABLE };
                Ok::<_, Infallible>(Leaf { flags: (leaf.flags - PROTECTION) | allowed, ..leaf })
            };
            // SAFETY: the frames are what they were, and only those become writable that have one
            // owner or are an object's.
            let Ok(()) = unsafe { tables.change(start, end, &mut protected) };
        });
    }

    fn shift(&mut self, from: u64, to: u64, len: u64) -> Result<(), OutOfFrames> {
        let Self { tables, reach, tally } = self;
        reach.with(|memory| {
            let pool = &mut memory.pool;
            let (mut page, mut moved) = (from, Ok(()));
            // All is entered at its new place, and then taken out at the old one; or at the new
            // one, if frames run out.
            while let Some((next, leaf)) = tables.first(page, from + len) {
                // SAFETY: the share of the old entry is the new one's; one of the two is taken out
                // before ring 3 runs again.
                match unsafe { enter(pool, &mut tables.way(next - from + to), leaf) } {
                    Ok(added) => tally.tables += added,
                    Err(out) => {
                        moved = Err(out);
                        break;
                    }
                }
                page = next + PAGE_SIZE;
            }
            let left = if moved.is_ok() { from } else { to };
            tables.unmap(left, left + len, &mut |gone| match gone {
                Unmapped::Page { page, frame } => {
                    pool.trace.record(Event::Unmap { page, frame: frame.start_address().as_u64() });
                }
                Unmapped::Table(frame) => {
                    pool.give(frame, Purpose::Table);
                    tally.tables -= 1;
                }
            });
            moved
        })
    }
}
