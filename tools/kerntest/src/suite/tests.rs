//! Plays boots to the suite's loop: what it does after each kind of end, and that no planned case
//! gets lost.

use super::*;
use std::cell::RefCell;

/// One boot to play: the index it must be asked for, what the kernel writes, how QEMU ends.
type Played = (usize, &'static str, Ending);

fn run(plan: &[&str], boots: &[Played]) -> Tally {
    let plan: Vec<String> = plan.iter().map(|&name| name.into()).collect();
    let left = RefCell::new(boots.iter());
    let tally = run_plan(&plan, &mut |_| {}, |from, judge, _| {
        let (expected_from, serial, ending) =
            left.borrow_mut().next().expect("it boots no more often than played");
        assert_eq!(from, *expected_from);
        judge.feed(serial.as_bytes());
        judge.finish(SUITE, ending)
    });
    assert_eq!(left.borrow().len(), 0, "it boots as often as played");
    tally
}

fn kinds(tally: &Tally) -> Vec<(&str, Kind)> {
    let failures = tally.failures.iter();
    failures.map(|failure| (failure.name.as_str(), failure.kind)).collect()
}

#[test]
fn one_boot_is_enough_if_nothing_crashes() {
    let tally = run(
        &["a", "b"],
        &[(
            0,
            "running 2 tests\ntest a ... ok\ntest b ... FAILED\n  x\ntest result: FAILED. 1 passed; 1 failed; 0 ignored\n",
            exited(35),
        )],
    );
    assert_eq!((tally.passed, kinds(&tally)), (1, vec![("b", Kind::Assertion)]));
}

#[test]
fn each_crash_costs_one_case() {
    let tally = run(
        &["a", "b", "c", "d", "e"],
        &[
            (0, "running 5 tests\ntest a ... ok\ntest b ... \nPANIC: p\n", exited(37)),
            (2, "running 3 tests\ntest c ... ", exited(0)),
            (3, "running 2 tests\ntest d ... ", Ending::TimedOut(LIMITS.next)),
            (
                4,
                "running 1 test\ntest e ... ok\ntest result: ok. 1 passed; 0 failed; 0 ignored\n",
                exited(33),
            ),
        ],
    );
    assert_eq!(tally.passed, 2);
    assert_eq!(kinds(&tally), [("b", Kind::Panic), ("c", Kind::TripleFault), ("d", Kind::TimeOut)]);
}

#[test]
fn a_crash_of_the_last_case_needs_no_further_boot() {
    let tally = run(&["a"], &[(0, "running 1 test\ntest a ... \nFAULT: f\n", exited(39))]);
    assert_eq!(kinds(&tally), [("a", Kind::Fault)]);
}

#[test]
fn a_kernel_that_does_not_reach_its_cases_is_booted_once() {
    let tally = run(&["a", "b"], &[(0, "PANIC: no memory\n", exited(37))]);
    let expected = [(SUITE, Kind::Panic), ("a", Kind::NotRun), ("b", Kind::NotRun)];
    assert_eq!(kinds(&tally), expected);
}

#[test]
fn a_kernel_that_contradicts_itself_is_not_booted_again() {
    let tally = run(
        &["a", "b"],
        &[(
            0,
            "running 1 test\ntest a ... ok\ntest result: ok. 5 passed; 0 failed; 0 ignored\n",
            exited(33),
        )],
    );
    let expected = [(SUITE, Kind::Contradiction), ("b", Kind::NotRun)];
    assert_eq!((tally.passed, kinds(&tally).as_slice()), (1, &expected[..]));
}

#[test]
fn a_finished_boot_that_left_cases_out_does_not_pass() {
    let tally = run(
        &["a", "b"],
        &[(
            0,
            "running 1 test\ntest a ... ok\ntest result: ok. 1 passed; 0 failed; 0 ignored\n",
            exited(33),
        )],
    );
    assert_eq!((tally.passed, kinds(&tally)), (1, vec![("b", Kind::NotRun)]));
}

#[test]
fn another_case_than_the_planned_one_is_a_contradiction() {
    let tally = run(
        &["a", "b"],
        &[(
            0,
            "running 2 tests\ntest a ... ok\ntest x ... ok\ntest result: ok. 2 passed; 0 failed; 0 ignored\n",
            exited(33),
        )],
    );
    assert_eq!(kinds(&tally), [(SUITE, Kind::Contradiction)]);
    assert_eq!(tally.failures[0].details, ["expected: b", "found:    x"]);
}

#[test]
fn an_empty_plan_boots_nothing() {
    assert_eq!(run(&[], &[]), Tally::default());
}

fn exited(status: i32) -> Ending {
    let stderr = String::new();
    Ending::Exited { status, stderr }
}

#[test]
fn the_list_is_one_name_a_line_and_their_number() {
    let list = "\u{1b}[2Jfirmware\nBoot0001: \"x\"\na::b: test\r\nc: test\n2 tests, 0 benchmarks\n";
    assert_eq!(parse_list(list, &exited(33)).unwrap(), ["a::b", "c"]);
    assert_eq!(parse_list("0 tests, 0 benchmarks\n", &exited(33)).unwrap(), [""; 0]);
}

#[test]
fn a_list_that_is_not_whole_is_not_taken() {
    for output in ["a: test\n", "a: test\n2 tests, 0 benchmarks\n", "a b: test\n1 tests, \n", ""] {
        assert_eq!(parse_list(output, &exited(33)).unwrap_err().kind, Kind::Contradiction);
    }
}

#[test]
fn a_list_that_was_cut_off_by_a_crash_is_not_taken() {
    for (status, kind) in [(37, Kind::Panic), (0, Kind::TripleFault), (35, Kind::Contradiction)] {
        let failure = parse_list("a\n", &exited(status)).unwrap_err();
        assert_eq!(failure.kind, kind);
    }
}

#[test]
fn the_source_tells_an_assertion_with_its_own_text_from_a_panic() {
    let kind = |place: &str| {
        let details = vec!["three cells".into(), place.into()];
        let failure = Some(Failure::new("a", Kind::Panic, details));
        let results = vec![CaseResult { name: "a".into(), failure }];
        let mut boot = Boot { results, failure: None, finished: false };
        let source = "fn a() {\n    assert!(cells == 3, \"three cells\");\n    panic!();\n}\n";
        tell_assertions(&mut boot, |path| (path == "tests/a.rs").then(|| source.into()));
        boot.tally().failures[0].kind
    };
    assert_eq!(kind("at tests/a.rs:2:5"), Kind::Assertion);
    for place in
        ["at tests/a.rs:3:5", "at tests/b.rs:2:5", "at tests/a.rs:9:5", "at tests/a.rs:2:99"]
    {
        assert_eq!(kind(place), Kind::Panic, "{place}");
    }
    assert_eq!(kind("at tests/a.rs:0:0"), Kind::Panic);
}
