//! What a program must not do ends it, with a message that names it.

use brkmalloc_tests::workshop::{CHECKED, Workshop};

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

#[test]
fn the_checked_profile_accuses_nobody_without_cause() {
    let shop = Workshop::new();
    shop.assert_ok(&shop.build("misuse.c", &[]), &["nothing"], &CHECKED);
}
