//! Size classes of free cells, and the map of occupied classes. Arithmetic only.
//!
//! ```text
//!   Fine        cell size   32 48 64 … 1008 │ 1024  1152  1280 … 1920 │ 2048  2304 …     (64-bit)
//!               class        2  3  4 …   63 │   64    65    66 …   71 │   72    73 …   183
//!                            exact          │ log-linear: eight classes a doubling,
//!                                           │ the last one without an upper bound
//!   Coarse      cell size   16 24 │ 32 … │ 64 … │ 128 … │ 256 … │ 512 …                 (32-bit)
//!               class          0  │  1   │  2   │   3   │   4   │   5
//! ```
//!
//! `Coarse` has no map: its classes are few.

use core::fmt::Debug;
use core::ptr::NonNull;

use crate::cell::{CELL_ALIGN, MIN_CELL};

const BITS: usize = usize::BITS as usize;

/// Division of free cells into bins by size.
///
/// # Invariants
///
/// * `Heads` and `Counts` have [`COUNT`](Classes::COUNT) elements; `Words` at least as many bits,
///   or none if `COMPACT`
/// * [`class_of`](Classes::class_of) is monotonic: every cell of a higher class is larger
pub trait Classes: Debug + 'static {
    /// Lower bound of the log-linear classes, in bytes: each smaller cell size has its own class.
    const EXACT_BELOW: usize;

    /// Number of classes for each doubling of the size above `EXACT_BELOW`, a power of two.
    const PER_DOUBLING: usize;

    /// Number of doublings. The last class has no upper bound.
    const DOUBLINGS: usize;

    /// Maximum number of cells of one class that a search for the best fit examines.
    const CELLS_TRIED: usize;

    /// Maximum number of cells of one class that a search examines for an over-aligned request, or,
    /// if code is compact, for any request.
    const PLACES_TRIED: usize = if Self::COMPACT { Self::CELLS_TRIED } else { 2 };

    /// `true` if code size counts more than speed.
    const COMPACT: bool;

    /// Number of classes whose cells all have one size.
    const EXACT: usize = Self::EXACT_BELOW / CELL_ALIGN;

    /// Number of classes.
    const COUNT: usize = Self::EXACT + Self::DOUBLINGS * Self::PER_DOUBLING;

    /// Maximum number of occupied classes that a search examines for an over-aligned request before
    /// it takes a cell that is large enough at any address. (Any other request fits into the second
    /// class.)
    const CLASSES_TRIED: usize = if Self::COMPACT { Self::COUNT } else { 2 };

    /// Array of list heads: for each class a pointer to the header of its first cell.
    type Heads: AsRef<[Option<NonNull<usize>>]> + AsMut<[Option<NonNull<usize>>]> + Debug;

    /// Heads of empty lists.
    const NO_HEADS: Self::Heads;

    /// Array of one number for each class.
    type Counts: AsRef<[usize]> + AsMut<[usize]> + Debug;

    /// Zeros.
    const NO_COUNTS: Self::Counts;

    /// Bitmap with one bit for each class, or nothing if `COMPACT`.
    type Words: AsRef<[usize]> + AsMut<[usize]> + Debug;

    /// Empty bitmap.
    const NO_BITS: Self::Words;

    /// Returns the class of a cell of `size` bytes. `size` is at least [`MIN_CELL`].
    #[inline(always)]
    fn class_of(size: usize) -> usize {
        if Self::COMPACT {
            return ((MIN_CELL.leading_zeros() - size.leading_zeros()) as usize)
                .min(Self::COUNT - 1);
        }
        let exact = size / CELL_ALIGN;
        if size < Self::EXACT_BELOW { exact } else { Self::class_of_long(size) }
    }

    /// Returns the class of a cell of `size` bytes. `size` is at least
    /// [`EXACT_BELOW`](Classes::EXACT_BELOW).
    #[inline(always)]
    fn class_of_long(size: usize) -> usize {
        debug_assert!(size >= Self::EXACT_BELOW);
        let per_doubling_log = Self::PER_DOUBLING.ilog2();
        // Compiles to one `bsr`.
        let log = (usize::BITS - 1) ^ size.leading_zeros();
        // On 64-bit, a shift to the left first takes one instruction less, and no cell is so large
        // that it loses a bit.
        let steps = if usize::BITS == 64 {
            size.wrapping_mul(Self::PER_DOUBLING) >> log
        } else {
            size >> (log - per_doubling_log)
        };
        let below =
            Self::EXACT.wrapping_sub((Self::EXACT_BELOW.ilog2() as usize + 1) * Self::PER_DOUBLING);
        let class = below.wrapping_add(log as usize * Self::PER_DOUBLING + steps);
        // The last class takes all larger sizes. The limit also removes a bounds check.
        class.min(Self::COUNT - 1)
    }
}

/// Bins for speed: sizes of one class differ by less than an eighth.
#[derive(Debug)]
pub enum Fine {}

/// Number of classes of [`Fine`].
const FINE: usize = Fine::COUNT;

