//! What `make run` can be told: which claims, which program, and to wait for keys.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use harness::image::Image;
use harness::tour::{self, Stop, Tour};
use kerntest::tally::{Failure, Kind};

use crate::{build, machine};

/// What a boot of the tour's image with these keys writes, and what is wrong with it.
fn boot(keys: &[(&str, &str)]) -> (String, Option<Failure>) {
    boot_with(keys, Stdio::null(), |_| {})
}

fn boot_with(
    keys: &[(&str, &str)],
    input: Stdio,
    mut on_text: impl FnMut(&str),
) -> (String, Option<Failure>) {
    static IMAGE: OnceLock<(harness::project::Project, std::path::PathBuf)> = OnceLock::new();
    let (_, image) = IMAGE.get_or_init(|| build(Image::tour));
    let machine = machine();
    let tour = Tour { image, machine: &machine, keys };
    let mut text = String::new();
    let failure = tour.run_with(input, Duration::from_secs(120), |bytes| {
        text.push_str(&String::from_utf8_lossy(bytes));
        on_text(&text);
    });
    (text, failure)
}

/// What a boot that shows all claims writes, and what is wrong with it.
fn whole() -> &'static (String, Option<Failure>) {
    static WHOLE: OnceLock<(String, Option<Failure>)> = OnceLock::new();
    WHOLE.get_or_init(|| boot(&[]))
}

/// Lines of the tour that are evidence.
fn evidence(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with("    "))
}

#[test]
fn each_claim_is_shown_once_in_order() {
    let (text, failure) = whole();
    assert_eq!(*failure, None);
    assert_eq!(tour::claims(text), tour::CLAIMS.collect::<Vec<_>>());
    let cpus = machine().smp;
    assert!(text.contains(&format!("The machine has {cpus} CPU")), "{text}");
    let titles: Vec<_> = text.lines().filter(|line| line.starts_with("=== ")).collect();
    assert_eq!(titles.len(), 4, "{titles:?}");
    assert!(text.contains("No Linux host with glibc runs this kernel's harness"), "{text}");
}

#[test]
fn a_sentence_precedes_the_evidence_of_each_claim() {
    let (text, _) = whole();
    let mut before = "";
    for line in text.lines() {
        let begins = line.starts_with("    ") && !before.starts_with("    ");
        let sentence = before.starts_with("  ") && before.ends_with(['.', ':']);
        assert!(!begins || sentence, "{before:?} precedes {line:?}");
        before = line;
    }
}

#[test]
fn no_check_repeats_the_line_before() {
    let (text, _) = whole();
    let lines: Vec<&str> = evidence(text).collect();
    let is_check = |line: &str| line.starts_with("    ok ");
    let twice = lines.windows(2).find(|pair| is_check(pair[0]) && pair[0] == pair[1]);
    assert_eq!(twice, None);
}

#[test]
fn what_matters_only_on_failure_is_not_shown() {
    let (text, _) = boot(&[("claims", "C15,C19,C13")]);
    for line in ["no process has", "promised to processes", "in use after", "invariant of the heap"]
    {
        assert!(!text.contains(line), "{line}: {text}");
    }
}

#[test]
fn the_high_half_of_an_address_is_shown_once() {
    let (text, _) = boot(&[("claims", "C12")]);
    let line = text.lines().find(|line| line.contains("  break   scratch")).expect("a movement");
    let (from, to) = line.split_once(" -> ").expect("two addresses");
    assert!(!from.contains('…') && to.starts_with("0x…40000000 "), "{line}");
}

#[test]
fn only_claims_that_are_chosen_are_shown() {
    let (text, failure) = boot(&[("claims", "C12")]);
    assert_eq!((tour::claims(&text), failure), (vec![12], None));
    let (text, failure) = boot(&[("claims", "c5, C2")]);
    assert_eq!((tour::claims(&text), failure), (vec![2, 5], None));
}

#[test]
fn an_unknown_claim_is_refused_with_the_list() {
    let (text, failure) = boot(&[("claims", "C12,C99")]);
    assert_eq!(failure.expect("a failure").kind, Kind::Assertion);
    assert!(text.contains("no claim \"C99\"") && text.contains(" C11 C12 C13 "), "{text}");
    assert_eq!((tour::claims(&text), evidence(&text).count()), (vec![], 0), "{text}");
}

