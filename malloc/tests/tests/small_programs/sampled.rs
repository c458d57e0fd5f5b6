//! One allocation in some is between guard pages: a misuse of it faults at the instruction.

use brkmalloc_tests::workshop::{CHECKED, Workshop};

use super::address_after;

/// The heap of some programs is sampled: one allocation in `n`.
fn sampled(n: &str) -> [(&str, &str); 1] {
    [("BRKALLOC_SAMPLE", n)]
}

#[test]
fn sampled_blocks_fault_where_they_are_misused() {
    let shop = Workshop::new();
    let program = shop.build("sampled.c", &[]);
    // Every block is sampled, as long as there is a place. An access on the side that does not
    // touch a guard page is found when the block is freed.
    for (kind, message) in [
        ("behind", "overflow: byte 1 behind"),
        ("in-front", "overflow: byte 1 in front"),
        ("after-free", "use after free"),
        ("twice", "double free"),
        ("inside", "which was never allocated: it lies inside the block"),
    ] {
        for size in ["32", "100", "4096", "20000"] {
            let run = shop.run(&program, &[kind, size], &sampled("1"));
            assert!(!run.status.success(), "{kind} {size}");
            let line = run.errors.lines().find(|line| line.starts_with("brkmalloc: "));
            let line = line.unwrap_or_else(|| panic!("{kind} {size}: {}", run.errors));
            assert!(line.contains(message), "{kind} {size}: {line}");
            assert!(line.contains(&format!("of {size} bytes")), "{kind} {size}: {line}");
            let calls = |word, caller| {
                let function = address_after(&run.errors, &format!("{word} "));
                (function..function + 20).contains(&address_after(line, caller))
            };
            assert!(calls("allocated", "; allocated by "), "{kind} {size}: {}", run.errors);
            let is_freed = kind == "after-free" || kind == "twice";
            assert!(!is_freed || calls("freed", "; freed by "), "{kind} {size}: {}", run.errors);
        }
    }
    for n in ["1", "10", "on"] {
        shop.assert_ok(&program, &["good", "100"], &sampled(n));
    }
}

/// Of 2000 blocks that a run allocates one in 50 is sampled, and so is the victim. That none of
/// 400 runs finds the error has the probability (1 - 1/50)^400: 3 in 10,000.
#[test]
fn an_error_that_happens_once_in_a_run_is_caught_within_400_runs() {
    let shop = Workshop::new();
    let program = shop.build("sampled.c", &[]);
    for kind in ["behind", "in-front", "after-free"] {
        let is_caught = |_: &i32| {
            let run = shop.run(&program, &[kind, "48"], &sampled("50"));
            run.errors.contains("brkmalloc: overflow")
                || run.errors.contains("brkmalloc: use after")
        };
        assert!((0..400).find(is_caught).is_some(), "{kind}");
    }
}

#[test]
fn the_programs_handler_runs_after_the_report() {
    let shop = Workshop::new();
    let run =
        shop.run(&shop.build("sampled.c", &[]), &["after-free", "48", "handler"], &sampled("1"));
    assert_eq!(run.status.code(), Some(3), "{}", run.errors);
    let lines: Vec<_> = run.errors.lines().collect();
    assert!(lines[1].starts_with("brkmalloc: use after free"), "{}", run.errors);
    assert_eq!(lines[2], "the program's handler");
}

#[test]
fn handlers_of_signals_work_as_without_the_library() {
    let shop = Workshop::new();
    let program = shop.build("sampled_signals.c", &[]);
    for variables in [&[][..], &CHECKED, &sampled("1"), &sampled("100")] {
        shop.assert_ok(&program, &[], variables);
    }
}

#[test]
fn programs_whose_blocks_are_sampled_are_served() {
    let shop = Workshop::new();
    for (source, arguments) in [
        ("odd.c", &[][..]),
        ("signal.c", &[]),
        ("spawn.c", &[]),
        ("around_main.c", &[]),
        ("thread_exit.c", &[]),
        ("remote.c", &[]),
        ("fork_threads.c", &["8"]),
        ("fork_keeps.c", &["10"]),
        ("fork_handlers.c", &[]),
        ("filtered.c", &["mmap", "12"]),
        ("filtered.c", &["mprotect", "12"]),
        ("operators.cc", &[]),
    ] {
        shop.assert_ok(&shop.build(source, &[]), arguments, &sampled("3"));
    }
}
