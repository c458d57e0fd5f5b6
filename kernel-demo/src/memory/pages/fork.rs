//! A second process with the same memory: every frame is shared, and copied when one of the two
//! writes.

use x86_64::structures::paging::PageTableFlags;

use super::{Budget, Leaf, Mmu, OBJECT, OutOfFrames, Pages, Payer};

impl<M: Mmu + Clone> Pages<M> {
    /// Page tables for a child, into which [`continue_fork`](Self::continue_fork) copies. As many
    /// frames as there are tables here are set aside, so that nothing can fail from then on.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed.
    pub fn begin_fork(
        &self,
        payer: &mut Payer<'_>,
        kernel: &mut Self,
    ) -> Result<Self, OutOfFrames> {
        let mut child = Self::new(payer, kernel)?;
        let tables = self.tables.count() as usize;
        match payer.set_aside(tables) {
            Ok(()) => child.set_aside = tables,
            Err(out) => {
                child.destroy(payer);
                return Err(out);
            }
        }
        Ok(child)
    }

    /// Maps the same frames in the child, none of them writable, here neither, but for those of
    /// objects, which stay as they are. All that is mapped lies in `areas`, which are sorted and do
    /// not overlap. `false` if it has to be called again, with the same arguments, to finish.
    ///
    /// Linear in the pages mapped, and in the size of the areas where a level-1 table covers it.
    pub fn continue_fork(
        &mut self,
        payer: &mut Payer<'_>,
        child: &mut Self,
        areas: impl IntoIterator<Item = (u64, u64)>,
    ) -> bool {
        let Self { tables, resume, .. } = self;
        let mut work = Budget::slice();
        let mut latest = None;
        let share = &mut |payer: &mut Payer<'_>, page: u64, mut leaf: Leaf| {
            if !leaf.flags.contains(OBJECT) {
                leaf.flags -= PageTableFlags::WRITABLE;
            }
            if !payer.pool.is_zero_page(leaf.frame) {
                payer.share(leaf.frame);
                child.grow();
            }
            // Pages of one level-1 table need one walk.
            let table = page >> 21;
            let mut walk = match latest {
                Some((of, walk)) if of == table => walk,
                _ => child.tables.walk(page),
            };
            child.set_aside -= walk.missing();
            // SAFETY: the entry has its share, and is not writable, or an object's.
            unsafe { child.tables.enter(payer, &mut walk, page, leaf) };
            latest = Some((table, walk));
            leaf
        };
        for (start, end) in areas {
            if end > *resume {
                // SAFETY: the frames stay, and none becomes writable.
                *resume =
                    unsafe { tables.visit(payer, (start.max(*resume), end), &mut work, share) };
                if *resume < end {
                    return false;
                }
            }
        }
        *resume = 0;
        payer.put_back(core::mem::take(&mut child.set_aside));
        true
    }
}
