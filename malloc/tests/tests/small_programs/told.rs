//! What the library tells: live blocks at exit, statistics, and a trace of all calls.

use brkmalloc_tests::workshop::{CHECKED, Workshop};

use super::address_after;

#[test]
fn live_blocks_are_listed_at_exit_with_their_callers() {
    let shop = Workshop::new();
    let program = shop.build("leaks.c", &[]);
    let variables = [("BRKALLOC_CHECKED", "1"), ("BRKALLOC_LEAKS", "1")];
    let run = shop.run(&program, &[], &variables);
    assert!(run.status.success(), "{}", run.errors);
    let here = address_after(&run.errors, "here ");
    let of_function: Vec<_> = run
        .errors
        .lines()
        .filter(|line| line.contains("allocated by"))
        .filter(|line| (here..here + 200).contains(&address_after(line, "allocated by ")))
        .collect();
    assert_eq!(of_function.len(), 3, "{}", run.errors);
    assert!(of_function.iter().any(|line| line.contains("live: 1002 bytes at 0x")));
    assert!(!shop.run(&program, &[], &CHECKED).errors.contains("live:"));
}

#[test]
fn statistics_are_printed_at_exit() {
    let shop = Workshop::new();
    let program = shop.build("thread_exit.c", &[]);
    let run = shop.run(&program, &[], &[("BRKALLOC_STATS", "1")]);
    assert!(run.status.success());
    assert_eq!(
        run.errors.lines().filter(|line| line.starts_with("brkmalloc: process ")).count(),
        1,
        "{}",
        run.errors
    );
    assert!(run.errors.contains("live ") && run.errors.contains("granted "), "{}", run.errors);
    for nothing in ["", "0"] {
        assert_eq!(shop.run(&program, &[], &[("BRKALLOC_STATS", nothing)]).errors, "");
    }
}

#[test]
fn settings_that_have_no_effect_are_named() {
    let shop = Workshop::new();
    let program = shop.build("thread_exit.c", &[]);
    for (variables, expected) in [
        (&[("LEAKS", "1")][..], "BRKALLOC_LEAKS has no effect without BRKALLOC_CHECKED"),
        (
            &[("CHECKED", "1"), ("SAMPLE", "9")],
            "BRKALLOC_SAMPLE has no effect with BRKALLOC_CHECKED",
        ),
        (&[("CHECKED", "1"), ("TRACE", "t")], "BRKALLOC_TRACE has no effect with BRKALLOC_CHECKED"),
        (&[("SAMPLE", "9"), ("TRACE", "t")], "BRKALLOC_SAMPLE has no effect with BRKALLOC_TRACE"),
        (&[("SAMPLE", "1.5")], "\"BRKALLOC_SAMPLE\" is \"1.5\", which is no number"),
        (&[("SAMPLE", "-1")], "\"BRKALLOC_SAMPLE\" is \"-1\", which is no number"),
        (&[("DECAY_MS", "250ms")], "\"BRKALLOC_DECAY_MS\" is \"250ms\", which is no number"),
    ] {
        let names: Vec<_> =
            variables.iter().map(|(name, value)| (format!("BRKALLOC_{name}"), *value)).collect();
        let variables: Vec<_> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let run = shop.run(&program, &[], &variables);
        assert!(run.status.success(), "{variables:?}: {}", run.errors);
        assert_eq!(run.errors.lines().count(), 1, "{variables:?}: {}", run.errors);
        assert!(run.errors.contains(expected), "{variables:?}: {}", run.errors);
    }
    for quiet in
        [("BRKALLOC_SAMPLE", "on"), ("BRKALLOC_DECAY_MS", "never"), ("BRKALLOC_SAMPLE", "")]
    {
        assert_eq!(shop.run(&program, &[], &[quiet]).errors, "", "{quiet:?}");
    }
}

/// A record: what was done, with which size, to which block, and where it was before.
type Record = [u64; 4];

/// Replays a trace in mind: no two live blocks overlap, and nothing is freed that is not live.
/// Returns the number of allocations.
fn replay(trace: &[u8]) -> usize {
    let (records, rest) = trace.as_chunks::<32>();
    assert!(rest.is_empty(), "whole records");
    let mut live = std::collections::BTreeMap::new();
    let mut allocations = 0;
    for record in records {
        let [act, size, block, old]: Record = std::array::from_fn(|word| {
            u64::from_ne_bytes(record[8 * word..8 * word + 8].try_into().expect("a word"))
        });
        match act & 0xFF {
            0 | 1 => {}
            // Where the break stands, and what is mapped.
            4 => continue,
            2 => {
                assert!(live.remove(&block).is_some(), "{block:#x} is freed, but not live");
                continue;
            }
            3 if block == 0 => continue,
            3 => assert!(live.remove(&old).is_some(), "{old:#x} is resized, but not live"),
            act => panic!("there is no act {act}"),
        }
        if block == 0 {
            continue;
        }
        allocations += 1;
        if let Some((&before, &len)) = live.range(..=block).next_back() {
            assert!(before + len <= block, "{block:#x} overlaps {before:#x}");
        }
        live.insert(block, size.max(1));
    }
    allocations
}

#[test]
fn a_trace_tells_every_call_in_order() {
    let shop = Workshop::new();
    let program = shop.build("remote.c", &[]);
    let file = shop.path().join("trace");
    shop.assert_ok(&program, &[], &[("BRKALLOC_TRACE", file.to_str().expect("a plain name"))]);
    let allocations = replay(&std::fs::read(&file).expect("a trace"));
    assert!(allocations >= 4 * 30_000, "{allocations} allocations");
}

#[test]
fn children_do_not_write_to_the_trace() {
    let shop = Workshop::new();
    let program = shop.build("fork_threads.c", &[]);
    let file = shop.path().join("trace");
    shop.assert_ok(&program, &["8"], &[("BRKALLOC_TRACE", file.to_str().expect("a plain name"))]);
    assert!(replay(&std::fs::read(&file).expect("a trace")) > 10_000);
}

#[test]
fn a_trace_that_cannot_be_written_is_no_reason_to_fail() {
    let shop = Workshop::new();
    let run = shop.run(&shop.build("odd.c", &[]), &[], &[("BRKALLOC_TRACE", "/nonexistent/trace")]);
    assert!(
        run.status.success() && run.errors.contains("no trace"),
        "{}\n{}",
        run.status,
        run.errors
    );
}