/// A tour in which the n-th frame is refused: what it claims does not hold then, and that is its
/// verdict.
#[test]
fn a_tour_whose_evidence_does_not_hold_fails() {
    let (_, failure) = boot(&[("claims", "C22"), ("fail-nth", "1")]);
    let failure = failure.expect("a failure");
    assert_eq!(failure.kind, Kind::Assertion, "{failure}");
    let details = failure.details.join("\n");
    assert!(details.contains("expected") && details.contains("found"), "{details}");
}

#[test]
fn the_tour_waits_for_a_key_before_each_further_claim() {
    let (keyboard, mut fingers) = io::pipe().expect("a pipe");
    let mut pressed = 0;
    let (text, failure) =
        boot_with(&[("claims", "C1,C2,C3"), ("step", "1")], keyboard.into(), |text| {
            let asked = text.matches("(press a key)").count();
            assert!(tour::claims(text).len() <= pressed + 1, "it does not wait: {text}");
            if asked > pressed && !text.contains(&format!("[C{}]", pressed + 2)) {
                fingers.write_all(b" ").expect("the machine reads");
                pressed += 1;
            }
        });
    assert_eq!((tour::claims(&text), failure, pressed), (vec![1, 2, 3], None, 2));
}

/// There is no keyboard, and the tour does not wait for ever.
#[test]
fn without_a_terminal_the_tour_does_not_wait() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    for variable in ["CLAIM", "PROGRAM", "TRACE", "STEP"] {
        command.env_remove(variable);
    }
    let output = command
        .args(["tour", "--step", "--claim", "C1,C2"])
        .stdin(Stdio::null())
        .output()
        .expect("the harness runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert_eq!(tour::claims(&text), [1, 2], "{text}");
    assert!(errors.contains("does not wait for keys"), "{errors}");
}

#[test]
fn a_program_runs_with_its_arguments() {
    let (text, failure) = boot(&[("program", "hello one two")]);
    assert_eq!(failure, None, "{text}");
    assert!(text.contains("\nthey say: one two\n"), "{text}");
    assert!(!text.contains("brk("), "nothing is traced: {text}");
    let (text, failure) = boot(&[("program", "lazy 5")]);
    assert_eq!(failure, None, "{text}");
    assert!(text.contains("reserved: 1280 pages\n"), "{text}");
}

#[test]
fn the_calls_and_faults_of_a_program_are_traced() {
    let (text, failure) = boot(&[("program", "simple"), ("trace", "1")]);
    assert_eq!(failure, None, "{text}");
    for line in ["[pid     1] brk(", "[pid     1] --- page fault {", "exited with 0 +++"] {
        assert!(text.contains(line), "no {line:?}: {text}");
    }
}

#[test]
fn a_program_that_fails_fails_the_run() {
    for (program, reason) in [("lazy 0", "exit status 2"), ("segv null", "killed by SIGSEGV")] {
        let (text, failure) = boot(&[("program", program)]);
        assert_eq!(failure.expect("a failure").kind, Kind::Assertion, "{text}");
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn a_program_that_a_reader_interrupts_has_not_failed() {
    let (keyboard, mut keys) = io::pipe().expect("a pipe");
    keys.write_all(b"\x03").expect("the pipe takes a key");
    let (text, _) =
        boot_with(&[("program", "spin forever"), ("keys", "1")], keyboard.into(), |_| {});
    assert_eq!(tour::stop(&text), Some(Stop::Program), "{text}");
    assert!(text.ends_with("spin: interrupted\n") && !text.contains("FAILED"), "{text}");
}

#[test]
fn an_unknown_program_is_refused_with_the_list() {
    for program in ["lazier 5", " "] {
        let (text, failure) = boot(&[("program", program)]);
        assert_eq!(failure.expect("a failure").kind, Kind::Assertion, "{text}");
        assert!(
            text.contains("there is no program") && text.contains(" hungry layout lazy "),
            "{text}"
        );
    }
}
