//! Splitting and merging blocks, and the lists of free ones.

use super::{Frame, Frames, MAX_ORDER, NONE, State};

impl Frames<'_> {
    /// Cuts a block of the order out of the smallest free block that holds one.
    pub(super) fn take_block(&mut self, order: u8) -> Option<u32> {
        let fitting = self.nonempty.checked_shr(order.into())?;
        if fitting == 0 {
            return None;
        }
        let mut have = order + fitting.trailing_zeros() as u8;
        let block = self.heads[have as usize];
        self.unlink(block, have);
        while have > order {
            have -= 1;
            self.link(block + (1 << have), have);
        }
        self.table[block as usize] = Frame { state: State::Used(order), next: 1, prev: NONE };
        self.counts.free -= 1 << order;
        Some(block)
    }

    /// Makes a block free, merged with its buddies as far as they are free.
    pub(super) fn put_block(&mut self, mut block: u32, mut order: u8) {
        self.counts.free += 1 << order;
        while order < MAX_ORDER {
            let buddy = block ^ (1 << order);
            if self.table.get(buddy as usize).map(|frame| frame.state) != Some(State::Free(order)) {
                break;
            }
            self.unlink(buddy, order);
            self.table[block as usize].state = State::Inside;
            block = block.min(buddy);
            order += 1;
        }
        self.link(block, order);
    }

    #[cfg(not(test))]
    const fn count_step(&self) {}

    #[cfg(test)]
    const fn count_step(&mut self) {
        self.list_steps += 1;
    }

    /// Marks a block free and puts it at the front of its list.
    fn link(&mut self, block: u32, order: u8) {
        self.count_step();
        let next = self.heads[order as usize];
        self.table[block as usize] = Frame { state: State::Free(order), next, prev: NONE };
        if let Some(next) = self.table.get_mut(next as usize) {
            next.prev = block;
        }
        self.heads[order as usize] = block;
        self.nonempty |= 1 << order;
    }

    /// Takes a free block off its list, leaving its first frame `Inside`.
    fn unlink(&mut self, block: u32, order: u8) {
        self.count_step();
        let Frame { next, prev, .. } = self.table[block as usize];
        self.table[block as usize].state = State::Inside;
        if let Some(next) = self.table.get_mut(next as usize) {
            next.prev = prev;
        }
        match self.table.get_mut(prev as usize) {
            Some(prev) => prev.next = next,
            None => self.heads[order as usize] = next,
        }
        if self.heads[order as usize] == NONE {
            self.nonempty &= !(1 << order);
        }
    }
}
