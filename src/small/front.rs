//! Classes of the front cache: those of small blocks, and, for heaps whose memory comes by the
//! segment, those of *middling* ones. Arithmetic only.
//!
//! ```text
//!   block size   8 … 1024 │ 1152 1280 … 2048 │ 2304 2560 … 4096 │ … │ 73728 81920 … 131072
//!   number       0 …   63 │   64   65 …   71 │   72   73 …   79 │ … │   112   113 …    119
//! ```
//!
//! A middling block is a cell. What is asked for is rounded up to its class, as a small block is:
//! then every freed one serves every request of its class, and none has to be looked at for that.
//! It may be an eighth too long, which only arenas can afford.

use core::alloc::Layout;

use crate::cell::CELL_ALIGN;
use crate::size_class::{CLASSES, Class, FINE, SIZES as SMALL_SIZES, SMALL_MAX, of_last};

/// Classes that a doubling is divided into.
const PER_DOUBLING: usize = 8;

/// Doublings above the small blocks.
const DOUBLINGS: usize = 7;

/// Doublings of which a table tells the class of a size. Of larger blocks it is calculated: the
/// table would take more of the processor's cache than the calculation takes time.
const TABLED: usize = 3;

/// The largest middling block, in bytes.
pub(crate) const MIDDLING_MAX: usize = SMALL_MAX << DOUBLINGS;

/// Number of classes.
pub const FRONTS: usize = CLASSES + DOUBLINGS * PER_DOUBLING;

const SIZES: [u32; FRONTS] = {
    let (mut sizes, mut front, mut size) = ([0; FRONTS], 0, 0);
    while front < FRONTS {
        size = if front < CLASSES {
            SMALL_SIZES[front]
        } else {
            size + ((SMALL_MAX / PER_DOUBLING) << ((front - CLASSES) / PER_DOUBLING)) as u32
        };
        sizes[front] = size;
        front += 1;
    }
    assert!(size as usize == MIDDLING_MAX);
    sizes
};

const OF_LAST: [u8; (SMALL_MAX << TABLED) / FINE] = of_last(&SIZES);

/// How many classes of middling blocks are as long as `bytes` or shorter, of which there are more
/// than a small block has.
const fn eighths(bytes: usize) -> usize {
    let log = bytes.ilog2() as usize;
    let doubling = log - SMALL_MAX.ilog2() as usize;
    // The first step of a doubling is the last size of the one below.
    doubling * PER_DOUBLING + (bytes >> (log - PER_DOUBLING.ilog2() as usize)) - PER_DOUBLING
}

/// A class of the front cache.
///
/// # Invariants
///
/// `self.0 < FRONTS`; the first `CLASSES` are those of small blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Front(u8);

impl From<Class> for Front {
    #[inline(always)]
    fn from(class: Class) -> Self {
        Self(class.index() as u8)
    }
}

/// `None`, and a hint that it is so seldom.
#[cold]
const fn unlikely() -> Option<Front> {
    None
}

impl Front {
    /// The class whose blocks hold this layout: of a small one, [`Class::of`]; `None` if it is
    /// larger than a middling one, has no bytes, or asks for more alignment than every cell
    /// has.
    #[inline(always)]
    pub(crate) const fn of(layout: Layout) -> Option<Self> {
        if layout.align() > CELL_ALIGN {
            return unlikely();
        }
        let last = layout.size().wrapping_sub(1) | (layout.align() - 1);
        if last / FINE < OF_LAST.len() {
            Some(Self(OF_LAST[last / FINE]))
        } else if last < MIDDLING_MAX {
            Some(Self::of_middling(last))
        } else {
            None
        }
    }

    /// The class of the smallest middling blocks that have a byte number `last`.
    #[inline(always)]
    const fn of_middling(last: usize) -> Self {
        Self((CLASSES + eighths(last)) as u8)
    }

