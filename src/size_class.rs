//! Size classes of blocks without headers. Arithmetic only.
//!
//! ```text
//!   block size   8 16 24 … 256 │ 272 … 512 │ 544 … 1024 │ 1152 … 2048 │ … 4096 │ … │ … 32768
//!   class        0  1  2 …  31 │  32 …  47 │  48 …   63 │   64 …   71 │ …   79 │ … │ …   103
//!                └───────────────── small ──────────────┘└────────────── medium ───────────────┘
//! ```
//!
//! A heap over a break has slabs of the classes up to 4 KiB, an arena of all.
//!
//! These are the documents' buckets (C9), but finer: above 128 bytes a small block wastes at most a
//! sixteenth, and a medium one at most an eighth.

use core::alloc::Layout;

use crate::cell::{CELL_ALIGN, WORD};

/// Size of the largest small block, in bytes.
pub(crate) const SMALL_MAX: usize = 1024;

/// Size of the largest block of a class of [`CLASSES`], in bytes.
pub(crate) const SLAB_MAX: usize = 4096;

/// Maximum alignment, in bytes, of a block whose size is smaller than its alignment: it takes a
/// block as long as its alignment.
const MOST_ALIGN: usize = 128;

/// Maximum alignment that all blocks of a class have, in bytes: without a header, blocks that are
/// as long as their alignment lie side by side.
pub(crate) const MOST_ALIGNED: usize = 32 << 10;

/// Number of classes of a heap over a break.
pub(crate) const CLASSES: usize = 80;

/// Number of classes of an arena.
pub(crate) const ARENA_CLASSES: usize = 104;

/// Number of classes of each doubling of a medium block's size.
const PER_DOUBLING: usize = 8;

/// Size of the smallest block, and step of the finest classes, in bytes.
const FINE: usize = 8;

/// Classes of a range of sizes: every `step` bytes from above the range before up to `last`.
struct Range {
    last: usize,
    step: usize,
}

const RANGES: [Range; 8] = [
    Range { last: 256, step: FINE },
    Range { last: 512, step: 2 * FINE },
    Range { last: SMALL_MAX, step: 4 * FINE },
    Range { last: 2 * SMALL_MAX, step: 16 * FINE },
    Range { last: SLAB_MAX, step: 32 * FINE },
    Range { last: 2 * SLAB_MAX, step: 64 * FINE },
    Range { last: 4 * SLAB_MAX, step: 128 * FINE },
    Range { last: 8 * SLAB_MAX, step: 256 * FINE },
];

/// Block size of each class, in bytes.
pub(crate) const SIZES: [u16; ARENA_CLASSES] = {
    let (mut sizes, mut class, mut size, mut range) = ([0; ARENA_CLASSES], 0, 0, 0);
    while class < ARENA_CLASSES {
        size += RANGES[range].step;
        sizes[class] = size as u16;
        if size == RANGES[range].last {
            range += 1;
        }
        class += 1;
    }
    assert!(sizes[CLASSES - 1] as usize == SLAB_MAX && size == RANGES[RANGES.len() - 1].last);
    sizes
};

/// Number of steps of `FINE` bytes by which a cell is longer than its last byte is far behind the
/// first one of the payload.
const CELL_STEPS: usize = (WORD + FINE) / FINE;

/// For each step of `FINE` bytes in the size of a cell, the number of the class whose blocks it
/// holds; the last one also for the cell of its longest blocks. `CELL_STEPS` before, the class of
/// the blocks with that last byte. Of longer blocks it is calculated: a longer table would take
/// more of the processor's cache than that takes time.
const OF_CELL: [u8; SLAB_MAX / FINE + CELL_STEPS + 1] = {
    let (mut table, mut last, mut class) = ([0; SLAB_MAX / FINE + CELL_STEPS + 1], 0, 0);
    while last < table.len() - CELL_STEPS {
        if (last + 1) * FINE > SIZES[class] as usize && class + 1 < CLASSES {
            class += 1;
        }
        table[last + CELL_STEPS] = class as u8;
        last += 1;
    }
    table
};

