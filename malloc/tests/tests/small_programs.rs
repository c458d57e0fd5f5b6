//! Small programs in `c/`, each written for a rule that the library must keep.

use std::path::Path;

use brkmalloc_tests::library::{Library, brkmalloc, glibc};
use brkmalloc_tests::workshop::{CHECKED, Workshop};

/// As it is, and with the checked profile.
fn both_ways(source: &str, arguments: &[&str]) {
    let shop = Workshop::new();
    let program = shop.build(source, &[]);
    shop.assert_ok(&program, arguments, &[]);
    shop.assert_ok(&program, arguments, &CHECKED);
}

#[test]
fn odd_arguments_are_taken_as_glibc_does() {
    both_ways("odd.c", &[]);
}

#[test]
fn answers_and_errno_are_those_of_glibc() {
    let shop = Workshop::new();
    let program = shop.build("answers.c", &[]);
    let expected = shop.run_with(&glibc(), &program, &[], &[]).output;
    assert!(expected.len() > 1000);
    for variables in [&[][..], &CHECKED] {
        let found = shop.run(&program, &[], variables).output;
        assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(&expected));
    }
}

#[test]
fn figures_follow_the_program() {
    both_ways("figures.c", &[]);
}

/// Replaces each number, and the spaces before it, by `#`.
fn without_numbers(text: &str) -> String {
    let mut words = String::new();
    for letter in text.chars() {
        match letter {
            '0'..='9' if words.ends_with('#') => {}
            '0'..='9' => {
                words.truncate(words.trim_end_matches(' ').len());
                words.push('#');
            }
            _ => words.push(letter),
        }
    }
    words
}

#[test]
fn malloc_info_and_malloc_stats_use_the_words_of_glibc() {
    let shop = Workshop::new();
    let program = shop.build("figures.c", &[]);
    let words = |library: &Library, variables: &[(&str, &str)]| {
        let run = shop.run_with(library, &program, &["print"], variables);
        assert!(run.status.success(), "{}", run.errors);
        let info = without_numbers(&String::from_utf8_lossy(&run.output));
        // Sizes of free chunks depend on the allocator.
        let is_size = |line: &&str| line.contains(" from=");
        let info: Vec<_> = info.lines().filter(|line| !is_size(line)).map(str::to_owned).collect();
        (info, without_numbers(&run.errors))
    };
    let expected = words(&glibc(), &[]);
    assert!(expected.0.len() > 10 && expected.1.contains("system bytes"));
    assert_eq!(words(&brkmalloc(), &[]), expected);
    assert_eq!(words(&brkmalloc(), &CHECKED), expected);
}

#[test]
fn late_in_a_threads_life_it_still_serves() {
    let shop = Workshop::new();
    let program = shop.build("late.c", &[]);
    let library = shop.build("static_tls.c", &["-shared", "-fPIC"]);
    let copies: Vec<_> = (0..12).map(|number| format!("{}{number}", library.display())).collect();
    for copy in &copies {
        std::fs::copy(&library, copy).expect("a copy");
    }
    let arguments: Vec<_> = copies.iter().map(String::as_str).collect();
    shop.assert_ok(&program, &arguments, &[]);
    shop.assert_ok(&program, &arguments, &CHECKED);
}

#[test]
fn libraries_that_ask_for_their_own_symbols_share_the_heap() {
    let shop = Workshop::new();
    let library = shop.build("shared_heap.c", &["-shared", "-fPIC", "-fno-builtin"]);
    let program = shop.build("namespace.c", &[]);
    let library = library.to_str().expect("a plain name");
    shop.assert_ok(&program, &[library], &[]);
    shop.assert_ok(&program, &[library], &CHECKED);
}

#[test]
fn operators_of_cxx_and_what_they_throw() {
    both_ways("operators.cc", &[]);
}

#[test]
fn child_and_parent_go_on_after_a_fork_among_threads() {
    both_ways("fork_threads.c", &[]);
}

#[test]
fn what_other_threads_had_is_not_lost_to_a_child() {
    both_ways("fork_keeps.c", &[]);
}