    /// The largest class of middling blocks that fit into a cell's payload of `capacity` bytes;
    /// `None` if it is small, or much larger.
    pub(crate) const fn held_by(capacity: usize) -> Option<Self> {
        if capacity < SIZES[CLASSES] as usize
            || capacity >= MIDDLING_MAX + MIDDLING_MAX / PER_DOUBLING
        {
            return None;
        }
        let capacity = if capacity > MIDDLING_MAX { MIDDLING_MAX } else { capacity };
        // Rounded down, as `of_middling` rounds up.
        let steps = eighths(capacity);
        Some(Self((CLASSES + steps - 1) as u8))
    }

    /// All classes, the smallest first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..FRONTS as u8).map(Self)
    }

    /// The class of the smallest middling blocks.
    pub(crate) const FIRST_MIDDLING: Self = Self(CLASSES as u8);

    /// The class of middling blocks behind this one; behind the last comes the first.
    pub(crate) const fn next_middling(self) -> Self {
        if self.index() + 1 < FRONTS { Self(self.0 + 1) } else { Self::FIRST_MIDDLING }
    }

    /// The classes of middling blocks, the smallest first.
    #[cfg(test)]
    pub(crate) fn middling() -> impl Iterator<Item = Self> {
        (CLASSES as u8..FRONTS as u8).map(Self)
    }

    /// The class of small blocks that this is.
    pub(crate) const fn small(self) -> Option<Class> {
        if self.index() < CLASSES { Class::from_index(self.index()) } else { None }
    }

    /// The number of the class.
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// Size of the blocks, in bytes.
    #[inline]
    pub(crate) const fn size(self) -> usize {
        SIZES[self.index()] as usize
    }

    /// A layout as long as the blocks of its class, if it is middling; any other as it is.
    #[inline]
    pub(crate) const fn in_full(layout: Layout) -> Layout {
        match Self::of(layout) {
            Some(front) if front.index() >= CLASSES => {
                match Layout::from_size_align(front.size(), layout.align()) {
                    Ok(layout) => layout,
                    Err(_) => layout,
                }
            }
            _ => layout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn small_blocks_have_the_class_that_they_have_in_runs() {
        for align in [1, 8, CELL_ALIGN] {
            for size in 1..=SMALL_MAX {
                assert_eq!(
                    Front::of(layout(size, align)).and_then(Front::small),
                    Class::of(layout(size, align))
                );
                assert_eq!(Front::in_full(layout(size, align)), layout(size, align));
            }
        }
        assert_eq!((Front::of(layout(0, 1)), Front::of(layout(8, 2 * CELL_ALIGN))), (None, None));
    }

    #[test]
    fn a_middling_class_is_the_smallest_that_holds_its_layouts_and_an_eighth_longer_at_most() {
        for size in SMALL_MAX + 1..=MIDDLING_MAX {
            let front = Front::of(layout(size, CELL_ALIGN)).unwrap();
            assert_eq!(Some(front), Front::middling().find(|front| front.size() >= size), "{size}");
            assert!(
                front.size() <= size + size / 8
                    && front.size() % CELL_ALIGN == 0
                    && front.small().is_none()
            );
            let full = front.size();
            assert_eq!(Front::in_full(layout(size, 8)).size(), full);
        }
        assert_eq!(Front::of(layout(MIDDLING_MAX + 1, 1)), None);
        assert_eq!(Front::in_full(layout(MIDDLING_MAX + 1, 1)).size(), MIDDLING_MAX + 1);
    }

    #[test]
    fn a_cell_holds_the_largest_middling_class_that_fits() {
        for capacity in 8..2 * MIDDLING_MAX {
            let fits = Front::middling().filter(|front| front.size() <= capacity).last();
            let is_close = capacity < MIDDLING_MAX + MIDDLING_MAX / 8;
            assert_eq!(Front::held_by(capacity), fits.filter(|_| is_close), "{capacity}");
        }
    }
}
