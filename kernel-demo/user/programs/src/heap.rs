//! The cells of another process's heap, as its memory tells, by the layout that it has registered.
//!
//! Nothing that the memory holds is believed: each step goes up, ends at the end of the heap, and
//! is counted.

use alloc::vec::Vec;

use runtime::HeapLayout;
use runtime::system::Errno;
use runtime::system::view;

/// Maximum number of cells of a walk, and of a free list.
const MOST: usize = 20_000;

/// Use of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A caller's block, or a slab of small ones.
    Used,
    /// Free.
    Free,
    /// Memory that belongs to somebody else.
    Hole,
}

/// A cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Address of its header.
    pub start: usize,
    /// Bytes to the next one.
    pub size: usize,
    /// Current use.
    pub used: Use,
}

/// Why a walk has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the end of the heap.
    Whole,
    /// Nothing was written here yet, so that there is no page.
    Untouched(usize),
    /// What is here is no cell: the size.
    Broken(usize, usize),
    /// There are more cells than are counted.
    TooMany,
}

/// A heap, as it was when it was read.
#[derive(Debug)]
pub struct Heap {
    /// Address of the first cell.
    pub start: usize,
    /// Address behind the last one.
    pub end: usize,
    /// The cells, lowest first.
    pub cells: Vec<Cell>,
    /// Why there are no more.
    pub ended: End,
}

impl Heap {
    /// Reads the heap of a process, whose break begins and ends where `brk` says, if it has one.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the process has not registered a layout, or has no heap yet.
    pub fn read(process: usize, brk: Option<(usize, usize)>) -> Result<Self, Errno> {
        let layout = HeapLayout::of(process)?;
        let word = |address| word(process, address);
        let (low, high) = match (brk, layout.start) {
            (Some(brk), _) => brk,
            (None, 0) => return Err(Errno::ENOENT),
            (None, start) => (start, start),
        };
        let base = if layout.start == 0 { low } else { layout.start };
        let start = base.wrapping_add(layout.skip);
        let end = if layout.end_at == 0 { Some(high) } else { word(layout.end_at) };
        let end = end.ok_or(Errno::ENOENT)?;
        let free = free_list(process, &layout);
        let mut heap = Self { start, end, cells: Vec::new(), ended: End::Whole };
        let mut at = start;
        while at < end {
            let Some(header) = word(at.wrapping_add(layout.size_at)) else {
                heap.ended = End::Untouched(at);
                break;
            };
            let is_border = header & layout.border_bits != 0;
            let size = (header & layout.size_bits)
                .wrapping_mul(layout.size_unit.max(1))
                .wrapping_add(layout.size_more);
            if is_border && size == 0 {
                break;
            }
            if size == 0 || size > end - at {
                heap.ended = End::Broken(at, size);
                break;
            }
            let flags =
                if layout.used_bits == 0 { None } else { word(at.wrapping_add(layout.used_at)) };
            let used = match flags {
                _ if is_border => Use::Hole,
                Some(flags) if flags & layout.used_bits == layout.used_value => Use::Used,
                None if layout.used_bits == 0 && free.binary_search(&at).is_err() => Use::Used,
                _ => Use::Free,
            };
            if heap.cells.len() == MOST {
                heap.ended = End::TooMany;
                break;
            }
            heap.cells.push(Cell { start: at, size, used });
            at += size;
        }
        Ok(heap)
    }

    /// Characters for a map of the heap: each stands for as many bytes as are returned with it.
    #[must_use]
    pub fn map(&self, most: usize) -> (usize, Vec<u8>) {
        /// Bytes of a character at least: the smallest cell has one of its own.
        const LEAST: usize = 32;
        let span = self.end.saturating_sub(self.start);
        let unit = span.div_ceil(most.max(1)).next_multiple_of(LEAST).max(LEAST);
        let mut map = alloc::vec![b' '; span.div_ceil(unit)];
        for cell in &self.cells {
            let character = match cell.used {
                Use::Used => b'#',
                Use::Free => b'.',
                Use::Hole => b'x',
            };
            let places = (cell.start - self.start) / unit
                ..(cell.start + cell.size - 1 - self.start) / unit + 1;
            // Where one character stands for several cells, a used one counts.
            for place in &mut map[places] {
                if *place != b'#' {
                    *place = character;
                }
            }
        }
        (unit, map)
    }

    /// Number and bytes of the cells of this use.
    #[must_use]
    pub fn sum(&self, used: Use) -> (usize, usize) {
        let cells = self.cells.iter().filter(|cell| cell.used == used);
        cells.fold((0, 0), |(count, bytes), cell| (count + 1, bytes + cell.size))
    }
}

/// The addresses of the cells on the free list, in order.
fn free_list(process: usize, layout: &HeapLayout) -> Vec<usize> {
    let mut free = Vec::new();
    let mut at = if layout.free_at == 0 { 0 } else { word(process, layout.free_at).unwrap_or(0) };
    while at != 0 && free.len() < MOST {
        free.push(at);
        at = word(process, at.wrapping_add(layout.next_at)).unwrap_or(0);
    }
    free.sort_unstable();
    free
}

/// A word of a process's memory, if it is there.
fn word(process: usize, address: usize) -> Option<usize> {
    let mut bytes = [0; 8];
    let read = view::read_memory(process, address, &mut bytes).ok()?;
    (read == bytes.len()).then(|| usize::from_le_bytes(bytes))
}