#[test]
fn handlers_of_a_fork_may_allocate_whoever_was_there_first() {
    let shop = Workshop::new();
    let early = shop.build("early_handlers.c", &["-shared", "-fPIC"]);
    let program = shop.build("fork_handlers.c", &[early.to_str().expect("a plain name")]);
    shop.assert_ok(&program, &[], &[]);
    shop.assert_ok(&program, &[], &CHECKED);
    let trace = shop.path().join("trace");
    shop.assert_ok(&program, &[], &[("BRKALLOC_TRACE", trace.to_str().expect("a plain name"))]);
}

#[test]
fn a_fork_takes_the_locks_of_streams_before_the_heaps() {
    both_ways("fork_stdio.c", &[]);
}

#[test]
fn a_fork_waits_no_longer_than_its_bound_and_tells_the_child_what_it_lost() {
    let shop = Workshop::new();
    let first = shop.build("first_handlers.c", &["-shared", "-fPIC", "-Wl,-z,initfirst"]);
    let program = shop.build("fork_bound.c", &[first.to_str().expect("a plain name")]);
    for variables in [&[][..], &CHECKED] {
        let run = shop.run(&program, &[], variables);
        assert!(run.status.success(), "{}\n{}", run.status, run.errors);
        assert!(run.errors.contains("another thread was changing the heap"), "{}", run.errors);
    }
}

#[test]
fn all_ways_to_begin_a_process_serve_among_threads() {
    both_ways("spawn.c", &[]);
}

#[test]
fn a_fork_touches_few_pages() {
    both_ways("fork_pages.c", &[]);
}

#[test]
fn it_serves_before_main_and_after_it() {
    both_ways("around_main.c", &[]);
}

#[test]
fn libraries_come_and_go() {
    let shop = Workshop::new();
    let plugin = shop.build("plugin.c", &["-shared", "-fPIC"]);
    let program = shop.build("dlopen.c", &[]);
    shop.assert_ok(&program, &[plugin.to_str().expect("a plain name")], &[]);
    shop.assert_ok(&program, &[plugin.to_str().expect("a plain name")], &CHECKED);
}

#[test]
fn threads_come_and_go_and_leave_nothing() {
    both_ways("thread_exit.c", &[]);
}

#[test]
fn blocks_go_from_thread_to_thread() {
    both_ways("remote.c", &[]);
}

#[test]
fn c14_somebody_else_moves_the_break() {
    both_ways("foreign_break.c", &[]);
}

#[test]
fn memory_is_found_elsewhere_when_the_break_is_at_its_limit() {
    both_ways("foreign_break.c", &["limit"]);
}

#[test]
fn memory_is_found_elsewhere_when_the_break_never_moves() {
    both_ways("refused_break.c", &[]);
}

#[test]
fn memory_is_found_wherever_the_kernel_places_mappings() {
    let shop = Workshop::new();
    let program = shop.build("blocked.c", &[]);
    for variables in [&[][..], &CHECKED] {
        shop.assert_ok(&program, &[], variables);
        shop.assert_ok(&program, &["lock"], variables);
        for arguments in ["", "lock"] {
            let command = format!("ulimit -s unlimited && exec {} {arguments}", program.display());
            shop.assert_ok(Path::new("/bin/sh"), &["-c", &command], variables);
        }
    }
}

#[test]
fn a_refused_request_costs_at_most_four_system_calls() {
    let shop = Workshop::new();
    let program = shop.build("refused.c", &[]);
    for kind in ["addresses", "data"] {
        for size in ["100", "1000", "40000", "300000", "5000000"] {
            shop.assert_ok(&program, &[kind, size], &[]);
            if size != "100" {
                shop.assert_ok(&program, &[kind, size], &CHECKED);
            }
        }
    }
}

#[test]
fn refused_system_calls_lose_nothing() {
    for call in ["brk", "mmap", "munmap", "mremap", "madvise", "mprotect"] {
        for error in [libc::ENOMEM, libc::EPERM] {
            both_ways("filtered.c", &[call, &error.to_string()]);
        }
    }
}

#[test]
fn a_thread_that_may_not_ask_for_others_takes_nothing_of_theirs() {
    both_ways("filtered_thread.c", &[]);
}

