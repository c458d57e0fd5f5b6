//! Replays the fuzzer's seeds: every input that once found a bug, and the few that together reach
//! all of the code.

#[cfg(test)]
mod common;

use crate::common::cases;
use crate::common::platform::during;
use crate::common::program::Program;
use crate::common::seeds::{HEAP, SIMPLE_HEAP, Seed};

cases!(
    heap_keeps_every_promise_with_every_seed,
    uncached_heap_keeps_every_promise_with_every_seed,
    plain_heap_keeps_every_promise_with_every_seed,
    mapping_heap_keeps_every_promise_with_every_seed,
    simple_heap_keeps_every_promise_with_every_seed,
);

/// Runs each seed. If one fails, its name and what it does are shown.
fn replay(seeds: &[Seed], run: fn(&Program)) {
    for seed in seeds {
        let program = Program::decode(seed.bytes);
        during(&(seed.name, &program), || run(&program));
    }
}

fn heap_keeps_every_promise_with_every_seed() {
    replay(HEAP, Program::run_on_heap);
}

fn uncached_heap_keeps_every_promise_with_every_seed() {
    replay(HEAP, Program::run_on_uncached_heap);
}

fn plain_heap_keeps_every_promise_with_every_seed() {
    replay(HEAP, Program::run_on_plain_heap);
}

fn mapping_heap_keeps_every_promise_with_every_seed() {
    replay(HEAP, Program::run_on_mapping_heap);
}

fn simple_heap_keeps_every_promise_with_every_seed() {
    replay(SIMPLE_HEAP, Program::run_on_simple_heap);
}

/// A kernel has no folders: the seeds are compiled in, from a list.
#[test]
fn every_file_is_listed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (target, seeds) in [("heap", HEAP), ("simple_heap", SIMPLE_HEAP)] {
        let folder = folder.join(target);
        let entries = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        let listed: Vec<_> = seeds.iter().map(|seed| seed.name).collect();
        assert_eq!(files, listed, "in {}; the list is in tests/common/seeds.rs", folder.display());
    }
}
