//! Size classes of blocks without headers. Arithmetic only.
//!
//! ```text
//!   block size   8 16 24 … 256 │ 272 288 … 512 │ 544 576 … 1024 │ 1152 … 2048 │ 2304 … 4096
//!   class        0  1  2 …  31 │  32  33 …  47 │  48  49 …   63 │   64 …   71 │   72 …   79
//!                └─────────────────── small ────────────────────┘└───── medium ──────┘
//! ```
//!
//! These are the documents' buckets (C9), but finer: above 128 bytes a small block wastes at most a
//! sixteenth, and a medium one at most an eighth.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::cell::{CELL_ALIGN, MIN_CELL};

/// Size of the largest small block, in bytes.
pub(crate) const SMALL_MAX: usize = 1024;

/// Size of the largest medium block that a slab holds, in bytes.
pub(crate) const SLAB_MAX: usize = 4096;

/// Maximum alignment, in bytes, of a block whose size is smaller than its alignment: it takes a
/// block as long as its alignment.
const MOST_ALIGN: usize = 128;

/// Number of classes of small blocks.
pub const CLASSES: usize = 64;

/// Number of classes of slabs.
pub(crate) const SLAB_CLASSES: usize = 80;

/// Size of the smallest block, and step of the finest classes, in bytes.
pub(crate) const FINE: usize = 8;

/// Classes of a range of sizes: every `step` bytes from above the range before up to `last`.
struct Range {
    last: usize,
    step: usize,
}

const RANGES: [Range; 5] = [
    Range { last: 256, step: FINE },
    Range { last: 512, step: 2 * FINE },
    Range { last: SMALL_MAX, step: 4 * FINE },
    Range { last: 2 * SMALL_MAX, step: 16 * FINE },
    Range { last: SLAB_MAX, step: 32 * FINE },
];

/// Block size of each class, in bytes.
pub(crate) const SIZES: [u32; SLAB_CLASSES] = {
    let (mut sizes, mut class, mut size, mut range) = ([0; SLAB_CLASSES], 0, 0, 0);
    while class < SLAB_CLASSES {
        size += RANGES[range].step;
        sizes[class] = size as u32;
        if size == RANGES[range].last {
            range += 1;
        }
        class += 1;
    }
    assert!(sizes[CLASSES - 1] as usize == SMALL_MAX && size == SLAB_MAX);
    sizes
};

/// Returns, for each step of `FINE` bytes, the number of the first class whose blocks hold a byte
/// that many steps behind their first one.
pub(crate) const fn of_last<const CLASSES: usize, const STEPS: usize>(
    sizes: &[u32; CLASSES],
) -> [u8; STEPS] {
    let (mut table, mut last, mut class) = ([0; STEPS], 0, 0);
    while last < STEPS {
        if (last + 1) * FINE > sizes[class] as usize {
            class += 1;
        }
        table[last] = class as u8;
        last += 1;
    }
    table
}

const OF_LAST: [u8; SLAB_MAX / FINE] = of_last(&SIZES);

/// `None`, and a hint that it is so seldom.
#[cold]
const fn unlikely() -> Option<Class> {
    None
}

/// Size class.
///
/// # Invariants
///
/// `self.0 < SLAB_CLASSES`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Class(u8);

impl Class {
    /// The class of the smallest blocks.
    pub(crate) const SMALLEST: Self = Self(0);

    /// Returns the class of a small layout; `None` if it is not small, has no bytes, or asks for
    /// more alignment than every cell has.
    ///
    /// The class of a layout that is aligned to 16 bytes has a size that is a multiple of 16.
    #[inline(always)]
    pub(crate) const fn of(layout: Layout) -> Option<Self> {
        if layout.align() > CELL_ALIGN {
            return unlikely();
        }
        Self::of_any(layout.size().wrapping_sub(1), layout.align(), SMALL_MAX)
    }

