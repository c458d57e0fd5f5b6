//! Where the parts of a process lie, as Linux places them, and where a seed moves them.
//!
//! ```text
//!   0x0000_7FFF_FFFF_F000  end of user memory
//!            ↑ up to 16 GiB, random
//!   stack_top ──────────── stack, grows down ▼
//!            ↑ the stack's limit (128 MiB at least), the guard gap, 16 GiB, and up to 1 TiB, random
//!   mmap_base ──────────── mappings, placed top-down ▼
//!                          …
//!                          heap, grows up ▲
//!   start_brk ────────────
//!            ↑ up to 32 MiB, random
//!   text + image_len ───── bss, data, rodata
//!   text ───────────────── text
//!            ↑ up to 1 TiB, random
//!   0x0000_5555_5555_4000
//! ```

use fastrand::Rng;

use crate::words::layout::{PAGE_SIZE, page_ceil, page_floor};

/// First address behind a process's memory: the lower half, but for its last page.
pub const USER_END: u64 = 0x0000_7FFF_FFFF_F000;

/// Below this nothing is mapped for anybody (Linux's `mmap_min_addr`), so that a null pointer with
/// an offset is a fault.
pub const MIN_ADDRESS: u64 = 0x1_0000;

/// What is kept free below a stack (Linux's `stack_guard_gap`): no large local variable reaches
/// across it.
pub const GUARD_GAP: u64 = 256 * PAGE_SIZE;

/// Where a program begins that may be anywhere: two thirds up.
const IMAGE_BASE: u64 = 0x0000_5555_5555_4000;

const MAX_TEXT_SHIFT: u64 = 1 << 40;
const MAX_BREAK_SHIFT: u64 = 32 << 20;
const MAX_STACK_SHIFT: u64 = 16 << 30;
const MAX_MMAP_SHIFT: u64 = 1 << 40;

/// What the mapping area keeps away from the stack's top, whatever the stack's limit.
const MIN_STACK_SPACE: u64 = 128 << 20;
const MAX_STACK_SPACE: u64 = 1 << 46;

/// Where the parts of a process lie.
///
/// # Invariants
///
/// All are page-aligned, and `MIN_ADDRESS ≤ text < start_brk < mmap_base < stack_top ≤ USER_END`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Where the program's image starts.
    pub text: u64,
    /// Where the heap starts, and the lowest break.
    pub start_brk: u64,
    /// Mappings are placed below this, as high as there is room.
    pub mmap_base: u64,
    /// The stack ends here.
    pub stack_top: u64,
}

impl Layout {
    /// The layout for an image of so many bytes and a stack that may grow to `stack_limit`; the
    /// same for the same seed.
    pub fn from_seed(seed: u64, image_len: u64, stack_limit: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut shift = |max: u64| rng.u64(0..max / PAGE_SIZE) * PAGE_SIZE;
        let text = IMAGE_BASE + shift(MAX_TEXT_SHIFT);
        let start_brk = page_ceil(text + image_len) + shift(MAX_BREAK_SHIFT);
        let stack_top = USER_END - shift(MAX_STACK_SHIFT);
        let stack_space = page_floor(stack_limit.clamp(MIN_STACK_SPACE, MAX_STACK_SPACE));
        let mmap_base =
            USER_END - MAX_STACK_SHIFT - stack_space - GUARD_GAP - shift(MAX_MMAP_SHIFT);
        Self { text, start_brk, mmap_base, stack_top }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: u64 = 5 * PAGE_SIZE + 17;
    const STACK: u64 = 8 << 20;

    #[test]
    fn whatever_the_seed_the_parts_are_in_order_and_apart() {
        for seed in 0..10_000 {
            let Layout { text, start_brk, mmap_base, stack_top } =
                Layout::from_seed(seed, IMAGE, STACK);
            assert!([text, start_brk, mmap_base, stack_top].iter().all(|at| at % PAGE_SIZE == 0));
            assert!(
                text >= IMAGE_BASE
                    && start_brk >= text + IMAGE
                    && start_brk < text + IMAGE + PAGE_SIZE + MAX_BREAK_SHIFT
            );
            assert!(mmap_base + GUARD_GAP + MIN_STACK_SPACE <= stack_top && stack_top <= USER_END);
            assert!(start_brk < mmap_base - (1 << 40), "the gap above the heap is wide");
        }
    }

    #[test]
    fn a_seed_fixes_all_and_another_moves_all() {
        let layouts: Vec<_> = (0..100).map(|seed| Layout::from_seed(seed, IMAGE, STACK)).collect();
        assert_eq!(Layout::from_seed(7, IMAGE, STACK), layouts[7]);
        for part in [
            |l: &Layout| l.text,
            |l: &Layout| l.start_brk - l.text,
            |l: &Layout| l.mmap_base,
            |l: &Layout| l.stack_top,
        ] {
            let mut places: Vec<u64> = layouts.iter().map(part).collect();
            places.sort_unstable();
            places.dedup();
            assert!(places.len() > 90, "{} places of 100", places.len());
        }
    }

    #[test]
    fn a_larger_stack_limit_moves_the_mappings_down() {
        let small = Layout::from_seed(1, IMAGE, 0);
        let large = Layout::from_seed(1, IMAGE, 1 << 30);
        assert_eq!(small.mmap_base - large.mmap_base, (1 << 30) - MIN_STACK_SPACE);
        let endless = Layout::from_seed(1, IMAGE, u64::MAX);
        assert!(endless.mmap_base > MIN_ADDRESS);
    }
}
