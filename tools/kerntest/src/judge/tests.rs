//! Feeds the judge each kind of failure as a kernel would write it, and as a broken kernel would.

use super::*;
use std::time::Duration;

fn exited(status: i32) -> Ending {
    Ending::Exited { status, stderr: String::new() }
}

fn judge(serial: &str, ending: Ending) -> Boot {
    let mut judge = Judge::default();
    judge.feed(serial.as_bytes());
    judge.finish("suite", &ending)
}

/// The only failure of `boot`, wherever it stands.
fn only_failure(boot: Boot) -> Failure {
    let mut failures = boot.tally().failures;
    assert_eq!(failures.len(), 1, "{failures:?}");
    failures.remove(0)
}

fn only_case_failure(boot: Boot) -> Failure {
    assert_eq!(boot.failure, None);
    only_failure(boot)
}

const ALL_OK: &str = "running 2 tests\ntest a ... ok\ntest b ... ok\n\n\
                      test result: ok. 2 passed; 0 failed; 0 ignored; 0 filtered out\n";

#[test]
fn a_clean_run_passes() {
    let boot = judge(ALL_OK, exited(33));
    assert!(boot.finished);
    let tally = boot.tally();
    assert_eq!((tally.passed, tally.failures), (2, vec![]));
}

#[test]
fn an_assertion_keeps_its_details() {
    let boot = judge(
        "running 2 tests\ntest a ... FAILED\n  at tests/qemu/a.rs:31\n  expected: 5\n  found:    6\ntest b ... ok\n\
         test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 filtered out\n",
        exited(35),
    );
    assert!(boot.finished);
    let failure = only_case_failure(boot);
    assert_eq!((failure.name.as_str(), failure.kind), ("a", Kind::Assertion));
    assert_eq!(failure.details, ["at tests/qemu/a.rs:31", "expected: 5", "found:    6"]);
}

#[test]
fn an_assertion_that_panics_is_one_and_keeps_both_values() {
    let boot = judge(
        "running 1 test\ntest a ... \nPANIC: assertion `left == right` failed: sum\n  left: 4\n  right: 5\n  at tests/a.rs:3:5\n",
        exited(37),
    );
    let failure = only_case_failure(boot);
    assert_eq!(failure.kind, Kind::Assertion);
    let message = "assertion `left == right` failed: sum";
    assert_eq!(failure.details, [message, "left: 4", "right: 5", "at tests/a.rs:3:5"]);
}

#[test]
fn a_leak_is_told_from_an_assertion() {
    for leak in [
        "frame leak: 3 frames not returned (used before: 100, after: 103)",
        "reservation leak: 3 frames still reserved (reserved before: 0, after: 3)",
    ] {
        let serial = "running 1 test\ntest a ... FAILED\n  LEAK\ntest result: FAILED. 0 passed; 1 failed; 0 ignored\n";
        let failure = only_case_failure(judge(&serial.replace("LEAK", leak), exited(35)));
        assert_eq!(failure.kind, Kind::Leak);
        assert_eq!(failure.details, [leak]);
    }
}

#[test]
fn an_assertion_that_also_leaks_is_an_assertion() {
    let boot = judge(
        "running 1 test\ntest a ... FAILED\n  at x:1\n  frame leak: 3 frames\n\
         test result: FAILED. 0 passed; 1 failed; 0 ignored\n",
        exited(35),
    );
    assert_eq!(only_case_failure(boot).kind, Kind::Assertion);
}

#[test]
fn a_panic_costs_the_running_case() {
    let boot = judge(
        "running 3 tests\ntest a ... ok\ntest b ... \nPANIC: out of memory\n  at src/x.rs:9\n",
        exited(37),
    );
    assert!(!boot.finished);
    assert_eq!(boot.results.len(), 2);
    let failure = only_case_failure(boot);
    assert_eq!((failure.name.as_str(), failure.kind), ("b", Kind::Panic));
    assert_eq!(failure.details, ["out of memory", "at src/x.rs:9"]);
}

#[test]
fn an_unexpected_fault_is_told_from_a_panic() {
    let boot =
        judge("running 1 test\ntest a ... \nFAULT: page fault at 0x0\n  rip 0x10\n", exited(39));
    let failure = only_case_failure(boot);
    assert_eq!(failure.kind, Kind::Fault);
    assert_eq!(failure.details, ["page fault at 0x0", "rip 0x10"]);
}