/// The same for each step of an alignment that every cell has, so that no size need be rounded up
/// first: a `malloc` has that alignment.
const OF_LAST_ALIGNED: [u8; SLAB_MAX / CELL_ALIGN] = {
    let mut table = [0; SLAB_MAX / CELL_ALIGN];
    let mut last = 0;
    while last < table.len() {
        table[last] = OF_CELL[(last + 1) * (CELL_ALIGN / FINE) - 1 + CELL_STEPS];
        last += 1;
    }
    table
};

/// Size class.
///
/// # Invariants
///
/// `self.0 < ARENA_CLASSES`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Class(u8);

impl Class {
    /// The class of the smallest blocks.
    pub(crate) const SMALLEST: Self = Self(0);

    /// Returns the class of a layout among the first `N`: its size is a multiple of the alignment.
    /// `None` if the layout has no bytes, is too long, or is aligned to more than its size and
    /// [`MOST_ALIGN`].
    #[inline(always)]
    pub(crate) const fn of<const N: usize>(layout: Layout) -> Option<Self> {
        if layout.align() > CELL_ALIGN {
            return Self::of_aligned::<N>(layout);
        }
        Self::of_usual::<N>(layout.size(), layout.align())
    }

    /// Returns the class whose blocks have a size, in bytes, and a multiple of an alignment; `None`
    /// if there is none, or for no bytes.
    #[inline(always)]
    pub(crate) const fn of_usual<const N: usize>(size: usize, align: usize) -> Option<Self> {
        // Number of the last byte, with the size rounded up to the alignment.
        let last = size.wrapping_sub(1) | (align - 1);
        if last < SLAB_MAX {
            Some(Self(OF_CELL[last / FINE + CELL_STEPS]))
        } else if last < Self::longest::<N>() {
            Some(Self::of_long(last))
        } else {
            None
        }
    }

    /// Returns the class of a size up to [`SLAB_MAX`], in bytes, and an alignment that every cell
    /// has.
    #[inline(always)]
    pub(crate) const fn of_short(size: usize, align: usize) -> Option<Self> {
        let last = size.wrapping_sub(1);
        if last >= SLAB_MAX {
            None
        } else if CELL_ALIGN > FINE && align == CELL_ALIGN {
            Some(Self(OF_LAST_ALIGNED[last / CELL_ALIGN]))
        } else {
            // The step is a multiple of each other alignment.
            Some(Self(OF_CELL[last / FINE + CELL_STEPS]))
        }
    }

    #[cold]
    const fn of_aligned<const N: usize>(layout: Layout) -> Option<Self> {
        if layout.align() > MOST_ALIGN && layout.size() < layout.align() {
            return None;
        }
        Self::of_usual::<N>(layout.size(), layout.align())
    }

    /// Returns the class in which a cell of `size` bytes is counted, with N classes: the one whose
    /// blocks it holds, or the last one for a cell of its longest blocks; `None` if the cell is
    /// longer.
    #[inline(always)]
    pub(crate) const fn of_cell<const N: usize>(size: usize) -> Option<Self> {
        const UNIT: usize = CELL_ALIGN / FINE;
        // On 32-bit, the same table.
        const OF_UNITS: [u8; OF_CELL.len().div_ceil(UNIT)] = {
            let (mut table, mut units) = ([0; OF_CELL.len().div_ceil(UNIT)], 0);
            while units < table.len() {
                table[units] = OF_CELL[units * UNIT];
                units += 1;
            }
            table
        };
        let (units, longest) = (size / CELL_ALIGN, Self::longest::<N>());
        if units < OF_UNITS.len() {
            Some(Self(OF_UNITS[units]))
        } else if N == CLASSES || size - WORD > longest + CELL_ALIGN {
            None
        } else {
            Self::of_usual::<N>(if size - WORD > longest { longest } else { size - WORD }, 1)
        }
    }

    /// Returns the class of the smallest blocks with a byte number `last`, at least [`SLAB_MAX`].
    #[inline(always)]
    const fn of_long(last: usize) -> Self {
        let log = last.ilog2() as usize;
        let doubling = log - SLAB_MAX.ilog2() as usize;
        let step = (last >> (log - PER_DOUBLING.ilog2() as usize)) - PER_DOUBLING;
        Self((CLASSES + doubling * PER_DOUBLING + step) as u8)
    }