    /// Returns the class of a small layout that has no bytes, or asks for more alignment than every
    /// cell has: its size is a multiple of the alignment.
    pub(crate) const fn of_unusual(layout: Layout) -> Option<Self> {
        if layout.align() > MOST_ALIGN || layout.align() <= CELL_ALIGN && layout.size() > 0 {
            return None;
        }
        Self::of_any(layout.size().saturating_sub(1), layout.align(), SMALL_MAX)
    }

    /// Returns the class of slabs for a small or medium layout: its size is a multiple of the
    /// alignment. `None` if the layout has no bytes, is too long, or is aligned to more than its
    /// size and [`MOST_ALIGN`].
    #[inline(always)]
    pub(crate) const fn of_slab(layout: Layout) -> Option<Self> {
        if layout.align() > CELL_ALIGN {
            return Self::of_aligned_slab(layout);
        }
        Self::of_any(layout.size().wrapping_sub(1), layout.align(), SLAB_MAX)
    }

    #[cold]
    const fn of_aligned_slab(layout: Layout) -> Option<Self> {
        if layout.align() > MOST_ALIGN && layout.size() < layout.align() {
            return None;
        }
        Self::of_any(layout.size().wrapping_sub(1), layout.align(), SLAB_MAX)
    }

    /// Returns the class of slabs whose blocks hold `capacity` bytes, at least one; `None` if that
    /// is too long.
    #[inline(always)]
    pub(crate) const fn of_capacity(capacity: usize) -> Option<Self> {
        Self::of_any(capacity.wrapping_sub(1), 1, SLAB_MAX)
    }

    /// Returns the class whose blocks have a byte number `last`, and a size that is a multiple of
    /// `align`; `None` if they would have more than `most` bytes.
    #[inline(always)]
    const fn of_any(last: usize, align: usize, most: usize) -> Option<Self> {
        // Of the size rounded up to the alignment, the last byte.
        let last = last | (align - 1);
        if last < most { Some(Self(OF_LAST[last / FINE])) } else { None }
    }

    /// The largest class, as aligned as any cell, whose blocks fit into a cell's payload of
    /// `capacity` bytes; `None` if that is more than a small block's cell can have.
    #[inline]
    pub(crate) const fn held_by(capacity: usize) -> Option<Self> {
        // A cell may be longer than its block by what is too short for a cell of its own.
        if capacity >= SMALL_MAX + MIN_CELL || capacity < CELL_ALIGN {
            return None;
        }
        let capacity =
            if capacity > SMALL_MAX { SMALL_MAX } else { capacity / CELL_ALIGN * CELL_ALIGN };
        let class = Self(OF_LAST[capacity / FINE - 1]);
        Some(if class.size() > capacity { Self(class.0 - 1) } else { class })
    }

