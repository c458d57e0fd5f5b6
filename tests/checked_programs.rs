//! Random programs on checked heaps: a correct program causes no report, and each misuse causes
//! one.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::MisuseKind;
use proptest::prelude::*;

use crate::common::case;
use crate::common::driver::assert_nothing_fits;
use crate::common::misuse::{
    Bench, CheckedVariant, NOTHING, addr, at, layout, overwrite, read, reported, the_report,
};
use crate::common::oracle::{Block, Oracle};
use crate::common::profile::WORD;
use crate::common::property::for_all;

/// What a program does: mostly what it may.
#[derive(Clone, Copy, Debug)]
enum Op {
    Allocate { size: usize, align: u32, zeroed: bool },
    Free(usize),
    Resize { block: usize, size: usize },
    Flush,
    Trim,
    FreeTwice(usize),
    FreeInside { block: usize, offset: usize },
    FreeWithSize { block: usize, size: usize },
    Overflow { block: usize, by: usize },
    WriteAfterFree { block: usize, value: usize },
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0..300_usize, 2 => 300..3000_usize, 1 => 3000..20_000_usize, 1 => 130_000..200_000_usize]
}

fn right() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (size(), 0..8_u32, any::<bool>()).prop_map(|(size, align, zeroed)| Op::Allocate { size, align, zeroed }),
        8 => any::<usize>().prop_map(Op::Free),
        6 => (any::<usize>(), size()).prop_map(|(block, size)| Op::Resize { block, size }),
        1 => Just(Op::Flush),
        1 => Just(Op::Trim),
    ]
}

fn wrong() -> impl Strategy<Value = Op> {
    prop_oneof![
        any::<usize>().prop_map(Op::FreeTwice),
        (any::<usize>(), 1..500_usize).prop_map(|(block, offset)| Op::FreeInside { block, offset }),
        (any::<usize>(), size()).prop_map(|(block, size)| Op::FreeWithSize { block, size }),
        (any::<usize>(), 0..WORD).prop_map(|(block, by)| Op::Overflow { block, by }),
        (any::<usize>(), any::<usize>())
            .prop_map(|(block, value)| Op::WriteAfterFree { block, value }),
    ]
}

/// A bench, and an oracle that knows what may be freed.
struct Program<P: CheckedVariant> {
    bench: Bench<P>,
    oracle: Oracle,
}

impl<P: CheckedVariant> Program<P> {
    fn new() -> Self {
        Self { bench: Bench::new(), oracle: Oracle::default() }
    }

