//! The `checked` profile: what a caller does wrong is found, and reported before it does harm.
//!
//! ```text
//!   allocate ─► a longer block is taken ─► its record is written behind the caller's bytes          record.rs
//!   deallocate, reallocate, usable_size       callers who do not know the layout: the record tells it
//!        └─► is there a block? ─► its record ─► header and neighbours ─► the heap, as without the profile
//!            place.rs             record.rs     neighbours.rs, links.rs          what others free: sent.rs
//!                 └──────────────────┴──────────────┴──► Misuse ─► the hook decides                 misuse.rs
//! ```
//!
//! Rules of this folder: nothing is read before it is known to be the heap's, no link is followed
//! before it is known to be right. What looks at more than a few cells does so only after a misuse
//! was found. The rest of the heap enters here by one line an operation, [`guarded!`], which is
//! nothing without the feature.

mod links;
mod mapped;
mod misuse;
mod neighbours;
mod place;
mod record;
mod sent;

use core::alloc::Layout;
use core::ptr::NonNull;

use super::growth::Growth;
use super::{Corruption, Heap, Rule};
use crate::cell::{Cell, Header, WORD, copy_down};
use crate::provider::{Break, Map};

pub use misuse::{Decision, Misuse, MisuseHook, MisuseKind};
pub(crate) use record::guarded as guarded_layout;
pub(crate) use record::size_on_record;
pub(crate) use sent::{examine_foreign, relabel, send};

use place::Place;
use record::Guarded;

/// What the profile keeps beside the heap.
#[derive(Debug)]
pub(super) struct Guard {
    /// An operation has passed the checks and is on its way: what it calls is not checked again.
    pub(super) entered: bool,
    hook: MisuseHook,
    mapped: mapped::Mapped,
}

impl Guard {
    pub(super) const fn new() -> Self {
        Self { entered: false, hook: |_| Decision::Panic, mapped: mapped::Mapped::new() }
    }
}

impl<B, M, const LISTS: usize> Heap<B, M, LISTS> {
    /// Sets who is told of a misuse and decides what becomes of it. Unless it is set, every misuse
    /// is a panic.
    pub const fn set_misuse_hook(&mut self, hook: MisuseHook) {
        self.guard.hook = hook;
    }