#[test]
fn panic_and_fault_are_believed_without_a_message() {
    for (status, kind) in [(37, Kind::Panic), (39, Kind::Fault)] {
        let boot = judge("running 1 test\ntest a ... ", exited(status));
        assert_eq!(only_case_failure(boot).kind, kind);
    }
}

#[test]
fn a_panic_that_never_powers_off_is_a_panic_and_says_so() {
    let boot =
        judge("running 1 test\ntest a ... \nPANIC: p\n", Ending::TimedOut(Duration::from_secs(20)));
    let failure = only_case_failure(boot);
    assert_eq!(failure.kind, Kind::Panic);
    assert!(failure.details[1].contains("stopped after 20 s"));
}

#[test]
fn a_fault_while_panicking_is_a_detail_of_the_panic() {
    let boot = judge("running 1 test\ntest a ... \nPANIC: p\nFAULT: f\n", exited(39));
    let failure = only_case_failure(boot);
    assert_eq!(failure.kind, Kind::Panic);
    assert_eq!(failure.details[1], "and then: unexpected CPU fault: f");
}

#[test]
fn a_reset_is_a_triple_fault() {
    let boot = judge("running 2 tests\ntest a ... ", exited(0));
    assert!(!boot.finished);
    assert_eq!(only_case_failure(boot).kind, Kind::TripleFault);
}

#[test]
fn a_kernel_that_still_writes_is_timed_out_and_what_it_wrote_is_kept() {
    let boot =
        judge("running 2 tests\ntest a ... \nround 7\n", Ending::TimedOut(Duration::from_secs(20)));
    let failure = only_case_failure(boot);
    assert_eq!(failure.kind, Kind::TimeOut);
    assert_eq!(failure.details, ["output, but no progress for 20 s", "round 7"]);
}

#[test]
fn silence_is_a_hang() {
    let boot = judge("running 2 tests\ntest a ... ", Ending::Hung(Duration::from_secs(20)));
    let failure = only_case_failure(boot);
    assert_eq!(failure.kind, Kind::Hang);
    assert_eq!(failure.details, ["no progress and no output for 20 s"]);
}

#[test]
fn a_lock_up_is_a_triple_fault() {
    let reason = "QEMU ended by a signal: 6 qemu: fatal: Lockup: can't escalate 3 to HardFault";
    let boot = judge("running 2 tests\ntest a ... ", Ending::Broken(reason.into()));
    assert_eq!(only_case_failure(boot).kind, Kind::TripleFault);
}

#[test]
fn qemu_that_does_not_start_is_no_fault_of_the_kernel() {
    let refused = Ending::Exited { status: 1, stderr: "qemu: invalid accelerator kvm\n".into() };
    let failure = only_failure(judge("", refused));
    assert_eq!((failure.name.as_str(), failure.kind), ("suite", Kind::Emulator));
    assert_eq!(failure.details, ["QEMU ended with status 1: qemu: invalid accelerator kvm"]);

    let missing = Ending::Broken("cannot start qemu-system-x86_64: not found".into());
    assert_eq!(only_failure(judge("", missing)).kind, Kind::Emulator);
}

#[test]
fn a_crash_before_the_first_case_is_the_boots_and_shows_what_came_before() {
    let boot = judge("booting\nPANIC: no memory map\n", exited(37));
    assert!(boot.results.is_empty() && !boot.finished);
    let failure = only_failure(boot);
    assert_eq!((failure.name.as_str(), failure.kind), ("suite", Kind::Panic));
    assert_eq!(failure.details, ["no memory map", "booting"]);
}

#[test]
fn a_crash_after_the_summary_is_a_failure_but_no_case_has_to_run_again() {
    let boot = judge(ALL_OK, exited(0));
    assert!(boot.finished);
    assert_eq!(only_failure(boot).kind, Kind::TripleFault);
}

/// The details of a boot that contradicts itself.
fn contradictions(serial: &str, status: i32) -> Vec<String> {
    let boot = judge(serial, exited(status));
    assert!(!boot.finished, "{boot:?}");
    let failure = boot.failure.expect("the boot is a failure of its own");
    assert_eq!(failure.kind, Kind::Contradiction);
    failure.details
}

