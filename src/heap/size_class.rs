//! Which bin a free cell belongs to, and which bins are not empty. Arithmetic only.
//!
//! ```text
//!   cell size   32 48 64 … 1008 │ 1024  1152  1280 … 1920 │ 2048  2304 …            (64-bit)
//!   class        0  1  2 …   61 │   62    63    64 …   69 │   70    71 …   253
//!                exact          │ log-linear: eight classes a doubling, the last one without an upper end
//! ```

use crate::cell::{CELL_ALIGN, MIN_CELL};

/// Cells below this size, in bytes, have a class for each size.
pub(super) const EXACT_BELOW: usize = 64 * CELL_ALIGN;

/// Classes that a doubling of the size is divided into: cells of one class differ by less than an eighth.
const PER_DOUBLING: usize = 8;

/// Doublings from `EXACT_BELOW` on: to 16 GiB on 64-bit, to the end of the address space on 32-bit.
const DOUBLINGS: usize = if usize::BITS == 64 { 24 } else { (usize::BITS - EXACT_BELOW.ilog2()) as usize };

const EXACT: usize = (EXACT_BELOW - MIN_CELL) / CELL_ALIGN;

/// Number of classes.
pub(super) const CLASSES: usize = EXACT + DOUBLINGS * PER_DOUBLING;

/// The class of a cell of `size` bytes. Grows with the size: every cell of a higher class is larger.
pub(super) const fn class_of(size: usize) -> usize {
    if size < EXACT_BELOW {
        return (size - MIN_CELL) / CELL_ALIGN;
    }
    let log = size.ilog2();
    let doubling = (log - EXACT_BELOW.ilog2()) as usize;
    let eighth = (size >> (log - PER_DOUBLING.ilog2())) % PER_DOUBLING;
    let class = EXACT + doubling * PER_DOUBLING + eighth;
    if class < CLASSES { class } else { CLASSES - 1 }
}

/// Whether all cells of this class have the same size.
pub(super) const fn is_exact(class: usize) -> bool {
    class < EXACT
}

/// The size of the cells of an exact class.
pub(super) const fn exact_size(class: usize) -> usize {
    class * CELL_ALIGN + MIN_CELL
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

    /// The lowest class in the map that is at least `from`. Looks at each word of the map once at most.
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let first = from / BITS;
        let mut word = self.0.get(first)? & (usize::MAX << (from % BITS));
        let mut at = first;
        while word == 0 {
            at += 1;
            word = *self.0.get(at)?;
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
    fn cells_of_one_class_differ_by_less_than_an_eighth() {
        let mut first = MIN_CELL;
        for size in (MIN_CELL..1 << 20).step_by(CELL_ALIGN) {
            if class_of(size) != class_of(first) {
                first = size;
            }
            assert!((size - first) * PER_DOUBLING < first);
            assert!(!is_exact(class_of(size)) || size == exact_size(class_of(first)));
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
