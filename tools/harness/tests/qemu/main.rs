//! Boots cases that fail on purpose under the real QEMU: each failure must be recognised as what it
//! is.
//!
//! These tests need what `make setup` installs, so they are built only with the feature `qemu`;
//! `make test` does that.

mod outside;
mod shell;
mod tour;

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use harness::image::Image;
use harness::project::{Project, Setup};
use harness::steps::{ALLOCATOR_FEATURES, SUITES};
use harness::{cargo, coverage, demo_suite, process};
use kerntest::tally::{Failure, Kind, Tally};
use kerntest::{Limits, Machine, Platform, Selection, Suite};

/// A boot takes seconds of a processor, each case no time at all, but for the one that hangs: it
/// waits so long, without a processor.
const LIMITS: Limits = Limits { first: Duration::from_secs(120), next: Duration::from_secs(30) };

/// An image, built by the code that `make test` uses.
fn build(image: fn(&Project) -> Image) -> (Project, PathBuf) {
    let project = Project::find().expect("the tests run inside the project");
    let image = image(&project).build(&project, &setup(), |_| {});
    (project, image.unwrap_or_else(|error| panic!("{error}")))
}

fn setup() -> Setup {
    let project = Project::find().expect("the tests run inside the project");
    project.setup().expect("the set-up has been run")
}

/// Whether `make test` runs, whose kernel has each case for one profile.
fn is_short() -> bool {
    env::var_os("BRKALLOC_SHORT").is_some()
}

fn machine() -> Machine {
    let mem = Some("64M".to_owned());
    let prefix = "brkalloc".to_owned();
    let qemu = setup().qemu;
    Machine { qemu, mem, prefix, ..Machine::new(Platform::PcDisk) }
}

fn suite(filter: &str) -> Suite {
    static IMAGE: OnceLock<(Project, PathBuf)> = OnceLock::new();
    let image = if is_short() { Image::short_suite } else { Image::suite };
    let (project, image) = IMAGE.get_or_init(|| build(image));
    let suite = demo_suite::new(project, image.clone(), machine(), Some(filter), None);
    Suite { limits: LIMITS, ..suite }
}

fn run(suite: &Suite) -> Tally {
    suite.run(|_| {})
}

/// One run of all cases that fail on purpose, and of two that do not.
fn all_failures() -> &'static Tally {
    static TALLY: OnceLock<Tally> = OnceLock::new();
    TALLY.get_or_init(|| run(&suite("selftest::")))
}

/// The only failure of the case `name`, which must be of this kind.
fn failure(name: &str, kind: Kind) -> &'static Failure {
    let failures: Vec<_> =
        all_failures().failures.iter().filter(|failure| failure.name == name).collect();
    let [failure] = failures[..] else {
        panic!("one failure of {name}, not {failures:?}");
    };
    assert_eq!(failure.kind, kind, "{failure}");
    failure
}

