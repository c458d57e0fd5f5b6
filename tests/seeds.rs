//! Replays the fuzzer's seeds: every input that once found a bug, and the few that together reach
//! all of the code.

use crate::common::case;
use crate::common::platform::during;
use crate::common::profile::Variant;
use crate::common::program::Program;
use crate::common::seeds::{HEAP, SIMPLE_HEAP, Seed};

/// Runs each seed. If one fails, its name and what it does are shown.
fn replay(seeds: &[Seed], run: fn(&Program)) {
    for seed in seeds {
        let program = Program::decode(seed.bytes);
        during(&(seed.name, &program), || run(&program));
    }
}

#[case(Usual, Plain, Small, Miniature, Checked<Usual>)]
fn heap_keeps_every_promise_with_every_seed<P: Variant>() {
    replay(HEAP, Program::run_on_heap::<P>);
}

#[case(Usual, Plain, Small, Checked<Usual>)]
fn mapping_heap_keeps_every_promise_with_every_seed<P: Variant>() {
    replay(HEAP, Program::run_on_mapping_heap::<P>);
}

#[case]
fn simple_heap_keeps_every_promise_with_every_seed() {
    replay(SIMPLE_HEAP, Program::run_on_simple_heap);
}

/// A kernel has no folders: the seeds are compiled in, from a list.
#[case(host_only = "it compares a list with a folder; the kernel has the list, and no folders")]
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
