//! The invariants of kept cells, verified one by one: each list, and what is counted of them.

use super::cache::used_cell;
use super::corruption::{Corruption, Rule, verify};
use crate::bins::{Classes, Fine};
use crate::cell::Cell;
use crate::chunks::{Chunks, Tuning};
use crate::provider::Source;
use crate::small::SmallBlocks;

impl<P: Tuning, const LISTS: usize> SmallBlocks<P, LISTS> {
    /// Follows every list of kept cells: they are used cells of the list's class, there are as many
    /// as were put in, and as long as is counted. `at` is the heap's first cell.
    pub(super) fn check_kept<B: Source>(
        &self,
        chunks: &Chunks<B, P>,
        at: usize,
    ) -> Result<(), Corruption> {
        let mut bytes = 0;
        for (index, head) in self.kept.heads.into_iter().enumerate() {
            let (class, len) =
                (Fine::EXACT + index, usize::from(self.kept.len.get(index).copied().unwrap_or(0)));
            let (mut next, mut before, mut seen) = (head, None, 0);
            while let Some(cell) = next {
                let wrong = Corruption {
                    at: addr(before),
                    rule: Rule::KeptCell,
                    expected: class,
                    found: cell.addr(),
                };
                if seen == len {
                    return Err(Corruption { rule: Rule::KeptLinks, expected: 0, ..wrong });
                }
                let header = used_cell(chunks, cell)
                    .filter(|header| Fine::class_of(header.size()) == class)
                    .ok_or(wrong)?;
                bytes += header.size();
                seen += 1;
                // SAFETY: a used cell, whose payload holds a word; any bits are an `Option<Cell>`.
                (before, next) = (Some(cell), unsafe { cell.link().read() });
            }
            verify(addr(head), Rule::KeptLinks, len, seen)?;
        }
        verify(at, Rule::KeptBytes, self.kept.bytes, bytes)
    }
}

fn addr<F>(cell: Option<Cell<F>>) -> usize {
    cell.map_or(0, Cell::addr)
}

#[cfg(test)]
mod tests {
    use core::alloc::Layout;
    use std::boxed::Box;
    use std::vec;

    use super::*;
    use crate::cell::WORD;
    use crate::heap::Heap;
    use crate::provider::FixedBreak;

    /// A heap that keeps three cells of one class, and the number of their list.
    fn heap() -> (Heap<FixedBreak>, usize) {
        let memory: Box<[u8; 1 << 20]> =
            vec![0; 1 << 20].into_boxed_slice().try_into().expect("as long as that");
        let mut heap = Heap::new(FixedBreak::from_array(Box::leak(memory)));
        heap.reserve(1 << 19).unwrap();
        let layout = Layout::from_size_align(2000, 8).unwrap();
        // SAFETY: the heap's memory is leaked, and outlives the blocks.
        let blocks = [(); 3].map(|()| unsafe { heap.allocate(layout) }.unwrap());
        // SAFETY: live until now.
        blocks.into_iter().for_each(|block| unsafe { heap.deallocate(block, layout) });
        heap.check().unwrap();
        let list =
            heap.layer().kept.len.iter().position(|&len| len == 3).expect("all three are kept");
        (heap, list)
    }

    #[track_caller]
    fn assert_reported(
        heap: &Heap<FixedBreak>,
        at: usize,
        rule: Rule,
        expected: usize,
        found: usize,
    ) {
        assert_eq!(heap.check(), Err(Corruption { at, rule, expected, found }));
    }

    fn link<F>(cell: Cell<F>) -> *mut usize {
        cell.link().cast().as_ptr()
    }

    #[test]
    fn a_wrong_count_of_kept_cells_is_found() {
        let (mut heap, list) = heap();
        let lowest = heap.chunks().space().lowest().unwrap().addr();
        let first = heap.layer().kept.heads[list].unwrap();
        let last = heap.layer().kept.cells().last().unwrap();
        let bytes = heap.layer().kept.bytes;
        heap.layer().kept.bytes += 16;
        assert_reported(&heap, lowest, Rule::KeptBytes, bytes + 16, bytes);
        heap.layer().kept.bytes = bytes;
        heap.layer().kept.len[list] = 4;
        assert_reported(&heap, first.addr(), Rule::KeptLinks, 4, 3);
        heap.layer().kept.len[list] = 2;
        let second = heap.layer().kept.cells().nth(1).unwrap();
        assert_reported(&heap, second.addr(), Rule::KeptLinks, 0, last.addr());
        heap.layer().kept.len[list] = 3;
        // SAFETY: a word of a kept cell. A ring is no list.
        unsafe { link(last).write(first.addr()) };
        assert_reported(&heap, last.addr(), Rule::KeptLinks, 0, first.addr());
    }

    #[test]
    fn a_kept_cell_that_is_none_is_found() {
        let (mut heap, list) = heap();
        let class = Fine::EXACT + list;
        let first = heap.layer().kept.heads[list].unwrap();
        let second = heap.layer().kept.cells().nth(1).unwrap();
        let top = heap.chunks().top().unwrap().addr();
        for wild in [0xBAD8, usize::MAX - 7, second.addr() + 1, second.addr() + 8 * WORD, top] {
            // SAFETY: a word of a kept cell.
            unsafe { link(first).write(wild) };
            assert_reported(&heap, first.addr(), Rule::KeptCell, class, wild);
        }
        // SAFETY: as above.
        unsafe { link(first).write(second.addr()) };
        heap.check().unwrap();
        // A list of another class.
        heap.layer().kept.heads.swap(list, list + 1);
        heap.layer().kept.len.swap(list, list + 1);
        assert_reported(&heap, 0, Rule::KeptCell, class + 1, first.addr());
    }
}
