//! The invariants of the front cache, verified one by one.
//!
//! Every block in it was taken for somebody: from a run, or as a cell. There it is in use.

use core::ptr::NonNull;

use super::corruption::{Corruption, Rule, verify};
use super::small::{addr, free_blocks, index_of, is_payload, room_from, run_addr};
use crate::cell::{CELL_ALIGN, Cell, Header, MIN_CELL, WORD};
use crate::chunks::{Chunks, Tuning};
use crate::provider::Source;
use crate::small::{FRONTS, Front, Run, SmallBlocks, blocks_of};

impl<P: Tuning> SmallBlocks<P> {
    /// Follows every list of the cache: its blocks were taken from a run or are used cells, and
    /// suit the class; there are as many as were put in, and not too many; and none is in two
    /// lists.
    pub(super) fn check_cache<B: Source>(&self, chunks: &Chunks<B, P>) -> Result<(), Corruption> {
        let mut last_ones = [None; FRONTS];
        for class in Front::all() {
            let (len, room) = (self.cache.len(class), self.cache.room(class));
            let head = self.cache.blocks(class).next();
            verify(addr(head), Rule::CacheRoom, len.min(room), len)?;
            let (mut seen, mut before) = (0, None);
            for block in self.cache.blocks(class) {
                let wrong = Corruption {
                    at: addr(before),
                    rule: Rule::CacheBlock,
                    expected: class.size(),
                    found: addr(Some(block)),
                };
                if seen == len {
                    return Err(Corruption { rule: Rule::CacheLinks, expected: 0, ..wrong });
                }
                let is_inside = is_payload(chunks, addr(Some(block)), class.size());
                // SAFETY: the block lies in the heap.
                if !is_inside || !unsafe { self.is_taken(chunks, block, class) } {
                    return Err(wrong);
                }
                seen += 1;
                before = Some(block);
            }
            verify(addr(head), Rule::CacheLinks, len, seen)?;
            // Two lists that have a block in common end with the same one.
            let is_last = |other: &Option<NonNull<u8>>| before.is_some() && *other == before;
            if let Some(other) = last_ones.iter().position(is_last) {
                return Err(Corruption {
                    at: addr(before),
                    rule: Rule::CacheTwice,
                    expected: class.index(),
                    found: other,
                });
            }
            last_ones[class.index()] = before;
        }
        Ok(())
    }

    /// Whether a block was taken for a class or a larger one: from a run, or as a cell.
    ///
    /// # Safety
    ///
    /// It and the word before it lie in the heap.
    unsafe fn is_taken<B: Source>(
        &self,
        chunks: &Chunks<B, P>,
        block: NonNull<u8>,
        class: Front,
    ) -> bool {
        let at = block.addr().get();
        let Some(class_of_run) = self.pages.class_at(at) else {
            if at % CELL_ALIGN != 0 {
                return false;
            }
            // SAFETY: the caller's promise; where the header of a cell with this payload would be.
            let cell = Cell::<P>::at(unsafe { block.sub(WORD) });
            return used_cell(chunks, cell)
                .is_some_and(|header| header.size() >= class.size() + WORD);
        };
        let run = Run::of_block(block, class_of_run);
        // A block that is aligned by luck serves a class that always is, if it was resized to it.
        let serves = class.small().is_some_and(|class| class.may_take_over(class_of_run, block));
        if !self.is_run(chunks, run, class_of_run) || !serves {
            return false;
        }
        // SAFETY: its pages lie in the heap.
        let (_, fresh) = unsafe { run.free_and_fresh(class_of_run) };
        let offset = at - run_addr(Some(run));
        let was_taken = index_of(class_of_run, offset).is_some() && offset < fresh;
        // SAFETY: as above.
        was_taken
            && !unsafe { free_blocks(run, class_of_run) }
                .take(blocks_of(class_of_run))
                .any(|free| free == offset)
    }
}

/// Returns the header of a used cell, if a place is that of one as far as the words there and behind
/// tell.
pub(super) fn used_cell<B: Source, P: Tuning>(
    chunks: &Chunks<B, P>,
    cell: Cell<P>,
) -> Option<Header> {
    let at = cell.addr().wrapping_add(WORD);
    let room = room_from(chunks, at);
    if room == 0 || at % CELL_ALIGN != 0 {
        return None;
    }
    // SAFETY: there is room for a payload behind it, so it is a word of the heap.
    let header = unsafe { cell.header() };
    let is_size = (MIN_CELL..=room + WORD).contains(&header.size());
    if !header.is_used() || header.is_fencepost() || !is_size {
        return None;
    }
    // SAFETY: at most as far up as the fencepost of the region.
    let behind = unsafe { cell.offset(header.size()) };
    // SAFETY: a word of the heap.
    unsafe { behind.header() }.is_prev_used().then_some(header)
}
