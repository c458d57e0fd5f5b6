//! What a fresh heap grants. A heap with nothing live is as good.

use core::alloc::Layout;

use brkalloc::CellState;

use super::world::{ALIGNS, World};
use crate::common::profile::{Variant, WORD};

/// Ways to ask for memory.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Allocate,
    Aligned,
    Zeroed,
    /// Of a block that is a cell.
    Reallocate,
    Reserve,
}

/// Request for memory.
#[derive(Clone, Copy, Debug)]
struct Request {
    kind: Kind,
    size: usize,
}

impl Request {
    const KINDS: [Kind; 5] =
        [Kind::Allocate, Kind::Aligned, Kind::Zeroed, Kind::Reallocate, Kind::Reserve];

    /// Size of the block that is resized, in bytes.
    const RESIZED: usize = 1500;

    /// Returns whether a heap grants the request. The block is freed.
    fn is_granted<P: Variant>(self, world: &mut World<P>) -> bool {
        let heap = world.heap_mut();
        let align = if matches!(self.kind, Kind::Aligned) { ALIGNS[1] } else { ALIGNS[0] };
        let of = |size| Layout::from_size_align(size, align).expect("less than there is");
        // SAFETY: the yard's memory outlives the heap; the block is freed once, with its layout.
        unsafe {
            let block = match self.kind {
                Kind::Allocate | Kind::Aligned => heap.allocate(of(self.size)),
                Kind::Zeroed => heap.allocate_zeroed(of(self.size)),
                Kind::Reallocate => {
                    let Some(block) = heap.allocate(of(Self::RESIZED)) else { return false };
                    let resized = heap.reallocate(block, of(Self::RESIZED), self.size);
                    if resized.is_none() {
                        heap.deallocate(block, of(Self::RESIZED));
                    }
                    resized
                }
                Kind::Reserve => return heap.reserve(self.size).is_ok(),
            };
            block.inspect(|&block| heap.deallocate(block, of(self.size))).is_some()
        }
    }
}

/// Requests that a fresh heap grants.
pub struct Granted {
    /// For each kind, the sizes that are granted, in ascending order.
    granted: Vec<(Kind, Vec<usize>)>,
}

impl Granted {
    /// `world` is a fresh one, and is one again afterwards.
    pub fn new<P: Variant>(world: &mut World<P>) -> Self {
        let (start, len) = (world.save(), world.yard.len);
        let mut sizes_of = |kind| {
            let mut is_granted = |size: &usize| {
                world.restore(&start);
                Request { kind, size: *size }.is_granted(world)
            };
            let sizes = (1..=len).step_by(WORD - 1);
            (kind, sizes.filter(&mut is_granted).collect())
        };
        let granted = Request::KINDS.into_iter().map(&mut sizes_of).collect();
        world.restore(&start);
        Self { granted }
    }

    /// Returns one of the requests, often the largest of its kind.
    fn request(&self, chance: u64) -> Request {
        let chance = chance as usize;
        let (kind, sizes) = &self.granted[chance % self.granted.len()];
        let chance = chance / self.granted.len();
        let last = sizes.len() - 1;
        let index = if chance % 4 < 3 { last } else { chance / 4 % sizes.len() };
        Request { kind: *kind, size: sizes[index] }
    }

    /// Frees everything, in the order of addresses or against it. The heap grants what a fresh one
    /// grants then. It is flushed.
    pub fn drain<P: Variant>(&self, world: &mut World<P>, chance: u64) {
        while !world.live.is_empty() {
            world.free(if chance % 2 == 0 { 0 } else { world.live.len() - 1 });
        }
        if world.yard.state().foreign().is_empty() {
            world.yard.refuse(false);
            let request = self.request(chance >> 1);
            assert!(request.is_granted(world), "{request:?} is granted by a fresh heap");
        }
        world.heap_mut().flush();
    }
}

/// Asserts that each region of a world without live blocks is one free cell.
pub fn assert_all_free<P: Variant>(world: &World<P>) {
    let mut was_free = false;
    for cell in world.heap().cells() {
        let is_free = matches!(cell.state, CellState::Free | CellState::Top);
        let is_alone = !is_free || !was_free;
        assert!(
            is_alone && (is_free || cell.state == CellState::Hole),
            "with nothing live: {}",
            world.heap().cells()
        );
        was_free = is_free;
    }
}
