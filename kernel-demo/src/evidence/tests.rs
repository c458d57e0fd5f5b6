//! What a tour prints, and what its verdict is.

use super::*;

fn tour(text: &mut String, show: fn(&mut Evidence<'_>) -> Shown) -> bool {
    let first = |evidence: &mut Evidence<'_>| {
        evidence.say(format_args!("One is counted."));
        evidence.expect("one", 1, 1);
        Ok(())
    };
    let mut tour = Tour::new(text);
    let step = |show| Step { name: "claims::step", show };
    for (number, text, steps) in
        [("C1", "one holds", vec![step(first)]), ("C2", "the case", vec![step(first), step(show)])]
    {
        tour.show(&Claim { number, text, shown_by: "its steps", steps: steps.leak() });
    }
    tour.finish()
}

fn run(show: fn(&mut Evidence<'_>) -> Shown) -> (String, bool) {
    let mut text = String::new();
    let verdict = tour(&mut text, show);
    (text, verdict)
}

#[test]
fn evidence_that_holds_is_shown_and_summed_up() {
    let (text, verdict) = run(|evidence| {
        evidence.say(format_args!("Two and two are added."));
        evidence.show(format_args!("2 + 2"));
        evidence.expect("sum", 4, 2 + 2);
        evidence.expect_hex("address", 0x1000, 0x1000);
        evidence.expect_at_least("frames", 3, 3);
        evidence.expect_that("it moved", true);
        Ok(())
    });
    assert!(verdict);
    let lines = "\n[C2] the case\n  One is counted.\n    ok      one: 1\n  Two and two are added.\n    2 + 2\n    ok      sum: 4\n    ok      address: 0x1000\n    ok      frames: 3 (at least 3)\n    ok      it moved\n";
    assert!(text.contains(lines), "{text}");
    assert!(text.contains("ok (5 checks)\n"), "{text}");
    assert!(text.ends_with("\n2 of 2 claims shown, 6 checks\n"), "{text}");
}

#[test]
fn evidence_that_does_not_hold_prints_both_values_and_fails_the_tour() {
    let (text, verdict) = run(|evidence| {
        evidence.say(format_args!("All is wrong."));
        evidence.expect("frames taken", 0, 3);
        evidence.expect("and then", 1, 1);
        evidence.expect_at_least("pages", 2, 1);
        evidence.expect_that("it moved", false);
        Ok(())
    });
    assert!(!verdict);
    assert!(
        text.contains("    FAILED  frames taken: expected 0, found 3\n    ok      and then: 1\n"),
        "{text}"
    );
    assert!(text.contains("    FAILED  pages: expected at least 2, found 1\n"), "{text}");
    assert!(text.contains("    FAILED  it moved: expected true, found false\n"), "{text}");
    assert!(text.contains("FAILED (3 of 5 checks)\n"), "{text}");
    assert!(text.ends_with("\n1 of 2 claims shown, 6 checks\n"), "{text}");
}

#[test]
fn what_matters_only_on_failure_is_printed_only_then() {
    let (text, verdict) = run(|evidence| {
        evidence.ensure("frames that are free again", 7, 7);
        Ok(())
    });
    assert!(verdict && !text.contains("frames"), "{text}");
    assert!(text.contains("ok (2 checks)\n"), "it counts: {text}");
    let (text, verdict) = run(|evidence| {
        evidence.ensure("frames that are free again", 7, 6);
        Ok(())
    });
    assert!(!verdict, "{text}");
    assert!(
        text.contains("    FAILED  frames that are free again: expected 7, found 6\n"),
        "{text}"
    );
}

#[test]
fn evidence_without_a_sentence_is_none() {
    for show in [
        (|evidence: &mut Evidence<'_>| {
            evidence.expect("sum", 4, 4);
            Ok(())
        }) as fn(&mut Evidence<'_>) -> Shown,
        |evidence| {
            evidence.show(format_args!("a line"));
            evidence.ensure("sum", 4, 4);
            Ok(())
        },
    ] {
        let (text, verdict) = run(show);
        assert!(!verdict, "{text}");
        assert!(
            text.contains("    FAILED  sentences before this: expected one, found none\n"),
            "{text}"
        );
    }
}

#[test]
fn a_step_that_misses_something_fails_and_ends_there() {
    let (text, verdict) = run(|evidence| {
        let block: u32 = evidence.need("block", Err("out of memory"))?;
        evidence.expect("never reached", 0, block);
        Ok(())
    });
    assert!(!verdict);
    assert!(
        text.contains("    FAILED  block: expected one, found none: out of memory\n"),
        "{text}"
    );
    assert!(!text.contains("never reached"), "{text}");
}

#[test]
fn a_step_without_a_check_and_a_tour_without_a_claim_show_nothing() {
    let (text, verdict) = run(|_| Ok(()));
    assert!(!verdict);
    assert!(
        text.contains("FAILED  checks of this claim: expected at least one, found none"),
        "{text}"
    );
    assert!(!Tour::new(&mut String::new()).finish());
}

#[test]
fn a_chapter_has_a_title() {
    let claim = |number| Claim { number, text: "", shown_by: "", steps: &[] };
    let chapter = Chapter { title: "The heap", claims: vec![claim("C1"), claim("C2")].leak() };
    let mut text = String::new();
    let mut tour = Tour::new(&mut text);
    tour.open(&chapter);
    assert_eq!(text, "\n=== The heap: C1 to C2 ===\n");
}
