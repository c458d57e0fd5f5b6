//! One run with each sort of result, in each form.

use super::*;
use crate::judge::CaseResult;
use crate::protocol::Event;
use crate::tally::{Failure, Kind};

/// Plays a run to a report: a case that passes, one that panics, one that could not run.
fn play(report: &mut dyn Report) {
    let plan = ["a::passes", "a::panics", "a::never"].map(str::to_owned);
    let panic = Failure::new("a::panics", Kind::Panic, vec!["on <purpose>".into(), "at x".into()]);
    let missing = Failure::new("a::never", Kind::NotRun, vec!["no boot".into()]);
    let took = Duration::from_millis(1500);
    let passes = CaseResult { name: plan[0].clone(), failure: None };
    let panics = CaseResult { name: plan[1].clone(), failure: Some(panic.clone()) };
    let began = plan.clone().map(Event::Began);
    let verdict = Event::Verdict(true);
    for happened in [
        Happened::Planned(&plan),
        Happened::Boots(0),
        Happened::Said(&began[0]),
        Happened::Said(&verdict),
        Happened::Said(&began[1]),
        Happened::Judged(&passes, took),
        Happened::Judged(&panics, took),
        Happened::Boots(2),
        Happened::Failed(&missing),
    ] {
        report.happened(&happened).unwrap();
    }
    let tally = Tally { passed: 1, failures: vec![panic, missing] };
    report.end(&tally, 2 * took).unwrap();
}

fn played<R: Report>(new: impl FnOnce(Vec<u8>) -> R, out: impl FnOnce(R) -> Vec<u8>) -> String {
    let mut report = new(Vec::new());
    play(&mut report);
    String::from_utf8(out(report)).unwrap()
}

#[test]
fn the_terminal_reads_as_libtest_does() {
    let out = |out: Vec<u8>| Terminal::new(anstream::StripStream::new(out), Style::default());
    let text = played(out, |report| report.into_inner().into_inner());
    let expected = "
running 3 tests
test a::passes ... ok
test a::panics ... FAILED (panic)
resuming at case 3

failures:

---- a::panics: panic ----
on <purpose>
at x

---- a::never: not run ----
no boot

failures:
    a::panics
    a::never

test result: FAILED. 1 passed; 2 failed; 0 ignored; finished in 3.00s

";
    assert_eq!(text, expected);
}

#[test]
fn json_lines_are_libtests_with_a_kind() {
    let text = played(JsonLines::new, JsonLines::into_inner);
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str, event: &str| {
        let found = lines.iter().find(|line| line["name"] == name && line["event"] == event);
        found.unwrap_or_else(|| panic!("no {event} of {name}: {text}"))
    };
    assert_eq!(of("a::passes", "ok")["exec_time"], 1.5);
    assert_eq!(of("a::panics", "failed")["kind"], "panic");
    assert_eq!(of("a::panics", "failed")["stdout"], "on <purpose>\nat x\n");
    assert_eq!(of("a::never", "failed")["kind"], "not run");
    let last = lines.last().unwrap();
    assert_eq!((&last["passed"], &last["failed"]), (&1.into(), &2.into()));
}

#[test]
fn junit_has_each_case_once_with_its_kind() {
    let text = played(|out| JUnit::new(out, "image"), JUnit::into_inner);
    for part in [
        r#"<testsuite name="image" tests="3""#,
        r#"name="a::passes" classname="a" time="1.500""#,
        r#"type="panic""#,
        "on &lt;purpose&gt;",
        r#"type="not run""#,
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}
