//! Replays the fuzzer's seeds, one file a case: every input that once found a bug, and the few that together reach all of the code.

mod common;

use std::fs;
use std::path::Path;

use common::program::Program;

/// Runs each file of a folder of seeds. Which one failed, and what it does, is the last thing that the test wrote.
fn replay(target: &str, run: fn(&Program)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no seeds", folder.display());
    for file in files {
        let program = Program::decode(&fs::read(&file).unwrap());
        println!("{}: {program:?}", file.display());
        run(&program);
    }
}

#[test]
fn heap_keeps_every_promise_with_every_seed() {
    replay("heap", Program::run_on_heap);
}

#[test]
fn simple_heap_keeps_every_promise_with_every_seed() {
    replay("simple_heap", Program::run_on_simple_heap);
}
