//! Random programs against an oracle that knows every live block, on a break with every bad habit.

mod common;

use brkalloc::{Heap, SimpleHeap};
use common::driver::{Driver, Op, op};
use common::subject::Subject;
use common::test_break::BadBreak;
use proptest::prelude::*;

const REGION: usize = 1 << 20;

fn run<H: Subject<ZEROED>, const ZEROED: bool>(ops: &[Op], len: usize, skew: usize) {
    Driver::<H, ZEROED>::new(BadBreak::new(len, skew)).run(ops);
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn heap_keeps_every_promise(ops in ops(), skew in 0..100_usize) {
        run::<Heap<_>, false>(&ops, REGION, skew);
    }

    #[test]
    fn heap_keeps_every_promise_when_memory_is_short(ops in ops(), len in 100..30_000_usize, skew in 0..100_usize) {
        run::<Heap<_>, false>(&ops, len, skew);
    }

    /// Over memory that is zero when granted, which a zeroed block may rely on.
    #[test]
    fn heap_keeps_every_promise_over_zeroed_memory(ops in ops(), len in 1_000..REGION, skew in 0..100_usize) {
        run::<Heap<_>, true>(&ops, len, skew);
    }

    #[test]
    fn simple_heap_keeps_every_promise(ops in ops(), skew in 0..100_usize) {
        run::<SimpleHeap<_>, false>(&ops, REGION, skew);
    }

    #[test]
    fn simple_heap_keeps_every_promise_when_memory_is_short(ops in ops(), len in 100..30_000_usize, skew in 0..100_usize) {
        run::<SimpleHeap<_>, false>(&ops, len, skew);
    }
}