/// The checked profile has one heap, which a handler must not find locked: there C's rule stands.
#[test]
fn a_signal_handler_that_allocates_breaks_nothing() {
    let shop = Workshop::new();
    shop.assert_ok(&shop.build("signal.c", &[]), &[], &[]);
}

#[test]
fn pages_of_free_memory_go_back() {
    let shop = Workshop::new();
    let program = shop.build("decay.c", &[]);
    for kind in [&[][..], &["small"]] {
        shop.assert_ok(&program, kind, &[("BRKALLOC_DECAY_MS", "10")]);
        shop.assert_ok(&program, kind, &[("BRKALLOC_DECAY_MS", "10"), ("BRKALLOC_CHECKED", "1")]);
        shop.assert_ok(&program, &[kind, &["never"]].concat(), &[("BRKALLOC_DECAY_MS", "never")]);
    }
}

#[test]
fn what_is_wanted_again_at_once_is_not_given_back_in_between() {
    let shop = Workshop::new();
    let program = shop.build("tides.c", &[]);
    shop.assert_ok(&program, &[], &[]);
    shop.assert_ok(&program, &["never"], &[("BRKALLOC_DECAY_MS", "never")]);
}

/// Runs a program that must end with a message and `abort`.
fn assert_aborts(source: &str, argument: &str, variables: &[(&str, &str)], message: &str) {
    let shop = Workshop::new();
    let run = shop.run(&shop.build(source, &[]), &[argument], variables);
    let signal = std::os::unix::process::ExitStatusExt::signal(&run.status);
    assert_eq!(signal, Some(libc::SIGABRT), "{argument}: {}\n{}", run.status, run.errors);
    assert!(
        run.errors.starts_with("brkmalloc: ") && run.errors.contains(message),
        "{argument}: {}",
        run.errors
    );
}

#[test]
fn c14_somebody_takes_the_memory_away() {
    assert_aborts("foreign_break.c", "take", &[], "the program moved the break down");
}

#[test]
fn an_address_that_is_no_block_is_told() {
    assert_aborts("misuse.c", "misaligned", &[], "is not a block");
}

/// Runs a program whose misuse, if it has one, must end it with a message and `abort`.
fn assert_misuse(source: &str, cases: &[(&str, &str)], variables: &[(&str, &str)]) {
    let shop = Workshop::new();
    let program = shop.build(source, &[]);
    for (arguments, message) in cases {
        let words: Vec<_> = arguments.split(' ').collect();
        if message.is_empty() {
            shop.assert_ok(&program, &words, variables);
            continue;
        }
        let run = shop.run(&program, &words, variables);
        let signal = std::os::unix::process::ExitStatusExt::signal(&run.status);
        assert_eq!(signal, Some(libc::SIGABRT), "{arguments}: {}\n{}", run.status, run.errors);
        assert!(
            run.errors.starts_with("brkmalloc: ") && run.errors.contains(message),
            "{arguments}: {}",
            run.errors
        );
    }
}

#[test]
fn misuse_is_named_without_the_checked_heap() {
    for size in ["24", "100", "400", "1100", "3000", "20000"] {
        assert_misuse(
            "silent.c",
            &[
                (&format!("twice {size}"), "double free"),
                (&format!("last {size}"), "double free"),
                (&format!("inside {size}"), "it lies inside the block"),
                (&format!("before {size}"), "it lies inside the block"),
                (&format!("misaligned {size}"), "it lies inside the block"),
                (&format!("stack {size}"), "it lies in no block of this heap"),
                (&format!("data {size}"), "it lies in no block of this heap"),
                (&format!("code {size}"), "it lies in no block of this heap"),
                (&format!("mapping-inside {size}"), "it lies in no block of this heap"),
                (&format!("link {size}"), "write after free"),
                (&format!("remote-inside {size}"), "it lies inside the block"),
                (&format!("remote-twice {size}"), "double free"),
                (&format!("good {size}"), ""),
            ],
            &[],
        );
    }
    assert_misuse(
        "silent.c",
        &[
            ("twice 60000", "no block begins there"),
            ("inside 60000", "no block begins there"),
            ("before 60000", "no block begins there"),
            ("misaligned 60000", "is not a block"),
            ("good 60000", ""),
            ("twice 200000", "double free"),
            ("inside 200000", "it lies in no block of this heap"),
            ("good 200000", ""),
        ],
        &[],
    );
}

