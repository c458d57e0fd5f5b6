//! Which bin a free cell belongs to, and which bins are not empty. Arithmetic only.
//!
//! ```text
//!   cell size   32 48 64 … 1008 │ 1024  1152  1280 … 1920 │ 2048  2304 …            (64-bit)
//!   class        0  1  2 …   61 │   62    63    64 …   69 │   70    71 …   181
//!                exact          │ log-linear: eight classes a doubling, the last one without an upper end
//! ```
//!
//! With the feature `tiny`, all classes fit into one word of the map:
//!
//! ```text
//!   cell size   16 24 │ 32 …  │ 64 …  │ 128 … │ 256 … │ 512 … │ 1024 … │ 2048 … │ 4096 …            (32-bit)
//!   class        0  1 │   2   │   3   │   4   │   5   │   6   │    7   │    8   │    9
//! ```

use core::hint::select_unpredictable;

use crate::TINY;
use crate::cell::{CELL_ALIGN, MIN_CELL};

/// Cells below this size, in bytes, have a class for each size.
pub(super) const EXACT_BELOW: usize = CELL_ALIGN * if TINY { 4 } else { 64 };

/// Classes that a doubling of the size is divided into: cells of one class differ by less than an
/// eighth, or, if tiny, by less than double.
pub(super) const PER_DOUBLING: usize = if TINY { 1 } else { 8 };

/// Doublings from `EXACT_BELOW` on: to 32 MiB on 64-bit, to the end of the address space on 32-bit.
/// If tiny, as many as leave the heap's state, with a lock and a `FixedBreak`, 128 bytes on 32-bit.
const DOUBLINGS: usize = match usize::BITS {
    _ if TINY => 8,
    64 => 15,
    bits => (bits - EXACT_BELOW.ilog2()) as usize,
};

/// How many cells of a class whose cells differ in size are looked at for the best fit: more where
/// they differ more.
pub(super) const CELLS_TRIED: usize = if TINY { 16 } else { 4 };

const EXACT: usize = (EXACT_BELOW - MIN_CELL) / CELL_ALIGN;

/// Number of classes.
pub(super) const CLASSES: usize = EXACT + DOUBLINGS * PER_DOUBLING;

/// The class of a cell of `size` bytes. Grows with the size: every cell of a higher class is
/// larger.
pub(super) fn class_of(size: usize) -> usize {
    let exact = (size - MIN_CELL) / CELL_ALIGN;
    let class = if TINY {
        if size < EXACT_BELOW { exact } else { steps_to(size) }
    } else {
        // Not a branch: what is left of cells, and what becomes of them, is on either side, and
        // nobody can predict on which.
        select_unpredictable(size < EXACT_BELOW, exact, steps_to(size))
    };
    // For the last one, and so that nobody who takes this for an index has to ask.
    class.min(CLASSES - 1)
}

/// [`class_of`] a cell that is known to be one of those whose classes are not exact.
pub(super) fn class_of_long(size: usize) -> usize {
    debug_assert!(size >= EXACT_BELOW);
    steps_to(size).min(CLASSES - 1)
}

/// The class of a cell whose class is not exact, if there were no last class; of any other cell
/// some number.
const fn steps_to(size: usize) -> usize {
    // As one operation finds it.
    let log = (usize::BITS - 1) ^ size.leading_zeros();
    // Of 64 bits none that counts is lost, and shifting further up first is one operation less.
    let steps = if usize::BITS == 64 {
        size.wrapping_mul(PER_DOUBLING) >> log
    } else {
        size >> (log - PER_DOUBLING.ilog2())
    };
    let below = EXACT.wrapping_sub((EXACT_BELOW.ilog2() as usize + 1) * PER_DOUBLING);
    below.wrapping_add(log as usize * PER_DOUBLING + steps)
}

/// Whether all cells of this class have the same size.
pub(super) const fn is_exact(class: usize) -> bool {
    class < EXACT
}

/// The first class that is not exact.
#[cfg(not(feature = "tiny"))]
pub(super) const fn first_of_steps() -> usize {
    EXACT
}

const BITS: usize = usize::BITS as usize;
const WORDS: usize = CLASSES.div_ceil(BITS);

/// One bit a class: set if the class has a free cell.
#[derive(Debug)]
pub(super) struct ClassMap([usize; WORDS]);

impl ClassMap {
    pub(super) const fn new() -> Self {
        Self([0; WORDS])
    }

    pub(super) const fn set(&mut self, class: usize) {
        self.0[class / BITS] |= 1 << (class % BITS);
    }

    pub(super) const fn clear(&mut self, class: usize) {
        self.0[class / BITS] &= !(1 << (class % BITS));
    }

    pub(super) const fn contains(&self, class: usize) -> bool {
        self.0[class / BITS] & (1 << (class % BITS)) != 0
    }

    /// The lowest class in the map that is at least `from`. Looks at each word of the map once at
    /// most.
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let first = from / BITS;
        let mut word = self.0.get(first)? & (usize::MAX << (from % BITS));
        let mut at = first;
        while word == 0 {
            at += 1;
            if at >= WORDS {
                return None;
            }
            word = self.0[at];
        }
        Some(at * BITS + word.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn classes_begin_at_the_smallest_cell_and_leave_none_out() {
        assert_eq!(class_of(MIN_CELL), 0);
        let mut last = 0;
        for size in (MIN_CELL..1 << 20).step_by(CELL_ALIGN) {
            let class = class_of(size);
            assert!(class == last || class == last + 1, "class {class} of {size} follows {last}");
            assert!(size < EXACT_BELOW || !is_exact(class));
            last = class;
        }
        assert_eq!(class_of(usize::MAX & !(CELL_ALIGN - 1)), CLASSES - 1);
    }

    #[test]
    fn cells_of_one_class_differ_by_less_than_a_step() {
        let mut first = MIN_CELL;
        for size in
            (MIN_CELL..1 << 20).step_by(CELL_ALIGN).take_while(|&size| class_of(size) < CLASSES - 1)
        {
            if class_of(size) != class_of(first) {
                first = size;
            }
            assert!((size - first) * PER_DOUBLING < first);
            assert!(!is_exact(class_of(size)) || size == first);
        }
    }

    proptest! {
        #[test]
        fn the_map_finds_what_a_search_of_a_set_finds(
            set in prop::collection::btree_set(0..CLASSES, 0..20),
            gone in prop::collection::btree_set(0..CLASSES, 0..20),
            from in 0..CLASSES + 70,
        ) {
            let mut map = ClassMap::new();
            set.union(&gone).for_each(|&class| map.set(class));
            gone.iter().for_each(|&class| map.clear(class));
            let left = || set.difference(&gone).copied();
            prop_assert_eq!(map.next(from), left().find(|&class| class >= from));
            prop_assert!((0..CLASSES).all(|class| map.contains(class) == left().any(|other| other == class)));
        }
    }
}