    fn step(&mut self, op: Op) {
        let heap = &mut self.bench.heap;
        match op {
            Op::Allocate { size, align, zeroed } => {
                let layout = layout(size, 1 << align);
                // SAFETY: the heap outlives the case.
                let block = if zeroed {
                    // SAFETY: the heap outlives the case.
                    unsafe { heap.allocate_zeroed(layout) }
                } else {
                    // SAFETY: the heap outlives the case.
                    unsafe { heap.allocate(layout) }
                };
                let Some(at) = block else { return assert_nothing_fits(heap, layout) };
                // SAFETY: a live block.
                assert_eq!(unsafe { heap.usable_size(at) }, size);
                if zeroed {
                    self.oracle.add_zeroed(at, layout)
                } else {
                    self.oracle.add(at, layout)
                };
            }
            Op::Resize { block, size } => {
                let Some(block) = self.oracle.pick(block) else { return };
                let new = layout(size, block.layout.align());
                // SAFETY: the oracle knows it as live, with this layout.
                match unsafe { heap.reallocate(block.at, block.layout, size) } {
                    Some(at) => drop(self.oracle.moved(&block, at, new)),
                    None => assert_nothing_fits(heap, new),
                }
            }
            Op::Flush => heap.flush(),
            Op::Trim => drop(heap.trim(0)),
            Op::Free(block) => drop(self.free(block)),
            Op::FreeTwice(block) => {
                let granted = self.bench.heap.provider().granted();
                let Some((at, layout)) = self.free(block) else { return };
                self.bench.free(at, layout);
                // Memory that was given back is not verified.
                let went_back = self.bench.heap.provider().granted() < granted
                    && !self.bench.heap.owns(at.as_ptr());
                self.assert_reported(
                    if went_back { MisuseKind::NeverAllocated } else { MisuseKind::DoubleFree },
                    at,
                );
            }
            Op::FreeInside { block, offset } => {
                let Some(block) =
                    self.oracle.pick(block).filter(|block| offset < block.layout.size())
                else {
                    return;
                };
                let inside = at(block.at, offset as isize);
                self.bench.free(inside, layout(8, 1));
                // Unless something was freed just there before.
                let report = the_report();
                assert!(
                    matches!(report.kind, MisuseKind::NeverAllocated | MisuseKind::DoubleFree),
                    "{report}"
                );
                assert_eq!(report.block, addr(inside));
            }
            Op::FreeWithSize { block, size } => {
                let Some(block) =
                    self.oracle.pick(block).filter(|block| block.layout.size() != size)
                else {
                    return;
                };
                self.bench.free(block.at, layout(size, block.layout.align()));
                self.assert_reported(MisuseKind::WrongSize, block.at);
            }
            Op::Overflow { block, by } => {
                let Some(block) = self.oracle.pick(block) else { return };
                let behind = at(block.at, (block.layout.size() + by) as isize);
                // SAFETY: behind the block's end, but in the memory that the heap gave to it: there
                // are two words at least.
                unsafe { behind.write(!behind.read()) };
                self.oracle.remove(&block);
                self.bench.free(block.at, block.layout);
                self.assert_reported(MisuseKind::Overflow, block.at);
            }
            Op::WriteAfterFree { block, value } => {
                let mapped = |block: &Block| block.layout.size() > 120_000;
                let Some(known) = self.oracle.pick(block).filter(|block| !mapped(block)) else {
                    return;
                };
                self.oracle.remove(&known);
                self.bench.free(known.at, known.layout);
                let link = addr(known.at);
                // Only in a slab: there its first word is a link, until it is taken again.
                let is_in_slab = self.bench.slab_around(known.at).is_some();
                if is_in_slab && read(known.at, link) != value {
                    self.write_after_free(&known, value);
                }
            }
        }
    }

    /// Overwrites the link of a freed block of a slab, and allocates until the heap comes upon it.
    fn write_after_free(&mut self, freed: &Block, value: usize) {
        let (link, was) = (addr(freed.at), read(freed.at, addr(freed.at)));
        overwrite(freed.at, link, value);
        for _ in 0..200 {
            let next = self.bench.allocate(freed.layout);
            if next == freed.at {
                self.assert_reported(MisuseKind::WriteAfterFree, freed.at);
                self.oracle.add(next, freed.layout);
                return;
            }
            // What was lost behind an earlier one is no longer in a list.
            assert_eq!(reported(), NOTHING);
            self.oracle.add(next, freed.layout);
        }
        // Its turn has not come yet.
        if self.bench.slab_around(freed.at).is_some() {
            overwrite(freed.at, link, was);
        }
    }

    fn free(&mut self, block: usize) -> Option<(NonNull<u8>, Layout)> {
        let block = self.oracle.pick(block)?;
        self.oracle.remove(&block);
        self.bench.free(block.at, block.layout);
        assert_eq!(reported(), NOTHING);
        Some((block.at, block.layout))
    }

    fn assert_reported(&self, kind: MisuseKind, block: NonNull<u8>) {
        let report = the_report();
        assert_eq!((report.kind, report.block), (kind, addr(block)), "{report}");
    }

    fn run(mut self, ops: &[Op]) {
        for &op in ops {
            self.step(op);
            assert_eq!(reported(), NOTHING, "after {op:?}");
            self.bench.heap.check().unwrap();
        }
        self.oracle.assert_all_filled();
        while self.free(0).is_some() {}
        self.bench.heap.flush();
        assert_eq!(reported(), NOTHING);
        self.bench.heap.check().unwrap();
        assert_eq!(
            self.bench.heap.map_provider().count() > 0,
            self.bench.heap.stats().mapped_blocks > 0
        );
    }
}

#[case(Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn programs_without_misuse_are_not_reported<P: CheckedVariant>() {
    for_all::<P, _>(&prop::collection::vec(right(), 1..300), |ops| Program::<P>::new().run(ops));
}

#[case(Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn every_injected_misuse_is_reported<P: CheckedVariant>() {
    let op = prop_oneof![3 => right(), 1 => wrong()];
    for_all::<P, _>(&prop::collection::vec(op, 1..300), |ops| Program::<P>::new().run(ops));
}