#[test]
fn the_checked_profile_tells_a_misuse() {
    assert_aborts("misuse.c", "double", &CHECKED, "double free");
    assert_aborts("misuse.c", "double-large", &CHECKED, "double free");
    assert_aborts("misuse.c", "overflow", &CHECKED, "overflow");
    assert_aborts("misuse.c", "inside", &CHECKED, "never allocated");
    assert_aborts("misuse.c", "after-free", &CHECKED, "write after free");
}

/// Kinds of misuse, the offsets at which they happen to a block of this size, and the message.
fn kinds_of_misuse(size: usize) -> Vec<(&'static str, Vec<usize>, &'static str)> {
    let inside = vec![0, size / 2, size - 1];
    let mut kinds = vec![
        ("behind", vec![0, 1, 7], "overflow"),
        ("behind-and-free", vec![0, 1, 7], "overflow"),
        ("front", vec![1, 7, 8], "overflow"),
        ("front-and-free", vec![1, 7, 8], "overflow"),
        ("after-free", inside.clone(), "write after free"),
        ("twice", vec![0, 1, 100], "double free"),
        ("realloc-freed", vec![0], "double free"),
        ("top", vec![64, 150], "overflow"),
    ];
    if size > 16 {
        kinds.push(("inside", vec![16], "it lies inside the block"));
    }
    if size < 1000 {
        kinds.push(("after-free-and-on", inside.clone(), "write after free"));
    }
    // Longer blocks are resized where they are.
    if size < 1 << 20 {
        kinds.push(("after-realloc", inside, "write after free"));
    }
    kinds
}

#[test]
fn the_checked_profile_finds_every_misuse_and_no_good_twin() {
    let shop = Workshop::new();
    let program = shop.build("checked.c", &[]);
    for size in [1, 8, 24, 100, 400, 5000, 60_000, 200_000, 5_000_000] {
        let text = size.to_string();
        for (kind, offsets, message) in kinds_of_misuse(size) {
            for offset in offsets.into_iter().map(|offset| offset.to_string()) {
                let run = shop.run(&program, &[kind, &text, &offset], &CHECKED);
                let signal = std::os::unix::process::ExitStatusExt::signal(&run.status);
                let case = format!("{kind} {text} {offset}: {}\n{}", run.status, run.errors);
                assert_eq!(signal, Some(libc::SIGABRT), "{case}");
                assert!(run.errors.starts_with("brkmalloc: "), "{case}");
                assert!(run.errors.contains(message), "{case}");
                // Where a block comes from is known as long as it is in quarantine.
                let is_gone = run.errors.contains("was given back");
                assert!(is_gone || run.errors.contains("allocated by 0x"), "{case}");
                shop.assert_ok(&program, &["good", kind, &text, &offset], &CHECKED);
            }
        }
    }
}

#[test]
fn the_checked_profile_tells_families_apart() {
    let shop = Workshop::new();
    let program = shop.build("families.cc", &[]);
    for allocated in 0..5 {
        for freed in 0..5 {
            let arguments = [allocated.to_string(), freed.to_string()];
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            shop.assert_ok(&program, &arguments, &[]);
            if allocated == freed {
                shop.assert_ok(&program, &arguments, &CHECKED);
            } else {
                let run = shop.run(&program, &arguments, &CHECKED);
                assert!(
                    !run.status.success() && run.errors.contains("wrong family"),
                    "{arguments:?}"
                );
            }
        }
    }
}

/// Returns the number behind a word of a text.
fn address_after(text: &str, word: &str) -> usize {
    let rest = text.split_once(word).unwrap_or_else(|| panic!("no {word:?} in {text}")).1;
    let digits: String =
        rest.trim_start_matches("0x").chars().take_while(char::is_ascii_hexdigit).collect();
    usize::from_str_radix(&digits, 16).expect("a number")
}

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
fn the_checked_profile_accuses_nobody_without_cause() {
    let shop = Workshop::new();
    shop.assert_ok(&shop.build("misuse.c", &[]), &["nothing"], &CHECKED);
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