    /// Who is told.
    pub(crate) const fn misuse_hook(&self) -> MisuseHook {
        self.guard.hook
    }
}

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Asks the hook. Returns if the misuse is to be ignored.
    pub(crate) fn report(&mut self, misuse: Misuse) {
        // If the hook or the panic unwinds, the heap is checked as before.
        let entered = core::mem::take(&mut self.guard.entered);
        assert!((self.guard.hook)(&misuse) == Decision::Ignore, "{misuse}");
        self.guard.entered = entered;
    }

    /// Runs an operation that has passed the checks.
    fn enter<R>(&mut self, operation: impl FnOnce(&mut Self) -> R) -> R {
        self.guard.entered = true;
        let answer = operation(self);
        self.guard.entered = false;
        answer
    }

    /// [`Heap::allocate`] and [`Heap::try_allocate`].
    ///
    /// # Safety
    ///
    /// As for those.
    pub(super) unsafe fn guarded_allocate(
        &mut self,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        let longer = record::guarded(layout)?;
        let block = self.enter(|heap| match growth {
            // SAFETY: the caller's promise.
            Growth::Allowed => unsafe { heap.allocate(longer) },
            // SAFETY: the caller's promise.
            Growth::Forbidden => unsafe { heap.try_allocate(longer) },
        });
        // SAFETY: it was taken for this.
        unsafe { self.begin_block(block, layout) }
    }

    /// [`Heap::allocate_zeroed`].
    ///
    /// # Safety
    ///
    /// As for that.
    pub(super) unsafe fn guarded_allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let longer = record::guarded(layout)?;
        // SAFETY: the caller's promise.
        let block = self.enter(|heap| unsafe { heap.allocate_zeroed(longer) });
        // SAFETY: it was taken for this.
        unsafe { self.begin_block(block, layout) }
    }

    /// Writes the record of a block, if one was taken. `None` if its header was overwritten while
    /// it was free: then nobody gets it.
    ///
    /// # Safety
    ///
    /// The block was taken for this layout and its record, and nobody uses it.
    unsafe fn begin_block(
        &mut self,
        taken: Option<NonNull<u8>>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        let place = taken.map(|block| (block, self.locate(block)));
        if let Some((_, Ok((guarded, _)))) = place {
            // SAFETY: the caller's promise.
            unsafe { guarded.begin(layout) };
        }
        self.report_broken_link();
        match place? {
            (block, Ok(_)) => Some(block),
            (block, Err(reason)) => {
                let misuse = self.diagnose(block, Some(layout), reason);
                self.report(misuse);
                None
            }
        }
    }

    /// [`Heap::deallocate`].
    ///
    /// # Safety
    ///
    /// Nobody uses the block any more, if it is one.
    pub(super) unsafe fn guarded_deallocate(&mut self, payload: NonNull<u8>, layout: Layout) {
        let Some((guarded, longer)) = self.admit(payload, layout) else { return };
        // SAFETY: the block passed the checks: it is live, and has this layout.
        unsafe { guarded.set(layout, false) };
        // SAFETY: as above, so the heap took it for the longer layout.
        self.enter(|heap| unsafe { heap.deallocate(payload, longer) });
        self.report_broken_link();
    }

    /// [`Heap::reallocate`].
    ///
    /// # Safety
    ///
    /// As for that, if it is a block.
    pub(super) unsafe fn guarded_reallocate(
        &mut self,
        payload: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        let new = Layout::from_size_align(new_size, layout.align()).ok()?;
        let new_longer = record::guarded(new)?;
        let (guarded, longer) = self.admit(payload, layout)?;
        // If the block moves, it is freed where it was.
        // SAFETY: the block passed the checks: it is live, and has this layout.
        unsafe { guarded.set(layout, false) };
        // SAFETY: as above, so the heap took it for the longer layout.
        let moved =
            self.enter(|heap| unsafe { heap.reallocate(payload, longer, new_longer.size()) });
        if moved.is_none() && self.stopped.is_none() {
            // SAFETY: the block is as it was.
            unsafe { guarded.set(layout, true) };
        }
        // SAFETY: it has the new length now.
        unsafe { self.begin_block(moved, new) }
    }

    /// [`Heap::reallocate_unsized`]. A block whose alignment changes moves: what it was given was
    /// measured by the old one.
    ///
    /// # Safety
    ///
    /// As for that, if it is a block.
    pub(super) unsafe fn guarded_reallocate_unsized(
        &mut self,
        payload: NonNull<u8>,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let old = self.layout_on_record(payload);
        if old.align() == new.align() {
            // SAFETY: the caller's promise; what the layout is worth is looked at there.
            return unsafe { self.guarded_reallocate(payload, old, new.size()) };
        }
        self.admit(payload, old)?;
        // SAFETY: the caller's promise.
        let moved = unsafe { self.guarded_allocate(new, Growth::Allowed) }?;
        // SAFETY: two blocks, which do not overlap, and hold that much in whole words.
        unsafe { copy_down(payload, moved, old.size().min(new.size())) };
        // SAFETY: the caller gave the old block up; its contents are in the new one.
        unsafe { self.guarded_deallocate(payload, old) };
        Some(moved)
    }

    /// The layout with which a block was asked for, whether it is live or not; any layout if there
    /// is no such block.
    pub(super) fn layout_on_record(&self, payload: NonNull<u8>) -> Layout {
        let place = if self.stopped.is_some() { None } else { self.locate(payload).ok() };
        let record = place.and_then(|(guarded, _)| guarded.record().decode(guarded.addr()));
        record.map_or(Layout::new::<u8>(), |(layout, _)| layout)
    }

    /// [`Heap::usable_size`]: what was asked for, for behind that comes the record. 0 if there is no such block.
    pub(super) fn guarded_usable_size(&self, block: NonNull<u8>) -> usize {
        let Ok((guarded, _)) = self.locate(block) else { return 0 };
        // A heap that has stopped may have begun to free a block that it could not resize, and
        // touches nothing to take that back.
        let is_live = |live| live || self.stopped.is_some();
        guarded
            .record()
            .decode(guarded.addr())
            .map_or(0, |(layout, live)| if is_live(live) { layout.size() } else { 0 })
    }

    /// Whether there is a live block of this layout, or of the one on its record, and nothing is
    /// wrong with it.
    pub(crate) fn has_block(&self, payload: NonNull<u8>, layout: Option<Layout>) -> bool {
        let layout = layout.unwrap_or_else(|| self.layout_on_record(payload));
        self.stopped.is_some() || self.examine(payload, layout).is_ok()
    }

    /// A block that is to be freed or resized, and its layout with the record, if there is nothing
    /// wrong with it.
    fn admit(&mut self, payload: NonNull<u8>, layout: Layout) -> Option<(Guarded, Layout)> {
        if self.stopped.is_some() {
            return None;
        }
        match self.examine(payload, layout) {
            Ok((guarded, Place::Cell)) if !self.is_sound(Cell::at_payload(guarded.block)) => None,
            Ok((guarded, _)) => Some((guarded, record::guarded(layout)?)),
            Err(misuse) => {
                self.report(misuse);
                if misuse.kind == MisuseKind::Overflow
                    && let Ok((guarded, _)) = self.locate(payload)
                {
                    // SAFETY: the caller gave the block up, and nobody else gets it: it is
                    // reported, and counts as freed.
                    unsafe { guarded.set(layout, false) };
                }
                None
            }
        }
    }

    /// [`Heap::check`] of the blocks that are cells, once all headers are known to be right.
    pub(super) fn check_records(&self) -> Result<(), Corruption> {
        let mut used =
            self.sound_cells().filter(|(_, header)| header.is_used() && !header.is_fence());
        used.try_for_each(|(cell, header)| self.check_record(cell, header))
    }

    /// The record of a used cell, and what is in front of that, are right.
    fn check_record(&self, cell: Cell, header: Header) -> Result<(), Corruption> {
        let (block, rule) = (cell.payload(), Rule::Record);
        if self.small.pages.class_at(block.addr().get()).is_some()
            || self.small.pages.is_leaf(block)
        {
            return Ok(());
        }
        let (capacity, least) = (header.size() - WORD, record::LEAST_CAPACITY);
        if capacity < least {
            return Err(Corruption { at: cell.addr(), rule, expected: least, found: capacity });
        }
        // SAFETY: the heap took the cell for a block and its record, and it is long enough for
        // both.
        let guarded = unsafe { Guarded::new(block, capacity) };
        let record = guarded.record();
        match record.decode(guarded.addr()) {
            Some((layout, true)) => match guarded.first_overflow(layout.size()) {
                Some((at, found)) => {
                    Err(Corruption { at, rule, expected: Guarded::GAP, found: usize::from(found) })
                }
                None => Ok(()),
            },
            Some((_, false)) => Ok(()),
            None => {
                let expected = record.check_of(guarded.addr());
                Err(Corruption { at: guarded.check_addr(), rule, expected, found: record.check })
            }
        }
    }

    /// Reports a link of the front cache that was found overwritten, if one was.
    pub(super) fn report_broken_link(&mut self) {
        for broken in
            [self.small.cache.take_broken(), self.kept.take_broken()].into_iter().flatten()
        {
            self.report(broken.into());
        }
    }
}

/// The first line of an operation: with the profile on it goes the guarded way, which comes back
/// here once the checks are passed.
macro_rules! guarded {
    ($heap:ident.$way:ident($($argument:expr),*)) => {
        if !$heap.guard.entered {
            // SAFETY: the caller's promise, which is the same there.
            return unsafe { $heap.$way($($argument),*) };
        }
    };
}
pub(super) use guarded;
