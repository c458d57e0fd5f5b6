//! Small worlds: all short programs, each on a heap of a few KiB. Worlds that are alike count once.
//!
//! ```text
//!   start ──► each action ──► worlds of depth 1 ──► each action ──► worlds of depth 2 ──► …
//!                                  │
//!                                  └ a new one: verified, then all is freed, and the heap must be
//!                                    as good as a fresh one
//! ```
//!
//! | file | part |
//! |---|---|
//! | `worlds/yard.rs` | memory of a world, and its break |
//! | `worlds/world.rs` | a heap with its live blocks, and what may happen to them |
//! | `worlds/image.rs` | what tells worlds apart |
//! | `worlds/fresh.rs` | what a heap grants once nothing is live |
//! | `worlds/search.rs` | all programs, by depth |
//!
//! | variable | means |
//! |---|---|
//! | `WORLDS_DEPTH` | number of actions of the longest programs from a fresh heap on |
//! | `WORLDS_SECONDS` | time after which a search from a fresh heap ends in the middle of a depth; one from another start takes a sixth |

#[path = "worlds/fresh.rs"]
mod fresh;
#[path = "worlds/image.rs"]
mod image;
#[path = "worlds/search.rs"]
mod search;
#[path = "worlds/world.rs"]
mod world;
#[path = "worlds/yard.rs"]
mod yard;

host_only!("a search for its own sake, with sets of a million worlds");

use core::alloc::Layout;
use core::any::{TypeId, type_name};
use std::io::{self, Write as _};

use brkalloc::inner::Miniature;
use brkalloc::{CellInfo, CellState};

use crate::common::case;
use crate::common::platform::host_only;
use crate::common::profile::Variant;
use search::{Found, Search, variable};
use world::{Action, SIZES, World};
use yard::Yard;

/// Number of actions of the longest programs, unless `WORLDS_DEPTH` says another.
fn depth_of<P: Variant>() -> usize {
    let usual = if TypeId::of::<P>() == TypeId::of::<Miniature>() { 5 } else { 4 };
    variable("WORLDS_DEPTH").unwrap_or(usual)
}

/// Says what was found, even if the output of tests that pass is not shown.
fn report<P: Variant>(start: &str, found: &[Found]) {
    let worlds: usize = found.iter().map(|found| found.worlds).sum();
    let depths: Vec<_> = found.iter().map(|found| found.depth.to_string()).collect();
    let (depths, profile) =
        (depths.join(", "), type_name::<P>().replace("brkalloc::profile::", ""));
    let line =
        format!("worlds: {worlds} of {profile} from {start}: all programs of {depths} actions\n");
    io::stdout().lock().write_all(line.as_bytes()).expect("there is an output");
}

#[case(Usual, Miniature, Checked<Miniature>, Plain, Small, Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn every_short_program_keeps_every_promise<P: Variant>() {
    let yard = Yard::new(3000);
    let mut search = Search::<P>::new(&yard, |_| ());
    report::<P>("a fresh heap", &[search.run_all(depth_of::<P>(), variable("WORLDS_SECONDS"))]);
}

#[case(Miniature)]
fn a_block_is_not_moved_and_becomes_longer_where_its_slab_was<P: Variant>() {
    let yard = Yard::new(3000);
    let mut world = World::<P>::new(&yard);
    for (size, align) in [(1, 0), (0, 1), (1, 1), (0, 1)] {
        world.step(Action::Allocate { size, align });
    }
    world.step(Action::RefuseGrowth(true));
    // A step asserts that what is refused once is refused again.
    world.step(Action::Resize { block: 3, size: 2 });
    world.verify();
}

/// Allocates cells until a slab has begun, and blocks until it is full.
fn fill_a_slab<P: Variant>(world: &mut World<P>) {
    let is_full =
        |cell: CellInfo| matches!(cell.state, CellState::Slab { live, total, .. } if live == total);
    while !world.heap().cells().any(is_full) {
        assert!(world.allocate(Layout::new::<[u64; 3]>()), "there is room for a slab");
    }
}

/// Frees all blocks but the lowest one and `left` of the slab.
fn free_all_but<P: Variant>(world: &mut World<P>, left: usize) {
    while world.live.len() > left + 1 {
        world.free(1);
    }
}

/// Allocates until all memory is taken and growth is refused.
fn fill_the_rest<P: Variant>(world: &mut World<P>) {
    world.yard.refuse(true);
    for size in SIZES.into_iter().rev() {
        while world.allocate(Layout::from_size_align(size, 8).unwrap()) {}
    }
}

/// Steps from a fresh world to the start of a search.
type Prelude<P> = fn(&mut World<P>);

/// Worlds that a short program does not reach: a full slab, one with few live blocks, and a full
/// slab where memory is short. There is more to do in each than in a fresh heap, so programs are
/// shorter by as many actions as beside each start.
#[case(Usual, Miniature, Checked<Miniature>, Checked<Usual>)]
fn every_short_program_keeps_every_promise_once_slabs_have_begun<P: Variant>() {
    let starts: [(Prelude<P>, usize); 3] = [
        (|world| fill_a_slab(world), 2),
        (|world| (fill_a_slab(world), free_all_but(world, 2)).1, 1),
        (|world| (fill_a_slab(world), fill_the_rest(world)).1, 1),
    ];
    let found = starts.map(|(prelude, shorter)| {
        let yard = Yard::new(24 << 10);
        let seconds = variable("WORLDS_SECONDS").map(|seconds| seconds.div_ceil(6));
        Search::<P>::new(&yard, prelude).run_all(depth_of::<P>() - shorter, seconds)
    });
    report::<P>("slabs", &found);
}
