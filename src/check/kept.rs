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

