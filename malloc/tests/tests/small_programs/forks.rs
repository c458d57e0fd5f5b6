//! Processes that begin among threads.

use brkmalloc_tests::workshop::{CHECKED, Workshop};

use super::both_ways;

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