    /// All classes, the smallest first.
    pub(crate) fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..CLASSES as u8).map(Self)
    }

    /// The larger classes, the next one first.
    pub(crate) fn larger(self) -> impl Iterator<Item = Self> {
        (self.0 + 1..CLASSES as u8).map(Self)
    }

    /// Returns the classes of slabs, the smallest first.
    pub(crate) fn all_of_slabs() -> impl DoubleEndedIterator<Item = Self> {
        (0..SLAB_CLASSES as u8).map(Self)
    }

    /// Returns the number of a class of slabs, for an array of [`SLAB_CLASSES`].
    #[inline(always)]
    pub(crate) const fn slab_index(self) -> usize {
        self.0 as usize
    }

    /// Returns the alignment of all blocks of a slab that begins at a sufficiently aligned address,
    /// in bytes.
    pub(crate) const fn alignment(self) -> usize {
        1 << self.size().trailing_zeros()
    }

    /// The class with this number.
    pub(crate) const fn from_index(index: usize) -> Option<Self> {
        if index < CLASSES { Some(Self(index as u8)) } else { None }
    }

    /// The number of the class.
    #[inline]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize % CLASSES
    }

    /// Size of the blocks, in bytes.
    #[inline]
    pub(crate) const fn size(self) -> usize {
        SIZES[self.0 as usize] as usize
    }

    /// Whether a block of a larger class can stand in for one of this class: it must be as aligned.
    pub(crate) const fn is_served_by(self, larger: Self) -> bool {
        self.size() <= larger.size()
            && (self.size() % CELL_ALIGN != 0 || larger.size() % CELL_ALIGN == 0)
    }

    /// Whether a block of a run of another class is, at its place, as good as any of this class:
    /// large enough, and as aligned, be it by luck.
    pub(crate) fn may_take_over(self, class_of_run: Self, block: NonNull<u8>) -> bool {
        self.is_served_by(class_of_run)
            || block.addr().get() % CELL_ALIGN == 0 && self <= class_of_run
    }

    /// A layout of this class, as long as the class's blocks are.
    pub(crate) const fn in_full(self, layout: Layout) -> Layout {
        match Layout::from_size_align(self.size(), layout.align()) {
            Ok(layout) => layout,
            Err(_) => layout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_its_layouts_and_is_the_smallest_that_does() {
        for align in [1, 2, 4, 8, 16].into_iter().filter(|&align| align <= CELL_ALIGN) {
            for size in 1..=SMALL_MAX {
                let class = Class::of(Layout::from_size_align(size, align).unwrap()).unwrap();
                assert!(
                    class.size() >= size && class.size() % align == 0,
                    "{size} aligned to {align}: {class:?}"
                );
                let smaller =
                    Class::all().rfind(|other| *other < class && other.size() % align == 0);
                assert!(
                    smaller.is_none_or(|smaller| smaller.size() < size),
                    "{size} aligned to {align}: {class:?}"
                );
            }
        }
    }

    #[test]
    fn blocks_of_an_aligned_class_are_whole_steps_of_the_alignment() {
        for align in (0..8).map(|shift| 1 << shift) {
            for size in if align > CELL_ALIGN { 0..=SMALL_MAX } else { 0..=0 } {
                let class =
                    Class::of_unusual(Layout::from_size_align(size, align).unwrap()).unwrap();
                let suits =
                    |class: &Class| class.size() >= size.max(1) && class.size() % align == 0;
                assert_eq!(Some(class), Class::all().find(suits), "{size} aligned to {align}");
            }
            assert_eq!(
                Class::of_unusual(Layout::from_size_align(SMALL_MAX + 1, align).unwrap()),
                None
            );
        }
        assert_eq!(Class::of_unusual(Layout::from_size_align(8, 2 * MOST_ALIGN).unwrap()), None);
        assert_eq!(
            Class::of_unusual(Layout::from_size_align(8, CELL_ALIGN).unwrap()),
            None,
            "any block of its size"
        );
    }

    #[test]
    fn a_cell_holds_the_largest_aligned_class_that_fits() {
        for capacity in CELL_ALIGN..SMALL_MAX + MIN_CELL {
            let fits = |class: &Class| class.size() <= capacity && class.size() % CELL_ALIGN == 0;
            assert_eq!(Class::held_by(capacity), Class::all().rfind(fits), "{capacity}");
        }
        assert_eq!(Class::held_by(SMALL_MAX + MIN_CELL), None);
    }

    #[test]
    fn what_is_larger_or_more_aligned_is_not_small() {
        assert_eq!(Class::of(Layout::from_size_align(SMALL_MAX + 1, 1).unwrap()), None);
        assert_eq!(
            Class::of(Layout::from_size_align(SMALL_MAX - 1, 2 * CELL_ALIGN).unwrap()),
            None
        );
        assert_eq!(Class::of(Layout::from_size_align(isize::MAX as usize, 1).unwrap()), None);
    }

    #[test]
    fn numbers_and_classes_belong_together() {
        for class in Class::all() {
            assert_eq!(Class::from_index(class.index()), Some(class));
            assert!(class.larger().all(|larger| larger.size() > class.size()));
        }
        assert_eq!(Class::from_index(CLASSES), None);
    }
}
