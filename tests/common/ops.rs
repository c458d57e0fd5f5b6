//! What a heap, and the world around it, may do; and how often in a random program.

use proptest::prelude::*;

use super::prelude::*;
use super::test_break::Part;

/// One step of a case. Blocks are named by a number that the oracle counts round and round.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    Allocate {
        size: usize,
        align: usize,
        zeroed: bool,
    },
    Free {
        block: usize,
    },
    Resize {
        block: usize,
        size: usize,
    },
    /// `Free` without the layout.
    FreeByAddress {
        block: usize,
    },
    /// `Resize` without the old layout, and with a new alignment.
    ResizeByAddress {
        block: usize,
        size: usize,
        align: usize,
    },
    Reserve {
        bytes: usize,
    },
    Trim {
        keep: usize,
    },
    SetTrim {
        threshold: usize,
    },
    ForeignUp {
        bytes: usize,
    },
    ForeignUndo,
    RefuseGrow(bool),
    RefuseShrink(bool),
    Surplus {
        bytes: usize,
    },
    Granule {
        log: u32,
    },
    /// Blocks of one layout, as many as there is room for: what slabs are for.
    AllocateMany {
        size: usize,
        align: usize,
        count: usize,
    },
    /// From some block on, each `step`-th one that is live then.
    FreeMany {
        block: usize,
        step: usize,
        count: usize,
    },
    Flush,
    MapThreshold {
        bytes: usize,
    },
    RefuseMap(bool),
    AddRegion {
        place: usize,
        part: Part,
        len: usize,
    },
}

/// Sizes that real programs ask for: mostly small, some large, now and then on the edge of
/// something.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => 0..300_usize,
        3 => (0..13_u32, 0..64_usize).prop_map(|(log, more)| (1 << log) + more),
        1 => 0..100_000_usize,
    ]
}

/// Sizes that slabs serve, or nearly.
fn small_size() -> impl Strategy<Value = usize> {
    prop_oneof![5 => 0..64_usize, 1 => 0..1100_usize]
}

fn align() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..5_u32, 1 => 5..14_u32].prop_map(|log| 1 << log)
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![Just(Part::Whole), Just(Part::Lower), Just(Part::Upper), Just(Part::Middle)]
}

/// Lengths of regions, among them many that are too short.
fn region_len() -> impl Strategy<Value = usize> {
    prop_oneof![0..100_usize, 0..3_000_usize]
}

/// Everything that a heap and the world around it may do.
pub fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        24 => (size(), align(), any::<bool>()).prop_map(|(size, align, zeroed)| Op::Allocate { size, align, zeroed }),
        16 => any::<usize>().prop_map(|block| Op::Free { block }),
        4 => any::<usize>().prop_map(|block| Op::FreeByAddress { block }),
        9 => (any::<usize>(), size()).prop_map(|(block, size)| Op::Resize { block, size }),
        3 => (any::<usize>(), size(), align()).prop_map(|(block, size, align)| Op::ResizeByAddress { block, size, align }),
        1 => (0..40_000_usize).prop_map(|bytes| Op::Reserve { bytes }),
        2 => (0..20_000_usize).prop_map(|keep| Op::Trim { keep }),
        1 => (0..60_000_usize).prop_map(|threshold| Op::SetTrim { threshold }),
        2 => (1..9_000_usize).prop_map(|bytes| Op::ForeignUp { bytes }),
        1 => Just(Op::ForeignUndo),
        1 => any::<bool>().prop_map(Op::RefuseGrow),
        1 => any::<bool>().prop_map(Op::RefuseShrink),
        1 => (0..10_000_usize).prop_map(|bytes| Op::Surplus { bytes }),
        1 => (0..13_u32).prop_map(|log| Op::Granule { log }),
        2 => (any::<usize>(), part(), region_len()).prop_map(|(place, part, len)| Op::AddRegion { place, part, len }),
        1 => (small_size(), 0..5_u32, 1..120_usize).prop_map(|(size, log, count)| Op::AllocateMany { size, align: 1 << log, count }),
        1 => (any::<usize>(), 0..3_usize, 1..120_usize).prop_map(|(block, step, count)| Op::FreeMany { block, step, count }),
        1 => Just(Op::Flush),
        1 => size().prop_map(|bytes| Op::MapThreshold { bytes }),
        1 => any::<bool>().prop_map(Op::RefuseMap),
    ]
}