    /// Returns the size of the largest blocks of the first `N` classes, in bytes.
    pub(crate) const fn longest<const N: usize>() -> usize {
        SIZES[N - 1] as usize
    }

    /// Returns the first `N` classes, the smallest first.
    pub(crate) fn all<const N: usize>() -> impl DoubleEndedIterator<Item = Self> {
        (0..N as u8).map(Self)
    }

    /// Returns the class with this number, if there is one.
    pub(crate) const fn from_index(index: usize) -> Option<Self> {
        if index < ARENA_CLASSES { Some(Self(index as u8)) } else { None }
    }

    /// Returns the number of the class.
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// Returns the size of the blocks, in bytes.
    #[inline]
    pub(crate) const fn size(self) -> usize {
        SIZES[self.0 as usize] as usize
    }

    /// Returns the alignment of all blocks of a slab that begins at a sufficiently aligned address,
    /// in bytes.
    pub(crate) const fn alignment(self) -> usize {
        let alignment = 1 << self.size().trailing_zeros();
        if alignment > MOST_ALIGNED { MOST_ALIGNED } else { alignment }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = Class::longest::<ARENA_CLASSES>();

    #[test]
    fn a_class_is_the_smallest_whose_size_and_alignment_suit() {
        for align in (0..8).map(|shift| 1 << shift) {
            for size in 1..=LONGEST {
                let layout = Layout::from_size_align(size, align).unwrap();
                let suits = |class: &Class| class.size() >= size && class.size() % align == 0;
                let class = Class::all::<ARENA_CLASSES>().find(suits);
                assert_eq!(Class::of::<ARENA_CLASSES>(layout), class, "{size} aligned to {align}");
                let short = class.filter(|class| class.index() < CLASSES);
                assert_eq!(Class::of::<CLASSES>(layout), short, "{size} aligned to {align}");
            }
        }
    }

    #[test]
    fn the_short_way_to_a_class_leads_to_the_same_one() {
        for align in [1, 2, 4, 8, CELL_ALIGN] {
            for size in 0..=SLAB_MAX + 1 {
                let class = Class::of_usual::<CLASSES>(size, align).filter(|_| size <= SLAB_MAX);
                assert_eq!(Class::of_short(size, align), class, "{size} aligned to {align}");
            }
        }
    }

    #[test]
    fn a_layout_without_bytes_too_long_or_mostly_alignment_has_no_class() {
        let class =
            |size, align| Class::of::<ARENA_CLASSES>(Layout::from_size_align(size, align).unwrap());
        assert_eq!(class(0, 1), None);
        assert_eq!(class(LONGEST + 1, 1), None);
        assert_eq!(class(isize::MAX as usize, 1), None);
        assert_eq!(class(8, 2 * MOST_ALIGN), None);
        assert_eq!(class(2 * MOST_ALIGNED, 2 * MOST_ALIGNED), None);
        assert_eq!(class(SLAB_MAX, SLAB_MAX).map(Class::size), Some(SLAB_MAX));
    }

    #[test]
    fn a_cell_is_counted_in_the_class_of_the_longest_block_that_it_holds() {
        fn assert_of_cell<const N: usize>() {
            let longest = Class::longest::<N>();
            for size in (2 * CELL_ALIGN..2 * longest).step_by(CELL_ALIGN) {
                // The cell of the longest blocks may be longer than they are and a word.
                let holds = |block: usize| (block + WORD).next_multiple_of(CELL_ALIGN) == size;
                let block = [SLAB_MAX, longest].into_iter().find(|&block| holds(block));
                let block = block.unwrap_or(size - WORD);
                let class = Class::all::<N>().find(|class| class.size() >= block);
                assert_eq!(Class::of_cell::<N>(size), class, "{size} of {N} classes");
            }
        }
        assert_of_cell::<CLASSES>();
        assert_of_cell::<ARENA_CLASSES>();
    }

    #[test]
    fn numbers_and_classes_belong_together() {
        for class in Class::all::<ARENA_CLASSES>() {
            assert_eq!(Class::from_index(class.index()), Some(class));
            assert_eq!(Class::of_usual::<ARENA_CLASSES>(class.size(), 1), Some(class));
        }
        assert_eq!(Class::from_index(ARENA_CLASSES), None);
    }
}
