//! Where memory comes from when the break or a system call is refused, and that it goes back.

use std::path::Path;

use brkmalloc_tests::workshop::{CHECKED, Workshop};

use super::both_ways;

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