#[test]
fn an_assertion_says_where_and_shows_both_values() {
    let failure = failure("selftest::assertion", Kind::Assertion);
    let text = failure.details.join("\n");
    for part in ["at tests/qemu/selftest.rs:", "expected:", "found:"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn an_assertion_of_a_host_suite_says_where_and_shows_both_values() {
    let failure = failure("selftest::assertion_of_the_host", Kind::Assertion);
    let [message, left, right, place] = &failure.details[..4] else {
        panic!("four lines: {failure}");
    };
    assert_eq!(message, "assertion `left == right` failed: a sum");
    assert_eq!((left.as_str(), right.as_str()), ("left: 4", "right: 5"));
    assert!(place.starts_with("at tests/qemu/selftest.rs:"), "{place}");
}

#[test]
fn a_frame_leak_says_how_many() {
    let failure = failure("selftest::leak", Kind::Leak);
    assert!(failure.details[0].contains("not returned"), "{failure}");
}

#[test]
fn a_panic_shows_its_message() {
    let failure = failure("selftest::panic", Kind::Panic);
    assert!(failure.details.join("\n").contains("on purpose"), "{failure}");
}

#[test]
fn an_unexpected_fault_is_reported_as_one() {
    let failure = failure("selftest::fault", Kind::Fault);
    assert!(failure.details.join("\n").contains("null pointer"), "{failure}");
}

/// The functions in the back-trace of a failure, the innermost first.
fn back_trace(failure: &Failure) -> Vec<&str> {
    let lines = failure.details.iter().skip_while(|line| *line != "back-trace:").skip(1);
    let names = lines.map_while(|line| line.trim_start().strip_prefix('#')?.splitn(3, ' ').nth(2));
    names.collect()
}

#[test]
fn a_panic_shows_the_calls_that_led_to_it() {
    let failure = failure("selftest::panic", Kind::Panic);
    let names = back_trace(failure);
    let place = |name: &str| names.iter().position(|found| found.contains(name));
    let [panic, case, run] =
        ["panicking::panic_fmt", "suite::selftest::panic", "kerntest_guest::run::run"].map(place);
    assert!(panic.is_some() && panic < case && case < run, "{names:?}: {failure}");
}

#[test]
fn a_fault_shows_the_calls_that_led_to_it() {
    let failure = failure("selftest::fault", Kind::Fault);
    let names = back_trace(failure);
    assert!(names[0].contains("suite::selftest::fault"), "{names:?}: {failure}");
    assert!(names.iter().any(|name| name.contains("kerntest_guest::run::run")), "{names:?}");
}

#[test]
fn a_triple_fault_is_told_from_a_clean_end() {
    failure("selftest::triple_fault", Kind::TripleFault);
}

#[test]
fn a_hang_runs_into_the_limit() {
    let failure = failure("selftest::hang", Kind::Hang);
    assert_eq!(
        failure.details[0], "no progress and no output for 30 s",
        "the limit of a case, not of a boot: {failure}"
    );
}

#[test]
fn one_run_with_every_failure_loses_no_case() {
    let tally = all_failures();
    let found: Vec<_> =
        tally.failures.iter().map(|failure| (failure.name.as_str(), failure.kind)).collect();
    let expected = [
        ("selftest::assertion", Kind::Assertion),
        ("selftest::assertion_of_the_host", Kind::Assertion),
        ("selftest::fault", Kind::Fault),
        ("selftest::hang", Kind::Hang),
        ("selftest::leak", Kind::Leak),
        ("selftest::panic", Kind::Panic),
        ("selftest::triple_fault", Kind::TripleFault),
    ];
    assert_eq!(found, expected);
    let planned = suite("selftest::").list().expect("the list");
    assert_eq!(planned.last().map(String::as_str), Some("selftest::unharmed_by_the_others"));
    assert_eq!((tally.passed, tally.ran()), (2, planned.len()));
}

#[test]
fn a_case_that_runs_alone_is_the_only_one_that_fails() {
    let tally = run(&suite("selftest::panic"));
    let found: Vec<_> =
        tally.failures.iter().map(|failure| (failure.name.as_str(), failure.kind)).collect();
    assert_eq!((tally.passed, found), (0, vec![("selftest::panic", Kind::Panic)]));
}

#[test]
fn cases_that_fail_on_purpose_are_selected_only_by_name() {
    let all = Suite { selection: Selection::default(), ..suite("") };
    let names = all.list().expect("the list");
    assert!(!names.is_empty());
    assert_eq!(names.iter().find(|name| name.starts_with("selftest")), None);
}

/// The cases of the host suites.
fn cases_on_host() -> BTreeSet<String> {
    let project = Project::find().expect("the tests run inside the project");
    let mut command = cargo::host(&project, project.root(), "");
    command.args(SUITES).args(["--features", ALLOCATOR_FEATURES, "--", "--list"]);
    let mut output = String::new();
    let status = process::run(command, |line| output.extend([line, "\n"])).expect("cargo runs");
    assert!(status.success(), "{output}");
    coverage::on_host(&output)
}

/// What a heap does over a fixed piece of memory it must do where each page appears by a fault.
#[test]
fn every_host_case_runs_in_the_kernel_too_or_has_a_reason() {
    let mut host = cases_on_host();
    let suite = Suite { selection: Selection::default(), ..suite("") };
    let mut kernel = coverage::in_kernel(&suite.list().expect("the kernel's list"));
    let mut host_only = demo_suite::host_only(&suite).expect("what is not for the kernel");
    if is_short() {
        host = coverage::without_profiles(host);
        kernel = coverage::without_profiles(kernel);
        for (name, _) in &mut host_only {
            name.truncate(coverage::without_profile(name).len());
        }
    }
    let excused = coverage::excused(&host, &host_only);
    let differences = coverage::differences(&host, &kernel, &excused);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_filter_may_have_several_parts() {
    let names = suite("selftest::panic,selftest::hang").list().expect("the list");
    assert_eq!(names, ["selftest::hang", "selftest::panic"], "by name");
}

#[test]
fn a_filter_that_fits_nothing_selects_nothing() {
    assert_eq!(suite("no such case").list(), Ok(vec![]));
}

#[test]
fn qemu_that_refuses_its_arguments_is_no_fault_of_the_kernel() {
    let mut suite = suite("selftest::passes");
    suite.machine.mem = Some("nonsense".into());
    let tally = run(&suite);
    assert_eq!((tally.passed, tally.failures[0].kind), (0, Kind::Emulator));
    assert!(tally.failures[0].details.join("\n").contains("nonsense"), "{}", tally.failures[0]);
}

#[test]
fn an_image_that_is_not_there_is_no_fault_of_the_kernel() {
    let mut suite = suite("selftest::passes");
    suite.image = "no-such-image.bin".into();
    let tally = run(&suite);
    assert_eq!((tally.passed, tally.failures[0].kind), (0, Kind::Emulator));
}
