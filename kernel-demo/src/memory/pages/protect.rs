//! Pages that may be used otherwise than before: `mprotect`.

use x86_64::structures::paging::PageTableFlags;

use super::{Budget, Leaf, Mmu, PageState, Pages, Payer, flags, state};
use crate::words::Permissions;

/// What permissions decide about an entry. The rest of its flags stays.
const PROTECTION: PageTableFlags = PageTableFlags::USER_ACCESSIBLE
    .union(PageTableFlags::WRITABLE)
    .union(PageTableFlags::NO_EXECUTE);

impl<M: Mmu> Pages<M> {
    /// Gives the pages in the range these permissions. `false` if it has to be called again, with
    /// the same arguments, to finish.
    pub fn protect(
        &mut self,
        payer: &mut Payer<'_>,
        (start, end): (u64, u64),
        to: Permissions,
        work: &mut Budget,
    ) -> bool {
        let Self { tables, resume, .. } = self;
        let protected = &mut |payer: &mut Payer<'_>, page, leaf: Leaf| {
            let own = state(payer.pool, leaf) == PageState::Own;
            let forbidden = if own { PageTableFlags::empty() } else { PageTableFlags::WRITABLE };
            let flags = (leaf.flags - PROTECTION) | (flags(page, to) - forbidden);
            Leaf { flags, ..leaf }
        };
        let range = (start.max(*resume), end);
        // SAFETY: the frames are what they were, and only those become writable that have one
        // owner or are an object's.
        let reached = unsafe { tables.visit(payer, range, work, protected) };
        *resume = if reached < end { reached } else { 0 };
        reached >= end
    }
}