impl Classes for Fine {
    const EXACT_BELOW: usize = 64 * CELL_ALIGN;
    const PER_DOUBLING: usize = 8;
    /// Number of doublings: up to 32 MiB on 64-bit, to the end of the address space on 32-bit.
    const DOUBLINGS: usize = match usize::BITS {
        64 => 15,
        bits => (bits - Self::EXACT_BELOW.ilog2()) as usize,
    };
    const CELLS_TRIED: usize = 4;
    const COMPACT: bool = false;
    type Heads = [Option<NonNull<usize>>; FINE];
    const NO_HEADS: Self::Heads = [None; FINE];
    type Counts = [usize; FINE];
    const NO_COUNTS: Self::Counts = [0; FINE];
    type Words = [usize; FINE.div_ceil(BITS)];
    const NO_BITS: Self::Words = [0; FINE.div_ceil(BITS)];
}

/// Bins for little state and code: sizes of one class differ by less than a factor of two.
#[derive(Debug)]
pub enum Coarse {}

/// Number of classes of [`Coarse`].
const COARSE: usize = Coarse::COUNT;

impl Classes for Coarse {
    const EXACT_BELOW: usize = 0;
    const PER_DOUBLING: usize = 1;
    /// Number of doublings with which the heap's state, with a lock and a `FixedBreak`, is 128
    /// bytes on 32-bit.
    const DOUBLINGS: usize = 6;
    const CELLS_TRIED: usize = 16;
    const COMPACT: bool = true;
    type Heads = [Option<NonNull<usize>>; COARSE];
    const NO_HEADS: Self::Heads = [None; COARSE];
    type Counts = [usize; COARSE];
    const NO_COUNTS: Self::Counts = [0; COARSE];
    type Words = [usize; 0];
    const NO_BITS: Self::Words = [];
}

/// Bitmap of occupied classes: a class's bit is set if its list has a cell.
#[derive(Debug)]
pub(crate) struct ClassMap<C: Classes>(C::Words);

impl<C: Classes> ClassMap<C> {
    /// Returns an empty map.
    pub(crate) const fn new() -> Self {
        Self(C::NO_BITS)
    }

    /// Sets the bit of a class.
    #[inline(always)]
    pub(crate) fn set(&mut self, class: usize) {
        self.0.as_mut()[class / BITS] |= 1 << (class % BITS);
    }

    /// Clears the bit of a class.
    #[inline(always)]
    pub(crate) fn clear(&mut self, class: usize) {
        self.0.as_mut()[class / BITS] &= !(1 << (class % BITS));
    }

    /// Returns `true` if the bit of a class is set.
    pub(crate) fn contains(&self, class: usize) -> bool {
        self.0.as_ref()[class / BITS] & (1 << (class % BITS)) != 0
    }

    /// Returns the lowest class in the map that is at least `from`.
    ///
    /// # Time
    ///
    /// O(words of the map): constant for a profile.
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        let words = self.0.as_ref();
        let mut at = from / BITS;
        let above = words.get(at)? >> (from % BITS);
        if above != 0 {
            return Some(from + above.trailing_zeros() as usize);
        }
        loop {
            at += 1;
            let word = *words.get(at)?;
            if word != 0 {
                return Some(at * BITS + word.trailing_zeros() as usize);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn classes_are_dense<C: Classes>() {
        let mut last = C::class_of(MIN_CELL);
        assert_eq!(last, if C::COMPACT { 0 } else { MIN_CELL / CELL_ALIGN });
        for size in (MIN_CELL..1 << 20).step_by(CELL_ALIGN) {
            let class = C::class_of(size);
            assert!(class == last || class == last + 1, "class {class} of {size} follows {last}");
            assert!(size < C::EXACT_BELOW || class >= C::EXACT);
            last = class;
        }
        assert_eq!(C::class_of(usize::MAX & !(CELL_ALIGN - 1)), C::COUNT - 1);
    }

    #[test]
    fn classes_are_contiguous_from_the_smallest_cell() {
        classes_are_dense::<Fine>();
        classes_are_dense::<Coarse>();
    }

    fn steps_are_short<C: Classes>() {
        let mut first = MIN_CELL;
        let sizes = (MIN_CELL..1 << 20).step_by(CELL_ALIGN);
        for size in sizes.take_while(|&size| C::class_of(size) < C::COUNT - 1) {
            if C::class_of(size) != C::class_of(first) {
                first = size;
            }
            assert!((size - first) * C::PER_DOUBLING < first);
            assert!(C::class_of(size) >= C::EXACT || size == first);
        }
    }

    #[test]
    fn sizes_of_one_class_differ_by_less_than_a_step() {
        steps_are_short::<Fine>();
        steps_are_short::<Coarse>();
    }

    proptest! {
        #[test]
        fn map_agrees_with_a_set(
            set in prop::collection::btree_set(0..FINE, 0..20),
            gone in prop::collection::btree_set(0..FINE, 0..20),
            from in 0..FINE + 70,
        ) {
            let mut map = ClassMap::<Fine>::new();
            set.union(&gone).for_each(|&class| map.set(class));
            gone.iter().for_each(|&class| map.clear(class));
            let left = || set.difference(&gone).copied();
            prop_assert_eq!(map.next(from), left().find(|&class| class >= from));
            let agrees = |class| map.contains(class) == left().any(|other| other == class);
            prop_assert!((0..FINE).all(agrees));
        }
    }
}