#[test]
fn a_missing_summary_is_a_failure_even_if_all_passed() {
    let found = contradictions("running 1 test\ntest a ... ok\n", 33);
    assert_eq!(found, ["there was no summary"]);
}

#[test]
fn a_truncated_summary_is_a_missing_one() {
    let found =
        contradictions("running 1 test\ntest a ... ok\ntest result: ok. 1 passed; 0 fai", 33);
    assert_eq!(found, ["there was no summary"]);
}

#[test]
fn a_summary_that_does_not_fit_its_lines_is_a_failure() {
    let found = contradictions(
        "running 1 test\ntest a ... ok\ntest result: ok. 2 passed; 0 failed; 0 ignored\n",
        33,
    );
    assert_eq!(found, ["the summary says 2 passed and 0 failed; its lines say 1 and 0"]);
}

#[test]
fn a_case_that_vanishes_is_a_failure() {
    let found = contradictions(
        "running 2 tests\ntest a ... ok\ntest result: ok. 1 passed; 0 failed; 0 ignored\n",
        33,
    );
    assert_eq!(found, ["announced 2 cases, 1 began"]);
}

#[test]
fn the_exit_status_must_fit_the_verdicts() {
    let failed =
        "running 1 test\ntest a ... FAILED\ntest result: FAILED. 0 passed; 1 failed; 0 ignored\n";
    assert_eq!(contradictions(failed, 33), ["1 cases failed, but: QEMU ended with status 33"]);
    assert_eq!(contradictions(ALL_OK, 35), ["0 cases failed, but: QEMU ended with status 35"]);
}

#[test]
fn a_kernel_that_says_nothing_has_not_passed() {
    let found = contradictions("", 33);
    assert_eq!(found, ["there was no line `running N tests`", "there was no summary"]);
}

#[test]
fn garbage_instead_of_a_verdict_is_no_verdict() {
    let boot = judge(
        "running 2 tests\ntest a ... okay\ntest b ... ok\n\
         test result: ok. 2 passed; 0 failed; 0 ignored\n",
        exited(33),
    );
    assert_eq!(boot.failure.as_ref().unwrap().kind, Kind::Contradiction);
    let first = boot.results[0].failure.as_ref().unwrap();
    assert_eq!(first.kind, Kind::NoVerdict);
    assert_eq!(first.details, ["the next case began before this one's verdict", "okay"]);
    assert_eq!(boot.results[1].failure, None);
}

#[test]
fn garbage_between_the_lines_changes_no_verdict() {
    let mut noisy = Judge::default();
    noisy.feed(b"\xff\xfe\x1b[2J\nrunning 1 test\n\xf0\x28\ntest a ... \nnoise \xff\nok\n");
    noisy.feed(b"test result: ok. 1 passed; 0 failed; 0 ignored\n");
    let boot = noisy.finish("suite", &exited(33));
    assert_eq!((boot.failure, boot.results[0].failure.clone()), (None, None));
}

#[test]
fn a_verdict_out_of_nowhere_a_second_start_and_a_late_case_are_contradictions() {
    let found = contradictions(&format!("ok\nrunning 9 tests\n{ALL_OK}test z ... ok\n"), 33);
    assert_eq!(
        found[..3],
        [
            "a verdict came while no case was running",
            "the kernel began its suite twice",
            "z began after the summary"
        ]
    );
}

#[test]
fn an_endless_talker_is_cut_short() {
    let mut judge = Judge::default();
    judge.feed(b"running 1 test\ntest a ... \n");
    for _ in 0..1000 {
        judge.feed(b"again\n");
    }
    let boot = judge.finish("suite", &Ending::TimedOut(Duration::from_secs(1)));
    assert_eq!(only_case_failure(boot).details.len(), 1 + MOST_LINES);
}

#[test]
fn no_cases_at_all_is_not_for_one_boot_to_judge() {
    let boot =
        judge("running 0 tests\ntest result: ok. 0 passed; 0 failed; 0 ignored\n", exited(33));
    assert!(boot.finished && boot.results.is_empty() && boot.failure.is_none());
}
