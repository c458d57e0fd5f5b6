//! The invariants of the front cache, verified one by one.
//!
//! Every block in it was taken for somebody: from a run, or as a cell. There it is in use.

use core::ptr::NonNull;

use super::Heap;
use super::check::{Corruption, Rule, verify};
use super::check_small::{addr, free_blocks, index_of, run_addr};
use crate::cell::{CELL_ALIGN, Cell, Header, MIN_CELL, WORD};
use crate::provider::{Break, Map};
use crate::small::{Cache, Front, Run, blocks_of};

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Follows every list of the cache: its blocks were taken from a run or are used cells, and
    /// suit the class; there are as many as were put in, and not too many; and none is in two
    /// lists.
    pub(super) fn check_cache(&self) -> Result<(), Corruption> {
        let mut last_ones = [None; LISTS];
        for class in Cache::<LISTS>::classes() {
            let (len, room) = (self.small.cache.len(class), self.small.cache.room(class));
            let head = self.small.cache.blocks(class).next();
            verify(addr(head), Rule::CacheRoom, len.min(room), len)?;
            let (mut seen, mut before) = (0, None);
            for block in self.small.cache.blocks(class) {
                let wrong = Corruption {
                    at: addr(before),
                    rule: Rule::CacheBlock,
                    expected: class.size(),
                    found: addr(Some(block)),
                };
                if seen == len {
                    return Err(Corruption { rule: Rule::CacheLinks, expected: 0, ..wrong });
                }
                if !self.is_payload(addr(Some(block)), class.size()) {
                    // A large block that became small where there was no memory to move it to has a
                    // mapping of its own, which the heap can only find by its
                    // address. What lies behind it in the list cannot be told from what a wild link
                    // leads to.
                    if self.counters.mapped_blocks == 0 {
                        return Err(wrong);
                    }
                    seen = len;
                    break;
                }
                // SAFETY: the block lies in the heap.
                if !unsafe { self.is_taken(block, class) } {
                    return Err(wrong);
                }
                seen += 1;
                before = Some(block);
            }
            verify(addr(head), Rule::CacheLinks, len, seen)?;
            // Two lists that have a block in common end with the same one.
            if let Some(last) = before
                && let Some(other) = last_ones.iter().position(|other| *other == Some(last))
            {
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
    unsafe fn is_taken(&self, block: NonNull<u8>, class: Front) -> bool {
        let at = block.addr().get();
        let Some(class_of_run) = self.small.pages.class_at(at) else {
            if !at.is_multiple_of(CELL_ALIGN) {
                return false;
            }
            // SAFETY: the caller's promise; where the header of a cell with this payload would be.
            let cell = Cell::at(unsafe { block.sub(WORD) });
            return self.used_cell(cell).is_some_and(|header| header.size() >= class.size() + WORD);
        };
        let run = Run::of_block(block, class_of_run);
        // A block that is aligned by luck serves a class that always is, if it was resized to it.
        let serves = class.small().is_some_and(|class| class.may_take_over(class_of_run, block));
        if !self.is_run(run, class_of_run) || !serves {
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
    /// The header of a used cell, if a place is that of one as far as the words there and behind
    /// tell.
    pub(super) fn used_cell(&self, cell: Cell) -> Option<Header> {
        let at = cell.addr().wrapping_add(WORD);
        let room = self.room_from(at);
        if room == 0 || !at.is_multiple_of(CELL_ALIGN) {
            return None;
        }
        // SAFETY: there is room for a payload behind it, so it is a word of the heap.
        let header = unsafe { cell.header() };
        if !header.is_used()
            || header.is_fence()
            || !(MIN_CELL..=room + WORD).contains(&header.size())
        {
            return None;
        }
        // SAFETY: at most as far up as the fence of the region.
        let behind = unsafe { cell.offset(header.size()) };
        // SAFETY: a word of the heap.
        unsafe { behind.header() }.is_prev_used().then_some(header)
    }
}
