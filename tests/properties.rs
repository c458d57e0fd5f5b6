//! Random programs against an oracle that knows every live block, on a break with every bad habit.

#[cfg(test)]
mod common;

use proptest::prelude::*;

use crate::common::cases;
use crate::common::driver::Driver;
use crate::common::ops::{Op, op};
use crate::common::platform::{during_property, properties};
use crate::common::prelude::*;
use crate::common::subject::Subject;
use crate::common::test_break::BadBreak;

cases!(
    heap_keeps_every_promise,
    heap_keeps_every_promise_when_memory_is_short,
    heap_keeps_every_promise_over_zeroed_memory,
    mapping_heap_keeps_every_promise,
    mapping_heap_keeps_every_promise_when_memory_is_short,
    uncached_heap_keeps_every_promise,
    uncached_heap_keeps_every_promise_when_memory_is_short,
    plain_heap_keeps_every_promise,
    plain_heap_keeps_every_promise_when_memory_is_short,
    plain_heap_keeps_every_promise_over_zeroed_memory,
    simple_heap_keeps_every_promise,
    simple_heap_keeps_every_promise_when_memory_is_short,
);

const REGION: usize = 1 << 20;

/// Runs a program on what `over` makes of a break over `len` bytes.
fn run<H: Subject<ZEROED>, const ZEROED: bool>(
    over: fn(BadBreak<ZEROED>) -> Driver<H, ZEROED>,
    ops: &[Op],
    len: usize,
    skew: usize,
) {
    during_property(&(len, skew, ops), || over(BadBreak::new(len, skew)).run(ops));
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..200)
}

proptest! {
    #![proptest_config(properties())]

    fn heap_keeps_every_promise(ops in ops(), skew in 0..100_usize) {
        run::<_, false>(Driver::full, &ops, REGION, skew);
    }

    fn heap_keeps_every_promise_when_memory_is_short(ops in ops(), len in 100..100_000_usize, skew in 0..100_usize) {
        run::<_, false>(Driver::full, &ops, len, skew);
    }

    /// Over memory that is zero when granted, which a zeroed block may rely on.
    fn heap_keeps_every_promise_over_zeroed_memory(ops in ops(), len in 1_000..REGION, skew in 0..100_usize) {
        run::<_, true>(Driver::full, &ops, len, skew);
    }

    fn mapping_heap_keeps_every_promise(ops in ops(), skew in 0..100_usize) {
        run::<_, false>(Driver::mapping, &ops, REGION, skew);
    }

    /// Blocks that have become small cannot leave their mappings.
    fn mapping_heap_keeps_every_promise_when_memory_is_short(ops in ops(), len in 100..30_000_usize, skew in 0..100_usize) {
        run::<_, false>(Driver::mapping, &ops, len, skew);
    }

    fn uncached_heap_keeps_every_promise(ops in ops(), skew in 0..100_usize) {
        run::<_, false>(Driver::uncached, &ops, REGION, skew);
    }

    fn uncached_heap_keeps_every_promise_when_memory_is_short(ops in ops(), len in 100..100_000_usize, skew in 0..100_usize) {
        run::<_, false>(Driver::uncached, &ops, len, skew);
    }

    fn plain_heap_keeps_every_promise(ops in ops(), skew in 0..100_usize) {
        run::<_, false>(Driver::plain, &ops, REGION, skew);
    }

    fn plain_heap_keeps_every_promise_when_memory_is_short(ops in ops(), len in 100..30_000_usize, skew in 0..100_usize) {
        run::<_, false>(Driver::plain, &ops, len, skew);
    }

    fn plain_heap_keeps_every_promise_over_zeroed_memory(ops in ops(), len in 1_000..REGION, skew in 0..100_usize) {
        run::<_, true>(Driver::plain, &ops, len, skew);
    }

    fn simple_heap_keeps_every_promise(ops in ops(), skew in 0..100_usize) {
        run::<_, false>(Driver::simple, &ops, REGION, skew);
    }

    fn simple_heap_keeps_every_promise_when_memory_is_short(ops in ops(), len in 100..30_000_usize, skew in 0..100_usize) {
        run::<_, false>(Driver::simple, &ops, len, skew);
    }
}
