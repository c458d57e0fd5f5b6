//! Random programs against an oracle that knows every live block, on a break with every bad habit.

use brkalloc::{Heap, NoMap};
use proptest::prelude::*;

use crate::common::case;
use crate::common::driver::Driver;
use crate::common::ops::{Op, op};
use crate::common::prelude::*;
use crate::common::profile::Variant;
use crate::common::property::{for_all, for_some};
use crate::common::subject::Subject;
use crate::common::test_break::BadBreak;
use crate::common::test_map::TestMap;

const REGION: usize = 1 << 20;

/// A break of this length, this far above an aligned address, and what is done with a heap over it.
type Program = (Vec<Op>, usize, usize);

fn programs(len: core::ops::Range<usize>) -> impl Strategy<Value = Program> {
    (prop::collection::vec(op(), 1..200), len, 0..100_usize)
}

/// Runs a program on what `over` makes of its break.
fn run<H: Subject<ZEROED>, const ZEROED: bool>(
    over: fn(BadBreak<ZEROED>) -> Driver<H, ZEROED>,
) -> impl Fn(&Program) {
    move |(ops, len, skew)| over(BadBreak::new(*len, *skew)).run(ops)
}

#[case(Usual, Plain, Small, Miniature, Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn heap_keeps_every_promise<P: Variant>() {
    for_all::<P, _>(&programs(REGION..REGION + 1), run(Driver::<Heap<_, NoMap, P>>::full));
}

#[case(Usual, Plain, Small, Miniature, Checked<Usual>, Checked<Miniature>, Checked<Plain>, Checked<Small>)]
fn heap_keeps_every_promise_when_memory_is_short<P: Variant>() {
    for_all::<P, _>(&programs(100..100_000), run(Driver::<Heap<_, NoMap, P>>::full));
}

/// Over memory that is zero when granted, which a zeroed block may rely on.
#[case(Usual, Plain, Small, Checked<Usual>)]
fn heap_keeps_every_promise_over_zeroed_memory<P: Variant>() {
    for_all::<P, _>(&programs(1_000..REGION), run(Driver::<Heap<_, NoMap, P>, true>::full));
}

#[case(Usual, Plain, Small, Checked<Usual>)]
fn mapping_heap_keeps_every_promise<P: Variant>() {
    for_all::<P, _>(&programs(REGION..REGION + 1), run(Driver::<Heap<_, TestMap, P>>::mapping));
}

#[case(Usual, Plain, Small, Checked<Usual>)]
fn mapping_heap_keeps_every_promise_when_memory_is_short<P: Variant>() {
    for_all::<P, _>(&programs(100..100_000), run(Driver::<Heap<_, TestMap, P>>::mapping));
}

#[case]
fn simple_heap_keeps_every_promise() {
    for_some(2, &programs(REGION..REGION + 1), run(Driver::simple));
}

#[case]
fn simple_heap_keeps_every_promise_when_memory_is_short() {
    for_some(2, &programs(100..30_000), run(Driver::simple));
}
