//! Small programs in `c/`, each written for a rule that the library must keep.
//!
//! ```text
//!   main.rs      calls, and when they come: each as glibc answers them
//!   forks.rs     processes that begin among threads
//!   memory.rs    where memory comes from, and that it goes back
//!   misuse.rs    what a program must not do is named
//!   sampled.rs   some blocks are between guard pages
//!   told.rs      lists, statistics and traces
//! ```

mod forks;
mod memory;
mod misuse;
mod sampled;
mod told;

use brkmalloc_tests::library::{Library, brkmalloc, glibc};
use brkmalloc_tests::workshop::{CHECKED, Workshop};

/// As it is, and with the checked profile.
fn both_ways(source: &str, arguments: &[&str]) {
    let shop = Workshop::new();
    let program = shop.build(source, &[]);
    shop.assert_ok(&program, arguments, &[]);
    shop.assert_ok(&program, arguments, &CHECKED);
}

/// Returns the number behind a word of a text.
fn address_after(text: &str, word: &str) -> usize {
    let rest = text.split_once(word).unwrap_or_else(|| panic!("no {word:?} in {text}")).1;
    let digits: String =
        rest.trim_start_matches("0x").chars().take_while(char::is_ascii_hexdigit).collect();
    usize::from_str_radix(&digits, 16).expect("a number")
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
fn operators_that_a_program_replaces_serve_the_others() {
    let shop = Workshop::new();
    for standard in ["-std=c++11", "-std=c++17"] {
        let program = shop.build("replaced.cc", &[standard, "-faligned-new"]);
        shop.assert_ok(&program, &[], &[]);
        shop.assert_ok(&program, &[], &CHECKED);
        shop.assert_ok(&program, &[], &[("BRKALLOC_SAMPLE", "1")]);
    }
}

#[test]
fn blocks_of_a_library_with_operators_of_its_own_can_be_deleted_elsewhere() {
    let shop = Workshop::new();
    let library = shop.build("bound.cc", &["-shared", "-fPIC", "-Wl,-Bsymbolic"]);
    let program = shop.build("crossing.cc", &[library.to_str().expect("a plain name")]);
    shop.assert_ok(&program, &[], &[]);
    shop.assert_ok(&program, &[], &CHECKED);
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

/// The checked profile has one heap, which a handler must not find locked: there C's rule stands.
#[test]
fn a_signal_handler_that_allocates_breaks_nothing() {
    let shop = Workshop::new();
    shop.assert_ok(&shop.build("signal.c", &[]), &[], &[]);
}
