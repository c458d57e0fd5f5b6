//! Shape of a slab: number and size of its blocks, its length and alignment. Arithmetic only.

use core::marker::PhantomData;

use crate::cell::WORD;
use crate::size_class::{ARENA_CLASSES, Class, SIZES, SMALL_MAX};
use crate::slab_tuning::SlabTuning;

/// Returns the number of the block that begins `offset` bytes above the start of a slab; if none
/// does, a number above all.
///
/// It is a product and a rotation, because the division leaves no rest; for any other offset the
/// result is above every number. Source: H. S. Warren, *Hacker's Delight*, "Test for Zero Remainder
/// after Division by a Constant".
#[inline(always)]
pub(super) fn number_of(class: Class, offset: u32) -> u32 {
    // SAFETY: a class is one of those of arenas, or one of fewer.
    let Divisor { inverse, shift } = unsafe { *DIVISORS.get_unchecked(class.index()) };
    offset.wrapping_mul(inverse).rotate_right(shift)
}

/// Size of a block as a divisor of offsets: its odd factor by the inverse modulo 2³², and the power
/// of two that is the other factor.
#[derive(Clone, Copy)]
struct Divisor {
    inverse: u32,
    shift: u32,
}

const DIVISORS: [Divisor; ARENA_CLASSES] = {
    let mut divisors = [Divisor { inverse: 1, shift: 0 }; ARENA_CLASSES];
    let mut index = 0;
    while index < ARENA_CLASSES {
        let size = SIZES[index] as u32;
        let shift = size.trailing_zeros();
        let odd = size >> shift;
        // Newton's iteration doubles the number of right bits; an odd number has three from itself.
        let (mut inverse, mut bits) = (odd, 3);
        while bits < u32::BITS {
            inverse = inverse.wrapping_mul(2_u32.wrapping_sub(odd.wrapping_mul(inverse)));
            bits *= 2;
        }
        divisors[index] = Divisor { inverse, shift };
        index += 1;
    }
    divisors
};

/// Returns the length of a slab of `total` blocks, in bytes.
pub(super) const fn len_of<S: SlabTuning>(class: Class, total: usize) -> usize {
    (total * class.size() + WORD).next_multiple_of(S::GRANULE)
}

/// Returns the alignment of a slab, in bytes.
pub(crate) const fn alignment_of<S: SlabTuning>(class: Class) -> usize {
    let alignment = class.alignment();
    if alignment > S::GRANULE { alignment } else { S::GRANULE }
}

/// The shortest slabs of a profile.
struct Least<S>(PhantomData<S>);

impl<S: SlabTuning> Least<S> {
    /// Number of blocks of the shortest slab of each class that wastes little.
    const BLOCKS: [u16; ARENA_CLASSES] = {
        let mut least = [0; ARENA_CLASSES];
        let mut index = 0;
        while index < ARENA_CLASSES {
            let size = SIZES[index] as usize;
            let blocks = if size <= SMALL_MAX { S::LEAST_SMALL } else { S::LEAST_MEDIUM };
            let mut len = (blocks * size + WORD).next_multiple_of(S::GRANULE);
            while (len - WORD) % size + WORD > len / S::WASTE_SHARE {
                len += S::GRANULE;
            }
            least[index] = ((len - WORD) / size) as u16;
            index += 1;
        }
        least
    };
}

/// Returns the number of blocks and the length, in bytes, of the next slab of a class that has
/// `bytes` bytes of slabs, in a heap of `heap` bytes: a slab that is longer than it must be is at
/// most a `CLASS_SHARE`th as long as they are, and at most a `LEN_SHARE`th of the heap.
pub(super) fn next_slab<S: SlabTuning>(class: Class, bytes: usize, heap: usize) -> (usize, usize) {
    let mut blocks = usize::from(Least::<S>::BLOCKS[class.index()]);
    let size = class.size();
    let is_page = size >= S::PAGE && size.is_power_of_two();
    if is_page && bytes > 0 && blocks < S::LEAST_ALIGNED {
        blocks = S::LEAST_ALIGNED;
    }
    let len = len_of::<S>(class, blocks);
    let most = S::MOST.min(bytes / S::CLASS_SHARE).min(heap / S::LEN_SHARE);
    if 2 * len > most {
        return (blocks, len);
    }
    let len = len << (most / len).ilog2();
    ((len - WORD) / size, len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab_tuning::{MiniatureSlabs, UsualSlabs};

    /// In a class with a short slab, only blocks of a page, or of two pages, or four, and so on,
    /// get a longer one next.
    fn assert_that_slabs_grow_when_their_class_does<S: SlabTuning>() {
        for class in Class::all::<ARENA_CLASSES>() {
            let (least, len) = next_slab::<S>(class, 0, usize::MAX);
            let is_page = (0..8).any(|doubling| S::PAGE << doubling == class.size());
            let blocks = if is_page { least.max(S::LEAST_ALIGNED) } else { least };
            let next = next_slab::<S>(class, 1, usize::MAX);
            assert_eq!(next, (blocks, len_of::<S>(class, blocks)), "{class:?}");
            assert_eq!(len, len_of::<S>(class, least), "{class:?}");
        }
    }

    fn assert_that_slabs_stay_within_their_shares<S: SlabTuning>() {
        for class in Class::all::<ARENA_CLASSES>() {
            for log in (8..28).step_by(3) {
                let of_class = next_slab::<S>(class, 1 << log, usize::MAX).1;
                let of_heap = next_slab::<S>(class, usize::MAX, 1 << log).1;
                let least = next_slab::<S>(class, 1, usize::MAX).1;
                for (len, share) in [(of_class, S::CLASS_SHARE), (of_heap, S::LEN_SHARE)] {
                    let most = S::MOST.min((1 << log) / share);
                    assert!(len == least || len <= most, "{class:?}: {len} of {most}");
                    assert!(len == least || 2 * len > most, "{class:?}: only {len} of {most}");
                    assert!(len > least || 2 * len > most, "{class:?}: only {len} of {most}");
                }
            }
        }
    }

    #[test]
    fn slabs_grow_when_their_class_does() {
        assert_that_slabs_grow_when_their_class_does::<UsualSlabs>();
        assert_that_slabs_grow_when_their_class_does::<MiniatureSlabs>();
        assert_that_slabs_stay_within_their_shares::<UsualSlabs>();
        assert_that_slabs_stay_within_their_shares::<MiniatureSlabs>();
    }

    fn assert_that_slabs_waste_little<S: SlabTuning>() {
        for class in Class::all::<ARENA_CLASSES>() {
            for bytes in [0, 1 << 15, 1 << 20] {
                let (blocks, len) = next_slab::<S>(class, bytes, S::LEN_SHARE * bytes);
                assert_eq!(len, len_of::<S>(class, blocks));
                assert!((len - blocks * class.size()) * S::WASTE_SHARE <= len, "{class:?}: {len}");
                assert_eq!(blocks, (len - WORD) / class.size(), "{class:?}");
                assert!(blocks <= usize::from(u16::MAX));
                assert!(blocks >= S::LEAST_MEDIUM);
            }
        }
    }

    #[test]
    fn a_slab_wastes_little() {
        assert_that_slabs_waste_little::<UsualSlabs>();
        assert_that_slabs_waste_little::<MiniatureSlabs>();
    }
}
