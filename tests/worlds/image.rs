//! What tells worlds apart: a number that is the same for worlds that are alike.
//!
//! Two worlds with equal images behave alike, whatever follows: the image has the state of the
//! break, the live blocks, and every word that an operation of the heap may read.
//!
//! | memory | in the image | left out, because |
//! |---|---|---|
//! | the heap's state | all words but two | the peak is only reported |
//! | free cell | header, links, their copies | the size at its end follows from the header; no operation reads the rest |
//! | block that is a cell | header | the caller's bytes are the block's; its record is verified before |
//! | slab | header, links of blocks that are not live | the same |
//! | leaves, descriptors | all words | |
//! | hole | its place | |
//!
//! The number is a sum of 64-bit hashes of the words that differ from a fresh heap's. For some ten
//! million worlds, two unlike ones have the same number with a probability of 1 in 10⁵.

use core::alloc::Layout;

use brkalloc::CellState;

use super::world::World;
use crate::common::profile::{Variant, WORD};

/// Words of the heap's state that are compared at once.
const TOGETHER: usize = 16;

/// Parts of an image: hashes of equal words differ from part to part.
#[derive(Clone, Copy)]
enum Part {
    State = 1,
    Memory = 2,
    Live = 3,
    Break = 4,
}

/// Returns a hash of a word at some place in a part.
fn mix(part: Part, place: usize, word: usize) -> u64 {
    const ODD: [u64; 3] = [0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93, 0xA076_1D64_78BD_642F];
    let at = ((part as u64) << 32 | place as u64).wrapping_mul(ODD[0]);
    let product = u128::from(word as u64 ^ ODD[2] ^ at.rotate_left(29)) * u128::from(at | 1);
    let folded = product as u64 ^ (product >> 64) as u64 ^ at;
    (folded ^ folded >> 32).wrapping_mul(ODD[1])
}

/// Fresh heap with which others are compared.
pub struct Fresh {
    words: Vec<usize>,
    /// Numbers of the words that no operation reads, in ascending order.
    unread: Vec<usize>,
}

impl Fresh {
    /// `world` is a fresh one, and is one again afterwards.
    pub fn new<P: Variant>(world: &mut World<P>) -> Self {
        let words = world.words().to_vec();
        Self { unread: unread_words(world), words }
    }

    /// Returns the number of a world. Asserts that its live blocks are those that the heap counts.
    pub fn image_of<P: Variant>(&self, world: &World<P>) -> u64 {
        let mut image = 0_u64;
        let mut add = |part, place, word| image = image.wrapping_add(mix(part, place, word));
        let (now, fresh) = (world.words(), &self.words);
        for start in (0..now.len()).step_by(TOGETHER) {
            let places = start..now.len().min(start + TOGETHER);
            if now[places.clone()] == fresh[places.clone()] {
                continue;
            }
            for place in places.filter(|&place| now[place] != fresh[place]) {
                if !self.unread.contains(&place) {
                    add(Part::State, place, now[place]);
                }
            }
        }
        let state = world.yard.state();
        add(Part::Break, 0, state.used * 2 + usize::from(state.refuses));
        state.foreign().iter().for_each(|&start| add(Part::Break, 1, start));
        for block in &world.live {
            add(Part::Live, block.offset, block.layout.size() << 8 | block.layout.align());
        }
        let (mut live, mut counted) = (world.live.iter().map(|block| block.offset).peekable(), 0);
        for cell in world.heap().cells() {
            let start = world.yard.offset_of(cell.address);
            let mut add_words = |from: usize, words: usize| {
                for place in (from..).step_by(WORD).take(words) {
                    let bytes = world.yard.bytes(place, WORD).try_into().expect("a word");
                    add(Part::Memory, place, usize::from_ne_bytes(bytes));
                }
            };
            let links = if P::GUARDED { 4 } else { 2 };
            match cell.state {
                CellState::Free | CellState::Top => add_words(start, 1 + links),
                CellState::Used => {
                    add_words(start, 1);
                    counted += 1;
                }
                CellState::Slab { block_size, live: in_slab, total } => {
                    add_words(start, 1);
                    counted += in_slab;
                    for block in (start + WORD..).step_by(block_size).take(total) {
                        while live.next_if(|&other| other < block).is_some() {}
                        if live.peek() != Some(&block) {
                            add_words(block, links / 2);
                        }
                    }
                }
                CellState::Hole => add(Part::Memory, start, cell.size),
                _ => add_words(start, cell.size / WORD),
            }
        }
        assert_eq!(counted, world.live.len(), "live blocks");
        image
    }
}

/// Returns the numbers of the words of a heap's state that no operation reads: those of the peak.
fn unread_words<P: Variant>(world: &mut World<P>) -> Vec<usize> {
    let start = world.save();
    let mut unread: Vec<_> = (0..world.words().len()).collect();
    for size in [1000, 1400] {
        assert!(world.allocate(Layout::from_size_align(size, 8).unwrap()), "it is fresh");
        world.free(0);
        let peak = world.heap().stats().peak_bytes;
        unread.retain(|&number| world.words()[number] == peak);
        world.restore(&start);
    }
    unread
}
