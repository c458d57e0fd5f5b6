//! Profiles: types that choose the parts of a heap.
//!
//! | profile | small blocks | bins | purpose |
//! |---|---|---|---|
//! | [`Usual`] | slabs | fine | speed and little memory overhead |
//! | [`Plain`] | cells | fine | the documents' heap, for inspection and teaching |
//! | [`Small`] | cells | coarse | microcontrollers: little state and code |
//! | [`Checked<P>`] | as `P` | as `P` | detection of a caller's misuse |
//!
//! One build can have heaps of all profiles. The code of each is compiled separately.

use core::marker::PhantomData;

use crate::bins::{Binning, Classes, Coarse, Fine};
use crate::cell::Form;
use crate::check::LayerRules;
use crate::checks::{CheckState, NoChecks};
use crate::chunks::Tuning;
use crate::inspect::LayerView;
use crate::layer::{Layer, NoLayer};
use crate::segments::{ArenaLayer, SegmentSlabs};
use crate::slab_tuning::{ArenaSlabs, MiniatureSlabs, UsualSlabs};
use crate::slabs::Slabs;

/// Parts of a heap: [`Usual`], [`Plain`], [`Small`] or [`Checked`].
///
/// Sealed: other crates cannot implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a profile of a heap",
    note = "the profiles are `Usual`, `Plain`, `Small` and `Checked<P>`"
)]
pub trait Profile: Tuning {
    /// Layer of small blocks in a heap of profile `Q`.
    #[doc(hidden)]
    type LayerOf<Q: Tuning>: Layer<Q> + LayerRules<Q> + LayerView;

    /// Layer of small blocks in an arena's heap of profile `Q`, in an
    /// [`ArenaHeap`](crate::ArenaHeap) of this profile.
    #[doc(hidden)]
    type ArenaLayerOf<Q: Tuning>: ArenaLayer<Q> + LayerRules<Q> + LayerView;
}

/// Minimum distance by which a heap with slabs moves the break up if it can, in bytes: requests for
/// small blocks are frequent, and a slab needs several pages.
const GROWTH_STEP: usize = 64 << 10;

/// Minimum distance by which a heap with miniature slabs moves the break up, in bytes.
const MINIATURE_STEP: usize = 512;

/// Defines a profile: an empty enum with the traits of each module.
macro_rules! profile {
    (
        $(#[$doc:meta])*
        $name:ident: compact $compact:literal, $classes:ty, growth $growth:expr,
        $layer:ident $slabs:ty, arena $arena_layer:ident
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl Form for $name {
            const CHECKED: bool = false;
            const COMPACT: bool = $compact;
        }

        impl Binning for $name {
            type Classes = $classes;
            type Lengths = [usize; 0];
            const NO_LENGTHS: Self::Lengths = [];
        }

        impl Tuning for $name {
            const GROWTH_STEP: usize = $growth;
            type Checks = NoChecks;
            type Slabs = $slabs;
        }

        impl Profile for $name {
            type LayerOf<Q: Tuning> = profile!(@layer Q $layer);
            type ArenaLayerOf<Q: Tuning> = profile!(@layer Q $arena_layer);
        }
    };
    (@layer $q:ident SegmentSlabs) => { SegmentSlabs<$q> };
    (@layer $q:ident Slabs) => { Slabs<$q> };
    (@layer $q:ident NoLayer) => { NoLayer };
}

profile! {
    /// Default profile: small and medium blocks from slabs, other blocks from cells in fine bins.
    Usual: compact false, Fine, growth GROWTH_STEP, Slabs UsualSlabs, arena SegmentSlabs
}

profile! {
    /// Profile for tests that run all short programs: [`Usual`] with granules of 64 bytes, and
    /// slabs of a few blocks that begin early. It serves no other purpose.
    #[doc(hidden)]
    Miniature: compact false, Fine, growth MINIATURE_STEP, Slabs MiniatureSlabs, arena SegmentSlabs
}

profile! {
    /// The documents' heap: every block is a cell, and the heap coalesces a freed cell with its
    /// neighbours at once. A walk shows all of the heap's memory.
    Plain: compact false, Fine, growth 0, NoLayer UsualSlabs, arena NoLayer
}

profile! {
    /// Profile for small targets: [`Plain`] with coarse bins and little code. On 32-bit, the state
    /// with a lock and a [`FixedBreak`](crate::FixedBreak) has at most 128 bytes.
    Small: compact true, Coarse, growth 0, NoLayer UsualSlabs, arena NoLayer
}

/// Profile `P` with detection of misuse: the heap finds double frees, wrong layouts, overflows and
/// writes after free, and reports them to a [hook](crate::Heap::set_misuse_hook).
///
/// Each block is longer by a record of two words, and every operation is slower.
#[derive(Debug)]
pub struct Checked<P = Usual>(PhantomData<fn() -> P>);

impl<P: Profile> Form for Checked<P> {
    const CHECKED: bool = true;
    const COMPACT: bool = P::COMPACT;
}

impl<P: Profile> Binning for Checked<P> {
    type Classes = P::Classes;
    type Lengths = <P::Classes as Classes>::Counts;
    const NO_LENGTHS: Self::Lengths = <P::Classes as Classes>::NO_COUNTS;
}

impl<P: Profile> Tuning for Checked<P> {
    const GROWTH_STEP: usize = P::GROWTH_STEP;
    type Checks = CheckState;
    type Slabs = P::Slabs;
}

impl<P: Profile> Profile for Checked<P> {
    type LayerOf<Q: Tuning> = P::LayerOf<Q>;
    type ArenaLayerOf<Q: Tuning> = P::ArenaLayerOf<Q>;
}

/// Profile of an arena's heap, in an [`ArenaHeap`](crate::ArenaHeap) of profile `P`.
#[derive(Debug)]
pub struct OfArena<P>(PhantomData<fn() -> P>);

impl<P: Profile> Form for OfArena<P> {
    const CHECKED: bool = P::CHECKED;
    const COMPACT: bool = P::COMPACT;
}

impl<P: Profile> Binning for OfArena<P> {
    type Classes = P::Classes;
    type Lengths = P::Lengths;
    const NO_LENGTHS: Self::Lengths = P::NO_LENGTHS;
}

impl<P: Profile> Tuning for OfArena<P> {
    const GROWTH_STEP: usize = 0;
    type Checks = P::Checks;
    type Slabs = ArenaSlabs;
}

impl<P: Profile> Profile for OfArena<P> {
    type LayerOf<Q: Tuning> = P::ArenaLayerOf<Q>;
    type ArenaLayerOf<Q: Tuning> = P::ArenaLayerOf<Q>;
}
