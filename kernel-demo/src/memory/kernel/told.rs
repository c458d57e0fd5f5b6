//! What a story tells of the kernel's own memory.

use super::Memory;
use crate::memory::tables::Mmu;
use crate::memory::tell_areas;
use crate::story::{self, Kind};
use crate::words::layout::{BREAKS, PAGE_SIZE, STACKS};

impl<M: Mmu + Clone> Memory<M> {
    /// Tells what the machine is, and all there is of the kernel's breaks. `what` is what is run.
    pub fn tell_begin(&mut self, what: &str) {
        let counts = self.counts();
        let root = self.pages.root().start_address().as_u64();
        let zero_page = self.pool.zero_page().start_address().as_u64();
        let numbers =
            [story::VERSION, root, counts.total as u64, counts.free as u64, zero_page, PAGE_SIZE];
        story::record(Kind::Begin, &numbers, what);
        self.tell_kernel();
    }

    /// Tells all there is of the kernel's breaks.
    pub fn tell_kernel(&mut self) {
        let root = self.pages.root().start_address().as_u64();
        tell_areas(&self.space, root, 0);
        let (mut payer, pages) = self.payer();
        pages.tell(&mut payer, BREAKS, STACKS);
    }
}
