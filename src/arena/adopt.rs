//! Adoption: what becomes of the arenas of slots that are retired. Whoever claims such a slot is
//! alone with its arenas until it is released.
//!
//! ```text
//!   an arena needs a segment ─► has a retired one got blocks back, or was it left untidy?
//!                                                                  ─► tidy it up: what is free there goes to the parent
//!   there is no memory       ─► all of them ─► and a block from between what is live there
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::arena::Arena;
use super::is_large;
use super::shared::HasMailbox;
use super::slot::{LEVELS, Slot, State};
use super::supply::Source;
use super::visit::Visit;
use crate::lock::RawLock;
use crate::provider::{Break, Cpu, Map};
use crate::small::Front;

impl<B: Break, C: Cpu, M: Map, L: RawLock> Visit<'_, B, C, M, L> {
    /// Tidies up all slots that are retired.
    pub(super) fn adopt_all(&self) {
        if let Some(source) = self.source() {
            source.shared.slots().for_each(|slot| adopt_slot(source, slot));
        }
    }

    /// Allocates from the arena of a slot that is retired, if there is room between what is live
    /// there. O(slots).
    pub(super) fn allocate_from_retired(&self, layout: Layout) -> Option<NonNull<u8>> {
        if is_large(layout) {
            return None;
        }
        self.shared?.slots().find_map(|slot| {
            if slot.state() != State::Retired || !slot.change(State::Retired, State::Claimed) {
                return None;
            }
            let block = (0..LEVELS).filter_map(|level| slot.arena(level)).find_map(|arena| {
                // SAFETY: the slot is claimed.
                let (inner, _) = unsafe { Arena::enter(arena) };
                // SAFETY: the caller keeps the heap, and with it the parent, which has the arena's
                // memory, as long as its blocks.
                unsafe { inner.heap.try_allocate(Front::in_full(layout)) }
            });
            slot.release(State::Retired);
            block
        })
    }
}

/// Looks at the next few slots in turn, and tidies up those that are retired and have got something
/// back since, or were left untidy. O(`most`) slots, and what was freed there.
pub(super) fn adopt<B: Break, M: Map, L: RawLock>(source: Source<'_, B, M, L>, most: usize) {
    if source.shared.retired.load(Ordering::Relaxed) > 0 {
        source.shared.next_slots(most).for_each(|slot| adopt_slot(source, slot));
    }
}

/// Tidies up a slot, if it is retired and has got something back since, or was left untidy.
pub(super) fn adopt_slot<B: Break, M: Map, L: RawLock>(
    source: Source<'_, B, M, L>,
    slot: &Slot<Arena<B, M, L>>,
) {
    let arenas = || (0..LEVELS).filter_map(|level| slot.arena(level));
    // SAFETY: an arena that is there stays.
    let has_mail = || arenas().any(|arena| !unsafe { arena.as_ref() }.mailbox().is_empty());
    let is_worth_it = slot.state() == State::Retired && (slot.is_untidy() || has_mail());
    if !is_worth_it || !slot.change(State::Retired, State::Claimed) {
        return;
    }
    slot.set_untidy(false);
    for arena in arenas() {
        // SAFETY: the slot is claimed.
        let (inner, mailbox) = unsafe { Arena::enter(arena) };
        inner.tidy_up(source, mailbox);
    }
    slot.release(State::Retired);
}
